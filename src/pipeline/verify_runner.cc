#include "pipeline/verify_runner.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "base/backoff.h"
#include "base/sleep.h"
#include "pipeline/table_set.h"
#include "postgres/catalog.h"
#include "postgres/table_facts.h"
#include "verify/source_select.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kLockTimeout = std::chrono::seconds(5);
constexpr Duration kFenceDeadline = std::chrono::minutes(2);
constexpr Duration kTryFor = std::chrono::minutes(5);

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

verify::TableResult NotCompared(const TableRecord& record) {
  verify::TableResult result;
  result.name = record.source;
  result.destination = record.destination;
  result.status = verify::ComparisonStatus::kNotCompared;
  result.reason =
      std::string(ToString(record.state)) + (record.reason.empty() ? "" : ": " + record.reason);
  return result;
}

}  // namespace

VerifyRunner::VerifyRunner(Session& session, Destination& destination, Connect connect,
                           std::uint64_t wal_segment_bytes, engine::Progress& progress,
                           telemetry::Logger& logger)
    : session_(session),
      destination_(destination),
      connect_(std::move(connect)),
      wal_segment_bytes_(wal_segment_bytes),
      progress_(progress),
      logger_(logger) {}

Result<verify::VerifyResult> VerifyRunner::Run(
    const std::vector<std::string>& patterns, std::stop_token stop,
    const std::function<void(const std::string&)>& progress) {
  if (!destination_.capabilities().keeps_rows) {
    return Error{.kind = ErrorKind::kUnsupported,
                 .message = "this destination keeps no rows to compare",
                 .code = "SLU-5050"};
  }
  SLUICE_ASSIGN_OR_RETURN(
      std::vector<TableRecord> records,
      session_.writer().inbox().CallAndWait(
          [this]() -> Result<std::vector<TableRecord>> { return session_.writer().Records(); }));
  std::sort(records.begin(), records.end(),
            [](const TableRecord& a, const TableRecord& b) { return a.source < b.source; });
  if (!patterns.empty()) {
    SLUICE_ASSIGN_OR_RETURN(const std::vector<RelationId> chosen, MatchTables(patterns, records));
    std::erase_if(records, [&](const TableRecord& record) {
      return std::find(chosen.begin(), chosen.end(), record.relation) == chosen.end();
    });
  }
  verify::VerifyResult result;
  for (const TableRecord& record : records) {
    if (stop.stop_requested()) return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
    if (progress) progress(ToString(record.source));
    if (record.state != TableState::kLive) {
      result.tables.push_back(NotCompared(record));
      continue;
    }
    SLUICE_ASSIGN_OR_RETURN(verify::TableResult table, CompareTable(record, stop));
    result.tables.push_back(std::move(table));
  }
  return result;
}

Result<verify::TableResult> VerifyRunner::CompareTable(const TableRecord& record,
                                                       std::stop_token stop) {
  SLUICE_ASSIGN_OR_RETURN(AtFence fence, StandAtFence(record, stop));
  if (fence.record.state != TableState::kLive || !fence.record.schema)
    return NotCompared(fence.record);
  const verify::ComparedTable compared = verify::MakeComparedTable(fence.record.schema);
  const std::string select = verify::SelectForVerify(
      compared, {.row_filter = fence.row_filter, .is_partitioned = fence.is_partitioned});
  verify::TableComparison comparison(compared, fence.lsn);
  do {
    SLUICE_RETURN_IF_ERROR(ReadBothSides(comparison, fence, select, stop));
  } while (comparison.FinishPass());
  verify::TableResult result = comparison.Finish();
  result.destination = fence.record.destination;
  return result;
}

Result<VerifyRunner::AtFence> VerifyRunner::StandAtFence(const TableRecord& record,
                                                         std::stop_token stop) {
  base::Backoff backoff(std::chrono::milliseconds(5), std::chrono::seconds(1));
  const Clock::time_point give_up = Clock::now() + kTryFor;
  for (;;) {
    Result<AtFence> fence = TryFence(record, stop);
    if (fence || fence.error().kind != ErrorKind::kTimeout) return fence;
    if (Clock::now() > give_up) {
      return Error{.kind = ErrorKind::kTimeout,
                   .message = "no point could be found where " + ToString(record.source) +
                              " can be compared: " + fence.error().message,
                   .code = "SLU-3081",
                   .advice = "try again when the pipeline has caught up"};
    }
    base::SleepFor(backoff.Next(0), stop);
    if (stop.stop_requested()) return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
  }
}

Result<VerifyRunner::AtFence> VerifyRunner::TryFence(const TableRecord& record,
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
  SLUICE_ASSIGN_OR_RETURN(const std::uint64_t ticket,
                          session_.writer().inbox().CallAndWait([this]() -> Result<std::uint64_t> {
                            return session_.writer().fence().Open(Clock::now() + kFenceDeadline);
                          }));
  const FenceGuard guard(session_.writer(), ticket);
  return PinBothSides(record, ticket, std::move(fence), std::move(stop));
}

Result<VerifyRunner::AtFence> VerifyRunner::PinBothSides(const TableRecord& record,
                                                         std::uint64_t ticket, AtFence fence,
                                                         std::stop_token stop) {
  engine::DeliveryWriter& writer = session_.writer();
  SLUICE_ASSIGN_OR_RETURN(const replication::Suspects suspects,
                          writer.inbox().CallAndWait([&]() -> Result<replication::Suspects> {
                            return writer.machine().TakeSuspects();
                          }));
  const postgres::LockTarget target{record.relation, record.source, fence.is_partitioned};
  SLUICE_ASSIGN_OR_RETURN(const postgres::ExportedSnapshot exported,
                          fence.source->Take(std::span(&target, 1), kLockTimeout, stop));
  SLUICE_ASSIGN_OR_RETURN(replication::Snapshot snapshot,
                          replication::ParseSnapshot(exported.text));
  if (!suspects.Judge(snapshot).usable()) {
    return Error{.kind = ErrorKind::kTimeout,
                 .message = "a passed transaction is not visible yet",
                 .code = "SLU-3080"};
  }
  SLUICE_ASSIGN_OR_RETURN(const CatalogFacts facts,
                          postgres::ReadTableFacts(fence.source->connection(), record.relation,
                                                   session_.birth().publication));
  const Lsn insert_lsn = replication::InsertLsnFloor(exported.insert_lsn, wal_segment_bytes_);
  const engine::PositionWish wish(progress_);
  SLUICE_ASSIGN_OR_RETURN(std::shared_future<Status> reached,
                          writer.inbox().CallAndWait([&]() -> Result<std::shared_future<Status>> {
                            return writer.fence().Arm(ticket, snapshot, insert_lsn);
                          }));
  while (reached.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    if (stop.stop_requested()) return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
    if (session_.Failure())
      return Error{.kind = ErrorKind::kConnection, .message = "the pipeline stopped meanwhile"};
  }
  SLUICE_RETURN_IF_ERROR(reached.get());
  SLUICE_ASSIGN_OR_RETURN(fence.destination, destination_.OpenReader());
  SLUICE_ASSIGN_OR_RETURN(fence.record, writer.inbox().CallAndWait([&]() -> Result<TableRecord> {
    // Had it been given up before the reader was pinned, the reader would see later changes.
    if (!writer.fence().StandsAt(ticket)) {
      return Error{.kind = ErrorKind::kTimeout, .message = "the fence was left too early"};
    }
    return writer.machine().has_table(record.relation) ? writer.machine().record(record.relation)
                                                       : record;
  }));
  const bool is_live = fence.record.state == TableState::kLive && fence.record.schema;
  if (is_live && fence.record.schema->facts.stamp != facts.stamp) {
    return Error{.kind = ErrorKind::kTimeout,
                 .message = "it was altered, and no row has come since",
                 .code = "SLU-3080"};
  }
  fence.lsn = insert_lsn;
  return fence;
}

Status VerifyRunner::ReadBothSides(verify::TableComparison& comparison, AtFence& fence,
                                   const std::string& select, std::stop_token stop) {
  verify::TableScan source_scan = comparison.NewScan(verify::Side::kSource);
  verify::TableScan destination_scan = comparison.NewScan(verify::Side::kDestination);
  Status scanned;
  std::thread destination_thread([&] {
    scanned = fence.destination->Scan(
        fence.record, comparison.table().columns, [&](const RowsPtr& rows) -> Status {
          if (stop.stop_requested())
            return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
          return destination_scan.AppendRows(*rows);
        });
  });
  const auto read_source = [&]() -> Status {
    SLUICE_ASSIGN_OR_RETURN(postgres::CopyReader reader,
                            postgres::CopyReader::Start(fence.source->connection(), select));
    for (;;) {
      SLUICE_ASSIGN_OR_RETURN(const auto messages, reader.NextRows(stop));
      if (messages.empty()) return {};
      for (const postgres::CopyReader::Message& message : messages) {
        SLUICE_RETURN_IF_ERROR(source_scan.AppendCopy(message));
      }
    }
  };
  const Status read = read_source();
  destination_thread.join();
  SLUICE_RETURN_IF_ERROR(read);
  SLUICE_RETURN_IF_ERROR(scanned);
  SLUICE_RETURN_IF_ERROR(comparison.Absorb(std::move(source_scan)));
  return comparison.Absorb(std::move(destination_scan));
}

}  // namespace sluice::pipeline
