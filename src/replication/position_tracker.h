/// \file
/// Received, durable, visible and acknowledged position of one stream, and when feedback is due.
///
///   I1  acknowledged <= durable <= received
///   I5  each of them only rises within an incarnation
///
/// What is acknowledged is gone at the server, so only `durable` is ever reported as flushed. A
/// keepalive is an empty transaction: it becomes durable first and is acknowledged then.
///
/// Feedback is due once per interval, min(10 s, wal_sender_timeout / 3), or at once when the server
/// asked. Pure: time comes in as a parameter. One object, one thread.
#pragma once

#include "sluice/lsn.h"
#include "sluice/time.h"

namespace sluice::replication {

/// `wal_sender_timeout` 0 means that the server never ends the connection.
Duration FeedbackInterval(Duration wal_sender_timeout);

/// Standby status update.
struct Feedback {
  Lsn written;  ///< received
  Lsn flushed;  ///< durable: the server may forget what is before
  Lsn applied;  ///< visible
};

class PositionTracker {
 public:
  /// `start`: durable end at the destination, what START_REPLICATION was (or could have been)
  /// given.
  PositionTracker(Lsn start, Duration interval, Clock::time_point now);

  /// Data or a keepalive came up to here.
  void OnReceived(Lsn wal_end);
  /// The server wants an answer now.
  void OnReplyRequested() {
    is_reply_requested_ = true;
    is_empty_commit_requested_ = true;
  }
  /// The destination's watermarks. A lower value is ignored; more than received is a bug.
  void OnDurable(Lsn durable);
  void OnVisible(Lsn visible);

  bool IsFeedbackDue(Clock::time_point now) const;
  /// When to look again at the latest; for poll timeouts.
  Clock::time_point next_feedback_at() const { return last_sent_ + interval_; }
  /// What to send now; counts as sent.
  Feedback TakeFeedback(Clock::time_point now);

  /// `processed` is ahead of durable without rows to write (keepalives, transactions of others):
  /// worth a destination commit of its own? Once per interval, or when the server asks and it was
  /// not done for that request yet.
  bool WantsEmptyCommit(Lsn processed, Clock::time_point now) const;
  /// Such a commit was made.
  void OnEmptyCommit(Clock::time_point now);

  Lsn received() const { return received_; }
  Lsn durable() const { return durable_; }
  Lsn visible() const { return visible_; }
  Lsn acknowledged() const { return acknowledged_; }

 private:
  Duration interval_;
  Clock::time_point last_sent_;
  Clock::time_point last_empty_commit_;
  Lsn received_;
  Lsn durable_;
  Lsn visible_;
  Lsn acknowledged_;
  bool is_reply_requested_ = false;
  bool is_empty_commit_requested_ = false;
};

}  // namespace sluice::replication
