/// \file
/// The DuckDB destination: one file, rows, table shapes, states and position in one transaction.
///
///   auto destination = duckdb::MakeDuckDbDestination({.path = "shop.duckdb"});
///   auto state = destination->Open({.pipeline = "shop", .system_identifier = id});
///
/// The file is attached to an instance in memory, never opened directly: some files with a WAL
/// cannot be replayed otherwise. One process at a time holds a file that is written.
///
/// What is in the file: mirrored tables under their own names, schema `sluice` (docs/positions.md),
/// and `s._sluice_copy_<oid>` while a table is being copied. Everything else is the user's.
///
/// A unit lands in a transaction that began, by its first Stage(), after the copy's Finish().
///
/// After StageOutcome::table_failed with SLU-5112 the transaction holds a part of that table's
/// change: Abandon() and bring the others again, or commit it as halted and copy it again.
///
/// Durable and visible at the return of Commit(): the log is synced there. Checkpoints are ours to
/// time: after commits with changes of table shape (where many come, not behind each), when the log
/// outgrows its bound, when idle, and at Close(), which leaves one file.
///
/// Thread safety: as Destination says. Sql() may be called from any thread between Open() and
/// Close(); Close() waits for running sessions, at most until its deadline, then interrupts them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "sluice/destination.h"
#include "sluice/result.h"

#include "destinations/duckdb/sql_session.h"

namespace sluice::duckdb {

struct DuckDbOptions {
  std::string path = {};  ///< absolute or relative; its folder must exist
  /// DuckDB's share of the process's memory; it spills to `temp_directory` above it.
  std::size_t memory_bytes_max = 512U << 20;
  /// Updates of strings, which DuckDB keeps in memory, are written as new rows from the first on.
  bool spares_memory = false;
  /// While the file is opened, where that is more: its log is read, and a checkpoint leaves as
  /// little in memory as can be. 0: as always, and no checkpoint.
  std::size_t memory_bytes_open = 0;
  int threads = 2;
  /// Where DuckDB spills; empty: `<path>.tmp`, made when needed.
  std::string temp_directory = {};
  std::size_t temp_bytes_max = 16ULL << 30;
  /// The log is checkpointed when it is larger than max(this, file size / 8), at the latest at
  /// `wal_bytes_limit`.
  std::size_t wal_bytes_min = 64U << 20;
  std::size_t wal_bytes_limit = 1024U << 20;
  /// A copy's transaction ends when this many rows are in it.
  std::size_t copy_transaction_rows = 5'000'000;
  /// Test hook: called by Commit() right after each commit, before any checkpoint; an error of it
  /// becomes Commit()'s.
  std::function<Status()> after_commit = {};
};

/// A Destination with SQL on top.
class DuckDbDestination : public Destination {
 public:
  /// A session that answers one query at a time, read-only, on what was committed last.
  virtual Result<std::unique_ptr<SqlSession>> Sql(const SqlLimits& limits) = 0;
};

std::unique_ptr<DuckDbDestination> MakeDuckDbDestination(DuckDbOptions options);

}  // namespace sluice::duckdb
