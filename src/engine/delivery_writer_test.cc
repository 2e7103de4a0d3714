// The writer's thread over a memory destination: the test is the stream and the copies.
#include "engine/delivery_writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <thread>

#include "base/testing/result_matchers.h"
#include "destinations/doubles/doubles.h"
#include "destinations/memory/memory_destination.h"
#include "engine/testing/change_sets.h"
#include "replication/key_ranges.h"

namespace sluice::engine {
namespace {

using memory::MemoryDestination;
using memory::MemoryStorage;
using memory::TextRow;
using replication::Snapshot;
using replication::SnapshotVerdict;
using replication::UnitState;
using sluice::testing::IsError;
using sluice::testing::IsOk;
using testing::Failure;
using testing::Inserts;
using testing::Mark;
using testing::Piece;
using testing::PositionOnly;
using testing::Set;
using testing::Table;

const Clock::time_point kFar = Clock::now() + std::chrono::minutes(5);
/// Sees the transactions below 10; taken at kInsertLsn.
const Snapshot kSnapshot{.xmin = 10, .xmax = 10};
constexpr Lsn kInsertLsn{500};

telemetry::LogOptions Silent() {
  telemetry::LogOptions options;
  options.sink = [](std::string_view) {};
  return options;
}

UnitId UnitOf(const SchemaPtr& table) {
  return {table->relation, 0};
}

class DeliveryWriterTest : public ::testing::Test {
 protected:
  /// Opens the destination with these tables, all pending, and starts the writer.
  void Start(std::unique_ptr<Destination> destination, const std::vector<SchemaPtr>& tables) {
    destination_ = std::move(destination);
    auto state = destination_->Open({.pipeline = "test"});
    ASSERT_THAT(state, IsOk());
    state->position = Position{Lsn{50}, std::nullopt};
    for (const SchemaPtr& table : tables) {
      TableRecord& record = state->tables.emplace_back();
      record.relation = table->relation;
      record.source = record.destination = table->name;
      record.older_writers_done = true;
    }
    writer_.emplace(*destination_, *state, options_, progress_, latency_, logger_);
    thread_ = std::jthread([this] {
      ended_ = writer_->Run();
      writer_->inbox().Stop();
    });
  }
  void Start(const std::vector<SchemaPtr>& tables) {
    Start(std::make_unique<MemoryDestination>(storage_), tables);
  }
  void TearDown() override {
    if (thread_.joinable()) (void)End();
    writer_.reset();
    if (destination_) (void)destination_->Close(kFar);
  }
  /// What is in the inbox is worked off first.
  Status End() {
    writer_->inbox().Close();
    thread_.join();
    return ended_;
  }

  void Push(ChangeSet set) { ASSERT_TRUE(writer_->inbox().PushUntil(set, kFar, {})); }
  /// Calls do not run inside a transaction.
  template <class F>
  auto Call(F function) {
    return writer_->inbox().CallAndWait(std::move(function));
  }
  /// Returns when everything that was pushed has been worked off; an unfinished transaction is
  /// dropped.
  void BreakStream() { writer_->inbox().PushStreamLostAndWait(); }

  replication::CopyTicket Begin(const SchemaPtr& table) {
    const auto start = Call([&] { return writer_->BeginUnit(UnitOf(table)); });
    EXPECT_THAT(start, IsOk());
    return start ? start->ticket : replication::CopyTicket{};
  }
  SnapshotVerdict::Kind Offer(const replication::CopyTicket& ticket, const SchemaPtr& table) {
    const auto verdict =
        Call([&] { return writer_->OfferSnapshot(ticket, {kSnapshot, kInsertLsn, table}); });
    EXPECT_THAT(verdict, IsOk());
    return verdict ? verdict->kind : SnapshotVerdict::Kind::kRetake;
  }
  /// The copy's rows are those of transactions below 10.
  void FinishCopy(const replication::CopyTicket& ticket, const SchemaPtr& table,
                  const std::vector<std::uint32_t>& keys) {
    auto shadow = destination_->OpenCopy({UnitOf(table), table, table->name});
    ASSERT_THAT(shadow, IsOk());
    testing::NewRows rows;
    for (const std::uint32_t key : keys) rows.emplace_back(0, key);
    ASSERT_THAT((*shadow)->Append({Inserts(table, rows).values}), IsOk());
    ASSERT_THAT((*shadow)->Finish(), IsOk());
    ASSERT_THAT(Call([&] {
                  return writer_->CopyFinished(ticket, static_cast<std::int64_t>(keys.size()),
                                               kInsertLsn);
                }),
                sluice::testing::HasValue(true));
  }
  /// Copied with the rows 1 and 2, landed.
  void MakeLive(const std::vector<SchemaPtr>& tables) {
    for (const SchemaPtr& table : tables) {
      const auto ticket = Begin(table);
      ASSERT_EQ(Offer(ticket, table), SnapshotVerdict::Kind::kUsable);
      FinishCopy(ticket, table, {1, 2});
    }
    Push(PositionOnly(kInsertLsn.value));
    BreakStream();
    for (const SchemaPtr& table : tables) ASSERT_EQ(RecordOf(table).state, TableState::kLive);
  }

  TableRecord RecordOf(const SchemaPtr& table) {
    const auto record =
        Call([&]() -> Result<TableRecord> { return writer_->machine().record(table->relation); });
    return record ? *record : TableRecord{};
  }
  TableRecord StoredRecordOf(const SchemaPtr& table) const {
    for (const TableRecord& record : storage_->State().tables) {
      if (record.relation == table->relation) return record;
    }
    return {};
  }
  TableStatus StatusOf(const SchemaPtr& table) const {
    for (const TableStatus& status : writer_->Tables()) {
      if (status.record.relation == table->relation) return status;
    }
    return {};
  }
  std::vector<std::string> Keys(const SchemaPtr& table) const {
    std::vector<std::string> keys;
    for (const TextRow& row : storage_->Rows(table->name)) keys.push_back(row[0].value_or("NULL"));
    return keys;
  }

  const SchemaPtr orders_ = Table(1, "orders");
  const SchemaPtr items_ = Table(2, "items");
  const SchemaPtr notes_ = Table(3, "notes");
  std::shared_ptr<MemoryStorage> storage_ = std::make_shared<MemoryStorage>();
  WriterOptions options_{.spill_dir = ::testing::TempDir()};
  Progress progress_;
  LatencyWindow latency_;
  telemetry::Logger logger_{Silent()};
  std::unique_ptr<Destination> destination_;
  std::optional<DeliveryWriter> writer_;
  Status ended_;
  std::jthread thread_;
};

using Strings = std::vector<std::string>;

TEST_F(DeliveryWriterTest, TakesFromTheStreamWhatTheCopyDoesNotSee) {
  Start({orders_});
  const auto ticket = Begin(orders_);
  // Before its snapshot is known, and after it.
  Push(Set({Mark(9, 100), Mark(11, 120)},
           {{orders_->relation, {Inserts(orders_, {{0, 9}, {1, 11}})}}}));
  BreakStream();
  ASSERT_EQ(Offer(ticket, orders_), SnapshotVerdict::Kind::kUsable);
  Push(Set({Mark(12, 140), Mark(8, 160)},
           {{orders_->relation, {Inserts(orders_, {{0, 12}, {1, 8}})}}}));
  FinishCopy(ticket, orders_, {8, 9});
  Push(Set({Mark(7, 600)}, {{orders_->relation, {Inserts(orders_, {{0, 7}})}}}));
  EXPECT_THAT(End(), IsOk());
  EXPECT_EQ(Keys(orders_), (Strings{"11", "12", "7", "8", "9"}));
  EXPECT_EQ(StoredRecordOf(orders_).row_count, 5);
  EXPECT_EQ(storage_->State().position->lsn, Lsn{610});
}

TEST_F(DeliveryWriterTest, LandsATableOnlyBehindItsInsertPosition) {
  Start({orders_});
  const auto ticket = Begin(orders_);
  ASSERT_EQ(Offer(ticket, orders_), SnapshotVerdict::Kind::kUsable);
  FinishCopy(ticket, orders_, {1});
  Push(PositionOnly(kInsertLsn.value - 1));
  BreakStream();
  EXPECT_EQ(RecordOf(orders_).state, TableState::kCopying);
  EXPECT_TRUE(Keys(orders_).empty());
  Push(PositionOnly(kInsertLsn.value));
  EXPECT_THAT(End(), IsOk());
  EXPECT_EQ(StoredRecordOf(orders_).state, TableState::kLive);
  EXPECT_EQ(Keys(orders_), Strings{"1"});
}

TEST_F(DeliveryWriterTest, CommitsATransactionInPiecesAsOne) {
  Start({orders_});
  MakeLive({orders_});
  Push(Set({Piece(20, 600)}, {{orders_->relation, {Inserts(orders_, {{0, 3}})}}}));
  BreakStream();
  EXPECT_EQ(Keys(orders_), (Strings{"1", "2"})) << "what broke off left nothing";
  Push(Set({Piece(20, 600)}, {{orders_->relation, {Inserts(orders_, {{0, 3}})}}}));
  Push(Set({Mark(20, 600)}, {{orders_->relation, {Inserts(orders_, {{0, 4}})}}}, true));
  EXPECT_THAT(End(), IsOk());
  EXPECT_EQ(Keys(orders_), (Strings{"1", "2", "3", "4"}));
  EXPECT_EQ(StatusOf(orders_).rows_inserted, 2) << "the piece that came twice counts once";
  EXPECT_EQ(StoredRecordOf(orders_).row_count, 4);
  EXPECT_EQ(progress_.rows_streamed.load(), 2);
  EXPECT_EQ(progress_.transactions.load(), 1);
}

TEST_F(DeliveryWriterTest, CountsASetOnceThatIsStagedAgainWithoutATable) {
  Start({orders_, items_, notes_});
  MakeLive({orders_, items_, notes_});
  Push(Set({Mark(20, 600)}, {{notes_->relation, {Failure(0)}}}));
  Push(Set({Mark(21, 700)}, {{notes_->relation, {Inserts(notes_, {{0, 3}})}},
                             {orders_->relation, {Inserts(orders_, {{0, 3}, {0, 4}})}},
                             {items_->relation, {Inserts(items_, {{0, 3}}), Failure(0)}}}));
  EXPECT_THAT(End(), IsOk());
  EXPECT_EQ(Keys(orders_), (Strings{"1", "2", "3", "4"}));
  EXPECT_EQ(Keys(items_), (Strings{"1", "2"}));
  EXPECT_EQ(StoredRecordOf(items_).state, TableState::kHalted);
  EXPECT_EQ(StatusOf(orders_).rows_inserted, 2);
  EXPECT_EQ(StoredRecordOf(orders_).row_count, 4);
  EXPECT_EQ(StatusOf(notes_).changes_dropped, 2) << "the one that failed, and the one behind it";
}

TEST_F(DeliveryWriterTest, CountsTheRowsOfATableFromItsTruncateOn) {
  Start({orders_});
  MakeLive({orders_});
  Push(Set({Mark(20, 600)},
           {{orders_->relation,
             {Inserts(orders_, {{0, 3}}), TruncateMark{0, 4}, Inserts(orders_, {{0, 5}})}}}));
  EXPECT_THAT(End(), IsOk());
  EXPECT_EQ(Keys(orders_), Strings{"5"});
  EXPECT_EQ(StoredRecordOf(orders_).row_count, 1);
  EXPECT_EQ(StatusOf(orders_).truncates, 1);
}

// Which columns a Relation message meant was not known, and then the table was copied again.
TEST_F(DeliveryWriterTest, RowsDescribedBeforeACopyKeepAColumnThatIsRenamedBehindThem) {
  const auto at = [&](std::uint64_t since) {
    auto schema = std::make_shared<TableSchema>(*orders_);
    for (std::size_t i = 0; i < schema->columns.size(); ++i)
      schema->columns[i].attnum = static_cast<std::int16_t>(i + 1);
    schema->since = Lsn{since};
    return schema;
  };
  const auto described = at(400);
  for (Column& column : described->columns) column.attnum = 0;
  described->unplaced = "its rows were rewritten";
  const auto renamed = at(600);
  renamed->columns[1].name = "remark";
  Start({orders_});
  MakeLive({at(450)});
  Push(Set({Mark(20, 620)},
           {{orders_->relation, {Inserts(described, {{0, 3}}), Inserts(renamed, {{0, 4}})}}}));
  EXPECT_THAT(End(), IsOk());
  ASSERT_EQ(Keys(orders_), (Strings{"1", "2", "3", "4"}));
  EXPECT_EQ(storage_->Rows(orders_->name)[2][1], "x");
}

TEST_F(DeliveryWriterTest, AHaltInsideALargeTransactionMakesOnlyTheStreamBeginAgain) {
  Start({orders_, items_, notes_});
  MakeLive({orders_, items_});
  const auto copy = Begin(notes_);
  const auto first = [&] {
    return Set({Piece(20, 600)}, {{orders_->relation, {Inserts(orders_, {{0, 3}})}},
                                  {items_->relation, {Inserts(items_, {{0, 3}})}}});
  };
  const auto second = [&] {
    return Set({Piece(20, 600)}, {{items_->relation, {Failure(0)}}}, true);
  };
  Push(first());
  Push(second());
  // The stream goes on with what it has, until it is refused.
  for (bool is_taken = true; is_taken;) {
    ChangeSet more = second();
    is_taken = writer_->inbox().PushUntil(more, kFar, {});
  }
  ASSERT_TRUE(writer_->inbox().is_refusing());
  // Nothing of the transaction is in, and nothing says so.
  EXPECT_EQ(RecordOf(items_).state, TableState::kHalted);
  EXPECT_EQ(storage_->State().position->lsn, kInsertLsn);
  EXPECT_LE(StoredRecordOf(orders_).lsn, kInsertLsn);
  EXPECT_EQ(Keys(orders_), (Strings{"1", "2"}));
  const auto unit_state =
      Call([&]() -> Result<UnitState> { return writer_->machine().unit_state(UnitOf(notes_)); });
  EXPECT_THAT(unit_state, sluice::testing::HasValue(UnitState::kHolding)) << "the copy goes on";
  BreakStream();
  Push(first());
  Push(Set({Mark(20, 600)}, {{items_->relation, {Failure(0)}}}, true));
  BreakStream();
  EXPECT_EQ(Offer(copy, notes_), SnapshotVerdict::Kind::kUsable);
  EXPECT_THAT(End(), IsOk());
  EXPECT_EQ(Keys(orders_), (Strings{"1", "2", "3"}));
  EXPECT_EQ(Keys(items_), (Strings{"1", "2"}));
  EXPECT_EQ(StatusOf(orders_).rows_inserted, 1);
  EXPECT_EQ(storage_->State().position->lsn, Lsn{610});
}

/// While it lives no file of this process grows.
class FullDisk {
 public:
  FullDisk() : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit none{0, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  }
  ~FullDisk() {
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before_), 0);
    (void)std::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_F(DeliveryWriterTest, HeldChangesThatCannotBeDecidedHaltTheirTableAlone) {
  options_.held_memory_bytes = 1;
  Start({orders_, items_});
  MakeLive({items_});
  const auto ticket = Begin(orders_);
  Push(Set({Mark(20, 600)}, {{orders_->relation, {Inserts(orders_, {{0, 3}})}}}));
  BreakStream();
  {
    const FullDisk full;
    EXPECT_EQ(Offer(ticket, orders_), SnapshotVerdict::Kind::kStale) << "the copy is given up";
  }
  EXPECT_EQ(RecordOf(orders_).state, TableState::kHalted);
  Push(Set({Mark(21, 700)}, {{items_->relation, {Inserts(items_, {{0, 3}})}}}));
  EXPECT_THAT(End(), IsOk());
  EXPECT_EQ(Keys(items_), (Strings{"1", "2", "3"}));
  EXPECT_NE(StoredRecordOf(orders_).reason.find("SLU-6102"), std::string::npos);
}

TEST_F(DeliveryWriterTest, CopiesAreVisibleWhenTheDestinationSaysSo) {
  auto made = std::make_unique<doubles::Deferred>(std::make_unique<MemoryDestination>(storage_));
  doubles::Deferred& deferred = *made;
  Start(std::move(made), {orders_});
  EXPECT_FALSE(writer_->AreCopiesVisible());
  MakeLive({orders_});
  EXPECT_THAT(End(), IsOk());
  EXPECT_EQ(StatusOf(orders_).record.state, TableState::kLive);
  EXPECT_FALSE(writer_->AreCopiesVisible());
  deferred.AdvanceDurable(100);
  EXPECT_FALSE(writer_->AreCopiesVisible());
  deferred.AdvanceVisible(100);
  EXPECT_TRUE(writer_->AreCopiesVisible());
  EXPECT_EQ(Keys(orders_), (Strings{"1", "2"}));
}

TEST_F(DeliveryWriterTest, WaitsWithACommitUntilEarlierOnesAreVisible) {
  auto made =
      std::make_unique<doubles::Deferred>(std::make_unique<MemoryDestination>(storage_),
                                          doubles::DeferredOptions{.commits_in_flight_max = 1});
  doubles::Deferred& deferred = *made;
  Start(std::move(made), {});
  Push(PositionOnly(100));
  Push(PositionOnly(200));
  std::size_t visible = 0;
  while (visible < 2) visible += deferred.AdvanceDurable(1) + deferred.AdvanceVisible(1) == 2;
  EXPECT_THAT(End(), IsOk());
  EXPECT_EQ(progress_.visible.Load(), Lsn{200});
}

TEST_F(DeliveryWriterTest, AnInterruptEndsTheWaitForEarlierCommits) {
  Start(std::make_unique<doubles::Deferred>(std::make_unique<MemoryDestination>(storage_),
                                            doubles::DeferredOptions{.commits_in_flight_max = 1}),
        {});
  Push(PositionOnly(100));
  Push(PositionOnly(200));
  writer_->Interrupt();
  EXPECT_THAT(End(), IsError(ErrorKind::kCancelled));
}

TEST_F(DeliveryWriterTest, TellsOfTheLastBatch) {
  Start({orders_});
  MakeLive({orders_});
  EXPECT_EQ(progress_.last_batch_rows.load(), 0) << "a landing is none";
  Push(Set({Piece(20, 600)}, {{orders_->relation, {Inserts(orders_, {{0, 3}, {0, 4}})}}}));
  Push(Set({Mark(20, 600)}, {{orders_->relation, {Inserts(orders_, {{0, 5}})}}}, true));
  Push(PositionOnly(700));
  EXPECT_THAT(End(), IsOk());
  EXPECT_EQ(progress_.last_batch_rows.load(), 3);
  EXPECT_GT(progress_.last_batch_age_us.load(), 0);
  EXPECT_GT(progress_.last_apply_us.load(), 0);
}

TEST_F(DeliveryWriterTest, ATableThatTakesTheNameOfALiveOneLandsWhenThatOneIsGone) {
  const SchemaPtr old = Table(1, "a");
  Start({old});
  MakeLive({old});
  const SchemaPtr made = Table(2, "a");
  ASSERT_THAT(Call([&]() -> Status {
                TableRecord record;
                record.relation = made->relation;
                record.source = record.destination = made->name;
                record.older_writers_done = true;
                writer_->Join(record);
                writer_->machine().OlderWritersDone(made->relation);
                return {};
              }),
              IsOk());
  const auto ticket = Begin(made);
  ASSERT_EQ(Offer(ticket, made), SnapshotVerdict::Kind::kUsable);
  FinishCopy(ticket, made, {7});
  // The old one's last rows still come, under the name that both have.
  Push(Set({Mark(20, 600)}, {{old->relation, {Inserts(old, {{0, 3}})}}}));
  BreakStream();
  EXPECT_NE(RecordOf(made).state, TableState::kLive);
  EXPECT_EQ(storage_->Rows(old->name).size(), 3U);
  ASSERT_THAT(Call([&]() -> Status {
                writer_->Skip(old->relation, Error{.message = "dropped", .code = "SLU-4211"});
                return {};
              }),
              IsOk());
  BreakStream();
  ASSERT_THAT(End(), IsOk());
  EXPECT_EQ(StoredRecordOf(made).state, TableState::kLive);
  EXPECT_EQ(storage_->Rows(made->name).size(), 1U);
  EXPECT_EQ(storage_->State().tables.size(), 1U);
}

TEST_F(DeliveryWriterTest, ATableThatTheDestinationCannotRenameLiesUnderItsOldNameUntilItLands) {
  const SchemaPtr table = Table(1, "a");
  Start({table});
  MakeLive({table});
  const TableName name{"public", "b"};
  ASSERT_THAT(Call([&] { return writer_->RenameTables({{table->relation, name}}); }), IsOk());
  EXPECT_EQ(RecordOf(table).destination.table, "a");
  EXPECT_EQ(RecordOf(table).source.table, "b");
  const auto ticket = Begin(table);
  ASSERT_EQ(Offer(ticket, table), SnapshotVerdict::Kind::kUsable);
  FinishCopy(ticket, table, {1, 2, 3});
  BreakStream();
  ASSERT_THAT(End(), IsOk());
  EXPECT_EQ(StoredRecordOf(table).destination.table, "b");
  EXPECT_EQ(storage_->Rows(name).size(), 3U);
}

TEST_F(DeliveryWriterTest, WhatACallStagedIsNotLostWithALandingThatFailsInItsTurn) {
  const SchemaPtr live = Table(1, "a");
  const SchemaPtr other = Table(2, "b");
  Start({live, other});
  MakeLive({live});
  const auto ticket = Begin(other);
  ASSERT_EQ(Offer(ticket, other), SnapshotVerdict::Kind::kUsable);
  auto altered = std::make_shared<TableSchema>(*live);
  altered->columns.back().name = "renamed";
  altered->since = kInsertLsn;
  ASSERT_THAT(
      Call([&]() -> Result<bool> {
        SLUICE_ASSIGN_OR_RETURN(
            const bool is_followed,
            writer_->FollowCatalog(writer_->machine().record(live->relation).schema, altered));
        EXPECT_TRUE(is_followed);
        return writer_->CopyFinished(ticket, 1, kInsertLsn);  // nothing is there to land
      }),
      sluice::testing::HasValue(true));
  BreakStream();
  EXPECT_EQ(RecordOf(other).state, TableState::kHalted);
  EXPECT_EQ(RecordOf(live).schema, SchemaPtr(altered));
}

TEST_F(DeliveryWriterTest, FirstCopiesThatAreReadyTogetherLandInOneCommit) {
  Start({orders_, items_, notes_});
  for (const SchemaPtr& table : {orders_, items_, notes_}) {
    const auto ticket = Begin(table);
    ASSERT_EQ(Offer(ticket, table), SnapshotVerdict::Kind::kUsable);
    FinishCopy(ticket, table, {1, 2});
  }
  BreakStream();
  const std::int64_t before = progress_.commits.load();
  Push(PositionOnly(kInsertLsn.value));
  BreakStream();
  for (const SchemaPtr& table : {orders_, items_, notes_}) {
    EXPECT_EQ(StoredRecordOf(table).state, TableState::kLive);
    EXPECT_EQ(Keys(table), (Strings{"1", "2"}));
  }
  EXPECT_EQ(progress_.commits.load() - before, 2);  // the position, the landing
}

TEST_F(DeliveryWriterTest, OfCopiesThatLandTogetherOneThatFailsHaltsItsTableAlone) {
  Start({orders_, items_});
  const auto whole = Begin(orders_);
  ASSERT_EQ(Offer(whole, orders_), SnapshotVerdict::Kind::kUsable);
  FinishCopy(whole, orders_, {1, 2});
  const auto missing = Begin(items_);
  ASSERT_EQ(Offer(missing, items_), SnapshotVerdict::Kind::kUsable);
  // Nothing is there to land.
  ASSERT_THAT(Call([&] { return writer_->CopyFinished(missing, 1, kInsertLsn); }),
              sluice::testing::HasValue(true));
  Push(PositionOnly(kInsertLsn.value));
  BreakStream();
  EXPECT_EQ(StoredRecordOf(orders_).state, TableState::kLive);
  EXPECT_EQ(Keys(orders_), (Strings{"1", "2"}));
  EXPECT_EQ(RecordOf(items_).state, TableState::kHalted);
}

TEST_F(DeliveryWriterTest, ACopyWithHeldChangesLandsBesideThoseThatLandTogether) {
  Start({orders_, items_, notes_});
  for (const SchemaPtr& table : {orders_, items_, notes_}) {
    const auto ticket = Begin(table);
    ASSERT_EQ(Offer(ticket, table), SnapshotVerdict::Kind::kUsable);
    FinishCopy(ticket, table, {1, 2});
  }
  Push(Set({Mark(11, 600)}, {{items_->relation, {Inserts(items_, {{0, 11}})}}}));
  BreakStream();
  for (const SchemaPtr& table : {orders_, items_, notes_})
    EXPECT_EQ(StoredRecordOf(table).state, TableState::kLive);
  EXPECT_EQ(Keys(items_), (Strings{"1", "11", "2"}));
}

TEST_F(DeliveryWriterTest, ACopyInRangesThatBeginsAgainIsOfTheWholeAndAfterATruncateTheNextTime) {
  const SchemaPtr altered = Table(1, "a");
  const SchemaPtr truncated = Table(2, "b");
  Start({altered, truncated});
  const auto give_up = [&](const SchemaPtr& table, const Error& error) {
    return Call([&]() -> Result<bool> {
      CopyRanges ranges;
      ranges.attnum = 1;
      ranges.bounds = {5};
      writer_->machine().SetRanges(table->relation, ranges);
      SLUICE_RETURN_IF_ERROR(writer_->HaltTable(table->relation, error));
      return writer_->MayCopyInRanges(table->relation);
    });
  };
  const Error behind_rows{.kind = ErrorKind::kSchemaConflict, .code = "SLU-5028"};
  EXPECT_THAT(give_up(altered, behind_rows), sluice::testing::HasValue(false));
  const Error truncate = replication::RangesTruncatedError();
  EXPECT_THAT(give_up(truncated, truncate), sluice::testing::HasValue(true));
  EXPECT_THAT(give_up(truncated, truncate), sluice::testing::HasValue(false));
}

TEST_F(DeliveryWriterTest, AForgottenTableTakesItsFinishedCopyAlong) {
  const SchemaPtr table = Table(1, "a");
  Start({table});
  const auto ticket = Begin(table);
  ASSERT_EQ(Offer(ticket, table), SnapshotVerdict::Kind::kUsable);
  FinishCopy(ticket, table, {1});
  ASSERT_THAT(Call([&] { return writer_->Forget(table->relation); }), IsOk());
  Push(PositionOnly(900));
  BreakStream();
  ASSERT_THAT(End(), IsOk());
  EXPECT_FALSE(storage_->HasShadow(UnitOf(table)));
  EXPECT_TRUE(storage_->State().tables.empty());
}

}  // namespace
}  // namespace sluice::engine
