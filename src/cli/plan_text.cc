#include "cli/plan_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "cli/passwords.h"

namespace sluice::cli {
namespace {

/// Tables listed one by one; a database with thousands gets a sum for the rest.
constexpr std::size_t kTablesListedMax = 40;

std::string RowsText(std::int64_t rows) {
  return rows < 0 ? "unknown" : "~" + base::FormatCount(rows);
}

bool IsOut(const pipeline::Plan::Table& table) {
  return table.state == TableState::kSkipped || table.state == TableState::kHalted;
}

std::string TablesWord(std::size_t count) {
  return fmt::format("{} {}", count, count == 1 ? "table" : "tables");
}

std::string ToCopyText(const pipeline::Plan& plan) {
  std::vector<const pipeline::Plan::Table*> tables;
  std::int64_t rows = 0;
  std::uint64_t bytes = 0;
  std::size_t live = 0;
  for (const auto& table : plan.tables) {
    if (table.state == TableState::kLive) ++live;
    if (table.state == TableState::kLive || IsOut(table)) continue;
    tables.push_back(&table);
    rows += std::max<std::int64_t>(table.rows_estimated, 0);
    bytes += table.bytes_estimated;
  }
  std::string out;
  if (live > 0) out += fmt::format("live already: {}\n", TablesWord(live));
  if (tables.empty()) return out;
  out += fmt::format("to copy: {}, {} rows, {}\n", TablesWord(tables.size()), RowsText(rows),
                     base::FormatSize(bytes));
  // The largest first: they decide how long it takes.
  std::stable_sort(tables.begin(), tables.end(), [](const auto* a, const auto* b) {
    return a->bytes_estimated > b->bytes_estimated;
  });
  std::size_t width = 0;
  const std::size_t listed = std::min(tables.size(), kTablesListedMax);
  for (std::size_t i = 0; i < listed; ++i) {
    width = std::max(width, ToString(tables[i]->name).size());
  }
  for (std::size_t i = 0; i < listed; ++i) {
    out += fmt::format("  {:<{}}  {:>14} rows  {:>10}\n", ToString(tables[i]->name), width,
                       RowsText(tables[i]->rows_estimated),
                       base::FormatSize(tables[i]->bytes_estimated));
  }
  if (tables.size() > listed) out += fmt::format("  and {} more\n", tables.size() - listed);
  return out;
}

std::string OneNotLive(std::string_view name, std::string_view state, std::string_view reason,
                       std::string_view advice) {
  std::string out = fmt::format("{} {}", state, name);
  // Reasons that stand alone elsewhere begin with the name.
  if (reason.starts_with(name) && reason.substr(name.size()).starts_with(' ')) {
    reason.remove_prefix(name.size() + 1);
  }
  if (!reason.empty()) out += fmt::format(": {}", reason);
  out += '\n';
  if (!advice.empty()) out += fmt::format("    {}\n", advice);
  return out;
}

}  // namespace

std::string PlanText(const pipeline::Plan& plan) {
  std::string out = fmt::format("source: {}\n", plan.source);
  if (!plan.slot.empty()) {  // `copy` has none
    out += fmt::format("slot {}, publication {}{}\n", plan.slot, plan.publication,
                       plan.is_first_run ? " (will be made)" : "");
  }
  out += ToCopyText(plan);
  if (plan.bytes_needed > 0) {
    out += fmt::format("disk: about {} needed, {} free\n", base::FormatSize(plan.bytes_needed),
                       base::FormatSize(plan.bytes_free));
    if (plan.bytes_free > 0 && plan.bytes_needed > plan.bytes_free) {
      out += "warning: the disk of the destination may not be large enough\n";
    }
  }
  for (const auto& table : plan.tables) {
    if (!IsOut(table)) continue;
    out += OneNotLive(ToString(table.name), ToString(table.state), table.reason, table.advice);
  }
  for (const std::string& warning : plan.warnings) out += fmt::format("warning: {}\n", warning);
  return WithoutPasswords(out);
}

std::string NotLiveText(const engine::PipelineStatus& status) {
  std::string out;
  for (const engine::TableStatus& table : status.tables) {
    const TableRecord& record = table.record;
    if (record.state != TableState::kHalted && record.state != TableState::kSkipped) continue;
    out +=
        OneNotLive(ToString(record.source), ToString(record.state), record.reason, record.advice);
  }
  return out;
}

}  // namespace sluice::cli
