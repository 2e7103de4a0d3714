/// \file
/// The log of a table, `s.t__history`: one row a change, in a table of its own beside the mirror or
/// in place of it. docs/history.md has what users see of it.
///
/// The log's columns are found by name: those of the table, what was dropped from it, and ours,
/// which begin with _sluice_ and stand where the table was wide when the log was made. A column
/// that is dropped at the source stays; where another one gets its name it is called
/// _sluice_dropped_<n>_<name> from then on.
///
/// Everything here is inside the caller's transaction. Thread safety: the connection's.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/ids.h"
#include "sluice/lsn.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "destinations/duckdb/connection.h"

namespace sluice::duckdb {

/// A column as the file has it.
struct FoundColumn {
  std::string name;
  std::string type;  ///< as DuckDB prints it
};
/// In order; empty: there is no such table.
Result<std::vector<FoundColumn>> ReadColumns(Connection& connection, const TableName& table);

/// What makes the log of one version that of another.
struct LogPlan {
  std::vector<std::pair<std::string, std::string>> renames;  ///< in order, each to a free name
  std::vector<std::pair<std::string, std::string>>
      widened;                     ///< the column under its new name, type
  std::vector<std::size_t> added;  ///< indexes into the newer version
  /// What columns are called in _sluice_unchanged of rows that are there, before and after.
  std::vector<std::pair<std::string, std::string>> retold;
};
/// \param from the version the log has; null: of another table that had the name, columns are the
/// same that have the same name and type. nullopt: the log is not as it was given.
std::optional<LogPlan> PlanLog(const TableSchema* from, const TableSchema& to,
                               const std::vector<FoundColumn>& found);

Status CreateLog(Connection& connection, const TableName& log, const TableSchema& schema);
/// Rows of `rows`, a table of the schema's columns, as copied. `is_again`: what the log has so far
/// is not the state before them.
Status LogCopied(Connection& connection, const TableName& log, const TableSchema& schema,
                 const TableName& rows, Lsn lsn, bool is_again);
/// Why the changes cannot be written (a value that does not fit), before any of them is.
std::optional<Error> CheckHistory(const HistoryChange& change);
Status AppendHistory(Connection& connection, const TableName& log, const HistoryChange& change);
/// Sets a column that was added to what older rows read as, in rows that have values.
Status FillLog(Connection& connection, const TableName& log, const Column& column,
               const RowsPtr& row);
Status RetellUnchanged(Connection& connection, const TableName& log,
                       const std::vector<std::pair<std::string, std::string>>& retold);
/// Why the log is not as it was given (SLU-5025); nullopt: it is.
Result<std::optional<Error>> CompareLog(Connection& connection, const TableName& log,
                                        const TableSchema& schema);

/// A query for the rows that follow from the log, with these columns.
Result<std::string> StateOfLogSql(Connection& connection, const TableName& log,
                                  const TableSchema& schema,
                                  const std::vector<const Column*>& columns);

}  // namespace sluice::duckdb
