#include "engine/misfit_counts.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::engine {
namespace {

/// True: it is new.
bool Add(const MisfitCount& more, MisfitCounts& counts) {
  const auto found = std::ranges::find_if(counts, [&](const MisfitCount& count) {
    return count.column == more.column && count.policy == more.policy;
  });
  const bool is_new = found == counts.end();
  if (is_new) {
    counts.push_back(more);
  } else {
    found->cells += more.cells;
  }
  return is_new;
}

}  // namespace

void StampMisfits(ChangeBatch& batch, const std::vector<TransactionMark>& marks) {
  std::size_t run = 0;
  for (Misfit& misfit : batch.misfits) {
    while (run + 1 < batch.runs.size() && batch.runs[run + 1].first_row <= misfit.row) ++run;
    const TransactionMark& mark = marks.at(batch.runs.at(run).transaction);
    misfit.commit_lsn = mark.commit_lsn;
    misfit.committed_at = mark.committed_at;
  }
}

void CountMisfits(const TableSchema& schema, const std::vector<Misfit>& misfits,
                  MisfitCounts& counts) {
  for (const Misfit& misfit : misfits) {
    if (misfit.is_old) continue;
    const Column& column = schema.columns[misfit.column];
    Add({column.name, column.on_misfit, 1, misfit.reason}, counts);
  }
}

MisfitCounts AddMisfits(const MisfitCounts& more, MisfitCounts& counts) {
  MisfitCounts added;
  for (const MisfitCount& count : more) {
    if (Add(count, counts)) added.push_back(count);
  }
  return added;
}

std::string Describe(const MisfitCount& count) {
  const char* kept =
      count.policy == OnMisfit::kQuarantine ? ", their texts go to sluice.quarantine" : "";
  return fmt::format(
      "values of column {} without an exact form become NULL (on_misfit: {}){}; the first: {}",
      count.column, ToString(count.policy), kept, count.reason);
}

}  // namespace sluice::engine
