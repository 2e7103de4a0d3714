#include "engine/progress.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "engine/status.h"

namespace sluice::engine {

UnixMicros WallClock() {
  return UnixMicros{std::chrono::duration_cast<std::chrono::microseconds>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count()};
}

void UnreadLog::OnLook(Lsn end, Lsn reached, UnixMicros now) {
  const base::MutexLock lock(mutex_);
  end_ = end;
  if (since_.value != 0 && reached < looked_for_) return;
  looked_for_ = end;
  since_ = now;
}

void UnreadLog::Forget() {
  const base::MutexLock lock(mutex_);
  end_ = looked_for_ = Lsn{};
  since_ = UnixMicros{0};
}

UnixMicros UnreadLog::Since(Lsn reached) const {
  const base::MutexLock lock(mutex_);
  return reached < looked_for_ ? since_ : UnixMicros{0};
}

Lsn UnreadLog::end() const {
  const base::MutexLock lock(mutex_);
  return end_;
}

void LatencyWindow::Add(double milliseconds) {
  const base::MutexLock lock(mutex_);
  samples_.at(count_ % samples_.size()) = static_cast<float>(milliseconds);
  ++count_;
}

LatencyWindow::Percentiles LatencyWindow::Read() const {
  std::vector<float> sorted;
  {
    const base::MutexLock lock(mutex_);
    const auto filled = static_cast<std::ptrdiff_t>(std::min(count_, samples_.size()));
    sorted.assign(samples_.begin(), samples_.begin() + filled);
  }
  if (sorted.empty()) return {};
  std::sort(sorted.begin(), sorted.end());
  return {.p50 = sorted[sorted.size() / 2], .p99 = sorted[sorted.size() * 99 / 100]};
}

const char* ToString(Phase phase) {
  switch (phase) {
    case Phase::kConnecting:
      return "connecting";
    case Phase::kCreatingSlot:
      return "creating the slot";
    case Phase::kRunning:
      return "running";
    case Phase::kRetrying:
      return "retrying";
    case Phase::kStopping:
      return "stopping";
    case Phase::kStopped:
      return "stopped";
  }
  return "unknown";
}

}  // namespace sluice::engine
