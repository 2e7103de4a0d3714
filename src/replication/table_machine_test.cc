#include "replication/table_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/testing/result_matchers.h"

namespace sluice::replication {
namespace {

using ::sluice::testing::CodeIs;
using ::sluice::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr RelationId kOrders{100};
constexpr RelationId kUsers{200};
constexpr UnitId kOrdersUnit{kOrders, 0};
constexpr UnixMicros kNow{42};

TransactionMark Mark(std::uint32_t xid, std::uint64_t end) {
  return {.xid = {xid}, .commit_lsn = {end - 8}, .end_lsn = {end}, .committed_at = {}};
}

TransactionMark Piece(std::uint32_t xid, std::uint64_t end) {
  return {.xid = {xid}, .commit_lsn = {end - 8}, .end_lsn = {}, .committed_at = {}};
}

Snapshot Upto(std::uint64_t xmax, std::vector<std::uint64_t> xip = {}) {
  return {.xmin = xip.empty() ? xmax : xip.front(), .xmax = xmax, .xip = std::move(xip)};
}

SchemaPtr Schema() {
  static const auto schema = std::make_shared<const TableSchema>();
  return schema;
}

CopySnapshot Taken(Snapshot snapshot, std::uint64_t insert_lsn) {
  return {.snapshot = std::move(snapshot), .insert_lsn = {insert_lsn}, .schema = Schema()};
}

TableRecord Record(RelationId relation, TableState state = TableState::kPending) {
  TableRecord record;
  record.relation = relation;
  record.source = {"public", "t" + std::to_string(relation.value)};
  record.state = state;
  record.older_writers_done = true;
  return record;
}

DeliveryState Restored(std::vector<TableRecord> tables, PassedList passed = {}) {
  DeliveryState state;
  state.position = Position{.lsn = {1000}, .last_transaction = {}};
  state.passed = std::move(passed);
  state.tables = std::move(tables);
  return state;
}

class TableMachineTest : public ::testing::Test {
 protected:
  void Process(std::vector<TransactionMark> marks) {
    EXPECT_THAT(machine_.OnProcessed(marks), IsOk());
  }
  Decision Decide(const TransactionMark& mark) { return machine_.Decide(kOrders, mark); }
  CopyTicket Begin() { return machine_.BeginUnit(kOrdersUnit).ticket; }
  /// Up to kCopied under a snapshot that sees all below 50, and I = 2000.
  CopyTicket Copy() {
    const CopyTicket ticket = Begin();
    EXPECT_TRUE(machine_.OfferSnapshot(ticket, Taken(Upto(50), 2000), kNow).usable());
    EXPECT_TRUE(machine_.CopyFinished(ticket, 3, {2000}));
    return ticket;
  }
  void Commit(std::uint64_t sequence) {
    machine_.TakeChangedRecords(sequence);
    machine_.OnDurable(sequence);
  }

  TableMachine machine_{Restored({Record(kOrders), Record(kUsers, TableState::kLive)})};
};

TEST_F(TableMachineTest, DropsWhatComesBeforeTheUnitHolds) {
  EXPECT_EQ(Decide(Mark(10, 1100)), Decision::kDrop);
  EXPECT_EQ(machine_.Decide(kUsers, Mark(10, 1100)), Decision::kApply);
  EXPECT_EQ(machine_.Decide(RelationId{999}, Mark(10, 1100)), Decision::kDrop);
}

TEST_F(TableMachineTest, HoldsFromTheBeginningOfTheUnitOn) {
  Begin();
  EXPECT_EQ(Decide(Mark(10, 1100)), Decision::kHold);
  EXPECT_EQ(machine_.DecideAll(kOrders), Decision::kHold);
}

// Mutant 1 of the model: no side condition.
TEST_F(TableMachineTest, RefusesASnapshotThatMissesAPassedTransaction) {
  Process({Mark(10, 1100)});
  const CopyTicket ticket = Begin();
  const SnapshotVerdict verdict = machine_.OfferSnapshot(ticket, Taken(Upto(20, {10}), 1200), kNow);
  EXPECT_EQ(verdict.kind, SnapshotVerdict::Kind::kRetake);
  EXPECT_THAT(verdict.unseen, ElementsAre(TransactionId{10}));
  EXPECT_EQ(machine_.unit_state(kOrdersUnit), UnitState::kHolding);
  EXPECT_TRUE(machine_.OfferSnapshot(ticket, Taken(Upto(20), 1200), kNow).usable());
}

// Mutant 2: a side condition that looks at running ids only.
TEST_F(TableMachineTest, RefusesASnapshotWhoseXmaxIsNotAboveAPassedTransaction) {
  Process({Mark(10, 1100)});
  const CopyTicket ticket = Begin();
  EXPECT_FALSE(machine_.OfferSnapshot(ticket, Taken(Upto(10), 1200), kNow).usable());
}

// Mutant 3: the list of passed transactions is not stored.
TEST_F(TableMachineTest, GivesTheListOfPassedTransactionsToStoreAndRefusesAfterARestart) {
  Process({Mark(10, 1100), Mark(11, 1200)});
  machine_.OnServerSnapshot(Upto(12, {11}));
  const PassedList stored = machine_.PassedAt({1200});
  EXPECT_THAT(stored.xids, ElementsAre(TransactionId{11}));
  TableMachine again(Restored({Record(kOrders)}, stored));
  const CopyTicket ticket = again.BeginUnit(kOrdersUnit).ticket;
  EXPECT_FALSE(again.OfferSnapshot(ticket, Taken(Upto(12, {11}), 1300), kNow).usable());
  EXPECT_TRUE(again.OfferSnapshot(ticket, Taken(Upto(12), 1300), kNow).usable());
}

// Mutant 4 cannot be written: no filter outlives a landing, and landing before I is refused.
TEST_F(TableMachineTest, LandsOnlyWhenTheStreamHasPassedTheInsertPosition) {
  Copy();
  EXPECT_THAT(machine_.Landable(), IsEmpty());
  Process({Mark(60, 1999)});
  EXPECT_THAT(machine_.Landable(), IsEmpty());
  machine_.OnPosition({2000});
  EXPECT_THAT(machine_.Landable(), ElementsAre(kOrdersUnit));
  machine_.Land(kOrdersUnit, kNow);
  EXPECT_EQ(Decide(Mark(49, 2100)), Decision::kApply);
}

// Mutant 5: what passes between the snapshot and the beginning is looked at by nobody.
TEST_F(TableMachineTest, IgnoresASnapshotOfAnEarlierTry) {
  const CopyTicket first = Begin();
  EXPECT_TRUE(machine_.CopyFailed(first, kNow));
  Process({Mark(10, 1100)});
  machine_.OnServerSnapshot(Upto(11));
  const CopyTicket second = Begin();
  EXPECT_EQ(machine_.OfferSnapshot(first, Taken(Upto(10), 1050), kNow).kind,
            SnapshotVerdict::Kind::kStale);
  EXPECT_FALSE(machine_.CopyFailed(first, kNow));
  EXPECT_TRUE(machine_.OfferSnapshot(second, Taken(Upto(11), 1150), kNow).usable());
  EXPECT_FALSE(machine_.CopyFinished(first, 0, {1150}));
}

TEST_F(TableMachineTest, JudgesByTheListAsItWasThoughANewerSnapshotPrunedItMeanwhile) {
  Process({Mark(10, 1100)});
  const CopyTicket ticket = Begin();
  machine_.OnServerSnapshot(Upto(11));
  EXPECT_FALSE(machine_.OfferSnapshot(ticket, Taken(Upto(10), 1200), kNow).usable());
}

// Mutant 6: nothing is known of the time before the slot.
TEST_F(TableMachineTest, KnowsWhatPassedBeforeTheSlotWasMade) {
  TableMachine machine{DeliveryState{}};
  machine.OnBirth({1000}, BirthList(Upto(12), Upto(12, {11})));
  machine.AddTable(Record(kOrders));
  const CopyTicket ticket = machine.BeginUnit(kOrdersUnit).ticket;
  EXPECT_FALSE(machine.OfferSnapshot(ticket, Taken(Upto(12, {11}), 1100), kNow).usable());
}

TEST_F(TableMachineTest, BeginsNothingWhileAnUnknownListHasNoFloor) {
  TableMachine machine(Restored({Record(kOrders)}, UnknownList(0)));
  EXPECT_THAT(machine.Startable(), IsEmpty());
  EXPECT_TRUE(machine.needs_floor());
  machine.SetFloor(machine.floor_generation(), 30);
  const CopyTicket ticket = machine.BeginUnit(kOrdersUnit).ticket;
  const auto verdict = machine.OfferSnapshot(ticket, Taken(Upto(40, {29}), 1100), kNow);
  EXPECT_FALSE(verdict.usable());
  EXPECT_EQ(verdict.floor, 30U);
  EXPECT_TRUE(machine.OfferSnapshot(ticket, Taken(Upto(40, {31}), 1100), kNow).usable());
}

// Mutant 7: landing without waiting for the flush.
TEST_F(TableMachineTest, DiesWhenACopyEndsBeforeTheServerHasFlushed) {
  const CopyTicket ticket = Begin();
  ASSERT_TRUE(machine_.OfferSnapshot(ticket, Taken(Upto(50), 2000), kNow).usable());
  EXPECT_DEATH(machine_.CopyFinished(ticket, 3, {1999}), "check failed");
}

TEST_F(TableMachineTest, DiesWhenAUnitLandsBeforeTheInsertPosition) {
  Copy();
  EXPECT_DEATH(machine_.Land(kOrdersUnit, kNow), "check failed");
}

TEST_F(TableMachineTest, DropsWhatTheSnapshotSeesAndHoldsTheRest) {
  const CopyTicket ticket = Begin();
  ASSERT_TRUE(machine_.OfferSnapshot(ticket, Taken(Upto(50, {45}), 2000), kNow).usable());
  EXPECT_EQ(Decide(Mark(44, 1100)), Decision::kDrop);
  EXPECT_EQ(Decide(Mark(45, 1200)), Decision::kHold);
  EXPECT_EQ(Decide(Mark(50, 1300)), Decision::kHold);
  EXPECT_EQ(machine_.DecideAll(kOrders), std::nullopt);
  EXPECT_TRUE(machine_.DropsHeld(kOrdersUnit, Mark(44, 1100)));
  EXPECT_FALSE(machine_.DropsHeld(kOrdersUnit, Mark(45, 1200)));
}

TEST_F(TableMachineTest, SeesNothingBeyondTheInsertPosition) {
  const CopyTicket ticket = Begin();
  ASSERT_TRUE(machine_.OfferSnapshot(ticket, Taken(Upto(50), 2000), kNow).usable());
  EXPECT_EQ(Decide(Mark(49, 2000)), Decision::kDrop);
  EXPECT_EQ(Decide(Mark(49, 2008)), Decision::kHold);
}

// Its xmax is one past the last commit before its point, and whoever has not committed before is
// listed: ids and LSNs say the same.
TEST_F(TableMachineTest, DropsUnderASlotsSnapshotWhatCommitsBeforeItsPointAndHoldsTheRest) {
  Process({Mark(40, 1100)});
  const CopyTicket ticket = Begin();
  ASSERT_TRUE(machine_.OfferSnapshot(ticket, Taken(Upto(50, {44, 47}), 2000), kNow).usable());
  EXPECT_EQ(Decide(Mark(49, 1200)), Decision::kDrop);
  EXPECT_EQ(Decide(Mark(45, 2000)), Decision::kDrop);
  EXPECT_EQ(Decide(Mark(44, 2016)), Decision::kHold);
  EXPECT_EQ(Decide(Mark(47, 2032)), Decision::kHold);
  EXPECT_EQ(Decide(Mark(50, 2048)), Decision::kHold);
}

TEST_F(TableMachineTest, AnswersTheSameForEveryPieceOfATransaction) {
  const CopyTicket ticket = Begin();
  ASSERT_TRUE(machine_.OfferSnapshot(ticket, Taken(Upto(50), 2000), kNow).usable());
  EXPECT_EQ(Decide(Piece(49, 2000)), Decision::kDrop);
  EXPECT_EQ(Decide(Piece(60, 1500)), Decision::kHold);
}

TEST_F(TableMachineTest, BeginsNothingInTheMiddleOfATransaction) {
  Process({Mark(9, 1050), Piece(10, 1200)});
  EXPECT_FALSE(machine_.at_boundary());
  EXPECT_EQ(machine_.processed(), Lsn{1050});
  EXPECT_THAT(machine_.Startable(), IsEmpty());
  EXPECT_DEATH(machine_.BeginUnit(kOrdersUnit), "check failed");
  Process({Mark(10, 1200)});
  EXPECT_THAT(machine_.Startable(), ElementsAre(kOrdersUnit));
}

TEST_F(TableMachineTest, RefusesCommitsOutOfOrder) {
  Process({Mark(10, 1100)});
  EXPECT_THAT(machine_.OnProcessed(std::vector{Mark(11, 1100)}), CodeIs("SLU-3021"));
  EXPECT_THAT(machine_.OnProcessed(std::vector{Mark(11, 900)}), CodeIs("SLU-3021"));
}

TEST_F(TableMachineTest, IsLiveOnceTheLandingIsDurable) {
  Copy();
  machine_.OnPosition({2000});
  machine_.Land(kOrdersUnit, kNow);
  EXPECT_EQ(machine_.unit_state(kOrdersUnit), UnitState::kLanding);
  const auto records = machine_.TakeChangedRecords(7);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].state, TableState::kLive);
  EXPECT_EQ(records[0].row_count, 3);
  EXPECT_EQ(records[0].schema, Schema());
  machine_.OnDurable(6);
  EXPECT_EQ(machine_.unit_state(kOrdersUnit), UnitState::kLanding);
  machine_.OnDurable(7);
  EXPECT_EQ(machine_.unit_state(kOrdersUnit), UnitState::kLive);
  EXPECT_THAT(machine_.TakeChangedRecords(8), IsEmpty());
}

TEST_F(TableMachineTest, LandsAgainAfterALandingThatCameToNothing) {
  Copy();
  machine_.OnPosition({2000});
  Commit(1);
  machine_.Land(kOrdersUnit, kNow);
  machine_.TakeChangedRecords(2);
  // The position did not move: only the commit's number tells that it is not in.
  machine_.OnReconnect({2000});
  EXPECT_EQ(machine_.unit_state(kOrdersUnit), UnitState::kCopied);
  EXPECT_EQ(machine_.record(kOrders).state, TableState::kCopying);
  EXPECT_EQ(Decide(Mark(60, 2100)), Decision::kHold);
  EXPECT_THAT(machine_.Landable(), ElementsAre(kOrdersUnit));
  machine_.Land(kOrdersUnit, kNow);
  EXPECT_EQ(machine_.TakeChangedRecords(3).size(), 1U);
}

TEST_F(TableMachineTest, KeepsCopiesOverAReconnectAndForgetsWhatComesAgain) {
  const CopyTicket ticket = Begin();
  Process({Mark(10, 1100), Mark(11, 1200)});
  machine_.OnReconnect({1100});
  EXPECT_EQ(machine_.processed(), Lsn{1100});
  EXPECT_THAT(machine_.PassedAt({5000}).xids, ElementsAre(TransactionId{10}));
  EXPECT_TRUE(TableMachine::HeldSurvives(Mark(10, 1100), {1100}));
  EXPECT_FALSE(TableMachine::HeldSurvives(Mark(11, 1200), {1100}));
  EXPECT_FALSE(TableMachine::HeldSurvives(Piece(11, 1100), {1100}));
  EXPECT_EQ(Decide(Mark(11, 1200)), Decision::kHold);
  Process({Mark(11, 1200)});
  EXPECT_THAT(machine_.Running(), ElementsAre(ticket));
}

TEST_F(TableMachineTest, CountsRowsAgainThatCameToNothing) {
  machine_.CountApplied(kUsers, 5, Mark(10, 1100));
  Commit(1);
  machine_.CountApplied(kUsers, 7, Mark(11, 1200));
  machine_.TakeChangedRecords(2);
  machine_.OnReconnect({1100});
  EXPECT_EQ(machine_.record(kUsers).row_count, 5);
  EXPECT_EQ(machine_.record(kUsers).lsn, Lsn{1092});
}

TEST_F(TableMachineTest, HaltsOneTableAndCountsWhatItDrops) {
  machine_.Halt(kUsers, {.message = "no form", .code = "SLU-4104", .advice = "do it"}, kNow);
  EXPECT_EQ(machine_.Decide(kUsers, Mark(10, 1100)), Decision::kDrop);
  EXPECT_EQ(machine_.dropped_while_stopped(kUsers), 1U);
  const auto records = machine_.TakeChangedRecords(1);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].reason, "SLU-4104: no form");
  EXPECT_EQ(records[0].advice, "do it");
  EXPECT_EQ(records[0].since, kNow);
  machine_.Halt(kUsers, {.message = "later"}, kNow);
  EXPECT_EQ(machine_.record(kUsers).reason, "SLU-4104: no form");
}

TEST_F(TableMachineTest, HandsARecordOutAgainWhereItsCommitCameToNothing) {
  machine_.Halt(kUsers, {.message = "no form"}, kNow);
  machine_.RemoveTable(kOrders);
  EXPECT_EQ(machine_.TakeChangedRecords(1).size(), 2U);
  machine_.OnReconnect({1000});
  const auto records = machine_.TakeChangedRecords(2);
  ASSERT_EQ(records.size(), 2U);
  EXPECT_TRUE(records[0].was_removed);
  EXPECT_EQ(records[1].state, TableState::kHalted);
  machine_.OnDurable(2);
  EXPECT_THAT(machine_.TakeChangedRecords(3), IsEmpty());
}

TEST_F(TableMachineTest, ResyncsALiveAndAHaltedTable) {
  machine_.Resync(kUsers, kNow);
  EXPECT_EQ(machine_.record(kUsers).state, TableState::kPending);
  EXPECT_EQ(machine_.Decide(kUsers, Mark(10, 1100)), Decision::kDrop);
  EXPECT_THAT(machine_.Startable(), ElementsAre(kOrdersUnit, UnitId{kUsers, 0}));
  machine_.Halt(kUsers, {.message = "x", .advice = "y"}, kNow);
  machine_.Resync(kUsers, kNow);
  EXPECT_EQ(machine_.record(kUsers).reason, "");
  EXPECT_EQ(machine_.record(kUsers).advice, "");
}

TEST_F(TableMachineTest, IgnoresACopyOfATableThatWasResyncedOrRemoved) {
  const CopyTicket ticket = Copy();
  machine_.Resync(kOrders, kNow);
  EXPECT_FALSE(machine_.CopyFailed(ticket, kNow));
  machine_.RemoveTable(kOrders);
  EXPECT_FALSE(machine_.CopyFinished(ticket, 3, {2000}));
}

TEST_F(TableMachineTest, BeginsAnInterruptedCopyAgain) {
  TableMachine machine(Restored({Record(kOrders, TableState::kCopying)}));
  EXPECT_EQ(machine.record(kOrders).state, TableState::kPending);
  EXPECT_THAT(machine.Startable(), ElementsAre(kOrdersUnit));
}

// Guard G3.
TEST_F(TableMachineTest, WaitsForWritersOlderThanTheMembership) {
  TableRecord record = Record(RelationId{300});
  record.older_writers_done = false;
  machine_.AddTable(record);
  const UnitId unit{RelationId{300}, 0};
  EXPECT_THAT(machine_.NeedMembershipFloor(), ElementsAre(RelationId{300}));
  EXPECT_THAT(machine_.Startable(), ElementsAre(kOrdersUnit));
  machine_.OnServerSnapshot(Upto(100));
  EXPECT_THAT(machine_.Startable(), ElementsAre(kOrdersUnit));
  machine_.WaitFor(RelationId{300}, 120);
  machine_.OnServerSnapshot(Upto(130, {119}));
  EXPECT_DEATH(machine_.BeginUnit(unit), "check failed");
  machine_.OnServerSnapshot(Upto(130, {120}));
  EXPECT_THAT(machine_.Startable(), ElementsAre(kOrdersUnit, unit));
  EXPECT_TRUE(machine_.record(RelationId{300}).older_writers_done);
}

TEST_F(TableMachineTest, WaitsAgainForATableThatLeftThePublicationAndCameBack) {
  machine_.Rejoined(kUsers, 17, kNow);
  EXPECT_THAT(machine_.NeedMembershipFloor(), ElementsAre(kUsers));
  machine_.OlderWritersDone(kUsers);
  EXPECT_THAT(machine_.Startable(), ElementsAre(kOrdersUnit, UnitId{kUsers, 0}));
  EXPECT_EQ(machine_.record(kUsers).publication_entry, 17U);
}

// --- ranges --------------------------------------------------------------------------------------

class RangesTest : public TableMachineTest {
 protected:
  static CopyRanges Ranges() {
    CopyRanges ranges;
    ranges.attnum = 1;
    ranges.bounds = {10, 20};
    return ranges;
  }
  static UnitId Range(std::uint32_t index) { return {kOrders, index}; }
  /// Reads a range under a snapshot that sees all below `xmax`, up to kCopied.
  static void Read(TableMachine& machine, std::uint32_t index, std::uint64_t xmax,
                   std::uint64_t insert_lsn) {
    const CopyTicket ticket = machine.BeginUnit(Range(index)).ticket;
    ASSERT_TRUE(machine.OfferSnapshot(ticket, Taken(Upto(xmax), insert_lsn), kNow).usable());
    ASSERT_TRUE(machine.CopyFinished(ticket, 5, {insert_lsn}));
  }
  static TableRecord HalfRead() {
    TableRecord record = Record(kOrders, TableState::kCopying);
    record.ranges = Ranges();
    record.ranges->landed = {true, false, true};
    record.ranges->schema = Schema();
    return record;
  }
};

TEST_F(RangesTest, EachIsDecidedByItsOwnSnapshot) {
  machine_.SetRanges(kOrders, Ranges());
  EXPECT_EQ(machine_.DecideAll(kOrders), Decision::kDrop);
  Read(machine_, 0, 50, 1100);
  Process({Mark(60, 1200)});
  machine_.OnServerSnapshot(Upto(61));
  machine_.Land(Range(0), kNow);
  const CopyTicket second = machine_.BeginUnit(Range(1)).ticket;
  ASSERT_TRUE(machine_.OfferSnapshot(second, Taken(Upto(70), 1400), kNow).usable());
  EXPECT_EQ(machine_.DecideAll(kOrders), std::nullopt);
  EXPECT_EQ(machine_.Decide(Range(0), Mark(65, 1300)), Decision::kApply);
  EXPECT_EQ(machine_.Decide(Range(1), Mark(65, 1300)), Decision::kDrop);
  EXPECT_EQ(machine_.Decide(Range(1), Mark(75, 1300)), Decision::kHold);
  EXPECT_EQ(machine_.Decide(Range(2), Mark(75, 1300)), Decision::kDrop);
  EXPECT_FALSE(machine_.IsBehindAllRanges(kOrders, Mark(65, 1300)));
}

TEST_F(RangesTest, TheTableIsLiveWithTheLastOfThem) {
  machine_.SetRanges(kOrders, Ranges());
  for (const std::uint32_t index : {2U, 0U, 1U}) {
    Read(machine_, index, 50, 1100 + index);
    Process({Mark(60 + index, 1200 + 100 * (index == 2 ? 0 : index + 1))});
    EXPECT_EQ(machine_.IsLastUnit(Range(index)), index == 1);
    machine_.OnServerSnapshot(Upto(90));
    machine_.Land(Range(index), kNow);
    Commit(2 + index);
  }
  EXPECT_EQ(machine_.record(kOrders).state, TableState::kLive);
  EXPECT_EQ(machine_.record(kOrders).row_count, 15);
  EXPECT_FALSE(machine_.record(kOrders).ranges);
  EXPECT_EQ(machine_.ranges(kOrders), nullptr);
  EXPECT_EQ(machine_.DecideAll(kOrders), Decision::kApply);
}

TEST_F(RangesTest, ARestartGoesOnWithThoseThatHaveNotLanded) {
  TableMachine machine{Restored({HalfRead()})};
  EXPECT_THAT(machine.Startable(), ElementsAre(Range(1)));
  EXPECT_EQ(machine.Decide(Range(0), Mark(10, 1100)), Decision::kApply);
  EXPECT_EQ(machine.Decide(Range(1), Mark(10, 1100)), Decision::kDrop);
  Read(machine, 1, 50, 1001);
  EXPECT_TRUE(machine.IsLastUnit(Range(1)));
}

TEST_F(RangesTest, GivenUpOnesAreDurableBeforeTheTableBeginsAgain) {
  TableMachine machine{Restored({HalfRead()})};
  machine.Resync(kOrders, kNow);
  EXPECT_FALSE(machine.record(kOrders).ranges);
  EXPECT_THAT(machine.Startable(), IsEmpty());
  machine.TakeChangedRecords(2);
  machine.OnDurable(2);
  EXPECT_THAT(machine.Startable(), ElementsAre(kOrdersUnit));
  EXPECT_EQ(machine.DecideAll(kOrders), Decision::kDrop);
}

TEST_F(RangesTest, AnotherShapeDoesNotFitThem) {
  TableMachine machine{Restored({HalfRead()})};
  const CopyTicket ticket = machine.BeginUnit(Range(1)).ticket;
  TableSchema rewritten = *Schema();
  EXPECT_TRUE(machine.FitsRanges(ticket, rewritten));
  rewritten.facts.files = "another";
  EXPECT_FALSE(machine.FitsRanges(ticket, rewritten));
  TableSchema altered = *Schema();
  altered.columns.emplace_back().name = "more";
  EXPECT_FALSE(machine.FitsRanges(ticket, altered));
}

TEST_F(RangesTest, ALabelThatWasRenamedDoesNotFitThemAndOneThatWasAddedDoes) {
  TableSchema known = *Schema();
  known.facts.labels = {{Oid{50'000}, "sad"}};
  TableRecord record = HalfRead();
  record.ranges->schema = std::make_shared<const TableSchema>(known);
  TableMachine machine{Restored({record})};
  const CopyTicket ticket = machine.BeginUnit(Range(1)).ticket;
  TableSchema now = known;
  now.facts.labels.push_back({Oid{50'001}, "new"});
  EXPECT_TRUE(machine.FitsRanges(ticket, now));
  now.facts.labels[0].text = "blue";
  EXPECT_FALSE(machine.FitsRanges(ticket, now));
}

TEST_F(RangesTest, AnAlterationThatLeavesTheRowsAsTheyAreFitsThem) {
  TableSchema known = *Schema();
  known.columns = {{.name = "id", .attnum = 1, .altered_by = 100}};
  TableRecord record = HalfRead();
  record.ranges->schema = std::make_shared<const TableSchema>(known);
  TableMachine machine{Restored({record})};
  const CopyTicket ticket = machine.BeginUnit(Range(1)).ticket;
  TableSchema now = known;
  now.columns[0].altered_by = 101;  // SET STATISTICS
  EXPECT_TRUE(machine.FitsRanges(ticket, now));
  now.columns[0].is_nullable = false;
  EXPECT_FALSE(machine.FitsRanges(ticket, now));
}

TEST_F(RangesTest, AStaleSnapshotIsNotComparedWithThem) {
  TableMachine machine{Restored({HalfRead()})};
  const CopyTicket stale = machine.BeginUnit(Range(1)).ticket;
  machine.CopyFailed(stale, kNow);
  TableSchema rewritten = *Schema();
  rewritten.facts.files = "another";
  EXPECT_TRUE(machine.FitsRanges(stale, rewritten));
}

TEST_F(RangesTest, OneThatFailsIsReadAgainAndTheOthersStay) {
  machine_.SetRanges(kOrders, Ranges());
  Read(machine_, 0, 50, 1001);
  const CopyTicket second = machine_.BeginUnit(Range(1)).ticket;
  EXPECT_TRUE(machine_.CopyFailed(second, kNow));
  EXPECT_EQ(machine_.record(kOrders).state, TableState::kCopying);
  EXPECT_THAT(machine_.Startable(), ElementsAre(Range(1)));
  EXPECT_EQ(machine_.unit_state(Range(0)), UnitState::kCopied);
}

TEST_F(RangesTest, ALandingThatCameToNothingIsNotInTheRecord) {
  machine_.SetRanges(kOrders, Ranges());
  Read(machine_, 0, 50, 1100);
  Process({Mark(60, 1200)});
  machine_.Land(Range(0), kNow);
  machine_.TakeChangedRecords(2);
  ASSERT_TRUE(machine_.record(kOrders).ranges);
  machine_.OnReconnect({1000});
  EXPECT_FALSE(machine_.record(kOrders).ranges);
  EXPECT_EQ(machine_.unit_state(Range(0)), UnitState::kCopied);
}

}  // namespace
}  // namespace sluice::replication
