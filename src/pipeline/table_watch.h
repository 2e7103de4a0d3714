/// \file
/// The life of tables while a pipeline runs: a thread with a connection of its own that looks at
/// the source's catalog, brings new tables in, and tells the writer who was dropped, renamed or
/// taken out.
///
///   every 10 s   one value that the server computes; where it changed, or somebody woke it (a
///                relation nobody knew, a copy whose table was gone), the whole list
///   append       before the first such table joins, the publication for them (companion.h)
///   join         described to the stream, added to our publication (lock_timeout; the user's
///                statements never wait), then pending: the copy rule and guard G3 do the rest
///   drop, rename, leave, be cut off (changes of it are in no log any more, or not published)
///                when the stream has passed the insert LSN of the look that saw it
///
/// Nothing here ends the pipeline; what fails is tried again.
///
/// Thread safety: Start(), Stop() by the owner; the rest from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sluice/destination.h"

#include "base/sleep.h"
#include "engine/copy_pool.h"
#include "engine/delivery_writer.h"
#include "engine/options.h"
#include "engine/relation_registry.h"
#include "engine/restart_wishes.h"
#include "pipeline/companion.h"
#include "pipeline/table_changes.h"
#include "postgres/connection.h"
#include "postgres/server_facts.h"
#include "postgres/table_pattern.h"
#include "telemetry/log.h"

namespace sluice::pipeline {

/// All outlive the watch.
struct TableWatchInput {
  const engine::PipelineOptions& options;
  const Birth& birth;
  engine::DeliveryWriter& writer;
  engine::CopyPool& pool;
  engine::RelationRegistry& registry;
  Destination& destination;
  engine::Progress& progress;
  telemetry::Logger& logger;
  const ReadCompanion& read_companion;
  engine::RestartWishes& restart_stream;
};

class TableWatch {
 public:
  using Connect = std::function<Result<postgres::Connection>()>;

  TableWatch(TableWatchInput input, postgres::TableSelection selection, postgres::ServerFacts facts,
             std::uint64_t wal_segment_bytes, Connect connect);
  ~TableWatch();

  /// Of the selection, not of what is in the publication.
  bool Wants(const TableName& name) const { return selection_.Selects(name); }

  void Start();
  void Stop();
  /// Look at once.
  void Wake();
  /// Something was altered: look whether the catalog has changed.
  void LookSoon() { told_at_.store(Clock::now()); }
  /// Whatever was at the source when it started is in the table machine, and nothing that was seen
  /// waits for the stream.
  bool is_settled() const {
    return has_looked_.load() && !has_deferred_.load() && !companion_.is_under_way();
  }

 private:
  enum class Kind : std::uint8_t { kRenamed, kDropped, kLeft, kCutOff };
  /// What waits for the stream.
  struct Deferred {
    Kind kind = Kind::kDropped;
    RelationId relation;
    TableName source = {};  ///< kRenamed: the new name
    std::string code = {};  ///< kCutOff: why, as in PlannedTable
    std::string reason = {};
    std::string advice = {};
    auto operator<=>(const Deferred&) const = default;
  };
  /// A table that joins, with what is known before it is in the publication.
  struct Candidate {
    TableRecord record;
    std::int64_t bytes = 0;
    bool is_done = false;  ///< described and published
  };

  void Loop(std::stop_token stop);
  Status Tick(postgres::Connection& connection, const std::stop_token& stop);
  Status Look(postgres::Connection& connection, const std::stop_token& stop);
  Result<std::optional<CatalogLook>> ReadCatalog(postgres::Connection& connection);
  Status WaitForCompanion(const CatalogLook& look, const std::vector<TableRecord>& records,
                          TableChanges& changes);
  Status Defer(postgres::Connection& connection, const TableChanges& changes,
               const std::vector<TableRecord>& records, const CatalogLook& look,
               const std::stop_token& stop);
  Status ApplyDeferred();
  Status Apply(const Deferred& what);
  Status LeaveOut(const std::vector<postgres::PlannedTable>& tables);
  Status TakeIn(postgres::Connection& connection, const TableChanges& changes,
                const std::vector<TableRecord>& records, const std::stop_token& stop);
  Result<std::optional<Candidate>> Prepare(postgres::Connection& connection,
                                           const TableChanges::Join& join);
  Status Publish(postgres::Connection& connection, const TableChanges::Join& join,
                 Candidate& candidate, const std::stop_token& stop);
  Status Admit(postgres::Connection& connection, std::vector<Candidate> candidates);
  Status LookAtOlderWriters(postgres::Connection& connection);

  const TableWatchInput in_;
  const postgres::TableSelection selection_;
  const postgres::ServerFacts facts_;
  const std::uint64_t wal_segment_bytes_;
  Connect connect_;

  // The thread's own.
  CompanionMaker companion_;
  std::string fingerprint_;
  Clock::time_point looked_at_{};
  Clock::time_point looked_fully_at_{};
  bool wants_retry_ = false;  ///< a join failed for a reason that may pass
  int failed_looks_ = 0;
  std::map<Deferred, Lsn> deferred_;
  /// G3: who held a lock on a table that joined, listed once its membership was visible.
  std::map<RelationId, std::vector<std::string>> older_writers_;

  std::atomic<bool> has_looked_{false};
  std::atomic<bool> has_deferred_{false};
  std::atomic<Clock::time_point> told_at_{Clock::time_point{}};
  std::atomic<bool> is_woken_{true};
  base::WakeableSleep sleep_;
  std::jthread thread_;
};

}  // namespace sluice::pipeline
