#include "pipeline/fence_meeting.h"

#include <future>
#include <utility>

#include "base/backoff.h"
#include "base/reason.h"
#include "base/sleep.h"
#include "pipeline/table_changes.h"
#include "postgres/catalog.h"
#include "postgres/table_facts.h"

namespace sluice::pipeline {
namespace {

/// Nothing is applied while the lock is waited for.
constexpr Duration kLockTimeout = std::chrono::milliseconds(500);
constexpr Duration kFlushTimeout = std::chrono::seconds(30);
constexpr Duration kFenceDeadline = std::chrono::minutes(2);
constexpr Duration kTryFor = std::chrono::minutes(5);
constexpr Duration kLookFor = std::chrono::seconds(30);

/// Releases the writer whatever happens.
class FenceGuard {
 public:
  FenceGuard(engine::DeliveryWriter& writer, std::uint64_t ticket)
      : writer_(writer), ticket_(ticket) {}
  ~FenceGuard() {
    (void)writer_.inbox().CallAndWait([this]() -> Status {
      writer_.fence().Release(ticket_);
      return {};
    });
  }
  FenceGuard(const FenceGuard&) = delete;
  FenceGuard& operator=(const FenceGuard&) = delete;

 private:
  engine::DeliveryWriter& writer_;
  const std::uint64_t ticket_;
};

/// On the writer's thread. A table that was dropped may have been forgotten (--on-drop drop).
TableRecord Newest(engine::DeliveryWriter& writer, const TableRecord& known) {
  if (writer.machine().has_table(known.relation)) return writer.machine().record(known.relation);
  TableRecord gone = known;
  gone.state = TableState::kSkipped;
  gone.reason = base::ReasonText(DroppedAtSource(known.source));
  return gone;
}

Error Stopped() {
  return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
}

}  // namespace

FenceMeeting::FenceMeeting(Session& session, Connect connect, std::uint64_t wal_segment_bytes,
                           engine::Progress& progress)
    : session_(session),
      connect_(std::move(connect)),
      wal_segment_bytes_(wal_segment_bytes),
      progress_(progress) {}

Result<AtFence> FenceMeeting::Meet(TableRecord record, const Standing& standing,
                                   std::stop_token stop) {
  base::Backoff backoff(std::chrono::milliseconds(5), std::chrono::seconds(1));
  const Clock::time_point begun = Clock::now();
  for (;;) {
    Result<AtFence> fence = Try(record, standing, stop);
    if (fence) return fence;
    const bool is_gone = fence.error().code == "SLU-2103";
    if (!is_gone && fence.error().kind != ErrorKind::kTimeout) return fence;
    if (is_gone && (!session_.LookAtTables() || Clock::now() > begun + kLookFor)) return fence;
    if (Clock::now() > begun + kTryFor) {
      return Error{.kind = ErrorKind::kTimeout,
                   .message = "no point could be found where " + ToString(record.source) +
                              " can be compared: " + fence.error().message,
                   .code = "SLU-3081",
                   .advice = "try again when the pipeline has caught up"};
    }
    base::SleepFor(backoff.Next(0), stop);
    if (stop.stop_requested()) return Stopped();
    if (!is_gone) continue;
    SLUICE_ASSIGN_OR_RETURN(record, RecordNow(record));
    AtFence known;
    known.record = record;
    if (!known.is_live()) return known;
  }
}

Result<AtFence> FenceMeeting::Try(const TableRecord& record, const Standing& standing,
                                  std::stop_token stop) {
  AtFence fence;
  fence.record = record;
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection connection, connect_("verify"));
  fence.source = std::make_unique<postgres::SnapshotExporter>(std::move(connection));
  {
    SLUICE_ASSIGN_OR_RETURN(
        const postgres::LoadedTable loaded,
        postgres::LoadTableSchema(fence.source->connection(), *session_.registry().types(),
                                  record.relation, session_.birth().publication,
                                  session_.registry().HiddenOf(record.relation)));
    fence.row_filter = loaded.row_filter;
    fence.is_partitioned = loaded.is_partitioned;
  }
  SLUICE_ASSIGN_OR_RETURN(fence.ticket,
                          session_.writer().inbox().CallAndWait([this]() -> Result<std::uint64_t> {
                            return session_.writer().fence().Open(Clock::now() + kFenceDeadline);
                          }));
  {
    const FenceGuard guard(session_.writer(), fence.ticket);
    SLUICE_RETURN_IF_ERROR(Stand(fence, standing, std::move(stop)));
  }
  return fence;
}

Status FenceMeeting::Stand(AtFence& fence, const Standing& standing, std::stop_token stop) {
  const Clock::time_point opened = Clock::now();
  engine::DeliveryWriter& writer = session_.writer();
  const RelationId relation = fence.record.relation;
  SLUICE_ASSIGN_OR_RETURN(const replication::Suspects suspects,
                          writer.inbox().CallAndWait([&]() -> Result<replication::Suspects> {
                            return writer.machine().TakeSuspects();
                          }));
  const postgres::LockTarget target{relation, fence.record.source, fence.is_partitioned};
  SLUICE_ASSIGN_OR_RETURN(const postgres::ExportedSnapshot exported,
                          fence.source->Take(std::span(&target, 1), kLockTimeout, stop));
  SLUICE_ASSIGN_OR_RETURN(replication::Snapshot snapshot,
                          replication::ParseSnapshot(exported.text));
  if (!suspects.Judge(snapshot).usable()) {
    return Error{.kind = ErrorKind::kTimeout,
                 .message = "a passed transaction is not visible yet",
                 .code = "SLU-3080"};
  }
  fence.lsn = replication::InsertLsnFloor(exported.insert_lsn, wal_segment_bytes_);
  {
    // What a quiet source has not flushed is not streamed, and it may take its time with that.
    SLUICE_ASSIGN_OR_RETURN(postgres::Connection control, connect_("verify"));
    SLUICE_RETURN_IF_ERROR(postgres::WaitForFlush(control, fence.lsn, kFlushTimeout, stop));
  }
  const engine::PositionWish wish(progress_);
  SLUICE_ASSIGN_OR_RETURN(std::shared_future<Status> reached,
                          writer.inbox().CallAndWait([&]() -> Result<std::shared_future<Status>> {
                            return writer.fence().Arm(fence.ticket, snapshot, fence.lsn);
                          }));
  const Duration opening = Clock::now() - opened;
  SLUICE_ASSIGN_OR_RETURN(
      const CatalogFacts facts,
      postgres::ReadTableFacts(fence.source->connection(), relation, session_.birth().publication));
  while (reached.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    if (stop.stop_requested()) return Stopped();
    if (session_.Failure())
      return Error{.kind = ErrorKind::kConnection, .message = "the pipeline stopped meanwhile"};
  }
  SLUICE_RETURN_IF_ERROR(reached.get());
  const Clock::time_point stood = Clock::now();
  SLUICE_ASSIGN_OR_RETURN(fence.record, RecordAt(fence));
  if (fence.is_live() && fence.record.schema->facts.stamp != facts.stamp) {
    return Error{.kind = ErrorKind::kTimeout,
                 .message = "it was altered, and no row has come since",
                 .code = "SLU-3080"};
  }
  SLUICE_RETURN_IF_ERROR(standing(fence));
  // Had it been given up meanwhile, what was pinned might have later changes.
  SLUICE_RETURN_IF_ERROR(RecordAt(fence));
  fence.stood = opening + (Clock::now() - stood);
  return {};
}

Result<TableRecord> FenceMeeting::RecordNow(const TableRecord& known) {
  engine::DeliveryWriter& writer = session_.writer();
  return writer.inbox().CallAndWait([&]() -> Result<TableRecord> { return Newest(writer, known); });
}

Result<TableRecord> FenceMeeting::RecordAt(const AtFence& fence) {
  engine::DeliveryWriter& writer = session_.writer();
  return writer.inbox().CallAndWait([&]() -> Result<TableRecord> {
    if (!writer.fence().StandsAt(fence.ticket)) {
      return Error{.kind = ErrorKind::kTimeout, .message = "the fence was left too early"};
    }
    return Newest(writer, fence.record);
  });
}

}  // namespace sluice::pipeline
