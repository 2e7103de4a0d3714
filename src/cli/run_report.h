/// \file
/// The report of `run` and `copy` (--report): one JSON object at the end, also after an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "sluice/result.h"
#include "sluice/time.h"

#include "engine/status.h"

namespace sluice::cli {

struct RunReport {
  int exit_code = 0;
  std::optional<Error> error;
  engine::PipelineStatus status;
  UnixMicros started_at;
  UnixMicros ended_at;
  std::uint64_t peak_memory_bytes = 0;
};

/// {"pipeline", "source", "destination", "exit_code", "error": null or ErrorJson(), "started_at",
///  "ended_at", "seconds", "rows_copied", "bytes_copied", "rows_streamed", "transactions",
///  "bytes_received", "commits", "retries": {"source", "destination"},
///  "tables": {"pending", "copying", "live", "halted", "skipped"}: counts,
///  "not_live": [{"schema", "table", "state", "reason", "advice"}],
///  "durable_lsn", "latency_p50_seconds", "latency_p99_seconds", "peak_memory_bytes"}
nlohmann::ordered_json ReportJson(const RunReport& report);

/// Can it be written? Makes an empty file where there is none; "-" always can. Error: SLU-1021.
Status CheckReportPath(const std::string& path);
/// To the file, or for "-" to standard output.
Status WriteReport(const std::string& path, const nlohmann::ordered_json& json);

/// Now, on the wall clock.
UnixMicros WallClock();

}  // namespace sluice::cli
