#include "replication/position_tracker.h"

#include <gtest/gtest.h>

#include <chrono>

namespace sluice::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Clock::time_point kStart{};

TEST(FeedbackInterval, IsAThirdOfTheTimeoutAndAtMostTenSeconds) {
  EXPECT_EQ(FeedbackInterval(seconds(60)), seconds(10));
  EXPECT_EQ(FeedbackInterval(seconds(9)), seconds(3));
  EXPECT_EQ(FeedbackInterval(Duration::zero()), seconds(10));
}

TEST(PositionTracker, NeverAcknowledgesBeyondDurable) {
  PositionTracker tracker({100}, seconds(10), kStart);
  tracker.OnReceived({500});
  EXPECT_EQ(tracker.TakeFeedback(kStart).written, Lsn{500});
  EXPECT_EQ(tracker.acknowledged(), Lsn{100});
  tracker.OnDurable({300});
  EXPECT_EQ(tracker.TakeFeedback(kStart).flushed, Lsn{300});
  EXPECT_EQ(tracker.acknowledged(), Lsn{300});
}

TEST(PositionTracker, IgnoresLowerPositions) {
  PositionTracker tracker({100}, seconds(10), kStart);
  tracker.OnReceived({500});
  tracker.OnReceived({400});
  tracker.OnDurable({300});
  tracker.OnDurable({200});
  const Feedback feedback = tracker.TakeFeedback(kStart);
  EXPECT_EQ(feedback.written, Lsn{500});
  EXPECT_EQ(feedback.flushed, Lsn{300});
}

TEST(PositionTracker, SendsOncePerIntervalOrWhenAsked) {
  PositionTracker tracker({100}, seconds(10), kStart);
  EXPECT_FALSE(tracker.IsFeedbackDue(kStart + seconds(9)));
  EXPECT_TRUE(tracker.IsFeedbackDue(kStart + seconds(10)));
  tracker.OnReplyRequested();
  EXPECT_TRUE(tracker.IsFeedbackDue(kStart + seconds(1)));
  tracker.TakeFeedback(kStart + seconds(1));
  EXPECT_FALSE(tracker.IsFeedbackDue(kStart + seconds(10)));
  EXPECT_EQ(tracker.next_feedback_at(), kStart + seconds(11));
}

TEST(PositionTracker, ReportsVisibleAsAppliedUpToDurable) {
  PositionTracker tracker({100}, seconds(10), kStart);
  tracker.OnReceived({500});
  tracker.OnVisible({400});
  tracker.OnDurable({300});
  EXPECT_EQ(tracker.TakeFeedback(kStart).applied, Lsn{300});
}

TEST(PositionTracker, CommitsAPositionWithoutRowsOncePerInterval) {
  PositionTracker tracker({100}, seconds(10), kStart);
  EXPECT_FALSE(tracker.WantsEmptyCommit({100}, kStart + seconds(20)));
  EXPECT_FALSE(tracker.WantsEmptyCommit({200}, kStart + seconds(9)));
  EXPECT_TRUE(tracker.WantsEmptyCommit({200}, kStart + seconds(10)));
  tracker.OnEmptyCommit(kStart + seconds(10));
  EXPECT_FALSE(tracker.WantsEmptyCommit({300}, kStart + seconds(11)));
}

// A server that shuts down asks, and waits until everything is acknowledged.
TEST(PositionTracker, CommitsAPositionAtOnceWhenTheServerAsks) {
  PositionTracker tracker({100}, seconds(10), kStart);
  tracker.OnReplyRequested();
  tracker.TakeFeedback(kStart);
  EXPECT_TRUE(tracker.WantsEmptyCommit({200}, kStart + milliseconds(1)));
  tracker.OnEmptyCommit(kStart + milliseconds(1));
  EXPECT_FALSE(tracker.WantsEmptyCommit({200}, kStart + milliseconds(2)));
}

TEST(PositionTrackerDeathTest, RefusesDurableBeyondReceived) {
  PositionTracker tracker({100}, seconds(10), kStart);
  EXPECT_DEATH(tracker.OnDurable({101}), "check failed");
}

}  // namespace
}  // namespace sluice::replication
