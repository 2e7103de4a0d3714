#include "postgres/wake_policy.h"

#include <gtest/gtest.h>

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;
using Mode = WakePolicy::Mode;

void Burst(WakePolicy& policy, Clock::time_point& now) {
  for (int i = 0; i < WakePolicy::kWakeUpsToHigh; ++i) policy.OnWake(now += 10us, false, 100);
}

TEST(WakePolicy, StaysLowOnASlowStream) {
  WakePolicy policy(true);
  Clock::time_point now{};
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(policy.OnWake(now += 1ms, false, 100), Mode::kLow);
}

TEST(WakePolicy, TurnsHighInABurst) {
  WakePolicy policy(true);
  Clock::time_point now{};
  Burst(policy, now);
  EXPECT_EQ(policy.mode(), Mode::kHigh);
}

TEST(WakePolicy, StaysHighWhileMuchComes) {
  WakePolicy policy(true);
  Clock::time_point now{};
  Burst(policy, now);
  EXPECT_EQ(policy.OnWake(now, true, WakePolicy::kBackToLowBytes), Mode::kHigh);
  EXPECT_EQ(policy.OnWake(now, false, 10), Mode::kHigh);
}

TEST(WakePolicy, TurnsLowWhenTheTimePassesWithLittle) {
  WakePolicy policy(true);
  Clock::time_point now{};
  Burst(policy, now);
  EXPECT_EQ(policy.OnWake(now, true, 0), Mode::kLow);
  EXPECT_EQ(policy.OnWake(now += 1ms, false, 100), Mode::kLow);
}

TEST(WakePolicy, NapsWhereTheSocketKnowsNoMark) {
  WakePolicy policy(false);
  Clock::time_point now{};
  EXPECT_FALSE(policy.naps());
  Burst(policy, now);
  EXPECT_TRUE(policy.naps());
  EXPECT_EQ(policy.high_wait(), WakePolicy::kNap);
  EXPECT_EQ(policy.OnWake(now += 200us, true, WakePolicy::kNapBackToLowBytes), Mode::kHigh);
  EXPECT_EQ(policy.OnWake(now += 200us, true, 100), Mode::kLow);
  EXPECT_FALSE(policy.naps());
}

TEST(WakePolicy, CountsNoTimeOutAsAWakeUp) {
  WakePolicy policy(true);
  Clock::time_point now{};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(policy.OnWake(now += 1us, true, 0), Mode::kLow);
}

}  // namespace
}  // namespace sluice::postgres
