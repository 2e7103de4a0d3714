#include "types/decimal_value.h"

#include <array>

#include "base/byte_reader.h"

namespace sluice::types {
namespace {

__extension__ using UInt128 = unsigned __int128;

constexpr int kPowersCount = 39;  // 10^38 is the largest in 127 bits
constexpr int kDecimalsPerDigit = 4;
constexpr std::uint32_t kDigitBase = 10000;
constexpr std::uint16_t kSignPositive = 0x0000;
constexpr std::uint16_t kSignNegative = 0x4000;
constexpr std::uint16_t kSignSpecial = 0xC000;  // both bits: NaN and the infinities

constexpr std::array<UInt128, kPowersCount> MakePowers() {
  std::array<UInt128, kPowersCount> powers{};
  UInt128 power = 1;
  for (UInt128& slot : powers) {
    slot = power;
    power *= 10;
  }
  return powers;
}
constexpr std::array<UInt128, kPowersCount> kPowers = MakePowers();

UInt128 PowerOfTen(int exponent) {
  return kPowers[static_cast<std::size_t>(exponent)];
}

// Up to these a product cannot overflow, and needs no division to know it.
constexpr std::uint64_t kProductSafe = UINT64_MAX;
constexpr int kExponentSafe = 18;

// value * 10^exponent + addend, false where that reaches `limit`.
bool ShiftIn(UInt128& value, int exponent, std::uint32_t addend, UInt128 limit) {
  if (value <= kProductSafe && exponent <= kExponentSafe) [[likely]] {
    value = value * PowerOfTen(exponent) + addend;
    return value < limit;
  }
  if (value != 0) {
    if (exponent >= kPowersCount || value > (limit - 1) / PowerOfTen(exponent)) return false;
    value *= PowerOfTen(exponent);
  }
  value += addend;
  return value < limit;
}

// Adds the base-10000 digits one by one. `exponent` is the power of ten of a digit's unit place in
// the unscaled result; digits below its unit place must be zero.
ValueFault SumDigits(base::ByteReader& in, int count, int weight, int scale, UInt128 limit,
                     UInt128& sum) {
  int exponent = kDecimalsPerDigit * (weight + 1) + scale;
  for (int i = 0; i < count; ++i) {
    const std::uint32_t digit = in.ReadU16();
    if (digit >= kDigitBase) return ValueFault::kMalformed;
    exponent -= kDecimalsPerDigit;
    if (exponent >= 0) {
      if (!ShiftIn(sum, kDecimalsPerDigit, digit, limit)) return ValueFault::kDecimalDigits;
    } else if (exponent > -kDecimalsPerDigit) {
      const auto cut = static_cast<std::uint32_t>(PowerOfTen(-exponent));
      if (digit % cut != 0) return ValueFault::kDecimalDigits;
      if (!ShiftIn(sum, kDecimalsPerDigit + exponent, digit / cut, limit)) {
        return ValueFault::kDecimalDigits;
      }
    } else if (digit != 0) {
      return ValueFault::kDecimalDigits;
    }
  }
  if (exponent > 0 && !ShiftIn(sum, exponent, 0, limit)) return ValueFault::kDecimalDigits;
  return ValueFault::kNone;
}

}  // namespace

ValueFault DecodeDecimal(std::span<const std::byte> wire, int precision, int scale, Int128& out) {
  base::ByteReader in(wire);
  const std::uint16_t count = in.ReadU16();
  const int weight = in.ReadI16();
  const std::uint16_t sign = in.ReadU16();
  in.ReadU16();
  if (!in.ok() || in.remaining() != std::size_t{count} * 2) return ValueFault::kMalformed;
  if ((sign & kSignSpecial) == kSignSpecial) return ValueFault::kDecimalSpecial;
  if (sign != kSignPositive && sign != kSignNegative) return ValueFault::kMalformed;

  UInt128 sum = 0;
  const ValueFault fault = SumDigits(in, count, weight, scale, PowerOfTen(precision), sum);
  if (fault != ValueFault::kNone) return fault;
  out = sign == kSignNegative ? -static_cast<Int128>(sum) : static_cast<Int128>(sum);
  return ValueFault::kNone;
}

ValueFault ParseDecimal(std::string_view text, int precision, int scale, Int128& out) {
  if (text == "NaN" || text == "Infinity" || text == "-Infinity") {
    return ValueFault::kDecimalSpecial;
  }
  const bool is_negative = !text.empty() && text.front() == '-';
  if (is_negative) text.remove_prefix(1);
  const UInt128 limit = PowerOfTen(precision);
  UInt128 sum = 0;
  int places = -1;  // after the point; -1 before it
  std::size_t digit_count = 0;
  for (const char c : text) {
    if (c == '.' && places < 0) {
      places = 0;
      continue;
    }
    if (c < '0' || c > '9') return ValueFault::kMalformed;
    ++digit_count;
    if (places >= scale) {
      if (c != '0') return ValueFault::kDecimalDigits;
      continue;
    }
    if (places >= 0) ++places;
    if (!ShiftIn(sum, 1, static_cast<std::uint32_t>(c - '0'), limit)) {
      return ValueFault::kDecimalDigits;
    }
  }
  if (digit_count == 0) return ValueFault::kMalformed;
  if (places < 0) places = 0;
  if (places < scale && !ShiftIn(sum, scale - places, 0, limit)) return ValueFault::kDecimalDigits;
  out = is_negative ? -static_cast<Int128>(sum) : static_cast<Int128>(sum);
  return ValueFault::kNone;
}

}  // namespace sluice::types
