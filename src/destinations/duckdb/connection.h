/// \file
/// One DuckDB connection: statements in, counts and small results out, errors as ours.
///
/// Thread safety: one object, one thread; Interrupt() from any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"

#include "destinations/duckdb/handles.h"

namespace sluice::duckdb {

class StagedRows;

/// DuckDB's error as ours. Recognises a full disk (SLU-5012), memory at its limit (SLU-5018) and an
/// instance that gave up (SLU-5015, kConnection: re-open); the rest is SLU-5014. `what` is our name
/// for the step.
Error MakeError(std::string_view what, std::string_view duckdb_message);

/// A small result in memory, read by position. The query casts every column to VARCHAR, BIGINT,
/// UBIGINT or BOOLEAN; a getter of another type aborts.
class SmallResult {
 public:
  static Result<SmallResult> Read(duckdb_result* result);

  std::size_t row_count() const { return row_count_; }
  bool is_null(std::size_t row, std::size_t column) const;
  const std::string& text(std::size_t row, std::size_t column) const;  ///< "" where NULL
  std::int64_t i64(std::size_t row, std::size_t column) const;         ///< 0 where NULL
  std::uint64_t u64(std::size_t row, std::size_t column) const;
  bool boolean(std::size_t row, std::size_t column) const { return i64(row, column) != 0; }

 private:
  struct Cell {
    bool is_null = true;
    std::uint64_t bits = 0;
    std::string text;
  };
  const Cell& cell(std::size_t row, std::size_t column) const;
  std::size_t row_count_ = 0;
  std::size_t column_count_ = 0;
  std::vector<Cell> cells_;
};

class Connection {
 public:
  Connection(ConnectionHandle handle, std::shared_ptr<StagedRows> staged)
      : staged_(std::move(staged)), handle_(std::move(handle)) {}

  duckdb_connection get() const { return handle_.get(); }

  /// One or more statements; results are dropped. `what` names the step in errors.
  Status Run(const std::string& sql, std::string_view what);
  /// One INSERT, UPDATE or DELETE: rows changed.
  Result<std::uint64_t> RunCounted(const std::string& sql, std::string_view what);
  Result<SmallResult> Query(const std::string& sql, std::string_view what);
  StagedRows& staged() { return *staged_; }
  void Interrupt() { duckdb_interrupt(handle_.get()); }

 private:
  std::shared_ptr<StagedRows> staged_;
  ConnectionHandle handle_;
};

}  // namespace sluice::duckdb
