#include "destinations/duckdb/table_progress.h"

#include "destinations/duckdb/duckdb_test_fixture.h"

namespace sluice::duckdb {
namespace {

TableRecord Live() {
  TableRecord record;
  record.relation = {1};
  record.source = {"public", "a"};
  record.destination = {"public", "a"};
  record.state = TableState::kLive;
  record.since = {5};
  record.lsn = {0x100};
  record.committed_at = {7};
  return record;
}

TEST(TableProgressTest, IsRowsPositionAndTimeAndNothingElse) {
  TableRecord to = Live();
  to.row_count = 3;
  to.lsn = {0x200};
  to.committed_at = {8};
  EXPECT_TRUE(IsProgressOnly(Live(), to));
  const auto differs = [&](auto&& change) {
    TableRecord other = to;
    change(other);
    return !IsProgressOnly(Live(), other);
  };
  EXPECT_TRUE(differs([](TableRecord& record) { record.state = TableState::kHalted; }));
  EXPECT_TRUE(differs([](TableRecord& record) { record.mode = TableMode::kAppend; }));
  EXPECT_TRUE(differs([](TableRecord& record) { record.source.table = "b"; }));
  EXPECT_TRUE(differs([](TableRecord& record) { record.destination.schema = "b"; }));
  EXPECT_TRUE(differs([](TableRecord& record) { record.since = {6}; }));
  EXPECT_TRUE(differs([](TableRecord& record) { record.reason = "full"; }));
  EXPECT_TRUE(differs([](TableRecord& record) { record.advice = "make room"; }));
  EXPECT_TRUE(differs([](TableRecord& record) { record.was_removed = true; }));
  EXPECT_TRUE(differs([](TableRecord& record) { record.lsn = {}; }));
  EXPECT_TRUE(differs([](TableRecord& record) { record.committed_at = {}; }));
}

class TableProgressFileTest : public DuckDbTest {
 protected:
  void SetUp() override {
    DuckDbTest::SetUp();
    OpenFile();
    for (const SchemaPtr& schema : {a_, b_, c_}) MakeLive(schema, {{"1"}});
    Advance({a_, b_, c_}, 1);
  }
  /// They come to have `rows` rows, `rows` + 1 and so on, and places and times by that.
  void Advance(const std::vector<SchemaPtr>& schemas, std::int64_t rows) {
    CommitRecord record{.sequence = ++sequence_};
    for (const SchemaPtr& schema : schemas) {
      TableRecord table = RecordOf(schema);
      table.row_count = rows++;
      table.lsn = {0x1000 + static_cast<std::uint64_t>(table.row_count)};
      table.committed_at = {table.row_count};
      record.tables.push_back(table);
    }
    const auto outcome = destination_->Commit(record);
    ASSERT_TRUE(outcome) << Why(outcome);
    ASSERT_EQ(*outcome, CommitOutcome::kAccepted);
  }
  std::string Stored() {
    return Sql(
        "SELECT \"table\", state, \"rows\", sluice.lsn(lsn), epoch_us(committed_at) "
        "FROM sluice.tables ORDER BY table_oid");
  }

  const SchemaPtr a_ = MakeSchema(1, {"public", "a"}, {{"id", Carrier::kInt64, kKey}});
  const SchemaPtr b_ = MakeSchema(2, {"public", "b"}, {{"id", Carrier::kInt64, kKey}});
  const SchemaPtr c_ = MakeSchema(3, {"public", "c"}, {{"id", Carrier::kInt64, kKey}});
};

TEST_F(TableProgressFileTest, IsStoredForTheTablesOfACommitAndForNoOther) {
  Advance({c_, a_}, 40);
  EXPECT_EQ(Stored(), "a|live|41|0/1029|41\nb|live|2|0/1002|2\nc|live|40|0/1028|40");
  CloseFile();
  OpenFile();
  EXPECT_EQ(state_.tables[0].row_count, 41);
  EXPECT_EQ(state_.tables[0].lsn, Lsn{0x1029});
}

TEST_F(TableProgressFileTest, OfATableThatComesTwiceInACommitTheLastCounts) {
  Advance({a_, b_, a_}, 40);
  EXPECT_EQ(Stored(), "a|live|42|0/102A|42\nb|live|41|0/1029|41\nc|live|3|0/1003|3");
}

}  // namespace
}  // namespace sluice::duckdb
