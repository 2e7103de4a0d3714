#include "destinations/duckdb/shadows.h"

#include <algorithm>
#include <utility>

#include "destinations/duckdb/names.h"

namespace sluice::duckdb {

std::optional<Shadow> Shadows::Find(UnitId unit) const {
  const base::MutexLock lock(mutex_);
  const auto found = units_.find(unit);
  return found == units_.end() ? std::nullopt : std::optional(found->second);
}

void Shadows::Add(UnitId unit, Shadow shadow) {
  const base::MutexLock lock(mutex_);
  units_[unit] = std::move(shadow);
}

void Shadows::Finish(UnitId unit) {
  const base::MutexLock lock(mutex_);
  if (const auto found = units_.find(unit); found != units_.end()) found->second.is_finished = true;
}

std::optional<Shadow> Shadows::Remove(UnitId unit) {
  const base::MutexLock lock(mutex_);
  auto node = units_.extract(unit);
  return node.empty() ? std::nullopt : std::optional(std::move(node.mapped()));
}

std::map<UnitId, Shadow> Shadows::RemoveAll() {
  const base::MutexLock lock(mutex_);
  landed_ranges_.clear();
  return std::exchange(units_, {});
}

void Shadows::SetLanded(const std::vector<UnitId>& units, std::vector<TableName> ranges) {
  const base::MutexLock lock(mutex_);
  for (const UnitId unit : units) units_.erase(unit);
  landed_ranges_ = std::move(ranges);
}

bool Shadows::IsShared(const TableName& table, UnitId unit) const {
  const std::string key = FoldKey(table);
  const base::MutexLock lock(mutex_);
  return std::any_of(landed_ranges_.begin(), landed_ranges_.end(),
                     [&](const TableName& landed) { return FoldKey(landed) == key; }) ||
         std::any_of(units_.begin(), units_.end(), [&](const auto& other) {
           return other.first != unit && FoldKey(other.second.name) == key;
         });
}

}  // namespace sluice::duckdb
