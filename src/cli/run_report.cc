#include "cli/run_report.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/passwords.h"
#include "cli/status_json.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kStates = {TableState::kPending, TableState::kCopying, TableState::kLive,
                                TableState::kHalted, TableState::kSkipped};

Json StateCounts(const engine::PipelineStatus& status) {
  Json counts = Json::object();
  for (const TableState state : kStates) counts[ToString(state)] = 0;
  for (const engine::TableStatus& table : status.tables) {
    Json& count = counts[ToString(table.record.state)];
    count = count.get<std::int64_t>() + 1;
  }
  return counts;
}

Json NotLive(const engine::PipelineStatus& status) {
  Json out = Json::array();
  for (const engine::TableStatus& table : status.tables) {
    const TableRecord& record = table.record;
    if (record.state == TableState::kLive) continue;
    out.push_back({{"schema", record.source.schema},
                   {"table", record.source.table},
                   {"state", ToString(record.state)},
                   {"reason", record.reason},
                   {"advice", record.advice}});
  }
  return out;
}

Json Misfits(const engine::PipelineStatus& status) {
  Json out = Json::array();
  for (const engine::TableStatus& table : status.tables) {
    for (const engine::MisfitCount& count : table.misfits) {
      out.push_back({{"schema", table.record.source.schema},
                     {"table", table.record.source.table},
                     {"column", count.column},
                     {"policy", ToString(count.policy)},
                     {"cells", count.cells}});
    }
  }
  return out;
}

Error CannotWrite(const std::string& path, int code) {
  return Error{.kind = ErrorKind::kConfig,
               .message = "the report cannot be written to " + path + ": " +
                          std::error_code(code, std::generic_category()).message(),
               .code = "SLU-1021"};
}

}  // namespace

Json ReportJson(const RunReport& report) {
  const engine::PipelineStatus& status = report.status;
  std::uint64_t bytes_copied = 0;
  for (const engine::TableStatus& table : status.tables) bytes_copied += table.bytes_copied;
  Json out = {
      {"pipeline", status.pipeline},
      {"source", WithoutPasswords(status.source)},
      {"destination", status.destination},
      {"exit_code", report.exit_code},
      {"error", report.error ? ErrorJson(*report.error) : Json(nullptr)},
      {"started_at", FormatTime(report.started_at)},
      {"ended_at", FormatTime(report.ended_at)},
      {"seconds", static_cast<double>(report.ended_at.value - report.started_at.value) / 1e6},
      {"rows_copied", status.rows_copied},
      {"bytes_copied", bytes_copied},
      {"rows_streamed", status.rows_streamed},
      {"transactions", status.transactions},
      {"bytes_received", status.bytes_received},
      {"commits", status.commits},
      {"retries", {{"source", status.retries_source}, {"destination", status.retries_destination}}},
      {"tables", StateCounts(status)},
      {"not_live", NotLive(status)},
      {"misfits", Misfits(status)},
      {"durable_lsn", status.durable.is_valid() ? Json(ToString(status.durable)) : Json(nullptr)},
      {"latency_p50_seconds", status.latency_p50_ms / 1000},
      {"latency_p99_seconds", status.latency_p99_ms / 1000},
      {"peak_memory_bytes", report.peak_memory_bytes},
  };
  return out;
}

Status CheckReportPath(const std::string& path) {
  if (path == "-") return {};
  std::FILE* file = std::fopen(path.c_str(), "ae");
  if (file == nullptr) return CannotWrite(path, errno);
  std::fclose(file);
  return {};
}

Status WriteReport(const std::string& path, const Json& json) {
  const std::string text = PrintJson(json, path == "-" ? -1 : 2) + '\n';
  if (path == "-") {
    PrintOut(text);
    return {};
  }
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return CannotWrite(path, errno);
  const bool is_written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int code = errno;
  const bool is_closed = std::fclose(file) == 0;
  if (!is_written || !is_closed) return CannotWrite(path, is_written ? errno : code);
  return {};
}

UnixMicros WallClock() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::microseconds>(now).count()};
}

}  // namespace sluice::cli
