/// \file
/// A table that is copied in ranges of a key column (CopyRanges): which of them a row is in, and
/// the rows of a batch sorted by that.
///
/// Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/delivery_state.h"
#include "sluice/result.h"

namespace sluice::replication {

/// Index of the range that has the value.
std::uint32_t RangeOf(const CopyRanges& ranges, std::int64_t value);

/// Which range a change takes a row from and which one it brings it to; nearly always the same.
struct RowPlace {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
};
/// Per row. Errors: RangesAgainError(), where the rows do not have the column.
Result<std::vector<RowPlace>> PlaceRows(const ChangeBatch& batch, const CopyRanges& ranges);

/// A row of a batch, or one half of an update that moves its row: the delete, or the insert.
struct PickedRow {
  std::uint32_t row = 0;
  ChangeKind kind = ChangeKind::kInsert;
};
/// These rows as a batch of their own; a delete has no new values, an insert no old ones. `rows`
/// are ascending, none twice. Errors: as Gather().
Result<ChangeBatch> PickRows(const ChangeBatch& batch, std::span<const PickedRow> rows);

/// The row has a value that the server did not send.
bool HasUnsentValue(const ChangeBatch& batch, std::size_t row);

/// kSchemaConflict SLU-4216 "REASON": the copy in ranges cannot go on, it begins again as one.
Error RangesAgainError(const std::string& reason);
/// The same, for a TRUNCATE: what was copied is gone, new ranges will do.
Error RangesTruncatedError();
bool IsRangesAgain(const Error& error);
bool IsRangesTruncated(const Error& error);

}  // namespace sluice::replication
