/// \file
/// When to wake for the replication socket. The walsender sends every message on its own; waking
/// for each costs it and us more than the work itself. Pure: time and byte counts come in.
///
///   low    wake at the first byte: lowest latency
///   high   wake at 256 KiB or after 4 ms: more than twice the throughput; where the socket knows
///          no such mark (a unix socket), look after 200 us, whatever came: its buffer takes few
///          messages, and the walsender must not wait for us
///
/// Low turns high after 24 wake-ups within 2 ms; high turns low when the time passed and less came
/// than 4 MB/s are.
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
  static constexpr std::size_t kNapBackToLowBytes = 1024;
  static constexpr int kWakeUpsToHigh = 24;
  static constexpr Duration kWindow = std::chrono::milliseconds(2);
  static constexpr Duration kHighWait = std::chrono::milliseconds(4);
  static constexpr Duration kNap = std::chrono::microseconds(200);

  /// \param has_mark the socket wakes at a number of bytes (SO_RCVLOWAT).
  explicit WakePolicy(bool has_mark) : has_mark_(has_mark) {}

  /// The next wait is for the time alone, not for the first byte.
  bool naps() const { return mode_ == Mode::kHigh && !has_mark_; }
  /// How long a wait may be in high mode.
  Duration high_wait() const { return has_mark_ ? kHighWait : kNap; }
  Mode mode() const { return mode_; }
  /// One wait has ended. \param timed_out it ended by time; \param bytes received since the one
  /// before. Returns the mode for the next wait.
  Mode OnWake(Clock::time_point now, bool timed_out, std::size_t bytes);

 private:
  bool has_mark_;
  Mode mode_ = Mode::kLow;
  Clock::time_point window_start_{};
  int wake_ups_ = 0;
};

}  // namespace sluice::postgres
