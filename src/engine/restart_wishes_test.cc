#include "engine/restart_wishes.h"

#include <gtest/gtest.h>

namespace sluice::engine {
namespace {

TEST(RestartWishes, AStartMeetsWhatWasWishedBeforeIt) {
  RestartWishes wishes;
  EXPECT_FALSE(wishes.is_any_open());
  const std::uint64_t wish = wishes.Wish();
  EXPECT_TRUE(wishes.is_any_open());
  const std::uint64_t start = wishes.StartBegins();
  EXPECT_FALSE(wishes.is_met(wish));
  wishes.Started(start);
  EXPECT_TRUE(wishes.is_met(wish));
  EXPECT_FALSE(wishes.is_any_open());
}

TEST(RestartWishes, AWishDuringAStartAsksForAnotherOne) {
  RestartWishes wishes;
  const std::uint64_t start = wishes.StartBegins();
  const std::uint64_t wish = wishes.Wish();
  wishes.Started(start);
  EXPECT_TRUE(wishes.is_any_open());
  EXPECT_FALSE(wishes.is_met(wish));
  wishes.Started(wishes.StartBegins());
  EXPECT_TRUE(wishes.is_met(wish));
}

TEST(RestartWishes, AStartThatFailsMeetsNone) {
  RestartWishes wishes;
  wishes.Wish();
  (void)wishes.StartBegins();
  EXPECT_TRUE(wishes.is_any_open());
}

}  // namespace
}  // namespace sluice::engine
