/// \file
/// The file, attached to an instance of its own: opening with every refusal told apart, connections
/// and their end, checkpoints.
///
/// A file is held by one process (DuckDB's lock) and within it by one Database (checked here: the
/// lock of the operating system does not see two holders in one process, and any close of the file
/// in this process would release it).
///
/// Thread safety: every member from any thread. Lifetime: connections share ownership.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "sluice/result.h"
#include "sluice/time.h"

#include "base/mutex.h"
#include "destinations/duckdb/connection.h"
#include "destinations/duckdb/duckdb_destination.h"
#include "destinations/duckdb/file_header.h"
#include "destinations/duckdb/handles.h"
#include "destinations/duckdb/staged_rows.h"

namespace sluice::duckdb {

class Database : public std::enable_shared_from_this<Database> {
 public:
  /// Errors: SLU-5001 .. 5003, 5006, 5010 .. 5012, 5015, 5020, each before anything was changed; a
  /// file made here is removed again.
  static Result<std::shared_ptr<Database>> Open(const DuckDbOptions& options, bool read_only);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// A connection beside the writer's: counted, and interrupted when Close() runs out of time.
  class Lease {
   public:
    Lease(std::shared_ptr<Database> database, Connection connection);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Connection& connection() { return connection_; }
    const std::shared_ptr<Database>& database() const { return database_; }

   private:
    std::shared_ptr<Database> database_;
    Connection connection_;
  };
  Result<std::unique_ptr<Lease>> NewLease();
  /// Not counted: for the writer, which ends first.
  Result<Connection> Connect();

  /// Asks for what is in the log to go into the file. Not an error where readers hold it back.
  Status Checkpoint(Connection& connection);
  /// How many the file has had. While it is open here only Checkpoint() adds to them.
  std::uint64_t checkpoints() const { return header_.checkpoints(); }
  std::uint64_t wal_bytes() const;
  std::uint64_t file_bytes() const;

  /// What copies and readers have under way ends soon. Any thread.
  void InterruptLeases();
  /// Waits for leases to end until the deadline, then interrupts them. False: some are still there.
  bool WaitForLeases(Clock::time_point deadline);
  /// The destructor leaves the log as it is instead of checkpointing.
  void SkipCheckpointAtEnd();
  /// Undo the making of the file when the destructor runs.
  void RemoveFileAtEnd() { remove_at_end_ = was_created_; }

  bool was_created() const { return was_created_; }
  bool read_only() const { return read_only_; }
  const std::string& path() const { return path_; }
  std::string wal_path() const { return path_ + ".wal"; }

 private:
  Database(std::string path, bool read_only) : path_(std::move(path)), read_only_(read_only) {}

  Status Start(const DuckDbOptions& options);
  Status Create();
  Status Attach(const DuckDbOptions& options);
  Status CheckLog(Connection& connection);

  const std::string path_;
  const bool read_only_;
  bool was_created_ = false;
  bool holds_path_ = false;
  std::atomic<bool> remove_at_end_{false};
  const std::shared_ptr<StagedRows> staged_ = std::make_shared<StagedRows>();
  FileHeader header_;  ///< before handle_: it ends after it
  DatabaseHandle handle_;
  base::Mutex mutex_;
  std::set<Lease*> leases_ SLUICE_GUARDED_BY(mutex_);
};

}  // namespace sluice::duckdb
