#include <array>
#include <charconv>

#include "base/byte_reader.h"
#include "base/check.h"
#include "columnar/decoders.h"
#include "types/decimal_value.h"
#include "types/text_output.h"
#include "types/time_value.h"
#include "types/type_policies.h"
#include "types/utf8.h"
#include "types/vectors.h"

// The text forms: what the ..._out functions of src/backend/utils/adt/ print under the session
// settings we ask for (docs/types.md).

namespace sluice::columnar {
namespace {

using types::ValueFault;

ValueFault DecodeBoolText(ColumnBuilder& column, std::string_view text) {
  if (text != "t" && text != "f") return ValueFault::kMalformed;
  column.PushBit(text == "t");
  return ValueFault::kNone;
}

template <class T>
ValueFault DecodeIntegerText(ColumnBuilder& column, std::string_view text) {
  T value = 0;
  const char* end = text.data() + text.size();
  const auto [at, failure] = std::from_chars(text.data(), end, value);
  if (failure != std::errc() || at != end) return ValueFault::kMalformed;
  column.PushFixed(value);
  return ValueFault::kNone;
}

// kBeyond: what a number beyond the range is; no float that the server prints is.
template <class T, ValueFault kBeyond = ValueFault::kMalformed>
ValueFault DecodeFloatText(ColumnBuilder& column, std::string_view text) {
  T value = 0;
  if (text == "NaN") {
    value = std::numeric_limits<T>::quiet_NaN();
  } else if (text == "Infinity" || text == "-Infinity") {
    value = std::numeric_limits<T>::infinity();
    if (text[0] == '-') value = -value;
  } else {
    // from_chars() also takes "inf" and "nan", which the server never prints.
    const std::size_t first = text.starts_with('-') ? 1 : 0;
    if (text.size() <= first || text[first] < '0' || text[first] > '9') {
      return ValueFault::kMalformed;
    }
    const char* end = text.data() + text.size();
    const auto [at, failure] = std::from_chars(text.data(), end, value);
    if (failure == std::errc::result_out_of_range) return kBeyond;
    if (failure != std::errc() || at != end) return ValueFault::kMalformed;
  }
  column.PushFixed(value);
  return ValueFault::kNone;
}

ValueFault DecodeNumericText(ColumnBuilder& column, std::string_view text) {
  types::Int128 value = 0;
  const ValueFault fault =
      types::ParseDecimal(text, column.type().precision, column.type().scale, value);
  if (fault == ValueFault::kNone) column.PushFixed(value);
  return fault;
}

ValueFault DecodeDateText(ColumnBuilder& column, std::string_view text) {
  std::int32_t days = 0;
  const ValueFault fault = types::ParseDate(text, days);
  if (fault == ValueFault::kNone) column.PushFixed(days);
  return fault;
}

template <bool kHasZone>
ValueFault DecodeTimestampText(ColumnBuilder& column, std::string_view text) {
  std::int64_t micros = 0;
  const ValueFault fault = types::ParseTimestamp(text, kHasZone, micros);
  if (fault == ValueFault::kNone) column.PushFixed(micros);
  return fault;
}

ValueFault DecodeTimeText(ColumnBuilder& column, std::string_view text) {
  std::int64_t micros = 0;
  const ValueFault fault = types::ParseTime(text, micros);
  if (fault == ValueFault::kNone) column.PushFixed(micros);
  return fault;
}

ValueFault DecodeIntervalText(ColumnBuilder& column, std::string_view text) {
  types::IntervalValue interval;
  const ValueFault fault = types::ParseInterval(text, interval);
  if (fault == ValueFault::kNone) column.PushFixed(interval);
  return fault;
}

constexpr int kNotHex = -1;

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return kNotHex;
}

// Two hexadecimal digits at `at`; kNotHex: they are not.
int HexByte(std::string_view text, std::size_t at) {
  const int high = HexValue(text[at]);
  const int low = HexValue(text[at + 1]);
  return high == kNotHex || low == kNotHex ? kNotHex : high * 16 + low;
}

ValueFault DecodeUuidText(ColumnBuilder& column, std::string_view text) {
  constexpr std::size_t kTextLength = 36;
  if (text.size() != kTextLength) return ValueFault::kMalformed;
  std::array<std::uint8_t, 16> uuid{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      if (text[at++] != '-') return ValueFault::kMalformed;
    }
    const int byte = HexByte(text, at);
    if (byte == kNotHex) return ValueFault::kMalformed;
    uuid[i] = static_cast<std::uint8_t>(byte);
    at += 2;
  }
  column.PushFixed(uuid);
  return ValueFault::kNone;
}

// bytea_output escape: backslash twice, or three octal digits behind one.
ValueFault UnescapeBytes(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == '\\') {
      out += '\\';
      ++i;
      continue;
    }
    if (i + 3 >= text.size()) return ValueFault::kMalformed;
    int byte = 0;
    for (std::size_t digit = 1; digit <= 3; ++digit) {
      const char c = text[i + digit];
      if (c < '0' || c > '7') return ValueFault::kMalformed;
      byte = byte * 8 + (c - '0');
    }
    if (byte > 255) return ValueFault::kMalformed;
    out += static_cast<char>(byte);
    i += 3;
  }
  return ValueFault::kNone;
}

ValueFault DecodeHexText(ColumnBuilder& column, std::string_view text) {
  std::string& bytes = column.scratch();
  bytes.clear();
  if (text.size() % 2 != 0) return ValueFault::kMalformed;
  for (std::size_t at = 0; at < text.size(); at += 2) {
    const int byte = HexByte(text, at);
    if (byte == kNotHex) return ValueFault::kMalformed;
    bytes += static_cast<char>(byte);
  }
  return column.PushBytes(bytes.data(), bytes.size());
}

ValueFault DecodeBytesText(ColumnBuilder& column, std::string_view text) {
  if (text.starts_with("\\x")) return DecodeHexText(column, text.substr(2));
  std::string& bytes = column.scratch();
  bytes.clear();
  const ValueFault fault = UnescapeBytes(text, bytes);
  if (fault != ValueFault::kNone) return fault;
  return column.PushBytes(bytes.data(), bytes.size());
}

ValueFault DecodeVerbatimText(ColumnBuilder& column, std::string_view text) {
  if (!types::IsUtf8(base::AsBytes(text))) [[unlikely]]
    return ValueFault::kNotUtf8;
  return column.PushBytes(text.data(), text.size());
}

ValueFault DecodeTrimmedText(ColumnBuilder& column, std::string_view text) {
  return DecodeVerbatimText(column, types::WithoutPadding(text));
}

// A text has not the bytes of the binary form.
ValueFault DecodeNoText(ColumnBuilder& /*column*/, std::string_view /*text*/) {
  return ValueFault::kNotSent;
}

DecodeText BytesTextDecoder(const ColumnType& type) {
  if (types::IsSentBytes(type)) return &DecodeNoText;
  return types::IsWkb(type) ? &DecodeHexText : &DecodeBytesText;
}

}  // namespace

DecodeText TextDecoderFor(const ColumnType& type) {
  switch (type.carrier) {
    case Carrier::kBool:
      return &DecodeBoolText;
    case Carrier::kInt16:
      return &DecodeIntegerText<std::int16_t>;
    case Carrier::kInt32:
      return &DecodeIntegerText<std::int32_t>;
    case Carrier::kInt64:
      return &DecodeIntegerText<std::int64_t>;
    case Carrier::kUInt32:
      return &DecodeIntegerText<std::uint32_t>;
    case Carrier::kFloat32:
      return &DecodeFloatText<float>;
    case Carrier::kFloat64:
      return types::IsRoundedNumeric(type) ? &DecodeFloatText<double, ValueFault::kDoubleRange>
                                           : &DecodeFloatText<double>;
    case Carrier::kDecimal:
      return &DecodeNumericText;
    case Carrier::kText:
      return types::IsTrimmed(type) ? &DecodeTrimmedText : &DecodeVerbatimText;
    case Carrier::kJson:
      return &DecodeVerbatimText;
    case Carrier::kBytes:
      return BytesTextDecoder(type);
    case Carrier::kDate:
      return &DecodeDateText;
    case Carrier::kTimestamp:
      return &DecodeTimestampText<false>;
    case Carrier::kTimestampTz:
      return &DecodeTimestampText<true>;
    case Carrier::kTime:
      return &DecodeTimeText;
    case Carrier::kInterval:
      return &DecodeIntervalText;
    case Carrier::kUuid:
      return &DecodeUuidText;
    case Carrier::kList:
      return types::IsVector(type) ? &DecodeVectorText : &DecodeListText;
    case Carrier::kStruct:
      return &DecodeStructText;
    case Carrier::kMap:
      return &DecodeMapText;
  }
  SLUICE_CHECK(false);
}

}  // namespace sluice::columnar
