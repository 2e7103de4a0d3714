/// \file
/// What a memory destination remembers between Close and Open: its "disk". Tests look into it.
///
/// Thread safety: every member from any thread. Shared by the destinations opened on it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/delivery_state.h"

#include "base/mutex.h"
#include "destinations/memory/cell_text.h"

namespace sluice::memory {

using RowPtr = std::shared_ptr<const TextRow>;

/// Exact texts of the cells of a row that are NULL because their values have no exact form, by
/// column.
using QuarantinedCells = std::map<std::uint32_t, std::string>;

/// Equal rows of a keyless table share one entry; a keyed table has one row an entry.
struct Entry {
  RowPtr row;
  QuarantinedCells quarantined = {};
  std::int64_t count = 0;
};

/// A row of the log, where log rows are kept.
struct LogRow {
  using Op = LogOp;
  Op op = Op::kInsert;
  Lsn commit_lsn;
  TransactionId xid;
  std::uint32_t ordinal = 0;
  TextRow values;  ///< empty for kDelete and kTruncate, except of HistoryRows
  TextRow old;     ///< identity columns as sent; empty: none
  std::vector<std::int32_t> unchanged;
  bool key_only = false;         ///< of HistoryRows
  UnixMicros committed_at = {};  ///< of HistoryRows

  bool operator==(const LogRow&) const = default;
};

struct Table {
  SchemaPtr schema;
  TableMode mode = TableMode::kMirror;
  /// By EncodeCells() of the key, of the whole row where there is none.
  std::map<std::string, Entry> rows;
  std::vector<LogRow> log;
};

/// What a finished CopyWriter left, not yet landed.
struct Shadow {
  SchemaPtr schema;
  std::map<std::string, Entry> rows;
};

class MemoryStorage {
 public:
  /// Rows of a table, sorted by their cells; empty where there is no such table.
  std::vector<TextRow> Rows(const TableName& name) const;
  /// Per quarantined cell the row's cells (of the key, where there is one), the column's name and
  /// the text; sorted.
  struct Quarantined {
    TextRow key;
    std::string column;
    std::string text;
    auto operator<=>(const Quarantined&) const = default;
  };
  std::vector<Quarantined> Quarantine(const TableName& name) const;
  std::vector<LogRow> Log(const TableName& name) const;
  std::vector<TableName> Tables() const;
  bool HasShadow(UnitId unit) const;
  /// Rows of the landed ranges of a table that is not whole, sorted.
  std::vector<TextRow> RangeRows(RelationId relation) const;
  DeliveryState State() const;

  /// A table that Sluice did not make, for tests of adoption.
  void PutForeignTable(const TableName& name, SchemaPtr schema);

 private:
  friend class MemoryDestination;
  friend class MemoryCopyWriter;
  friend class MemoryReader;

  mutable base::Mutex mutex_;
  /// Tables are replaced, never changed, while a reader holds them.
  std::map<TableName, std::shared_ptr<Table>> tables_ SLUICE_GUARDED_BY(mutex_);
  std::map<RelationId, TableName> names_ SLUICE_GUARDED_BY(mutex_);
  std::map<UnitId, Shadow> shadows_ SLUICE_GUARDED_BY(mutex_);
  /// Landed ranges of tables that are not whole.
  std::map<RelationId, std::shared_ptr<Table>> ranges_ SLUICE_GUARDED_BY(mutex_);
  DeliveryState state_ SLUICE_GUARDED_BY(mutex_);
};

}  // namespace sluice::memory
