#include "replication/keyed_fold.h"

#include <arrow/array/data.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "types/arrow_type.h"

namespace sluice::replication {
namespace {

constexpr std::uint32_t kNoPatch = 0xFFFFFFFF;

/// One row of the table, from its first change in the run on.
struct Entry {
  CellRef origin = kNoCell;        ///< where the key before the run stands; kNoCell: born in it
  CellRef key = kNoCell;           ///< where its key of now stands
  CellRef last = kNoCell;          ///< its last change; the image, unless it is a delete
  std::uint64_t hash = 0;          ///< of `key`
  std::uint32_t patch = kNoPatch;  ///< cells that are not in `last`
  bool is_alive = true;
  bool is_moved = false;

  bool was_there() const { return origin != kNoCell; }
};

class KeyedFold {
 public:
  explicit KeyedFold(const FoldSources& sources)
      : sources_(sources),
        column_count_(sources.schema().columns.size()),
        has_full_rows_(sources.schema().identity == ReplicaIdentity::kFull),
        table_(2 * sources.row_count()) {}

  void Apply(std::size_t item, std::size_t row);
  Status Emit(const FoldOptions& options, NetChange* net);

 private:
  void Insert(CellRef row);
  void Update(CellRef row, std::optional<CellRef> old);
  void Delete(CellRef row, CellRef old);
  Entry& TouchByKey(CellRef key, bool has_full_row);
  std::optional<std::uint32_t> FindAlive(CellRef key, std::uint64_t hash, bool has_full_row) const;
  Entry& Add(Entry entry);
  void SetImage(Entry& entry, CellRef row);
  CellRef CellOf(const Entry& entry, std::size_t column) const;
  void MergeRebornRows();
  Result<RowsPtr> GatherImages(const std::vector<std::uint32_t>& entries,
                               std::vector<RowBits>* unchanged) const;

  const FoldSources& sources_;
  const std::size_t column_count_;
  const bool has_full_rows_;
  EntryTable table_;
  std::vector<Entry> entries_;
  std::vector<CellRef> patches_;  ///< column_count_ each
  bool has_unchanged_ = false;
};

Entry& KeyedFold::Add(Entry entry) {
  table_.Insert(entry.hash, static_cast<std::uint32_t>(entries_.size()));
  return entries_.emplace_back(entry);
}

// Which of the touched rows has this key now? More than one can only be under FULL with a
// deferrable key; then, and where the key came to a row by a change, a row not touched so far may
// have it too, and the whole old row decides.
std::optional<std::uint32_t> KeyedFold::FindAlive(CellRef key, std::uint64_t hash,
                                                  bool has_full_row) const {
  std::optional<std::uint32_t> first;
  std::optional<std::uint32_t> same;
  std::size_t count = 0;
  table_.Find(hash, [&](std::uint32_t index) {
    const Entry& entry = entries_[index];
    if (!sources_.SameKey(entry.key, key)) return false;
    ++count;
    if (!first) first = index;
    if (!has_full_row) return true;
    if (sources_.SameRow(entry.last, key)) same = index;
    return same.has_value();
  });
  if (!has_full_row || !first) return first;
  const Entry& only = entries_[*first];
  const bool is_certain = count == 1 && only.was_there() && !only.is_moved;
  return is_certain ? first : same;
}

Entry& KeyedFold::TouchByKey(CellRef key, bool has_full_row) {
  const std::uint64_t hash = sources_.HashKey(key);
  if (const auto found = FindAlive(key, hash, has_full_row)) return entries_[*found];
  return Add({.origin = key, .key = key, .hash = hash});
}

void KeyedFold::Apply(std::size_t item_index, std::size_t row) {
  const FoldItem& item = sources_.item(item_index);
  const CellRef now = FoldSources::NewRow(item_index, row);
  const CellRef old = FoldSources::OldRow(item_index, row);
  switch (item.batch->kind(row)) {
    case ChangeKind::kInsert:
      return Insert(now);
    case ChangeKind::kUpdate: {
      const bool has_old = item.batch->old != nullptr && item.batch->has_old[row];
      return Update(now, has_old ? std::optional(old) : std::nullopt);
    }
    case ChangeKind::kDelete:
      return Delete(now, old);
  }
}

void KeyedFold::Insert(CellRef row) {
  Add({.key = row, .last = row, .hash = sources_.HashKey(row)});
}

void KeyedFold::Update(CellRef row, std::optional<CellRef> old) {
  Entry& entry = TouchByKey(old.value_or(row), old && has_full_rows_);
  SetImage(entry, row);
  if (!old || sources_.SameKey(*old, row)) {
    entry.key = row;
    return;
  }
  const auto index = static_cast<std::uint32_t>(&entry - entries_.data());
  table_.Erase(entry.hash, index);
  entry.key = row;
  entry.hash = sources_.HashKey(row);
  entry.is_moved = true;
  table_.Insert(entry.hash, index);
}

void KeyedFold::Delete(CellRef row, CellRef old) {
  Entry& entry = TouchByKey(old, has_full_rows_);
  table_.Erase(entry.hash, static_cast<std::uint32_t>(&entry - entries_.data()));
  entry.is_alive = false;
  entry.last = row;
}

CellRef KeyedFold::CellOf(const Entry& entry, std::size_t column) const {
  if (entry.patch != kNoPatch) return patches_[entry.patch * column_count_ + column];
  return sources_.IsUnchanged(entry.last, column) ? kNoCell : entry.last;
}

void KeyedFold::SetImage(Entry& entry, CellRef row) {
  const bool has_image = entry.last != kNoCell;
  if (!sources_.HasUnchanged(row)) {
    entry.patch = kNoPatch;
  } else if (has_image) {
    std::uint32_t patch = entry.patch;
    if (patch == kNoPatch) {
      patch = static_cast<std::uint32_t>(patches_.size() / column_count_);
      patches_.resize(patches_.size() + column_count_);
    }
    for (std::size_t column = 0; column < column_count_; ++column) {
      patches_[patch * column_count_ + column] =
          sources_.IsUnchanged(row, column) ? CellOf(entry, column) : row;
    }
    entry.patch = patch;
    has_unchanged_ = true;
  } else {
    has_unchanged_ = true;
  }
  entry.last = row;
}

// A row deleted and one born under its key: the destination's row stays and gets all columns.
void KeyedFold::MergeRebornRows() {
  for (Entry& gone : entries_) {
    if (gone.is_alive || !gone.was_there()) continue;
    table_.Find(sources_.HashKey(gone.origin), [&](std::uint32_t index) {
      Entry& born = entries_[index];
      if (born.was_there() || !sources_.SameKey(born.key, gone.origin)) return false;
      born.origin = gone.origin;
      gone.origin = kNoCell;
      return true;
    });
  }
}

Status KeyedFold::Emit(const FoldOptions& options, NetChange* net) {
  MergeRebornRows();
  std::vector<CellRef> deletes;
  std::vector<std::uint32_t> updates;
  std::vector<std::uint32_t> inserts;
  const auto id_of = [&](const Entry& entry, std::vector<ChangeId>& ids) {
    if (options.wants_change_ids) ids.push_back(sources_.IdOf(entry.last));
  };
  for (std::uint32_t index = 0; index < entries_.size(); ++index) {
    const Entry& entry = entries_[index];
    if (!entry.is_alive && entry.was_there()) {
      deletes.push_back(entry.origin);
      id_of(entry, net->delete_ids);
    } else if (entry.is_alive && entry.was_there()) {
      updates.push_back(index);
      id_of(entry, net->update_ids);
    } else if (entry.is_alive) {
      inserts.push_back(index);
      id_of(entry, net->insert_ids);
    }
  }
  SLUICE_ASSIGN_OR_RETURN(net->deletes, sources_.GatherKeys(deletes));
  std::vector<CellRef> origins;
  origins.reserve(updates.size());
  for (const std::uint32_t index : updates) origins.push_back(entries_[index].origin);
  SLUICE_ASSIGN_OR_RETURN(net->update_origin_keys, sources_.GatherKeys(origins));
  SLUICE_ASSIGN_OR_RETURN(net->update_values, GatherImages(updates, &net->update_unchanged));
  std::vector<RowBits> none;
  SLUICE_ASSIGN_OR_RETURN(net->inserts, GatherImages(inserts, &none));
  // A row is born with all its values.
  if (!none.empty()) return MalformedBatch("an inserted row lacks a value");
  return {};
}

Result<RowsPtr> KeyedFold::GatherImages(const std::vector<std::uint32_t>& entries,
                                        std::vector<RowBits>* unchanged) const {
  std::vector<CellRef> rows;
  rows.reserve(entries.size());
  for (const std::uint32_t index : entries) rows.push_back(entries_[index].last);
  if (!has_unchanged_ || rows.empty()) return sources_.GatherRows(rows);
  // Few columns have cells of their own, but it is not known which.
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  for (std::size_t column = 0; column < column_count_; ++column) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      rows[i] = CellOf(entries_[entries[i]], column);
      if (rows[i] != kNoCell) continue;
      if (unchanged->empty()) unchanged->resize(column_count_);
      (*unchanged)[column].Set(i);
    }
    SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(), sources_.GatherColumn(column, rows));
  }
  return RowsPtr(arrow::RecordBatch::Make(types::ArrowSchema(sources_.schema()),
                                          static_cast<std::int64_t>(rows.size()),
                                          std::move(columns)));
}

}  // namespace

Status FoldKeyed(const FoldSources& sources, const FoldOptions& options, NetChange* net) {
  KeyedFold fold(sources);
  for (std::size_t index = 0; index < sources.item_count(); ++index) {
    const FoldItem& item = sources.item(index);
    for (std::size_t row = item.row_begin; row < item.row_end; ++row) fold.Apply(index, row);
  }
  return fold.Emit(options, net);
}

}  // namespace sluice::replication
