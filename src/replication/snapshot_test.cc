#include "replication/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/testing/result_matchers.h"

namespace sluice::replication {
namespace {

using ::sluice::testing::IsError;
using ::testing::ElementsAre;

constexpr std::uint64_t kSegment = 16U << 20;
constexpr std::uint64_t kEpoch = std::uint64_t{1} << 32;

Snapshot Parsed(std::string_view text) {
  auto snapshot = ParseSnapshot(text);
  EXPECT_TRUE(snapshot) << text;
  return snapshot ? *snapshot : Snapshot{};
}

TEST(ParseSnapshot, ReadsXminXmaxAndRunningIds) {
  const Snapshot snapshot = Parsed("21139:21145:21139,21142");
  EXPECT_EQ(snapshot.xmin, 21139U);
  EXPECT_EQ(snapshot.xmax, 21145U);
  EXPECT_THAT(snapshot.xip, ElementsAre(21139U, 21142U));
}

TEST(ParseSnapshot, ReadsEmptyListOfRunningIds) {
  EXPECT_TRUE(Parsed("7:7:").xip.empty());
  EXPECT_EQ(Parsed("18446744073709551614:18446744073709551615:").xmax, 18446744073709551615ULL);
}

TEST(ParseSnapshot, RejectsWhatIsNone) {
  for (const char* text : {"",         ":",
                           "::",       "1:2",
                           "1:2:3:4",  "a:2:",
                           "1:b:",     "1:2:c",
                           "5:0:",     "0:4:",
                           "3:9:4,",   "3:9:,4",
                           "3:9:4,,5", "3:9:5,4",
                           "3:9:4,4",  "3:9:2",
                           "3:9:9",    "3:9:4 ",
                           " 3:9:4",   "+3:9:",
                           "-3:9:",    "3:99999999999999999999:"}) {
    EXPECT_THAT(ParseSnapshot(text), IsError(ErrorKind::kProtocol)) << text;
  }
}

TEST(ParseSnapshot, TakesASlotsSnapshotWhoseXmaxFellBehindAfterRollbacks) {
  const Snapshot snapshot = Parsed("136181:135139:");
  EXPECT_TRUE(snapshot.Sees({136180}));
  EXPECT_FALSE(snapshot.Sees({136181}));
}

TEST(Snapshot, SeesWhatIsBelowXmaxAndNotRunning) {
  const Snapshot snapshot = Parsed("10:15:10,12");
  EXPECT_TRUE(snapshot.Sees({9}));
  EXPECT_FALSE(snapshot.Sees({10}));
  EXPECT_TRUE(snapshot.Sees({11}));
  EXPECT_FALSE(snapshot.Sees({12}));
  EXPECT_TRUE(snapshot.Sees({14}));
}

// Mutant 2 of the model: looking at the running ids only.
TEST(Snapshot, DoesNotSeeIdsAtOrAboveXmaxThoughTheyAreNotListed) {
  const Snapshot snapshot = Parsed("10:15:10,12");
  EXPECT_FALSE(snapshot.Sees({15}));
  EXPECT_FALSE(snapshot.Sees({16}));
}

TEST(Snapshot, WidensAcrossTheWrap) {
  Snapshot after;
  after.xmin = after.xmax = 3 * kEpoch + 5;
  EXPECT_EQ(after.Widen({0xFFFFFFF0}), 2 * kEpoch + 0xFFFFFFF0);
  EXPECT_EQ(after.Widen({7}), 3 * kEpoch + 7);
  EXPECT_TRUE(after.Sees({0xFFFFFFF0}));
  EXPECT_FALSE(after.Sees({7}));
  Snapshot before;
  before.xmin = before.xmax = 3 * kEpoch - 5;
  EXPECT_EQ(before.Widen({7}), 3 * kEpoch + 7);
  EXPECT_FALSE(before.Sees({7}));
  EXPECT_TRUE(before.Sees({0xFFFFFFF0}));
}

TEST(Snapshot, HasNoEpochBeforeTheFirst) {
  const Snapshot snapshot = Parsed("10:15:");
  EXPECT_EQ(snapshot.Widen({0xFFFFFFF0}), 0xFFFFFFF0ULL);
  EXPECT_FALSE(snapshot.Sees({0xFFFFFFF0}));
}

TEST(InsertLsnFloor, GoesBeforeAPageHeaderThatNoRecordFollows) {
  EXPECT_EQ(InsertLsnFloor({5 * 8192 + 24}, kSegment), Lsn{5 * 8192});
  EXPECT_EQ(InsertLsnFloor({kSegment * 3 + 40}, kSegment), Lsn{kSegment * 3});
}

TEST(InsertLsnFloor, KeepsOtherPositions) {
  const std::vector<std::uint64_t> others = {5 * 8192 + 40, kSegment * 3 + 24, 5 * 8192 + 25,
                                             kSegment * 3 + 8192 + 40, 5 * 8192};
  for (const std::uint64_t lsn : others) {
    EXPECT_EQ(InsertLsnFloor({lsn}, kSegment), Lsn{lsn});
  }
  EXPECT_EQ(InsertLsnFloor({kSegment * 3 + 8192 + 24}, kSegment), Lsn{kSegment * 3 + 8192});
}

}  // namespace
}  // namespace sluice::replication
