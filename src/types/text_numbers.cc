#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>

#include "types/text_formats.h"

namespace sluice::types {
namespace {

__extension__ using Wide = unsigned __int128;

/// A finite float as odd-or-even mantissa and binary exponent: value = mantissa * 2^exponent.
struct Binary {
  std::uint64_t mantissa;
  int exponent;
  bool is_lower_gap_narrow;  ///< at a power of two the neighbour below is at half the distance
};

/// value = digits * 10^exponent.
struct Decimal {
  std::uint64_t digits;
  int exponent;
};

template <class F>
Binary Split(F value) {
  using Bits = std::conditional_t<sizeof(F) == 8, std::uint64_t, std::uint32_t>;
  constexpr int kFraction = std::numeric_limits<F>::digits - 1;
  const std::uint64_t bits = std::bit_cast<Bits>(value);
  const std::uint64_t fraction = bits & ((std::uint64_t{1} << kFraction) - 1);
  const int biased = static_cast<int>((bits >> kFraction) & (sizeof(F) == 8 ? 0x7FFU : 0xFFU));
  const int bias = std::numeric_limits<F>::max_exponent - 1 + kFraction;
  if (biased == 0) return {fraction, 1 - bias, false};
  return {fraction | (std::uint64_t{1} << kFraction), biased - bias, fraction == 0 && biased > 1};
}

/// Exactly decimal == mantissa * 2^exponent? `mantissa` is odd and below 2^56.
bool IsEqual(Decimal decimal, std::uint64_t mantissa, int exponent) {
  const int fives = decimal.exponent < 0 ? -decimal.exponent : decimal.exponent;
  if (decimal.digits == 0 || fives > 27) return false;
  const int twos = std::countr_zero(decimal.digits);
  Wide power = 1;
  for (int i = 0; i < fives; ++i) power *= 5;
  const Wide odd = decimal.digits >> twos;
  if (twos + decimal.exponent != exponent) return false;
  return decimal.exponent >= 0 ? odd * power == mantissa : odd == mantissa * power;
}

/// Halfway between `binary` and one of its neighbours. Such a decimal reads back as the value only
/// because readers round half to even; PostgreSQL does not print it.
bool IsHalfway(Decimal decimal, const Binary& binary) {
  if (IsEqual(decimal, 2 * binary.mantissa + 1, binary.exponent - 1)) return true;
  if (binary.is_lower_gap_narrow) {
    return IsEqual(decimal, 4 * binary.mantissa - 1, binary.exponent - 2);
  }
  return IsEqual(decimal, 2 * binary.mantissa - 1, binary.exponent - 1);
}

/// Reads what to_chars wrote in scientific form.
Decimal ParseScientific(std::string_view text) {
  Decimal result{0, 0};
  int fraction_digits = 0;
  bool in_fraction = false;
  std::size_t at = 0;
  for (; at < text.size() && text[at] != 'e'; ++at) {
    if (text[at] == '.') {
      in_fraction = true;
      continue;
    }
    result.digits = result.digits * 10 + static_cast<std::uint64_t>(text[at] - '0');
    if (in_fraction) ++fraction_digits;
  }
  int exponent = 0;
  const char* first = text.data() + at + 1;
  if (*first == '+') ++first;
  std::from_chars(first, text.data() + text.size(), exponent);
  result.exponent = exponent - fraction_digits;
  return result;
}

template <class F>
bool ReadsBackAs(Decimal decimal, F value) {
  std::array<char, 40> text{};
  char* end = std::to_chars(text.data(), text.data() + 24, decimal.digits).ptr;
  *end++ = 'e';
  end = std::to_chars(end, text.data() + text.size(), decimal.exponent).ptr;
  F read = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, read);
  return error == std::errc() && stop == end && read == value;
}

/// The shortest decimal strictly inside the rounding interval, where the shortest one is at its
/// edge.
template <class F>
Decimal ShortestInside(F value, const Binary& binary) {
  constexpr int kDigitsMax = std::numeric_limits<F>::max_digits10;
  Decimal nearest{};
  for (int digits = 1; digits <= kDigitsMax; ++digits) {
    std::array<char, 40> text{};
    const char* end = std::to_chars(text.data(), text.data() + text.size(), value,
                                    std::chars_format::scientific, digits - 1)
                          .ptr;
    nearest = ParseScientific({text.data(), static_cast<std::size_t>(end - text.data())});
    for (const Decimal candidate : {nearest, Decimal{nearest.digits + 1, nearest.exponent},
                                    Decimal{nearest.digits - 1, nearest.exponent}}) {
      if (ReadsBackAs(candidate, value) && !IsHalfway(candidate, binary)) return candidate;
    }
  }
  return nearest;
}

/// Lays digits out as the server does: plain from 1e-4 up to what the type holds exactly, else with
/// an exponent of two digits or more.
void AppendDecimal(Decimal decimal, int plain_exponent_end, std::string& out) {
  while (decimal.digits % 10 == 0) {
    decimal.digits /= 10;
    ++decimal.exponent;
  }
  std::array<char, 24> text{};
  const char* end = std::to_chars(text.data(), text.data() + text.size(), decimal.digits).ptr;
  const std::string_view digits(text.data(), static_cast<std::size_t>(end - text.data()));
  const int exponent = decimal.exponent + static_cast<int>(digits.size()) - 1;
  if (exponent < -4 || exponent >= plain_exponent_end) {
    out.push_back(digits[0]);
    if (digits.size() > 1) out.append(".").append(digits.substr(1));
    out.append(exponent < 0 ? "e-" : "e+");
    AppendTwoDigits(static_cast<std::uint32_t>(exponent < 0 ? -exponent : exponent), out);
  } else if (exponent < 0) {
    out.append("0.").append(static_cast<std::size_t>(-exponent - 1), '0').append(digits);
  } else if (decimal.exponent >= 0) {
    out.append(digits).append(static_cast<std::size_t>(decimal.exponent), '0');
  } else {
    const auto whole = static_cast<std::size_t>(exponent + 1);
    out.append(digits.substr(0, whole)).append(".").append(digits.substr(whole));
  }
}

template <class F>
void AppendFloat(F value, int plain_exponent_end, std::string& out) {
  if (std::isnan(value)) {
    out.append("NaN");
    return;
  }
  if (std::signbit(value)) {
    out.push_back('-');
    value = -value;
  }
  if (std::isinf(value)) {
    out.append("Infinity");
    return;
  }
  if (value == 0) {
    out.push_back('0');
    return;
  }
  std::array<char, 40> text{};
  const char* end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific)
          .ptr;
  Decimal decimal = ParseScientific({text.data(), static_cast<std::size_t>(end - text.data())});
  const Binary binary = Split(value);
  if (binary.mantissa % 2 == 0 && IsHalfway(decimal, binary)) {
    decimal = ShortestInside(value, binary);
  }
  AppendDecimal(decimal, plain_exponent_end, out);
}

void AppendFourDigits(unsigned group, std::string& out) {
  const std::array<char, 4> text = {
      static_cast<char>('0' + group / 1000), static_cast<char>('0' + group / 100 % 10),
      static_cast<char>('0' + group / 10 % 10), static_cast<char>('0' + group % 10)};
  out.append(text.data(), text.size());
}

}  // namespace

void AppendSigned(std::int64_t value, std::string& out) {
  std::array<char, 24> text{};
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

void AppendUnsigned(std::uint64_t value, std::string& out) {
  std::array<char, 24> text{};
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

void AppendTwoDigits(std::uint32_t value, std::string& out) {
  if (value < 10) out.push_back('0');
  AppendUnsigned(value, out);
}

void AppendHex(Wire bytes, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const std::byte byte : bytes) {
    const auto value = static_cast<unsigned>(byte);
    out.push_back(kDigits[value >> 4]);
    out.push_back(kDigits[value & 15]);
  }
}

void AppendFloat4(float value, std::string& out) {
  AppendFloat(value, 6, out);
}

void AppendFloat8(double value, std::string& out) {
  AppendFloat(value, 15, out);
}

// numeric_send: digit count, weight of the first digit, sign, display scale, digits in base 10000.
bool FormatNumeric(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const int count = reader.ReadU16();
  const int weight = reader.ReadI16();
  const unsigned sign = reader.ReadU16();
  const int scale = reader.ReadU16();
  if (!reader.ok() || reader.remaining() != static_cast<std::size_t>(count) * 2) return false;
  if (sign == 0xC000) return out.append("NaN"), true;
  if (sign == 0xD000) return out.append("Infinity"), true;
  if (sign == 0xF000) return out.append("-Infinity"), true;
  if ((sign != 0 && sign != 0x4000) || scale > 0x3FFF) return false;
  for (base::ByteReader digits = reader; digits.remaining() > 0;) {
    if (digits.ReadU16() > 9999) return false;
  }
  if (sign == 0x4000) out.push_back('-');
  // Groups are read in order; those before the first or after the last are zeros.
  int next = 0;
  const auto group_at = [&](int index) -> unsigned {
    if (index < next || next >= count) return 0;
    ++next;
    return reader.ReadU16();
  };
  if (weight < 0) out.push_back('0');
  for (int group = 0; group <= weight; ++group) {
    const unsigned digits = group_at(group);
    if (group == 0) {
      AppendUnsigned(digits, out);
    } else {
      AppendFourDigits(digits, out);
    }
  }
  if (scale == 0) return true;
  out.push_back('.');
  const std::size_t end = out.size() + static_cast<std::size_t>(scale);
  for (int group = weight + 1; out.size() < end; ++group) AppendFourDigits(group_at(group), out);
  out.resize(end);
  return true;
}

bool FormatMoney(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const std::int64_t cents = reader.ReadI64();
  if (!reader.Finish()) return false;
  const std::uint64_t size =
      cents < 0 ? 0 - static_cast<std::uint64_t>(cents) : static_cast<std::uint64_t>(cents);
  out.append(cents < 0 ? "-$" : "$");
  std::array<char, 24> text{};
  const char* end = std::to_chars(text.data(), text.data() + text.size(), size / 100).ptr;
  for (const char* at = text.data(); at != end; ++at) {
    if (at != text.data() && (end - at) % 3 == 0) out.push_back(',');
    out.push_back(*at);
  }
  out.push_back('.');
  AppendTwoDigits(static_cast<std::uint32_t>(size % 100), out);
  return true;
}

}  // namespace sluice::types
