#include "types/name_map.h"

#include <gtest/gtest.h>

#include "base/testing/result_matchers.h"

namespace sluice::types {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsOk;

TEST(NameMap, ATablesOwnNameCountsBeforeThatOfItsSchema) {
  NameMap names;
  ASSERT_THAT(names.MapSchema("public", "main"), IsOk());
  ASSERT_THAT(names.MapTable("Public.\"Orders\"", "sales.orders"), IsOk());
  EXPECT_EQ(names.For({"public", "Orders"}), (TableName{"sales", "orders"}));
  EXPECT_EQ(names.For({"public", "users"}), (TableName{"main", "users"}));
  EXPECT_EQ(names.For({"other", "users"}), (TableName{"other", "users"}));
  EXPECT_TRUE(names.is_mapped({"public", "users"}));
  EXPECT_FALSE(names.is_mapped({"other", "users"}));
}

TEST(NameMap, RefusesWhatNamesNoTable) {
  NameMap names;
  EXPECT_THAT(names.MapTable("public.*", "a.b"), CodeIs("SLU-1001"));
  EXPECT_THAT(names.MapTable("public.a", "b"), CodeIs("SLU-1001"));
  EXPECT_THAT(names.MapSchema("a.b", "c"), CodeIs("SLU-1001"));
  EXPECT_THAT(names.MapSchema("a", ""), CodeIs("SLU-1001"));
  ASSERT_THAT(names.MapTable("a.a", "c.c"), IsOk());
  EXPECT_THAT(names.MapTable("b.b", "c.c"), CodeIs("SLU-1001"));
}

}  // namespace
}  // namespace sluice::types
