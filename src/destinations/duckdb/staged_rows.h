/// \file
/// Arrow columns that statements of a connection read as a table: `SELECT c0, c1 FROM
/// _sluice_stage()`. Nothing is copied, and nothing is kept until the transaction ends, as it would
/// be of a temporary table.
///
/// Thread safety: any thread, each for its own connection. Other connections find no rows there.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"

#include "base/mutex.h"
#include "destinations/duckdb/chunk_writer.h"
#include "destinations/duckdb/handles.h"

namespace sluice::duckdb {

/// As a statement names them.
inline constexpr std::string_view kStage = "_sluice_stage()";
inline constexpr std::string_view kStageFunction = "_sluice_stage";

class StagedRows {
 public:
  /// Makes the table function known to the instance.
  static Status Register(duckdb_connection connection, std::shared_ptr<StagedRows> rows);

  /// What `connection` finds from here on: rows [begin, end) of the columns, as c0, c1, ... What
  /// these point to must outlive the statements that read it.
  Status Set(duckdb_connection connection, std::vector<ColumnSource> columns, std::size_t begin,
             std::size_t end);
  void Clear(duckdb_connection connection);

  using TypesPtr = std::shared_ptr<const std::vector<LogicalTypeHandle>>;
  struct Rows {
    std::vector<ColumnSource> columns;
    TypesPtr types;
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  /// Null: nothing is staged there.
  std::shared_ptr<const Rows> Find(idx_t connection_id) const;

 private:
  /// Preparing a statement to learn its types costs as much as a small statement.
  Result<TypesPtr> TypesOf(duckdb_connection connection, const std::string& types);

  static constexpr std::size_t kTypesMax = 64;
  mutable base::Mutex mutex_;
  std::map<std::string, TypesPtr> types_ SLUICE_GUARDED_BY(mutex_);  ///< by how SQL calls them
  std::map<idx_t, std::shared_ptr<const Rows>> by_connection_ SLUICE_GUARDED_BY(mutex_);
};

}  // namespace sluice::duckdb
