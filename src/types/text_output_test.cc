#include "types/text_output.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::types {
namespace {

std::vector<std::byte> Bytes(std::string_view hex) {
  std::vector<std::byte> bytes;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    if (hex[i] == ' ') {
      --i;
      continue;
    }
    bytes.push_back(static_cast<std::byte>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return bytes;
}

ColumnType Type(std::string_view codec, std::vector<ColumnType> children = {}) {
  ColumnType type;
  type.codec = codec;
  type.children = std::move(children);
  return type;
}

std::string Print(const ColumnType& type, std::string_view hex) {
  std::string out;
  return FormatText(type, Bytes(hex), out) ? out : "malformed";
}

TEST(FormatText, PrintsFloatsAtTheEdgeOfARoundingIntervalAsTheServerDoes) {
  // 1e23 lies halfway between two doubles; the server prints digits that are strictly inside.
  EXPECT_EQ(Print(Type("float8"), "44b52d02c7e14af6"), "9.999999999999999e+22");
  EXPECT_EQ(Print(Type("float8"), "3fb999999999999a"), "0.1");
  EXPECT_EQ(Print(Type("float8"), "8000000000000000"), "-0");
  EXPECT_EQ(Print(Type("float8"), "0000000000000001"), "5e-324");
  EXPECT_EQ(Print(Type("float8"), "430c6bf526340000"), "1e+15");
  EXPECT_EQ(Print(Type("float4"), "00000001"), "1e-45");
  EXPECT_EQ(Print(Type("float4"), "fff00000"), "NaN");
}

TEST(FormatText, PrintsNumericWithItsDisplayScale) {
  EXPECT_EQ(Print(Type("numeric"), "0002 0000 0000 0002 0001 1388"), "1.50");
  EXPECT_EQ(Print(Type("numeric"), "0000 0000 0000 0002"), "0.00");
  EXPECT_EQ(Print(Type("numeric"), "0001 0001 4000 0000 0001"), "-10000");
  EXPECT_EQ(Print(Type("numeric"), "0000 0000 c000 0000"), "NaN");
}

TEST(FormatText, RefusesNumericWithDigitsOutsideItsBase) {
  EXPECT_EQ(Print(Type("numeric"), "0001 0000 0000 0000 2710"), "malformed");
  EXPECT_EQ(Print(Type("numeric"), "0002 0000 0000 0000 0001"), "malformed");
  EXPECT_EQ(Print(Type("numeric"), "0001 0000 1234 0000 0001"), "malformed");
}

TEST(FormatText, PrintsIntervalSignsAfterNegativeFields) {
  EXPECT_EQ(Print(Type("interval"), "0000000000000000 ffffffff 00000001"), "1 mon -1 days");
  EXPECT_EQ(Print(Type("interval"), "00000000000f4240 ffffffff 00000000"), "-1 days +00:00:01");
  EXPECT_EQ(Print(Type("interval"), "0000000000000000 00000000 00000000"), "00:00:00");
}

TEST(FormatText, QuotesArrayElementsThatWouldReadAsSomethingElse) {
  EXPECT_EQ(Print(Type("array", {Type("text")}),
                  "00000001 00000001 00000019 00000003 00000001"
                  "00000004 4e554c4c ffffffff 00000001 61"),
            "{\"NULL\",NULL,a}");
  EXPECT_EQ(Print(Type("array", {Type("int4")}),
                  "00000001 00000000 00000017 00000001 00000000 00000004 00000007"),
            "[0:0]={7}");
}

TEST(FormatText, RefusesArraysThatClaimMoreThanTheyHold) {
  EXPECT_EQ(Print(Type("array", {Type("int4")}), "00000001 00000000 00000017 7fffffff 00000001"),
            "malformed");
  EXPECT_EQ(Print(Type("array", {Type("int4")}),
                  "00000006 00000000 00000017 7fffffff 00000001 7fffffff 00000001 7fffffff 00000001"
                  "7fffffff 00000001 7fffffff 00000001 7fffffff 00000001"),
            "malformed");
  EXPECT_EQ(Print(Type("array", {Type("int4")}), "00000007 00000000 00000017"), "malformed");
}

TEST(FormatText, LeavesTheOutputAsItWasOnMalformedBytes) {
  std::string out = "before";
  EXPECT_FALSE(FormatText(Type("range", {Type("int4")}), Bytes("02 00000004 00000001"), out));
  EXPECT_EQ(out, "before");
}

TEST(FormatText, PrintsDeepQueriesWithoutRecursion) {
  constexpr std::uint32_t kDepth = 100'000;
  std::string wire("\0\1\x86\xa1", 4);
  for (std::uint32_t i = 0; i < kDepth; ++i) wire.append("\2\1", 2);
  wire.append("\1\0\0a\0", 5);
  std::string out;
  ASSERT_TRUE(FormatText(Type("tsquery"), std::as_bytes(std::span(wire)), out));
  EXPECT_EQ(out, std::string(kDepth, '!') + "'a'");
}

TEST(FormatText, RefusesQueriesThatLackOperands) {
  EXPECT_EQ(Print(Type("tsquery"), "00000001 02 02"), "malformed");
  EXPECT_EQ(Print(Type("tsquery"), "ffffffff"), "malformed");
}

TEST(TextFormatter, RefusesUnknownCodecsAndDeepNesting) {
  EXPECT_FALSE(TextFormatter::Make(Type("regclass")).has_value());
  EXPECT_FALSE(TextFormatter::Make(Type("array", {Type("")})).has_value());
  ColumnType type = Type("int4");
  for (int i = 0; i < 100; ++i) type = Type("array", {type});
  EXPECT_FALSE(TextFormatter::Make(type).has_value());
}

}  // namespace
}  // namespace sluice::types
