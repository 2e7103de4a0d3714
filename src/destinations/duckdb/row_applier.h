/// \file
/// Net changes of one table into the writer's open transaction.
///
/// Deletes and updates go through a temporary table and one statement each: an update of all rows
/// at once is what makes swapped and chained keys safe, and an appender that runs a statement
/// itself would cut it every 204,800 rows. Rows born in the batch are appended.
///
/// Thread safety: the writer's.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/ids.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "destinations/duckdb/chunk_writer.h"
#include "destinations/duckdb/connection.h"

namespace sluice::duckdb {

/// The temporary table of StageRows().
inline constexpr std::string_view kStage = "_sluice_stage";

/// A temporary table c0, c1, ... with the rows; at most one at a time.
Status StageRows(Connection& connection, const std::vector<ColumnSource>& columns,
                 std::size_t row_count);
Status DropStage(Connection& connection);

/// Why this change cannot be written, before anything of it is: a value that does not fit, a batch
/// of another shape.
std::optional<Error> CheckChange(const NetChange& change);

/// Applies a checked change. An error inside the optional is the table's: rows that should be there
/// are not (SLU-5112); the table's rows of this transaction are then unfinished. An error outside
/// ended the transaction.
Result<std::optional<Error>> ApplyChange(Connection& connection, const TableName& table,
                                         const NetChange& change);

/// What `=` does not see of a value: the sign of a zero, the fields of an interval. Empty: nothing.
std::string BeyondEquality(const ColumnType& type, const std::string& value);

/// Sets columns of every row to the values in `row`, a batch of one row. `columns`: of the table.
Status FillColumns(Connection& connection, const TableName& table,
                   const std::vector<const Column*>& columns, const RowsPtr& row);

/// Why the table is not as it was given (SLU-5025: altered by hand, gone, a view); nullopt: it is.
Result<std::optional<Error>> CompareShape(Connection& connection, const TableName& table,
                                          const TableSchema& schema);

}  // namespace sluice::duckdb
