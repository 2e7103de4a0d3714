/// \file
/// Values of a table's columns that had no exact form and were let go: how many, for display, and
/// when they came.
///
/// Thread safety: values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/schema.h"

namespace sluice::engine {

struct MisfitCount {
  std::string column;
  OnMisfit policy = OnMisfit::kNull;
  std::int64_t cells = 0;
  std::string reason;  ///< of the first
};

/// Held changes and folded ones forget their transactions; what is kept of a misfit tells it.
void StampMisfits(ChangeBatch& batch, const std::vector<TransactionMark>& marks);

/// In the order they were first seen; a column has one entry a policy.
using MisfitCounts = std::vector<MisfitCount>;

/// Old tuples do not count: their values were counted when they came.
void CountMisfits(const TableSchema& schema, const std::vector<Misfit>& misfits,
                  MisfitCounts& counts);
/// \return the columns that `counts` did not have yet.
MisfitCounts AddMisfits(const MisfitCounts& more, MisfitCounts& counts);
/// What the log says once a column: "values of column amount have no exact form and ...".
std::string Describe(const MisfitCount& count);

}  // namespace sluice::engine
