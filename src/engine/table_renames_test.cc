#include "engine/table_renames.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sluice/schema.h"

namespace sluice::engine {
namespace {

TableRecord Record(std::uint32_t relation, const std::string& name,
                   TableState state = TableState::kLive) {
  TableRecord record;
  record.relation = {relation};
  record.source = {"public", name};
  record.destination = record.source;
  record.state = state;
  record.schema = std::make_shared<const TableSchema>();
  return record;
}

TableRename To(std::uint32_t relation, const std::string& name) {
  return {{relation}, {"public", name}};
}

std::string Text(const std::vector<TableRename>& renames) {
  std::string text;
  for (const TableRename& rename : renames)
    text += std::to_string(rename.relation.value) + ">" + rename.to.table + " ";
  return text;
}

TEST(PlanRenames, RenamesWhereTheNameIsFree) {
  const std::vector<TableRecord> records{Record(1, "a"), Record(2, "b")};
  const RenamePlan plan = PlanRenames(records, std::vector{To(1, "c")});
  EXPECT_EQ(Text(plan.steps), "1>c ");
  EXPECT_EQ(Text(plan.to_copy), "");
}

TEST(PlanRenames, RenamesAHaltedTableOnlyWhereItsChangesAreKept) {
  std::vector<TableRecord> records{Record(1, "a", TableState::kHalted),
                                   Record(2, "b", TableState::kHalted)};
  records[0].kept = KeptChanges{};
  const RenamePlan plan = PlanRenames(records, std::vector{To(1, "c"), To(2, "d")});
  EXPECT_EQ(Text(plan.steps), "1>c ");
  EXPECT_EQ(Text(plan.to_copy), "2>d ");
}

TEST(PlanRenames, WaitsForANameThatBecomesFree) {
  const std::vector<TableRecord> records{Record(1, "a"), Record(2, "b"), Record(3, "c")};
  const RenamePlan plan = PlanRenames(records, std::vector{To(1, "b"), To(2, "c"), To(3, "d")});
  EXPECT_EQ(Text(plan.steps), "3>d 2>c 1>b ");
}

TEST(PlanRenames, ExchangesNamesOverAThirdOne) {
  const std::vector<TableRecord> records{Record(1, "a"), Record(2, "b")};
  const RenamePlan plan = PlanRenames(records, std::vector{To(1, "b"), To(2, "a")});
  EXPECT_EQ(Text(plan.to_copy), "");
  ASSERT_EQ(plan.steps.size(), 3U);
  EXPECT_TRUE(plan.steps[0].to.table.starts_with("_sluice_rename_"));
  EXPECT_EQ(plan.steps[0].relation, plan.steps[2].relation);
}

TEST(PlanRenames, TurnsARing) {
  const std::vector<TableRecord> records{Record(1, "a"), Record(2, "b"), Record(3, "c"),
                                         Record(4, "d")};
  const RenamePlan plan =
      PlanRenames(records, std::vector{To(1, "b"), To(2, "c"), To(3, "a"), To(4, "e")});
  EXPECT_EQ(plan.steps.size(), 5U);
  EXPECT_EQ(Text(plan.to_copy), "");
}

TEST(PlanRenames, CopiesWhereTheNameIsTakenOrTheTableIsNotLive) {
  std::vector<TableRecord> records{Record(1, "a"), Record(2, "b", TableState::kSkipped),
                                   Record(3, "c", TableState::kPending), Record(4, "d")};
  const RenamePlan plan = PlanRenames(records, std::vector{To(1, "b"), To(3, "x"), To(4, "a")});
  EXPECT_EQ(Text(plan.steps), "");
  EXPECT_EQ(Text(plan.to_copy), "1>b 3>x 4>a ");
}

TEST(PlanRenames, MovesToAnotherSchemaOnceAlsoWhereNamesAreExchanged) {
  std::vector<TableRecord> records{Record(1, "a"), Record(2, "a")};
  records[1].destination.schema = "other";
  const RenamePlan plan =
      PlanRenames(records, std::vector<TableRename>{{{1}, {"other", "a"}}, {{2}, {"public", "a"}}});
  std::string text;
  for (const TableRename& step : plan.steps) text += ToString(step.to) + " ";
  EXPECT_EQ(text, "public._sluice_rename_1 public.a other.a ");
  EXPECT_TRUE(plan.to_copy.empty());
}

}  // namespace
}  // namespace sluice::engine
