/// \file
/// N copy workers: each takes the largest unit that may begin, reads it under a snapshot of its own
/// and writes it into the unit's shadow; the delivery writer lands it.
///
///   begin (the unit holds from here on) -> lock -> snapshot S, insert LSN I -> usable? else again
///   in a moment
///   -> COPY -> decode -> shadow -> server has flushed I, lock still held -> shadow durable ->
///   finished
///
/// Each worker reads and decodes on one thread and writes on a second one, two batches apart, so
/// that the server's formatting and the destination's writing overlap. A worker for whom no unit is
/// left helps with a large one: under the same snapshot, a share of its pages at a time.
///
/// What a unit's own trouble is (a value without exact form, no privilege, the table is gone) halts
/// its table. A broken connection or a lock that is not to be had: again later, with backoff. The
/// destination's trouble ends the pool.
///
/// Thread safety: Start(), Stop(), Join() by the owner. Connections: two a busy worker, none an
/// idle one. They serve one unit behind the other, some hundred at most: a session remembers every
/// table that it has read.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "sluice/destination.h"

#include "engine/delivery_writer.h"
#include "engine/progress.h"
#include "engine/relation_registry.h"
#include "postgres/catalog.h"
#include "postgres/connection.h"
#include "postgres/key_ranges.h"
#include "telemetry/log.h"

namespace sluice::engine {

class SharedRead;

/// A table whose rows lie at the destination, and its copy's snapshot. Nothing is applied to it
/// before the copy ends.
struct OldRows {
  const TableRecord& record;
  const postgres::LoadedTable& table;  ///< as the snapshot sees it
  TableName destination;               ///< where a copy would land
  TableMode mode = TableMode::kMirror;
  postgres::Connection& source;  ///< in a transaction under the snapshot
};
struct ComparedRows {
  RowsPatch patch;
  std::int64_t row_count = 0;  ///< of the source
};
/// What becomes of them without a copy; nullopt: they are to be copied. Errors: as of a copy.
using CompareRows =
    std::function<Result<std::optional<ComparedRows>>(const OldRows& rows, std::stop_token stop)>;

struct CopyPoolOptions {
  int workers = 2;
  std::string publication;
  /// Tables of twice its bytes are copied in ranges, where they can be. Rows: three and a half of
  /// DuckDB's row groups. Ranges of fewer end with such small groups so near to each other that its
  /// next checkpoint writes most of the table a second time to join them.
  postgres::RangeSize range = {.bytes = std::uint64_t{256} << 20,
                               .bytes_most = std::uint64_t{1} << 30,
                               .rows_least = 430'080};
  std::uint64_t wal_segment_bytes = 16ULL << 20;
  Duration lock_timeout = std::chrono::seconds(5);
  /// A batch is handed to the destination at this many rows or bytes.
  std::size_t batch_rows = 122'880;  // DuckDB's row group
  std::size_t batch_bytes = std::size_t{16} << 20;
  /// Somebody finds out what became of tables that a copy does not find any more; else they halt.
  std::function<void()> on_missing;
  /// Asked before each copy of a table that has rows; null: nobody is.
  CompareRows compare;
  /// ... of those for which this holds. They are not copied in ranges.
  std::function<bool(const TableRecord&)> is_compared;
};

/// Rows and bytes of running copies, for display. Any thread.
struct CopyProgress {
  std::int64_t rows = 0;
  std::uint64_t bytes = 0;
};

class CopyPool {
 public:
  using Connect = std::function<Result<postgres::Connection>(const std::string& role)>;

  CopyPool(CopyPoolOptions options, Connect connect, DeliveryWriter& writer,
           Destination& destination, RelationRegistry& registry, Progress& progress,
           telemetry::Logger& logger);
  ~CopyPool();

  void Start();
  void Stop();
  /// The first error of the destination, if any worker ended with one.
  Status Join();
  bool has_failed() const { return has_failed_.load(); }
  /// Something may begin now: a resync, a new table.
  void Wake();
  void SetEstimate(RelationId relation, std::int64_t bytes);
  /// Of the table's copy, landed ranges included.
  CopyProgress ProgressOf(const TableRecord& record) const;

 private:
  class Attempt;
  struct Claimed {
    replication::CopyStart start;
    TableRecord record;
    std::optional<CopyRanges> ranges;  ///< the unit is one of these
  };

  /// What a worker keeps from one unit to the next; empty: to be opened.
  struct Sessions {
    std::optional<postgres::Connection> copy;
    std::optional<postgres::Connection> control;
    Clock::time_point used_at{};  ///< the control session
    int unit_count = 0;
  };

  Status WorkerLoop(std::stop_token stop);
  /// What a worker has to do: read a unit, or find out in which ranges a table is to be read.
  struct Work {
    std::optional<Claimed> claimed;
    std::optional<TableRecord> to_plan;
  };
  bool IsCompared(const TableRecord& record) const;
  Result<Work> Claim();
  bool IsBusy(UnitId unit) const;
  bool WaitsForLandings(RelationId relation) const;
  Result<Claimed> Begin(UnitId unit);
  /// Plans, and begins the first unit. nullopt: the table does not wait any more.
  Result<std::optional<Claimed>> PlanAndBegin(const TableRecord& record);
  Result<std::optional<CopyRanges>> Plan(const TableRecord& record);
  /// Reads it; what becomes of a failure is said here.
  Status CopyOrHandle(const Claimed& claimed, Sessions& sessions, std::stop_token stop);
  Status Copy(const Claimed& claimed, Sessions& sessions, std::stop_token stop);
  Status HandleFailure(const Claimed& claimed, const Error& error, std::stop_token stop);
  void Report(UnitId unit, std::int64_t rows, std::uint64_t bytes);
  /// Under mutex_.
  void ForgetProgress(RelationId relation);
  /// Between these two, workers with nothing else to do help with it.
  void Share(const std::shared_ptr<SharedRead>& read);
  void Unshare(const std::shared_ptr<SharedRead>& read);
  /// False: nobody needs help.
  bool Help(const std::stop_token& stop);
  bool IsAtWork(int backend);

  const CopyPoolOptions options_;
  Connect connect_;
  DeliveryWriter& writer_;
  Destination& destination_;
  RelationRegistry& registry_;
  Progress& progress_;
  telemetry::Logger& logger_;

  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::uint64_t wakes_ = 0;
  std::map<RelationId, std::int64_t> estimates_;
  std::map<UnitId, CopyProgress> running_;
  std::map<RelationId, Clock::time_point> not_before_;
  std::map<RelationId, int> failures_;
  std::set<UnitId> busy_;  ///< a worker is at its shadow
  std::vector<std::shared_ptr<SharedRead>> shared_;
  std::optional<Error> failure_;
  std::atomic<bool> has_failed_{false};
  std::vector<std::jthread> threads_;
};

}  // namespace sluice::engine
