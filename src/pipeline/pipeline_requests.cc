// What other threads ask of a pipeline that runs.
#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/sleep.h"
#include "pipeline/judgement.h"
#include "pipeline/pipeline_state.h"
#include "pipeline/repair_runner.h"
#include "pipeline/status_builder.h"
#include "pipeline/verify_runner.h"

namespace sluice::pipeline {
namespace {

/// \param records the tables as they were a moment ago.
Status CopyAgain(Session& session, const std::vector<RelationId>& tables,
                 const std::vector<TableRecord>& records) {
  // What the stream made of a table that halted is forgotten first: a failed description would halt
  // it again. So is what was excluded of a table and is not any more.
  const bool has_halted =
      std::any_of(records.begin(), records.end(), [&](const TableRecord& record) {
        return record.state == TableState::kHalted &&
               std::find(tables.begin(), tables.end(), record.relation) != tables.end();
      });
  bool is_released = false;
  for (const RelationId relation : tables)
    is_released = session.registry().Release(relation) || is_released;
  if (has_halted || is_released) {
    for (const RelationId relation : tables) session.registry().SetKnown(relation, nullptr);
    session.RestartStream(Clock::now() + std::chrono::seconds(10));
  }
  const auto mark_pending = [&]() -> Status {
    for (const RelationId relation : tables) {
      SLUICE_RETURN_IF_ERROR(session.writer().Resync(relation));
    }
    return session.writer().CommitStates();
  };
  SLUICE_RETURN_IF_ERROR(session.writer().inbox().CallAndWait(mark_pending));
  SLUICE_FAILPOINT("resync.marked");
  session.pool().Wake();
  return {};
}

}  // namespace

engine::PipelineStatus Pipeline::CurrentStatus() const {
  const State& state = *state_;
  const std::scoped_lock lock(state.mutex);
  return BuildStatus({.options = state.options,
                      .source = state.url ? state.url->redacted() : "",
                      .phase = state.phase,
                      .last_error = state.last_error,
                      .waiting_for = state.waiting_for,
                      .epoch = state.epoch,
                      .planned = state.planned,
                      .session = state.session.get(),
                      .progress = state.progress,
                      .latency = state.latency});
}

void Pipeline::WaitForStart(Duration patience, const std::stop_token& stop) const {
  const Clock::time_point give_up = Clock::now() + patience;
  const auto is_starting = [this] {
    const std::scoped_lock lock(state_->mutex);
    return !state_->session && state_->phase == engine::Phase::kConnecting;
  };
  while (is_starting() && Clock::now() < give_up && !stop.stop_requested()) {
    base::SleepFor(kTick, stop);
  }
}

Status Pipeline::Resync(const std::vector<std::string>& patterns) {
  const std::shared_ptr<Session> session = state_->CurrentSession();
  if (!session)
    return Error{.kind = ErrorKind::kConnection, .message = "the destination is not open now"};
  SLUICE_ASSIGN_OR_RETURN(
      const std::vector<TableRecord> records,
      session->writer().inbox().CallAndWait(
          [&]() -> Result<std::vector<TableRecord>> { return session->writer().Records(); }));
  SLUICE_ASSIGN_OR_RETURN(const std::vector<RelationId> tables,
                          MatchToCopyAgain(patterns, records));
  return CopyAgain(*session, tables, records);
}

Status Pipeline::Resume(const std::vector<std::string>& patterns) {
  const std::shared_ptr<Session> session = state_->CurrentSession();
  if (!session)
    return Error{.kind = ErrorKind::kConnection, .message = "the destination is not open now"};
  engine::DeliveryWriter& writer = session->writer();
  const Status marked = writer.inbox().CallAndWait([&]() -> Status {
    const std::vector<TableRecord> records = writer.Records();
    SLUICE_ASSIGN_OR_RETURN(const std::vector<RelationId> tables, MatchTables(patterns, records));
    for (const TableRecord& record : records) {
      if (std::find(tables.begin(), tables.end(), record.relation) == tables.end()) continue;
      if (std::optional<Error> refused = replication::WhyNoResume(record))
        return *std::move(refused);
    }
    for (const RelationId relation : tables) SLUICE_RETURN_IF_ERROR(writer.Resume(relation));
    return {};
  });
  SLUICE_RETURN_IF_ERROR(marked);
  // The marks are committed when the next call is taken: a kill finds them.
  return writer.inbox().CallAndWait([]() -> Status { return {}; });
}

Result<verify::VerifyResult> Pipeline::Verify(
    const std::vector<std::string>& patterns, std::stop_token stop,
    const std::function<void(const std::string&)>& progress) {
  const std::shared_ptr<Session> session = state_->CurrentSession();
  const std::shared_ptr<Destination> opened = destination();
  if (!session || !opened)
    return Error{.kind = ErrorKind::kConnection, .message = "the destination is not open now"};
  FenceMeeting meeting = state_->MeetingOf(*session);
  return VerifyRunner(*session, *opened, meeting).Run(patterns, std::move(stop), progress);
}

Result<verify::RepairResult> Pipeline::Repair(
    const RepairRequest& request, std::stop_token stop,
    const std::function<void(const std::string&)>& progress) {
  const std::shared_ptr<Session> session = state_->CurrentSession();
  const std::shared_ptr<Destination> opened = destination();
  if (!session || !opened)
    return Error{.kind = ErrorKind::kConnection, .message = "the destination is not open now"};
  FenceMeeting meeting = state_->MeetingOf(*session);
  RepairRunner runner(
      *session, *opened, meeting,
      [&](RelationId relation) { return CopyAgain(*session, {relation}, {}); }, state_->options,
      state_->logger);
  return runner.Run(request, std::move(stop), progress);
}

std::shared_ptr<Destination> Pipeline::destination() {
  const std::scoped_lock lock(state_->mutex);
  return state_->opened;
}

bool Pipeline::IsStuck() const {
  const std::shared_ptr<Session> session = state_->CurrentSession();
  if (!session || session->Failure()) return false;
  const std::int64_t now = engine::WallClock().value;
  const std::int64_t beat = state_->progress.writer_beat_us.load();
  constexpr std::int64_t kStuckMicros = 15LL * 60 * 1'000'000;
  return beat != 0 && now - beat > kStuckMicros;
}

}  // namespace sluice::pipeline
