#include "replication/history_change.h"

#include <arrow/array/data.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "replication/fold_sources.h"
#include "replication/gather.h"
#include "types/arrow_type.h"

namespace sluice::replication {
namespace {

LogOp OpOf(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kInsert:
      return LogOp::kInsert;
    case ChangeKind::kUpdate:
      return LogOp::kUpdate;
    case ChangeKind::kDelete:
      return LogOp::kDelete;
  }
  return LogOp::kInsert;
}

class HistoryMaker {
 public:
  HistoryMaker(const SchemaPtr& schema, const std::vector<TransactionMark>& marks)
      : sources_(*schema), marks_(marks), is_full_(schema->identity == ReplicaIdentity::kFull) {
    out_.schema = schema;
    is_sent_old_.resize(schema->columns.size());
    for (const std::int32_t column : schema->identity_columns)
      is_sent_old_[static_cast<std::size_t>(column)] = true;
  }

  Status Add(const HistoryItem& item) {
    if (item.batch == nullptr) {
      AddRow(kNoCell, LogOp::kTruncate, marks_.at(item.truncate.transaction),
             item.truncate.ordinal);
      return {};
    }
    if (item.batch->row_count() == 0) return {};
    const std::size_t index = sources_.item_count();
    SLUICE_RETURN_IF_ERROR(sources_.Add({.batch = item.batch}));
    AddRows(*item.batch, index);
    return {};
  }

  Result<HistoryChange> Take();

 private:
  void AddRows(const ChangeBatch& batch, std::size_t index);
  void AddRow(CellRef cell, LogOp op, const TransactionMark& mark, std::uint32_t ordinal);
  Result<RowsPtr> Rows();
  CellRef CellOf(std::size_t row, std::size_t column);

  FoldSources sources_;
  const std::vector<TransactionMark>& marks_;
  const bool is_full_;
  std::vector<bool> is_sent_old_;  ///< per column: old tuples have it
  HistoryChange out_;
  std::vector<CellRef> cells_;  ///< per row, where it stands
  std::vector<CellRef> old_;    ///< per row, an old tuple that fills what was not sent
  bool is_plain_ = true;        ///< every row is one of new values, all of them sent
};

void HistoryMaker::AddRow(CellRef cell, LogOp op, const TransactionMark& mark,
                          std::uint32_t ordinal) {
  const bool is_old = cell == kNoCell || cell.source % 2 == 1;
  is_plain_ = is_plain_ && !is_old;
  if (op == LogOp::kDelete && !is_full_) out_.key_only.Set(cells_.size());
  cells_.push_back(cell);
  old_.push_back(kNoCell);
  out_.ops.push_back(op);
  out_.commit_lsns.push_back(mark.commit_lsn);
  out_.ordinals.push_back(ordinal);
  out_.xids.push_back(mark.xid);
  out_.committed_at.push_back(mark.committed_at);
}

void HistoryMaker::AddRows(const ChangeBatch& batch, std::size_t index) {
  std::size_t run = 0;
  for (std::size_t row = 0; row < batch.row_count(); ++row) {
    while (run + 1 < batch.runs.size() && batch.runs[run + 1].first_row <= row) ++run;
    const TransactionMark& mark = marks_.at(batch.runs.at(run).transaction);
    const std::uint32_t ordinal = batch.ordinals[row];
    const CellRef now = FoldSources::NewRow(index, row);
    const CellRef before = FoldSources::OldRow(index, row);
    const ChangeKind kind = batch.kind(row);
    if (kind == ChangeKind::kDelete) {
      AddRow(before, LogOp::kDelete, mark, ordinal);
      continue;
    }
    const bool has_old = kind == ChangeKind::kUpdate && batch.old != nullptr && batch.has_old[row];
    const bool moves =
        has_old && (sources_.schema().is_keyless() || !sources_.SameKey(before, now));
    if (moves) AddRow(before, LogOp::kDelete, mark, ordinal);
    AddRow(now, OpOf(kind), mark, ordinal);
    if (kind == ChangeKind::kInsert || !sources_.HasUnchanged(now)) continue;
    is_plain_ = false;
    if (has_old) old_.back() = before;
  }
}

CellRef HistoryMaker::CellOf(std::size_t row, std::size_t column) {
  const CellRef cell = cells_[row];
  if (cell == kNoCell) return kNoCell;
  if (cell.source % 2 == 1) return is_sent_old_[column] ? cell : kNoCell;
  if (!sources_.IsUnchanged(cell, column)) return cell;
  if (old_[row] != kNoCell && is_sent_old_[column]) return old_[row];
  if (out_.unchanged.empty()) out_.unchanged.resize(is_sent_old_.size());
  out_.unchanged[column].Set(row);
  return kNoCell;
}

Result<RowsPtr> HistoryMaker::Rows() {
  if (is_plain_) return sources_.GatherRows(cells_);
  const TableSchema& schema = sources_.schema();
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  std::vector<CellRef> cells(cells_.size());
  for (std::size_t column = 0; column < schema.columns.size(); ++column) {
    if (sources_.item_count() == 0) {
      SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(),
                              Nulls(types::ArrowType(schema.columns[column].type), cells.size()));
      continue;
    }
    for (std::size_t row = 0; row < cells.size(); ++row) cells[row] = CellOf(row, column);
    SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(), sources_.GatherColumn(column, cells));
  }
  return RowsPtr(arrow::RecordBatch::Make(
      types::ArrowSchema(schema), static_cast<std::int64_t>(cells.size()), std::move(columns)));
}

Result<HistoryChange> HistoryMaker::Take() {
  SLUICE_ASSIGN_OR_RETURN(out_.rows, Rows());
  return std::move(out_);
}

bool HasOnlyInserts(std::span<const HistoryItem> items) {
  return std::all_of(items.begin(), items.end(), [](const HistoryItem& item) {
    return item.batch != nullptr && item.batch->kinds.empty();
  });
}

/// Runs of inserts need no look at their cells.
Result<HistoryChange> LogInserts(const SchemaPtr& schema, std::span<const HistoryItem> items,
                                 const std::vector<TransactionMark>& marks) {
  HistoryChange out;
  out.schema = schema;
  std::vector<RowsPtr> parts;
  for (const HistoryItem& item : items) {
    const ChangeBatch& batch = *item.batch;
    parts.push_back(batch.values);
    for (std::size_t run = 0; run < batch.runs.size(); ++run) {
      const TransactionMark& mark = marks.at(batch.runs[run].transaction);
      const std::size_t end =
          run + 1 < batch.runs.size() ? batch.runs[run + 1].first_row : batch.row_count();
      const std::size_t count = end - batch.runs[run].first_row;
      out.commit_lsns.insert(out.commit_lsns.end(), count, mark.commit_lsn);
      out.xids.insert(out.xids.end(), count, mark.xid);
      out.committed_at.insert(out.committed_at.end(), count, mark.committed_at);
    }
    out.ordinals.insert(out.ordinals.end(), batch.ordinals.begin(), batch.ordinals.end());
  }
  out.ops.assign(out.ordinals.size(), LogOp::kInsert);
  SLUICE_ASSIGN_OR_RETURN(out.rows, ConcatenateRows(parts));
  return out;
}

}  // namespace

Result<HistoryChange> MakeHistory(const SchemaPtr& schema, std::span<const HistoryItem> items,
                                  const std::vector<TransactionMark>& marks) {
  if (HasOnlyInserts(items)) return LogInserts(schema, items, marks);
  HistoryMaker maker(schema, marks);
  for (const HistoryItem& item : items) SLUICE_RETURN_IF_ERROR(maker.Add(item));
  return maker.Take();
}

}  // namespace sluice::replication
