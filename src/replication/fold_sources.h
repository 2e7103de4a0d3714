/// \file
/// The rows that a fold works on, addressed as cells, and the hash table it looks them up with.
///
/// Internal to the fold (net_change_fold.h). Item i of the fold has two sources: 2i are its new
/// values, 2i+1 its old tuples.
#pragma once

#include <arrow/type_fwd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "replication/column_view.h"
#include "replication/gather.h"
#include "replication/net_change_fold.h"

namespace sluice::replication {

/// The item's transactions must be there.
ChangeId ChangeIdOf(const FoldItem& item, std::size_t row);

/// A bug of ours: SLU-9101.
Error MalformedBatch(const char* what);

class FoldSources {
 public:
  explicit FoldSources(const TableSchema& schema) : schema_(schema) {}

  /// Checks that the batch is as change_set.h says.
  Status Add(const FoldItem& item);

  const TableSchema& schema() const { return schema_; }
  std::size_t item_count() const { return items_.size(); }
  const FoldItem& item(std::size_t index) const { return items_[index]; }
  std::size_t row_count() const { return row_count_; }
  /// Updates that may change their row's key.
  std::size_t move_count() const { return move_count_; }

  /// New values of a row. For a delete it only names the row.
  static CellRef NewRow(std::size_t item, std::size_t row) {
    return {.source = static_cast<std::uint32_t>(2 * item), .row = static_cast<std::uint32_t>(row)};
  }
  static CellRef OldRow(std::size_t item, std::size_t row) {
    return {.source = static_cast<std::uint32_t>(2 * item + 1),
            .row = static_cast<std::uint32_t>(row)};
  }
  ChangeId IdOf(CellRef row) const { return ChangeIdOf(items_[row.source / 2], row.row); }

  /// The key of a row. An update whose key columns were not sent carries them in its old tuple;
  /// Add() has moved them to the new values.
  std::uint64_t HashKey(CellRef row) const;
  bool SameKey(CellRef a, CellRef b) const;
  std::uint64_t HashRow(CellRef row) const;
  bool SameRow(CellRef a, CellRef b) const;

  /// The cell of `column` was not sent with this row of new values.
  bool IsUnchanged(CellRef row, std::size_t column) const;
  bool HasUnchanged(CellRef row) const;

  /// What is known of a cell that is NULL because its value has no exact form; null: it is none.
  const Misfit* MisfitAt(CellRef cell, std::size_t column) const;
  /// Columns with such a cell, ascending; nearly always none.
  const std::vector<std::uint32_t>& misfit_columns() const { return misfit_columns_; }
  /// Those of these rows, as of a batch of them.
  std::vector<Misfit> MisfitsOf(std::span<const CellRef> rows) const;

  /// All columns / the key columns of these rows.
  Result<RowsPtr> GatherRows(std::span<const CellRef> rows) const;
  Result<RowsPtr> GatherKeys(std::span<const CellRef> rows) const;
  /// One column, cell by cell.
  Result<std::shared_ptr<arrow::ArrayData>> GatherColumn(std::size_t column,
                                                         std::span<const CellRef> cells) const;

 private:
  struct Source {
    std::vector<std::shared_ptr<arrow::ArrayData>> columns;  ///< by schema column; null: not there
    std::vector<ColumnView> views;                           ///< of `columns`
  };

  bool SameMisfits(CellRef a, CellRef b) const;
  void NoteMisfitColumns(const ChangeBatch& batch);
  Source MakeNew(const ChangeBatch& batch) const;
  Source MakeOld(const ChangeBatch& batch) const;
  Status CheckRows(const FoldItem& item) const;
  Status MoveUnsentKeys(const FoldItem& item, Source* values, const Source& old) const;

  const TableSchema& schema_;
  std::vector<FoldItem> items_;
  std::vector<Source> sources_;                                ///< two per item
  std::vector<std::vector<std::uint32_t>> unchanged_columns_;  ///< per item: with any such cell
  std::vector<std::uint32_t> misfit_columns_;
  std::size_t row_count_ = 0;
  std::size_t move_count_ = 0;
};

/// Open addressing from hashes to indexes; several entries may have one hash. It never grows: made
/// for as many insertions as there can be.
class EntryTable {
 public:
  explicit EntryTable(std::size_t insertions);

  void Insert(std::uint64_t hash, std::uint32_t entry);
  void Erase(std::uint64_t hash, std::uint32_t entry);

  void Prefetch(std::uint64_t hash) const { __builtin_prefetch(&slots_[hash & mask_]); }

  /// Calls visit(entry) for everything with this hash until it returns true.
  template <class Visit>
  void Find(std::uint64_t hash, Visit&& visit) const {
    for (std::size_t at = hash & mask_; slots_[at].entry != kEmpty; at = (at + 1) & mask_) {
      if (slots_[at].entry == kErased || slots_[at].tag != Tag(hash)) continue;
      if (visit(slots_[at].entry)) return;
    }
  }

 private:
  static constexpr std::uint32_t kEmpty = 0xFFFFFFFF;
  static constexpr std::uint32_t kErased = 0xFFFFFFFE;
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t entry = kEmpty;
  };
  static std::uint32_t Tag(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

  std::vector<Slot> slots_;
  std::size_t mask_;
};

}  // namespace sluice::replication
