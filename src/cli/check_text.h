/// \file
/// What `check`, `slots` and `drop` print, for people and as JSON (docs/json.md). Pure.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "pipeline/check.h"
#include "pipeline/drop.h"
#include "pipeline/slots.h"

namespace sluice::cli {

std::string CheckText(const pipeline::CheckReport& report);
/// {"ok", "pipeline", "source", "destination",
///  "findings": [{"severity": "problem"|"warning"|"left out", "code", "message", "advice", "sql",
///                "schema", "table"}],
///  "tables": [{"schema", "table", "left_out", "reason", "advice", "rows_estimated",
///              "bytes_estimated"}],
///  "not_checked": [texts], "bytes_estimated", "bytes_free", "is_first_run",
///  "ddl_trigger": "none"|"current"|"outdated"}
nlohmann::ordered_json CheckJson(const pipeline::CheckReport& report);

std::string SlotsText(const pipeline::SourceSlots& slots);
/// {"source", "database", "slots": [{"slot", "database", "active", "active_pid",
///  "active_application", "retained_bytes", "wal_status", "invalidation_reason", "restart_lsn",
///  "confirmed_flush_lsn", "publication", "generation"}],
///  "ddl_trigger": "none"|"current"|"outdated"}; null where there is none.
nlohmann::ordered_json SlotsJson(const pipeline::SourceSlots& slots);

/// What would be removed and what stays; lines.
std::string DropPlanText(const pipeline::DropPlan& plan);

}  // namespace sluice::cli
