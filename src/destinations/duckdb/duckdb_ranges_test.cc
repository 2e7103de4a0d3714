// Tables that are copied in ranges: one shadow for all of them, and what it holds of which.
#include <memory>
#include <string>

#include "destinations/duckdb/database.h"
#include "destinations/duckdb/duckdb_test_fixture.h"

namespace sluice::duckdb {
namespace {

using Part = LandUnit::Part;

constexpr const char* kTablesSql =
    "SELECT count(*) FROM duckdb_tables() WHERE starts_with(table_name, '_sluice_')";
constexpr const char* kRowsSql = "SELECT count(*) FROM public._sluice_ranges_16384";
constexpr int kRowGroup = 122'880;  // DuckDB's

class RangesTest : public DuckDbTest {
 protected:
  /// Bounds 10 and 20: three of them.
  CopyRanges Planned(std::vector<bool> landed = {false, false, false}) const {
    return {.attnum = 1,
            .bounds = {10, 20},
            .landed = std::move(landed),
            .schema = orders_,
            .row_count = 77};
  }
  std::unique_ptr<CopyWriter> Begin(std::uint32_t index, const Rows& rows) {
    auto writer =
        destination_->OpenCopy({{orders_->relation, index}, orders_, orders_->name, Planned()});
    if (!writer) {
      ADD_FAILURE() << Why(writer);
      return nullptr;
    }
    const Status appended = (*writer)->Append({MakeRows(*orders_, rows)});
    EXPECT_TRUE(appended) << Why(appended);
    return *std::move(writer);
  }
  void Copy(std::uint32_t index, const Rows& rows) {
    const auto writer = Begin(index, rows);
    ASSERT_NE(writer, nullptr);
    const Status finished = writer->Finish();
    ASSERT_TRUE(finished) << Why(finished);
  }
  void Discard(std::uint32_t index) {
    const Status discarded = destination_->DiscardCopy({orders_->relation, index});
    ASSERT_TRUE(discarded) << Why(discarded);
  }
  LandUnit Landing(std::uint32_t index, Part part) const {
    return {.unit = {orders_->relation, index},
            .schema = orders_,
            .destination = orders_->name,
            .lsn = Lsn{1},
            .part = part};
  }
  void LandRange(std::uint32_t index, Part part = Part::kRange) {
    Stage(SequenceItem(Landing(index, part)));
  }
  /// Empty: none has landed.
  CommitRecord RecordWith(std::vector<bool> landed) {
    CommitRecord record{.sequence = ++sequence_};
    record.tables.push_back(RecordOf(orders_));
    record.tables[0].state = TableState::kCopying;
    record.tables[0].schema = nullptr;
    if (!landed.empty()) record.tables[0].ranges = Planned(std::move(landed));
    return record;
  }
  void CommitLanded(std::vector<bool> landed) {
    const auto outcome = destination_->Commit(RecordWith(std::move(landed)));
    ASSERT_TRUE(outcome) << Why(outcome);
  }
  void RunByHand(const std::string& sql) {
    auto database = Database::Open({.path = file_}, false);
    ASSERT_TRUE(database) << Why(database);
    auto connection = (*database)->Connect();
    const Status done = connection->Run("USE _sluice_file; " + sql, "by hand");
    ASSERT_TRUE(done) << Why(done);
  }

  std::uint64_t RowGroups() {
    auto database = Database::Open({.path = file_}, false);
    if (!database) return 0;
    auto connection = (*database)->Connect();
    const auto found = connection->Query(
        "SELECT count(DISTINCT row_group_id)::UBIGINT "
        "FROM pragma_storage_info('_sluice_file.public.orders')",
        "count row groups");
    EXPECT_TRUE(found) << Why(found);
    return found ? found->u64(0, 0) : 0;
  }

  const SchemaPtr orders_ = MakeSchema(16'384, {"public", "orders"},
                                       {{"id", Carrier::kInt64, kKey}, {"note", Carrier::kText}});
};

TEST_F(RangesTest, ARangeThatIsGivenUpLeavesNoRowToTheNextTry) {
  OpenFile();
  Copy(0, {{"1", "a"}});
  LandRange(0);
  CommitLanded({true, false, false});
  Begin(1, {{"11", "not finished"}}).reset();
  Discard(1);
  Copy(1, {{"12", "finished"}});
  Discard(1);
  Copy(1, {{"13", "at last"}});
  LandRange(1);
  CommitLanded({true, true, false});
  Copy(2, {{"21", "z"}});
  LandRange(2, Part::kLastRange);
  Commit(orders_);
  EXPECT_EQ(ReadRows(orders_), (Rows{{"1", "a"}, {"13", "at last"}, {"21", "z"}}));
  EXPECT_EQ(Sql(kTablesSql), "0");
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice._units"), "0");
}

TEST_F(RangesTest, OfAsManyRowsAsThereAreAtLeastTheyAreLeftByACheckpointAsTheyWereWritten) {
  OpenFile();
  const RowsPtr rows = MakeRows(*orders_, Rows(kRowGroup / 2, {"1", "a"}));
  std::vector<bool> landed = {false, false, false};
  for (std::uint32_t index = 0; index < 3; ++index) {
    const auto writer = Begin(index, {});
    ASSERT_NE(writer, nullptr);
    for (int i = 0; i < 7; ++i) {  // CopyPoolOptions::range
      const Status appended = writer->Append({rows});
      ASSERT_TRUE(appended) << Why(appended);
    }
    const Status finished = writer->Finish();
    ASSERT_TRUE(finished) << Why(finished);
    LandRange(index, index < 2 ? Part::kRange : Part::kLastRange);
    landed[index] = true;
    if (index < 2) CommitLanded(landed);
  }
  Commit(orders_);
  CloseFile();
  EXPECT_EQ(RowGroups(), 12U);
}

TEST_F(RangesTest, TheirShadowGoesWithTheLastOneThatIsGivenUp) {
  OpenFile();
  Copy(1, {{"11", "a"}});
  const auto writer = Begin(2, {{"21", "b"}});
  Discard(1);
  EXPECT_EQ(Sql(kTablesSql), "1");
  Discard(2);
  EXPECT_EQ(Sql(kTablesSql), "0");
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice._units"), "0");
}

TEST_F(RangesTest, ACopyOfALandedTableThatIsGivenUpEndsWithAnErrorAndLeavesNothing) {
  OpenFile();
  Copy(0, {{"1", "a"}});
  LandRange(0);
  CommitLanded({true, false, false});
  const auto late = Begin(1, {{"11", "late"}});
  CommitLanded({});
  EXPECT_EQ(Sql(kTablesSql), "0");
  EXPECT_FALSE(late->Finish());
  Discard(1);
  Copy(0, {{"2", "again"}});
  EXPECT_EQ(Sql(kRowsSql), "1");
  LandRange(0);
  CommitLanded({true, false, false});
  EXPECT_EQ(Sql(kRowsSql), "1");
}

TEST_F(RangesTest, ARangeThatEndsAfterTheTransactionBeganDoesNotLandInIt) {
  OpenFile();
  Copy(0, {{"1", "a"}});
  LandRange(0);
  Copy(1, {{"11", "late"}});
  const auto staged = destination_->Stage(Landing(1, Part::kRange));
  ASSERT_TRUE(staged && staged->table_failed) << Why(staged);
  EXPECT_EQ(staged->table_failed->error.code, "SLU-5114");
  CommitLanded({true, false, false});
  LandRange(1);
  Stage(NetRows{.change = std::make_shared<const NetChange>(Deletes(orders_, {{"11"}})),
                .of_ranges = true});
  CommitLanded({true, true, false});
  EXPECT_EQ(Sql(kRowsSql), "1");
}

TEST_F(RangesTest, TheLastOneDoesNotLandBehindRowsOfTheOthersInOneTransaction) {
  OpenFile();
  Copy(0, {{"1", "a"}});
  Copy(1, {{"11", "b"}});
  LandRange(0);
  CommitLanded({true, false, false});
  Stage(NetRows{.change = std::make_shared<const NetChange>(Deletes(orders_, {{"1"}})),
                .of_ranges = true});
  const auto staged = destination_->Stage(Landing(1, Part::kLastRange));
  ASSERT_TRUE(staged && staged->table_failed) << Why(staged);
  EXPECT_EQ(staged->table_failed->error.code, "SLU-5028");
  destination_->Abandon();
  LandRange(1, Part::kLastRange);
  Commit(orders_);
  EXPECT_EQ(ReadRows(orders_), (Rows{{"1", "a"}, {"11", "b"}}));
}

TEST_F(RangesTest, OfAnEarlierProcessOnlyLandedOnesCount) {
  OpenFile();
  Copy(1, {{"11", "a"}, {"12", "b"}});
  LandRange(1);
  CommitLanded({false, true, false});
  Copy(0, {{"1", "not landed"}});
  Copy(2, {{"21", "not landed"}});
  destination_.reset();  // as by a kill
  OpenFile();
  ASSERT_EQ(state_.tables.size(), 1U);
  ASSERT_TRUE(state_.tables[0].ranges);
  EXPECT_EQ(state_.tables[0].ranges->row_count, 2);
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice._units"), "0");
  Copy(2, {{"22", "c"}});
  LandRange(2);
  CommitLanded({false, true, true});
  Copy(0, {});
  LandRange(0, Part::kLastRange);
  Commit(orders_);
  EXPECT_EQ(ReadRows(orders_), (Rows{{"11", "a"}, {"12", "b"}, {"22", "c"}}));
}

TEST_F(RangesTest, WithoutALandedOneNothingOfAnEarlierProcessIsLeft) {
  OpenFile();
  Copy(0, {{"1", "a"}});
  destination_.reset();  // as by a kill
  OpenFile();
  EXPECT_EQ(Sql(kTablesSql), "0");
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice._units"), "0");
}

TEST_F(RangesTest, ShadowsOfOneRangeEachOfAnEarlierVersionAreGone) {
  OpenFile();
  Copy(0, {{"1", "a"}});
  LandRange(0);
  CommitLanded({true, false, false});
  CloseFile();
  RunByHand(
      "CREATE TABLE public._sluice_copy_16384_1 AS SELECT 11::BIGINT AS id, 'b' AS note; INSERT "
      "INTO "
      "sluice._units VALUES (16384, 1, 'public', '_sluice_copy_16384_1')");
  OpenFile();
  EXPECT_EQ(Sql(kTablesSql), "1");
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice._units"), "0");
  ASSERT_TRUE(state_.tables[0].ranges);
  EXPECT_EQ(state_.tables[0].ranges->row_count, 1);
}

TEST_F(RangesTest, ThatAnotherVersionKnewNothingOfAreForgotten) {
  OpenFile();
  Copy(0, {{"1", "a"}});
  LandRange(0);
  CommitLanded({true, false, false});
  CloseFile();
  OpenFile();
  ASSERT_EQ(state_.tables.size(), 1U);
  ASSERT_TRUE(state_.tables[0].ranges);
  EXPECT_EQ(Sql(kTablesSql), "1");
  CloseFile();
  RunByHand("UPDATE sluice.position SET epoch = epoch + 1");
  OpenFile();
  ASSERT_EQ(state_.tables.size(), 1U);
  EXPECT_FALSE(state_.tables[0].ranges);
  EXPECT_EQ(Sql(kTablesSql), "0");
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice._ranges"), "0");
}

TEST_F(RangesTest, AreFoundInTheSchemaWhereTheyLie) {
  OpenFile();
  Copy(0, {{"1", "a"}});
  LandRange(0);
  CommitRecord record = RecordWith({true, false, false});
  // What was there stays until the last range lands.
  record.tables[0].destination = {"elsewhere", "orders"};
  ASSERT_TRUE(destination_->Commit(record));
  CloseFile();
  OpenFile();
  ASSERT_EQ(state_.tables.size(), 1U);
  ASSERT_TRUE(state_.tables[0].ranges);
  EXPECT_EQ(state_.tables[0].ranges->row_count, 1);
  Stage(NetRows{.change = std::make_shared<const NetChange>(Inserts(orders_, {{"2", "b"}})),
                .of_ranges = true});
  Commit();
  EXPECT_EQ(Sql(kRowsSql), "2");
  CloseFile();
  RunByHand("DROP TABLE public._sluice_ranges_16384");
  OpenFile();
  ASSERT_EQ(state_.tables.size(), 1U);
  EXPECT_FALSE(state_.tables[0].ranges);
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice._ranges"), "0");
}

}  // namespace
}  // namespace sluice::duckdb
