#include "engine/catch_up_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/failpoint.h"
#include "base/sleep.h"
#include "base/units.h"
#include "engine/stream_reader.h"

namespace sluice::engine {
namespace {

/// How soon to look whether more is durable, or more is there.
constexpr Duration kLookAgain = std::chrono::milliseconds(1);
constexpr Duration kAskAgain = std::chrono::milliseconds(20);
constexpr Duration kAdvanceMax = std::chrono::minutes(10);

/// Of Advance(): neither the line broke, nor did the server end, nor has somebody else the slot.
bool IsServersRefusal(const Error& error) {
  const bool is_line = error.kind == ErrorKind::kConnection && error.sqlstate.empty();
  return !is_line && error.kind != ErrorKind::kCancelled && error.code != "SLU-2015" &&
         error.code != "SLU-2105";
}

}  // namespace

Status CatchUpFeed::Read(Clock::time_point deadline, const std::stop_token& stop,
                         StreamReader& reader) {
  if (!calls_->is_calling()) {
    Result<bool> begun = BeginCall(stop, reader);
    if (!begun) {
      if (stop.stop_requested()) return {};
      return std::move(begun).error();
    }
    if (!*begun) {
      const bool is_behind = may_forget_ < wanted_durable_;
      const Duration pause = is_behind || reader.is_waited_for() ? kLookAgain : kAskAgain;
      base::SleepFor(std::min<Duration>(pause, deadline - Clock::now()), stop);
      return {};
    }
  }
  Status taken = TakeRows(stop, reader);
  // Whoever waits for the writer now must not hold the source's snapshot meanwhile.
  if (!taken) calls_->Abandon();
  return taken;
}

Result<bool> CatchUpFeed::BeginCall(const std::stop_token& stop, StreamReader& reader) {
  if (may_forget_ < wanted_durable_) {
    if (waits_since_ == Clock::time_point{}) waits_since_ = Clock::now();
    if (Clock::now() - waits_since_ < options_.call_max) return false;
    return GiveUp("the destination is slow");
  }
  waits_since_ = {};
  SLUICE_ASSIGN_OR_RETURN(const Lsn flushed, calls_->ReadFlushLsn());
  reader.NoteServerFlush(flushed);
  replication::LogPlaces places{.restart = {},
                                .confirmed = calls_->confirmed(),
                                .received = reader.received(),
                                .flushed = flushed};
  if (!began_from_.is_valid()) began_from_ = places.received;
  if (may_forget_ > calls_->confirmed()) {
    SLUICE_FAILPOINT("catch_up.advance");
    const Status advanced = calls_->Advance(may_forget_, stop, kAdvanceMax);
    if (!advanced && IsServersRefusal(advanced.error()) && !stop.stop_requested()) {
      return GiveUp("the slot cannot be moved: " + advanced.error().message + ": " +
                    advanced.error().server_message);
    }
    SLUICE_RETURN_IF_ERROR(advanced);
    SLUICE_FAILPOINT("catch_up.advanced");
  }
  const bool is_last_durable = marks_.empty() || may_forget_ >= marks_.back().second;
  if (replication::MayTakeOver(places, options_.from, past_)) {
    if (is_last_durable) return TakeOver(reader);
    return false;
  }
  if (flushed <= places.received) return false;
  SLUICE_ASSIGN_OR_RETURN(const postgres::SlotPlace slot, calls_->Look());
  places.restart = slot.restart;
  places.confirmed = slot.confirmed;
  const auto call = replication::PlanCall(places, past_);
  if (!call) {
    return GiveUp(past_.barren > 0 ? "it brings nothing new"
                                   : "an open transaction keeps the slot from going on");
  }
  call_ = *call;
  past_.places = places;
  is_at_head_ = true;
  changes_ = 0;
  received_ = received_before_ = reader.received();
  bytes_before_ = calls_->received_bytes();
  transactions_before_ = reader.transactions();
  marks_.clear();
  reader.ReadAgain();
  call_began_at_ = Clock::now();
  SLUICE_FAILPOINT("catch_up.call");
  SLUICE_RETURN_IF_ERROR(calls_->Begin({call_.upto, call_.changes_max}, [this, &reader] {
    return reader.GoesOn() && !IsOverdue();
  }));
  return true;
}

Status CatchUpFeed::TakeRows(const std::stop_token& stop, StreamReader& reader) {
  auto rows = calls_->Next(stop);
  if (!rows) {
    if (stop.stop_requested() || !reader.GoesOn()) return {};
    Error error = std::move(rows).error();
    const bool is_cancelled = error.kind == ErrorKind::kCancelled;
    if (is_cancelled) return GiveUp("a call takes too long");
    if (error.code == "SLU-2105" || error.code == "SLU-3026" || error.code == "SLU-2110" ||
        error.kind == ErrorKind::kProtocol || !calls_->is_alive()) {
      return error;
    }
    return GiveUp(error.message + ": " + error.server_message);
  }
  if (rows->empty()) return EndCall(reader);
  for (const postgres::SlotCalls::Message& row : *rows) {
    SLUICE_RETURN_IF_ERROR(TakeMessage(row, reader));
  }
  if (IsOverdue()) return GiveUp("a call takes too long");
  if (reader.received() > received_) {
    received_ = reader.received();
    marks_.emplace_back(changes_, received_);
  }
  return {};
}

Status CatchUpFeed::TakeMessage(const postgres::SlotCalls::Message& row, StreamReader& reader) {
  SLUICE_ASSIGN_OR_RETURN(const postgres::LoggedMessage read,
                          postgres::ReadLoggedMessage(row, is_at_head_));
  is_at_head_ = false;
  if (read.message.empty()) return {};
  if (read.message.front() == std::byte{'S'}) return GiveUp("a transaction is too large");
  ++changes_;
  return reader.TakeMessage(read.lsn, read.message);
}

/// Also what nobody takes: the destination may be as slow as it likes, the source does not pay.
bool CatchUpFeed::IsOverdue() const {
  return calls_->is_calling() && Clock::now() - call_began_at_ >= options_.call_max;
}

Status CatchUpFeed::EndCall(StreamReader& reader) {
  if (!reader.is_at_boundary()) {
    return Error{.kind = ErrorKind::kProtocol,
                 .message = "the log that was read by SQL ended inside a transaction",
                 .code = "SLU-2019"};
  }
  const bool is_whole = replication::HasReachedItsEnd(call_, changes_);
  if (is_whole) SLUICE_RETURN_IF_ERROR(reader.TakeReached(call_.upto));
  const bool is_barren = !is_whole && reader.transactions() == transactions_before_;
  past_.barren = is_barren ? past_.barren + 1 : 0;
  if (reader.received() > received_before_) {
    past_.Add(reader.received().value - received_before_.value,
              calls_->received_bytes() - bytes_before_);
  }
  const auto most = std::find_if(marks_.begin(), marks_.end(), [this](const auto& mark) {
    return mark.first * 4 >= changes_ * 3;
  });
  wanted_durable_ = most == marks_.end() ? Lsn{} : most->second;
  return reader.SealAll(call_.upto < past_.places.flushed);
}

Result<Lsn> CatchUpFeed::Acknowledge(const replication::Feedback& feedback, bool /*wants_reply*/) {
  if (IsOverdue()) return GiveUp("a call takes too long");
  may_forget_ = std::max(may_forget_, feedback.flushed);
  return std::min(calls_->confirmed(), may_forget_);
}

void CatchUpFeed::Close(Duration timeout) {
  if (!calls_->is_calling()) (void)calls_->Advance(may_forget_, {}, timeout);
}

Error CatchUpFeed::GiveUp(const std::string& why) {
  calls_->Abandon();
  if (options_.on_given_up) options_.on_given_up();
  return Error{.kind = ErrorKind::kConnection,
               .message = "the log is read as a stream again, not by SQL: " + why,
               .code = "SLU-3093"};
}

Error CatchUpFeed::TakeOver(const StreamReader& reader) const {
  const std::chrono::duration<double> took = Clock::now() - began_at_;
  return Error{
      .kind = ErrorKind::kConnection,
      .message = fmt::format("read {} of log with {} changed rows by SQL in {:.1f} s: nearly "
                             "caught up, the stream takes over",
                             base::FormatSize(reader.received().value - began_from_.value),
                             reader.rows(), took.count()),
      .code = "SLU-3093"};
}

}  // namespace sluice::engine
