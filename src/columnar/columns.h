/// \file
/// The columns of one record batch under construction, with the memory they take.
///
/// Thread safety: one object, one thread.
#pragma once

#include <arrow/type_fwd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "columnar/column_builder.h"

namespace sluice::columnar {

struct Columns {
  /// All columns of the schema, which must outlive this.
  explicit Columns(const TableSchema& schema);
  /// Those at these indexes of schema.columns.
  Columns(const TableSchema& schema, const std::vector<std::int32_t>& indexes);

  /// A cell of `count` bytes was appended to column `index`.
  void CountWireBytes(std::size_t index, std::size_t count) {
    bytes_ += count & wire_masks_[index];
  }
  /// Every column has one value more.
  void EndRow() { bytes_ += fixed_row_bytes_; }
  /// Rows of NULLs up to `row_count`.
  void PadTo(std::size_t row_count);
  /// Whole rows only; also takes back values of a row that was not ended.
  void Truncate(std::size_t row_count);
  /// Memory in use, about.
  std::size_t bytes() const;
  /// The error of a fault in column `column` of the schema.
  Error FaultAt(const TableSchema& schema, std::size_t column, types::ValueFault fault) const;
  RowsPtr Finish(std::size_t row_count);

  std::vector<ColumnBuilder> columns;

 private:
  std::shared_ptr<arrow::Schema> arrow_schema_;
  std::vector<std::size_t> wire_masks_;
  std::vector<std::size_t> nested_;  // columns whose children are counted one by one
  std::size_t fixed_row_bytes_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace sluice::columnar
