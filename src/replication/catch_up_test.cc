#include "replication/catch_up.h"

#include <gtest/gtest.h>

namespace sluice::replication {
namespace {

constexpr std::uint64_t kMiB = 1ULL << 20;
/// Its result was as large as its log.
constexpr PastCalls kPlain{.log_bytes = 128 * kMiB, .growth = 1};

LogPlaces Places(std::uint64_t restart, std::uint64_t confirmed, std::uint64_t received,
                 std::uint64_t flushed) {
  return {Lsn{restart * kMiB}, Lsn{confirmed * kMiB}, Lsn{received * kMiB}, Lsn{flushed * kMiB}};
}

TEST(CatchUp, IsChosenFromSoMuchUnreadLogOn) {
  EXPECT_TRUE(IsFarBehind(Places(90, 100, 100, 612), 512 * kMiB));
  EXPECT_FALSE(IsFarBehind(Places(90, 100, 100, 611), 512 * kMiB));
  EXPECT_FALSE(IsFarBehind(Places(90, 100, 101, 612), 512 * kMiB));
  EXPECT_TRUE(IsFarBehind(Places(90, 100, 100, 100), 0));
}

TEST(CatchUp, IsNotChosenWhereTooMuchWouldBeReadAgain) {
  EXPECT_TRUE(IsFarBehind(Places(488, 1000, 1000, 5000), 512 * kMiB));
  EXPECT_FALSE(IsFarBehind(Places(487, 1000, 1000, 5000), 512 * kMiB));
  EXPECT_FALSE(PlanCall(Places(487, 1000, 1000, 5000), kPlain));
}

TEST(CatchUp, IsChosenFromAnEighthOnWhereNoStreamHasBegun) {
  EXPECT_TRUE(BeginsBySql(Places(90, 100, 100, 164), 512 * kMiB));
  EXPECT_FALSE(BeginsBySql(Places(90, 100, 100, 163), 512 * kMiB));
  EXPECT_FALSE(BeginsBySql(Places(487, 1000, 1000, 5000), 512 * kMiB));
  EXPECT_TRUE(BeginsBySql(Places(90, 100, 100, 100), 0));
}

TEST(CatchUp, LeavesToTheStreamWhatCameDuringTheLastCall) {
  const PastCalls past{.places = Places(900, 990, 900, 1000)};
  EXPECT_TRUE(MayTakeOver(Places(900, 990, 1000, 1063), 512 * kMiB, past));
  EXPECT_FALSE(MayTakeOver(Places(900, 990, 1000, 1064), 512 * kMiB, past));
  EXPECT_FALSE(MayTakeOver(Places(900, 990, 1000, 1000), 0, past));
}

TEST(CatchUp, ReadsOnWhileItGainsEvenWhereLittleIsUnread) {
  const PastCalls past{.places = Places(900, 930, 936, 1000)};
  EXPECT_FALSE(MayTakeOver(Places(900, 930, 952, 1015), 512 * kMiB, past));
  EXPECT_TRUE(
      MayTakeOver(Places(900, 930, 939, 1002), 512 * kMiB, {.places = Places(900, 930, 936, 999)}));
}

TEST(CatchUp, ReadsAsMuchAsIsReadAgainWithinLimits) {
  const auto least = PlanCall(Places(100, 100, 100, 9000), kPlain);
  ASSERT_TRUE(least);
  EXPECT_EQ(least->upto.value, 228 * kMiB);
  EXPECT_EQ(least->changes_max, 500'000);
  EXPECT_EQ(PlanCall(Places(100, 250, 250, 9000), kPlain)->upto.value, 400 * kMiB);
  EXPECT_EQ(PlanCall(Places(100, 500, 500, 9000), kPlain)->upto.value, 756 * kMiB);
  EXPECT_EQ(PlanCall(Places(100, 500, 500, 9000), kPlain)->changes_max, 1'000'000);
}

TEST(CatchUp, ReadsBeyondWhatIsReceivedAndNotBeyondTheFlushedLog) {
  EXPECT_EQ(PlanCall(Places(100, 100, 200, 9000), kPlain)->upto.value, 328 * kMiB);
  EXPECT_EQ(PlanCall(Places(100, 100, 200, 210), kPlain)->upto.value, 210 * kMiB);
}

TEST(CatchUp, AsksForTwiceAsMuchAfterACallThatBroughtNothingAndThenGivesUp) {
  EXPECT_EQ(PlanCall(Places(100, 100, 120, 900), {.barren = 2})->changes_max, 2'000'000);
  EXPECT_FALSE(PlanCall(Places(100, 100, 120, 900), {.barren = kBarrenCallsMax}));
}

TEST(CatchUp, ReadsLittleBeforeItKnowsHowLargeAResultIs) {
  EXPECT_EQ(PlanCall(Places(100, 100, 100, 9000), {})->upto.value, 116 * kMiB);
}

TEST(CatchUp, ReadsLessWhereResultsAreLargerThanTheirLog) {
  const auto upto = [](std::uint64_t growth) {
    PastCalls past;
    past.Add(64 * kMiB, 64 * kMiB * growth);
    past.Add(64 * kMiB, 64 * kMiB);  // the largest counts
    return PlanCall(Places(100, 100, 100, 9000), past)->upto.value;
  };
  EXPECT_EQ(upto(4), 228 * kMiB);
  EXPECT_EQ(upto(8), 164 * kMiB);
  EXPECT_EQ(upto(100), 116 * kMiB);
}

TEST(CatchUp, ReadsAtMostTwiceAsMuchAsTheCallBefore) {
  const auto upto = [](std::uint64_t log) {
    const PastCalls past{.log_bytes = log * kMiB, .growth = 1};
    return PlanCall(Places(100, 100, 100, 9000), past)->upto.value;
  };
  EXPECT_EQ(upto(1), 116 * kMiB);
  EXPECT_EQ(upto(16), 132 * kMiB);
  EXPECT_EQ(upto(64), 228 * kMiB);
}

TEST(CatchUp, HasReachedTheEndOnlyWithFewerChangesThanTheLimit) {
  EXPECT_TRUE(HasReachedItsEnd({.upto = {}, .changes_max = 3}, 2));
  EXPECT_FALSE(HasReachedItsEnd({.upto = {}, .changes_max = 3}, 3));
}

}  // namespace
}  // namespace sluice::replication
