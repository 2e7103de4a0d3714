/// \file
/// When to wake for the replication socket. The walsender sends every message on its own; waking
/// for each costs it and us more than the work itself. Pure: time and byte counts come in.
///
///   low    wake at the first byte: lowest latency
///   high   wake at 256 KiB or after 4 ms: more than twice the throughput
///
/// Low turns high after 24 wake-ups within 2 ms; high turns low when the 4 ms passed and less than
/// 16 KiB came.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "sluice/time.h"

namespace sluice::postgres {

class WakePolicy {
 public:
  enum class Mode : std::uint8_t { kLow, kHigh };

  static constexpr std::size_t kHighBytes = 256 * 1024;
  static constexpr std::size_t kBackToLowBytes = 16 * 1024;
  static constexpr int kWakeUpsToHigh = 24;
  static constexpr Duration kWindow = std::chrono::milliseconds(2);
  static constexpr Duration kHighWait = std::chrono::milliseconds(4);

  Mode mode() const { return mode_; }
  /// One wait has ended. \param timed_out it ended by time; \param bytes received since the one
  /// before. Returns the mode for the next wait.
  Mode OnWake(Clock::time_point now, bool timed_out, std::size_t bytes);

 private:
  Mode mode_ = Mode::kLow;
  Clock::time_point window_start_{};
  int wake_ups_ = 0;
};

}  // namespace sluice::postgres
