#include <gtest/gtest.h>

#include "base/testing/result_matchers.h"
#include "replication/testing/assembler_driver.h"
#include "replication/transaction_assembler.h"

namespace sluice::replication {
namespace {

using namespace testing;  // NOLINT: the driver's words
using sluice::testing::CodeIs;

constexpr RelationId kA{1};
constexpr RelationId kB{2};

std::string In(std::uint32_t xid, const std::string& message) {
  return InBlock(TransactionId{xid}, message);
}
std::string Describe(std::uint32_t xid, RelationId relation) {
  return In(xid, AssemblerDriver::Describe(relation));
}
std::string Insert(std::uint32_t xid, RelationId relation, int key) {
  return In(xid, WriteInsert(relation, Row(key, "s")));
}

TEST(StreamedTransaction, WaitsForItsCommit) {
  AssemblerDriver driver;
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1)});
  EXPECT_FALSE(driver.assembler.has_sealable());
  EXPECT_GT(driver.assembler.staged_bytes(), 0U);
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(9, "d"))});
  driver.Commit();
  driver.Block(8, false, {Insert(8, kA, 2)});
  driver.StreamCommit(8, 200);
  EXPECT_EQ(driver.Drain(), "7@100..110 8@200..210 | 1: v1 +9d#0 +1s#0/1 +2s#1/1 | end 210");
  EXPECT_EQ(driver.assembler.staged_transactions(), 0U);
  EXPECT_EQ(driver.assembler.counters().streamed_transactions, 1U);
}

TEST(StreamedTransaction, TakesRowsOfARootAsThePartitionBehindItSays) {
  AssemblerDriver driver;
  Resolution partition;
  partition.root = std::make_shared<const RootResolution>(
      RootResolution{kA, Resolution::Use(driver.resolver.Schema(kA, 2))});
  driver.resolver.answers[kB.value] = partition;
  driver.Block(8, true, {Describe(8, kA), Describe(8, kB), Insert(8, kA, 1)});
  driver.StreamCommit(8, 200);
  EXPECT_EQ(driver.Drain(), "8@200..210 | 1: v2 +1s#0 | end 210");
}

TEST(StreamedTransaction, AsksAtItsEndWhichTablesCannotGoOnAndSkipsTheirRows) {
  AssemblerDriver driver;
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1), Describe(8, kB), Insert(8, kB, 2)});
  driver.Block(9, true, {Describe(9, kA), Insert(9, kA, 3)});
  driver.StreamAbort(8, 81);
  driver.StreamAbort(9, 9);
  driver.resolver.failed.push_back({kA, Error{.kind = ErrorKind::kSchemaConflict, .code = "X"}});
  driver.StreamCommit(8, 200);
  EXPECT_EQ(driver.resolver.ends, " -9 +8");
  EXPECT_EQ(driver.Drain(), "8@200..210 | 1: F(X) | 2: v1 +2s#1 | end 210");
}

TEST(StreamedTransaction, IsNotAskedAboutWhereItIsDurableAlready) {
  AssemblerDriver driver({}, Lsn{150});
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1)});
  driver.resolver.failed.push_back({kA, Error{.kind = ErrorKind::kSchemaConflict, .code = "X"}});
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.resolver.ends, " -8");
  EXPECT_EQ(driver.Drain(), "");
}

TEST(StreamedTransaction, LeavesInCommitOrderWhenSeveralInterleave) {
  AssemblerDriver driver;
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1)});
  driver.Block(9, true, {Describe(9, kA), Insert(9, kA, 2)});
  driver.Block(8, false, {Insert(8, kA, 3)});
  driver.StreamCommit(9, 100);
  driver.StreamCommit(8, 200);
  EXPECT_EQ(driver.Drain(), "9@100..110 8@200..210 | 1: v1 +2s#0 +1s#0/1 +3s#1/1 | end 210");
}

TEST(StreamedTransaction, TakesBackASubtransactionAndEverythingAfter) {
  AssemblerDriver driver;
  driver.Block(8, true,
               {Describe(8, kA), Insert(8, kA, 1), Insert(81, kA, 2), Insert(82, kA, 3),
                In(82, WriteTruncate({kA})), Insert(81, kA, 4)});
  driver.StreamAbort(8, 82);
  driver.StreamAbort(8, 81);
  driver.Block(8, false, {Describe(8, kA), Insert(8, kA, 5)});
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.Drain(), "8@100..110 | 1: v1 +1s#0 +5s#1 | end 110");
}

TEST(StreamedTransaction, KeepsWhatCameBeforeANestedSubtransaction) {
  AssemblerDriver driver;
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1), Insert(81, kA, 2), Insert(82, kA, 3)});
  driver.StreamAbort(8, 82);
  driver.Block(8, false, {Describe(83, kA), Insert(83, kA, 4), Insert(81, kA, 5)});
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.Drain(), "8@100..110 | 1: v1 +1s#0 +2s#1 +4s#2 +5s#3 | end 110");
}

TEST(StreamedTransaction, KeepsOnlyWhatSurvivesOfATableThatIsKept) {
  AssemblerDriver driver;
  driver.resolver.answers[1] = Resolution::Keep(columnar::RawSchema(driver.resolver.Schema(kA, 1)));
  driver.Block(8, true,
               {Describe(8, kA), Insert(8, kA, 1), Insert(81, kA, 2), In(81, WriteTruncate({kA}))});
  driver.StreamAbort(8, 81);
  driver.Block(8, false, {Describe(8, kA), Insert(8, kA, 5), In(8, WriteDelete(kA, Key(1)))});
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.Drain(), "8@100..110 | 1: v1 raw( +1s#0 ) raw( +5s#1 -1#2 ) | end 110");
}

TEST(StreamedTransaction, IsGoneAfterItsAbort) {
  AssemblerDriver driver;
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1), Insert(81, kA, 2)});
  driver.StreamAbort(8, 81);
  driver.StreamAbort(8, 8);
  EXPECT_EQ(driver.assembler.staged_transactions(), 0U);
  EXPECT_EQ(driver.assembler.staged_bytes(), 0U);
  EXPECT_FALSE(driver.assembler.has_sealable());
  driver.StreamAbort(8, 8);  // nothing of it is left
}

TEST(StreamedTransaction, ForgetsRelationsAtAnAbortAsTheServerDoes) {
  AssemblerDriver driver;
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1)});
  driver.StreamAbort(8, 81);
  driver.SendAll({WriteStreamStart(TransactionId{8}, false)});
  EXPECT_THAT(driver.Send(Insert(8, kA, 2)), CodeIs("SLU-3104"));
}

TEST(StreamedTransaction, DoesNotLeakAnAbortedShape) {
  AssemblerDriver driver;
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(1, "d"))});
  driver.Commit();
  driver.resolver.answers[1] = Resolution::Use(driver.resolver.Schema(kA, 2));
  driver.Block(8, true, {Describe(81, kA), Insert(81, kA, 2)});
  driver.StreamAbort(8, 81);
  driver.resolver.answers.clear();
  driver.Block(8, false, {Describe(8, kA), Insert(8, kA, 3)});
  driver.StreamCommit(8, 200);
  driver.Begin(9, 300);
  driver.SendAll({WriteInsert(kA, Row(4, "d"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(),
            "7@100..110 8@200..210 9@300..310 | 1: v1 +1d#0 +3s#0/1 +4d#0/2 | end 310");
}

TEST(StreamedTransaction, HandsItsShapesOnAtTheCommit) {
  AssemblerDriver driver;
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1)});
  driver.StreamCommit(8, 100);
  driver.Begin(9, 200);
  driver.SendAll({WriteInsert(kA, Row(2, "d"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "8@100..110 9@200..210 | 1: v1 +1s#0 +2d#0/1 | end 210");
}

TEST(StreamedTransaction, DoesNotHandOnAShapeOlderThanTheOneInForce) {
  AssemblerDriver driver;
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1)});
  driver.resolver.answers[1] = Resolution::Use(driver.resolver.Schema(kA, 2));
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(2, "d"))});
  driver.Commit();
  driver.StreamCommit(8, 200);
  driver.Begin(9, 300);
  driver.SendAll({WriteInsert(kA, Row(3, "d"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(),
            "7@100..110 8@200..210 9@300..310 | 1: v2 +2d#0 v1 +1s#0/1 v2 +3d#0/2 | end 310");
}

TEST(StreamedTransaction, ChangesShapeInTheMiddle) {
  AssemblerDriver driver;
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1)});
  driver.resolver.answers[1] = Resolution::Use(driver.resolver.Schema(kA, 2));
  driver.Block(8, false, {Describe(8, kA), Insert(8, kA, 2)});
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.Drain(), "8@100..110 | 1: v1 +1s#0 v2 +2s#1 | end 110");
}

TEST(StreamedTransaction, LosesAFailureWithItsSubtransaction) {
  AssemblerDriver driver;
  const std::string bad = In(81, WriteInsert(kA, {Int4(2), Text(std::string("\xFF"))}));
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1), bad, Insert(81, kA, 3)});
  driver.StreamAbort(8, 81);
  driver.Block(8, false, {Describe(8, kA), Insert(8, kA, 4)});
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.Drain(), "8@100..110 | 1: v1 +1s#0 +4s#1 | end 110");
}

TEST(StreamedTransaction, KeepsAFailureThatCommits) {
  AssemblerDriver driver;
  const Error error{.kind = ErrorKind::kSchemaConflict, .message = "no", .code = "SLU-4999"};
  driver.resolver.answers[1] = Resolution::Fail(error);
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1), Insert(8, kA, 2)});
  driver.StreamCommit(8, 100);
  driver.Begin(9, 200);
  driver.SendAll({WriteInsert(kA, Row(3, "d"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "8@100..110 9@200..210 | 1: F(SLU-4999) F(SLU-4999) | end 210");
}

TEST(StreamedTransaction, CountsNothingOfATableThatFailsBehindItsRows) {
  for (const bool commits : {true, false}) {
    AssemblerDriver driver;
    driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1)});
    driver.resolver.answers[1] =
        Resolution::Fail({.kind = ErrorKind::kSchemaConflict, .message = "no", .code = "SLU-4999"});
    driver.Block(8, false, {Describe(8, kA), Insert(8, kA, 2)});
    if (commits) {
      driver.StreamCommit(8, 100);
      driver.Drain();
    } else {
      driver.StreamAbort(8, 8);
    }
    EXPECT_EQ(driver.assembler.staged_bytes(), 0U);
  }
}

TEST(StreamedTransaction, CommitsEmptyAsWell) {
  AssemblerDriver driver;
  driver.Block(8, true, {});
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.Drain(), "8@100..110 | end 110");
}

TEST(StreamedTransaction, IsSkippedWhenDurable) {
  AssemblerDriver driver({}, Lsn{110});
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1)});
  driver.StreamCommit(8, 100);
  EXPECT_FALSE(driver.assembler.has_sealable());
  EXPECT_EQ(driver.assembler.staged_bytes(), 0U);
  driver.Begin(9, 200);
  driver.SendAll({WriteInsert(kA, Row(3, "d"))});
  driver.Commit();
  EXPECT_EQ(driver.Drain(), "9@200..210 | 1: v1 +3d#0 | end 210");
}

TEST(StreamedTransaction, FollowsInPiecesWhatWasOpenBefore) {
  AssemblerDriver driver({.batch_rows = 2});
  driver.Block(8, true, {Describe(8, kA)});
  for (int key = 0; key < 5; ++key) driver.Block(8, false, {Insert(8, kA, key)});
  driver.Begin(7, 100);
  driver.SendAll({driver.Describe(kA), WriteInsert(kA, Row(9, "d"))});
  driver.Commit();
  driver.StreamCommit(8, 200);
  EXPECT_EQ(driver.Drain(),
            "7@100..110 | 1: v1 +9d#0 | end 110\n"
            "8@200..0 ... | 1: +0s#0 +1s#1 | end 0\n"
            "... 8@200..0 ... | 1: +2s#2 +3s#3 | end 0\n"
            "... 8@200..210 | 1: +4s#4 | end 210");
}

TEST(StreamedMessages, ComeAtTheCommitWithoutTheAborted) {
  AssemblerDriver driver;
  const auto message = [](std::uint32_t xid, const char* text) {
    return In(xid, WriteLogicalMessage(true, Lsn{50}, "sluice", text));
  };
  driver.Block(8, true,
               {Describe(8, kA), Insert(8, kA, 1), message(8, "kept"), message(81, "lost"),
                Insert(81, kA, 2)});
  driver.StreamAbort(8, 81);
  driver.Block(8, false, {message(8, "late")});
  EXPECT_EQ(driver.listener.received, "");
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.listener.received, "kept@100#1 late@100#1 ");
}

TEST(StreamedMessages, AreBounded) {
  AssemblerDriver driver({.message_bytes_max = 1000});
  driver.Block(8, true,
               {In(8, WriteLogicalMessage(true, Lsn{50}, "sluice", "kept")),
                In(8, WriteLogicalMessage(true, Lsn{50}, "sluice", std::string(1000, 'x')))});
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.listener.received, "kept@100#0 ");
}

AssemblerOptions SpillAtOnce() {
  return {.batch_rows = 100, .staging_bytes = 1};
}

TEST(Spilling, BringsBackWhatItMovedOut) {
  AssemblerDriver driver(SpillAtOnce());
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1), Insert(8, kA, 2)});
  EXPECT_EQ(driver.spilled[8].size(), 2U);
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.Drain(), "8@100..110 | 1: v1 +1s#0 +2s#1 | end 110");
  EXPECT_EQ(driver.actions,
            (std::vector<std::string>{"spill 8", "spill 8", "restore 8", "restore 8", "drop 8"}));
  EXPECT_EQ(driver.assembler.counters().spilled_batches, 2U);
}

TEST(Spilling, TruncatesItsLogWhereAnAbortTookTheTail) {
  AssemblerDriver driver(SpillAtOnce());
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1), Insert(81, kA, 2)});
  driver.StreamAbort(8, 81);
  driver.Block(8, false, {Describe(8, kA), Insert(8, kA, 3)});
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.Drain(), "8@100..110 | 1: v1 +1s#0 +3s#1 | end 110");
  EXPECT_EQ(driver.actions,
            (std::vector<std::string>{"spill 8", "spill 8", "truncate 8 to 1", "spill 8",
                                      "restore 8", "restore 8", "drop 8"}));
}

TEST(Spilling, DropsTheLogOfAnAbortedTransaction) {
  AssemblerDriver driver(SpillAtOnce());
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1)});
  driver.StreamAbort(8, 8);
  EXPECT_EQ(driver.actions, (std::vector<std::string>{"spill 8", "drop 8"}));
}

TEST(Spilling, CutsABatchThatAnAbortTookInPart) {
  AssemblerDriver driver({.batch_rows = 100, .staging_bytes = 60'000});
  driver.Block(8, true,
               {Describe(8, kA), Insert(8, kA, 1), Insert(81, kA, 2),
                In(81, WriteInsert(kA, Row(3, std::string(70'000, 'x'))))});
  ASSERT_EQ(driver.spilled[8].size(), 1U);
  driver.StreamAbort(8, 81);
  driver.Block(8, false, {Describe(8, kA), Insert(8, kA, 4)});
  driver.StreamCommit(8, 100);
  EXPECT_EQ(driver.Drain(), "8@100..110 | 1: v1 +1s#0 +4s#1 | end 110");
}

TEST(Spilling, TakesTheLargestTransactionFirst) {
  AssemblerDriver driver({.staging_bytes = 100'000});
  driver.Block(8, true, {Describe(8, kA), Insert(8, kA, 1)});
  driver.Block(9, true, {Describe(9, kA)});
  for (int key = 0; key < 20; ++key) {
    driver.Block(9, false, {In(9, WriteInsert(kA, Row(key, std::string(10'000, 'x'))))});
  }
  EXPECT_EQ(driver.spilled.count(8), 0U);
  EXPECT_EQ(driver.spilled.count(9), 1U);
  EXPECT_LT(driver.assembler.staged_bytes(), 110'000U);
}

TEST(Spilling, KeepsAtMostOneReadySetWhileReadingBack) {
  FakeResolver resolver;
  TransactionAssembler assembler({.batch_rows = 1, .staging_bytes = 1}, Lsn{1}, std::nullopt,
                                 resolver);
  std::vector<ChangeBatch> disk;
  const auto settle = [&](bool is_taking) {
    for (Action& action : assembler.TakeActions()) {
      if (auto* spill = std::get_if<SpillBatch>(&action)) disk.push_back(std::move(spill->batch));
      if (auto* restore = std::get_if<RestoreBatch>(&action)) {
        assembler.Restore(restore->xid, restore->index, disk[restore->index]);
      }
    }
    return is_taking ? assembler.Seal() : std::nullopt;
  };
  std::vector<std::string> messages = {WriteStreamStart(TransactionId{8}, true), Describe(8, kA)};
  for (int key = 0; key < 10; ++key) messages.push_back(Insert(8, kA, key));
  messages.push_back(WriteStreamStop());
  messages.push_back(WriteStreamCommit({TransactionId{8}, Lsn{100}, Lsn{110}, UnixMicros{1000}}));
  for (const std::string& message : messages) {
    ASSERT_TRUE(assembler.Consume(Lsn{}, base::AsBytes(message)));
    settle(false);
  }
  int set_count = 0;
  while (assembler.is_busy()) {
    EXPECT_LE(assembler.open_rows(), 2U);
    if (settle(true)) ++set_count;
  }
  EXPECT_EQ(set_count, 10);
}

TEST(ManySubtransactions, StayCheap) {
  AssemblerDriver driver;
  driver.SendAll({WriteStreamStart(TransactionId{8}, true), Describe(8, kA), Describe(8, kB)});
  // A loop with exception blocks: every second one is rolled back.
  constexpr std::uint32_t kCount = 100'000;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const std::uint32_t subxid = 1000 + i;
    ASSERT_TRUE(driver.Send(Insert(subxid, kA, static_cast<int>(i))));
    if (i % 2 == 0) continue;
    ASSERT_TRUE(driver.Send(WriteStreamStop()));
    ASSERT_TRUE(driver.Send(WriteStreamAbort(TransactionId{8}, TransactionId{subxid})));
    ASSERT_TRUE(driver.Send(WriteStreamStart(TransactionId{8}, false)));
    ASSERT_TRUE(driver.Send(Describe(8, kA)));
  }
  driver.SendAll({WriteStreamStop()});
  driver.StreamCommit(8, 100);
  while (std::optional<ChangeSet> set = driver.assembler.Seal()) driver.sets.push_back(*set);
  std::size_t row_count = 0;
  for (const ChangeSet& set : driver.sets) row_count += set.row_count;
  EXPECT_EQ(row_count, kCount / 2);
}

}  // namespace
}  // namespace sluice::replication
