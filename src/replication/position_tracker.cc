#include "replication/position_tracker.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"

namespace sluice::replication {

Duration FeedbackInterval(Duration wal_sender_timeout) {
  constexpr Duration kMost = std::chrono::seconds(10);
  if (wal_sender_timeout <= Duration::zero()) return kMost;
  return std::min(kMost, wal_sender_timeout / 3);
}

PositionTracker::PositionTracker(Lsn start, Duration interval, Clock::time_point now)
    : interval_(interval),
      last_sent_(now),
      last_empty_commit_(now),
      received_(start),
      durable_(start),
      visible_(start),
      acknowledged_(start) {}

void PositionTracker::OnReceived(Lsn wal_end) {
  received_ = std::max(received_, wal_end);
}

void PositionTracker::OnDurable(Lsn durable) {
  SLUICE_CHECK(durable <= received_);
  durable_ = std::max(durable_, durable);
}

void PositionTracker::OnVisible(Lsn visible) {
  SLUICE_CHECK(visible <= received_);
  visible_ = std::max(visible_, visible);
}

bool PositionTracker::IsFeedbackDue(Clock::time_point now) const {
  return is_reply_requested_ || now >= next_feedback_at();
}

Feedback PositionTracker::TakeFeedback(Clock::time_point now) {
  SLUICE_CHECK(durable_ >= acknowledged_);
  is_reply_requested_ = false;
  last_sent_ = now;
  acknowledged_ = durable_;
  return {.written = received_, .flushed = durable_, .applied = std::min(visible_, durable_)};
}

bool PositionTracker::WantsEmptyCommit(Lsn processed, Clock::time_point now) const {
  if (processed <= durable_) return false;
  return is_empty_commit_requested_ || now >= last_empty_commit_ + interval_;
}

void PositionTracker::OnEmptyCommit(Clock::time_point now) {
  last_empty_commit_ = now;
  is_empty_commit_requested_ = false;
}

}  // namespace sluice::replication
