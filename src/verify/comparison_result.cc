#include "verify/comparison_result.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace sluice::verify {

const char* ToString(ComparisonStatus status) {
  switch (status) {
    case ComparisonStatus::kEqual:
      return "equal";
    case ComparisonStatus::kDifferent:
      return "different";
    case ComparisonStatus::kNotCompared:
      return "not_compared";
  }
  return "";
}

namespace {

const char* Word(DifferenceKind kind) {
  switch (kind) {
    case DifferenceKind::kMissing:
      return "missing";
    case DifferenceKind::kExtra:
      return "extra";
    case DifferenceKind::kDifferent:
      return "different";
  }
  return "";
}

}  // namespace

nlohmann::json ToJson(const TableResult& table) {
  nlohmann::json sample = nlohmann::json::array();
  for (const SampleRow& row : table.sample) {
    nlohmann::json columns = nlohmann::json::object();
    for (const auto& [name, text] : row.columns) columns[name] = text;
    sample.push_back({{"kind", Word(row.kind)}, {"columns", std::move(columns)}});
  }
  nlohmann::json json = {
      {"schema", table.name.schema},       {"table", table.name.table},
      {"lsn", ToString(table.lsn)},        {"status", ToString(table.status)},
      {"rows_source", table.rows_source},  {"rows_destination", table.rows_destination},
      {"missing", table.missing},          {"extra", table.extra},
      {"different", table.different},      {"sample", std::move(sample)},
      {"not_compared", table.not_compared}};
  if (!table.destination.table.empty() && table.destination != table.name) {
    json["destination_schema"] = table.destination.schema;
    json["destination_table"] = table.destination.table;
  }
  if (!table.reason.empty()) json["reason"] = table.reason;
  if (table.are_counts_minimum) json["counts_are_minimum"] = true;
  return json;
}

bool VerifyResult::is_equal() const {
  return std::ranges::none_of(tables, [](const TableResult& table) {
    return table.status == ComparisonStatus::kDifferent;
  });
}

nlohmann::json ToJson(const VerifyResult& result) {
  nlohmann::json tables = nlohmann::json::array();
  for (const TableResult& table : result.tables) tables.push_back(ToJson(table));
  return {{"equal", result.is_equal()}, {"tables", std::move(tables)}};
}

std::string PrintJson(const VerifyResult& result) {
  return ToJson(result).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sluice::verify
