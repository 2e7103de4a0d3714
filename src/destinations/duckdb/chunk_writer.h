/// \file
/// Arrow columns into a DuckDB table, 2,048 rows at a time: copies of whole columns, no value is
/// boxed.
///
/// Strings are not copied into the chunk, only pointed to; the appender copies them before
/// Append() returns. Values must have passed CheckValues() (value_check.h).
///
/// Thread safety: one object, one thread; it belongs to its connection.
#pragma once

#include <arrow/type_fwd.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "destinations/duckdb/connection.h"
#include "destinations/duckdb/handles.h"

namespace sluice::duckdb {

/// One column of what is appended: values of `type` in `data`, or, where that is null, a BOOLEAN
/// from `bits`.
struct ColumnSource {
  const ColumnType* type = nullptr;
  const arrow::ArrayData* data = nullptr;
  const RowBits* bits = nullptr;
};

class ChunkWriter {
 public:
  /// `types`: of the table's columns in order; null: a BOOLEAN. Error SLU-5025 (kSchemaConflict)
  /// where the table has other columns.
  /// \param names which columns these are; the others become NULL, and a kInt64 may fill a UBIGINT.
  /// Empty: all, in order.
  static Result<ChunkWriter> Open(Connection& connection, const std::string& catalog,
                                  const std::string& schema, const std::string& table,
                                  const std::vector<const ColumnType*>& types,
                                  const std::vector<std::string>& names = {});

  /// `columns` as at Open(). Rows [0, row_count) of each.
  Status Append(std::span<const ColumnSource> columns, std::size_t row_count);
  /// Into the transaction's rows of the table. Until then they are in memory that DuckDB does not
  /// count, up to 204,800 of them.
  Status Flush();
  /// Flushes; the writer is finished.
  Status Close();

 private:
  explicit ChunkWriter(AppenderHandle appender) : appender_(std::move(appender)) {}

  Status RenewChunk();
  Error AppendError() const;

  AppenderHandle appender_;
  ChunkHandle chunk_;
  std::vector<LogicalTypeHandle> types_;
  bool has_nested_ = false;
};

/// The columns of a batch as sources, in order.
std::vector<ColumnSource> SourcesOf(const arrow::RecordBatch& batch,
                                    const std::vector<const ColumnType*>& types);

/// Fills rows [0, row_count) of `vector` with values [begin, begin + row_count) of `data`.
void FillVector(duckdb_vector vector, const ColumnType& type, const arrow::ArrayData& data,
                std::int64_t begin, std::size_t row_count);
/// The same from either kind of source.
void FillVector(duckdb_vector vector, const ColumnSource& source, std::size_t begin,
                std::size_t row_count);

}  // namespace sluice::duckdb
