#include "cli/status_json.h"

#include <date/date.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/reason.h"
#include "cli/passwords.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kKinds = std::to_array<std::pair<ErrorKind, const char*>>({
    {ErrorKind::kInvalidArgument, "invalid argument"},
    {ErrorKind::kConfig, "configuration"},
    {ErrorKind::kAuth, "authorization"},
    {ErrorKind::kConnection, "connection"},
    {ErrorKind::kTimeout, "timeout"},
    {ErrorKind::kProtocol, "protocol"},
    {ErrorKind::kUnsupported, "unsupported"},
    {ErrorKind::kConversion, "conversion"},
    {ErrorKind::kSchemaConflict, "schema conflict"},
    {ErrorKind::kDestination, "destination"},
    {ErrorKind::kStateStore, "state store"},
    {ErrorKind::kCancelled, "cancelled"},
    {ErrorKind::kInternal, "internal"},
});

const char* KindName(ErrorKind kind) {
  for (const auto& [value, name] : kKinds) {
    if (value == kind) return name;
  }
  return "internal";
}

Json TimeJson(UnixMicros time) {
  return time.value == 0 ? Json(nullptr) : Json(FormatTime(time));
}

Json LsnJson(Lsn lsn) {
  return lsn.is_valid() ? Json(ToString(lsn)) : Json(nullptr);
}

Json MisfitsJson(const engine::MisfitCounts& counts) {
  Json out = Json::array();
  for (const engine::MisfitCount& count : counts) {
    out.push_back(
        {{"column", count.column}, {"policy", ToString(count.policy)}, {"cells", count.cells}});
  }
  return out;
}

Json TableJson(const engine::TableStatus& table) {
  const TableRecord& record = table.record;
  return {
      {"schema", record.source.schema},
      {"table", record.source.table},
      {"destination_schema", record.destination.schema},
      {"destination_table", record.destination.table},
      {"mode", ToString(record.mode)},
      {"state", ToString(record.state)},
      {"since", TimeJson(record.since)},
      {"rows", record.row_count},
      {"rows_estimated", table.rows_estimated},
      {"rows_copied", table.rows_copied},
      {"bytes_copied", table.bytes_copied},
      {"inserted", table.rows_inserted},
      {"updated", table.rows_updated},
      {"deleted", table.rows_deleted},
      {"truncated", table.truncates},
      {"dropped", table.changes_dropped},
      {"misfits", MisfitsJson(table.misfits)},
      {"held_bytes", table.held_bytes},
      {"kept_bytes", record.kept ? Json(record.kept->bytes) : Json(nullptr)},
      {"kept_since", record.kept ? TimeJson(record.since) : Json(nullptr)},
      {"resuming", record.kept && record.kept->is_resuming},
      {"lsn", LsnJson(record.lsn)},
      {"committed_at", TimeJson(record.committed_at)},
      {"reason", record.reason},
      {"advice", record.advice},
  };
}

/// A text member; empty where there is none.
std::string Text(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string FormatTime(UnixMicros time) {
  if (time.value == 0) return {};
  const date::sys_time<std::chrono::microseconds> point{std::chrono::microseconds(time.value)};
  const auto day = date::floor<date::days>(point);
  const date::year_month_day ymd(day);
  const auto clock = date::hh_mm_ss<std::chrono::microseconds>(point - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(ymd.year()),
                     static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

Json TablesJson(const engine::PipelineStatus& status) {
  Json tables = Json::array();
  for (const engine::TableStatus& table : status.tables) tables.push_back(TableJson(table));
  return tables;
}

Json StatusJson(const engine::PipelineStatus& status) {
  return {
      {"pipeline", status.pipeline},
      {"source", WithoutPasswords(status.source)},
      {"destination", status.destination},
      {"phase", engine::ToString(status.phase)},
      {"last_error", WithoutPasswords(status.last_error)},
      {"waiting_for", status.waiting_for},
      {"source_connected", status.source_connected},
      {"reads_by_sql", status.reads_by_sql},
      {"slot", status.birth.slot},
      {"publication", status.birth.publication},
      {"generation", status.birth.generation},
      // Text: JSON numbers of many readers end at 2^53.
      {"system_identifier", std::to_string(status.birth.system_identifier)},
      {"timeline", status.birth.timeline},
      {"epoch", status.epoch},
      {"position",
       {{"received", LsnJson(status.received)},
        {"durable", LsnJson(status.durable)},
        {"visible", LsnJson(status.visible)},
        {"acknowledged", LsnJson(status.acknowledged)},
        {"server", LsnJson(status.server_flush)},
        {"last_commit", TimeJson(status.last_commit)}}},
      {"lag",
       {{"seconds", status.lag_seconds},
        {"bytes", status.lag_bytes},
        {"latency_p50_seconds", status.latency_p50_ms / 1000},
        {"latency_p99_seconds", status.latency_p99_ms / 1000}}},
      {"wal",
       {{"retained_bytes", status.slot_retained_bytes},
        {"status", status.slot_wal_status},
        {"over_limit", status.is_over_wal_budget},
        {"copies_paused", status.are_copies_paused}}},
      {"totals",
       {{"transactions", status.transactions},
        {"rows_streamed", status.rows_streamed},
        {"rows_copied", status.rows_copied},
        {"bytes_received", status.bytes_received},
        {"commits", status.commits},
        {"retries_source", status.retries_source},
        {"retries_destination", status.retries_destination}}},
      {"memory",
       {{"limit_bytes", status.memory_limit_bytes},
        {"staged_bytes", status.staged_bytes},
        {"held_bytes", status.held_bytes},
        {"spilled_bytes", status.spilled_bytes}}},
      {"tables", TablesJson(status)},
  };
}

Json StatusJsonForHttp(engine::PipelineStatus status) {
  for (engine::TableStatus& table : status.tables) {
    std::string& reason = table.record.reason;
    reason = std::string(base::WithoutRowKey(reason));
  }
  return StatusJson(status);
}

Json ErrorJson(const Error& error) {
  return {
      {"kind", KindName(error.kind)},
      {"code", error.code},
      {"message", WithoutPasswords(error.message)},
      {"server_message", WithoutPasswords(error.server_message)},
      {"sqlstate", error.sqlstate},
      {"advice", WithoutPasswords(error.advice)},
  };
}

Error ErrorFromJson(const Json& json) {
  Error error;
  if (!json.is_object()) return error;
  const std::string kind = Text(json, "kind");
  for (const auto& [value, name] : kKinds) {
    if (kind == name) error.kind = value;
  }
  error.code = Text(json, "code");
  error.message = Text(json, "message");
  error.server_message = Text(json, "server_message");
  error.sqlstate = Text(json, "sqlstate");
  error.advice = Text(json, "advice");
  return error;
}

std::string PrintJson(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sluice::cli
