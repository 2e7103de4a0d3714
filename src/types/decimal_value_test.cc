#include "types/decimal_value.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <initializer_list>
#include <vector>

namespace sluice::types {
namespace {

std::vector<std::byte> Wire(std::initializer_list<int> words) {
  std::vector<std::byte> bytes;
  for (const int word : words) {
    bytes.push_back(static_cast<std::byte>((word >> 8) & 0xff));
    bytes.push_back(static_cast<std::byte>(word & 0xff));
  }
  return bytes;
}

Int128 PowerOfTen(int exponent) {
  Int128 power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

TEST(DecodeDecimal, PlacesDigitsAtTheColumnsScale) {
  Int128 out = 0;
  // 12345.67: digits 1, 2345, 6700; weight 1.
  const auto wire = Wire({3, 1, 0, 2, 1, 2345, 6700});
  EXPECT_EQ(DecodeDecimal(wire, 10, 2, out), ValueFault::kNone);
  EXPECT_TRUE(out == 1234567);
  EXPECT_EQ(DecodeDecimal(wire, 10, 4, out), ValueFault::kNone);
  EXPECT_TRUE(out == 123456700);
  EXPECT_EQ(DecodeDecimal(wire, 10, 1, out), ValueFault::kDecimalDigits);
  EXPECT_EQ(DecodeDecimal(wire, 6, 2, out), ValueFault::kDecimalDigits);
  EXPECT_EQ(DecodeDecimal(wire, 7, 2, out), ValueFault::kNone);
}

TEST(DecodeDecimal, ReadsZeroNegativeAndSmallNumbers) {
  Int128 out = 7;
  EXPECT_EQ(DecodeDecimal(Wire({0, 0, 0, 2}), 10, 2, out), ValueFault::kNone);
  EXPECT_TRUE(out == 0);
  // -0.0001 at scale 4: digit 1, weight -1.
  EXPECT_EQ(DecodeDecimal(Wire({1, -1, 0x4000, 4, 1}), 10, 4, out), ValueFault::kNone);
  EXPECT_TRUE(out == -1);
  // 10000: digit 1, weight 1, no trailing zero digit is sent.
  EXPECT_EQ(DecodeDecimal(Wire({1, 1, 0, 0, 1}), 10, 0, out), ValueFault::kNone);
  EXPECT_TRUE(out == 10000);
}

TEST(DecodeDecimal, ReachesThirtyEightDigits) {
  Int128 out = 0;
  const auto wire = Wire({10, 9, 0, 0, 99, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999});
  EXPECT_EQ(DecodeDecimal(wire, 38, 0, out), ValueFault::kNone);
  EXPECT_TRUE(out == PowerOfTen(38) - 1);
  const auto larger = Wire({10, 9, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(DecodeDecimal(larger, 38, 0, out), ValueFault::kDecimalDigits);
  EXPECT_EQ(DecodeDecimal(Wire({1, 32767, 0, 0, 1}), 38, 0, out), ValueFault::kDecimalDigits);
  EXPECT_EQ(DecodeDecimal(Wire({1, -32768, 0, 0, 1}), 38, 38, out), ValueFault::kDecimalDigits);
}

TEST(DecodeDecimal, NamesNanAndInfinitiesAsMisfits) {
  Int128 out = 0;
  for (const int sign : {0xC000, 0xD000, 0xF000}) {
    EXPECT_EQ(DecodeDecimal(Wire({0, 0, sign, 0}), 10, 2, out), ValueFault::kDecimalSpecial);
  }
}

TEST(DecodeDecimal, RejectsEveryPrefixAndAnExtraByte) {
  Int128 out = 0;
  auto wire = Wire({3, 1, 0, 2, 1, 2345, 6700});
  for (std::size_t length = 0; length < wire.size(); ++length) {
    EXPECT_EQ(DecodeDecimal(std::span(wire).first(length), 10, 2, out), ValueFault::kMalformed);
  }
  wire.push_back(std::byte{0});
  EXPECT_EQ(DecodeDecimal(wire, 10, 2, out), ValueFault::kMalformed);
  EXPECT_EQ(DecodeDecimal(Wire({1, 0, 0, 0, 10000}), 10, 2, out), ValueFault::kMalformed);
}

TEST(ParseDecimal, ReadsWhatNumericOutPrints) {
  Int128 out = 0;
  EXPECT_EQ(ParseDecimal("12345.67", 10, 2, out), ValueFault::kNone);
  EXPECT_TRUE(out == 1234567);
  EXPECT_EQ(ParseDecimal("-0.01", 10, 2, out), ValueFault::kNone);
  EXPECT_TRUE(out == -1);
  EXPECT_EQ(ParseDecimal("5", 10, 2, out), ValueFault::kNone);
  EXPECT_TRUE(out == 500);
  EXPECT_EQ(ParseDecimal("99999999999999999999999999999999999999", 38, 0, out), ValueFault::kNone);
  EXPECT_TRUE(out == PowerOfTen(38) - 1);
}

TEST(ParseDecimal, RefusesMisfitsAndGarbage) {
  Int128 out = 0;
  EXPECT_EQ(ParseDecimal("NaN", 10, 2, out), ValueFault::kDecimalSpecial);
  EXPECT_EQ(ParseDecimal("-Infinity", 10, 2, out), ValueFault::kDecimalSpecial);
  EXPECT_EQ(ParseDecimal("1.005", 10, 2, out), ValueFault::kDecimalDigits);
  EXPECT_EQ(ParseDecimal("123456789.00", 10, 2, out), ValueFault::kDecimalDigits);
  for (const char* text : {"", "-", ".", "1e5", "1..2", "--1", "1 "}) {
    EXPECT_EQ(ParseDecimal(text, 10, 2, out), ValueFault::kMalformed) << text;
  }
}

}  // namespace
}  // namespace sluice::types
