#include "postgres/table_pattern.h"

#include <gtest/gtest.h>

#include "base/testing/result_matchers.h"

namespace sluice::postgres {
namespace {

using sluice::testing::IsOk;

TEST(TableSelection, TakesEverythingWhenNothingIsChosen) {
  const auto selection = ParseSelection({}, {}, {}, {});
  ASSERT_THAT(selection, IsOk());
  EXPECT_TRUE(selection->Selects({"any", "table"}));
}

TEST(TableSelection, ExclusionsWin) {
  const auto selection = ParseSelection({"public.*", "!public.audit_*"}, {"secret"}, {}, {"tmp*"});
  ASSERT_THAT(selection, IsOk());
  EXPECT_TRUE(selection->Selects({"public", "orders"}));
  EXPECT_FALSE(selection->Selects({"public", "audit_1"}));
  EXPECT_FALSE(selection->Selects({"public", "secret"}));
  EXPECT_FALSE(selection->Selects({"tmp1", "orders"}));
  EXPECT_FALSE(selection->Selects({"other", "orders"}));
}

TEST(TableSelection, TablesAndSchemasAddUp) {
  const auto selection = ParseSelection({"public.orders"}, {}, {"sales"}, {});
  ASSERT_THAT(selection, IsOk());
  EXPECT_TRUE(selection->Selects({"public", "orders"}));
  EXPECT_TRUE(selection->Selects({"sales", "anything"}));
  EXPECT_FALSE(selection->Selects({"public", "users"}));
}

TEST(TableSelection, OnlyExclusionsMeansEverythingElse) {
  const auto selection = ParseSelection({"!a.*"}, {}, {}, {});
  ASSERT_THAT(selection, IsOk());
  EXPECT_TRUE(selection->Selects({"b", "t"}));
  EXPECT_FALSE(selection->Selects({"a", "t"}));
}

}  // namespace
}  // namespace sluice::postgres
