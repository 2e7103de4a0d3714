#include "replication/net_change_fold.h"

#include <arrow/record_batch.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <tuple>
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
using ::testing::SizeIs;
using testing::TextRow;
using testing::TextRows;

constexpr std::uint32_t kInt4 = 23;
constexpr std::uint32_t kText = 25;
constexpr std::uint32_t kFloat8 = 701;

SchemaPtr Keyed(ReplicaIdentity identity = ReplicaIdentity::kDefault) {
  return MakeTable({MakeColumn("id", kInt4), MakeColumn("name", kText), MakeColumn("big", kText)},
                   {0}, identity);
}
SchemaPtr Keyless() {
  return MakeTable({MakeColumn("a", kInt4), MakeColumn("b", kText)}, {}, ReplicaIdentity::kFull);
}

NetChange Fold(const SchemaPtr& schema, const std::vector<ChangeBatch>& batches,
               const FoldOptions& options = {}) {
  static const std::vector<TransactionMark> marks = {{{5}, {500}, {508}, {}}};
  std::vector<FoldItem> items;
  for (const ChangeBatch& batch : batches) {
    items.push_back({.batch = &batch, .transactions = &marks});
  }
  auto net = FoldNet(schema, items, options);
  EXPECT_TRUE(net) << (net ? "" : net.error().message);
  return net ? *std::move(net) : NetChange{};
}

class FoldKeyedTest : public ::testing::Test {
 protected:
  NetChange Fold() {
    std::vector<ChangeBatch> batches;
    batches.push_back(maker_.Finish());
    return replication::Fold(schema_, batches);
  }
  SchemaPtr schema_ = Keyed();
  BatchMaker maker_{schema_};
};

TEST_F(FoldKeyedTest, HandsOnASingleBatchOfInsertsAsItIs) {
  maker_.Insert({"1", "a", "x"});
  const ChangeBatch batch = maker_.Finish();
  const FoldItem item{.batch = &batch};
  const auto net = FoldNet(schema_, std::span(&item, 1));
  EXPECT_EQ(net->inserts, batch.values);
  EXPECT_EQ(net->deletes, nullptr);
  EXPECT_EQ(net->update_values, nullptr);
}

TEST_F(FoldKeyedTest, ConcatenatesBatchesOfInserts) {
  maker_.Insert({"1", "a", "x"});
  maker_.Insert({"2", "b", "x"});
  std::vector<ChangeBatch> batches;
  batches.push_back(maker_.Finish());
  maker_.Insert({"3", std::nullopt, "x"});
  batches.push_back(maker_.Finish());
  const FoldItem items[] = {{.batch = &batches[0], .row_begin = 1}, {.batch = &batches[1]}};
  EXPECT_THAT(TextRows(FoldNet(schema_, items)->inserts),
              ElementsAre(TextRow{"2", "b", "x"}, TextRow{"3", std::nullopt, "x"}));
}

TEST_F(FoldKeyedTest, KeepsTheLastImageOfARow) {
  maker_.Update({"1", "b", "x"}, std::nullopt);
  maker_.Update({"1", "c", "y"}, std::nullopt);
  const NetChange net = Fold();
  EXPECT_THAT(TextRows(net.update_origin_keys), ElementsAre(TextRow{"1"}));
  EXPECT_THAT(TextRows(net.update_values), ElementsAre(TextRow{"1", "c", "y"}));
  EXPECT_THAT(net.update_unchanged, IsEmpty());
}

TEST_F(FoldKeyedTest, FoldsAnUpdateIntoTheInsertBeforeIt) {
  maker_.Insert({"1", "a", "x"});
  maker_.Update({"1", "b", ""}, std::nullopt, {2});
  EXPECT_THAT(TextRows(Fold().inserts), ElementsAre(TextRow{"1", "b", "x"}));
}

TEST_F(FoldKeyedTest, ForgetsARowThatIsBornAndGone) {
  maker_.Insert({"1", "a", "x"});
  maker_.Update({"2", "a", "x"}, TextRow{"1", std::nullopt, std::nullopt});
  maker_.Delete({"2", std::nullopt, std::nullopt});
  const NetChange net = Fold();
  EXPECT_EQ(net.inserts, nullptr);
  EXPECT_EQ(net.deletes, nullptr);
  EXPECT_EQ(net.update_values, nullptr);
}

TEST_F(FoldKeyedTest, MakesOneUpdateOfADeleteAndAnInsertOfTheSameKey) {
  maker_.Delete({"1", std::nullopt, std::nullopt});
  maker_.Insert({"1", "n", std::nullopt});
  const NetChange net = Fold();
  EXPECT_EQ(net.inserts, nullptr);
  EXPECT_EQ(net.deletes, nullptr);
  EXPECT_THAT(TextRows(net.update_origin_keys), ElementsAre(TextRow{"1"}));
  EXPECT_THAT(TextRows(net.update_values), ElementsAre(TextRow{"1", "n", std::nullopt}));
}

TEST_F(FoldKeyedTest, DeletesByTheKeyBeforeAMove) {
  maker_.Update({"2", "a", "x"}, TextRow{"1", std::nullopt, std::nullopt});
  maker_.Delete({"2", std::nullopt, std::nullopt});
  EXPECT_THAT(TextRows(Fold().deletes), ElementsAre(TextRow{"1"}));
}

// T63: the key changes, an unchanged value is not sent.
TEST_F(FoldKeyedTest, MovesARowAndKeepsWhatWasNotSent) {
  maker_.Update({"5", "b", ""}, TextRow{"1", std::nullopt, std::nullopt}, {2});
  const NetChange net = Fold();
  EXPECT_THAT(TextRows(net.update_origin_keys), ElementsAre(TextRow{"1"}));
  EXPECT_EQ(TextRows(net.update_values)[0][0], "5");
  ASSERT_THAT(net.update_unchanged, SizeIs(3));
  EXPECT_TRUE(net.update_unchanged[2][0]);
  EXPECT_FALSE(net.update_unchanged[1].any());
}

// T61: three states per cell, folded over several images.
TEST_F(FoldKeyedTest, TakesUnsentCellsFromEarlierImages) {
  maker_.Update({"1", "", "big1"}, std::nullopt, {1});
  maker_.Update({"1", "n2", ""}, std::nullopt, {2});
  maker_.Update({"2", "", ""}, std::nullopt, {1, 2});
  const NetChange net = Fold();
  EXPECT_THAT(TextRows(net.update_values)[0], ElementsAre("1", "n2", "big1"));
  ASSERT_THAT(net.update_unchanged, SizeIs(3));
  EXPECT_FALSE(net.update_unchanged[1][0]);
  EXPECT_FALSE(net.update_unchanged[2][0]);
  EXPECT_TRUE(net.update_unchanged[1][1]);
  EXPECT_TRUE(net.update_unchanged[2][1]);
}

TEST_F(FoldKeyedTest, FollowsAChainOfKeys) {
  for (const int id : {3, 2, 1}) {
    maker_.Update({std::to_string(id + 1), std::to_string(id), "x"},
                  TextRow{std::to_string(id), std::nullopt, std::nullopt});
  }
  const NetChange net = Fold();
  EXPECT_THAT(TextRows(net.update_origin_keys),
              ElementsAre(TextRow{"3"}, TextRow{"2"}, TextRow{"1"}));
  EXPECT_THAT(TextRows(net.update_values),
              ElementsAre(TextRow{"4", "3", "x"}, TextRow{"3", "2", "x"}, TextRow{"2", "1", "x"}));
}

TEST_F(FoldKeyedTest, SwapsKeysOverAThirdOne) {
  const auto old = [](const char* id) { return TextRow{id, std::nullopt, std::nullopt}; };
  maker_.Update({"9", "a", "x"}, old("1"));
  maker_.Update({"1", "b", "x"}, old("2"));
  maker_.Update({"2", "a", "x"}, old("9"));
  const NetChange net = Fold();
  EXPECT_THAT(TextRows(net.update_origin_keys), ElementsAre(TextRow{"1"}, TextRow{"2"}));
  EXPECT_THAT(TextRows(net.update_values),
              ElementsAre(TextRow{"2", "a", "x"}, TextRow{"1", "b", "x"}));
}

// A key kept out of line is not sent with the new row, only in the old one.
TEST_F(FoldKeyedTest, TakesAnUnsentKeyFromTheOldRow) {
  const SchemaPtr schema =
      MakeTable({MakeColumn("k", kText), MakeColumn("v", kText)}, {0}, ReplicaIdentity::kDefault);
  BatchMaker maker(schema);
  maker.Update({"", "v2"}, TextRow{"longkey", std::nullopt}, {0});
  std::vector<ChangeBatch> batches;
  batches.push_back(maker.Finish());
  const NetChange net = replication::Fold(schema, batches);
  EXPECT_THAT(TextRows(net.update_origin_keys), ElementsAre(TextRow{"longkey"}));
  EXPECT_THAT(TextRows(net.update_values), ElementsAre(TextRow{"longkey", "v2"}));
  EXPECT_THAT(net.update_unchanged, IsEmpty());
}

TEST_F(FoldKeyedTest, TruncateForgetsWhatWasBefore) {
  maker_.Update({"1", "b", "x"}, std::nullopt);
  const ChangeBatch before = maker_.Finish();
  maker_.Insert({"1", "n", "x"});
  const ChangeBatch after = maker_.Finish();
  const FoldItem items[] = {{.batch = &before}, {}, {.batch = &after}};
  const auto net = FoldNet(schema_, items);
  EXPECT_TRUE(net->truncate);
  EXPECT_EQ(net->update_values, nullptr);
  EXPECT_THAT(TextRows(net->inserts), ElementsAre(TextRow{"1", "n", "x"}));
  EXPECT_TRUE(FoldNet(schema_, std::span(items).first(2))->truncate);
}

TEST_F(FoldKeyedTest, GivesTheIdOfTheLastChange) {
  maker_.Insert({"1", "a", "x"});
  maker_.Update({"1", "b", "x"}, std::nullopt);
  maker_.Delete({"2", std::nullopt, std::nullopt});
  maker_.Update({"3", "b", "x"}, std::nullopt);
  std::vector<ChangeBatch> batches;
  batches.push_back(maker_.Finish());
  const NetChange net = replication::Fold(schema_, batches, {.wants_change_ids = true});
  ASSERT_THAT(net.insert_ids, SizeIs(1));
  EXPECT_EQ(net.insert_ids[0].commit_lsn, Lsn{500});
  EXPECT_EQ(net.insert_ids[0].ordinal, 1U);
  EXPECT_EQ(net.delete_ids[0].ordinal, 2U);
  EXPECT_EQ(net.update_ids[0].ordinal, 3U);
}

TEST_F(FoldKeyedTest, RefusesABatchWithoutItsOldRows) {
  maker_.Delete({"1", std::nullopt, std::nullopt});
  ChangeBatch batch = maker_.Finish();
  batch.old = nullptr;
  const FoldItem item{.batch = &batch};
  EXPECT_THAT(FoldNet(schema_, std::span(&item, 1)), CodeIs("SLU-9101"));
}

TEST(FoldKeys, TreatBothZerosAsOneKey) {
  const SchemaPtr schema =
      MakeTable({MakeColumn("k", kFloat8), MakeColumn("v", kText)}, {0}, ReplicaIdentity::kDefault);
  BatchMaker maker(schema);
  maker.Delete({"0", std::nullopt});
  maker.Insert({"-0", "v"});
  maker.Delete({"NaN", std::nullopt});
  maker.Insert({"NaN", "w"});
  std::vector<ChangeBatch> batches;
  batches.push_back(maker.Finish());
  const NetChange net = Fold(schema, batches);
  EXPECT_EQ(net.deletes, nullptr);
  EXPECT_THAT(TextRows(net.update_values), SizeIs(2));
}

// T65: a deferrable key under FULL; both rows have key 2 for a moment.
TEST(FoldFull, SwapsKeysInOneStatement) {
  const SchemaPtr schema = Keyed(ReplicaIdentity::kFull);
  BatchMaker maker(schema);
  maker.Update({"2", "a", "x"}, TextRow{"1", "a", "x"});
  maker.Update({"1", "b", "x"}, TextRow{"2", "b", "x"});
  std::vector<ChangeBatch> batches;
  batches.push_back(maker.Finish());
  const NetChange net = Fold(schema, batches);
  EXPECT_THAT(TextRows(net.update_origin_keys), ElementsAre(TextRow{"1"}, TextRow{"2"}));
  EXPECT_THAT(TextRows(net.update_values),
              ElementsAre(TextRow{"2", "a", "x"}, TextRow{"1", "b", "x"}));
}

TEST(FoldKeylessTest, SubtractsWhatIsDeletedFromWhatIsInserted) {
  const SchemaPtr schema = Keyless();
  BatchMaker maker(schema);
  maker.Insert({"1", "x"});
  maker.Insert({"1", "x"});
  maker.Insert({"1", "x"});
  maker.Delete({"1", "x"});
  maker.Delete({"2", "y"});
  maker.Delete({"2", "y"});
  maker.Update({"3", "z"}, TextRow{"4", std::nullopt});
  std::vector<ChangeBatch> batches;
  batches.push_back(maker.Finish());
  const NetChange net = Fold(schema, batches);
  EXPECT_THAT(TextRows(net.inserts),
              ElementsAre(TextRow{"1", "x"}, TextRow{"1", "x"}, TextRow{"3", "z"}));
  EXPECT_THAT(TextRows(net.row_deletes),
              ElementsAre(TextRow{"2", "y"}, TextRow{"2", "y"}, TextRow{"4", std::nullopt}));
}

TEST(FoldKeylessTest, TakesBothZerosAsDifferentRows) {
  const SchemaPtr schema = MakeTable({MakeColumn("a", kFloat8)}, {}, ReplicaIdentity::kFull);
  BatchMaker maker(schema);
  maker.Update({"-0"}, TextRow{"0"});
  std::vector<ChangeBatch> batches;
  batches.push_back(maker.Finish());
  const NetChange net = Fold(schema, batches);
  EXPECT_THAT(TextRows(net.inserts), ElementsAre(TextRow{"-0"}));
  EXPECT_THAT(TextRows(net.row_deletes), ElementsAre(TextRow{"0"}));
}

TEST(FoldNet, OfNothingIsNothing) {
  EXPECT_EQ(FoldNet(Keyed(), {})->inserts, nullptr);
  EXPECT_FALSE(FoldNet(Keyed(), {})->truncate);
}

// T74.
TEST(FoldNet, KeepsRowsOfATableWithoutColumns) {
  const SchemaPtr schema = MakeTable({}, {}, ReplicaIdentity::kFull);
  BatchMaker maker(schema);
  maker.Insert({});
  std::vector<ChangeBatch> batches;
  batches.push_back(maker.Finish());
  maker.Insert({});
  batches.push_back(maker.Finish());
  EXPECT_EQ(Fold(schema, batches).inserts->num_rows(), 2);
}

/// Row, column, text.
using Kept = std::vector<std::tuple<std::uint32_t, std::uint32_t, std::string>>;

Kept KeptOf(const std::vector<Misfit>& misfits) {
  Kept out;
  for (const Misfit& misfit : misfits) out.emplace_back(misfit.row, misfit.column, misfit.text);
  return out;
}

/// Arrays of more than one dimension are let go.
SchemaPtr LettingGo(std::vector<std::int32_t> key, ReplicaIdentity identity) {
  constexpr std::uint32_t kInt4Array = 1007;
  std::vector<Column> columns = {MakeColumn("id", kInt4), MakeColumn("a", kInt4Array),
                                 MakeColumn("b", kInt4Array)};
  for (Column& column : columns) column.on_misfit = OnMisfit::kQuarantine;
  return MakeTable(std::move(columns), std::move(key), identity);
}

TEST(FoldMisfits, FollowTheCellsOfTheRowsThatAreLeft) {
  const SchemaPtr schema = LettingGo({0}, ReplicaIdentity::kDefault);
  BatchMaker maker(schema);
  maker.Insert({"1", "{{1}}", "{1}"});
  maker.Insert({"2", "{{2}}", "{{22}}"});
  maker.Update({"2", "", "{2}"}, std::nullopt, {1});    // keeps a, heals b
  maker.Update({"3", "{{3}}", ""}, std::nullopt, {2});  // b is not known
  maker.Update({"5", "", "{5}"}, TextRow{"4", std::nullopt, std::nullopt}, {1});
  maker.Insert({"6", "{{6}}", "{6}"});
  maker.Delete({"6", std::nullopt, std::nullopt});
  maker.Update({"3", "{3}", "{{33}}"}, std::nullopt);  // heals a
  std::vector<ChangeBatch> batches;
  batches.push_back(maker.Finish());
  maker.Insert({"7", "{7}", "{{7}}"});
  batches.push_back(maker.Finish());
  const NetChange net = Fold(schema, batches);
  ASSERT_NE(net.inserts, nullptr);
  EXPECT_EQ(net.inserts->num_rows(), 3);
  EXPECT_EQ(KeptOf(net.insert_misfits), (Kept{{0, 1, "{{1}}"}, {1, 1, "{{2}}"}, {2, 2, "{{7}}"}}));
  EXPECT_EQ(KeptOf(net.update_misfits), (Kept{{0, 2, "{{33}}"}}));
}

TEST(FoldMisfits, OfInsertsAloneKeepTheirRows) {
  const SchemaPtr schema = LettingGo({0}, ReplicaIdentity::kDefault);
  BatchMaker maker(schema);
  maker.Insert({"1", "{{1}}", "{1}"});
  maker.Insert({"2", "{{2}}", "{2}"});
  std::vector<ChangeBatch> batches;
  batches.push_back(maker.Finish());
  maker.Insert({"3", "{{3}}", "{3}"});
  batches.push_back(maker.Finish());
  const FoldItem items[] = {{.batch = &batches[0], .row_begin = 1}, {.batch = &batches[1]}};
  const auto net = FoldNet(schema, items);
  EXPECT_EQ(KeptOf(net->insert_misfits), (Kept{{0, 1, "{{2}}"}, {1, 1, "{{3}}"}}));
}

TEST(FoldMisfits, TellRowsWithoutAKeyApart) {
  const SchemaPtr schema = LettingGo({}, ReplicaIdentity::kFull);
  BatchMaker maker(schema);
  maker.Insert({"1", "{{1}}", "{1}"});
  maker.Delete({"1", "{{2}}", "{1}"});
  maker.Insert({"1", "{{3}}", "{1}"});
  maker.Delete({"1", "{{3}}", "{1}"});
  std::vector<ChangeBatch> batches;
  batches.push_back(maker.Finish());
  const NetChange net = Fold(schema, batches);
  EXPECT_EQ(KeptOf(net.insert_misfits), (Kept{{0, 1, "{{1}}"}}));
  EXPECT_EQ(KeptOf(net.row_delete_misfits), (Kept{{0, 1, "{{2}}"}}));
}

}  // namespace
}  // namespace sluice::replication
