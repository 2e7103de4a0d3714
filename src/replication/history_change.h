/// \file
/// Changes of one table as rows of its log: every change, in order, nothing folded.
///
/// An update that changes its row's key is two rows with one ordinal: the delete of the old key,
/// and the update, which has all that was sent of the row. Updates of a table without a key
/// (REPLICA IDENTITY FULL) are always two: the whole old row and the new one.
///
/// Values that were not sent are taken from the old tuple where that has them (FULL); else they are
/// NULL and marked.
///
/// Pure. Cost: one copy of each cell; inserts alone are handed on as they are.
#pragma once

#include <span>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::replication {

/// A batch that has the log's schema, or, without one, a TRUNCATE. What is pointed to must outlive
/// the call.
struct HistoryItem {
  const ChangeBatch* batch = nullptr;
  TruncateMark truncate = {};
};

/// \param marks resolves the runs of batches, and truncates.
/// Errors: kInternal SLU-9101 (a batch that is not as change_set.h says), kUnsupported SLU-4203
/// (over 2 GB in one column).
Result<HistoryChange> MakeHistory(const SchemaPtr& schema, std::span<const HistoryItem> items,
                                  const std::vector<TransactionMark>& marks);

}  // namespace sluice::replication
