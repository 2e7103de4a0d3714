/// \file
/// How long to wait before trying again: doubling from `first` to `most`, with up to a quarter
/// taken off at random, so that many pipelines do not come back at the same moment. Pure:
/// randomness comes in as a number.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sluice/result.h"
#include "sluice/time.h"

namespace sluice::base {

class Backoff {
 public:
  Backoff(Duration first, Duration most) : first_(first), most_(most), next_(first) {}

  /// \param random any 32 bits.
  Duration Next(std::uint32_t random) {
    const Duration wait = next_ - next_ / 4 * (random % 1024) / 1024;
    next_ = std::min(next_ * 2, most_);
    return wait;
  }
  /// After useful work: the next failure is a first one again.
  void Reset() { next_ = first_; }

 private:
  Duration first_;
  Duration most_;
  Duration next_;
};

/// The transport broke or a deadline passed: the same call may succeed later.
constexpr bool IsRetryable(ErrorKind kind) {
  return kind == ErrorKind::kConnection || kind == ErrorKind::kTimeout;
}

}  // namespace sluice::base
