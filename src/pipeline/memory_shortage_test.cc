#include "pipeline/memory_shortage.h"

#include <gtest/gtest.h>

namespace sluice::pipeline {
namespace {

using namespace std::chrono_literals;

TEST(MemoryShortage, EndsARunThatGetsNoFurther) {
  MemoryShortage shortage;
  Clock::time_point now{};
  EXPECT_FALSE(shortage.is_recent());
  for (std::size_t i = 0; i < MemoryShortage::kMax; ++i)
    EXPECT_TRUE(shortage.MayGoOn(now += 1min, Lsn{100}));
  EXPECT_FALSE(shortage.MayGoOn(now += 1min, Lsn{100}));
  EXPECT_TRUE(shortage.MayGoOn(now += 1h, Lsn{100}));
}

TEST(MemoryShortage, GoesOnAsLongAsThePositionDoes) {
  MemoryShortage shortage;
  Clock::time_point now{};
  for (std::uint64_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(shortage.MayGoOn(now += 1s, Lsn{100 + i}));
    EXPECT_TRUE(shortage.is_recent());
  }
}

}  // namespace
}  // namespace sluice::pipeline
