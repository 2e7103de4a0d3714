/// \file
/// From what a pipeline says of itself to its metrics.
///
/// Thread safety: every member from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/mutex.h"
#include "engine/status.h"
#include "telemetry/metrics.h"

namespace sluice::cli {

/// Memory of this process as the kernel counts it; 0: not known.
struct ProcessMemory {
  std::uint64_t resident_bytes = 0;
  std::uint64_t peak_bytes = 0;
};
ProcessMemory ReadProcessMemory();

class MetricsFeed {
 public:
  MetricsFeed(const std::string& pipeline, const std::string& version)
      : metrics_(pipeline, version) {}

  /// Called often: distributions see one sample per call in which something was committed.
  void Update(const engine::PipelineStatus& status, const ProcessMemory& memory);
  std::string Serialize() const { return metrics_.Serialize(); }

 private:
  /// What a counter of a table stood at; copies begin again from 0, counters must not.
  struct Seen {
    std::int64_t rows_copied = 0;
    std::uint64_t bytes_copied = 0;
  };

  void UpdateTable(const engine::TableStatus& table) SLUICE_REQUIRES(mutex_);
  void UpdateBatches(const engine::PipelineStatus& status) SLUICE_REQUIRES(mutex_);

  telemetry::Metrics metrics_;
  base::Mutex mutex_;
  std::map<TableName, Seen> tables_ SLUICE_GUARDED_BY(mutex_);
  std::int64_t commits_ SLUICE_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice::cli
