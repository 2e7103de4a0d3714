#include "destinations/memory/memory_reader.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "destinations/memory/change_internal.h"

namespace sluice::memory {
namespace {

constexpr std::size_t kScanRows = 4096;

Result<RowsPtr> BatchOf(const TableSchema& schema, const std::vector<std::int32_t>& columns,
                        const std::vector<RowPtr>& rows) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  std::vector<Cell> cells(rows.size());
  for (const std::int32_t index : columns) {
    const Column& column = schema.columns.at(static_cast<std::size_t>(index));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      cells[row] = (*rows[row])[static_cast<std::size_t>(index)];
    }
    SLUICE_ASSIGN_OR_RETURN(auto array, ArrayFromText(column.type, cells));
    fields.push_back(arrow::field(column.name, array->type()));
    arrays.push_back(std::move(array));
  }
  return RowsPtr(arrow::RecordBatch::Make(
      arrow::schema(std::move(fields)), static_cast<std::int64_t>(rows.size()), std::move(arrays)));
}

/// A row of the log belongs to the change before it: together they are one that moved a row.
bool IsSameChange(const LogRow& a, const LogRow& b) {
  return a.commit_lsn == b.commit_lsn && a.ordinal == b.ordinal;
}

/// The rows that follow from a log.
std::map<std::string, Entry> RowsOfLog(const TableSchema& schema, std::vector<LogRow> log) {
  std::stable_sort(log.begin(), log.end(), [](const LogRow& a, const LogRow& b) {
    return std::pair(a.commit_lsn, a.ordinal) < std::pair(b.commit_lsn, b.ordinal);
  });
  std::map<std::string, Entry> rows;
  Entry moved;
  for (std::size_t i = 0; i < log.size(); ++i) {
    LogRow& row = log[i];
    if (row.op == LogOp::kTruncate) {
      rows.clear();
      continue;
    }
    Entry& entry = rows[KeyOf(schema, row.values)];
    if (row.op == LogOp::kDelete) {
      moved = entry;
      --entry.count;
      continue;
    }
    const bool is_moved = i > 0 && log[i - 1].op == LogOp::kDelete && IsSameChange(log[i - 1], row);
    const RowPtr before = is_moved ? moved.row : entry.row;
    for (const std::int32_t column : row.unchanged) {
      const auto at = static_cast<std::size_t>(column);
      if (before != nullptr) row.values[at] = (*before)[at];
    }
    entry.row = std::make_shared<const TextRow>(std::move(row.values));
    entry.count = schema.is_keyless() ? entry.count + 1 : 1;
  }
  return rows;
}

}  // namespace

MemoryReader::MemoryReader(const MemoryStorage& storage) {
  const base::MutexLock lock(storage.mutex_);
  tables_.insert(storage.tables_.begin(), storage.tables_.end());
  state_ = storage.state_;
}

Status MemoryReader::Scan(const TableRecord& table, const std::vector<std::int32_t>& columns,
                          const std::function<Status(const RowsPtr&)>& sink) {
  const auto found = tables_.find(table.destination);
  if (found == tables_.end()) {
    return Error{.kind = ErrorKind::kSchemaConflict,
                 .message = "no such table: " + ToString(table.destination),
                 .code = "SLU-5110"};
  }
  const TableSchema& schema = *found->second->schema;
  for (const std::int32_t column : columns) {
    if (column < 0 || static_cast<std::size_t>(column) >= schema.columns.size()) {
      return Error{.kind = ErrorKind::kInvalidArgument,
                   .message = fmt::format("no column with index {}", column),
                   .code = "SLU-9001"};
    }
  }
  std::vector<RowPtr> rows;
  const auto flush = [&]() -> Status {
    if (rows.empty()) return {};
    SLUICE_ASSIGN_OR_RETURN(const RowsPtr batch, BatchOf(schema, columns, rows));
    rows.clear();
    return sink(batch);
  };
  std::map<std::string, Entry> of_log;
  if (!HasState(table.mode)) of_log = RowsOfLog(schema, found->second->log);
  for (const auto& [key, entry] : HasState(table.mode) ? found->second->rows : of_log) {
    for (std::int64_t copy = 0; copy < entry.count; ++copy) {
      rows.push_back(entry.row);
      if (rows.size() == kScanRows) SLUICE_RETURN_IF_ERROR(flush());
    }
  }
  return flush();
}

MemoryCopyWriter::MemoryCopyWriter(std::shared_ptr<MemoryStorage> storage, CopyTarget target,
                                   bool strict)
    : storage_(std::move(storage)), target_(std::move(target)), strict_(strict) {}

Status MemoryCopyWriter::Append(const CopiedRows& copied) {
  if (is_finished_) {
    return Error{
        .kind = ErrorKind::kInternal, .message = "append after finish", .code = "SLU-9001"};
  }
  SLUICE_ASSIGN_OR_RETURN(auto texts, RowsOf(*target_.schema, {}, copied.rows));
  auto quarantined = QuarantinedIn(*target_.schema, texts.size(), copied.misfits);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    TextRow& row = texts[i];
    Entry& entry = rows_[KeyOf(*target_.schema, row, quarantined[i])];
    if (entry.count > 0 && !target_.schema->is_keyless()) {
      if (strict_) {
        return Error{.kind = ErrorKind::kSchemaConflict,
                     .message = "the copy has two rows with one key",
                     .code = "SLU-5112"};
      }
      entry.count = 0;
    }
    entry.row = std::make_shared<const TextRow>(std::move(row));
    entry.quarantined = std::move(quarantined[i]);
    ++entry.count;
  }
  return {};
}

Status MemoryCopyWriter::Finish() {
  is_finished_ = true;
  const base::MutexLock lock(storage_->mutex_);
  storage_->shadows_[target_.unit] = Shadow{target_.schema, std::move(rows_)};
  return {};
}

}  // namespace sluice::memory
