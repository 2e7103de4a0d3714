#include "pipeline/compare_rows.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "columnar/copy_decoder.h"
#include "pipeline/both_sides.h"
#include "pipeline/key_rows.h"
#include "postgres/copy_reader.h"
#include "verify/source_select.h"
#include "verify/table_comparison.h"

namespace sluice::pipeline {
namespace {

constexpr std::size_t kKeysMax = 1000;
constexpr std::size_t kPatchBytesMax = std::size_t{32} << 20;
/// Several copies may compare at once.
constexpr std::size_t kComparisonBytes = std::size_t{16} << 20;

/// Can these rows become those of a copy by single rows, and would they then be what it makes?
bool CanStay(const engine::OldRows& rows) {
  const TableRecord& record = rows.record;
  const TableSchema& now = *rows.table.schema;
  const bool is_same = record.mode == TableMode::kMirror && rows.mode == record.mode &&
                       rows.destination == record.destination && record.source == now.name &&
                       SameShape(*record.schema, now);
  const auto keeps_all = [](const TableSchema& schema) {
    return std::ranges::all_of(
        schema.columns, [](const Column& column) { return column.on_misfit == OnMisfit::kHalt; });
  };
  return is_same && keeps_all(*record.schema) && keeps_all(now);
}

/// The rows of these keys under S, for the keys' places. nullopt: they are too much for one change.
Result<std::optional<engine::RowsPatch>> ReadPatch(const engine::OldRows& rows,
                                                   const std::vector<verify::KeyText>& keys,
                                                   const std::stop_token& stop) {
  const SchemaPtr& schema = rows.table.schema;
  const columnar::CopyFormat format = columnar::FormatFor(*schema);
  columnar::CopyDecoder decoder(schema, format);
  SLUICE_ASSIGN_OR_RETURN(postgres::CopyReader reader,
                          postgres::CopyReader::Start(
                              rows.source, SelectRows(*schema, rows.table.row_filter,
                                                      rows.table.is_partitioned, keys, format)));
  bool is_too_much = false;
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(const auto messages, reader.NextRows(stop));
    if (messages.empty()) break;
    is_too_much = is_too_much || decoder.bytes() > kPatchBytesMax;
    if (is_too_much) continue;  // read to its end: the connection copies the table next
    for (const postgres::CopyReader::Message& message : messages)
      SLUICE_RETURN_IF_ERROR(decoder.Append(message));
  }
  if (is_too_much) return std::optional<engine::RowsPatch>();
  SLUICE_RETURN_IF_ERROR(decoder.CheckComplete());
  auto change = std::make_shared<NetChange>();
  change->schema = schema;
  change->deletes_any = true;
  SLUICE_ASSIGN_OR_RETURN(change->deletes, KeyRows(*schema, keys));
  CopiedRows copied = decoder.Finish();
  change->inserts = std::move(copied.rows);
  change->insert_misfits = std::move(copied.misfits);
  return std::optional(engine::RowsPatch{std::move(change)});
}

}  // namespace

bool IsToBeCompared(const TableRecord& record) {
  return record.reason.starts_with(kComparedReason);
}

Result<std::optional<engine::ComparedRows>> CompareOldRows(const engine::OldRows& rows,
                                                           Destination& destination,
                                                           telemetry::Logger& logger,
                                                           std::stop_token stop) {
  using Compared = std::optional<engine::ComparedRows>;
  const Capabilities& can = destination.capabilities();
  if (!can.keeps_rows || can.wants != Capabilities::Rows::kNet || !CanStay(rows)) return Compared();
  const std::string name = ToString(rows.record.source);
  const verify::ComparedTable table = verify::MakeComparedTable(rows.table.schema);
  if (!table.not_compared.empty()) return Compared();
  const std::string select = verify::SelectForVerify(
      table, {.row_filter = rows.table.row_filter, .is_partitioned = rows.table.is_partitioned});
  verify::TableComparison comparison(table, Lsn{},
                                     {.memory_bytes_max = kComparisonBytes, .keys_max = kKeysMax});
  {
    SLUICE_ASSIGN_OR_RETURN(const std::unique_ptr<DestinationReader> reader,
                            destination.OpenReader());
    do {
      const Status read =
          ReadBothSides(comparison, rows.record, *reader, rows.source, select, stop);
      if (!read && read.error().code == "SLU-5025") return Compared();  // altered by hand
      SLUICE_RETURN_IF_ERROR(read);
    } while (comparison.FinishPass());
  }
  const verify::TableResult found = comparison.Finish();
  engine::ComparedRows compared{.patch = {},
                                .row_count = static_cast<std::int64_t>(found.rows_source)};
  if (found.status == verify::ComparisonStatus::kEqual) {
    logger.Info("table {} was compared: equal, {} rows", name, found.rows_source);
    return Compared(std::move(compared));
  }
  const auto keys = comparison.DifferingKeys();
  std::optional<engine::RowsPatch> patch;
  if (keys) {
    SLUICE_ASSIGN_OR_RETURN(patch, ReadPatch(rows, *keys, stop));
  }
  if (!patch) {
    logger.Info("table {} was compared and is copied: too much differs, or it has no key", name);
    return Compared();
  }
  logger.Info("table {} was compared: {} rows differ and are read again", name, keys->size());
  compared.patch = *std::move(patch);
  return Compared(std::move(compared));
}

}  // namespace sluice::pipeline
