#include "types/vectors.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>

#include "base/byte_reader.h"
#include "types/canonical.h"
#include "types/text_output.h"
#include "types/type_catalog.h"

namespace sluice::types {
namespace {

ColumnType Resolved(const char* name, const char* extension, std::int32_t typmod = -1) {
  TypeCatalog catalog;
  catalog.AddType(
      {.oid = Oid{20000}, .name = name, .namespace_name = "public", .extension = extension});
  return *catalog.Resolve(Oid{20000}, typmod);
}

std::string Wire(std::initializer_list<int> bytes) {
  std::string out;
  for (const int byte : bytes) out.push_back(static_cast<char>(byte));
  return out;
}

std::string Text(const ColumnType& type, const std::string& wire) {
  std::string out;
  return FormatText(type, base::AsBytes(wire), out) ? out : "malformed";
}

std::string Canonical(const ColumnType& type, const std::string& wire) {
  std::string out;
  return AppendWireCell(type, base::AsBytes(wire), out) ? out : "malformed";
}

TEST(Vectors, AreListsOfFloatsAndOnlyThoseOfTheExtension) {
  const ColumnType vector = Resolved("vector", "vector", 3);
  EXPECT_TRUE(IsVector(vector));
  EXPECT_EQ(VectorLength(vector), 3U);
  EXPECT_EQ(vector.name, "vector(3)");
  EXPECT_EQ(vector.children.at(0).carrier, Carrier::kFloat32);
  EXPECT_TRUE(HasCodec(vector));
  EXPECT_TRUE(IsVector(Resolved("halfvec", "vector")));
  EXPECT_EQ(VectorLength(Resolved("halfvec", "vector")), 0U);
  EXPECT_EQ(Resolved("vector", "").carrier, Carrier::kText);
  EXPECT_FALSE(HasCodec(Resolved("vector", "")));
}

TEST(Vectors, EveryHalfIsTheFloatOfItsFormula) {
  for (std::uint32_t half = 0; half <= 0xFFFF; ++half) {
    const auto found = std::bit_cast<float>(FloatBitsOfHalf(static_cast<std::uint16_t>(half)));
    const int exponent = static_cast<int>((half >> 10) & 0x1F);
    const auto fraction = static_cast<float>(half & 0x3FF);
    EXPECT_EQ(std::signbit(found), (half & 0x8000) != 0) << half;
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(found), fraction != 0) << half;
      EXPECT_EQ(std::isinf(found), fraction == 0) << half;
      continue;
    }
    const float expected =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25);
    EXPECT_EQ(std::fabs(found), expected) << half;
  }
}

TEST(Vectors, PrintAsTheExtensionDoes) {
  const std::string floats = Wire({0, 2, 0, 0, 0x3F, 0x80, 0, 0, 0xC0, 0x20, 0, 0});
  EXPECT_EQ(Text(Resolved("vector", "vector"), floats), "[1,-2.5]");
  EXPECT_EQ(Text(Resolved("vector", "vector"), floats.substr(0, 11)), "malformed");
  EXPECT_EQ(Text(Resolved("halfvec", "vector"), Wire({0, 2, 0, 0, 0x3C, 0, 0x2E, 0x66})),
            "[1,0.099975586]");
  const ColumnType sparse = Resolved("sparsevec", "vector", 5);
  EXPECT_EQ(sparse.carrier, Carrier::kText);
  EXPECT_EQ(Text(sparse, Wire({0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0x3F, 0x80, 0, 0})),
            "{3:1}/5");
  EXPECT_EQ(Text(sparse, Wire({0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0})), "{}/5");
  EXPECT_EQ(Text(sparse, Wire({0, 0, 0, 5, 0x20, 0, 0, 0, 0, 0, 0, 0})), "malformed");
}

TEST(Vectors, HaveTheCanonicalBytesOfAList) {
  const ColumnType vector = Resolved("vector", "vector");
  const ColumnType half = Resolved("halfvec", "vector");
  const std::string bytes = Canonical(vector, Wire({0, 1, 0, 0, 0x40, 0, 0, 0}));
  EXPECT_EQ(bytes, Wire({0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 4, 0x40, 0, 0, 0}));
  EXPECT_EQ(Canonical(half, Wire({0, 1, 0, 0, 0x40, 0})), bytes);
  EXPECT_EQ(Canonical(half, Wire({0, 1, 0, 0, 0x40})), "malformed");
}

TEST(Geometry, PrintsTheDigitsOfItsBytes) {
  const ColumnType type = Resolved("geography", "postgis");
  EXPECT_EQ(type.carrier, Carrier::kText);
  EXPECT_EQ(Text(type, Wire({1, 0xAB, 0x0F})), "01AB0F");
  EXPECT_EQ(Resolved("geometry", "").codec, "");
}

}  // namespace
}  // namespace sluice::types
