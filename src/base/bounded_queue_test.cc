#include "base/bounded_queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::base {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(BoundedQueue, LetsInOneItemHeavierThanTheLimit) {
  BoundedQueue<int> queue(10);
  int item = 1;
  EXPECT_TRUE(queue.PushUntil(item, 100, Clock::now() + hours(1), {}));
  int second = 2;
  EXPECT_FALSE(queue.PushUntil(second, 1, Clock::now() + milliseconds(1), {}));
  EXPECT_EQ(second, 2);
}

TEST(BoundedQueue, DrainsAfterClose) {
  BoundedQueue<int> queue(10);
  int item = 7;
  ASSERT_TRUE(queue.PushUntil(item, 1, Clock::now() + hours(1), {}));
  queue.Close();
  EXPECT_EQ(queue.Pop({}), 7);
  EXPECT_EQ(queue.Pop({}), std::nullopt);
}

TEST(BoundedQueue, WakesAWaitingConsumerWhenStopped) {
  BoundedQueue<int> queue(10);
  std::stop_source stop;
  std::jthread consumer([&] { EXPECT_EQ(queue.Pop(stop.get_token()), std::nullopt); });
  stop.request_stop();
}

}  // namespace
}  // namespace sluice::base
