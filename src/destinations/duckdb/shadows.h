/// \file
/// Where units are being copied to, or wait to land. Shared with copy writers, which may outlive a
/// Close().
///
/// A unit has a table of its own. The ranges of a table have one together: landed ones, those that
/// wait and those that are being written lie in it side by side, told apart by their keys.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "sluice/destination.h"
#include "sluice/ids.h"
#include "sluice/schema.h"

#include "base/mutex.h"

namespace sluice::duckdb {

struct Shadow {
  TableName name;
  SchemaPtr schema;
  bool is_range = false;
  bool is_finished = false;  ///< all of its rows are there
};

/// Thread safety: any thread.
class Shadows {
 public:
  /// Held while a table of ranges is made or dropped, and what lies in it is looked at for that.
  base::Mutex& ranges_mutex() { return ranges_mutex_; }

  std::optional<Shadow> Find(UnitId unit) const;
  void Add(UnitId unit, Shadow shadow);
  void Finish(UnitId unit);
  /// Takes it out; nullopt: it is not there.
  std::optional<Shadow> Remove(UnitId unit);
  std::map<UnitId, Shadow> RemoveAll();

  /// Units that landed, and where landed ranges lie from here on.
  void SetLanded(const std::vector<UnitId>& units, std::vector<TableName> ranges);
  /// Rows of another unit than this one, landed or not, lie in the table.
  bool IsShared(const TableName& table, UnitId unit) const;

 private:
  mutable base::Mutex mutex_;
  base::Mutex ranges_mutex_;
  std::map<UnitId, Shadow> units_ SLUICE_GUARDED_BY(mutex_);
  std::vector<TableName> landed_ranges_ SLUICE_GUARDED_BY(mutex_);
};

}  // namespace sluice::duckdb
