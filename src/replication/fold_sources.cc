#include "replication/fold_sources.h"

#include <arrow/array/data.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <string>
#include <utility>

#include "types/arrow_type.h"

namespace sluice::replication {
namespace {

constexpr std::uint64_t kSeed = 0x51C6D27F9A3B84E1;

}  // namespace

ChangeId ChangeIdOf(const FoldItem& item, std::size_t row) {
  const auto& runs = item.batch->runs;
  const auto after = std::upper_bound(
      runs.begin(), runs.end(), row,
      [](std::size_t at, const TransactionRun& run) { return at < run.first_row; });
  const TransactionRun& run = *std::prev(after);
  return {.commit_lsn = (*item.transactions)[run.transaction].commit_lsn,
          .ordinal = item.batch->ordinals[row]};
}

Error MalformedBatch(const char* what) {
  return {.kind = ErrorKind::kInternal,
          .message = std::string("a batch of changes is not well formed: ") + what,
          .code = "SLU-9101"};
}

FoldSources::Source FoldSources::MakeNew(const ChangeBatch& batch) const {
  Source source;
  for (int column = 0; column < batch.values->num_columns(); ++column) {
    source.columns.push_back(batch.values->column_data(column));
    source.views.push_back(ViewOf(source.columns.back().get()));
  }
  return source;
}

FoldSources::Source FoldSources::MakeOld(const ChangeBatch& batch) const {
  Source source;
  source.columns.resize(schema_.columns.size());
  source.views.resize(schema_.columns.size());
  if (batch.old == nullptr) return source;
  for (std::size_t i = 0; i < schema_.identity_columns.size(); ++i) {
    const auto column = static_cast<std::size_t>(schema_.identity_columns[i]);
    source.columns[column] = batch.old->column_data(static_cast<int>(i));
    source.views[column] = ViewOf(source.columns[column].get());
  }
  return source;
}

Status FoldSources::CheckRows(const FoldItem& item) const {
  const ChangeBatch& batch = *item.batch;
  const std::size_t rows = batch.row_count();
  const auto fits = [&](const RowsPtr& part, std::size_t columns) {
    return static_cast<std::size_t>(part->num_columns()) == columns &&
           static_cast<std::size_t>(part->num_rows()) == rows;
  };
  if (batch.values == nullptr || !fits(batch.values, schema_.columns.size())) {
    return MalformedBatch("new values do not fit the schema");
  }
  if (batch.old != nullptr && !fits(batch.old, schema_.identity_columns.size())) {
    return MalformedBatch("old tuples do not fit the schema");
  }
  if (!batch.kinds.empty() && batch.kinds.size() != rows) return MalformedBatch("kinds");
  for (std::size_t row = item.row_begin; row < item.row_end; ++row) {
    const bool needs_old = batch.kind(row) == ChangeKind::kDelete ||
                           (schema_.is_keyless() && batch.kind(row) == ChangeKind::kUpdate);
    const bool has_old = batch.old != nullptr && batch.has_old[row];
    if (needs_old && !has_old) return MalformedBatch("a change without its old tuple");
  }
  return {};
}

Status FoldSources::Add(const FoldItem& given) {
  FoldItem item = given;
  item.row_end = std::min(item.row_end, item.batch->row_count());
  if (item.row_begin >= item.row_end) return {};
  SLUICE_RETURN_IF_ERROR(CheckRows(item));
  Source values = MakeNew(*item.batch);
  Source old = MakeOld(*item.batch);
  SLUICE_RETURN_IF_ERROR(MoveUnsentKeys(item, &values, old));
  std::vector<std::uint32_t> unchanged;
  for (std::size_t column = 0; column < item.batch->unchanged.size(); ++column) {
    const auto index = static_cast<std::int32_t>(column);
    const bool is_key =
        std::find(schema_.key.begin(), schema_.key.end(), index) != schema_.key.end();
    if (!is_key && item.batch->unchanged[column].any()) {
      unchanged.push_back(static_cast<std::uint32_t>(column));
    }
  }
  row_count_ += item.row_end - item.row_begin;
  for (std::size_t row = item.row_begin; row < item.row_end; ++row) {
    if (item.batch->kind(row) == ChangeKind::kUpdate && item.batch->has_old[row]) ++move_count_;
  }
  NoteMisfitColumns(*item.batch);
  items_.push_back(item);
  sources_.push_back(std::move(values));
  sources_.push_back(std::move(old));
  unchanged_columns_.push_back(std::move(unchanged));
  return {};
}

// A key value kept out of line is not sent where it did not change, but then the old key is.
Status FoldSources::MoveUnsentKeys(const FoldItem& item, Source* values, const Source& old) const {
  const ChangeBatch& batch = *item.batch;
  for (const std::int32_t key : schema_.key) {
    const auto column = static_cast<std::size_t>(key);
    if (column >= batch.unchanged.size() || !batch.unchanged[column].any()) continue;
    std::vector<CellRef> cells(batch.row_count());
    for (std::size_t row = 0; row < cells.size(); ++row) {
      const bool is_unsent = batch.unchanged[column][row];
      if (is_unsent && (batch.old == nullptr || !batch.has_old[row])) {
        return MalformedBatch("an update without its key");
      }
      cells[row] = {.source = is_unsent ? 1U : 0U, .row = static_cast<std::uint32_t>(row)};
    }
    const arrow::ArrayData* const both[] = {values->columns[column].get(),
                                            old.columns[column].get()};
    SLUICE_ASSIGN_OR_RETURN(auto moved, Gather(both[0]->type, both, cells));
    values->columns[column] = std::move(moved);
    values->views[column] = ViewOf(values->columns[column].get());
  }
  return {};
}

std::uint64_t FoldSources::HashKey(CellRef row) const {
  const Source& source = sources_[row.source];
  std::uint64_t hash = kSeed;
  for (const std::int32_t column : schema_.key) {
    hash =
        HashCell(source.views[static_cast<std::size_t>(column)], row.row, hash, CellEquality::kKey);
  }
  return hash;
}

bool FoldSources::SameKey(CellRef a, CellRef b) const {
  const Source& in_a = sources_[a.source];
  const Source& in_b = sources_[b.source];
  return std::all_of(schema_.key.begin(), schema_.key.end(), [&](std::int32_t column) {
    const auto at = static_cast<std::size_t>(column);
    return SameCell(in_a.views[at], a.row, in_b.views[at], b.row, CellEquality::kKey);
  });
}

std::uint64_t FoldSources::HashRow(CellRef row) const {
  std::uint64_t hash = kSeed;
  for (const ColumnView& view : sources_[row.source].views) {
    hash = HashCell(view, row.row, hash, CellEquality::kExact);
  }
  return hash;
}

bool FoldSources::SameRow(CellRef a, CellRef b) const {
  const Source& in_a = sources_[a.source];
  const Source& in_b = sources_[b.source];
  for (std::size_t column = 0; column < in_a.views.size(); ++column) {
    if (!SameCell(in_a.views[column], a.row, in_b.views[column], b.row, CellEquality::kExact)) {
      return false;
    }
  }
  return misfit_columns_.empty() || SameMisfits(a, b);
}

// Two values that were let go are NULL here, and still not the same.
bool FoldSources::SameMisfits(CellRef a, CellRef b) const {
  return std::all_of(misfit_columns_.begin(), misfit_columns_.end(), [&](std::uint32_t column) {
    const Misfit* in_a = MisfitAt(a, column);
    const Misfit* in_b = MisfitAt(b, column);
    if (in_a == nullptr || in_b == nullptr) return in_a == in_b;
    return in_a->text == in_b->text;
  });
}

void FoldSources::NoteMisfitColumns(const ChangeBatch& batch) {
  for (const Misfit& misfit : batch.misfits) {
    const auto at = std::lower_bound(misfit_columns_.begin(), misfit_columns_.end(), misfit.column);
    if (at == misfit_columns_.end() || *at != misfit.column) {
      misfit_columns_.insert(at, misfit.column);
    }
  }
}

const Misfit* FoldSources::MisfitAt(CellRef cell, std::size_t column) const {
  if (cell == kNoCell) return nullptr;
  const std::vector<Misfit>& misfits = items_[cell.source / 2].batch->misfits;
  const bool is_old = cell.source % 2 == 1;
  auto at =
      std::lower_bound(misfits.begin(), misfits.end(), cell.row,
                       [](const Misfit& misfit, std::uint32_t row) { return misfit.row < row; });
  for (; at != misfits.end() && at->row == cell.row; ++at) {
    if (at->column == column && at->is_old == is_old) return &*at;
  }
  return nullptr;
}

std::vector<Misfit> FoldSources::MisfitsOf(std::span<const CellRef> rows) const {
  std::vector<Misfit> out;
  if (misfit_columns_.empty()) return out;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (const std::uint32_t column : misfit_columns_) {
      const Misfit* misfit = MisfitAt(rows[row], column);
      if (misfit == nullptr) continue;
      out.push_back(*misfit);
      out.back().row = static_cast<std::uint32_t>(row);
      out.back().is_old = false;
    }
  }
  return out;
}

bool FoldSources::HasUnchanged(CellRef row) const {
  const auto& columns = unchanged_columns_[row.source / 2];
  return std::any_of(columns.begin(), columns.end(), [&](std::uint32_t column) {
    return items_[row.source / 2].batch->unchanged[column][row.row];
  });
}

bool FoldSources::IsUnchanged(CellRef row, std::size_t column) const {
  const auto& columns = unchanged_columns_[row.source / 2];
  const bool may_be = std::find(columns.begin(), columns.end(),
                                static_cast<std::uint32_t>(column)) != columns.end();
  return may_be && items_[row.source / 2].batch->unchanged[column][row.row];
}

Result<std::shared_ptr<arrow::ArrayData>> FoldSources::GatherColumn(
    std::size_t column, std::span<const CellRef> cells) const {
  std::vector<const arrow::ArrayData*> columns;
  columns.reserve(sources_.size());
  for (const Source& source : sources_) columns.push_back(source.columns[column].get());
  return Gather(columns[0]->type, columns, cells);
}

Result<RowsPtr> FoldSources::GatherRows(std::span<const CellRef> rows) const {
  if (rows.empty()) return RowsPtr{};
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  for (std::size_t column = 0; column < schema_.columns.size(); ++column) {
    SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(), GatherColumn(column, rows));
  }
  return RowsPtr(arrow::RecordBatch::Make(
      types::ArrowSchema(schema_), static_cast<std::int64_t>(rows.size()), std::move(columns)));
}

Result<RowsPtr> FoldSources::GatherKeys(std::span<const CellRef> rows) const {
  if (rows.empty()) return RowsPtr{};
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  for (const std::int32_t column : schema_.key) {
    SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(),
                            GatherColumn(static_cast<std::size_t>(column), rows));
  }
  return RowsPtr(arrow::RecordBatch::Make(types::ArrowSchema(schema_, schema_.key),
                                          static_cast<std::int64_t>(rows.size()),
                                          std::move(columns)));
}

EntryTable::EntryTable(std::size_t insertions)
    : slots_(std::bit_ceil(std::max<std::size_t>(16, insertions + insertions / 2))),
      mask_(slots_.size() - 1) {}

void EntryTable::Insert(std::uint64_t hash, std::uint32_t entry) {
  std::size_t at = hash & mask_;
  while (slots_[at].entry != kEmpty) at = (at + 1) & mask_;
  slots_[at] = {.tag = Tag(hash), .entry = entry};
}

void EntryTable::Erase(std::uint64_t hash, std::uint32_t entry) {
  for (std::size_t at = hash & mask_; slots_[at].entry != kEmpty; at = (at + 1) & mask_) {
    if (slots_[at].entry != entry) continue;
    slots_[at].entry = kErased;
    return;
  }
}

}  // namespace sluice::replication
