#include "destinations/duckdb/connection.h"

#include "base/check.h"

namespace sluice::duckdb {
namespace {

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool IsDiskFull(std::string_view message) {
  return Contains(message, "No space left on device") || Contains(message, "File too large") ||
         Contains(message, "Disk quota exceeded") ||
         Contains(message, "failed to offload data block");
}

/// Not always under that name: a COMMIT only repeats what happened in it.
bool IsOutOfMemory(std::string_view message) {
  return Contains(message, "Out of Memory Error") || Contains(message, "failed to pin block") ||
         Contains(message, "could not allocate block");
}

}  // namespace

Error MakeError(std::string_view what, std::string_view duckdb_message) {
  Error error{.kind = ErrorKind::kDestination,
              .message = "DuckDB refused: " + std::string(what),
              .server_message = std::string(duckdb_message),
              .code = "SLU-5014"};
  // First: a full disk also ends the instance, and the disk is what the operator can change.
  if (IsDiskFull(duckdb_message)) {
    error.code = "SLU-5012";
    error.message = "no room on the destination's disk: " + std::string(what);
    error.advice = "free some space; nothing was acknowledged that is not in the file";
  } else if (Contains(duckdb_message, "has been invalidated") && !IsOutOfMemory(duckdb_message)) {
    error.kind = ErrorKind::kConnection;
    error.code = "SLU-5015";
    error.message = "DuckDB gave up after an earlier error: " + std::string(what);
  } else if (IsOutOfMemory(duckdb_message)) {
    error.code = "SLU-5018";
    error.message = "DuckDB's share of memory is used up: " + std::string(what);
    error.advice = "raise --memory";
  } else if (Contains(duckdb_message, "INTERRUPT")) {
    error.kind = ErrorKind::kCancelled;
  }
  return error;
}

Result<SmallResult> SmallResult::Read(duckdb_result* result) {
  SmallResult out;
  out.column_count_ = duckdb_column_count(result);
  for (;;) {
    const ChunkHandle chunk(duckdb_fetch_chunk(*result));
    if (!chunk) break;
    const std::size_t rows = duckdb_data_chunk_get_size(chunk.get());
    out.cells_.resize((out.row_count_ + rows) * out.column_count_);
    for (std::size_t column = 0; column < out.column_count_; ++column) {
      duckdb_vector vector = duckdb_data_chunk_get_vector(chunk.get(), column);
      const void* data = duckdb_vector_get_data(vector);
      std::uint64_t* validity = duckdb_vector_get_validity(vector);
      const duckdb_type type = duckdb_column_type(result, column);
      for (std::size_t row = 0; row < rows; ++row) {
        Cell& cell = out.cells_[(out.row_count_ + row) * out.column_count_ + column];
        if (validity != nullptr && !duckdb_validity_row_is_valid(validity, row)) continue;
        cell.is_null = false;
        if (type == DUCKDB_TYPE_VARCHAR || type == DUCKDB_TYPE_BLOB) {
          auto string = static_cast<const duckdb_string_t*>(data)[row];
          cell.text.assign(duckdb_string_t_data(&string), duckdb_string_t_length(string));
        } else if (type == DUCKDB_TYPE_BOOLEAN) {
          cell.bits = static_cast<const bool*>(data)[row] ? 1 : 0;
        } else {
          SLUICE_CHECK(type == DUCKDB_TYPE_BIGINT || type == DUCKDB_TYPE_UBIGINT);
          cell.bits = static_cast<const std::uint64_t*>(data)[row];
        }
      }
    }
    out.row_count_ += rows;
  }
  if (const char* message = duckdb_result_error(result); message != nullptr && *message != '\0')
    return MakeError("read a result", message);
  return out;
}

const SmallResult::Cell& SmallResult::cell(std::size_t row, std::size_t column) const {
  SLUICE_CHECK(row < row_count_ && column < column_count_);
  return cells_[row * column_count_ + column];
}

bool SmallResult::is_null(std::size_t row, std::size_t column) const {
  return cell(row, column).is_null;
}
const std::string& SmallResult::text(std::size_t row, std::size_t column) const {
  return cell(row, column).text;
}
std::int64_t SmallResult::i64(std::size_t row, std::size_t column) const {
  return static_cast<std::int64_t>(cell(row, column).bits);
}
std::uint64_t SmallResult::u64(std::size_t row, std::size_t column) const {
  return cell(row, column).bits;
}

Status Connection::Run(const std::string& sql, std::string_view what) {
  ResultHandle result;
  if (duckdb_query(get(), sql.c_str(), result.get()) == DuckDBError)
    return MakeError(what, duckdb_result_error(result.get()));
  return {};
}

Result<std::uint64_t> Connection::RunCounted(const std::string& sql, std::string_view what) {
  ResultHandle result;
  if (duckdb_query(get(), sql.c_str(), result.get()) == DuckDBError)
    return MakeError(what, duckdb_result_error(result.get()));
  return static_cast<std::uint64_t>(duckdb_rows_changed(result.get()));
}

Result<SmallResult> Connection::Query(const std::string& sql, std::string_view what) {
  ResultHandle result;
  if (duckdb_query(get(), sql.c_str(), result.get()) == DuckDBError)
    return MakeError(what, duckdb_result_error(result.get()));
  auto rows = SmallResult::Read(result.get());
  if (!rows) return std::move(rows).error().At(what);
  return rows;
}

}  // namespace sluice::duckdb
