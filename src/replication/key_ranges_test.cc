#include "replication/key_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/testing/result_matchers.h"
#include "replication/testing/change_batches.h"

namespace sluice::replication {
namespace {

using sluice::testing::CodeIs;
using testing::BatchMaker;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::MakeColumn;
using testing::MakeTable;
using testing::TextRow;
using testing::TextRows;

constexpr std::uint32_t kInt4 = 23;
constexpr std::uint32_t kText = 25;

class KeyRangesTest : public ::testing::Test {
 protected:
  KeyRangesTest() {
    auto schema = MakeTable({MakeColumn("a", kText), MakeColumn("id", kInt4)}, {1},
                            ReplicaIdentity::kDefault);
    for (std::size_t i = 0; i < schema->columns.size(); ++i)
      schema->columns[i].attnum = static_cast<std::int16_t>(i + 1);
    schema_ = std::move(schema);
    ranges_.attnum = 2;
    ranges_.bounds = {10, 20};
    ranges_.schema = schema_;
  }
  std::vector<std::pair<std::uint32_t, std::uint32_t>> Places(const ChangeBatch& batch) const {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> out;
    const auto places = PlaceRows(batch, ranges_);
    EXPECT_TRUE(places);
    for (const RowPlace place : *places) out.emplace_back(place.from, place.to);
    return out;
  }

  SchemaPtr schema_;
  CopyRanges ranges_;
};

TEST_F(KeyRangesTest, ABoundBelongsToTheRangeBelowIt) {
  EXPECT_EQ(RangeOf(ranges_, -1'000'000), 0U);
  EXPECT_EQ(RangeOf(ranges_, 10), 0U);
  EXPECT_EQ(RangeOf(ranges_, 11), 1U);
  EXPECT_EQ(RangeOf(ranges_, 20), 1U);
  EXPECT_EQ(RangeOf(ranges_, 21), 2U);
}

TEST_F(KeyRangesTest, ARowIsPlacedByTheKeyBeforeAndAfterItsChange) {
  BatchMaker maker(schema_);
  maker.Insert({"x", "5"});
  maker.Update({"x", "15"}, std::nullopt);
  maker.Update({"x", "25"}, TextRow{std::nullopt, "15"});
  maker.Delete({std::nullopt, "30"});
  EXPECT_THAT(Places(maker.Finish()), ElementsAre(std::pair(0U, 0U), std::pair(1U, 1U),
                                                  std::pair(1U, 2U), std::pair(2U, 2U)));
}

TEST_F(KeyRangesTest, ColumnsWithoutNumbersAreFoundByName) {
  auto told = std::make_shared<TableSchema>(*schema_);
  for (Column& column : told->columns) column.attnum = 0;
  BatchMaker maker{SchemaPtr(told)};
  maker.Insert({"x", "15"});
  EXPECT_THAT(Places(maker.Finish()), ElementsAre(std::pair(1U, 1U)));
  told->columns[1].name = "other";
  BatchMaker renamed{SchemaPtr(told)};
  renamed.Insert({"x", "15"});
  EXPECT_THAT(PlaceRows(renamed.Finish(), ranges_), CodeIs("SLU-4216"));
}

TEST_F(KeyRangesTest, AnUpdateUnderAnIdentityWithoutTheRangeColumnHasNoPlace) {
  auto other = std::make_shared<TableSchema>(*schema_);
  other->identity_columns = {0};
  BatchMaker inserts{SchemaPtr(other)};
  inserts.Insert({"x", "15"});
  EXPECT_THAT(Places(inserts.Finish()), ElementsAre(std::pair(1U, 1U)));
  BatchMaker updates{SchemaPtr(other)};
  updates.Update({"x", "15"}, std::nullopt);
  EXPECT_THAT(PlaceRows(updates.Finish(), ranges_), CodeIs("SLU-4216"));
}

TEST_F(KeyRangesTest, PickedRowsAreABatchOfTheirOwn) {
  BatchMaker maker(schema_);
  maker.Insert({"one", "1"});
  maker.Update({"two", "25"}, TextRow{std::nullopt, "2"});
  maker.Update({"three", "3"}, std::nullopt, {0});
  maker.Delete({std::nullopt, "4"});
  ChangeBatch batch = maker.Finish();
  batch.runs = {{0, 0}, {3, 1}, {4, 3}};
  const PickedRow rows[] = {
      {1, ChangeKind::kDelete}, {2, ChangeKind::kUpdate}, {3, ChangeKind::kDelete}};
  const auto picked = PickRows(batch, rows);
  ASSERT_TRUE(picked) << picked.error().message;
  EXPECT_THAT(TextRows(picked->values),
              ElementsAre(TextRow{std::nullopt, std::nullopt}, TextRow{std::nullopt, "3"},
                          TextRow{std::nullopt, std::nullopt}));
  EXPECT_THAT(TextRows(picked->old),
              ElementsAre(TextRow{"2"}, TextRow{std::nullopt}, TextRow{"4"}));
  EXPECT_THAT(picked->kinds,
              ElementsAre(ChangeKind::kDelete, ChangeKind::kUpdate, ChangeKind::kDelete));
  EXPECT_THAT(picked->ordinals, ElementsAre(1U, 2U, 3U));
  EXPECT_TRUE(HasUnsentValue(*picked, 1));
  EXPECT_FALSE(HasUnsentValue(*picked, 0));
  ASSERT_EQ(picked->runs.size(), 2U);
  EXPECT_EQ(picked->runs[0].transaction, 3U);
  EXPECT_EQ(picked->runs[1].transaction, 4U);
  EXPECT_EQ(picked->runs[1].first_row, 2U);
}

TEST_F(KeyRangesTest, TheInsertOfAMovedRowHasNoOldOne) {
  BatchMaker maker(schema_);
  maker.Update({"two", "25"}, TextRow{std::nullopt, "2"});
  const ChangeBatch batch = maker.Finish();
  const PickedRow rows[] = {{0, ChangeKind::kInsert}};
  const auto picked = PickRows(batch, rows);
  ASSERT_TRUE(picked) << picked.error().message;
  EXPECT_THAT(TextRows(picked->values), ElementsAre(TextRow{"two", "25"}));
  EXPECT_EQ(picked->old, nullptr);
  EXPECT_FALSE(picked->has_old.any());
}

TEST_F(KeyRangesTest, PickedRowsKeepTheirMisfitsAndOnlyTheirs) {
  constexpr std::uint32_t kRows = 3000;
  BatchMaker maker(schema_);
  for (std::uint32_t row = 0; row < kRows; ++row) {
    const std::string key = std::to_string(row);
    if (row % 3 == 0) maker.Insert({std::nullopt, key});
    if (row % 3 == 1) maker.Update({std::nullopt, key}, TextRow{std::nullopt, "7"});
    if (row % 3 == 2) maker.Delete({std::nullopt, key});
  }
  ChangeBatch batch = maker.Finish();
  const auto add = [&batch](std::uint32_t row, bool is_old) {
    Misfit& misfit = batch.misfits.emplace_back();
    misfit.row = row;
    misfit.is_old = is_old;
    misfit.reason = std::to_string(row);
  };
  for (std::uint32_t row = 0; row < kRows; ++row) {
    if (row % 3 != 2) add(row, false);
    if (row % 3 != 0) add(row, true);
  }
  // Every other row; of an update only the half that leaves, then only the half that comes.
  std::vector<PickedRow> rows;
  std::vector<std::tuple<std::uint32_t, std::string, bool>> expected;
  for (std::uint32_t row = 0; row < kRows; row += 2) {
    const auto pick = static_cast<std::uint32_t>(rows.size());
    ChangeKind kind = batch.kind(row);
    if (kind == ChangeKind::kUpdate)
      kind = row % 4 == 0 ? ChangeKind::kDelete : ChangeKind::kInsert;
    rows.push_back({row, kind});
    expected.emplace_back(pick, std::to_string(row), kind == ChangeKind::kDelete);
  }
  const auto picked = PickRows(batch, rows);
  ASSERT_TRUE(picked) << picked.error().message;
  std::vector<std::tuple<std::uint32_t, std::string, bool>> found;
  for (const Misfit& misfit : picked->misfits)
    found.emplace_back(misfit.row, misfit.reason, misfit.is_old);
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace sluice::replication
