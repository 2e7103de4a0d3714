#include "cli/check_text.h"

#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/passwords.h"
#include "cli/text_table.h"
#include "postgres/publication.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;
using postgres::Finding;
using postgres::Severity;

const char* Word(Severity severity) {
  switch (severity) {
    case Severity::kProblem:
      return "problem";
    case Severity::kWarning:
      return "warning";
    case Severity::kSkippedTable:
      return "left out";
  }
  return "";
}

std::string Size(std::int64_t bytes) {
  return base::FormatSize(static_cast<std::size_t>(std::max<std::int64_t>(0, bytes)));
}

Json TextOrNull(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json FindingJson(const Finding& finding) {
  Json json = Json::object();
  json["severity"] = Word(finding.severity);
  json["code"] = finding.code;
  json["message"] = WithoutPasswords(finding.message);
  json["advice"] = finding.advice;
  json["sql"] = TextOrNull(finding.sql);
  json["schema"] = finding.table ? Json(finding.table->schema) : Json(nullptr);
  json["table"] = finding.table ? Json(finding.table->table) : Json(nullptr);
  return json;
}

std::string TablesLine(const pipeline::CheckReport& report) {
  const auto left_out = std::count_if(report.tables.begin(), report.tables.end(),
                                      [](const auto& table) { return table.is_skipped; });
  const auto taken = static_cast<std::ptrdiff_t>(report.tables.size()) - left_out;
  std::string out = fmt::format("tables:      {} to replicate", taken);
  if (left_out > 0) out += fmt::format(", {} left out", left_out);
  out += fmt::format("; about {} at the source", base::FormatSize(report.bytes_estimated));
  if (report.bytes_free > 0) {
    out += fmt::format(", {} free at the destination", base::FormatSize(report.bytes_free));
  }
  return out + '\n';
}

std::string_view TriggerWord(const std::optional<postgres::DdlTrigger>& trigger) {
  if (!trigger) return "none";
  return trigger->is_current ? "current" : "outdated";
}

std::string TriggerLine(const std::optional<postgres::DdlTrigger>& trigger) {
  if (!trigger) return {};
  return trigger->is_current
             ? "event triggers: sluice_ddl_end and sluice_ddl_drop tell of schema changes\n"
             : "event triggers: disabled, or another version's; sluice check "
               "--install-ddl-trigger makes them anew\n";
}

}  // namespace

std::string CheckText(const pipeline::CheckReport& report) {
  std::string out = fmt::format("source:      {}\ndestination: {}\npipeline:    {}{}\n",
                                report.source, report.destination, report.pipeline,
                                report.has_position ? " (has copied before)" : "");
  if (!report.tables.empty()) out += TablesLine(report);
  out += TriggerLine(report.ddl_trigger);
  if (!report.failover.empty()) out += "failover:    " + report.failover + '\n';
  std::size_t problems = 0;
  for (const Finding& finding : report.findings) {
    problems += finding.severity == Severity::kProblem ? 1U : 0U;
    out += fmt::format("\n{}: {} ({})\n", Word(finding.severity), finding.message, finding.code);
    if (!finding.advice.empty()) out += fmt::format("  to do: {}\n", finding.advice);
  }
  for (const std::string& text : report.not_checked) out += "\nnot checked: " + text + '\n';
  if (problems == 0) {
    out += "\nno problem found\n";
  } else {
    out += fmt::format("\n{} {} found\n", problems, problems == 1 ? "problem" : "problems");
  }
  return WithoutPasswords(out);
}

Json CheckJson(const pipeline::CheckReport& report) {
  Json json = Json::object();
  json["ok"] = !report.has_problem();
  json["pipeline"] = report.pipeline;
  json["source"] = WithoutPasswords(report.source);
  json["destination"] = report.destination;
  json["findings"] = Json::array();
  for (const Finding& finding : report.findings) json["findings"].push_back(FindingJson(finding));
  json["tables"] = Json::array();
  for (const postgres::PlannedTable& table : report.tables) {
    Json entry = Json::object();
    entry["schema"] = table.table.name.schema;
    entry["table"] = table.table.name.table;
    entry["left_out"] = table.is_skipped;
    entry["reason"] = TextOrNull(table.reason);
    entry["advice"] = TextOrNull(table.advice);
    entry["rows_estimated"] =
        table.table.row_estimate < 0 ? Json(nullptr) : Json(table.table.row_estimate);
    entry["bytes_estimated"] = table.table.size_bytes;
    json["tables"].push_back(std::move(entry));
  }
  json["not_checked"] = report.not_checked;
  json["bytes_estimated"] = report.bytes_estimated;
  json["bytes_free"] = report.bytes_free == 0 ? Json(nullptr) : Json(report.bytes_free);
  json["is_first_run"] = !report.has_position;
  json["ddl_trigger"] = TriggerWord(report.ddl_trigger);
  json["failover"] = TextOrNull(report.failover);
  return json;
}

std::string SlotsText(const pipeline::SourceSlots& slots) {
  const std::string trigger = TriggerLine(slots.ddl_trigger);
  if (slots.slots.empty()) return "no slots or publications made by Sluice\n" + trigger;
  TextTable out({"slot", "database", "WAL kept", "status", "used by", "publication", "generation"});
  out.AlignRight(2);
  for (const postgres::SluiceSlot& entry : slots.slots) {
    if (!entry.slot) {
      out.AddRow({"", slots.database, "", "", "", entry.publication, entry.generation});
      continue;
    }
    const postgres::SlotRow& slot = *entry.slot;
    std::string user = slot.is_active ? fmt::format("pid {}", slot.active_pid) : "nobody";
    if (slot.is_active && !slot.active_application.empty()) {
      user += fmt::format(" ({})", slot.active_application);
    }
    const std::string status = slot.invalidation_reason.empty()
                                   ? slot.wal_status
                                   : slot.wal_status + ": " + slot.invalidation_reason;
    out.AddRow({slot.name, slot.database, Size(slot.retained_bytes), status, user,
                entry.publication, entry.generation});
  }
  return out.Print() + trigger;
}

Json SlotsJson(const pipeline::SourceSlots& slots) {
  Json json = Json::object();
  json["source"] = slots.source;
  json["database"] = slots.database;
  json["slots"] = Json::array();
  for (const postgres::SluiceSlot& entry : slots.slots) {
    const postgres::SlotRow slot = entry.slot.value_or(postgres::SlotRow{});
    const bool has_slot = entry.slot.has_value();
    const auto lsn = [](Lsn value) { return value.is_valid() ? Json(ToString(value)) : Json(); };
    Json one = Json::object();
    one["slot"] = TextOrNull(slot.name);
    one["database"] = has_slot ? slot.database : slots.database;
    one["active"] = slot.is_active;
    one["active_pid"] = slot.is_active ? Json(slot.active_pid) : Json(nullptr);
    one["active_application"] = TextOrNull(slot.active_application);
    one["retained_bytes"] = has_slot ? Json(slot.retained_bytes) : Json(nullptr);
    one["wal_status"] = TextOrNull(slot.wal_status);
    one["invalidation_reason"] = TextOrNull(slot.invalidation_reason);
    one["restart_lsn"] = lsn(slot.restart_lsn);
    one["confirmed_flush_lsn"] = lsn(slot.confirmed_flush_lsn);
    one["publication"] = TextOrNull(entry.publication);
    one["generation"] = TextOrNull(entry.generation);
    json["slots"].push_back(std::move(one));
  }
  json["ddl_trigger"] = TriggerWord(slots.ddl_trigger);
  return json;
}

std::string DropPlanText(const pipeline::DropPlan& plan) {
  std::string out;
  if (plan.slot) {
    out += fmt::format("  slot {} at {}, which keeps {} of WAL\n", *plan.slot, plan.source,
                       Size(plan.retained_bytes));
  }
  if (plan.publication) {
    out += fmt::format("  publication {} at {}\n", *plan.publication, plan.source);
    if (plan.has_companion) {
      out += fmt::format("  publication {} at {}\n", postgres::CompanionOf(*plan.publication),
                         plan.source);
    }
  }
  if (plan.has_ddl_trigger) {
    out += fmt::format("  event triggers sluice_ddl_end and sluice_ddl_drop at {}\n", plan.source);
  }
  if (plan.has_state) out += fmt::format("  schema sluice in {}\n", plan.destination);
  if (!out.empty()) out = "to be removed:\n" + out;
  if (plan.table_count > 0) {
    out += fmt::format("what stays: {} mirrored {} in {}\n", plan.table_count,
                       plan.table_count == 1 ? "table" : "tables", plan.destination);
  }
  for (const std::string& text : plan.stays) out += "left alone: " + text + '\n';
  return out;
}

}  // namespace sluice::cli
