/// \file
/// Changes of a halted table between the stream, which brings them undecoded, and the destination,
/// which keeps them: `sluice resume` applies them later (docs/decisions/012-resume.md).
///
/// Pure. Thread safety: none needed, there is no state.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/delivery_state.h"
#include "sluice/result.h"

namespace sluice::engine {

/// A version as it is decoded under what is declared now.
using Redeclare = std::function<Result<SchemaPtr>(const SchemaPtr& version)>;

/// What there is to keep of these items, in order, numbered from `first` on. `version`: the one
/// that was kept last, updated; null: none. Errors: the table's, it can be kept no longer: a
/// TableFailure, or rows that are decoded already.
Result<std::vector<KeptChange>> ToKept(const std::vector<ChangeItem>& items,
                                       const std::vector<TransactionMark>& marks,
                                       std::uint64_t first, SchemaPtr& version);

/// About what they take.
std::uint64_t BytesOf(const std::vector<KeptChange>& changes);

/// Items as TableStager::Apply() takes them, with the transactions they name.
struct DecodedChanges {
  std::vector<ChangeItem> items;
  std::vector<TransactionMark> marks;
  std::size_t bytes = 0;
};

/// Appends changes to `out`, whose last item may be continued by later ones. `version`: as it was
/// before the first, updated. Errors: kConversion and the like, of the table; kStateStore SLU-5101.
Status FromKept(const std::vector<KeptChange>& changes, const Redeclare& redeclare,
                SchemaPtr& version, DecodedChanges& out);

/// Raw batches among the items, decoded; the table is not halted any more.
Result<std::vector<ChangeItem>> DecodeItems(const std::vector<ChangeItem>& items,
                                            const std::vector<TransactionMark>& marks,
                                            const Redeclare& redeclare);
/// Any of them is.
bool HasRaw(const std::vector<ChangeItem>& items);

/// What to do about a table that halted, in one line. \param keeps its changes are kept.
std::string HaltAdvice(const Error& error, const TableName& source, bool keeps);

}  // namespace sluice::engine
