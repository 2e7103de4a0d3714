/// \file
/// The log by SQL, for who is far behind: call after call until little is left, then the stream
/// takes over (SLU-3093).
///
///   call: what the slot has, up to a limit ->  given on while it comes
///   the first three quarters of it are durable ->  the slot is advanced to what is durable
///   next call: begins there, and what came before is skipped
///
/// So the server decodes the next call while the writer is still at the last one. What is
/// acknowledged is acknowledged by advancing the slot, between two calls. A transaction that comes
/// in pieces, and a call that lasts too long, are the stream's.
///
/// Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sluice/lsn.h"

#include "engine/log_feed.h"
#include "postgres/catch_up_reader.h"
#include "replication/catch_up.h"

namespace sluice::engine {

struct CatchUpFeedOptions {
  /// See MayTakeOver().
  std::uint64_t from = 0;
  /// A call that lasts so long is given up, whoever is slow: it holds a snapshot at the source. So
  /// is a wait for the destination between two calls, where nobody reads the slot: a server may
  /// have a limit for that (idle_replication_slot_timeout, 18).
  Duration call_max = std::chrono::minutes(2);
  /// It is not to be read by SQL for a while.
  std::function<void()> on_given_up;
};

class CatchUpFeed final : public LogFeed {
 public:
  CatchUpFeed(std::unique_ptr<postgres::SlotCalls> calls, CatchUpFeedOptions options)
      : calls_(std::move(calls)), options_(std::move(options)) {}

  /// Errors: SLU-3093: the stream is to take over; of CatchUpReader.
  Status Read(Clock::time_point deadline, const std::stop_token& stop,
              StreamReader& reader) override;
  Result<Lsn> Acknowledge(const replication::Feedback& feedback, bool wants_reply) override;
  bool wants_feedback() const override { return !calls_->is_calling(); }
  void Close(Duration timeout) override;
  std::uint64_t received_bytes() const override { return calls_->received_bytes(); }

 private:
  /// False: there is nothing to read yet, or nothing to be read before more is durable.
  Result<bool> BeginCall(const std::stop_token& stop, StreamReader& reader);
  Status TakeRows(const std::stop_token& stop, StreamReader& reader);
  Status TakeMessage(const postgres::SlotCalls::Message& row, StreamReader& reader);
  Status EndCall(StreamReader& reader);
  bool IsOverdue() const;
  Error GiveUp(const std::string& why);
  Error TakeOver(const StreamReader& reader) const;

  const std::unique_ptr<postgres::SlotCalls> calls_;
  const CatchUpFeedOptions options_;
  Lsn may_forget_;
  /// The next call begins when this is durable.
  Lsn wanted_durable_;
  Clock::time_point waits_since_{};  ///< for that; default: it does not

  // Of the call that runs, or ran last.
  replication::NextCall call_;
  bool is_at_head_ = false;
  Clock::time_point call_began_at_{};
  std::uint64_t changes_ = 0;
  std::uint64_t transactions_before_ = 0;
  Lsn received_before_;
  std::uint64_t bytes_before_ = 0;
  Lsn received_;
  /// What ended at such a place was in after so many changes.
  std::vector<std::pair<std::uint64_t, Lsn>> marks_;
  replication::PastCalls past_;

  const Clock::time_point began_at_ = Clock::now();
  Lsn began_from_;
};

}  // namespace sluice::engine
