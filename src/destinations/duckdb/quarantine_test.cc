// sluice.quarantine: one entry for each cell that is NULL for want of an exact form, whatever
// happens to its row. Behind every commit the file is replayed and compared.
#include "destinations/duckdb/duckdb_test_fixture.h"

namespace sluice::duckdb {
namespace {

constexpr const char* kEntries =
    "SELECT \"key\", \"column\", \"value\" FROM sluice.quarantine ORDER BY ALL";

SchemaPtr LettingGo(const SchemaPtr& from) {
  auto schema = std::make_shared<TableSchema>(*from);
  for (Column& column : schema->columns) column.on_misfit = OnMisfit::kQuarantine;
  return schema;
}

SchemaPtr Orders() {
  return LettingGo(
      MakeSchema(16'384, {"public", "orders"},
                 {{"id", Carrier::kInt64, kKey}, {"a", Carrier::kText}, {"b", Carrier::kText}}));
}

Misfit At(std::uint32_t row, std::uint32_t column, std::string text) {
  return {.row = row,
          .column = column,
          .reason = "why",
          .text = std::move(text),
          .commit_lsn = {0x100},
          .committed_at = {1'000'000}};
}

class QuarantineTest : public DuckDbTest {
 protected:
  /// Rows 1 to 3, of which 1 and 2 lack a, and 2 lacks b.
  void MakeOrders() {
    OpenFile();
    CopyMisfits({{"1", kNull, "x"}, {"2", kNull, kNull}, {"3", "c", "y"}},
                {At(0, 1, "A1"), At(1, 1, "A2"), At(1, 2, "B2")});
    Land(orders_);
    Commit(orders_);
  }
  void CopyMisfits(const Rows& rows, std::vector<Misfit> misfits) {
    auto writer = destination_->OpenCopy({{orders_->relation, 0}, orders_, orders_->name});
    ASSERT_TRUE(writer) << Why(writer);
    const Status appended = (*writer)->Append({MakeRows(*orders_, rows), std::move(misfits)});
    ASSERT_TRUE(appended) << Why(appended);
    ASSERT_TRUE((*writer)->Finish());
  }
  std::string Entries() { return Sql(kEntries); }

  SchemaPtr orders_ = Orders();
};

TEST_F(QuarantineTest, CopiedEntriesComeWithTheirTable) {
  MakeOrders();
  EXPECT_EQ(Entries(), "{\"id\": 1}|a|A1\n{\"id\": 2}|a|A2\n{\"id\": 2}|b|B2");
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice._copied_misfits"), "0");
  CopyMisfits({{"7", kNull, "x"}}, {At(0, 1, "A7")});
  EXPECT_EQ(Entries(), "{\"id\": 1}|a|A1\n{\"id\": 2}|a|A2\n{\"id\": 2}|b|B2");
  Land(orders_);
  Commit();
  EXPECT_EQ(Entries(), "{\"id\": 7}|a|A7");
}

TEST_F(QuarantineTest, ACopyThatIsGivenUpLeavesNothing) {
  MakeOrders();
  CopyMisfits({{"7", kNull, "x"}}, {At(0, 1, "A7")});
  ASSERT_TRUE(destination_->DiscardCopy({orders_->relation, 0}));
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice._copied_misfits"), "0");
  CopyMisfits({{"8", kNull, "x"}}, {At(0, 1, "A8")});
  destination_.reset();  // as a kill
  OpenFile();
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice._copied_misfits"), "0");
  EXPECT_EQ(Entries(), "{\"id\": 1}|a|A1\n{\"id\": 2}|a|A2\n{\"id\": 2}|b|B2");
}

TEST_F(QuarantineTest, UpdatesHealMoveAndKeep) {
  MakeOrders();
  // 1 and 2 change places; b of the one that was 2 is not sent; a of the one that was 1 heals.
  NetChange change = Updates(orders_, {{"1"}, {"2"}, {"3"}},
                             {{"2", "a", "x"}, {"1", kNull, kNull}, {"3", kNull, "y"}});
  change.update_unchanged.resize(3);
  change.update_unchanged[1].Set(1);
  change.update_unchanged[2].Set(1);
  change.update_misfits = {At(2, 1, "A3")};
  Stage(std::move(change));
  Commit();
  EXPECT_EQ(Entries(), "{\"id\": 1}|a|A2\n{\"id\": 1}|b|B2\n{\"id\": 3}|a|A3");
  EXPECT_EQ(Sql("SELECT lsn, committed_at IS NOT NULL FROM sluice.quarantine ORDER BY ALL"),
            "256|false\n256|false\n256|true");
  Stage(Deletes(orders_, {{"1"}}));
  Commit();
  EXPECT_EQ(Entries(), "{\"id\": 3}|a|A3");
  NetChange empty;
  empty.schema = orders_;
  empty.truncate = true;
  Stage(std::move(empty));
  NetChange born = Inserts(orders_, {{"4", kNull, kNull}});
  born.insert_misfits = {At(0, 2, "B4")};
  Stage(std::move(born));
  Commit();
  EXPECT_EQ(Entries(), "{\"id\": 4}|b|B4");
}

TEST_F(QuarantineTest, WhatWasAbandonedNeverHappened) {
  MakeOrders();
  CopyMisfits({{"1", "a", "x"}}, {});
  Land(orders_);
  Stage(Updates(orders_, {{"1"}}, {{"1", "b", "x"}}));
  destination_->Abandon();
  Stage(Deletes(orders_, {{"2"}}));
  Commit();
  EXPECT_EQ(Entries(), "{\"id\": 1}|a|A1");
}

TEST_F(QuarantineTest, ColumnsThatAreRenamedAndDroppedTakeTheirEntriesAlong) {
  MakeOrders();
  auto to = std::make_shared<TableSchema>(*orders_);
  to->columns.erase(to->columns.begin() + 1);
  to->columns[1].name = "a";
  Stage(SequenceItem(AlterTable{orders_, to, Lsn{2}}));
  NetChange born = Inserts(to, {{"5", kNull}});
  born.insert_misfits = {At(0, 1, "A5")};
  Stage(std::move(born));
  Commit(to);
  EXPECT_EQ(Entries(), "{\"id\": 2}|a|B2\n{\"id\": 5}|a|A5");
}

TEST_F(QuarantineTest, AnotherKeyAsksForACopyOnlyWhereThereAreEntries) {
  MakeOrders();
  auto to = std::make_shared<TableSchema>(*orders_);
  to->columns[0].name = "number";
  const auto refused = destination_->Stage(SequenceItem(AlterTable{orders_, to, Lsn{2}}));
  ASSERT_TRUE(refused && refused->table_failed);
  EXPECT_EQ(refused->table_failed->error.code, "SLU-5027");
  destination_->Abandon();
  Stage(Deletes(orders_, {{"1"}, {"2"}}));
  Commit();
  Stage(SequenceItem(AlterTable{orders_, to, Lsn{2}}));
  Commit(to);
  EXPECT_EQ(Entries(), "");
}

TEST_F(QuarantineTest, KeysAreToldApartWhateverTheyHold) {
  OpenFile();
  const SchemaPtr table = LettingGo(MakeSchema(
      16'385, {"public", "keys"},
      {{"k", Carrier::kText, kKey}, {"f", Carrier::kFloat64, kKey}, {"a", Carrier::kText}}));
  MakeLive(table, {});
  NetChange born = Inserts(table, {{"x\", \"f", "0", kNull}, {"\n", "-0.5", kNull}});
  born.insert_misfits = {At(0, 2, "one"), At(1, 2, "two")};
  Stage(std::move(born));
  Commit();
  EXPECT_EQ(Sql("SELECT \"key\"->>'k' = 'x\", \"f', \"key\"->>'f', \"value\" FROM"
                " sluice.quarantine ORDER BY \"value\""),
            "true|0|one\nfalse|-0.5|two");
  Stage(Deletes(table, {{"x\", \"f", "-0"}}));
  Commit();
  EXPECT_EQ(Sql("SELECT \"value\" FROM sluice.quarantine"), "two");
}

TEST_F(QuarantineTest, EntriesOfATableGoWithIt) {
  MakeOrders();
  TableRecord gone = RecordOf(orders_);
  gone.was_removed = true;
  CommitRecord record{.sequence = ++sequence_};
  record.tables.push_back(gone);
  ASSERT_TRUE(destination_->Commit(record));
  EXPECT_EQ(Entries(), "");
}

}  // namespace
}  // namespace sluice::duckdb
