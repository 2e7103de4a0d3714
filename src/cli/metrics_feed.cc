#include "cli/metrics_feed.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <set>

#include "cli/progress_text.h"

namespace sluice::cli {
namespace {

/// What was added since `seen`, where a total that fell has begun again from 0.
template <class T>
T Risen(T now, T& seen) {
  const T risen = now >= seen ? static_cast<T>(now - seen) : now;
  seen = now;
  return risen;
}

}  // namespace

ProcessMemory ReadProcessMemory() {
  ProcessMemory out;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    out.peak_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  }
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    unsigned long total = 0;
    unsigned long resident = 0;
    const long page_bytes = ::sysconf(_SC_PAGESIZE);
    if (std::fscanf(file, "%lu %lu", &total, &resident) == 2 && page_bytes > 0) {  // NOLINT
      out.resident_bytes = std::uint64_t{resident} * static_cast<std::uint64_t>(page_bytes);
    }
    std::fclose(file);
  }
  return out;
}

void MetricsFeed::Update(const engine::PipelineStatus& status, const ProcessMemory& memory) {
  const base::MutexLock lock(mutex_);
  std::set<TableName> present;
  for (const engine::TableStatus& table : status.tables) {
    UpdateTable(table);
    present.insert(table.record.source);
  }
  for (auto it = tables_.begin(); it != tables_.end();) {
    if (present.count(it->first) == 0) metrics_.RemoveTable(it->first);
    it = present.count(it->first) == 0 ? tables_.erase(it) : std::next(it);
  }
  UpdateBatches(status);
  metrics_.streamed_transactions().RaiseTo(static_cast<double>(status.transactions));
  metrics_.received_bytes().RaiseTo(static_cast<double>(status.bytes_received));
  metrics_.lag_seconds().Set(status.lag_seconds);
  metrics_.lag_bytes().Set(static_cast<double>(status.lag_bytes));
  metrics_.slot_retained_bytes().Set(static_cast<double>(status.slot_retained_bytes));
  metrics_.slot_over_limit().Set(status.is_over_wal_budget ? 1 : 0);
  if (!status.slot_wal_status.empty()) metrics_.SetSlotWalStatus(status.slot_wal_status);
  metrics_.Retries("source").RaiseTo(static_cast<double>(status.retries_source));
  metrics_.Retries("destination").RaiseTo(static_cast<double>(status.retries_destination));
  metrics_.held_bytes().Set(static_cast<double>(status.held_bytes));
  std::uint64_t kept_bytes = 0;
  for (const engine::TableStatus& table : status.tables)
    kept_bytes += table.record.kept ? table.record.kept->bytes : 0;
  metrics_.kept_bytes().Set(static_cast<double>(kept_bytes));
  metrics_.spilled_bytes().Set(static_cast<double>(status.spilled_bytes));
  metrics_.Memory("limit").Set(static_cast<double>(status.memory_limit_bytes));
  metrics_.Memory("used").Set(static_cast<double>(status.staged_bytes + status.held_bytes));
  metrics_.Memory("peak").Set(static_cast<double>(memory.peak_bytes));
  metrics_.Memory("resident").Set(static_cast<double>(memory.resident_bytes));
  metrics_.source_connected().Set(status.source_connected ? 1 : 0);
  metrics_.reads_by_sql().Set(status.reads_by_sql ? 1 : 0);
}

void MetricsFeed::UpdateTable(const engine::TableStatus& table) {
  const TableName& name = table.record.source;
  Seen& seen = tables_[name];
  metrics_.CopiedRows(name).Add(static_cast<double>(Risen(table.rows_copied, seen.rows_copied)));
  metrics_.CopiedBytes(name).Add(static_cast<double>(Risen(table.bytes_copied, seen.bytes_copied)));
  metrics_.StreamedRows(name, "insert").RaiseTo(static_cast<double>(table.rows_inserted));
  metrics_.StreamedRows(name, "update").RaiseTo(static_cast<double>(table.rows_updated));
  metrics_.StreamedRows(name, "delete").RaiseTo(static_cast<double>(table.rows_deleted));
  metrics_.StreamedRows(name, "truncate").RaiseTo(static_cast<double>(table.truncates));
  for (const engine::MisfitCount& count : table.misfits) {
    metrics_.Misfits(name, count.column, ToString(count.policy))
        .RaiseTo(static_cast<double>(count.cells));
  }
  metrics_.TableCopyProgress(name).Set(std::max(CopyRatio(table), 0.0));
  metrics_.SetTableState(name, table.record.state);
}

void MetricsFeed::UpdateBatches(const engine::PipelineStatus& status) {
  if (status.commits == commits_) return;
  commits_ = status.commits;
  metrics_.batch_rows().Observe(status.last_batch_rows);
  metrics_.batch_age_seconds().Observe(status.last_batch_age_seconds);
  metrics_.apply_duration_seconds().Observe(status.last_apply_seconds);
}

}  // namespace sluice::cli
