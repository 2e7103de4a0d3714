#include "postgres/key_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace sluice::postgres {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(KeyRanges, CutTheHistogramIntoEvenParts) {
  EXPECT_THAT(BoundsOf({1, 100, 200, 300, 400}, 400, 4), ElementsAre(100, 200, 300));
  EXPECT_THAT(BoundsOf({0, 10, 1000}, 1000, 4), ElementsAre(5, 10, 505));
}

TEST(KeyRanges, AreOfTheSizeThatIsWantedWhereThatIsEnoughRows) {
  const RangeSize size = {.bytes = 256, .bytes_most = 1024, .rows_least = 100};
  EXPECT_EQ(RangeCount(511, 10'000, size), 1U);
  EXPECT_EQ(RangeCount(512, 10'000, size), 2U);
  EXPECT_EQ(RangeCount(25'600, 1'000'000, size), 100U);
}

TEST(KeyRanges, OfLargeRowsAreLargerButOnlySoFar) {
  const RangeSize size = {.bytes = 256, .bytes_most = 1024, .rows_least = 100};
  EXPECT_EQ(RangeCount(25'600, 5'000, size), 50U);
  EXPECT_EQ(RangeCount(25'600, 50, size), 25U);
  EXPECT_EQ(RangeCount(2'047, 50, size), 1U);
}

TEST(KeyRanges, AreOfTheSizeThatSomebodyHasGiven) {
  EXPECT_EQ(RangeCount(25'600, 50, {.bytes = 256, .bytes_most = 256, .rows_least = 100}), 100U);
}

TEST(KeyRanges, ReachAsFarAsTheTableDoesNow) {
  EXPECT_THAT(BoundsOf({0, 100, 200}, 400, 4), ElementsAre(100, 200, 300));
}

TEST(KeyRanges, OneWildValueDoesNotMakeTheOthersOneRange) {
  const auto bounds = BoundsOf({0, 100, 200}, std::numeric_limits<std::int64_t>::max(), 4);
  EXPECT_THAT(bounds, ElementsAre(550, 1100, 1650));
}

TEST(KeyRanges, AreNoMoreThanThereAreValues) {
  EXPECT_THAT(BoundsOf({1, 2, 3}, 3, 100), ElementsAre(1, 2));
  EXPECT_THAT(BoundsOf({7, 7}, 7, 4), IsEmpty());
  EXPECT_THAT(BoundsOf({}, 7, 4), IsEmpty());
}

TEST(KeyRanges, TheWholeDomainIsCutWithoutOverflow) {
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_THAT(BoundsOf({kLeast, kMost}, kMost, 2), ElementsAre(-1));
}

TEST(KeyRanges, EveryValueIsInExactlyOne) {
  CopyRanges ranges;
  ranges.bounds = {-5, 10};
  EXPECT_EQ(RangeSql("id", ranges, 0), "\"id\" <= '-5'::bigint");
  EXPECT_EQ(RangeSql("id", ranges, 1), "\"id\" > '-5'::bigint AND \"id\" <= '10'::bigint");
  EXPECT_EQ(RangeSql("id", ranges, 2), "\"id\" > '10'::bigint");
}

}  // namespace
}  // namespace sluice::postgres
