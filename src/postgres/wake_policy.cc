#include "postgres/wake_policy.h"

namespace sluice::postgres {

WakePolicy::Mode WakePolicy::OnWake(Clock::time_point now, bool timed_out, std::size_t bytes) {
  if (mode_ == Mode::kHigh) {
    if (timed_out && bytes < (has_mark_ ? kBackToLowBytes : kNapBackToLowBytes)) {
      mode_ = Mode::kLow;
      wake_ups_ = 0;
      window_start_ = now;
    }
    return mode_;
  }
  if (timed_out) return mode_;
  if (now - window_start_ > kWindow) {
    window_start_ = now;
    wake_ups_ = 0;
  }
  if (++wake_ups_ >= kWakeUpsToHigh) mode_ = Mode::kHigh;
  return mode_;
}

}  // namespace sluice::postgres
