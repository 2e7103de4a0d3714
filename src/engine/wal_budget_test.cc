#include "engine/wal_budget.h"

#include <gtest/gtest.h>

namespace sluice::engine {
namespace {

constexpr std::uint64_t kLimit = 1000;

Clock::time_point At(int seconds) {
  return Clock::time_point{} + std::chrono::seconds(100 + seconds);
}

TEST(WalBudget, WithoutALimitSaysNothing) {
  WalBudget budget({});
  EXPECT_TRUE(budget.Look(UINT64_MAX, At(0)).alarm.empty());
  EXPECT_FALSE(budget.is_over());
}

TEST(WalBudget, AlarmsOnceAndAtEachDoubling) {
  WalBudget budget({.max_bytes = kLimit});
  EXPECT_TRUE(budget.Look(kLimit, At(0)).alarm.empty());
  EXPECT_FALSE(budget.Look(kLimit + 1, At(1)).alarm.empty());
  EXPECT_TRUE(budget.Look(kLimit + 500, At(2)).alarm.empty());
  EXPECT_FALSE(budget.Look(3 * kLimit, At(3)).alarm.empty());
  EXPECT_TRUE(budget.Look(4 * kLimit, At(4)).alarm.empty());
  EXPECT_FALSE(budget.Look(UINT64_MAX / 4, At(60)).drops_slot) << "nobody asked for that";
}

TEST(WalBudget, IsBackOnlyWellBelowTheLimitSoThatCopiesDoNotFlutter) {
  WalBudget budget({.max_bytes = kLimit, .policy = OnRetainedWal::kPauseCopy});
  (void)budget.Look(kLimit + 1, At(0));
  EXPECT_TRUE(budget.pauses_copies());
  EXPECT_FALSE(budget.Look(kLimit - 1, At(1)).is_back);
  EXPECT_TRUE(budget.pauses_copies());
  EXPECT_TRUE(budget.Look(800, At(2)).is_back);
  EXPECT_FALSE(budget.pauses_copies());
  EXPECT_FALSE(budget.Look(800, At(3)).is_back);
}

TEST(WalBudget, DropsTheSlotWhereWhatItKeepsGetsNoLess) {
  WalBudget budget({.max_bytes = kLimit, .policy = OnRetainedWal::kDropSlot});
  EXPECT_FALSE(budget.Look(5000, At(0)).drops_slot);
  EXPECT_FALSE(budget.Look(6000, At(9)).drops_slot);
  EXPECT_TRUE(budget.Look(6000, At(10)).drops_slot);
}

TEST(WalBudget, LeavesASlotThatIsBeingReadOffAlone) {
  WalBudget budget({.max_bytes = kLimit, .policy = OnRetainedWal::kDropSlot});
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(budget.Look(100'000U - static_cast<unsigned>(i), At(9 * i)).drops_slot);
  }
}

}  // namespace
}  // namespace sluice::engine
