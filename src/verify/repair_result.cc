#include "verify/repair_result.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <nlohmann/json.hpp>

namespace sluice::verify {
namespace {

const char* Word(RepairAction action) {
  switch (action) {
    case RepairAction::kNone:
      return "none";
    case RepairAction::kRows:
      return "rows";
    case RepairAction::kCopy:
      return "copy";
  }
  return "";
}

nlohmann::json ToJson(const TableRepair& table) {
  nlohmann::json json = ToJson(table.found);
  json["action"] = Word(table.action);
  json["keys_repaired"] = table.keys_repaired;
  json["longest_pause_ms"] =
      std::chrono::duration_cast<std::chrono::milliseconds>(table.longest_pause).count();
  json["status_now"] = ToString(table.now);
  if (!table.why.empty()) json["why"] = table.why;
  if (!table.reason_now.empty()) json["reason_now"] = table.reason_now;
  return json;
}

}  // namespace

bool RepairResult::is_equal() const {
  return std::ranges::none_of(
      tables, [](const TableRepair& table) { return table.now == ComparisonStatus::kDifferent; });
}

nlohmann::json ToJson(const RepairResult& result) {
  nlohmann::json tables = nlohmann::json::array();
  for (const TableRepair& table : result.tables) tables.push_back(ToJson(table));
  return {
      {"equal", result.is_equal()}, {"dry_run", result.is_dry_run}, {"tables", std::move(tables)}};
}

}  // namespace sluice::verify
