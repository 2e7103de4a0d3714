/// \file
/// The rows of one unit on their way from the source into its copy: COPY and decoding on the
/// threads that read, writing on one of its own. A large table is read by several connections under
/// one snapshot, each a share of its pages at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "sluice/destination.h"
#include "sluice/schema.h"

#include "base/bounded_queue.h"
#include "columnar/copy_decoder.h"
#include "engine/misfit_counts.h"
#include "engine/progress.h"
#include "postgres/connection.h"
#include "postgres/copy_reader.h"
#include "postgres/snapshot_export.h"

namespace sluice::engine {

/// Takes batches from any thread, writes them on its own.
class ShadowWriter {
 public:
  explicit ShadowWriter(CopyWriter& writer);
  ~ShadowWriter() { (void)Finish(); }
  ShadowWriter(const ShadowWriter&) = delete;
  ShadowWriter& operator=(const ShadowWriter&) = delete;

  /// False: writing has failed, or stop; Finish() says which.
  bool Write(CopiedRows rows, std::stop_token stop);
  /// What is queued is not worth writing any more.
  void GiveUp() { failed_.store(true); }
  Status Finish();

 private:
  base::BoundedQueue<CopiedRows> queue_;  // by count: batches are of one size
  std::atomic<bool> failed_{false};
  Status status_;
  std::thread thread_;
};

struct UnitReaderOptions {
  SchemaPtr schema;
  postgres::CopyStatement statement;  ///< its `range` comes with each Read()
  /// A batch is handed on at this many rows or bytes.
  std::size_t batch_rows = 0;
  std::size_t batch_bytes = 0;
  /// More than this ends a Read() with RangesAgainError(). 0: no limit.
  std::uint64_t read_bytes_max = 0;
  /// Is this backend still at its COPY? Asked when nothing came for a while. Any thread.
  std::function<bool(int backend_pid)> is_at_work;
  /// Rows and bytes so far, of all threads. Any thread.
  std::function<void(std::int64_t rows, std::uint64_t bytes)> report;
};

/// Thread safety: Read() may be called from several threads, each with a connection of its own.
class UnitReader {
 public:
  UnitReader(UnitReaderOptions options, ShadowWriter& writer, Progress& progress);

  /// The rows that `range` selects; empty: all. \param connection in a transaction under the
  /// unit's snapshot.
  Status Read(postgres::Connection& connection, std::string range, std::stop_token stop);
  void GiveUp() { writer_.GiveUp(); }

  std::int64_t row_count() const { return rows_.load(); }
  /// When nobody reads any more.
  const MisfitCounts& misfits() const { return misfits_; }

 private:
  Status HandOn(columnar::CopyDecoder& decoder, const std::stop_token& stop);

  const UnitReaderOptions options_;
  ShadowWriter& writer_;
  Progress& progress_;
  const columnar::CopyFormat format_;
  std::atomic<std::int64_t> rows_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::mutex mutex_;
  MisfitCounts misfits_;
};

/// The pages of a heap, given out share by share. Any thread.
class PageShares {
 public:
  /// \param pages when the snapshot was there already: what it sees lies in them.
  PageShares(std::uint64_t pages, std::uint64_t pages_per_share)
      : pages_(pages), step_(pages_per_share) {}

  /// The condition on ctid of the next share; nullopt: all are given out. The last has no end.
  std::optional<std::string> Take();
  bool is_empty() const { return next_.load() >= pages_; }

 private:
  const std::uint64_t pages_;
  const std::uint64_t step_;
  std::atomic<std::uint64_t> next_{0};
};

/// A unit whose pages several workers read.
class SharedRead {
 public:
  SharedRead(UnitReader& reader, postgres::ExportedSnapshot snapshot, postgres::LockTarget table,
             PageShares& pages)
      : reader_(reader), snapshot_(std::move(snapshot)), table_(std::move(table)), pages_(pages) {}

  /// By the worker that has the unit: reads share after share, then waits for those who help.
  Status ReadAll(postgres::Connection& connection, const std::stop_token& stop);

  /// By a worker with nothing else to do. False: there is nothing to help with. If true, Help()
  /// must follow.
  bool TryJoin();
  /// A few shares on a connection of its own. One that cannot be had, or would wait for a lock, is
  /// no failure: the others read its part.
  void Help(const std::function<Result<postgres::Connection>()>& connect, Duration lock_timeout,
            const std::stop_token& stop);

 private:
  Status HelpOn(postgres::Connection& connection, const std::stop_token& stop);
  void Fail(Error error);

  UnitReader& reader_;
  const postgres::ExportedSnapshot snapshot_;
  const postgres::LockTarget table_;
  PageShares& pages_;
  std::atomic<bool> has_failed_{false};
  std::mutex mutex_;
  std::condition_variable all_left_;
  std::optional<Error> failure_;
  int helpers_ = 0;
  bool may_join_ = true;
};

}  // namespace sluice::engine
