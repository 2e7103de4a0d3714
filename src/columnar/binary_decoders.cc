#include <bit>
#include <type_traits>

#include "sluice/schema.h"

#include "base/byte_reader.h"
#include "base/check.h"
#include "columnar/decoders.h"
#include "types/builtin_types.h"
#include "types/decimal_value.h"
#include "types/time_value.h"
#include "types/type_policies.h"
#include "types/utf8.h"
#include "types/vectors.h"

// Layouts: the ..._send functions of src/backend/utils/adt/. Integers are big-endian.

namespace sluice::columnar {
namespace {

using types::ValueFault;
using Wire = std::span<const std::byte>;

constexpr std::byte kJsonbVersion{1};

template <class T>
T LoadBigEndian(const std::byte* at) {
  using Bits = std::conditional_t<sizeof(T) == 2, std::uint16_t,
                                  std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;
  Bits bits;
  std::memcpy(&bits, at, sizeof(bits));
  if constexpr (std::endian::native == std::endian::little) {
    if constexpr (sizeof(T) == 2) bits = __builtin_bswap16(bits);
    if constexpr (sizeof(T) == 4) bits = __builtin_bswap32(bits);
    if constexpr (sizeof(T) == 8) bits = __builtin_bswap64(bits);
  }
  return std::bit_cast<T>(bits);
}

ValueFault DecodeBool(ColumnBuilder& column, Wire wire) {
  if (wire.size() != 1 || wire[0] > std::byte{1}) return ValueFault::kMalformed;
  column.PushBit(wire[0] == std::byte{1});
  return ValueFault::kNone;
}

// Integers and the bits of floats, as sent.
template <class T>
ValueFault DecodeFixed(ColumnBuilder& column, Wire wire) {
  if (wire.size() != sizeof(T)) [[unlikely]]
    return ValueFault::kMalformed;
  column.PushFixed(LoadBigEndian<T>(wire.data()));
  return ValueFault::kNone;
}

ValueFault DecodeNumeric(ColumnBuilder& column, Wire wire) {
  types::Int128 value = 0;
  const ValueFault fault =
      types::DecodeDecimal(wire, column.type().precision, column.type().scale, value);
  if (fault == ValueFault::kNone) column.PushFixed(value);
  return fault;
}

ValueFault DecodeDate(ColumnBuilder& column, Wire wire) {
  if (wire.size() != sizeof(std::int32_t)) return ValueFault::kMalformed;
  std::int32_t days = 0;
  const ValueFault fault = types::ShiftDate(LoadBigEndian<std::int32_t>(wire.data()), days);
  if (fault == ValueFault::kNone) column.PushFixed(days);
  return fault;
}

ValueFault DecodeTimestamp(ColumnBuilder& column, Wire wire) {
  if (wire.size() != sizeof(std::int64_t)) return ValueFault::kMalformed;
  std::int64_t micros = 0;
  const ValueFault fault = types::ShiftTimestamp(LoadBigEndian<std::int64_t>(wire.data()), micros);
  if (fault == ValueFault::kNone) column.PushFixed(micros);
  return fault;
}

ValueFault DecodeTime(ColumnBuilder& column, Wire wire) {
  if (wire.size() != sizeof(std::int64_t)) return ValueFault::kMalformed;
  const auto micros = LoadBigEndian<std::int64_t>(wire.data());
  if (micros < 0 || micros > types::kMicrosPerDay) return ValueFault::kMalformed;
  column.PushFixed(micros);
  return ValueFault::kNone;
}

//   Int64 microseconds, Int32 days, Int32 months
ValueFault DecodeInterval(ColumnBuilder& column, Wire wire) {
  if (wire.size() != 16) return ValueFault::kMalformed;
  const types::IntervalValue interval{LoadBigEndian<std::int64_t>(wire.data()),
                                      LoadBigEndian<std::int32_t>(wire.data() + 8),
                                      LoadBigEndian<std::int32_t>(wire.data() + 12)};
  if (types::IsInfinite(interval)) return ValueFault::kInfiniteInterval;
  column.PushFixed(interval);
  return ValueFault::kNone;
}

struct Uuid {
  std::byte bytes[16];
};

ValueFault DecodeUuid(ColumnBuilder& column, Wire wire) {
  if (wire.size() != sizeof(Uuid)) return ValueFault::kMalformed;
  Uuid uuid;
  std::memcpy(&uuid, wire.data(), sizeof(uuid));
  column.PushFixed(uuid);
  return ValueFault::kNone;
}

ValueFault DecodeBytes(ColumnBuilder& column, Wire wire) {
  return column.PushBytes(wire.data(), wire.size());
}

ValueFault DecodeVerbatim(ColumnBuilder& column, Wire wire) {
  if (!types::IsUtf8(wire)) [[unlikely]]
    return ValueFault::kNotUtf8;
  return column.PushBytes(wire.data(), wire.size());
}

//   Byte1 version, the text
ValueFault DecodeJsonb(ColumnBuilder& column, Wire wire) {
  if (wire.empty() || wire[0] != kJsonbVersion) return ValueFault::kMalformed;
  return DecodeVerbatim(column, wire.subspan(1));
}

ValueFault DecodeFormatted(ColumnBuilder& column, Wire wire) {
  std::string& text = column.scratch();
  text.clear();
  if (!column.text_formatter()->Append(wire, text)) return ValueFault::kMalformed;
  return DecodeVerbatim(column, base::AsBytes(text));
}

// By way of its text, which has every digit.
ValueFault DecodeNumericFloat(ColumnBuilder& column, Wire wire) {
  std::string& text = column.scratch();
  text.clear();
  if (!column.text_formatter()->Append(wire, text)) return ValueFault::kMalformed;
  return TextDecoderFor(column.type())(column, text);
}

ValueFault DecodeNothing(ColumnBuilder& /*column*/, Wire /*wire*/) {
  return ValueFault::kNotBinary;
}

DecodeBinary TextCarrierDecoder(const ColumnType& type, bool has_formatter) {
  if (types::IsVerbatimText(type.codec)) return &DecodeVerbatim;
  return has_formatter ? &DecodeFormatted : &DecodeNothing;
}

}  // namespace

DecodeBinary BinaryDecoderFor(const ColumnType& type, bool has_formatter) {
  if (type.codec.empty()) return &DecodeNothing;
  switch (type.carrier) {
    case Carrier::kBool:
      return &DecodeBool;
    case Carrier::kInt16:
      return &DecodeFixed<std::int16_t>;
    case Carrier::kInt32:
      return &DecodeFixed<std::int32_t>;
    case Carrier::kInt64:
      return &DecodeFixed<std::int64_t>;
    case Carrier::kUInt32:
    case Carrier::kFloat32:
      return &DecodeFixed<std::uint32_t>;
    case Carrier::kFloat64:
      return types::IsRoundedNumeric(type) ? &DecodeNumericFloat : &DecodeFixed<std::uint64_t>;
    case Carrier::kDecimal:
      return &DecodeNumeric;
    case Carrier::kText:
      return TextCarrierDecoder(type, has_formatter);
    case Carrier::kBytes:
      return &DecodeBytes;
    case Carrier::kDate:
      return &DecodeDate;
    case Carrier::kTimestamp:
    case Carrier::kTimestampTz:
      return &DecodeTimestamp;
    case Carrier::kTime:
      return &DecodeTime;
    case Carrier::kInterval:
      return &DecodeInterval;
    case Carrier::kUuid:
      return &DecodeUuid;
    case Carrier::kJson:
      return type.codec == "jsonb" ? &DecodeJsonb : &DecodeVerbatim;
    case Carrier::kList:
      return types::IsVector(type) ? &DecodeVectorBinary : &DecodeListBinary;
    case Carrier::kStruct:
      return &DecodeStructBinary;
    case Carrier::kMap:
      return &DecodeMapBinary;
  }
  SLUICE_CHECK(false);
}

}  // namespace sluice::columnar
