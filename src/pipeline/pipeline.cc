#include "pipeline/pipeline.h"

#include <algorithm>
#include <filesystem>
#include <thread>
#include <utility>

#include "base/backoff.h"
#include "base/failpoint.h"
#include "base/sleep.h"
#include "pipeline/destination_factory.h"
#include "pipeline/judgement.h"
#include "pipeline/pipeline_state.h"
#include "pipeline/status_builder.h"
#include "postgres/slot.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kGrace = std::chrono::seconds(8);
constexpr Duration kBoundedTick = std::chrono::milliseconds(2);
constexpr Duration kCloseGrace = std::chrono::seconds(1);

}  // namespace

/// \return true: done (stopped, or `until` was reached); false: open the destination again.
Result<bool> Pipeline::State::RunSession(std::stop_token stop) {
  const std::shared_ptr<Session> running = CurrentSession();
  has_begun = true;
  running->Start();
  SetPhase(engine::Phase::kRunning);
  progress.is_bounded.store(until.is_bounded());
  std::optional<engine::PositionWish> wish;
  bool has_asked = false;
  for (;;) {
    base::SleepFor(until.is_bounded() ? kBoundedTick : kTick, stop);
    if (stop.stop_requested()) return true;
    const std::optional<Error> failure = running->Failure();
    if (failure) {
      if (!base::IsRetryable(failure->kind)) return *failure;
      if (facts->is_in_recovery) promoted_server = running->stream_server();
      logger.Warn("the destination is opened again: {} ({})", failure->message, failure->code);
      return false;
    }
    if (running->pool().has_failed()) {
      running->pool().Stop();  // the others would go on for as long as their copies take
      SLUICE_RETURN_IF_ERROR(running->pool().Join());
    }
    if (!running->knows_tables()) continue;
    const bool has_schemas = running->has_followed_schemas();
    SLUICE_ASSIGN_OR_RETURN(
        const bool is_reached,
        until.IsReached(running->writer().AreCopiesVisible(), progress, facts->wal_segment_size,
                        [this] { return Connect("until", false); }));
    if (until.lsn() && !wish) wish.emplace(progress);
    if (!is_reached) continue;
    // Alterations without rows belong to what the run was to reach, and no message tells of them.
    if (has_schemas || !until.lsn()) return true;
    if (!std::exchange(has_asked, true)) running->FollowSchemas();
  }
}

void Pipeline::State::CloseDestination(Clock::time_point deadline, bool& left_wal) {
  std::shared_ptr<Destination> closing;
  {
    const std::scoped_lock lock(mutex);
    session.reset();
    closing = std::move(opened);
  }
  if (!closing) return;
  const Status closed = closing->Close(deadline);
  if (!closed)
    logger.Warn("closing the destination: {} ({})", closed.error().message, closed.error().code);
  closing.reset();
  std::error_code ignored;
  const std::string file = DestinationFile(options);
  left_wal = !file.empty() && std::filesystem::exists(file + ".wal", ignored);
}

/// The source's disk comes first, as the user asked. \return `spent`, and what came of it.
Error Pipeline::State::DropSpentSlot(Error spent) {
  Result<postgres::Connection> control = Connect("end", false);
  const Status dropped =
      control ? postgres::DropSlot(*control, SlotName(), kGrace) : Status(control.error());
  if (dropped) {
    spent.message += "; it was dropped";
    spent.advice =
        "the mirror stays as it is; run with --on-lost-slot resync goes on with a new slot and "
        "copies again";
  } else {
    spent.message +=
        "; it could not be dropped and goes on keeping WAL: " + dropped.error().message +
        Because(dropped.error()) + " (" + dropped.error().code + ")";
    spent.advice = "sluice drop removes the slot; or run again, which goes on with it";
  }
  return spent;
}

/// Nothing half-made stays behind in a file of the user's that was refused: the open destination is
/// left as it was found.
void Pipeline::State::UndoState() {
  if (!made_state || has_begun || is_born || is_half_born) return;
  const std::scoped_lock lock(mutex);
  if (!opened) return;
  const Status forgotten = opened->Forget();
  if (!forgotten) logger.Write(telemetry::LogLevel::kWarn, forgotten.error());
}

/// Nor a file that was not there before and holds no position yet. At once: later it may be
/// somebody else's.
void Pipeline::State::UndoCreatedFile() {
  if (!std::exchange(created_file, false) || has_begun || is_half_born) return;
  std::error_code ignored;
  const std::string file = DestinationFile(options);
  std::filesystem::remove(file, ignored);
  std::filesystem::remove(file + ".wal", ignored);
}

RunOutcome Pipeline::State::Outcome(const Status& ended, bool left_wal) {
  RunOutcome outcome;
  outcome.left_wal_file = left_wal;
  if (!ended) {
    outcome.error = ended.error();
    outcome.exit_code = ended.error().kind == ErrorKind::kCancelled
                            ? 0
                            : ExitCodeFor(ended.error(), has_begun, is_born);
    if (outcome.exit_code == 0) outcome.error.reset();
  }
  return outcome;
}

Pipeline::Pipeline(engine::PipelineOptions options, telemetry::Logger& logger)
    : state_(std::make_unique<State>(std::move(options), logger)) {}
Pipeline::~Pipeline() = default;

void Pipeline::OnPlan(std::function<void(const Plan&)> callback) {
  state_->on_plan = std::move(callback);
}

RunOutcome Pipeline::Run(std::stop_token stop) {
  State& state = *state_;
  bool left_wal = false;
  engine::PipelineStatus last;
  std::optional<Clock::time_point> trouble_since;
  std::int64_t commits_seen = 0;
  const std::jthread grace([&](std::stop_token done) {
    while (!stop.stop_requested() && !done.stop_requested()) base::SleepFor(kTick * 10, done);
    base::SleepFor(kGrace, done);
    if (!done.stop_requested()) state.end_statements.request_stop();
  });
  Status ended = state.LookAtSource(stop);
  base::Backoff backoff(std::chrono::milliseconds(200), std::chrono::seconds(10));
  while (ended) {
    ended = state.OpenAndPlan(stop);
    Result<bool> ran = ended ? state.RunSession(stop) : Result<bool>(ended.error());
    const Clock::time_point deadline = Clock::now() + kGrace;
    state.SetPhase(engine::Phase::kStopping, ran ? "" : ran.error().message);
    if (const std::shared_ptr<Session> session = state.CurrentSession()) {
      const bool was_connected = state.progress.source_connected.load();
      const bool is_spent = !ran && ran.error().code == "SLU-3030";
      if (is_spent) {
        session->LetGoOfSource();  // the destination may stand still
        ran = state.DropSpentSlot(ran.error());
      }
      const Status stopped = session->Stop(deadline);
      const bool is_harmless = stopped || stopped.error().kind == ErrorKind::kCancelled ||
                               (stop.stop_requested() && base::IsRetryable(stopped.error().kind));
      if (ran && *ran && !is_harmless) ran = stopped.error();
      last = CurrentStatus();
      state.undecodable_at = session->undecodable_at();
      const bool answers = was_connected || (!ran && !base::IsRetryable(ran.error().kind));
      if (is_spent || (answers && Clock::now() < deadline)) ReadSlotAtEnd(*state.url, last);
    }
    if (!ran) state.UndoState();
    state.CloseDestination(std::max(deadline, Clock::now() + kCloseGrace), left_wal);
    if (!ran) state.UndoCreatedFile();
    if (ran && *ran) break;
    if (!ran && state.has_begun) {
      if (const Status may_pass = state.MayPassOver(ran.error()); may_pass) {
        state.undecodable = ran.error();
        ran = false;
      } else {
        ran = may_pass.error();
      }
    }
    if (!ran && state.MayRemakeSlot(ran.error(), last)) {
      state.logger.Warn("no table is live yet: the slot is made anew: {}{} ({})",
                        ran.error().message, Because(ran.error()), ran.error().code);
      ran = false;
    }
    if (!ran && state.MayGoOnWithLess(ran.error())) ran = false;
    if (!ran && state.has_begun && state.MayBeBornAnew(ran.error())) {
      state.lost = ran.error();
      ran = false;
    }
    if (!ran) {
      ended = ran.error();
      const std::int64_t commits = state.progress.commits.load();
      if (!trouble_since || commits > commits_seen) trouble_since = Clock::now();
      commits_seen = commits;
      const Duration patience = state.has_begun
                                    ? state.options.retry_for.value_or(Duration::max())
                                    : state.options.retry_for.value_or(kDefaultFirstRetry);
      // A table was dropped after it was listed: they are listed again.
      const bool is_passing =
          base::IsRetryable(ended.error().kind) || ended.error().code == "SLU-2103";
      const bool again = is_passing && Clock::now() - *trouble_since < patience;
      if (!again || stop.stop_requested()) break;
      state.logger.Warn("starting again: {}{} ({})", ended.error().message, Because(ended.error()),
                        ended.error().code);
      ended = {};
    }
    ++state.progress.retries_destination;
    state.SetPhase(engine::Phase::kRetrying);
    base::SleepFor(backoff.Next(0), stop);
    if (stop.stop_requested()) break;
    ended = state.LookAtSource(stop);
  }
  state.SetPhase(engine::Phase::kStopped);
  RunOutcome outcome = state.Outcome(ended, left_wal);
  last.phase = engine::Phase::kStopped;
  outcome.final_status = std::move(last);
  FinishOutcome(outcome, !state.of_named.empty());
  return outcome;
}

}  // namespace sluice::pipeline
