#include "replication/lift.h"

#include <arrow/record_batch.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/testing/result_matchers.h"
#include "replication/testing/change_batches.h"

namespace sluice::replication {
namespace {

using sluice::testing::CodeIs;
using testing::BatchMaker;
using ::testing::ElementsAre;
using testing::MakeColumn;
using testing::MakeTable;
using testing::TextRow;
using testing::TextRows;

SchemaPtr Before(ReplicaIdentity identity = ReplicaIdentity::kDefault) {
  return MakeTable({MakeColumn("id", 23), MakeColumn("v", 25)}, {0}, identity);
}

SchemaPtr After(ReplicaIdentity identity = ReplicaIdentity::kDefault) {
  Column with_default = MakeColumn("d", 25);
  with_default.missing_value = "a\tb\\c\nd";
  Column number = MakeColumn("n", 1007);
  number.missing_value = "{1,2}";
  return MakeTable(
      {MakeColumn("id", 23), MakeColumn("v", 25), MakeColumn("x", 25), with_default, number}, {0},
      identity);
}

TEST(LiftRows, FillsAddedColumnsWithTheirDefaultOrNull) {
  BatchMaker maker(Before());
  maker.Insert({"1", "a"});
  maker.Update({"2", ""}, TextRow{"1", std::nullopt}, {1});
  const ChangeBatch batch = maker.Finish();
  const auto lifted = LiftRows(batch, After());
  ASSERT_TRUE(lifted) << lifted.error().message;
  const auto rows = TextRows(lifted->values);
  EXPECT_EQ(rows[0][0], "1");
  EXPECT_EQ(rows[0][1], "a");
  EXPECT_EQ(rows[0][2], std::nullopt);
  EXPECT_EQ(rows[0][3], "a\tb\\c\nd");
  EXPECT_TRUE(rows[1][4].has_value());
  EXPECT_EQ(lifted->kinds, batch.kinds);
  EXPECT_EQ(lifted->ordinals, batch.ordinals);
  EXPECT_TRUE(lifted->unchanged[1][1]);
  EXPECT_FALSE(lifted->unchanged[3].any());
  EXPECT_THAT(TextRows(lifted->old)[1], ElementsAre("1"));
  EXPECT_EQ(lifted->schema->columns.size(), 5U);
}

TEST(LiftRows, FillsAddedColumnsOfFullOldRowsToo) {
  BatchMaker maker(Before(ReplicaIdentity::kFull));
  maker.Delete({"1", "a"});
  const auto lifted = LiftRows(maker.Finish(), After(ReplicaIdentity::kFull));
  ASSERT_TRUE(lifted) << lifted.error().message;
  EXPECT_EQ(TextRows(lifted->old)[0][3], "a\tb\\c\nd");
}

TEST(LiftRows, TakeNoTextOfADefaultForBytes) {
  Column bytes = MakeColumn("i", 869);
  bytes.type.carrier = Carrier::kBytes;
  bytes.type.codec = "sent";
  const auto lifted = [](const Column& added) {
    BatchMaker maker(Before());
    maker.Insert({"1", "a"});
    return LiftRows(maker.Finish(), MakeTable({MakeColumn("id", 23), MakeColumn("v", 25), added},
                                              {0}, ReplicaIdentity::kDefault));
  };
  EXPECT_TRUE(lifted(bytes));
  bytes.missing_value = "10.0.0.1";
  EXPECT_THAT(lifted(bytes), CodeIs("SLU-4202"));
}

Column At(std::int16_t attnum, std::string name, std::uint32_t type) {
  Column column = MakeColumn(std::move(name), type);
  column.attnum = attnum;
  return column;
}

TEST(LiftRows, FollowsColumnsByTheirNumber) {
  BatchMaker maker(
      MakeTable({At(1, "id", 23), At(2, "a", 25), At(3, "b", 25)}, {0}, ReplicaIdentity::kDefault));
  maker.Insert({"1", "one", "two"});
  const auto lifted = LiftRows(
      maker.Finish(),
      MakeTable({At(1, "id", 23), At(3, "a", 25), At(4, "b", 25)}, {0}, ReplicaIdentity::kDefault));
  ASSERT_TRUE(lifted) << lifted.error().message;
  EXPECT_THAT(TextRows(lifted->values)[0], ElementsAre("1", "two", std::nullopt));
}

TEST(LiftRows, KeepsTheKeyThatRowsWereSentWith) {
  BatchMaker maker(MakeTable({At(1, "id", 23), At(2, "k", 23)}, {0}, ReplicaIdentity::kDefault));
  maker.Update({"1", "5"}, TextRow{"2", std::nullopt});
  const SchemaPtr to =
      MakeTable({At(1, "id", 23), At(2, "k", 23), At(3, "n", 23)}, {1}, ReplicaIdentity::kDefault);
  const auto lifted = LiftRows(maker.Finish(), to);
  ASSERT_TRUE(lifted) << lifted.error().message;
  EXPECT_EQ(lifted->schema->key, std::vector<std::int32_t>{0});
  EXPECT_EQ(lifted->schema->columns.size(), 3U);
  EXPECT_THAT(TextRows(lifted->old)[0], ElementsAre("2"));
}

TEST(LiftRows, RefusesADroppedKeyAndAnotherType) {
  BatchMaker maker(Before());
  maker.Update({"1", "a"}, TextRow{"2", std::nullopt});
  const ChangeBatch batch = maker.Finish();
  const auto refused = [&](std::vector<Column> columns, std::vector<std::int32_t> key) {
    return LiftRows(batch,
                    MakeTable(std::move(columns), std::move(key), ReplicaIdentity::kDefault));
  };
  EXPECT_THAT(refused({MakeColumn("v", 25)}, {0}), CodeIs("SLU-4202"));
  EXPECT_THAT(refused({MakeColumn("id", 20), MakeColumn("v", 25)}, {0}), CodeIs("SLU-4202"));
}

}  // namespace
}  // namespace sluice::replication
