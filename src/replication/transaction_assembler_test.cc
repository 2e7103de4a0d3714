#include "replication/transaction_assembler.h"

#include <gtest/gtest.h>

#include "base/testing/result_matchers.h"
#include "replication/open_set.h"
#include "replication/testing/assembler_driver.h"

namespace sluice::replication {
namespace {

using namespace testing;  // NOLINT: the driver's words
using pgoutput::OldTuple;
using sluice::testing::CodeIs;
using sluice::testing::IsError;
using sluice::testing::IsOk;

constexpr RelationId kA{1};
constexpr RelationId kB{2};

Error TableError() {
  return Error{.kind = ErrorKind::kSchemaConflict, .message = "no", .code = "SLU-4999"};
}

TEST(TransactionAssembler, PutsManyTransactionsIntoOneSet) {
  AssemblerDriver driver;
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x"))});
  driver.Commit();
  driver.Begin(8, 200);
  driver.SendAll({WriteUpdate(kA, Row(1, "y")), driver.Describe(kB), WriteInsert(kB, Row(5, "b")),
                  WriteDelete(kA, Key(1))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(),
            "7@100..110 8@200..210 | 1: v1 +1x#0 ~1y#0/1 -1#2/1 | 2: v1 +5b#1/1 | end 210");
  EXPECT_EQ(driver.assembler.counters().transactions, 2U);
  EXPECT_EQ(driver.assembler.counters().inserts, 2U);
  EXPECT_EQ(driver.assembler.counters().updates, 1U);
  EXPECT_EQ(driver.assembler.counters().deletes, 1U);
}

TEST(TransactionAssembler, TellsASchemaOnceUntilItChanges) {
  AssemblerDriver driver;
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "7@100..110 | 1: v1 +1x#0 | end 110");
  driver.Begin(8, 200);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(2, "x"))});
  driver.resolver.answers[1] = Resolution::Use(driver.resolver.Schema(kA, 2));
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(3, "x"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "8@200..210 | 1: +2x#0 v2 +3x#1 | end 210");
}

/// The cell in the middle of relation kA is one that the user excluded.
std::string WriteRelationWithSecret() {
  pgoutput::Relation sent;
  sent.id = kA;
  sent.name = {"public", "t1"};
  sent.columns = {
      {"c0", Oid{23}, -1, true}, {"secret", Oid{25}, -1, false}, {"c1", Oid{25}, -1, false}};
  return WriteRelation(sent);
}

pgoutput::testing::Cells RowWithSecret(std::int32_t key) {
  return {Int4(key), Text("hush"), Text("x")};
}

/// It ends in the assembler, in the values and in the old tuple.
TEST(TransactionAssembler, HandsOnOnlyTheCellsThatAreKept) {
  AssemblerDriver driver;
  driver.resolver.answers[1] = Resolution::Use(driver.resolver.Schema(kA, 1), {0, 2});
  driver.Begin(7, 100);
  driver.SendAll({WriteRelationWithSecret(), WriteInsert(kA, RowWithSecret(1)),
                  WriteUpdate(kA, RowWithSecret(2)), WriteDelete(kA, {Int4(3), Null(), Null()})});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "7@100..110 | 1: v1 +1x#0 ~2x#1 -3#2 | end 110");
  driver.Begin(8, 200);
  EXPECT_THAT(driver.Send(WriteInsert(kA, Row(1, "x"))), CodeIs("SLU-4111"));
}

/// What a partition's message says of its root, kA.
Resolution OfPartition(AssemblerDriver& driver) {
  Resolution partition;
  partition.root = std::make_shared<const RootResolution>(
      RootResolution{kA, Resolution::Use(driver.resolver.Schema(kA, 2))});
  return partition;
}

TEST(TransactionAssembler, TakesRowsOfARootAsThePartitionBehindItSays) {
  AssemblerDriver driver;
  driver.resolver.answers[kB.value] = OfPartition(driver);
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x")), driver.Describe(kA),
                  driver.Describe(kB), WriteInsert(kA, Row(2, "x"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "7@100..110 | 1: v1 +1x#0 v2 +2x#1 | end 110");
}

TEST(TransactionAssembler, KeepsATruncateInItsPlaceForEachRelation) {
  AssemblerDriver driver;
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x")), driver.Describe(kB),
                  WriteTruncate({kA, kB}), WriteInsert(kA, Row(2, "y"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "7@100..110 | 1: v1 +1x#0 T#1 +2y#3 | 2: T#2 | end 110");
  EXPECT_EQ(driver.assembler.counters().truncates, 2U);
}

TEST(TransactionAssembler, TakesRowsOfATableThatIsKeptAsTheyCome) {
  AssemblerDriver driver;
  const SchemaPtr version = driver.resolver.Schema(kA, 1);
  driver.resolver.answers[1] = Resolution::Keep(columnar::RawSchema(version));
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x")), driver.Describe(kB),
                  WriteInsert(kB, Row(5, "b")), WriteTruncate({kA, kB}),
                  WriteUpdate(kA, Row(2, "y")), WriteDelete(kA, Key(2))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(),
            "7@100..110 | 1: v1 raw( +1x#0 ) T#2 raw( ~2y#4 -2#5 ) | 2: v1 +5b#1 T#3 | end 110");
}

TEST(TransactionAssembler, TakesNoExcludedCellOfATableThatIsKept) {
  AssemblerDriver driver;
  driver.resolver.answers[1] =
      Resolution::Keep(columnar::RawSchema(driver.resolver.Schema(kA, 1)), {0, 2});
  driver.Begin(7, 100);
  driver.SendAll({WriteRelationWithSecret(), WriteInsert(kA, RowWithSecret(1)),
                  WriteUpdate(kA, RowWithSecret(2)), WriteDelete(kA, {Int4(3), Null(), Null()})});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "7@100..110 | 1: v1 raw( +1x#0 ~2x#1 -3#2 ) | end 110");
  driver.Begin(8, 200);
  EXPECT_THAT(driver.Send(WriteInsert(kA, Row(1, "x"))), CodeIs("SLU-4111"));
}

TEST(TransactionAssembler, SealsNothingInsideADirectTransaction) {
  AssemblerDriver driver;
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x"))});
  EXPECT_FALSE(driver.assembler.at_boundary());
  EXPECT_FALSE(driver.assembler.has_sealable());
  EXPECT_FALSE(driver.assembler.Seal());
  driver.Commit();
  EXPECT_TRUE(driver.assembler.has_sealable());
  EXPECT_EQ(driver.assembler.open_rows(), 1U);
  EXPECT_GT(driver.assembler.open_bytes(), 0U);
}

TEST(TransactionAssembler, ClosesASetAtTheBoundaryOnceItIsFull) {
  AssemblerDriver driver({.batch_rows = 3});
  for (std::uint32_t xid = 7; xid < 9; ++xid) {
    driver.Begin(xid, xid * 100);
    driver.SendAll(
        {driver.Describe(kA), WriteInsert(kA, Row(1, "x")), WriteInsert(kA, Row(2, "x"))});
    driver.Commit();
  }
  ASSERT_EQ(driver.sets.size(), 1U);
  EXPECT_EQ(driver.Drain(), "7@700..710 8@800..810 | 1: v1 +1x#0 +2x#1 +1x#0/1 +2x#1/1 | end 810");
}

TEST(TransactionAssembler, ClosesASetWhoseTablesHaveManyColumnsTogether) {
  AssemblerDriver driver({.batch_columns = 2 * (OpenSet::kTableColumns + 2)});
  const auto write = [&](std::uint32_t xid, RelationId relation) {
    driver.Begin(xid, xid * 100);
    driver.SendAll({driver.Describe(relation), WriteInsert(relation, Row(1, "x"))});
    driver.Commit();
  };
  write(7, kA);
  write(8, kA);
  EXPECT_TRUE(driver.sets.empty()) << "one table counts once";
  write(9, kB);
  ASSERT_EQ(driver.sets.size(), 1U);
  write(10, kB);
  EXPECT_EQ(driver.sets.size(), 1U);
  driver.Drain();
}

TEST(TransactionAssembler, SendsALargeTransactionInPieces) {
  AssemblerDriver driver({.batch_rows = 2});
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA)});
  for (int key = 0; key < 5; ++key) driver.SendAll({WriteInsert(kA, Row(key, "x"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(),
            "7@100..0 ... | 1: v1 +0x#0 +1x#1 | end 0\n"
            "... 7@100..0 ... | 1: +2x#2 +3x#3 | end 0\n"
            "... 7@100..110 | 1: +4x#4 | end 110");
}

TEST(TransactionAssembler, SplitsByBytesToo) {
  AssemblerDriver driver({.batch_bytes = 100'000});
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA)});
  for (int key = 0; key < 10; ++key) {
    driver.SendAll({WriteInsert(kA, Row(key, std::string(30'000, 'x')))});
  }
  driver.Commit();
  EXPECT_GE(driver.sets.size(), 2U);
  driver.Drain();
}

TEST(TransactionAssembler, SkipsIgnoredRelationsButCountsTheirOrdinals) {
  AssemblerDriver driver;
  driver.resolver.answers[2] = Resolution::Ignore();
  driver.Begin(7, 100);
  // An ignored row is not looked into.
  driver.SendAll({driver.Describe(kA), driver.Describe(kB), WriteInsert(kB, {Text("not decoded")}),
                  WriteInsert(kA, Row(1, "x")), WriteTruncate({kB}), WriteInsert(kA, Row(2, "x"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "7@100..110 | 1: v1 +1x#1 +2x#3 | end 110");
  EXPECT_EQ(driver.assembler.counters().skipped_rows, 1U);
}

TEST(TransactionAssembler, TellsAResolutionThatFailsInEverySetThatSkipsRows) {
  AssemblerDriver driver;
  driver.resolver.answers[1] = Resolution::Fail(TableError());
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x")), WriteInsert(kA, Row(2, "x"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "7@100..110 | 1: F(SLU-4999) | end 110");
  driver.Begin(8, 200);
  driver.SendAll({WriteInsert(kA, Row(3, "x"))});
  driver.resolver.answers.clear();
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(4, "x"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "8@200..210 | 1: F(SLU-4999) | end 210");
}

TEST(TransactionAssembler, FailsATableForAValueAndSkipsItInThatSet) {
  AssemblerDriver driver;
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), driver.Describe(kB), WriteInsert(kA, Row(1, "x")),
                  WriteInsert(kA, {Int4(2), Text(std::string("\xFF"))}),
                  WriteInsert(kA, Row(3, "x")), WriteInsert(kB, Row(4, "x"))});
  driver.Commit();
  const std::string first = driver.Drain();
  EXPECT_TRUE(first.starts_with("7@100..110 | 1: v1 +1x#0 F(SLU-41")) << first;
  EXPECT_NE(first.find("| 2: v1 +4x#3 |"), std::string::npos) << first;
}

TEST(TransactionAssembler, StopsAtAnUnknownRelation) {
  AssemblerDriver driver;
  driver.Begin(7, 100);
  EXPECT_THAT(driver.Send(WriteInsert(kA, Row(1, "x"))), CodeIs("SLU-3104"));
}

TEST(TransactionAssembler, StopsAtARowOfAnotherWidth) {
  AssemblerDriver driver;
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA)});
  EXPECT_THAT(driver.Send(WriteInsert(kA, {Int4(1)})), IsError(ErrorKind::kProtocol));
}

TEST(TransactionAssembler, RefusesMessagesInTheWrongPlace) {
  const std::string begin = WriteBegin({Lsn{100}, UnixMicros{}, TransactionId{7}});
  const std::vector<std::vector<std::string>> sequences = {
      {WriteCommit({Lsn{100}, Lsn{110}, UnixMicros{}})},
      {begin, begin},
      {begin, WriteCommit({Lsn{101}, Lsn{110}, UnixMicros{}})},
      {begin, WriteStreamStart(TransactionId{8}, true)},
      {WriteInsert(kA, Row(1, "x"))},
      {WriteTruncate({kA})},
      {AssemblerDriver::Describe(kA)},
      {WriteType(Oid{20000}, "public", "mood")},
      {WriteOrigin(Lsn{1}, "far")},
      {WriteStreamStop()},
      {WriteStreamStart(TransactionId{8}, false)},
      {WriteStreamStart(TransactionId{8}, true), begin},
      {WriteStreamStart(TransactionId{8}, true), WriteStreamStart(TransactionId{9}, true)},
      {WriteStreamStart(TransactionId{8}, true), WriteStreamStop(),
       WriteStreamStart(TransactionId{8}, true)},
      {WriteStreamStart(TransactionId{8}, true),
       WriteStreamAbort(TransactionId{8}, TransactionId{8})},
      {WriteStreamCommit({TransactionId{8}, Lsn{100}, Lsn{110}, UnixMicros{}})},
      {WriteLogicalMessage(true, Lsn{50}, "sluice", "x")},
  };
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    AssemblerDriver driver;
    for (std::size_t j = 0; j + 1 < sequences[i].size(); ++j) driver.SendAll({sequences[i][j]});
    EXPECT_THAT(driver.Send(sequences[i].back()), CodeIs("SLU-3103")) << i;
  }
}

TEST(TransactionAssembler, RefusesCommitsOutOfOrder) {
  AssemblerDriver driver;
  driver.Begin(7, 100);
  driver.Commit();
  EXPECT_THAT(driver.Send(WriteBegin({Lsn{105}, UnixMicros{}, TransactionId{8}})),
              CodeIs("SLU-3021"));
}

TEST(TransactionAssembler, RefusesAMessageWhileASetIsWaiting) {
  FakeResolver resolver;
  TransactionAssembler assembler({.batch_rows = 1}, Lsn{1}, std::nullopt, resolver);
  const std::string begin = WriteBegin({Lsn{100}, UnixMicros{}, TransactionId{7}});
  const std::string commit = WriteCommit({Lsn{100}, Lsn{110}, UnixMicros{}});
  ASSERT_THAT(assembler.Consume(Lsn{}, base::AsBytes(begin)), IsOk());
  ASSERT_THAT(assembler.Consume(Lsn{}, base::AsBytes(commit)), IsOk());
  ASSERT_TRUE(assembler.is_busy());
  EXPECT_THAT(assembler.Consume(Lsn{}, base::AsBytes(begin)), IsError(ErrorKind::kInternal));
}

TEST(AssemblerKeepalive, MovesTheEndBetweenTransactionsOnly) {
  AssemblerDriver driver;
  driver.assembler.Keepalive(Lsn{50});
  EXPECT_EQ(driver.Drain(), "| end 50");
  EXPECT_FALSE(driver.assembler.has_sealable());
  driver.Begin(7, 100);
  driver.assembler.Keepalive(Lsn{90});
  EXPECT_EQ(driver.assembler.end(), Lsn{50});
  driver.Commit();
  driver.assembler.Keepalive(Lsn{80});
  EXPECT_EQ(driver.assembler.end(), Lsn{110});
  driver.assembler.Keepalive(Lsn{300});
  EXPECT_EQ(driver.Drain(), "7@100..110 | end 300");
}

TEST(AssemblerKeepalive, PassesOpenStreamedTransactions) {
  AssemblerDriver driver;
  driver.SendAll({WriteStreamStart(TransactionId{8}, true)});
  driver.assembler.Keepalive(Lsn{50});
  driver.SendAll({WriteStreamStop()});
  driver.assembler.Keepalive(Lsn{60});
  EXPECT_EQ(driver.Drain(), "| end 60");
  EXPECT_EQ(driver.assembler.staged_transactions(), 1U);
}

TEST(AssemblerReplay, SkipsWhatIsDurableAndKeepsItsRelations) {
  AssemblerDriver driver({}, Lsn{210});
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x")), WriteTruncate({kA})});
  driver.Commit();
  driver.Begin(8, 200);
  driver.Commit();
  EXPECT_FALSE(driver.assembler.has_sealable());
  EXPECT_EQ(driver.resolver.contexts.size(), 1U);
  driver.Begin(9, 210);
  driver.SendAll({WriteInsert(kA, Row(2, "x"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "9@210..220 | 1: v1 +2x#0 | end 220");
  EXPECT_EQ(driver.assembler.counters().replayed_transactions, 2U);
}

TEST(AssemblerReplay, LooksBySqlOnlyAtTheLastDescriptionOfASkippedTransaction) {
  AssemblerDriver driver({.asked_from = Lsn{1}}, Lsn{210});
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x"))});
  driver.Commit();
  driver.Begin(8, 200);
  driver.SendAll({driver.Describe(kA)});
  driver.Commit();
  driver.Begin(9, 210);
  driver.SendAll({WriteInsert(kA, Row(2, "x"))});
  driver.Commit();
  ASSERT_EQ(driver.resolver.contexts.size(), 1U);
  EXPECT_EQ(driver.resolver.contexts[0].xid, TransactionId{9});
  EXPECT_EQ(driver.Drain(), "9@210..220 | 1: v1 +2x#0 | end 220");
}

TEST(AssemblerReplay, LooksBySqlAtEveryPartitionThatASkippedTransactionDescribed) {
  AssemblerDriver driver({.asked_from = Lsn{1}}, Lsn{210});
  const RelationId other{3};
  driver.resolver.answers[kB.value] = OfPartition(driver);
  driver.resolver.answers[other.value] = Resolution::Ignore();
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), driver.Describe(kB), WriteInsert(kA, Row(1, "x")),
                  driver.Describe(kA), driver.Describe(other), WriteInsert(kA, Row(2, "x"))});
  driver.Commit();
  driver.Begin(9, 210);
  driver.SendAll({WriteInsert(kA, Row(3, "x"))});
  driver.Commit();
  EXPECT_EQ(driver.resolver.contexts.size(), 4U);
  driver.Begin(10, 220);
  driver.SendAll({WriteInsert(kA, Row(4, "x"))});
  driver.Commit();
  EXPECT_EQ(driver.resolver.contexts.size(), 4U);
}

TEST(AssemblerReplay, SkipsWhatItHasReceivedWhereTheLogIsReadAgain) {
  AssemblerDriver driver({}, Lsn{100});
  const auto send = [&](std::uint32_t xid, std::uint64_t at, int id) {
    driver.Begin(xid, at);
    driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(id, "x"))});
    driver.Commit();
  };
  send(7, 100, 1);
  EXPECT_EQ(driver.Drain(), "7@100..110 | 1: v1 +1x#0 | end 110");
  driver.assembler.ReadAgain();
  send(7, 100, 1);
  send(8, 200, 2);
  EXPECT_EQ(driver.Drain(), "8@200..210 | 1: +2x#0 | end 210");
  EXPECT_EQ(driver.assembler.counters().replayed_transactions, 1U);
}

TEST(AssemblerReplay, GivesMessagesBeforeTheLastTransactionOnceWhereTheLogIsReadAgain) {
  AssemblerDriver driver({}, Lsn{100});
  const auto send = [&] {
    driver.SendAll({WriteLogicalMessage(false, Lsn{105}, "sluice", "before")});
    driver.Begin(7, 120);
    driver.SendAll({WriteLogicalMessage(true, Lsn{110}, "sluice", "in")});
    driver.Commit();
    driver.SendAll({WriteLogicalMessage(false, Lsn{140}, "sluice", "behind")});
  };
  send();
  driver.assembler.ReadAgain();
  send();
  EXPECT_EQ(driver.listener.received, "before@0#0 in@120#0 behind@0#0 behind@0#0 ");
}

TEST(AssemblerReplay, JudgesNothingThatWasNotAskedFor) {
  AssemblerDriver driver({.knows_past = true, .asked_from = Lsn{90}}, Lsn{110});
  driver.Begin(7, 80);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x"))});
  driver.Commit();
  driver.Begin(8, 95);
  driver.SendAll({driver.Describe(kA)});
  EXPECT_THAT(driver.Send(WriteInsert(kA, Row(1, "x"))), CodeIs("SLU-3105"));
}

TEST(AssemblerReplay, TellsTheFailureOfASkippedRelationLater) {
  AssemblerDriver driver({}, Lsn{110});
  driver.resolver.answers[1] = Resolution::Fail(TableError());
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x"))});
  driver.Commit();
  driver.Begin(8, 200);
  driver.SendAll({WriteInsert(kA, Row(1, "x"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "8@200..210 | 1: F(SLU-4999) | end 210");
}

TEST(AssemblerReplay, RecognisesTheWitness) {
  const Witness witness{Lsn{100}, TransactionId{7}, UnixMicros{1000}};
  AssemblerDriver driver({}, Lsn{110}, witness);
  EXPECT_FALSE(driver.assembler.has_seen_witness());
  driver.Begin(7, 100);
  EXPECT_TRUE(driver.assembler.has_seen_witness());
}

TEST(AssemblerReplay, StopsWhereTheWitnessIsAnotherTransaction) {
  for (const Witness& witness : {Witness{Lsn{100}, TransactionId{8}, UnixMicros{1000}},
                                 Witness{Lsn{100}, TransactionId{7}, UnixMicros{1001}}}) {
    AssemblerDriver driver({}, Lsn{110}, witness);
    EXPECT_THAT(driver.Send(WriteBegin({Lsn{100}, UnixMicros{1000}, TransactionId{7}})),
                CodeIs("SLU-3105"));
    EXPECT_FALSE(driver.assembler.has_seen_witness());
  }
}

TEST(AssemblerReplay, ComparesTheWitnessWithAStreamedTransactionToo) {
  AssemblerDriver driver({}, Lsn{110}, Witness{Lsn{100}, TransactionId{9}, UnixMicros{1000}});
  driver.Block(7, true, {});
  EXPECT_THAT(
      driver.Send(WriteStreamCommit({TransactionId{7}, Lsn{100}, Lsn{110}, UnixMicros{1000}})),
      CodeIs("SLU-3105"));
}

TEST(AssemblerReplay, TakesNoOtherChangesBeforeTheDurableEndWhereThePastIsKnown) {
  const auto changes_at = [](Lsn commit, std::optional<Witness> witness) {
    AssemblerDriver driver({.knows_past = true}, Lsn{110}, witness);
    driver.Begin(7, commit.value);
    return driver.Send(WriteInsert(kA, Row(1, "x")));
  };
  const Witness witness{Lsn{90}, TransactionId{7}, UnixMicros{1000}};
  EXPECT_THAT(changes_at(Lsn{90}, witness), IsOk());
  EXPECT_THAT(changes_at(Lsn{100}, witness), CodeIs("SLU-3105"));
  EXPECT_THAT(changes_at(Lsn{100}, std::nullopt), CodeIs("SLU-3105"));
}

TEST(AssemblerReplay, LetsEmptyTransactionsBeWhereThePastIsKnown) {
  AssemblerDriver driver({.knows_past = true}, Lsn{110});
  driver.Begin(7, 100);
  driver.Commit();
  EXPECT_EQ(driver.assembler.counters().replayed_transactions, 1U);
}

TEST(AssemblerMessages, GivesWantedOnesInTheirPlace) {
  AssemblerDriver driver({}, Lsn{50});
  driver.SendAll({WriteLogicalMessage(false, Lsn{40}, "sluice", "old"),
                  WriteLogicalMessage(false, Lsn{60}, "sluice", "now"),
                  WriteLogicalMessage(false, Lsn{61}, "other", "unwanted")});
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "x")),
                  WriteLogicalMessage(true, Lsn{90}, "sluice", "ddl")});
  driver.Commit();
  EXPECT_EQ(driver.listener.received, "now@0#0 ddl@100#1 ");
  EXPECT_EQ(driver.assembler.counters().logical_messages, 4U);
}

TEST(AssemblerTypes, PassesTypeNamesOn) {
  AssemblerDriver driver;
  driver.Begin(7, 100);
  driver.SendAll({WriteType(Oid{20000}, "public", "mood"), WriteOrigin(Lsn{1}, "far")});
  driver.Commit();
  EXPECT_EQ(driver.resolver.type_count, 1);
}

}  // namespace
}  // namespace sluice::replication
