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
