#include "pipeline/status_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/units.h"
#include "pipeline/destination_factory.h"
#include "pipeline/table_changes.h"

namespace sluice::pipeline {
namespace {

/// What came to the end of the log meanwhile is not unread; it is not asked for each moment.
constexpr double kUnreadCounts = 5;

/// 0 when durable has reached what is known of the server's log; else from the oldest transaction
/// that is not durable, or, where none has come since, from the last one that is; while the source
/// cannot be reached, from the last contact: it never freezes and never rises on an idle database.
double LagSeconds(const engine::Progress& progress) {
  const std::int64_t now = engine::WallClock().value;
  const auto seconds_since = [now](std::int64_t then) {
    return std::max(0.0, static_cast<double>(now - then) / 1e6);
  };
  if (!progress.source_connected.load()) {
    const std::int64_t contact = progress.last_contact_unix_us.load();
    return contact == 0 ? 0 : seconds_since(contact);
  }
  const std::int64_t oldest = progress.oldest_pending_commit_us.load();
  if (oldest != 0) return seconds_since(oldest);
  const std::int64_t unread = progress.unread.Since(progress.durable.Load()).value;
  if (unread == 0 || seconds_since(unread) < kUnreadCounts) return 0;
  const std::int64_t last = progress.last_commit_unix_us.load();
  return std::max(seconds_since(unread), last == 0 ? 0 : seconds_since(last));
}

std::vector<engine::TableStatus> TablesOf(
    const Session& running, const std::vector<postgres::PlannedTable>& planned_tables) {
  auto& session =
      const_cast<Session&>(running);  // NOLINT(cppcoreguidelines-pro-type-const-cast): reads only
  std::vector<engine::TableStatus> tables = session.writer().Tables();
  std::unordered_map<RelationId, std::int64_t> estimates;
  for (const postgres::PlannedTable& planned : planned_tables)
    estimates[planned.table.relation] = std::max<std::int64_t>(0, planned.table.row_estimate);
  for (engine::TableStatus& table : tables) {
    const engine::CopyProgress copied = session.pool().ProgressOf(table.record);
    table.rows_copied = copied.rows;
    table.bytes_copied = copied.bytes;
    const auto estimate = estimates.find(table.record.relation);
    if (estimate != estimates.end()) table.rows_estimated = estimate->second;
  }
  std::sort(tables.begin(), tables.end(),
            [](const auto& a, const auto& b) { return a.record.source < b.record.source; });
  return tables;
}

}  // namespace

engine::PipelineStatus BuildStatus(const StatusInput& input) {
  engine::PipelineStatus status;
  const engine::Progress& progress = input.progress;
  status.pipeline = input.options.pipeline;
  status.source = input.source;
  status.destination = input.options.destination;
  status.phase = input.phase;
  status.last_error = input.last_error;
  status.waiting_for = input.waiting_for;
  status.epoch = input.epoch;
  status.source_connected = progress.source_connected.load();
  status.reads_by_sql = status.source_connected && progress.reads_by_sql.load();
  status.received = progress.received.Load();
  status.durable = progress.durable.Load();
  status.visible = progress.visible.Load();
  status.acknowledged = progress.acknowledged.Load();
  status.server_flush = progress.server_flush.Load();
  status.lag_seconds = LagSeconds(progress);
  const Lsn end = std::max(status.server_flush, progress.unread.end());
  if (end > status.durable) status.lag_bytes = end.value - status.durable.value;
  status.last_commit = UnixMicros{progress.last_commit_unix_us.load()};
  const auto latency = input.latency.Read();
  status.latency_p50_ms = latency.p50;
  status.latency_p99_ms = latency.p99;
  status.transactions = progress.transactions.load();
  status.rows_streamed = progress.rows_streamed.load();
  status.rows_copied = progress.rows_copied.load();
  status.bytes_received = progress.bytes_received.load();
  status.commits = progress.commits.load();
  status.last_batch_rows = static_cast<double>(progress.last_batch_rows.load());
  status.last_batch_age_seconds = static_cast<double>(progress.last_batch_age_us.load()) / 1e6;
  status.last_apply_seconds = static_cast<double>(progress.last_apply_us.load()) / 1e6;
  status.retries_source = progress.retries_source.load();
  status.retries_destination = progress.retries_destination.load();
  status.held_bytes = progress.held_bytes.load();
  status.spilled_bytes = progress.spilled_bytes.load();
  status.staged_bytes = progress.staged_bytes.load();
  status.memory_limit_bytes = input.options.memory_bytes;
  if (input.session == nullptr) return status;
  status.birth = input.session->birth();
  const std::string stream_error = input.session->last_stream_error();
  if (!stream_error.empty() && status.phase == engine::Phase::kRunning) {
    status.phase = engine::Phase::kRetrying;
    status.last_error = stream_error;
  }
  const engine::SlotInfo slot = input.session->control().slot();
  status.slot_retained_bytes = slot.retained_bytes;
  status.slot_wal_status = slot.wal_status;
  status.is_over_wal_budget = slot.is_over_budget;
  status.are_copies_paused = progress.copies_pause.load();
  status.tables = TablesOf(*input.session, input.planned);
  return status;
}

void FinishOutcome(RunOutcome& outcome, bool lacks_named) {
  const std::vector<engine::TableStatus>& tables = outcome.final_status.tables;
  const bool has_off = std::any_of(tables.begin(), tables.end(), [](const auto& table) {
    return table.record.state == TableState::kHalted ||
           IsNoLongerFollowed(table.record, table.holds_rows);
  });
  if (outcome.exit_code == 0 && (has_off || lacks_named)) outcome.exit_code = 3;
}

}  // namespace sluice::pipeline
