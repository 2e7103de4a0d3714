// The part of the contract about logs: what follows from a log is what the changes come to, read
// through the reader.
#include <utility>

#include "destinations/testing/destination_contract.h"

#define SLUICE_NEEDS_LOGS() \
  OpenIt();                 \
  if (!keeps_net_rows()) GTEST_SKIP() << "keeps no rows"

namespace sluice::testing {

void AnchorContractHistory() {}

namespace {

using Rows = std::vector<TextRow>;

SchemaPtr Orders() {
  return MakeSchema(
      16'384, {"public", "orders"},
      {{"id", Carrier::kInt64, kKey}, {"note", Carrier::kText}, {"big", Carrier::kText}});
}

/// One transaction's rows of a log, in order.
class LogOf {
 public:
  LogOf(SchemaPtr schema, std::uint64_t commit_lsn) : commit_lsn_(commit_lsn) {
    change_.schema = std::move(schema);
  }
  LogOf& Add(LogOp op, const TextRow& row, std::vector<std::size_t> unsent = {}) {
    return Add(op, row, next_++, std::move(unsent));
  }
  /// A changed key: two rows of one ordinal.
  LogOf& Move(const TextRow& old, const TextRow& row, std::vector<std::size_t> unsent = {}) {
    const std::uint32_t ordinal = next_++;
    Add(LogOp::kDelete, old, ordinal, {});
    return Add(LogOp::kUpdate, row, ordinal, std::move(unsent));
  }
  SequenceItem Take() {
    change_.rows = MakeRows(*change_.schema, rows_);
    return HistoryRows{std::make_shared<const HistoryChange>(std::move(change_))};
  }

 private:
  LogOf& Add(LogOp op, const TextRow& row, std::uint32_t ordinal, std::vector<std::size_t> unsent) {
    const std::size_t at = rows_.size();
    rows_.push_back(row);
    change_.ops.push_back(op);
    change_.commit_lsns.push_back(Lsn{commit_lsn_});
    change_.ordinals.push_back(ordinal);
    change_.xids.push_back(TransactionId{900});
    change_.committed_at.push_back(UnixMicros{1'700'000'000'000'000});
    if (op == LogOp::kDelete) change_.key_only.Set(at);
    if (!unsent.empty()) change_.unchanged.resize(change_.schema->columns.size());
    for (const std::size_t column : unsent) change_.unchanged[column].Set(at);
    return *this;
  }

  const std::uint64_t commit_lsn_;
  HistoryChange change_;
  Rows rows_;
  std::uint32_t next_ = 0;
};

void StageIt(Destination& destination, const SequenceItem& item) {
  const auto staged = destination.Stage(item);
  ASSERT_TRUE(staged) << staged.error().message << " " << staged.error().server_message;
  ASSERT_FALSE(staged->table_failed)
      << staged->table_failed->error.message << " " << staged->table_failed->error.server_message;
}

}  // namespace

TEST_P(DestinationContract, ALogBeginsWithTheCopyAndFollowsItsChanges) {
  SLUICE_NEEDS_LOGS();
  mode_ = TableMode::kHistory;
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", "large"}, {"2", "b", kNull}, {"3", "c", kNull}});
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "a", "large"}, {"2", "b", kNull}, {"3", "c", kNull}}));
  StageIt(*destination_, LogOf(orders, lsn_ + 1)
                             .Add(LogOp::kUpdate, {"1", "A", kNull}, {2})
                             .Add(LogOp::kDelete, {"2", kNull, kNull})
                             .Add(LogOp::kInsert, {"4", "d", "x"})
                             .Add(LogOp::kUpdate, {"4", "D", kNull}, {2})
                             .Add(LogOp::kUpdate, {"3", kNull, kNull})
                             .Take());
  CommitNow(orders);
  const Rows want{{"1", "A", "large"}, {"3", kNull, kNull}, {"4", "D", "x"}};
  EXPECT_EQ(ReadRows(orders), want);
  const DeliveryState state = Reopen();
  ASSERT_EQ(state.tables.size(), 1U);
  EXPECT_EQ(state.tables[0].mode, TableMode::kHistory);
  EXPECT_EQ(ReadRows(orders), want);
}

TEST_P(DestinationContract, ARowInALogTakesAlongWhatWasNotSentWhenItsKeyChanges) {
  SLUICE_NEEDS_LOGS();
  mode_ = TableMode::kHistory;
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", "one"}, {"2", "b", "two"}});
  StageIt(*destination_, LogOf(orders, lsn_ + 1)
                             .Move({"1", kNull, kNull}, {"9", "a", kNull}, {2})
                             .Move({"2", kNull, kNull}, {"1", "b", kNull}, {2})
                             .Move({"9", kNull, kNull}, {"2", "a", kNull}, {2})
                             .Add(LogOp::kUpdate, {"2", "A", kNull}, {2})
                             .Take());
  CommitNow(orders);
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "b", "two"}, {"2", "A", "one"}}));
}

TEST_P(DestinationContract, ATruncateEndsWhatALogSaidBeforeIt) {
  SLUICE_NEEDS_LOGS();
  mode_ = TableMode::kHistory;
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", kNull}});
  StageIt(*destination_, LogOf(orders, lsn_ + 1)
                             .Add(LogOp::kInsert, {"2", "b", kNull})
                             .Add(LogOp::kTruncate, {kNull, kNull, kNull})
                             .Add(LogOp::kInsert, {"3", "c", kNull})
                             .Take());
  CommitNow(orders);
  EXPECT_EQ(ReadRows(orders), (Rows{{"3", "c", kNull}}));
}

TEST_P(DestinationContract, ALogStaysWhereItsTableIsCopiedAgain) {
  SLUICE_NEEDS_LOGS();
  mode_ = TableMode::kHistory;
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", kNull}, {"2", "b", kNull}});
  MakeLive(orders, {{"2", "B", kNull}});
  EXPECT_EQ(ReadRows(orders), (Rows{{"2", "B", kNull}}));
  CopyRows(orders, {});
  StageLand(orders);
  CommitNow(orders);
  EXPECT_TRUE(ReadRows(orders).empty());
}

TEST_P(DestinationContract, ALogTellsTwoCopiesApartBetweenWhichNothingHappened) {
  SLUICE_NEEDS_LOGS();
  mode_ = TableMode::kHistory;
  const SchemaPtr orders = Orders();
  MakeLive(orders, {});
  const Lsn place{lsn_};
  for (const Rows& rows :
       {Rows{{"1", "a", kNull}, {"2", "b", kNull}, {"3", "c", kNull}}, Rows{{"2", "B", kNull}}}) {
    CopyRows(orders, rows);
    StageIt(*destination_,
            LandUnit{{orders->relation, 0}, orders, orders->name, Lsn{lsn_}, mode_, place});
    CommitNow(orders);
    EXPECT_EQ(ReadRows(orders), rows);
  }
}

TEST_P(DestinationContract, BothAreKeptInOneTransaction) {
  SLUICE_NEEDS_LOGS();
  mode_ = TableMode::kBoth;
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", kNull}});
  const auto stage = [&] {
    StageIt(*destination_, LogOf(orders, lsn_ + 1).Add(LogOp::kInsert, {"2", "b", kNull}).Take());
    NetChange change;
    change.schema = orders;
    change.inserts = MakeRows(*orders, {{"2", "b", kNull}});
    StageNet(std::move(change));
  };
  stage();
  destination_->Abandon();
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "a", kNull}}));
  EXPECT_EQ(ReadLog(orders), ReadRows(orders));
  stage();
  CommitNow(orders);
  CrashAndReopen();
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "a", kNull}, {"2", "b", kNull}}));
  EXPECT_EQ(ReadLog(orders), ReadRows(orders));
}

TEST_P(DestinationContract, ALogFollowsTheShapeOfItsTable) {
  SLUICE_NEEDS_LOGS();
  mode_ = TableMode::kHistory;
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", "x"}});
  const SchemaPtr wider = MakeSchema(16'384, {"public", "orders"},
                                     {{"id", Carrier::kInt64, kKey},
                                      {"note", Carrier::kText},
                                      {"large", Carrier::kText},
                                      {"n", Carrier::kInt32}});
  StageIt(*destination_, AlterTable{orders, wider, Lsn{lsn_}});
  StageIt(*destination_, LogOf(wider, lsn_ + 1).Add(LogOp::kInsert, {"2", "b", "y", "5"}).Take());
  CommitNow(wider);
  EXPECT_EQ(ReadRows(wider), (Rows{{"1", "a", "x", kNull}, {"2", "b", "y", "5"}}));
  Reopen();
  EXPECT_EQ(ReadRows(wider), (Rows{{"1", "a", "x", kNull}, {"2", "b", "y", "5"}}));
}

TEST_P(DestinationContract, ALogLandsFollowsAndTakesRowsInOneCommit) {
  SLUICE_NEEDS_LOGS();
  mode_ = TableMode::kBoth;
  SchemaPtr version = Orders();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  // The log is made by the first landing, and goes on at the second.
  for (const char* name : {"first", "second"}) {
    CopyRows(version, {{"1", "a", "x"}});
    StageLand(version);
    auto next = std::make_shared<TableSchema>(*Orders());
    next->columns[1].name = name;
    StageIt(*destination_, AlterTable{version, next, Lsn{lsn_}});
    version = next;
    StageIt(*destination_, LogOf(version, lsn_ + 1)
                               .Add(LogOp::kUpdate, {"1", "b", kNull}, {2})
                               .Add(LogOp::kInsert, {"2", "c", "y"})
                               .Take());
    NetChange change;
    change.schema = version;
    change.update_origin_keys = MakeRows(*version, version->key, {{"1"}});
    change.update_values = MakeRows(*version, {{"1", "b", "x"}});
    change.inserts = MakeRows(*version, {{"2", "c", "y"}});
    StageNet(std::move(change));
    CommitNow(version);
    CrashAndReopen();
    EXPECT_EQ(ReadRows(version), (Rows{{"1", "b", "x"}, {"2", "c", "y"}}));
    EXPECT_EQ(ReadLog(version), ReadRows(version));
  }
}

}  // namespace sluice::testing
