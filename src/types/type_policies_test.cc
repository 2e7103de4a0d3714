#include "types/type_policies.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/testing/result_matchers.h"
#include "types/text_output.h"
#include "types/type_catalog.h"

namespace sluice::types {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsOk;

constexpr std::uint32_t kNumeric = 1700;
constexpr std::uint32_t kInt4Array = 1007;
constexpr std::int32_t kTenTwo = ((10 << 16) | 2) + 4;

Result<ColumnType> Kept(const TypePolicies& policies, std::uint32_t oid, std::int32_t typmod = -1,
                        const TableName& table = {"public", "orders"},
                        std::string_view column = "amount") {
  TypeCatalog catalog;
  catalog.SetPolicies(std::make_shared<const TypePolicies>(policies));
  return catalog.ResolveColumn(table, column, Oid{oid}, typmod);
}

TEST(TypePolicies, MakeANumberOfANumericWithoutDigits) {
  TypePolicies policies;
  ASSERT_THAT(policies.Add("public.orders.amount", "decimal( 38, 4 )"), IsOk());
  const auto type = Kept(policies, kNumeric);
  ASSERT_THAT(type, IsOk());
  EXPECT_EQ(type->carrier, Carrier::kDecimal);
  EXPECT_EQ(type->precision, 38);
  EXPECT_EQ(type->scale, 4);
  EXPECT_EQ(type->codec, "numeric");
  EXPECT_EQ(DeclaredPolicy(*type), "decimal(38,4)");
  const auto other = Kept(policies, kNumeric, -1, {"public", "orders"}, "tax");
  ASSERT_THAT(other, IsOk());
  EXPECT_EQ(other->carrier, Carrier::kText);
  EXPECT_EQ(DeclaredPolicy(*other), "");
  EXPECT_THAT(Kept(policies, 25), CodeIs("SLU-4121"));
}

TEST(TypePolicies, KeepEveryTypeAsTextThatCanBePrinted) {
  TypePolicies policies;
  ASSERT_THAT(policies.Add("public.orders.amount", "text"), IsOk());
  for (const std::uint32_t oid : {16U, 17U, 20U, 700U, 1082U, 1114U, 1184U, 1083U, 1186U, 2950U,
                                  114U, 3802U, kNumeric, kInt4Array}) {
    const auto type = Kept(policies, oid, oid == kNumeric ? kTenTwo : -1);
    ASSERT_THAT(type, IsOk());
    EXPECT_EQ(type->carrier, Carrier::kText) << type->name;
    EXPECT_TRUE(TextFormatter::Make(*type).has_value()) << type->name;
    EXPECT_EQ(DeclaredPolicy(*type), "text") << type->name;
  }
  EXPECT_EQ(DeclaredPolicy(*Kept(policies, 25)), "");
}

TEST(TypePolicies, RoundANumericWhereNoRowIsFoundByIt) {
  TypePolicies policies;
  ASSERT_THAT(policies.Add("public.orders.amount", "double"), IsOk());
  const auto type = Kept(policies, kNumeric, kTenTwo);
  ASSERT_THAT(type, IsOk());
  EXPECT_EQ(type->carrier, Carrier::kFloat64);
  EXPECT_EQ(DeclaredPolicy(*type), "double");
  EXPECT_TRUE(MayMisfit(*type));
  EXPECT_THAT(Kept(policies, 701), CodeIs("SLU-4121"));

  TableSchema schema;
  schema.columns.resize(2);
  schema.columns[0].type = *type;
  schema.key = {1};
  EXPECT_THAT(CheckKeyTypes(schema), IsOk());
  schema.key = {1, 0};
  EXPECT_THAT(CheckKeyTypes(schema), CodeIs("SLU-4121"));
}

TEST(TypePolicies, TrimCharactersOnly) {
  TypePolicies policies;
  ASSERT_THAT(policies.Add("public.orders.amount", "trimmed"), IsOk());
  const auto type = Kept(policies, 1042, 9);
  ASSERT_THAT(type, IsOk());
  EXPECT_EQ(DeclaredPolicy(*type), "trimmed");
  EXPECT_THAT(Kept(policies, 25), CodeIs("SLU-4121"));
  EXPECT_THAT(Kept(policies, 1043, 9), CodeIs("SLU-4121"));
}

TEST(TypePolicies, KeepVectorsAsTextAndGeometryAsBytes) {
  TypePolicies policies;
  ASSERT_THAT(policies.Add("public.orders.amount", "wkb"), IsOk());
  ASSERT_THAT(policies.Add("public.orders.vector", "text"), IsOk());
  ASSERT_THAT(policies.Add("arrays", "text"), IsOk());
  EXPECT_THAT(Kept(policies, 25), CodeIs("SLU-4121"));
  TypeCatalog catalog;
  catalog.AddType({.oid = Oid{20000}, .name = "geometry", .extension = "postgis"});
  catalog.AddType({.oid = Oid{20001}, .name = "vector", .extension = "vector"});
  const ColumnType vector = *catalog.Resolve(Oid{20001}, 3);
  EXPECT_FALSE(MayMisfit(vector));
  EXPECT_EQ(DeclaredPolicy(vector), "");
  EXPECT_EQ(DeclaredPolicy(*catalog.Resolve(Oid{20000}, -1)), "");
  catalog.SetPolicies(std::make_shared<const TypePolicies>(policies));
  const TableName table{"public", "orders"};
  const auto bytes = catalog.ResolveColumn(table, "amount", Oid{20000}, -1);
  ASSERT_THAT(bytes, IsOk());
  EXPECT_EQ(bytes->carrier, Carrier::kBytes);
  EXPECT_EQ(DeclaredPolicy(*bytes), "wkb");
  const auto text = catalog.ResolveColumn(table, "vector", Oid{20001}, 3);
  ASSERT_THAT(text, IsOk());
  EXPECT_EQ(text->carrier, Carrier::kText);
  EXPECT_TRUE(TextFormatter::Make(*text).has_value());
  EXPECT_EQ(DeclaredPolicy(*text), "text");
  // A vector is no array.
  EXPECT_EQ(catalog.ResolveColumn(table, "other", Oid{20001}, 3)->carrier, Carrier::kList);
}

TEST(TypePolicies, KeepTheBytesOfTypesThatHaveAnotherFormThanText) {
  TypePolicies policies;
  ASSERT_THAT(policies.Add("public.orders.amount", "bytes"), IsOk());
  // inet, a range, tsvector, money, numeric without digits; regclass, whose form we cannot print.
  for (const std::uint32_t oid : {869U, 3904U, 3614U, 790U, kNumeric, 2205U}) {
    const auto type = Kept(policies, oid);
    ASSERT_THAT(type, IsOk()) << oid;
    EXPECT_EQ(type->carrier, Carrier::kBytes) << type->name;
    EXPECT_TRUE(HasCodec(*type)) << type->name;
    EXPECT_EQ(DeclaredPolicy(*type), "bytes") << type->name;
    EXPECT_FALSE(MayMisfit(*type)) << type->name;
  }
  // Kept otherwise, or text in both forms, or with no binary form: aclitem, a type nobody knows.
  for (const std::uint32_t oid : {16U, 17U, 25U, 1043U, 142U, 1186U, 3802U, 1041U, 1033U, 19999U})
    EXPECT_THAT(Kept(policies, oid), CodeIs("SLU-4121")) << oid;
  EXPECT_THAT(Kept(policies, kNumeric, kTenTwo), CodeIs("SLU-4121"));
  EXPECT_EQ(DeclaredPolicy(*Kept({}, 17)), "");
}

TEST(TypePolicies, KeepTheBytesOfTypesOfUsersWhereTheyAreSent) {
  TypePolicies policies;
  ASSERT_THAT(policies.Add("public.t.c", "bytes"), IsOk());
  TypeCatalog catalog;
  catalog.SetPolicies(std::make_shared<const TypePolicies>(policies));
  catalog.AddType({.oid = Oid{20000}, .name = "sent"});
  catalog.AddType({.oid = Oid{20001}, .name = "unsent", .has_send = false});
  catalog.AddType(
      {.oid = Oid{20002}, .name = "over_sent", .typtype = 'd', .typbasetype = Oid{20000}});
  catalog.AddType(
      {.oid = Oid{20003}, .name = "over_unsent", .typtype = 'd', .typbasetype = Oid{20001}});
  catalog.AddType(
      {.oid = Oid{20004}, .name = "over_inet", .typtype = 'd', .typbasetype = Oid{869}});
  catalog.AddType(
      {.oid = Oid{20005}, .name = "spans", .typtype = 'r', .range_element = Oid{20001}});
  catalog.AddType({.oid = Oid{20006}, .name = "mood", .typtype = 'e'});
  catalog.AddType({.oid = Oid{20007}, .name = "geometry", .extension = "postgis"});
  const auto kept = [&](std::uint32_t oid) {
    return catalog.ResolveColumn({"public", "t"}, "c", Oid{oid}, -1);
  };
  for (const std::uint32_t oid : {20000U, 20002U, 20004U}) EXPECT_THAT(kept(oid), IsOk()) << oid;
  for (const std::uint32_t oid : {20001U, 20003U, 20005U, 20006U, 20007U})
    EXPECT_THAT(kept(oid), CodeIs("SLU-4121")) << oid;

  TableSchema schema;
  schema.columns.resize(1);
  schema.columns[0].type = *kept(20000);
  EXPECT_THAT(CheckKeyTypes(schema), IsOk());
  schema.key = {0};
  EXPECT_THAT(CheckKeyTypes(schema), CodeIs("SLU-4121"));
}

TEST(TypePolicies, KeepArraysAsTextEverywhere) {
  TypePolicies policies;
  ASSERT_THAT(policies.Add("arrays", "text"), IsOk());
  EXPECT_EQ(Kept(policies, kInt4Array)->carrier, Carrier::kText);
  EXPECT_EQ(Kept(policies, 23)->carrier, Carrier::kInt32);
  ASSERT_THAT(policies.Add("arrays", "list"), IsOk());
  EXPECT_EQ(Kept(policies, kInt4Array)->carrier, Carrier::kList);
}

TEST(TypePolicies, FoldNamesAsSqlDoes) {
  TypePolicies policies;
  ASSERT_THAT(policies.Add("Public.\"Odd.\"\"Name\".Amount", "text"), IsOk());
  EXPECT_EQ(Kept(policies, 23, -1, {"public", "Odd.\"Name"})->carrier, Carrier::kText);
  EXPECT_EQ(Kept(policies, 23, -1, {"public", "odd.\"name"})->carrier, Carrier::kInt32);
  for (const char* name : {"orders.amount", "a.b.c.d", "a.\"b.c", "array", ""}) {
    EXPECT_THAT(policies.Add(name, "text"), CodeIs("SLU-1001")) << name;
  }
  for (const char* value : {"doubles", "decimal", "decimal(39,1)", "decimal(3,4)", "decimal(0,0)",
                            "decimal(3,1", "decimal(3;1)", "list", ""}) {
    EXPECT_THAT(policies.Add("a.b.c", value), CodeIs("SLU-1001")) << value;
  }
  EXPECT_THAT(policies.Add("arrays", "decimal(3,1)"), CodeIs("SLU-1001"));
}

}  // namespace
}  // namespace sluice::types
