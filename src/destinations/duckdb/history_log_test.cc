#include "destinations/duckdb/history_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "destinations/duckdb/type_map.h"

namespace sluice::duckdb {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

struct Named {
  std::string name;
  std::int16_t attnum;
  Carrier carrier = Carrier::kText;
};

TableSchema Version(const std::vector<Named>& columns) {
  TableSchema schema;
  schema.name = {"public", "t"};
  for (const Named& named : columns) {
    Column& column = schema.columns.emplace_back();
    column.name = named.name;
    column.attnum = named.attnum;
    column.type.carrier = named.carrier;
  }
  return schema;
}

/// A log of these columns, our own behind them.
std::vector<FoundColumn> Found(const std::vector<Named>& columns) {
  std::vector<FoundColumn> found;
  for (const Named& named : columns) {
    ColumnType type;
    type.carrier = named.carrier;
    found.push_back({named.name, SqlType(type)});
  }
  for (const char* own : {"op", "lsn", "ordinal", "committed_at", "xid", "unchanged", "key_only"})
    found.push_back({std::string("_sluice_") + own, "VARCHAR"});
  return found;
}

TEST(PlanLog, DoesNothingWhereNothingChanged) {
  const std::vector<Named> columns{{"id", 1, Carrier::kInt64}, {"x", 2}};
  const TableSchema version = Version(columns);
  const auto plan = PlanLog(&version, version, Found(columns));
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->renames, IsEmpty());
  EXPECT_THAT(plan->added, IsEmpty());
  EXPECT_THAT(plan->widened, IsEmpty());
}

TEST(PlanLog, KeepsWhatIsDroppedUntilAnotherColumnGetsTheName) {
  const TableSchema before = Version({{"id", 1}, {"x", 2}});
  const TableSchema without = Version({{"id", 1}});
  const auto found = Found({{"id", 1}, {"x", 2}});
  const auto dropped = PlanLog(&before, without, found);
  ASSERT_TRUE(dropped);
  EXPECT_THAT(dropped->renames, IsEmpty());
  const TableSchema again = Version({{"id", 1}, {"x", 3, Carrier::kInt32}});
  const auto added = PlanLog(&without, again, found);
  ASSERT_TRUE(added);
  EXPECT_THAT(added->renames, ElementsAre(Pair("x", "_sluice_dropped_1_x")));
  EXPECT_THAT(added->added, ElementsAre(1U));
  // In one step, too.
  const auto both = PlanLog(&before, again, found);
  ASSERT_TRUE(both);
  EXPECT_THAT(both->renames, ElementsAre(Pair("x", "_sluice_dropped_1_x")));
  EXPECT_THAT(both->added, ElementsAre(1U));
}

TEST(PlanLog, ExchangesNamesOverAThirdOneAndRetellsThem) {
  const TableSchema before = Version({{"a", 1}, {"b", 2}});
  const TableSchema after = Version({{"b", 1}, {"a", 2}});
  const auto plan = PlanLog(&before, after, Found({{"a", 1}, {"b", 2}}));
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->renames,
              ElementsAre(Pair("a", "_sluice_rename_1"), Pair("b", "_sluice_rename_2"),
                          Pair("_sluice_rename_1", "b"), Pair("_sluice_rename_2", "a")));
  EXPECT_THAT(plan->retold, ElementsAre(Pair("a", "b"), Pair("b", "a")));
}

TEST(PlanLog, WidensNumbersAndBeginsOtherTypesAnew) {
  const std::vector<Named> columns{{"n", 1, Carrier::kInt32}, {"x", 2, Carrier::kText}};
  const TableSchema before = Version(columns);
  const TableSchema after = Version({{"n", 1, Carrier::kInt64}, {"x", 2, Carrier::kDate}});
  const auto plan = PlanLog(&before, after, Found(columns));
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->widened, ElementsAre(Pair("n", "BIGINT")));
  EXPECT_THAT(plan->renames, ElementsAre(Pair("x", "_sluice_dropped_1_x")));
  EXPECT_THAT(plan->added, ElementsAre(1U));
}

TEST(PlanLog, GoesOnByNameAndTypeForAnotherTableOfTheName) {
  const TableSchema after = Version({{"id", 1, Carrier::kInt64}, {"x", 2, Carrier::kDate}});
  const auto plan =
      PlanLog(nullptr, after, Found({{"x", 2, Carrier::kText}, {"id", 1, Carrier::kInt64}}));
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->renames, ElementsAre(Pair("x", "_sluice_dropped_1_x")));
  EXPECT_THAT(plan->added, ElementsAre(1U));
}

TEST(PlanLog, RefusesALogThatWasAltered) {
  const TableSchema version = Version({{"id", 1}});
  EXPECT_FALSE(PlanLog(&version, version, Found({{"other", 1}})));
  EXPECT_FALSE(PlanLog(&version, version, {{"id", "VARCHAR"}}));
}

}  // namespace
}  // namespace sluice::duckdb
