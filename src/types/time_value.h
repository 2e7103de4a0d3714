/// \file
/// Dates, times and intervals: shift from PostgreSQL's epoch, and the ISO text forms.
///
/// Source: src/backend/utils/adt/datetime.c, EncodeDateOnly(), EncodeDateTime(), EncodeInterval().
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "types/value_fault.h"

namespace sluice::types {

/// How the carriers spell infinity and -infinity.
inline constexpr std::int32_t kDateInfinity = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kTimestampInfinity = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t kMicrosPerDay = 86'400'000'000;

/// Microseconds, days and months, kept apart.
struct IntervalValue {
  std::int64_t micros = 0;
  std::int32_t days = 0;
  std::int32_t months = 0;
  constexpr bool operator==(const IntervalValue&) const = default;
};
/// All fields at an extreme: how 17 and later spell infinity and -infinity.
bool IsInfinite(const IntervalValue& interval);

/// Days since 2000 as the wire has them -> days since 1970.
ValueFault ShiftDate(std::int32_t wire_days, std::int32_t& out);
/// Microseconds since 2000 as the wire has them -> since 1970.
ValueFault ShiftTimestamp(std::int64_t wire_micros, std::int64_t& out);

/// "2024-02-29", "0044-03-15 BC", "infinity".
ValueFault ParseDate(std::string_view text, std::int32_t& out);
/// "2024-02-29 23:59:59.5", with " BC", "infinity"; with a zone "+00", "-03:30", "+05:30:12" where
/// `has_zone`. Microseconds since 1970, UTC.
ValueFault ParseTimestamp(std::string_view text, bool has_zone, std::int64_t& out);
/// "23:59:59.5", up to "24:00:00".
ValueFault ParseTime(std::string_view text, std::int64_t& out);
/// "1 year 2 mons -3 days +04:05:06.7", "00:00:00" (intervalstyle postgres).
ValueFault ParseInterval(std::string_view text, IntervalValue& out);

}  // namespace sluice::types
