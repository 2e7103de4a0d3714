#include "replication/schema_versions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "replication/testing/change_batches.h"

namespace sluice::replication {
namespace {

using ::testing::HasSubstr;
using testing::MakeColumn;
using testing::MakeTable;

Column Numbered(std::string name, std::uint32_t type, std::int16_t attnum,
                std::uint32_t altered_by = 100) {
  Column column = MakeColumn(std::move(name), type);
  column.attnum = attnum;
  column.altered_by = altered_by;
  return column;
}

std::shared_ptr<TableSchema> Version(std::vector<Column> columns, std::string files = "1",
                                     std::int16_t attnum_max = 0) {
  for (const Column& column : columns) attnum_max = std::max(attnum_max, column.attnum);
  auto table = MakeTable(std::move(columns), {0}, ReplicaIdentity::kDefault);
  table->facts = {.stamp = "s", .files = std::move(files), .attnum_max = attnum_max, .labels = {}};
  return table;
}

/// id int, a int, b text
std::shared_ptr<TableSchema> Known() {
  return Version({Numbered("id", 23, 1), Numbered("a", 23, 2), Numbered("b", 25, 3)});
}

TableSchema Described(std::vector<std::pair<std::string, std::uint32_t>> columns) {
  std::vector<Column> described;
  for (auto& [name, type] : columns) described.push_back(MakeColumn(name, type));
  return *MakeTable(std::move(described), {0}, ReplicaIdentity::kDefault);
}

SchemaChange Compare(const SchemaPtr& from, const SchemaPtr& to) {
  return CompareVersions(*from, *to).change;
}

TEST(CompareVersions, TakesARewriteWithoutAnAlteredColumnAsNothing) {
  auto now = Known();
  now->facts.files = "2";
  EXPECT_EQ(Compare(Known(), now), SchemaChange::kNone);
}

TEST(CompareVersions, TakesAnAlteredColumnWithoutARewriteAsNothing) {
  auto now = Known();
  now->columns[1].altered_by = 101;
  EXPECT_EQ(Compare(Known(), now), SchemaChange::kNone);
}

TEST(CompareVersions, CopiesAgainAfterARewriteThatAlteredAColumn) {
  auto now = Known();
  now->facts.files = "2";
  now->columns[1].altered_by = 101;
  const SchemaComparison change = CompareVersions(*Known(), *now);
  EXPECT_EQ(change.change, SchemaChange::kCopyAgain);
  EXPECT_THAT(change.reason, HasSubstr("rewritten when column a was altered"));
}

TEST(CompareVersions, CopiesAgainAfterARewriteThatAddedAColumn) {
  auto now = Known();
  now->columns.push_back(Numbered("n", 23, 4));
  EXPECT_EQ(Compare(Known(), now), SchemaChange::kInPlace);
  now->facts.files = "2";
  EXPECT_EQ(Compare(Known(), now), SchemaChange::kCopyAgain);
}

TEST(CompareVersions, FollowsDropsRenamesAndAdditions) {
  EXPECT_EQ(Compare(Known(), Version({Numbered("id", 23, 1), Numbered("x", 25, 3, 101),
                                      Numbered("a", 23, 4)})),
            SchemaChange::kInPlace);
}

TEST(CompareVersions, CopiesAgainAnotherType) {
  EXPECT_EQ(Compare(Known(),
                    Version({Numbered("id", 23, 1), Numbered("a", 20, 2), Numbered("b", 25, 3)})),
            SchemaChange::kCopyAgain);
}

TEST(CompareVersions, CopiesAgainWhatWasThereAndNotPublished) {
  const SchemaPtr known = Version({Numbered("id", 23, 1), Numbered("b", 25, 3)});
  EXPECT_EQ(Compare(known, Known()), SchemaChange::kCopyAgain);
}

TEST(CompareVersions, CopiesAgainWhereALabelWasRenamed) {
  auto known = Known();
  auto now = Known();
  known->facts.labels = {{Oid{50'000}, "sad"}};
  now->facts.labels = {{Oid{50'000}, "sad"}, {Oid{50'001}, "new"}};
  EXPECT_EQ(Compare(known, now), SchemaChange::kNone);
  now->facts.labels[0].text = "blue";
  EXPECT_EQ(Compare(known, now), SchemaChange::kCopyAgain);
}

TEST(CompareVersions, CopiesAgainWhereALabelWasRenamedAndBack) {
  auto known = Known();
  auto now = Known();
  known->facts.labels = {{Oid{50'000}, "sad", 0}};
  now->facts.labels = {{Oid{50'000}, "sad", 801}};
  EXPECT_EQ(Compare(known, now), SchemaChange::kNone) << "it is not known who wrote it";
  known->facts.labels[0].written_by = 800;
  const SchemaComparison change = CompareVersions(*known, *now);
  EXPECT_EQ(change.change, SchemaChange::kCopyAgain);
  EXPECT_TRUE(WaitsForOlderWriters(CopyAgainError(change.reason)));
  EXPECT_FALSE(WaitsForOlderWriters(CopyAgainError("its rows were rewritten")));
}

TEST(CompareVersions, FollowsAnotherKey) {
  auto now = Known();
  now->key = {1};
  now->identity_columns = {1};
  EXPECT_EQ(Compare(Known(), now), SchemaChange::kInPlace);
}

TEST(KeepsValues, TakesLongerLimitsAndMoreDigits) {
  const auto type = [](std::uint32_t oid, std::int32_t typmod) {
    return *types::TypeCatalog().Resolve(Oid{oid}, typmod);
  };
  EXPECT_TRUE(KeepsValues(type(1043, 14), type(25, -1)));
  EXPECT_TRUE(KeepsValues(type(1043, 14), type(1043, 24)));
  EXPECT_FALSE(KeepsValues(type(1043, 24), type(1043, 14)));
  EXPECT_TRUE(KeepsValues(type(1700, (6 << 16 | 2) + 4), type(1700, (12 << 16 | 2) + 4)));
  EXPECT_FALSE(KeepsValues(type(1700, (6 << 16 | 2) + 4), type(1700, (12 << 16 | 3) + 4)));
  EXPECT_TRUE(KeepsValues(type(1114, 0), type(1114, 6)));
  EXPECT_FALSE(KeepsValues(type(1114, 6), type(1114, 0)));
  EXPECT_FALSE(KeepsValues(type(23, -1), type(20, -1)));
  ColumnType declared = type(1562, -1);
  declared.carrier = Carrier::kBytes;
  EXPECT_FALSE(KeepsValues(type(1562, -1), declared)) << "another form of the same value";
}

TEST(PlaceVersion, TakesTheCatalogsWhereOnlyColumnsWereAdded) {
  auto catalog = Known();
  catalog->columns.push_back(Numbered("n", 23, 4));
  catalog->facts.attnum_max = 4;
  EXPECT_EQ(
      PlaceVersion(Known(), catalog, Described({{"id", 23}, {"a", 23}, {"b", 25}, {"n", 23}})),
      catalog);
}

TEST(PlaceVersion, TellsARenamedColumnByItsPlace) {
  const SchemaPtr catalog =
      Version({Numbered("id", 23, 1), Numbered("x", 23, 2, 101), Numbered("b", 25, 3),
               Numbered("n", 23, 4), Numbered("m", 23, 5)});
  const SchemaPtr placed =
      PlaceVersion(Known(), catalog, Described({{"id", 23}, {"y", 23}, {"b", 25}, {"n", 23}}));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->columns[1].name, "y");
  EXPECT_EQ(placed->columns[1].attnum, 2);
  EXPECT_EQ(placed->columns[3].attnum, 4);
  EXPECT_EQ(placed->facts.attnum_max, 4);
  EXPECT_TRUE(placed->facts.stamp.empty());
}

TEST(PlaceVersion, TellsADroppedColumn) {
  const SchemaPtr catalog = Version({Numbered("id", 23, 1), Numbered("b", 25, 3)}, "1", 3);
  EXPECT_EQ(PlaceVersion(Known(), catalog, Described({{"id", 23}, {"b", 25}})), catalog);
}

TEST(PlaceVersion, CannotTellADroppedAndAnAddedColumnOfOneTypeFromARename) {
  const SchemaPtr catalog =
      Version({Numbered("id", 23, 1), Numbered("b", 25, 3), Numbered("c", 25, 4)});
  EXPECT_EQ(PlaceVersion(Known(), catalog, Described({{"id", 23}, {"b", 25}, {"c", 25}})),
            catalog);  // an int cannot have become the text that is last
  const SchemaPtr same =
      Version({Numbered("id", 23, 1), Numbered("a", 23, 2), Numbered("c", 25, 4)});
  EXPECT_EQ(PlaceVersion(Known(), same, Described({{"id", 23}, {"a", 23}, {"c", 25}})), nullptr);
}

TEST(PlaceVersion, CannotTellAColumnThatCameAndWent) {
  auto catalog = Version(
      {Numbered("id", 23, 1), Numbered("a", 23, 2), Numbered("b", 25, 3), Numbered("n", 23, 5)});
  EXPECT_EQ(
      PlaceVersion(Known(), catalog, Described({{"id", 23}, {"a", 23}, {"b", 25}, {"n", 23}})),
      nullptr);
}

TEST(PlaceVersion, KeepsThePrimaryKeyUnderFull) {
  auto known = Known();
  known->identity = ReplicaIdentity::kFull;
  auto catalog = std::make_shared<TableSchema>(*known);
  catalog->columns.push_back(Numbered("n", 23, 4));
  catalog->columns.push_back(Numbered("m", 23, 5));
  catalog->facts.attnum_max = 5;
  const TableSchema described = *MakeTable(
      {MakeColumn("id", 23), MakeColumn("a", 23), MakeColumn("b", 25), MakeColumn("n", 23)}, {},
      ReplicaIdentity::kFull);
  const SchemaPtr placed = PlaceVersion(known, catalog, described);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->key, std::vector<std::int32_t>{0});
}

TEST(IsInForce, WhenEveryTransactionThatAlteredAColumnSinceHasPassed) {
  const auto known = Known();
  const auto passed = [](std::uint32_t by) { return by == 200; };
  // Column 2 was dropped and 4 added by 200.
  EXPECT_TRUE(IsInForce(
      *known, std::vector<ColumnAlteration>{{1, 100}, {2, 200}, {3, 100}, {4, 200}}, passed));
  EXPECT_FALSE(IsInForce(
      *known, std::vector<ColumnAlteration>{{1, 100}, {2, 200}, {3, 100}, {4, 201}}, passed));
  EXPECT_FALSE(
      IsInForce(*known, std::vector<ColumnAlteration>{{1, 100}, {2, 99}, {3, 100}}, passed));
}

TEST(IsInForce, WhateverBecameOfColumnsThatWereGoneOrNotPublishedBefore) {
  auto known = Version({Numbered("id", 23, 1), Numbered("b", 25, 3)});
  EXPECT_TRUE(IsInForce(*known, std::vector<ColumnAlteration>{{1, 100}, {2, 300}, {3, 100}},
                        [](std::uint32_t) { return false; }));
}

TEST(IsInForce, NotWhereTheKnownColumnsHaveNoNumbers) {
  auto known = Known();
  known->columns[1].attnum = 0;
  EXPECT_FALSE(IsInForce(*known, {}, [](std::uint32_t) { return true; }));
}

TEST(CompareVersions, CopiesATableAgainWhosePartitionsBroughtRows) {
  auto from = Known();
  from->facts.files = "20/20/7+";
  auto to = Known();
  to->facts.files = "20/20/7+ 21/21/8+";
  EXPECT_EQ(Compare(from, to), SchemaChange::kNone);
  to->facts.files = "20/20/7+ 21/21/8";
  EXPECT_EQ(Compare(from, to), SchemaChange::kCopyAgain);
}

}  // namespace
}  // namespace sluice::replication
