#include "engine/wal_budget.h"

#include "base/units.h"

namespace sluice::engine {

WalBudget::Verdict WalBudget::Look(std::uint64_t retained_bytes, Clock::time_point now) {
  Verdict verdict;
  if (!has_limit()) return verdict;
  if (!is_over_) {
    if (retained_bytes <= options_.max_bytes) return verdict;
    is_over_ = true;
    least_bytes_ = retained_bytes;
    least_since_ = now;
    alarm_bytes_ = retained_bytes;
  } else if (retained_bytes <= options_.max_bytes / 5 * 4) {
    is_over_ = false;
    verdict.is_back = true;
    return verdict;
  }
  if (retained_bytes >= alarm_bytes_) {
    alarm_bytes_ = retained_bytes * 2;
    verdict.alarm = "the slot keeps " + base::FormatSize(retained_bytes) +
                    " of WAL at the source, more than --max-retained-wal allows (" +
                    base::FormatSize(options_.max_bytes) + ")";
  }
  if (retained_bytes < least_bytes_) {
    least_bytes_ = retained_bytes;
    least_since_ = now;
  }
  verdict.drops_slot =
      options_.policy == OnRetainedWal::kDropSlot && now - least_since_ >= kPatience;
  return verdict;
}

}  // namespace sluice::engine
