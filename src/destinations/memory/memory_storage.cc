#include "destinations/memory/memory_storage.h"

#include <algorithm>

namespace sluice::memory {

std::vector<TextRow> MemoryStorage::Rows(const TableName& name) const {
  const base::MutexLock lock(mutex_);
  std::vector<TextRow> out;
  const auto found = tables_.find(name);
  if (found == tables_.end()) return out;
  for (const auto& [key, entry] : found->second->rows) {
    out.insert(out.end(), static_cast<std::size_t>(entry.count), *entry.row);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<TextRow> MemoryStorage::RangeRows(RelationId relation) const {
  const base::MutexLock lock(mutex_);
  std::vector<TextRow> out;
  const auto found = ranges_.find(relation);
  if (found == ranges_.end()) return out;
  for (const auto& [key, entry] : found->second->rows) out.push_back(*entry.row);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<MemoryStorage::Quarantined> MemoryStorage::Quarantine(const TableName& name) const {
  const base::MutexLock lock(mutex_);
  std::vector<Quarantined> out;
  const auto found = tables_.find(name);
  if (found == tables_.end()) return out;
  const TableSchema& schema = *found->second->schema;
  for (const auto& [encoded, entry] : found->second->rows) {
    TextRow key = schema.is_keyless() ? *entry.row : TextRow();
    for (const std::int32_t column : schema.key)
      key.push_back((*entry.row)[static_cast<std::size_t>(column)]);
    for (const auto& [column, text] : entry.quarantined) {
      out.insert(out.end(), static_cast<std::size_t>(entry.count),
                 {key, schema.columns[column].name, text});
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<LogRow> MemoryStorage::Log(const TableName& name) const {
  const base::MutexLock lock(mutex_);
  const auto found = tables_.find(name);
  return found == tables_.end() ? std::vector<LogRow>{} : found->second->log;
}

std::vector<TableName> MemoryStorage::Tables() const {
  const base::MutexLock lock(mutex_);
  std::vector<TableName> out;
  for (const auto& [name, table] : tables_) out.push_back(name);
  return out;
}

bool MemoryStorage::HasShadow(UnitId unit) const {
  const base::MutexLock lock(mutex_);
  return shadows_.contains(unit);
}

DeliveryState MemoryStorage::State() const {
  const base::MutexLock lock(mutex_);
  return state_;
}

void MemoryStorage::PutForeignTable(const TableName& name, SchemaPtr schema) {
  const base::MutexLock lock(mutex_);
  auto table = std::make_shared<Table>();
  table->schema = std::move(schema);
  tables_[name] = std::move(table);
}

}  // namespace sluice::memory
