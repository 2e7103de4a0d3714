#include "cli/state_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "sluice/ids.h"

#include "base/units.h"
#include "cli/command.h"
#include "cli/text_table.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

/// An empty object where there is none, so that looking on is always possible.
const Json& At(const Json& json, const char* name) {
  static const Json kNothing = Json::object();
  if (!json.is_object()) return kNothing;
  const auto found = json.find(name);
  return found == json.end() ? kNothing : *found;
}

std::string Text(const Json& json, const char* name) {
  const Json& value = At(json, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::int64_t Number(const Json& json, const char* name) {
  const Json& value = At(json, name);
  return value.is_number() ? value.get<std::int64_t>() : 0;
}

std::string Size(const Json& json, const char* name) {
  return base::FormatSize(static_cast<std::size_t>(std::max<std::int64_t>(0, Number(json, name))));
}

std::string NameOf(const Json& table) {
  const TableName source{Text(table, "schema"), Text(table, "table")};
  const TableName there{Text(table, "destination_schema"), Text(table, "destination_table")};
  // A table that was never copied may have none.
  const bool is_mapped = !there.table.empty() && there != source;
  return is_mapped ? ToString(source) + " -> " + ToString(there) : ToString(source);
}

std::string Line(std::string_view label, const std::string& text) {
  return text.empty() ? std::string() : fmt::format("{:<13}{}\n", label, text);
}

/// "5 live, 1 halted"
std::string CountStates(const Json& tables) {
  std::map<std::string, std::size_t> counts;
  for (const Json& table : tables) ++counts[Text(table, "state")];
  std::string out;
  for (const char* state : {"live", "copying", "pending", "halted", "skipped"}) {
    const auto found = counts.find(state);
    if (found == counts.end()) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", found->second, state);
  }
  return out.empty() ? "none" : out;
}

bool IsOff(const Json& table) {
  const std::string state = Text(table, "state");
  return state == "halted" || state == "skipped";
}

/// The first differing row of each kind: "missing id=5".
std::string FirstOfEach(const Json& table) {
  std::string out;
  std::string seen;
  for (const Json& row : At(table, "sample")) {
    const std::string kind = Text(row, "kind");
    if (seen.find(kind + '\n') != std::string::npos) continue;
    seen += kind + '\n';
    out += fmt::format("{}{}", out.empty() ? "" : "; ", kind);
    for (const auto& [column, value] : At(row, "columns").items()) {
      out += fmt::format(" {}={}", column, value.is_string() ? value.get<std::string>() : "NULL");
    }
  }
  return out;
}

std::string Verdict(const Json& table) {
  const std::string status = Text(table, "status");
  const std::int64_t extra = Number(table, "extra");
  if (status == "equal" && extra > 0)
    return "equal, and " + base::FormatCount(extra) + " more: rows are only added here";
  if (status == "equal") return "equal";
  if (status != "different") {
    const std::string reason = Text(table, "reason");
    return reason.empty() ? "not compared" : "not compared: " + reason;
  }
  if (const std::string reason = Text(table, "reason"); !reason.empty()) return reason;
  const bool is_minimum = At(table, "counts_are_minimum") == true;
  std::string out;
  for (const char* kind : {"missing", "extra", "different"}) {
    const std::int64_t count = Number(table, kind);
    if (count == 0) continue;
    out += fmt::format("{}{}{} {}", out.empty() ? "" : ", ", is_minimum ? "at least " : "",
                       base::FormatCount(count), kind);
  }
  const std::string first = FirstOfEach(table);
  return first.empty() ? out : out + " (first: " + first + ")";
}

/// What a halted table has for `sluice resume`.
std::string KeptText(const Json& table) {
  if (!At(table, "kept_bytes").is_number()) return {};
  return fmt::format("{} {} of changes since {}",
                     At(table, "resuming") == true ? "applies" : "keeps", Size(table, "kept_bytes"),
                     Text(table, "kept_since"));
}

std::string ReasonText(const Json& table) {
  const std::string kept = KeptText(table);
  return Text(table, "reason") + (kept.empty() ? "" : " (" + kept + ")");
}

/// What repair did, or would do.
std::string Deed(const Json& table, bool is_dry_run) {
  const std::string action = Text(table, "action");
  if (action == "copy") {
    return fmt::format("{}: {}", is_dry_run ? "would copy the table again" : "copied again",
                       Text(table, "why"));
  }
  if (action != "rows") return "nothing";
  if (is_dry_run) return "would read the differing rows again";
  return fmt::format("{} keys read again", base::FormatCount(Number(table, "keys_repaired")));
}

/// \param status the member that has it: of what was compared.
int ExitCodeOf(const Json& report, const char* status, const char* reason) {
  bool has_off = false;
  for (const Json& table : At(report, "tables")) {
    if (Text(table, status) == "different") return kExitDifferent;
    // Halted, being copied, not followed any more, more rows than can be compared: nothing is said
    // of it. What never was in, or went, is as it should be.
    const std::string why = Text(table, reason);
    has_off = has_off || (Text(table, status) == "not_compared" && why != "skipped" &&
                          !why.starts_with("skipped: "));
  }
  if (At(report, "equal") == false) return kExitDifferent;
  return has_off ? kExitTables : kExitDone;
}

}  // namespace

std::string StatusText(const Json& status) {
  const Json& position = At(status, "position");
  const Json& lag = At(status, "lag");
  const Json& tables = At(status, "tables");
  const std::string phase = Text(status, "phase");
  const bool runs = phase != "stopped";
  std::string out = Line("pipeline:", fmt::format("{} ({})", Text(status, "pipeline"), phase));
  out += Line("", Text(status, "last_error"));
  if (const std::string whom = Text(status, "waiting_for"); !whom.empty()) {
    out += Line("", "creating the slot waits for " + whom);
  }
  out += Line("source:", Text(status, "source"));
  out += Line("destination:", Text(status, "destination"));
  out += Line("slot:", Text(status, "slot").empty() || !runs
                           ? Text(status, "slot")
                           : fmt::format("{}, keeps {} of WAL ({})", Text(status, "slot"),
                                         Size(At(status, "wal"), "retained_bytes"),
                                         Text(At(status, "wal"), "status")));
  if (const Json& over = At(At(status, "wal"), "over_limit"); over.is_boolean() && over.get<bool>())
    out += Line("", "more WAL than --max-retained-wal allows");
  out += Line("publication:", Text(status, "publication"));
  const std::string durable = Text(position, "durable");
  out += Line("position:", durable.empty() ? "none yet" : durable);
  out += Line("last commit:", Text(position, "last_commit"));
  if (runs) {
    const Json& seconds = At(lag, "seconds");
    out +=
        Line("lag:", fmt::format("{:.1f} s, {}", seconds.is_number() ? seconds.get<double>() : 0.0,
                                 Size(lag, "bytes")));
    const Json& by_sql = At(status, "reads_by_sql");
    if (by_sql.is_boolean() && by_sql.get<bool>())
      out += Line("", "far behind: the log is read by SQL");
  }
  out += Line("tables:", CountStates(tables));
  for (const Json& table : tables) {
    if (!IsOff(table)) continue;
    out += fmt::format("  {} {}: {}\n", NameOf(table), Text(table, "state"), Text(table, "reason"));
    if (const std::string kept = KeptText(table); !kept.empty())
      out += fmt::format("    {}\n", kept);
    if (const std::string advice = Text(table, "advice"); !advice.empty()) {
      out += fmt::format("    to do: {}\n", advice);
    }
  }
  return out;
}

std::string TablesText(const Json& tables) {
  if (!tables.is_array() || tables.empty()) return "no tables\n";
  TextTable out({"table", "mode", "state", "rows", "position", "last commit", "reason"});
  out.AlignRight(3);
  for (const Json& table : tables) {
    const std::string state = Text(table, "state");
    const bool is_copying = state == "copying";
    out.AddRow({NameOf(table), Text(table, "mode"), state,
                base::FormatCount(Number(table, is_copying ? "rows_copied" : "rows")),
                Text(table, "lsn"), Text(table, "committed_at"), ReasonText(table)});
  }
  return out.Print();
}

std::string VerifyText(const Json& report) {
  TextTable out({"table", "source rows", "destination rows", "result"});
  out.AlignRight(1);
  out.AlignRight(2);
  std::size_t equal = 0;
  std::size_t different = 0;
  std::size_t not_compared = 0;
  std::string columns;
  for (const Json& table : At(report, "tables")) {
    const std::string status = Text(table, "status");
    const bool is_compared = status == "equal" || status == "different";
    ++(status == "equal" ? equal : status == "different" ? different : not_compared);
    out.AddRow({NameOf(table), is_compared ? base::FormatCount(Number(table, "rows_source")) : "",
                is_compared ? base::FormatCount(Number(table, "rows_destination")) : "",
                Verdict(table)});
    for (const Json& column : At(table, "not_compared")) {
      if (!column.is_string()) continue;
      columns +=
          fmt::format("not compared: column {} of {}\n", column.get<std::string>(), NameOf(table));
    }
  }
  if (out.row_count() == 0) return "no table to compare\n";
  std::string summary = fmt::format("{} equal, {} different", equal, different);
  if (not_compared > 0) summary += fmt::format(", {} not compared", not_compared);
  return out.Print() + columns + summary + '\n';
}

int VerifyExitCode(const Json& report) {
  return ExitCodeOf(report, "status", "reason");
}

std::string RepairText(const Json& report) {
  const bool is_dry_run = At(report, "dry_run") == true;
  TextTable out({"table", "found", "done", "now"});
  std::int64_t pause = 0;
  for (const Json& table : At(report, "tables")) {
    const std::string now = Text(table, "status_now");
    out.AddRow({NameOf(table), Verdict(table), Deed(table, is_dry_run),
                now == "not_compared" ? Text(table, "reason_now") : now});
    pause = std::max(pause, Number(table, "longest_pause_ms"));
  }
  if (out.row_count() == 0) return "no table to compare\n";
  std::string text = out.Print();
  if (pause > 0) text += fmt::format("longest pause of the pipeline: {} ms\n", pause);
  if (RepairExitCode(report) == kExitTables)
    text +=
        "halted tables are not repaired, nor those that are being copied; sluice status says "
        "what helps\n";
  return text;
}

int RepairExitCode(const Json& report) {
  return ExitCodeOf(report, "status_now", "reason_now");
}

}  // namespace sluice::cli
