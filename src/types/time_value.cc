#include "types/time_value.h"

#include <charconv>

#include "sluice/time.h"

namespace sluice::types {
namespace {

constexpr std::int32_t kPostgresEpochDays = 10'957;  // 2000-01-01 since 1970-01-01
constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kMicrosPerMinute = 60 * kMicrosPerSecond;
constexpr std::int64_t kMicrosPerHour = 60 * kMicrosPerMinute;

// Reads forms of digits and punctuation from the front; failure is sticky.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool Skip(std::string_view prefix) {
    if (!rest_.starts_with(prefix)) return false;
    rest_.remove_prefix(prefix.size());
    return true;
  }
  void Expect(char c) {
    if (rest_.empty() || rest_.front() != c) return Fail();
    rest_.remove_prefix(1);
  }
  /// Digits only, no sign, at least `digits_min` and at most `digits_max` of them.
  std::int64_t ReadNumber(std::size_t digits_min, std::size_t digits_max) {
    std::size_t count = 0;
    std::int64_t value = 0;
    while (count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9') {
      if (++count > digits_max) break;
      value = value * 10 + (rest_[count - 1] - '0');
    }
    if (count < digits_min || count > digits_max) {
      Fail();
      return 0;
    }
    rest_.remove_prefix(count);
    return value;
  }
  /// ".5" -> 500000; nothing there -> 0.
  std::int64_t ReadFraction() {
    if (!Skip(".")) return 0;
    const std::size_t before = rest_.size();
    std::int64_t value = ReadNumber(1, 6);
    for (std::size_t digits = before - rest_.size(); ok_ && digits < 6; ++digits) value *= 10;
    return value;
  }
  std::string_view rest() const { return rest_; }
  bool Finish() const { return ok_ && rest_.empty(); }
  bool ok() const { return ok_; }
  void Fail() {
    ok_ = false;
    rest_ = {};
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

struct CivilDate {
  std::int64_t year = 0;
  std::int64_t month = 0;
  std::int64_t day = 0;
};

bool IsLeapYear(std::int64_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool IsCalendarDay(const CivilDate& date) {
  constexpr std::int64_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (date.month < 1 || date.month > 12 || date.day < 1) return false;
  const std::int64_t leap = date.month == 2 && IsLeapYear(date.year) ? 1 : 0;
  return date.day <= kDays[date.month - 1] + leap;
}

// Days since 1970 in the proleptic Gregorian calendar; year 0 is 1 BC. Years are counted from March
// so that the leap day is the last one, and in eras of 400 years, which all have 146,097 days.
std::int64_t DaysSince1970(const CivilDate& date) {
  const std::int64_t year = date.month <= 2 ? date.year - 1 : date.year;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t month_from_march = (date.month + 9) % 12;
  const std::int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
  const std::int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

CivilDate ReadDate(Scanner& in) {
  CivilDate date;
  date.year = in.ReadNumber(4, 7);
  in.Expect('-');
  date.month = in.ReadNumber(2, 2);
  in.Expect('-');
  date.day = in.ReadNumber(2, 2);
  return date;
}

// The era stands at the very end, so the year is only known then.
bool ApplyEra(Scanner& in, CivilDate& date) {
  if (in.Skip(" BC")) date.year = 1 - date.year;
  return in.Finish() && IsCalendarDay(date);
}

std::int64_t ReadClock(Scanner& in, std::size_t hour_digits_max) {
  const std::int64_t hours = in.ReadNumber(2, hour_digits_max);
  in.Expect(':');
  const std::int64_t minutes = in.ReadNumber(2, 2);
  in.Expect(':');
  const std::int64_t seconds = in.ReadNumber(2, 2);
  if (minutes > 59 || seconds > 59) in.Fail();
  const std::int64_t fraction = in.ReadFraction();
  return minutes * kMicrosPerMinute + seconds * kMicrosPerSecond + fraction +
         hours * kMicrosPerHour;
}

// "+05", "-03:30", "+05:30:12": microseconds east of UTC.
std::int64_t ReadZone(Scanner& in) {
  const bool is_west = in.Skip("-");
  if (!is_west) in.Expect('+');
  std::int64_t offset = in.ReadNumber(2, 2) * kMicrosPerHour;
  if (in.Skip(":")) offset += in.ReadNumber(2, 2) * kMicrosPerMinute;
  if (in.Skip(":")) offset += in.ReadNumber(2, 2) * kMicrosPerSecond;
  return is_west ? -offset : offset;
}

// One "<n> year(s)|mon(s)|day(s)" of an interval.
bool AddUnit(std::int64_t number, std::string_view unit, std::int64_t& months, std::int64_t& days) {
  if (unit == "year" || unit == "years") {
    months += number * 12;
  } else if (unit == "mon" || unit == "mons") {
    months += number;
  } else if (unit == "day" || unit == "days") {
    days += number;
  } else {
    return false;
  }
  return true;
}

bool FitsInt32(std::int64_t value) {
  return value >= std::numeric_limits<std::int32_t>::min() &&
         value <= std::numeric_limits<std::int32_t>::max();
}

// The time of an interval: it may have ten digits of hours, and its extremes need every bit.
bool ReadIntervalClock(std::string_view text, std::int64_t& micros) {
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  Scanner in(text);
  const std::int64_t hours = in.ReadNumber(2, 10);
  Scanner below(in.rest());
  below.Expect(':');
  const std::int64_t minutes = below.ReadNumber(2, 2);
  below.Expect(':');
  const std::int64_t seconds = below.ReadNumber(2, 2);
  const std::int64_t fraction = below.ReadFraction();
  if (!in.ok() || !below.Finish() || minutes > 59 || seconds > 59) return false;
  const std::int64_t sign = is_negative ? -1 : 1;
  const std::int64_t rest =
      sign * (minutes * kMicrosPerMinute + seconds * kMicrosPerSecond + fraction);
  return !__builtin_mul_overflow(sign * hours, kMicrosPerHour, &micros) &&
         !__builtin_add_overflow(micros, rest, &micros);
}

}  // namespace

bool IsInfinite(const IntervalValue& interval) {
  constexpr IntervalValue kInfinity{std::numeric_limits<std::int64_t>::max(),
                                    std::numeric_limits<std::int32_t>::max(),
                                    std::numeric_limits<std::int32_t>::max()};
  constexpr IntervalValue kMinusInfinity{std::numeric_limits<std::int64_t>::min(),
                                         std::numeric_limits<std::int32_t>::min(),
                                         std::numeric_limits<std::int32_t>::min()};
  return interval == kInfinity || interval == kMinusInfinity;
}

ValueFault ShiftDate(std::int32_t wire_days, std::int32_t& out) {
  if (wire_days == std::numeric_limits<std::int32_t>::max()) {
    out = kDateInfinity;
  } else if (wire_days == std::numeric_limits<std::int32_t>::min()) {
    out = -kDateInfinity;
  } else if (__builtin_add_overflow(wire_days, kPostgresEpochDays, &out) || out == kDateInfinity ||
             out <= -kDateInfinity) {
    return ValueFault::kTimeRange;
  }
  return ValueFault::kNone;
}

ValueFault ShiftTimestamp(std::int64_t wire_micros, std::int64_t& out) {
  if (wire_micros == std::numeric_limits<std::int64_t>::max()) {
    out = kTimestampInfinity;
  } else if (wire_micros == std::numeric_limits<std::int64_t>::min()) {
    out = -kTimestampInfinity;
  } else if (__builtin_add_overflow(wire_micros, kPostgresEpochMicros, &out) ||
             out == kTimestampInfinity || out <= -kTimestampInfinity) {
    return ValueFault::kTimeRange;
  }
  return ValueFault::kNone;
}

ValueFault ParseDate(std::string_view text, std::int32_t& out) {
  if (text == "infinity" || text == "-infinity") {
    out = text[0] == '-' ? -kDateInfinity : kDateInfinity;
    return ValueFault::kNone;
  }
  Scanner in(text);
  CivilDate date = ReadDate(in);
  if (!ApplyEra(in, date)) return ValueFault::kMalformed;
  const std::int64_t days = DaysSince1970(date);
  if (!FitsInt32(days) || days >= kDateInfinity || days <= -kDateInfinity) {
    return ValueFault::kTimeRange;
  }
  out = static_cast<std::int32_t>(days);
  return ValueFault::kNone;
}

ValueFault ParseTimestamp(std::string_view text, bool has_zone, std::int64_t& out) {
  if (text == "infinity" || text == "-infinity") {
    out = text[0] == '-' ? -kTimestampInfinity : kTimestampInfinity;
    return ValueFault::kNone;
  }
  Scanner in(text);
  CivilDate date = ReadDate(in);
  in.Expect(' ');
  const std::int64_t clock = ReadClock(in, 2);
  const std::int64_t east = has_zone ? ReadZone(in) : 0;
  if (!ApplyEra(in, date) || clock > kMicrosPerDay) return ValueFault::kMalformed;
  std::int64_t micros = 0;
  if (__builtin_mul_overflow(DaysSince1970(date), kMicrosPerDay, &micros) ||
      __builtin_add_overflow(micros, clock - east, &micros) || micros == kTimestampInfinity ||
      micros <= -kTimestampInfinity) {
    return ValueFault::kTimeRange;
  }
  out = micros;
  return ValueFault::kNone;
}

ValueFault ParseTime(std::string_view text, std::int64_t& out) {
  Scanner in(text);
  const std::int64_t clock = ReadClock(in, 2);
  if (!in.Finish() || clock > kMicrosPerDay) return ValueFault::kMalformed;
  out = clock;
  return ValueFault::kNone;
}

ValueFault ParseInterval(std::string_view text, IntervalValue& out) {
  if (text == "infinity" || text == "-infinity") return ValueFault::kInfiniteInterval;
  if (text.empty()) return ValueFault::kMalformed;
  std::int64_t months = 0;
  std::int64_t days = 0;
  std::int64_t micros = 0;
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    if (word.find(':') != std::string_view::npos) {
      if (space != std::string_view::npos || !ReadIntervalClock(word, micros)) {
        return ValueFault::kMalformed;
      }
      break;
    }
    if (space == std::string_view::npos) return ValueFault::kMalformed;
    const std::string_view digits = word.substr(word.starts_with('+') ? 1 : 0);
    std::int64_t number = 0;
    const auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (failure != std::errc() || end != digits.data() + digits.size() || !FitsInt32(number)) {
      return ValueFault::kMalformed;
    }
    text.remove_prefix(space + 1);
    const std::size_t unit_end = text.find(' ');
    if (!AddUnit(number, text.substr(0, unit_end), months, days)) return ValueFault::kMalformed;
    text.remove_prefix(unit_end == std::string_view::npos ? text.size() : unit_end + 1);
  }
  if (!FitsInt32(months) || !FitsInt32(days)) return ValueFault::kMalformed;
  out = IntervalValue{micros, static_cast<std::int32_t>(days), static_cast<std::int32_t>(months)};
  return ValueFault::kNone;
}

}  // namespace sluice::types
