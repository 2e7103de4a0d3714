/// \file
/// Points in time as PostgreSQL counts them, and the clocks of this process.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace sluice {

/// Deadlines and intervals. Never the wall clock.
using Clock = std::chrono::steady_clock;
using Duration = Clock::duration;

/// Microseconds since 1970-01-01 00:00:00 UTC. What the wire sends since 2000 is shifted on
/// arrival.
struct UnixMicros {
  std::int64_t value = 0;
  constexpr auto operator<=>(const UnixMicros&) const = default;
};

/// From PostgreSQL's epoch, 2000-01-01, to Unix's, in microseconds (946,684,800 s).
inline constexpr std::int64_t kPostgresEpochMicros = 946'684'800'000'000;

}  // namespace sluice
