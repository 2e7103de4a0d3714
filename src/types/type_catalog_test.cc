#include "types/type_catalog.h"

#include <gtest/gtest.h>

#include "base/testing/result_matchers.h"
#include "types/builtin_types.h"

namespace sluice::types {
namespace {

using sluice::testing::CodeIs;

constexpr std::int32_t NumericTypmod(int precision, int scale) {
  return ((precision << 16) | (scale & 0x7ff)) + 4;
}

ColumnType Resolved(const TypeCatalog& catalog, std::uint32_t oid, std::int32_t typmod = -1) {
  auto type = catalog.Resolve(Oid{oid}, typmod);
  EXPECT_TRUE(type.has_value());
  return type ? *std::move(type) : ColumnType{};
}

TEST(TypeCatalog, ResolvesBuiltinTypesWithoutRows) {
  const TypeCatalog catalog;
  const ColumnType int4 = Resolved(catalog, 23);
  EXPECT_EQ(int4.carrier, Carrier::kInt32);
  EXPECT_EQ(int4.codec, "int4");
  EXPECT_EQ(int4.name, "integer");
  EXPECT_EQ(Resolved(catalog, 1043, 24).name, "character varying(20)");
  EXPECT_EQ(Resolved(catalog, 1184, 3).name, "timestamp(3) with time zone");
}

TEST(TypeCatalog, CarriesNumericAsDecimalOnlyWhereItFits) {
  const TypeCatalog catalog;
  const ColumnType money = Resolved(catalog, 1700, NumericTypmod(10, 2));
  EXPECT_EQ(money.carrier, Carrier::kDecimal);
  EXPECT_EQ(money.precision, 10);
  EXPECT_EQ(money.scale, 2);
  EXPECT_EQ(money.name, "numeric(10,2)");
  EXPECT_EQ(Resolved(catalog, 1700, NumericTypmod(38, 38)).carrier, Carrier::kDecimal);
  EXPECT_EQ(Resolved(catalog, 1700, NumericTypmod(39, 0)).carrier, Carrier::kText);
  EXPECT_EQ(Resolved(catalog, 1700, NumericTypmod(2, 5)).carrier, Carrier::kText);
  const ColumnType negative = Resolved(catalog, 1700, NumericTypmod(5, -3));
  EXPECT_EQ(negative.carrier, Carrier::kText);
  EXPECT_EQ(negative.name, "numeric(5,-3)");
  EXPECT_EQ(Resolved(catalog, 1700).carrier, Carrier::kText);
}

TEST(TypeCatalog, GivesTheModifierOfAnArrayToItsElements) {
  const TypeCatalog catalog;
  const ColumnType array = Resolved(catalog, 1231, NumericTypmod(12, 3));
  EXPECT_EQ(array.carrier, Carrier::kList);
  EXPECT_EQ(array.codec, "array");
  ASSERT_EQ(array.children.size(), 1U);
  EXPECT_EQ(array.children[0].carrier, Carrier::kDecimal);
  EXPECT_EQ(array.name, "numeric(12,3)[]");
}

TEST(TypeCatalog, ReplacesDomainsOverDomainsOverArraysByTheBase) {
  TypeCatalog catalog;
  catalog.AddType({.oid = Oid{20001},
                   .name = "prices",
                   .namespace_name = "public",
                   .typtype = 'd',
                   .typbasetype = Oid{1231},
                   .typtypmod = NumericTypmod(8, 2)});
  catalog.AddType({.oid = Oid{20002},
                   .name = "outer",
                   .namespace_name = "public",
                   .typtype = 'd',
                   .typbasetype = Oid{20001}});
  const ColumnType type = Resolved(catalog, 20002);
  EXPECT_EQ(type.carrier, Carrier::kList);
  EXPECT_EQ(type.oid, Oid{1231});
  EXPECT_EQ(type.children[0].scale, 2);
}

TEST(TypeCatalog, BuildsStructsAndDropsTheCodecWhereAnAttributeHasNone) {
  TypeCatalog catalog;
  catalog.AddType({.oid = Oid{20010},
                   .name = "Pair",
                   .namespace_name = "public",
                   .typtype = 'c',
                   .typrelid = 30000});
  catalog.AddAttribute({.typrelid = 30000, .attnum = 1, .name = "a", .type = Oid{23}});
  catalog.AddAttribute({.typrelid = 30000, .attnum = 3, .name = "b", .type = Oid{25}});
  ColumnType type = Resolved(catalog, 20010);
  EXPECT_EQ(type.carrier, Carrier::kStruct);
  EXPECT_EQ(type.name, "public.\"Pair\"");
  EXPECT_TRUE(HasCodec(type));
  EXPECT_EQ(type.child_names, (std::vector<std::string>{"a", "b"}));

  catalog.AddAttribute({.typrelid = 30000, .attnum = 4, .name = "c", .type = Oid{2205}});
  type = Resolved(catalog, 20010);
  EXPECT_EQ(type.carrier, Carrier::kStruct);
  EXPECT_TRUE(type.codec.empty());
  EXPECT_FALSE(HasCodec(type));
}

TEST(TypeCatalog, KnowsHstoreOnlyFromItsExtension) {
  TypeCatalog catalog;
  catalog.AddType(
      {.oid = Oid{20020}, .name = "hstore", .namespace_name = "x", .extension = "hstore"});
  catalog.AddType({.oid = Oid{20021}, .name = "hstore", .namespace_name = "y"});
  EXPECT_EQ(Resolved(catalog, 20020).carrier, Carrier::kMap);
  EXPECT_EQ(Resolved(catalog, 20020).codec, "hstore");
  EXPECT_EQ(Resolved(catalog, 20021).carrier, Carrier::kText);
  EXPECT_TRUE(Resolved(catalog, 20021).codec.empty());
}

TEST(TypeCatalog, TakesEnumsRangesAndUnknownTypesAsText) {
  TypeCatalog catalog;
  catalog.AddType({.oid = Oid{20030}, .name = "mood", .namespace_name = "public", .typtype = 'e'});
  catalog.AddType({.oid = Oid{20031},
                   .name = "floatrange",
                   .namespace_name = "public",
                   .typtype = 'r',
                   .range_element = Oid{701}});
  EXPECT_EQ(Resolved(catalog, 20030).codec, "text");
  const ColumnType range = Resolved(catalog, 20031);
  EXPECT_EQ(range.codec, "range");
  EXPECT_EQ(range.children[0].codec, "float8");
  const ColumnType unknown = Resolved(catalog, 99999);
  EXPECT_EQ(unknown.carrier, Carrier::kText);
  EXPECT_EQ(unknown.name, "type 99999");
  EXPECT_FALSE(catalog.Contains(Oid{99999}));
}

TEST(TypeCatalog, KeepsArraysWithAnotherDelimiterAsText) {
  TypeCatalog catalog;
  catalog.AddType({.oid = Oid{20040}, .name = "shape", .namespace_name = "p", .typdelim = ':'});
  catalog.AddType({.oid = Oid{20041},
                   .name = "_shape",
                   .namespace_name = "p",
                   .is_array = true,
                   .typelem = Oid{20040},
                   .typdelim = ':'});
  EXPECT_EQ(Resolved(catalog, 20041).carrier, Carrier::kText);
  EXPECT_EQ(Resolved(catalog, 1020).carrier, Carrier::kList);
  EXPECT_EQ(ArrayDelimiter(Resolved(catalog, 1020).children[0]), ';');
}

TEST(TypeCatalog, RefusesTypesThatNestTooDeeply) {
  TypeCatalog catalog;
  catalog.AddType({.oid = Oid{20050},
                   .name = "loop",
                   .namespace_name = "p",
                   .typtype = 'd',
                   .typbasetype = Oid{20050}});
  EXPECT_THAT(catalog.Resolve(Oid{20050}, -1), CodeIs("SLU-4120"));
}

}  // namespace
}  // namespace sluice::types
