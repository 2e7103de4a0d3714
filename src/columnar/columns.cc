#include "columnar/columns.h"

#include <arrow/array/data.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "types/arrow_type.h"

namespace sluice::columnar {
namespace {

std::vector<std::int32_t> AllColumns(const TableSchema& schema) {
  std::vector<std::int32_t> indexes(schema.columns.size());
  std::iota(indexes.begin(), indexes.end(), 0);
  return indexes;
}

}  // namespace

Columns::Columns(const TableSchema& schema) : Columns(schema, AllColumns(schema)) {}

Columns::Columns(const TableSchema& schema, const std::vector<std::int32_t>& indexes)
    : arrow_schema_(types::ArrowSchema(schema, indexes)) {
  columns.reserve(indexes.size());
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    const Column& column = schema.columns[static_cast<std::size_t>(indexes[i])];
    columns.emplace_back(column.type, arrow_schema_->field(static_cast<int>(i))->type());
    wire_masks_.push_back(columns.back().wire_bytes_mask());
    if (columns.back().is_nested()) {
      nested_.push_back(i);
    } else {
      fixed_row_bytes_ += columns.back().fixed_row_bytes();
    }
  }
}

void Columns::PadTo(std::size_t row_count) {
  if (columns.empty() || columns[0].row_count() >= row_count) return;
  const std::size_t missing = row_count - columns[0].row_count();
  for (ColumnBuilder& column : columns) column.AppendNulls(missing);
  bytes_ += missing * fixed_row_bytes_;
}

void Columns::Truncate(std::size_t row_count) {
  bytes_ = 0;
  for (ColumnBuilder& column : columns) {
    column.Truncate(row_count);
    if (!column.is_nested()) bytes_ += column.used_bytes();
  }
}

std::size_t Columns::bytes() const {
  std::size_t bytes = bytes_;
  for (const std::size_t index : nested_) bytes += columns[index].used_bytes();
  return bytes;
}

Error Columns::FaultAt(const TableSchema& schema, std::size_t column,
                       types::ValueFault fault) const {
  const Column& failed = schema.columns[column];
  Error error = types::FaultError(fault, failed.name, failed.type.name);
  const bool finds_row =
      std::ranges::find(schema.key, static_cast<std::int32_t>(column)) != schema.key.end();
  if (finds_row && types::IsMisfit(fault)) {
    error.advice =
        "change the value at the source, or declare the column as text (`types` in the config "
        "file), then `sluice resync` the table; a value of a key is never let go";
  }
  return error;
}

RowsPtr Columns::Finish(std::size_t row_count) {
  std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
  arrays.reserve(columns.size());
  for (ColumnBuilder& column : columns) arrays.push_back(column.Finish());
  bytes_ = 0;
  return arrow::RecordBatch::Make(arrow_schema_, static_cast<std::int64_t>(row_count),
                                  std::move(arrays));
}

}  // namespace sluice::columnar
