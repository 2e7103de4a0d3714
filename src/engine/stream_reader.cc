#include "engine/stream_reader.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/failpoint.h"

namespace sluice::engine {
namespace {

/// How often the server is asked where it is while somebody waits for the answer.
constexpr Duration kAskInterval = std::chrono::milliseconds(20);
constexpr Duration kLongestRead = std::chrono::milliseconds(100);
/// While the writer works, how soon to look whether it is free.
constexpr Duration kWriterPoll = std::chrono::milliseconds(1);

}  // namespace

StreamReader::StreamReader(std::unique_ptr<LogFeed> feed, Lsn start, Lsn processed,
                           std::optional<Witness> witness, replication::RelationResolver& resolver,
                           StreamReaderOptions options, WriterInbox& inbox, Progress& progress,
                           telemetry::Logger& logger)
    : feed_(std::move(feed)),
      options_(std::move(options)),
      inbox_(inbox),
      progress_(progress),
      bytes_before_(progress.bytes_received.load()),
      logger_(logger),
      assembler_(options_.assembler, std::max(start, processed), witness, resolver,
                 options_.listener),
      tracker_(start, options_.feedback_interval, Clock::now()),
      pushed_(std::max(start, processed)),
      start_(start),
      expects_witness_(witness.has_value()),
      has_proven_past_(!witness && !options_.assembler.knows_past) {
  tracker_.OnReceived(pushed_);
  progress_.received.Store(pushed_);
}

Status StreamReader::Run(std::stop_token stop) {
  stop_ = stop;
  SLUICE_RETURN_IF_ERROR(SendFeedback(Clock::now(), false));
  while (!stop.stop_requested()) {
    SLUICE_RETURN_IF_ERROR(CheckRestart());
    SLUICE_RETURN_IF_ERROR(feed_->Read(NextDeadline(Clock::now()), stop, *this));
    const Clock::time_point now = Clock::now();
    SLUICE_RETURN_IF_ERROR(CheckSilence(now));
    NoteProgress(now);
    SLUICE_RETURN_IF_ERROR(MaybeSeal(now, stop));
    SLUICE_RETURN_IF_ERROR(MaybeFeedback(now));
  }
  // What is whole goes on; an unfinished transaction comes again.
  if (assembler_.at_boundary() && assembler_.has_sealable()) {
    if (std::optional<ChangeSet> set = assembler_.Seal()) (void)Push(std::move(*set), {});
  }
  return {};
}

void StreamReader::NoteServerFlush(Lsn flush) {
  progress_.server_flush.Store(std::max(progress_.server_flush.Load(), flush));
}

Status StreamReader::TakeReached(Lsn wal_end) {
  if (!has_proven_past_) SLUICE_RETURN_IF_ERROR(CheckPast(wal_end));
  assembler_.Keepalive(wal_end);
  return {};
}

bool StreamReader::is_waited_for() const {
  return progress_.position_wishes.load() > 0 || progress_.units_to_land.load() > 0;
}

std::uint64_t StreamReader::rows() const {
  const replication::AssemblerCounters& counters = assembler_.counters();
  return counters.inserts + counters.updates + counters.deletes;
}

bool StreamReader::GoesOn() {
  NoteProgress(Clock::now());
  return static_cast<bool>(CheckRestart());
}

Status StreamReader::SealAll(bool with_position) {
  if (!assembler_.at_boundary() || !assembler_.has_sealable()) return {};
  if (!HasTransactions() && !with_position) return {};
  std::optional<ChangeSet> set = assembler_.Seal();
  return set ? Push(std::move(*set), stop_) : Status{};
}

/// What the destination has was asked for once more, as far as the slot has it. Another transaction
/// in its place, or none at all, is another past.
Status StreamReader::CheckPast(Lsn reached) {
  expects_witness_ = expects_witness_ && !assembler_.has_seen_witness();
  const bool is_behind_it = assembler_.counters().transactions > 0 || reached >= pushed_;
  if (!is_behind_it) return {};
  if (expects_witness_) {
    return Error{.kind = ErrorKind::kConfig,
                 .message =
                     "the last transaction that is durable at the destination is not in the "
                     "source's log",
                 .code = "SLU-3105",
                 .advice =
                     "check the source's address; if it is right it was restored from a "
                     "backup: `sluice run` with --on-lost-slot resync"};
  }
  has_proven_past_ = true;
  return SendFeedback(Clock::now(), false);
}

Status StreamReader::CheckRestart() const {
  if (progress_.lets_go.load()) {
    return Error{.kind = ErrorKind::kConnection,
                 .message =
                     "the source wants to be let go, and the destination is busy: what it "
                     "has not stored comes again",
                 .code = "SLU-2109"};
  }
  if (options_.restart != nullptr && options_.restart->is_any_open()) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "the stream starts again to describe its tables anew",
                 .code = "SLU-3091"};
  }
  if (inbox_.is_refusing()) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "a table halted, and what came since is read again",
                 .code = "SLU-3090"};
  }
  if (options_.leave != nullptr && options_.leave->load() && assembler_.at_boundary() &&
      assembler_.staged_transactions() == 0) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "far behind: the log is read by SQL from here on",
                 .code = "SLU-3093"};
  }
  return {};
}

/// A connection that stands but carries nothing, as behind a proxy or a firewall that forgot it:
/// the kernel's keepalives may be answered halfway. What the server says cannot tell it, silence
/// can.
Status StreamReader::CheckSilence(Clock::time_point now) {
  if (feed_->received_bytes() != heard_bytes_) {
    heard_bytes_ = feed_->received_bytes();
    heard_at_ = now;
    return {};
  }
  if (now - heard_at_ >= options_.silence_max) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "the source does not answer on the replication connection",
                 .code = "SLU-2113",
                 .advice = "Sluice connects again by itself"};
  }
  const Duration patience = options_.silence_max / 3;
  if (now - heard_at_ < patience || now - asked_at_ < patience / 2) return {};
  asked_at_ = now;
  return SendFeedback(now, true);
}

/// Spills, read-backs and full sets, until the assembler takes messages again.
Status StreamReader::Settle(std::stop_token stop) {
  while (assembler_.is_busy()) {
    for (replication::Action& action : assembler_.TakeActions()) {
      SLUICE_RETURN_IF_ERROR(CarryOut(std::move(action)));
    }
    if (!assembler_.has_ready()) continue;
    if (std::optional<ChangeSet> set = assembler_.Seal()) {
      SLUICE_RETURN_IF_ERROR(Push(std::move(*set), stop));
    }
  }
  return {};
}

Status StreamReader::CarryOut(replication::Action action) {
  if (auto* spill = std::get_if<replication::SpillBatch>(&action)) {
    auto found = spilled_.find(spill->xid);
    if (found == spilled_.end()) {
      SLUICE_ASSIGN_OR_RETURN(spill::ChangeLog log, spill::ChangeLog::Create(options_.spill_dir));
      found = spilled_.emplace(spill->xid, std::move(log)).first;
    }
    SLUICE_FAILPOINT("spill.write");
    SLUICE_ASSIGN_OR_RETURN(const std::size_t index, found->second.Append(spill->batch));
    SLUICE_CHECK(index == spill->index);
    SLUICE_FAILPOINT("spill.written");
    progress_.spilled_bytes += spill->batch.bytes;
    return {};
  }
  if (const auto* truncate = std::get_if<replication::TruncateSpill>(&action)) {
    const auto found = spilled_.find(truncate->xid);
    return found == spilled_.end() ? Status{} : found->second.Truncate(truncate->count);
  }
  if (const auto* restore = std::get_if<replication::RestoreBatch>(&action)) {
    const auto found = spilled_.find(restore->xid);
    SLUICE_CHECK(found != spilled_.end());
    SLUICE_ASSIGN_OR_RETURN(ChangeBatch batch, found->second.ReadBatch(restore->index));
    SLUICE_FAILPOINT("spill.read_back");
    assembler_.Restore(restore->xid, restore->index, std::move(batch));
    return {};
  }
  spilled_.erase(std::get<replication::DropSpill>(action).xid);
  return {};
}

/// Waits for room without reading, while feedback goes on.
Status StreamReader::Push(ChangeSet set, std::stop_token stop) {
  SLUICE_FAILPOINT("stream.set_sealed");
  const Lsn end = set.end;
  const bool ends_at_boundary = set.ends_at_boundary;
  sealed_transactions_ = assembler_.counters().transactions;
  for (;;) {
    if (inbox_.PushUntil(set, Clock::now() + std::chrono::milliseconds(100), stop)) break;
    if (inbox_.is_closed()) {
      return Error{.kind = ErrorKind::kCancelled, .message = "the delivery writer has ended"};
    }
    SLUICE_RETURN_IF_ERROR(CheckRestart());
    if (stop.stop_requested()) {
      return Error{.kind = ErrorKind::kCancelled,
                   .message = "stopped while the destination was busy"};
    }
    const Clock::time_point now = Clock::now();
    NoteProgress(now);
    SLUICE_RETURN_IF_ERROR(MaybeFeedback(now));
  }
  heard_at_ = Clock::now();  // nobody listened while there was no room
  in_transaction_ = !ends_at_boundary;
  if (end.is_valid()) {
    pushed_ = end;
    tracker_.OnReceived(end);
    progress_.received.Store(end);
  }
  open_since_.reset();
  return {};
}

bool StreamReader::HasTransactions() const {
  return in_transaction_ || assembler_.counters().transactions > sealed_transactions_ ||
         assembler_.open_rows() > 0;
}

Status StreamReader::MaybeSeal(Clock::time_point now, std::stop_token stop) {
  if (!assembler_.has_sealable() || !assembler_.at_boundary()) return {};
  if (!HasTransactions()) {
    // Only the position moved: an empty transaction, worth a commit now and then, or when somebody
    // waits for it.
    if (assembler_.end() <= pushed_) return {};
    tracker_.OnReceived(assembler_.end());
    if (!is_waited_for() && !tracker_.WantsEmptyCommit(assembler_.end(), now)) return {};
    tracker_.OnEmptyCommit(now);
  } else {
    if (!open_since_) open_since_ = now;
    if (!inbox_.is_idle() || now - *open_since_ < options_.batch_age) return {};
  }
  std::optional<ChangeSet> set = assembler_.Seal();
  return set ? Push(std::move(*set), stop) : Status{};
}

Clock::time_point StreamReader::NextDeadline(Clock::time_point now) const {
  const Duration longest = progress_.is_bounded.load() ? kAskInterval / 4 : kLongestRead;
  Clock::time_point deadline = std::min(tracker_.next_feedback_at(), now + longest);
  if (is_waited_for()) {
    deadline = std::min(deadline, now + kAskInterval / 4);
  }
  if (assembler_.has_sealable() && HasTransactions()) {
    const Clock::time_point ripe = open_since_.value_or(now) + options_.batch_age;
    deadline = std::min(deadline, std::max(ripe, now + kWriterPoll));
  }
  return deadline;
}

Status StreamReader::MaybeFeedback(Clock::time_point now) {
  tracker_.OnDurable(std::min(progress_.durable.Load(), tracker_.received()));
  tracker_.OnVisible(std::min(progress_.visible.Load(), tracker_.received()));
  const bool asks = is_waited_for() && now - asked_at_ >= kAskInterval;
  if (!asks && !tracker_.IsFeedbackDue(now) && !feed_->wants_feedback()) return {};
  if (asks) asked_at_ = now;
  return SendFeedback(now, asks);
}

Status StreamReader::SendFeedback(Clock::time_point now, bool wants_reply) {
  replication::Feedback feedback = tracker_.TakeFeedback(now);
  const std::optional<Lsn> limit =
      has_proven_past_ ? options_.acknowledge_limit : std::optional(Lsn{});
  if (limit) feedback = {*limit, *limit, *limit};
  SLUICE_FAILPOINT("stream.feedback");
  SLUICE_ASSIGN_OR_RETURN(const Lsn told, feed_->Acknowledge(feedback, wants_reply));
  SLUICE_FAILPOINT("stream.acknowledged");
  if (has_proven_past_) progress_.acknowledged.Store(told);
  return {};
}

void StreamReader::SendLastFeedback() {
  if (feed_ == nullptr) return;
  const Clock::time_point now = Clock::now();
  tracker_.OnDurable(std::min(progress_.durable.Load(), tracker_.received()));
  tracker_.OnVisible(std::min(progress_.visible.Load(), tracker_.received()));
  if (SendFeedback(now, false)) feed_->Close(std::chrono::seconds(1));
}

void StreamReader::NoteProgress(Clock::time_point /*now*/) {
  const std::int64_t wall = WallClock().value;
  progress_.stream_beat_us.store(wall, std::memory_order_relaxed);
  progress_.last_contact_unix_us.store(wall, std::memory_order_relaxed);
  progress_.bytes_received.store(bytes_before_ + feed_->received_bytes(),
                                 std::memory_order_relaxed);
  progress_.staged_bytes.store(
      assembler_.staged_bytes() + assembler_.open_bytes() + inbox_.used_bytes(),
      std::memory_order_relaxed);
}

}  // namespace sluice::engine
