// From the wire. On purpose not through the decoders of the stream and of COPY: verify proves
// those.
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/byte_reader.h"
#include "types/builtin_types.h"
#include "types/canonical.h"
#include "types/canonical_internal.h"
#include "types/text_output.h"
#include "types/type_policies.h"
#include "types/utf8.h"
#include "types/vectors.h"

namespace sluice::types {
namespace {

using canonical::AppendBigEndian;
using canonical::AppendBytesCell;
using canonical::AppendFixedCell;
using canonical::Int128;
using canonical::OpenCell;
using Wire = std::span<const std::byte>;

constexpr std::int64_t kEpochDays = 10'957;  // 1970-01-01 to 2000-01-01
constexpr std::int64_t kEpochMicros = kEpochDays * 86'400'000'000;

/// What is found about a cell, those inside it included.
struct Fit {
  bool looks_at_text = false;  ///< in: also for bytes that are not UTF-8
  bool is_misfit = false;
};

bool AppendCell(const ColumnType& type, Wire wire, std::string& out, Fit& fit);

/// Bytes that no Arrow value of this carrier has: the value differs from whatever is there.
void AppendMisfitCell(Wire wire, std::string& out, Fit& fit) {
  fit.is_misfit = true;
  OpenCell cell(out);
  out.append("\xFF\xFF\xFF\xFFmisfit").append(base::AsText(wire));
  cell.Close();
}

void AppendDate(std::int32_t days, Wire wire, std::string& out, Fit& fit) {
  using Days = std::numeric_limits<std::int32_t>;
  std::int64_t shifted = std::int64_t{days} + kEpochDays;
  if (days == Days::max()) shifted = days;
  if (days == Days::min()) shifted = -Days::max();
  if (days != Days::max() && shifted >= Days::max()) {
    AppendMisfitCell(wire, out, fit);
  } else {
    AppendFixedCell(static_cast<std::uint32_t>(static_cast<std::int32_t>(shifted)), out);
  }
}

void AppendTimestamp(std::int64_t micros, Wire wire, std::string& out, Fit& fit) {
  using Micros = std::numeric_limits<std::int64_t>;
  if (micros == Micros::max()) {
    AppendFixedCell(static_cast<std::uint64_t>(micros), out);
  } else if (micros == Micros::min()) {
    AppendFixedCell(static_cast<std::uint64_t>(-Micros::max()), out);
  } else if (micros >= Micros::max() - kEpochMicros) {  // the last one stands for infinity
    AppendMisfitCell(wire, out, fit);
  } else {
    AppendFixedCell(static_cast<std::uint64_t>(micros + kEpochMicros), out);
  }
}

/// The value times 10^scale; false: not an integer, or too large.
bool ScaleDigits(base::ByteReader digits, int count, int weight, int scale, Int128& value) {
  constexpr auto kMax = static_cast<Int128>(~canonical::UInt128{0} >> 1);
  value = 0;
  // The decimal exponent of the last digit of the group being read, relative to the scale.
  int exponent = weight * 4 + scale;
  for (int i = 0; i < count; ++i, exponent -= 4) {
    int group = digits.ReadU16();
    if (group > 9999) return false;
    int power = 10'000;
    for (int cut = exponent; cut < 0; ++cut) {
      if (group % 10 != 0) return false;
      group /= 10;
      if (power > 1) power /= 10;
    }
    if (value > (kMax - group) / power) return false;
    value = value * power + group;
  }
  for (int left = exponent + 4; left > 0; --left) {
    if (value == 0) break;
    if (value > kMax / 10) return false;
    value *= 10;
  }
  return true;
}

Int128 PowerOfTen(int exponent) {
  Int128 out = 1;
  for (int i = 0; i < exponent; ++i) out *= 10;
  return out;
}

bool AppendDecimal(Wire wire, const ColumnType& type, std::string& out, Fit& fit) {
  base::ByteReader reader(wire);
  const int count = reader.ReadU16();
  const int weight = reader.ReadI16();
  const unsigned sign = reader.ReadU16();
  reader.ReadU16();  // display scale: no part of the value
  if (!reader.ok() || reader.remaining() != static_cast<std::size_t>(count) * 2) return false;
  Int128 value = 0;
  if ((sign != 0 && sign != 0x4000) || !ScaleDigits(reader, count, weight, type.scale, value) ||
      value >= PowerOfTen(type.precision)) {
    AppendMisfitCell(wire, out, fit);
  } else {
    canonical::AppendInt128Cell(sign == 0 ? value : -value, out);
  }
  return true;
}

/// A numeric that was declared as a double. The server's cast goes by its text, too.
bool AppendRounded(const ColumnType& type, Wire wire, std::string& out, Fit& fit) {
  std::string text;
  if (!FormatText(type, wire, text)) return false;
  double value = std::numeric_limits<double>::quiet_NaN();
  if (text.ends_with("Infinity")) {
    value = std::numeric_limits<double>::infinity();
    if (text[0] == '-') value = -value;
  } else if (text != "NaN") {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc()) {
      AppendMisfitCell(wire, out, fit);
      return true;
    }
  }
  AppendFixedCell(canonical::NormaliseNan(std::bit_cast<std::uint64_t>(value)), out);
  return true;
}

/// The rest of a cell list: int32 length and bytes, or -1.
bool AppendCounted(base::ByteReader& reader, const ColumnType& type, std::string& out, Fit& fit) {
  const std::int32_t length = reader.ReadI32();
  if (length == -1) {
    AppendNullCell(out);
    return reader.ok();
  }
  if (length < 0) return false;
  const Wire bytes = reader.ReadBytes(static_cast<std::size_t>(length));
  return reader.ok() && AppendCell(type, bytes, out, fit);
}

bool AppendList(const ColumnType& type, Wire wire, std::string& out, Fit& fit) {
  base::ByteReader reader(wire);
  const std::uint32_t dimensions = reader.ReadU32();
  reader.ReadU32();  // whether a NULL is inside: says nothing about the value
  reader.ReadU32();  // element type
  std::uint32_t count = 0;
  if (dimensions == 1) {
    count = reader.ReadU32();
    const std::int32_t lower_bound = reader.ReadI32();
    if (lower_bound != 1 && count != 0) {
      AppendMisfitCell(wire, out, fit);
      return reader.ok();
    }
  } else if (dimensions > 1) {
    AppendMisfitCell(wire, out, fit);
    return reader.ok();
  }
  if (!reader.ok() || count > reader.remaining() / 4 || type.children.size() != 1) return false;
  OpenCell cell(out);
  AppendBigEndian(count, out);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!AppendCounted(reader, type.children[0], out, fit)) return false;
  }
  cell.Close();
  return reader.Finish();
}

/// A float of 16 bits, by its arithmetic.
float FloatOf(std::uint16_t half) {
  const int exponent = (half >> 10) & 0x1F;
  const auto fraction = static_cast<float>(half & 0x3FF);
  float value = 0;
  if (exponent == 0x1F) {
    value = fraction == 0 ? std::numeric_limits<float>::infinity()
                          : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else {
    value = std::ldexp(fraction + 1024, exponent - 25);
  }
  return (half & 0x8000) != 0 ? -value : value;
}

/// A vector or halfvec, as the list of its floats.
bool AppendVector(const ColumnType& type, Wire wire, std::string& out) {
  const bool is_half = type.codec == kHalfVectorCodec;
  base::ByteReader reader(wire);
  const std::uint32_t count = reader.ReadU16();
  reader.ReadU16();  // unused
  if (!reader.ok() || reader.remaining() != count * (is_half ? 2UL : 4UL)) return false;
  OpenCell cell(out);
  AppendBigEndian(count, out);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t bits =
        is_half ? std::bit_cast<std::uint32_t>(FloatOf(reader.ReadU16())) : reader.ReadU32();
    AppendFixedCell(canonical::NormaliseNan(bits), out);
  }
  cell.Close();
  return reader.Finish();
}

bool AppendStruct(const ColumnType& type, Wire wire, std::string& out, Fit& fit) {
  base::ByteReader reader(wire);
  const std::uint32_t count = reader.ReadU32();
  if (!reader.ok() || count != type.children.size()) return false;
  OpenCell cell(out);
  AppendBigEndian(count, out);
  for (const ColumnType& child : type.children) {
    reader.ReadU32();  // the attribute's type
    if (!AppendCounted(reader, child, out, fit)) return false;
  }
  cell.Close();
  return reader.Finish();
}

bool AppendMap(Wire wire, std::string& out, Fit& fit) {
  static const ColumnType kEntry{};  // text
  base::ByteReader reader(wire);
  const std::uint32_t count = reader.ReadU32();
  if (!reader.ok() || count > reader.remaining() / 8) return false;
  OpenCell cell(out);
  AppendBigEndian(count, out);
  for (std::uint32_t i = 0; i < 2 * count; ++i) {
    if (!AppendCounted(reader, kEntry, out, fit)) return false;
  }
  cell.Close();
  return reader.Finish();
}

bool AppendJson(const ColumnType& type, Wire wire, std::string& out) {
  if (type.codec == "jsonb") {
    if (wire.empty() || wire[0] != std::byte{1}) return false;
    wire = wire.subspan(1);
  }
  AppendBytesCell(base::AsText(wire), out);
  return true;
}

bool AppendInterval(Wire wire, std::string& out, Fit& fit) {
  base::ByteReader reader(wire);
  const std::uint64_t micros = reader.ReadU64();
  const std::uint32_t days = reader.ReadU32();
  const std::uint32_t months = reader.ReadU32();
  // The infinite ones have every field at its end.
  constexpr std::uint64_t kTop64 = std::uint64_t{1} << 63;
  constexpr std::uint32_t kTop32 = std::uint32_t{1} << 31;
  const bool is_infinite = (micros == kTop64 && days == kTop32 && months == kTop32) ||
                           (micros == kTop64 - 1 && days == kTop32 - 1 && months == kTop32 - 1);
  if (is_infinite) {
    AppendMisfitCell(wire, out, fit);
  } else {
    canonical::AppendIntervalCell(micros, days, months, out);
  }
  return reader.Finish();
}

}  // namespace

bool NeedsServerText(const ColumnType& type) {
  if (type.carrier == Carrier::kText) return !IsVerbatimText(type.codec);
  if (type.carrier == Carrier::kMap) return false;
  for (const ColumnType& child : type.children) {
    if (NeedsServerText(child)) return true;
  }
  return false;
}

namespace {

bool AppendCell(const ColumnType& type, Wire wire, std::string& out, Fit& fit) {
  base::ByteReader reader(wire);
  switch (type.carrier) {
    case Carrier::kBool:
      canonical::AppendBoolCell(reader.ReadU8() != 0, out);
      return reader.Finish();
    case Carrier::kInt16:
      AppendFixedCell(reader.ReadU16(), out);
      return reader.Finish();
    case Carrier::kInt32:
    case Carrier::kUInt32:
      AppendFixedCell(reader.ReadU32(), out);
      return reader.Finish();
    case Carrier::kInt64:
    case Carrier::kTime:
      AppendFixedCell(reader.ReadU64(), out);
      return reader.Finish();
    case Carrier::kFloat32:
      AppendFixedCell(canonical::NormaliseNan(reader.ReadU32()), out);
      return reader.Finish();
    case Carrier::kFloat64:
      if (IsRoundedNumeric(type)) return AppendRounded(type, wire, out, fit);
      AppendFixedCell(canonical::NormaliseNan(reader.ReadU64()), out);
      return reader.Finish();
    case Carrier::kDate:
      AppendDate(reader.ReadI32(), wire, out, fit);
      return reader.Finish();
    case Carrier::kTimestamp:
    case Carrier::kTimestampTz:
      AppendTimestamp(reader.ReadI64(), wire, out, fit);
      return reader.Finish();
    case Carrier::kInterval:
      return AppendInterval(wire, out, fit);
    case Carrier::kUuid:
      AppendBytesCell(base::AsText(wire), out);
      return wire.size() == 16;
    case Carrier::kText:
      if (fit.looks_at_text && !IsUtf8(wire)) fit.is_misfit = true;
      [[fallthrough]];
    case Carrier::kBytes:
      AppendBytesCell(base::AsText(wire), out);
      return true;
    case Carrier::kJson:
      if (fit.looks_at_text && !IsUtf8(wire)) fit.is_misfit = true;
      return AppendJson(type, wire, out);
    case Carrier::kDecimal:
      return AppendDecimal(wire, type, out, fit);
    case Carrier::kList:
      return IsVector(type) ? AppendVector(type, wire, out) : AppendList(type, wire, out, fit);
    case Carrier::kStruct:
      return AppendStruct(type, wire, out, fit);
    case Carrier::kMap:
      return AppendMap(wire, out, fit);
  }
  return false;
}

}  // namespace

bool AppendWireCell(const ColumnType& type, std::span<const std::byte> wire, std::string& out) {
  Fit fit;
  return AppendCell(type, wire, out, fit);
}

bool AppendCellOrNull(const ColumnType& type, std::span<const std::byte> wire, std::string& out) {
  const std::size_t begin = out.size();
  Fit fit{.looks_at_text = true};
  if (!AppendCell(type, wire, out, fit)) return false;
  if (!fit.is_misfit) return true;
  out.resize(begin);
  AppendNullCell(out);
  return true;
}

void AppendNullCell(std::string& out) {
  AppendBigEndian(kNullCell, out);
}

}  // namespace sluice::types
