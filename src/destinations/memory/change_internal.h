/// \file
/// What the open transaction of a memory destination makes of one table: an overlay over the rows
/// committed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "destinations/memory/memory_destination.h"

namespace sluice::memory {

struct MemoryDestination::Change {
  RelationId relation;
  TableName name;
  SchemaPtr schema;
  /// What is committed; null where the table is new here.
  std::shared_ptr<const Table> base;
  bool hides_base = false;
  std::optional<UnitId> landed;
  /// Count 0: gone.
  std::map<std::string, Entry> overlay;
  std::vector<LogRow> log;
  bool replaces_log = false;  ///< `log` has what was committed, too
  TableMode mode = TableMode::kMirror;
  bool of_ranges = false;  ///< of the landed ranges of a table that is not whole

  Entry Find(const std::string& key) const {
    if (const auto found = overlay.find(key); found != overlay.end()) return found->second;
    if (hides_base || base == nullptr) return {};
    const auto found = base->rows.find(key);
    return found == base->rows.end() ? Entry{} : found->second;
  }
  void HideBase() {
    hides_base = true;
    overlay.clear();
  }
};

/// The key under which a row is kept. Rows without a key that are the same but for a value that was
/// let go are two.
std::string KeyOf(const TableSchema& schema, const TextRow& row,
                  const QuarantinedCells& quarantined = {});

/// Per row of a batch, what is to be kept of its misfits.
std::vector<QuarantinedCells> QuarantinedIn(const TableSchema& schema, std::size_t row_count,
                                            const std::vector<Misfit>& misfits);

/// Rows of a batch; `columns`: which schema columns it has, empty: all.
Result<std::vector<TextRow>> RowsOf(const TableSchema& schema,
                                    const std::vector<std::int32_t>& columns, const RowsPtr& rows);

}  // namespace sluice::memory
