#include "types/table_rules.h"

#include <gtest/gtest.h>

#include "base/testing/result_matchers.h"

namespace sluice::types {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsOk;

TEST(TableRules, DefaultsHoldWhereNoRuleMatches) {
  TableRules rules;
  EXPECT_EQ(rules.For({"public", "orders"}).mode, TableMode::kMirror);
  EXPECT_EQ(rules.For({"public", "orders"}).on_drop, OnDrop::kKeep);
  rules.SetDefaults(TableMode::kBoth, OnDrop::kDrop);
  ASSERT_THAT(rules.SetMode("public.events", "append"), IsOk());
  EXPECT_EQ(rules.For({"public", "orders"}).mode, TableMode::kBoth);
  EXPECT_EQ(rules.For({"public", "events"}).mode, TableMode::kAppend);
  EXPECT_EQ(rules.For({"public", "events"}).on_drop, OnDrop::kDrop);
}

TEST(TableRules, AnExactNameCountsBeforePatternsAndALaterOneBeforeAnEarlier) {
  TableRules rules;
  ASSERT_THAT(rules.SetMode("public.events", "append"), IsOk());
  ASSERT_THAT(rules.SetMode("public.*", "history"), IsOk());
  ASSERT_THAT(rules.SetMode("public.o*", "both"), IsOk());
  EXPECT_EQ(rules.For({"public", "events"}).mode, TableMode::kAppend);
  EXPECT_EQ(rules.For({"public", "users"}).mode, TableMode::kHistory);
  EXPECT_EQ(rules.For({"public", "orders"}).mode, TableMode::kBoth);
  EXPECT_EQ(rules.named(), (std::vector<TableName>{{"public", "events"}}));
}

TEST(TableRules, WhatIsExcludedAddsUp) {
  TableRules rules;
  ASSERT_THAT(rules.Exclude("*.*", {"Password", "ssn"}), IsOk());
  ASSERT_THAT(rules.Exclude("public.users", {"\"Odd\"", "ssn"}), IsOk());
  const TableSettings users = rules.For({"public", "users"});
  EXPECT_EQ(users.excluded,
            (std::vector<ExcludedColumn>{{"Odd", true}, {"password", false}, {"ssn", true}}));
  EXPECT_TRUE(users.excludes("ssn"));
  EXPECT_FALSE(users.excludes("odd"));
  EXPECT_EQ(rules.For({"public", "orders"}).excluded.size(), 2U);
}

TEST(TableRules, RefusesWhatNobodyKnows) {
  TableRules rules;
  EXPECT_THAT(rules.SetMode("public.a", "mirrored"), CodeIs("SLU-1001"));
  EXPECT_THAT(rules.SetOnDrop("public.a", "cascade"), CodeIs("SLU-1001"));
  EXPECT_THAT(rules.SetMode("a.b.c", "append"), CodeIs("SLU-2018"));
  EXPECT_THAT(rules.Exclude("public.a", {"x*"}), CodeIs("SLU-1001"));
  EXPECT_THAT(rules.Exclude("public.a", {"x.y"}), CodeIs("SLU-1001"));
  EXPECT_THAT(rules.Exclude("public.a", {""}), CodeIs("SLU-1001"));
}

}  // namespace
}  // namespace sluice::types
