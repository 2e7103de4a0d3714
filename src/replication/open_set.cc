#include "replication/open_set.h"

#include <algorithm>
#include <utility>

namespace sluice::replication {

columnar::TableBuilder& MeasuredBuilder::For(const SchemaPtr& schema) {
  if (!builder_ || builder_->schema() != schema) [[unlikely]]
    builder_.emplace(schema);
  return *builder_;
}

std::ptrdiff_t MeasuredBuilder::Measure() {
  const std::size_t before = bytes_;
  bytes_ = is_empty() ? 0 : builder_->bytes();
  unmeasured_bytes_ = 0;
  return static_cast<std::ptrdiff_t>(bytes_) - static_cast<std::ptrdiff_t>(before);
}

ChangeBatch MeasuredBuilder::Take() {
  bytes_ = 0;
  unmeasured_bytes_ = 0;
  return builder_->Finish();
}

void OpenSet::BeginTransaction(const TransactionMark& mark) {
  current_transaction_ = static_cast<std::uint32_t>(transactions_.size());
  transactions_.push_back(mark);
  bytes_before_ = bytes_;
  rows_before_ = row_count_;
  bytes_ += kMarkBytes;
}

void OpenSet::EndTransaction(Lsn end_lsn, bool is_empty) {
  transactions_.back().end_lsn = end_lsn;
  transactions_.back().is_empty = is_empty;
  MoveEnd(end_lsn);
}

void OpenSet::MoveEnd(Lsn end) {
  end_ = std::max(end_, end);
}

void OpenSet::Touch(OpenTable& table, const TableSchema* schema) {
  if (table.is_touched) return;
  table.is_touched = true;
  column_count_ += kTableColumns + (schema == nullptr ? 0 : schema->columns.size());
  touched_.push_back(&table);
}

void OpenSet::EnterSchema(OpenTable& table, const SchemaPtr& schema) {
  Touch(table, schema.get());
  if (table.emitted == schema) return;
  SealRows(table);
  table.items.emplace_back(SchemaMark{current_transaction_, schema});
  table.emitted = schema;
  bytes_ += kMarkBytes;
}

void OpenSet::SealRows(OpenTable& table) {
  table.run_transaction = OpenTable::kNoRun;
  if (table.rows.is_empty()) return;
  bytes_ -= std::min(bytes_, table.rows.bytes());
  ChangeBatch batch = table.rows.Take();
  bytes_ += batch.bytes;
  table.items.emplace_back(std::move(batch));
}

void OpenSet::AddBatch(OpenTable& table, ChangeBatch batch) {
  EnterSchema(table, batch.schema);
  SealRows(table);
  batch.runs.assign(1, TransactionRun{current_transaction_, 0});
  bytes_ += batch.bytes;
  row_count_ += batch.row_count();
  table.items.emplace_back(std::move(batch));
}

void OpenSet::AddTruncate(OpenTable& table, std::uint32_t ordinal) {
  Touch(table, table.emitted.get());
  SealRows(table);
  table.items.emplace_back(TruncateMark{current_transaction_, ordinal});
  bytes_ += kMarkBytes;
}

void OpenSet::AddFailure(OpenTable& table, Error error) {
  Touch(table, table.emitted.get());
  SealRows(table);
  table.items.emplace_back(TableFailure{current_transaction_, std::move(error)});
  bytes_ += kMarkBytes;
}

ChangeSet OpenSet::Close(bool at_boundary) {
  ChangeSet set;
  set.tables.reserve(touched_.size());
  for (OpenTable* table : touched_) {
    SealRows(*table);
    set.tables.push_back({table->relation, std::exchange(table->items, {})});
    table->is_touched = false;
    table->has_failed = false;
  }
  touched_.clear();
  set.bytes = std::exchange(bytes_, 0);
  set.row_count = std::exchange(row_count_, 0);
  column_count_ = 0;
  set.continues_previous = std::exchange(continues_previous_, !at_boundary);
  set.ends_at_boundary = at_boundary;
  bytes_before_ = 0;
  rows_before_ = 0;
  current_transaction_ = 0;
  if (at_boundary) {
    set.end = end_;
    sealed_end_ = end_;
    set.transactions = std::exchange(transactions_, {});
  } else {
    const TransactionMark going_on = transactions_.back();
    set.transactions = std::exchange(transactions_, {going_on});
  }
  return set;
}

}  // namespace sluice::replication
