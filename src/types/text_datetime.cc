#include <array>
#include <limits>
#include <string_view>

#include "types/text_formats.h"

namespace sluice::types {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kMicrosPerMinute = 60 * kMicrosPerSecond;
constexpr std::int64_t kMicrosPerHour = 60 * kMicrosPerMinute;
constexpr std::int64_t kMicrosPerDay = 24 * kMicrosPerHour;

/// Appends year-month-day of the proleptic Gregorian calendar; true: the year is before Christ and
/// " BC" must follow at the end.
bool AppendCalendarDate(std::int64_t days_since_2000, std::string& out) {
  // Days since 0000-03-01, so that the leap day ends a year and 400-year eras are all alike.
  const std::int64_t shifted = days_since_2000 + 730'425;
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
  const std::int64_t day_of_era = shifted - era * 146'097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const std::int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
  const std::int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  const auto shown = static_cast<std::uint64_t>(year > 0 ? year : 1 - year);
  for (std::uint64_t bound = 1000; bound > 1 && shown < bound; bound /= 10) out.push_back('0');
  AppendUnsigned(shown, out);
  out.push_back('-');
  AppendTwoDigits(static_cast<std::uint32_t>(month), out);
  out.push_back('-');
  AppendTwoDigits(static_cast<std::uint32_t>(day), out);
  return year <= 0;
}

/// "." and up to six digits without trailing zeros; nothing for 0.
void AppendFraction(std::uint32_t micros, std::string& out) {
  if (micros == 0) return;
  std::array<char, 7> text = {'.'};
  std::size_t length = 1;
  for (std::size_t at = 6; at > 0; --at, micros /= 10) {
    text[at] = static_cast<char>('0' + micros % 10);
    if (length == 1 && text[at] != '0') length = at + 1;
  }
  out.append(text.data(), length);
}

void AppendClock(std::int64_t micros, std::string& out) {
  AppendTwoDigits(static_cast<std::uint32_t>(micros / kMicrosPerHour), out);
  out.push_back(':');
  AppendTwoDigits(static_cast<std::uint32_t>(micros / kMicrosPerMinute % 60), out);
  out.push_back(':');
  AppendTwoDigits(static_cast<std::uint32_t>(micros / kMicrosPerSecond % 60), out);
  AppendFraction(static_cast<std::uint32_t>(micros % kMicrosPerSecond), out);
}

bool FormatInstant(Wire wire, std::string_view zone, std::string& out) {
  base::ByteReader reader(wire);
  const std::int64_t micros = reader.ReadI64();
  if (!reader.Finish()) return false;
  if (micros == std::numeric_limits<std::int64_t>::max()) return out.append("infinity"), true;
  if (micros == std::numeric_limits<std::int64_t>::min()) return out.append("-infinity"), true;
  std::int64_t days = micros / kMicrosPerDay;
  std::int64_t of_day = micros % kMicrosPerDay;
  if (of_day < 0) {
    of_day += kMicrosPerDay;
    --days;
  }
  const bool is_bc = AppendCalendarDate(days, out);
  out.push_back(' ');
  AppendClock(of_day, out);
  out.append(zone);
  if (is_bc) out.append(" BC");
  return true;
}

/// Prints the fields of an interval that are words.
class IntervalWords {
 public:
  explicit IntervalWords(std::string& out) : out_(out) {}

  void Append(std::int64_t value, std::string_view unit) {
    if (value == 0) return;
    if (!is_empty_) out_.push_back(' ');
    // After a negative field a positive one carries its sign.
    if (is_negative_ && value > 0) out_.push_back('+');
    AppendSigned(value, out_);
    out_.append(" ").append(unit);
    if (value != 1) out_.push_back('s');
    is_negative_ = value < 0;
    is_empty_ = false;
  }
  bool is_empty() const { return is_empty_; }
  bool is_negative() const { return is_negative_; }

 private:
  std::string& out_;
  bool is_empty_ = true;
  bool is_negative_ = false;
};

}  // namespace

bool FormatDate(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const std::int32_t days = reader.ReadI32();
  if (!reader.Finish()) return false;
  if (days == std::numeric_limits<std::int32_t>::max()) return out.append("infinity"), true;
  if (days == std::numeric_limits<std::int32_t>::min()) return out.append("-infinity"), true;
  if (AppendCalendarDate(days, out)) out.append(" BC");
  return true;
}

bool FormatTime(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const std::int64_t micros = reader.ReadI64();
  if (!reader.Finish() || micros < 0 || micros > kMicrosPerDay) return false;
  AppendClock(micros, out);
  return true;
}

bool FormatTimeTz(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const std::int64_t micros = reader.ReadI64();
  const std::int32_t west = reader.ReadI32();
  constexpr std::int32_t kZoneEnd = 16 * 3600;
  if (!reader.Finish() || micros < 0 || micros > kMicrosPerDay) return false;
  if (west <= -kZoneEnd || west >= kZoneEnd) return false;
  AppendClock(micros, out);
  const auto offset = static_cast<std::uint32_t>(west < 0 ? -west : west);
  out.push_back(west <= 0 ? '+' : '-');
  AppendTwoDigits(offset / 3600, out);
  if (offset % 3600 == 0) return true;
  out.push_back(':');
  AppendTwoDigits(offset / 60 % 60, out);
  if (offset % 60 == 0) return true;
  out.push_back(':');
  AppendTwoDigits(offset % 60, out);
  return true;
}

bool FormatTimestamp(Wire wire, std::string& out) {
  return FormatInstant(wire, "", out);
}

bool FormatTimestampTz(Wire wire, std::string& out) {
  return FormatInstant(wire, "+00", out);
}

bool FormatInterval(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const std::int64_t micros = reader.ReadI64();
  const std::int32_t days = reader.ReadI32();
  const std::int32_t months = reader.ReadI32();
  if (!reader.Finish()) return false;
  using Micros = std::numeric_limits<std::int64_t>;
  using Whole = std::numeric_limits<std::int32_t>;
  if (micros == Micros::max() && days == Whole::max() && months == Whole::max()) {
    return out.append("infinity"), true;
  }
  if (micros == Micros::min() && days == Whole::min() && months == Whole::min()) {
    return out.append("-infinity"), true;
  }
  IntervalWords words(out);
  words.Append(months / 12, "year");
  words.Append(months % 12, "mon");
  words.Append(days, "day");
  if (micros == 0 && !words.is_empty()) return true;
  if (!words.is_empty()) out.push_back(' ');
  if (micros < 0) {
    out.push_back('-');
  } else if (words.is_negative()) {
    out.push_back('+');
  }
  const std::uint64_t size =
      micros < 0 ? 0 - static_cast<std::uint64_t>(micros) : static_cast<std::uint64_t>(micros);
  constexpr auto kHour = static_cast<std::uint64_t>(kMicrosPerHour);
  AppendTwoDigits(static_cast<std::uint32_t>(size / kHour), out);
  out.push_back(':');
  const auto of_hour = static_cast<std::int64_t>(size % kHour);
  AppendTwoDigits(static_cast<std::uint32_t>(of_hour / kMicrosPerMinute), out);
  out.push_back(':');
  AppendTwoDigits(static_cast<std::uint32_t>(of_hour / kMicrosPerSecond % 60), out);
  AppendFraction(static_cast<std::uint32_t>(of_hour % kMicrosPerSecond), out);
  return true;
}

}  // namespace sluice::types
