/// \file
/// What is left of a run of changes on one table: at most one operation per row of the destination.
///
/// Followed by *origin key*, the key a row had before the first of these changes:
///
///   row was there, is there    update by origin key; a changed key is part of the new values
///   row was there, is gone     delete by origin key
///   row is born here           insert
///   born and gone              nothing
///
/// A deleted row and one born under its key become one update of all columns. Cells that the server
/// did not send (unchanged TOAST values) are taken from earlier images in the run, and marked
/// unchanged where there is none. TRUNCATE forgets everything before it.
///
/// Two rows may have one key for a moment where a deferrable key is used with REPLICA IDENTITY FULL
/// (a swap in one statement): the whole old row tells them apart.
///
/// Keyless tables under FULL are multisets: what was inserted minus what was deleted.
///
/// Pure. Cost: one hash lookup a row, one copy of each surviving cell; runs of inserts alone are
/// only concatenated, a single batch of them is handed on as it is.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::replication {

/// Rows [row_begin, row_end) of a batch that has the fold's schema, or, without one, a TRUNCATE.
/// What is pointed to must outlive the call.
struct FoldItem {
  const ChangeBatch* batch = nullptr;
  std::size_t row_begin = 0;
  std::size_t row_end = std::numeric_limits<std::size_t>::max();
  /// Resolves batch->runs; needed for change ids only.
  const std::vector<TransactionMark>* transactions = nullptr;
};

struct FoldOptions {
  bool wants_change_ids = false;
};

/// Errors: kInternal SLU-9101 (a batch that is not as change_set.h says), kUnsupported SLU-4203
/// (over 2 GB in one column).
Result<NetChange> FoldNet(const SchemaPtr& schema, std::span<const FoldItem> items,
                          const FoldOptions& options = {});

}  // namespace sluice::replication
