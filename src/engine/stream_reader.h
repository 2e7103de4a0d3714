/// \file
/// The stream thread: reads the log, assembles transactions, hands change sets to the
/// delivery writer, and never stops telling the server how far the destination is.
///
///   loop: read what is there -> assemble -> a set is full, or the writer is free and the set is
///   old enough: seal, push
///         feedback on its own timer, also while the writer has no room (back-pressure is not
///         reading)
///
/// Thread safety: Run() on one thread. One object per incarnation: after any error a new one begins
/// at the durable position.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "engine/log_feed.h"
#include "engine/progress.h"
#include "engine/restart_wishes.h"
#include "engine/writer_inbox.h"
#include "replication/position_tracker.h"
#include "replication/transaction_assembler.h"
#include "spill/change_log.h"
#include "telemetry/log.h"

namespace sluice::engine {

struct StreamReaderOptions {
  replication::AssemblerOptions assembler;
  Duration batch_age = std::chrono::milliseconds(10);
  Duration feedback_interval = std::chrono::seconds(4);
  /// The server is asked for a sign of life after a third of it; without any byte for so long the
  /// stream ends with SLU-2113.
  Duration silence_max = std::chrono::seconds(60);
  std::string spill_dir;
  /// What is acknowledged never passes this; empty: durable is acknowledged.
  std::optional<Lsn> acknowledge_limit;
  /// Set by another thread: end with SLU-3091, for a fresh description of every table. May be null.
  const RestartWishes* restart = nullptr;
  /// Set by another thread: end with SLU-3093 where no transaction is half received. May be null.
  const std::atomic<bool>* leave = nullptr;
  /// Gets the logical messages it wants; null: nobody does. Must outlive the reader.
  replication::MessageListener* listener = nullptr;
};

class StreamReader {
 public:
  /// \param start durable end; \param processed what the writer has committed: what ends there or
  /// before is skipped.
  StreamReader(std::unique_ptr<LogFeed> feed, Lsn start, Lsn processed,
               std::optional<Witness> witness, replication::RelationResolver& resolver,
               StreamReaderOptions options, WriterInbox& inbox, Progress& progress,
               telemetry::Logger& logger);

  /// Until stop: then what is whole has been handed on, and the stream is still open for
  /// SendLastFeedback().
  Status Run(std::stop_token stop);
  /// After the writer has drained.
  void SendLastFeedback();
  /// Nothing more is read, nor acknowledged. After Run().
  void Disconnect() { feed_.reset(); }

  // For the feed.

  /// One pgoutput message.
  Status TakeMessage(Lsn wal_start, std::span<const std::byte> message) {
    SLUICE_RETURN_IF_ERROR(assembler_.Consume(wal_start, message));
    if (!has_proven_past_) SLUICE_RETURN_IF_ERROR(CheckPast(Lsn{}));
    return assembler_.is_busy() ? Settle(stop_) : Status{};
  }
  /// All that committed before `wal_end` has been given.
  Status TakeReached(Lsn wal_end);
  void NoteServerFlush(Lsn flush);
  /// The source wants to know now what is durable.
  void RequestReply() { tracker_.OnReplyRequested(); }
  /// The feed begins again at an earlier place of the log. \pre is_at_boundary()
  void ReadAgain() {
    if (has_proven_past_) assembler_.ReadAgain();
  }
  /// Hands on what is whole, however little. \param with_position also where only that has moved.
  Status SealAll(bool with_position);
  /// A long wait for the source goes on. False: the incarnation is to end.
  bool GoesOn();
  bool is_at_boundary() const { return assembler_.at_boundary(); }
  /// End of what has come.
  Lsn received() const { return assembler_.end(); }
  /// Somebody waits for the position to move.
  bool is_waited_for() const;
  std::uint64_t transactions() const { return assembler_.counters().transactions; }
  /// Rows decoded.
  std::uint64_t rows() const;

 private:
  Status CheckPast(Lsn reached);
  Status CheckRestart() const;
  Status CheckSilence(Clock::time_point now);
  Status Settle(std::stop_token stop);
  Status CarryOut(replication::Action action);
  Status Push(ChangeSet set, std::stop_token stop);
  Status MaybeSeal(Clock::time_point now, std::stop_token stop);
  Status MaybeFeedback(Clock::time_point now);
  Status SendFeedback(Clock::time_point now, bool wants_reply);
  Clock::time_point NextDeadline(Clock::time_point now) const;
  bool HasTransactions() const;
  void NoteProgress(Clock::time_point now);

  std::unique_ptr<LogFeed> feed_;
  const StreamReaderOptions options_;
  WriterInbox& inbox_;
  Progress& progress_;
  const std::uint64_t bytes_before_;  ///< received by earlier streams of the run
  telemetry::Logger& logger_;
  replication::TransactionAssembler assembler_;
  replication::PositionTracker tracker_;
  std::map<TransactionId, spill::ChangeLog> spilled_;
  std::optional<Clock::time_point> open_since_;
  Clock::time_point asked_at_{};
  Clock::time_point heard_at_ = Clock::now();
  std::uint64_t heard_bytes_ = 0;
  std::uint64_t sealed_transactions_ = 0;
  Lsn pushed_;
  Lsn start_;
  bool expects_witness_ = false;
  /// The source has the past that the destination has. Until then nothing is acknowledged, so that
  /// the next start can ask again.
  bool has_proven_past_ = false;
  /// A piece went out: the rest of its transaction is owed, even if it has no rows.
  bool in_transaction_ = false;
  std::stop_token stop_;
};

}  // namespace sluice::engine
