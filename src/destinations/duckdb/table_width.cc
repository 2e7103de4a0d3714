#include "destinations/duckdb/table_width.h"

#include <string>

#include "destinations/duckdb/row_applier.h"
#include "destinations/duckdb/type_map.h"

namespace sluice::duckdb {
namespace {

constexpr std::size_t kBlockBytes = 256U << 10;
/// Beside the strings of UPDATEs (StringBudget), for what else a commit holds.
constexpr std::size_t kRestBytes = 8U << 20;

/// Values and validity; an ARRAY and a STRUCT have no values of their own.
std::size_t BlocksOf(const ColumnType& type) {
  if (type.carrier == Carrier::kMap) return 7;  // a LIST of a STRUCT of two texts
  const bool has_values = type.carrier != Carrier::kStruct && ArrayLength(type) == 0;
  std::size_t blocks = has_values ? 2 : 1;
  for (const ColumnType& child : type.children) blocks += BlocksOf(child);
  return blocks;
}

}  // namespace

std::size_t PinnedBytes(const TableSchema& schema) {
  std::size_t blocks = 0;
  for (const Column& column : schema.columns) blocks += BlocksOf(column.type);
  return blocks * kBlockBytes;
}

std::optional<Error> CheckWidth(const TableSchema& schema, std::size_t memory_bytes) {
  const std::size_t pinned = PinnedBytes(schema);
  if (pinned + memory_bytes / kStringShare + kRestBytes <= memory_bytes) return std::nullopt;
  return Error{.kind = ErrorKind::kUnsupported,
               .message = "table " + ToString(schema.name) + " is too wide for --memory: for its " +
                          std::to_string(schema.columns.size()) + " columns DuckDB takes " +
                          std::to_string(pinned >> 20U) + " MiB at a time, of its share of " +
                          std::to_string(memory_bytes >> 20U) + " MiB",
               .code = "SLU-5026",
               .advice = "raise --memory, or leave the table out with --exclude-table"};
}

}  // namespace sluice::duckdb
