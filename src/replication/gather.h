/// \file
/// Builds a column out of single cells of other columns: the take kernel this project needs, for
/// every carrier.
///
/// Thread safety: free functions. Memory: one allocation per buffer of the result.
#pragma once

#include <arrow/type_fwd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/result.h"

namespace sluice::replication {

/// A cell: row `row` of source column `source`.
struct CellRef {
  std::uint32_t source = 0;
  std::uint32_t row = 0;
  bool operator==(const CellRef&) const = default;
};
/// Gathered as NULL.
inline constexpr CellRef kNoCell{0xFFFFFFFF, 0xFFFFFFFF};

/// `sources`: columns of `type`; a null pointer is a source that no cell refers to.
/// Errors: kUnsupported SLU-4203 (over 2 GB in one column), kInternal SLU-9102 (type without
/// carrier).
Result<std::shared_ptr<arrow::ArrayData>> Gather(const std::shared_ptr<arrow::DataType>& type,
                                                 std::span<const arrow::ArrayData* const> sources,
                                                 std::span<const CellRef> cells);

/// The rows of all batches one after the other; one batch comes back as it is, none as null.
Result<RowsPtr> ConcatenateRows(std::span<const RowsPtr> batches);

/// `count` times the same cell.
Result<std::shared_ptr<arrow::ArrayData>> Repeat(const std::shared_ptr<arrow::ArrayData>& column,
                                                 std::uint32_t row, std::size_t count);
/// `count` NULLs.
Result<std::shared_ptr<arrow::ArrayData>> Nulls(const std::shared_ptr<arrow::DataType>& type,
                                                std::size_t count);

}  // namespace sluice::replication
