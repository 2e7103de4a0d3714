#include "replication/keyed_fold.h"

#include <arrow/array/data.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <array>
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
        table_(sources.row_count() + sources.move_count()) {
    entries_.reserve(sources.row_count());
  }

  void Apply(std::size_t item);
  Status Emit(const FoldOptions& options, NetChange* net);

 private:
  /// One change and the hash of the key it is found by.
  struct Change {
    ChangeKind kind = ChangeKind::kInsert;
    CellRef row{};
    CellRef by_key{};  ///< the row itself, or its old tuple
    std::uint64_t hash = 0;
  };

  Change ChangeAt(std::size_t item, std::size_t row) const;
  void Insert(const Change& change);
  void Update(const Change& change);
  void Delete(const Change& change);
  Entry& Touch(const Change& change);
  std::optional<std::uint32_t> FindAlive(CellRef key, std::uint64_t hash, bool has_full_row) const;
  Entry& Add(Entry entry);
  void SetImage(Entry& entry, CellRef row);
  CellRef CellOf(const Entry& entry, std::size_t column) const;
  void MergeRebornRows();
  Result<RowsPtr> GatherImages(const std::vector<std::uint32_t>& entries,
                               std::vector<RowBits>* unchanged) const;
  std::vector<Misfit> MisfitsOf(const std::vector<std::uint32_t>& entries) const;

  const FoldSources& sources_;
  const std::size_t column_count_;
  const bool has_full_rows_;
  EntryTable table_;
  std::vector<Entry> entries_;
  std::vector<CellRef> patches_;  ///< column_count_ each
  bool has_unchanged_ = false;
  bool has_born_rows_ = false;
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

KeyedFold::Change KeyedFold::ChangeAt(std::size_t item_index, std::size_t row) const {
  const ChangeBatch& batch = *sources_.item(item_index).batch;
  Change change{.kind = batch.kind(row), .row = FoldSources::NewRow(item_index, row)};
  const bool has_old =
      change.kind != ChangeKind::kInsert && batch.old != nullptr && batch.has_old[row];
  change.by_key = has_old ? FoldSources::OldRow(item_index, row) : change.row;
  change.hash = sources_.HashKey(change.by_key);
  return change;
}

// In blocks, so that the table's cache lines are on their way while others are worked on: keys
// come in random order, and a miss costs more than all else here.
void KeyedFold::Apply(std::size_t item_index) {
  constexpr std::size_t kBlock = 32;
  std::array<Change, kBlock> block;
  const FoldItem& item = sources_.item(item_index);
  for (std::size_t begin = item.row_begin; begin < item.row_end; begin += kBlock) {
    const std::size_t count = std::min(kBlock, item.row_end - begin);
    for (std::size_t i = 0; i < count; ++i) {
      block[i] = ChangeAt(item_index, begin + i);
      table_.Prefetch(block[i].hash);
    }
    for (std::size_t i = 0; i < count; ++i) {
      switch (block[i].kind) {
        case ChangeKind::kInsert:
          Insert(block[i]);
          break;
        case ChangeKind::kUpdate:
          Update(block[i]);
          break;
        case ChangeKind::kDelete:
          Delete(block[i]);
          break;
      }
    }
  }
}

Entry& KeyedFold::Touch(const Change& change) {
  const bool has_full_row = has_full_rows_ && change.by_key != change.row;
  if (const auto found = FindAlive(change.by_key, change.hash, has_full_row)) {
    return entries_[*found];
  }
  return Add({.origin = change.by_key, .key = change.by_key, .hash = change.hash});
}

void KeyedFold::Insert(const Change& change) {
  Add({.key = change.row, .last = change.row, .hash = change.hash});
  has_born_rows_ = true;
}

void KeyedFold::Update(const Change& change) {
  Entry& entry = Touch(change);
  SetImage(entry, change.row);
  const bool moves = change.by_key != change.row && !sources_.SameKey(change.by_key, change.row);
  if (!moves) {
    entry.key = change.row;
    return;
  }
  const auto index = static_cast<std::uint32_t>(&entry - entries_.data());
  table_.Erase(entry.hash, index);
  entry.key = change.row;
  entry.hash = sources_.HashKey(change.row);
  entry.is_moved = true;
  table_.Insert(entry.hash, index);
}

void KeyedFold::Delete(const Change& change) {
  Entry& entry = Touch(change);
  table_.Erase(entry.hash, static_cast<std::uint32_t>(&entry - entries_.data()));
  entry.is_alive = false;
  entry.last = change.row;
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
  if (!has_born_rows_) return;
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
  net->update_misfits = MisfitsOf(updates);
  net->insert_misfits = MisfitsOf(inserts);
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

std::vector<Misfit> KeyedFold::MisfitsOf(const std::vector<std::uint32_t>& entries) const {
  std::vector<Misfit> out;
  if (sources_.misfit_columns().empty()) return out;
  for (std::size_t row = 0; row < entries.size(); ++row) {
    for (const std::uint32_t column : sources_.misfit_columns()) {
      const Misfit* misfit = sources_.MisfitAt(CellOf(entries_[entries[row]], column), column);
      if (misfit == nullptr) continue;
      out.push_back(*misfit);
      out.back().row = static_cast<std::uint32_t>(row);
      out.back().is_old = false;
    }
  }
  return out;
}

}  // namespace

Status FoldKeyed(const FoldSources& sources, const FoldOptions& options, NetChange* net) {
  KeyedFold fold(sources);
  for (std::size_t index = 0; index < sources.item_count(); ++index) fold.Apply(index);
  return fold.Emit(options, net);
}

}  // namespace sluice::replication
