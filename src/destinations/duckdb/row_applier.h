/// \file
/// Net changes of one table into the writer's open transaction.
///
/// Deletes and updates are staged and go by one statement each: an update of all rows at once is
/// what makes swapped and chained keys safe, and an appender that runs a statement itself would cut
/// it every 204,800 rows. Updates of more strings than fit into memory are written as new rows.
/// Rows born in the batch are appended.
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
#include "destinations/duckdb/staged_rows.h"

namespace sluice::duckdb {

/// Makes rows [begin, end) readable as `kStage`, with columns c0, c1, ...; at most one stage at a
/// time. What `columns` point to must outlive it.
Status StageRows(Connection& connection, const std::vector<ColumnSource>& columns, std::size_t end,
                 std::size_t begin = 0);
void DropStage(Connection& connection);

/// Of DuckDB's memory, for strings that stay there until a checkpoint: each takes up to twice its
/// length.
inline constexpr std::size_t kStringShare = 8;

/// What strings UPDATEs may still write. They stay in DuckDB's memory until a checkpoint, and
/// cannot be spilled.
class StringBudget {
 public:
  explicit StringBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  /// False: there is no room for so many.
  bool Takes(std::size_t bytes) {
    if (bytes > bytes_max_ - bytes_) is_spent_ = true;
    const bool has_room = bytes == 0 || !is_spent_;
    if (has_room) bytes_ += bytes;
    return has_room;
  }
  bool is_spent() const { return is_spent_; }
  void Renew() { *this = StringBudget(bytes_max_); }

 private:
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  bool is_spent_ = false;
};

/// Why this change cannot be written, before anything of it is: a value that does not fit, a batch
/// of another shape.
std::optional<Error> CheckChange(const NetChange& change);

/// Applies a checked change. An error inside the optional is the table's: rows that should be there
/// are not (SLU-5112); the table's rows of this transaction are then unfinished. An error outside
/// ended the transaction.
Result<std::optional<Error>> ApplyChange(Connection& connection, const TableName& table,
                                         const NetChange& change, StringBudget& strings);

/// What `=` does not see of a value: the sign of a zero, the fields of an interval. Empty: nothing.
std::string BeyondEquality(const ColumnType& type, const std::string& value);

/// Sets columns of every row to the values in `row`, a batch of one row. `columns`: of the table.
Status FillColumns(Connection& connection, const TableName& table,
                   const std::vector<const Column*>& columns, const RowsPtr& row);

/// Why the table is not as it was given (SLU-5025: altered by hand, gone, a view); nullopt: it is.
Result<std::optional<Error>> CompareShape(Connection& connection, const TableName& table,
                                          const TableSchema& schema);

}  // namespace sluice::duckdb
