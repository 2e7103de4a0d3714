/// \file
/// The control thread: one ordinary connection that keeps the copy rule supplied and the source
/// looked after.
///
/// - every 0.2 s, while transactions pass: the server's snapshot, which prunes P and ends waits for
///   older writers
/// - every 4 s: published tables that lost their identity are taken out (own publication) or
/// reported
/// - every 10 s, with a limit every second: WAL retained by our slot, its status
/// - every 10 s, and as soon as the stream tells of a schema change: tables that were altered and
///   got no rows since take their new shape when the stream has passed the point where the catalog
///   was read; at once for a run that is about to end
///
/// A broken connection is opened again; nothing here ends the pipeline. The source is looked after
/// also while the writer is busy and answers nothing. A server that shuts down waits for its
/// walsender, and that for us: where the destination stands still the stream lets go.
///
/// Thread safety: Start(), Stop() by the owner; the rest from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/sleep.h"
#include "engine/delivery_writer.h"
#include "engine/progress.h"
#include "engine/relation_registry.h"
#include "engine/wal_budget.h"
#include "postgres/connection.h"
#include "postgres/slot.h"
#include "telemetry/log.h"

namespace sluice::engine {

struct ControlOptions {
  std::string slot;
  std::string publication;
  bool owns_publication = true;
  /// Called every 10 s: does the source tell of its schema changes (postgres/ddl_trigger.h)? May be
  /// null.
  std::function<void(bool)> on_ddl_trigger = nullptr;
  /// Called every 10 s with what was read of the slot. May be null.
  std::function<void(const postgres::SlotRow&)> on_slot = nullptr;
  WalBudgetOptions wal_budget = {};
  /// It cannot go on so: the slot has to be dropped, by whoever is called (SLU-3030), or the
  /// standby was promoted (SLU-3024). May be null.
  std::function<void(const Error&)> on_failure = nullptr;
  bool is_standby = false;  ///< the source was one when this began
};

/// What was last read of the slot.
struct SlotInfo {
  std::uint64_t retained_bytes = 0;
  std::string wal_status;
  bool is_over_budget = false;
};

class ControlLoop {
 public:
  using Connect = std::function<Result<postgres::Connection>()>;

  ControlLoop(ControlOptions options, Connect connect, DeliveryWriter& writer,
              RelationRegistry& registry, Progress& progress, telemetry::Logger& logger);
  ~ControlLoop();

  void Start();
  void Stop();
  SlotInfo slot() const;
  /// Some table was altered.
  void LookSoon() { wants_look_.store(true); }
  /// Look now: what was altered before this call is to be followed.
  void FollowAll();
  /// What FollowAll() asked for is done: every table that had been altered by then has its new
  /// shape, or copies itself again. Also where the catalog could not be read three times.
  bool has_followed_all() const { return followed_.load() == asked_.load() && asked_.load() > 0; }

 private:
  void Loop(std::stop_token stop);
  /// False: there is none now.
  bool HasConnection(Clock::time_point now);
  void NoteRefusal(const Error& error, Clock::time_point now);
  Status Tick(postgres::Connection& connection, Clock::time_point now);
  /// What asks nothing of the writer.
  Status LookAtSource(postgres::Connection& connection, Clock::time_point now);
  /// Runs `function` on the writer's thread; looks at the source as long as that takes.
  template <class F>
  std::invoke_result_t<F> AskWriter(F function);
  Status LookForPromotion(postgres::Connection& connection);
  Status FeedMachine(postgres::Connection& connection);
  Status LookAtIdentities(postgres::Connection& connection);
  Status LookAtSchemas(postgres::Connection& connection, Clock::time_point now);
  Status CompareSchemas(postgres::Connection& connection);
  Status FollowSeen();
  Status LookAtSlot(postgres::Connection& connection, Clock::time_point now);
  void LookAtBudget(const postgres::SlotRow& slot, Clock::time_point now);

  const ControlOptions options_;
  Connect connect_;
  DeliveryWriter& writer_;
  RelationRegistry& registry_;
  Progress& progress_;
  telemetry::Logger& logger_;
  /// The thread's own.
  std::optional<postgres::Connection> connection_;
  Clock::time_point connect_at_{};
  Duration connect_wait_{};
  std::optional<Clock::time_point>
      refused_since_;  ///< the server shuts down, while the stream lives
  std::int64_t transactions_seen_ = -1;
  Clock::time_point identities_at_{};
  Clock::time_point slot_at_{};
  Clock::time_point schemas_due_{};
  /// Not earlier: looks take a twentieth of the time at most.
  Clock::time_point schemas_allowed_{};
  std::atomic<bool> wants_look_{false};
  /// Calls of FollowAll(): so many, begun to look for, and done.
  std::atomic<int> asked_{0};
  int looked_ = 0;
  std::atomic<int> followed_{0};
  int failed_looks_ = 0;
  /// Altered tables: what they had here when the catalog was read, and what that said. Waits until
  /// the stream has passed that point.
  struct Seen {
    SchemaPtr known;
    SchemaPtr catalog;
  };
  std::vector<Seen> seen_;
  std::optional<PositionWish> wish_;
  std::vector<RelationId> alarmed_;
  WalBudget budget_;
  bool is_unreserved_ = false;
  mutable base::Mutex mutex_;
  SlotInfo slot_ SLUICE_GUARDED_BY(mutex_);
  base::WakeableSleep sleep_;
  std::stop_token stop_;  ///< the thread's own
  std::jthread thread_;
};

}  // namespace sluice::engine
