/// \file
/// States, errors and outcomes as JSON: the one place that names their fields. Used by the HTTP
/// endpoint /status, the control socket, `status|tables --json` and the report of `run`.
///
/// Numbers are base units (bytes, seconds, rows); positions are text "0/16B3748"; times are UTC,
/// "2026-01-31T12:00:00.123456Z", null where there is none.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "sluice/result.h"
#include "sluice/time.h"

#include "engine/status.h"

namespace sluice::cli {

/// {"pipeline", "source", "destination", "phase", "last_error", "waiting_for", "source_connected",
///  "reads_by_sql", "slot", "publication", "generation", "system_identifier", "timeline", "epoch",
///  "position": {"received", "durable", "visible", "acknowledged", "server", "last_commit"},
///  "lag": {"seconds", "bytes", "latency_p50_seconds", "latency_p99_seconds"},
///  "wal": {"retained_bytes", "status", "over_limit", "copies_paused"},
///  "totals": {"transactions", "rows_streamed", "rows_copied", "bytes_received", "commits",
///             "retries_source", "retries_destination"},
///  "memory": {"limit_bytes", "staged_bytes", "held_bytes", "spilled_bytes"},
///  "tables": TablesJson()}
nlohmann::ordered_json StatusJson(const engine::PipelineStatus& status);
/// The same without the keys of rows that tables halted at.
nlohmann::ordered_json StatusJsonForHttp(engine::PipelineStatus status);

/// [{"schema", "table", "destination_schema", "destination_table", "state", "since", "rows",
///   "rows_estimated", "rows_copied", "bytes_copied", "inserted", "updated", "deleted",
///   "truncated", "dropped", "held_bytes", "kept_bytes", "kept_since", "resuming",
///   "lsn", "committed_at", "reason", "advice"}]
nlohmann::ordered_json TablesJson(const engine::PipelineStatus& status);

/// {"kind", "code", "message", "server_message", "sqlstate", "advice"}; without passwords. Not for
/// HTTP: the server's words may hold values of rows.
nlohmann::ordered_json ErrorJson(const Error& error);
/// Back from ErrorJson(); what is missing stays empty, kind then is kInternal.
Error ErrorFromJson(const nlohmann::ordered_json& json);

/// "2026-01-31T12:00:00.123456Z"; empty: 0.
std::string FormatTime(UnixMicros time);

/// Text of `json`, on one line if `indent` < 0; bytes that are not UTF-8 are replaced; never
/// throws.
std::string PrintJson(const nlohmann::ordered_json& json, int indent = -1);

}  // namespace sluice::cli
