#include "columnar/testing/postgres_text.h"

#include <arrow/array.h>
#include <arrow/util/decimal.h>
#include <fmt/format.h>

#include <cctype>
#include <cstring>
#include <limits>
#include <string_view>

#include "types/builtin_types.h"
#include "types/text_formats.h"

namespace sluice::columnar::testing {
namespace {

constexpr std::int64_t kDayMicros = 86'400'000'000;

std::string Decimal(const arrow::Array& array, std::int64_t row, int scale) {
  const auto& decimals = static_cast<const arrow::Decimal128Array&>(array);
  std::string digits = arrow::Decimal128(decimals.GetValue(row)).ToIntegerString();
  const bool is_negative = digits.starts_with('-');
  if (is_negative) digits.erase(0, 1);
  const auto places = static_cast<std::size_t>(scale);
  if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
  if (places != 0) digits.insert(digits.size() - places, 1, '.');
  return (is_negative ? "-" : "") + digits;
}

// Day by day through 400-year cycles would do; this is the usual arithmetic on March years.
struct Date {
  std::int64_t year;
  std::int64_t month;
  std::int64_t day;
};
Date DateOf(std::int64_t days) {
  const std::int64_t shifted = days + 719'468;
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
  const std::int64_t of_era = shifted - era * 146'097;
  const std::int64_t year = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const std::int64_t march = (5 * of_year + 2) / 153;
  const std::int64_t month = march < 10 ? march + 3 : march - 9;
  return {year + era * 400 + (month <= 2 ? 1 : 0), month, of_year - (153 * march + 2) / 5 + 1};
}

std::string DateText(const Date& date) {
  const std::int64_t year = date.year > 0 ? date.year : 1 - date.year;
  return fmt::format("{:04}-{:02}-{:02}", year, date.month, date.day);
}

std::string Fraction(std::int64_t micros) {
  if (micros == 0) return {};
  std::string text = fmt::format(".{:06}", micros);
  while (text.ends_with('0')) text.pop_back();
  return text;
}

std::string Clock(std::int64_t micros) {
  return fmt::format("{:02}:{:02}:{:02}", micros / 3'600'000'000, micros / 60'000'000 % 60,
                     micros / 1'000'000 % 60) +
         Fraction(micros % 1'000'000);
}

std::string Day(std::int32_t days) {
  using Limits = std::numeric_limits<std::int32_t>;
  if (days == Limits::max()) return "infinity";
  if (days == -Limits::max()) return "-infinity";
  const Date date = DateOf(days);
  return DateText(date) + (date.year <= 0 ? " BC" : "");
}

std::string Instant(std::int64_t micros, bool has_zone) {
  using Limits = std::numeric_limits<std::int64_t>;
  if (micros == Limits::max()) return "infinity";
  if (micros == -Limits::max()) return "-infinity";
  std::int64_t day = micros / kDayMicros;
  if (micros % kDayMicros < 0) --day;
  const Date date = DateOf(day);
  return DateText(date) + " " + Clock(micros - day * kDayMicros) + (has_zone ? "+00" : "") +
         (date.year <= 0 ? " BC" : "");
}

// EncodeInterval() of src/backend/utils/adt/datetime.c with intervalstyle postgres.
std::string Interval(const std::uint8_t* bytes) {
  std::int64_t micros = 0;
  std::int32_t days = 0;
  std::int32_t months = 0;
  std::memcpy(&micros, bytes, 8);
  std::memcpy(&days, bytes + 8, 4);
  std::memcpy(&months, bytes + 12, 4);
  std::string out;
  bool is_behind_negative = false;
  const auto part = [&](std::int64_t value, std::string_view unit) {
    if (value == 0) return;
    out +=
        fmt::format("{}{}{} {}{}", out.empty() ? "" : " ",
                    is_behind_negative && value > 0 ? "+" : "", value, unit, value == 1 ? "" : "s");
    is_behind_negative = value < 0;
  };
  part(months / 12, "year");
  part(months % 12, "mon");
  part(days, "day");
  if (!out.empty() && micros == 0) return out;
  const bool is_negative = micros < 0;
  const std::uint64_t size =
      is_negative ? 0 - static_cast<std::uint64_t>(micros) : static_cast<std::uint64_t>(micros);
  out += out.empty() ? "" : " ";
  out += is_negative ? "-" : is_behind_negative ? "+" : "";
  out += fmt::format("{:02}:{:02}:{:02}", size / 3'600'000'000, size / 60'000'000 % 60,
                     size / 1'000'000 % 60);
  return out + Fraction(static_cast<std::int64_t>(size % 1'000'000));
}

std::string Hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

bool IsSpace(char c) {
  return std::string_view(" \t\n\r\v\f").find(c) != std::string_view::npos;
}

bool IsNullWord(std::string_view text) {
  constexpr std::string_view kNull = "null";
  if (text.size() != kNull.size()) return false;
  for (std::size_t i = 0; i < kNull.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(text[i])) != kNull[i]) return false;
  }
  return true;
}

// array_out()
std::string Item(const std::string& text, char delimiter) {
  bool needs_quotes = text.empty() || IsNullWord(text);
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '{' || c == '}' || c == delimiter || IsSpace(c))
      needs_quotes = true;
  }
  if (!needs_quotes) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// record_out()
std::string Attribute(const std::string& text) {
  bool needs_quotes = text.empty();
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '(' || c == ')' || c == ',' || IsSpace(c))
      needs_quotes = true;
  }
  if (!needs_quotes) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += c;
    out += c;
  }
  return out + '"';
}

std::string List(const ColumnType& type, const arrow::ListArray& list, std::int64_t row) {
  const ColumnType& element = type.children[0];
  const char delimiter = types::ArrayDelimiter(element);
  std::string out = "{";
  for (std::int64_t i = list.value_offset(row); i < list.value_offset(row + 1); ++i) {
    if (out.size() > 1) out += delimiter;
    out += list.values()->IsNull(i) ? "NULL"
                                    : Item(PostgresText(element, *list.values(), i), delimiter);
  }
  return out + "}";
}

std::string Struct(const ColumnType& type, const arrow::StructArray& record, std::int64_t row) {
  std::string out = "(";
  for (std::size_t i = 0; i < type.children.size(); ++i) {
    if (i != 0) out += ',';
    const auto field = record.field(static_cast<int>(i));
    if (!field->IsNull(row)) out += Attribute(PostgresText(type.children[i], *field, row));
  }
  return out + ")";
}

// hstore_out()
std::string Map(const arrow::MapArray& map, std::int64_t row) {
  const auto quoted = [](std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + '"';
  };
  const auto& keys = static_cast<const arrow::StringArray&>(*map.keys());
  const auto& items = static_cast<const arrow::StringArray&>(*map.items());
  std::string out;
  for (std::int64_t i = map.value_offset(row); i < map.value_offset(row + 1); ++i) {
    out += (out.empty() ? "" : ", ") + quoted(keys.GetView(i)) + "=>" +
           (items.IsNull(i) ? std::string("NULL") : quoted(items.GetView(i)));
  }
  return out;
}

template <class Array>
auto ValueAt(const arrow::Array& array, std::int64_t row) {
  return static_cast<const Array&>(array).Value(row);
}

std::string Uuid(const std::uint8_t* bytes) {
  std::string hex = Hex({reinterpret_cast<const char*>(bytes), 16});  // NOLINT: bytes are chars
  for (const std::size_t at : {8U, 13U, 18U, 23U}) hex.insert(at, 1, '-');
  return hex;
}

std::string FloatText(const ColumnType& type, const arrow::Array& array, std::int64_t row) {
  std::string out;
  if (type.carrier == Carrier::kFloat32) {
    types::AppendFloat4(ValueAt<arrow::FloatArray>(array, row), out);
  } else {
    types::AppendFloat8(ValueAt<arrow::DoubleArray>(array, row), out);
  }
  return out;
}

}  // namespace

std::string PostgresText(const ColumnType& type, const arrow::Array& array, std::int64_t row) {
  switch (type.carrier) {
    case Carrier::kBool:
      return ValueAt<arrow::BooleanArray>(array, row) ? "t" : "f";
    case Carrier::kInt16:
      return std::to_string(ValueAt<arrow::Int16Array>(array, row));
    case Carrier::kInt32:
      return std::to_string(ValueAt<arrow::Int32Array>(array, row));
    case Carrier::kInt64:
      return std::to_string(ValueAt<arrow::Int64Array>(array, row));
    case Carrier::kUInt32:
      return std::to_string(ValueAt<arrow::UInt32Array>(array, row));
    case Carrier::kFloat32:
    case Carrier::kFloat64:
      return FloatText(type, array, row);
    case Carrier::kDecimal:
      return Decimal(array, row, type.scale);
    case Carrier::kText:
    case Carrier::kJson:
      return static_cast<const arrow::StringArray&>(array).GetString(row);
    case Carrier::kBytes:
      return "\\x" + Hex(static_cast<const arrow::BinaryArray&>(array).GetView(row));
    case Carrier::kDate:
      return Day(ValueAt<arrow::Date32Array>(array, row));
    case Carrier::kTimestamp:
    case Carrier::kTimestampTz:
      return Instant(ValueAt<arrow::TimestampArray>(array, row),
                     type.carrier == Carrier::kTimestampTz);
    case Carrier::kTime:
      return Clock(ValueAt<arrow::Time64Array>(array, row));
    case Carrier::kInterval:
      return Interval(static_cast<const arrow::FixedSizeBinaryArray&>(array).GetValue(row));
    case Carrier::kUuid:
      return Uuid(static_cast<const arrow::FixedSizeBinaryArray&>(array).GetValue(row));
    case Carrier::kList:
      return List(type, static_cast<const arrow::ListArray&>(array), row);
    case Carrier::kStruct:
      return Struct(type, static_cast<const arrow::StructArray&>(array), row);
    case Carrier::kMap:
      return Map(static_cast<const arrow::MapArray&>(array), row);
  }
  return {};
}

}  // namespace sluice::columnar::testing
