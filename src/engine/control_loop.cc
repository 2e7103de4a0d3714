#include "engine/control_loop.h"

#include <pthread.h>

#include <algorithm>
#include <future>
#include <optional>
#include <utility>

#include "base/units.h"
#include "postgres/ddl_trigger.h"
#include "postgres/publication.h"
#include "postgres/server_facts.h"
#include "postgres/slot.h"
#include "postgres/table_facts.h"

namespace sluice::engine {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(200);
constexpr Duration kIdentityInterval = std::chrono::seconds(4);
constexpr Duration kSlotInterval = std::chrono::seconds(10);
constexpr Duration kBudgetInterval = std::chrono::seconds(1);
constexpr Duration kSchemaInterval = std::chrono::seconds(10);
constexpr Duration kSecondLook = std::chrono::seconds(1);
constexpr Duration kLockTimeout = std::chrono::seconds(2);
constexpr Duration kConnectWaitMax = std::chrono::seconds(5);
/// For what is about to be stored anyway.
constexpr Duration kShutdownPatience = std::chrono::seconds(3);
constexpr int kFailedLooksMax = 3;

}  // namespace

ControlLoop::ControlLoop(ControlOptions options, Connect connect, DeliveryWriter& writer,
                         RelationRegistry& registry, Progress& progress, telemetry::Logger& logger)
    : options_(std::move(options)),
      connect_(std::move(connect)),
      writer_(writer),
      registry_(registry),
      progress_(progress),
      logger_(logger),
      budget_(options_.wal_budget) {}

ControlLoop::~ControlLoop() {
  Stop();
}

void ControlLoop::Start() {
  thread_ = std::jthread([this](std::stop_token stop) {
    stop_ = stop;
    pthread_setname_np(pthread_self(), "control");
    Loop(std::move(stop));
  });
}

void ControlLoop::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

SlotInfo ControlLoop::slot() const {
  const base::MutexLock lock(mutex_);
  return slot_;
}

void ControlLoop::Loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    const Clock::time_point now = Clock::now();
    const Status ticked = HasConnection(now) ? Tick(*connection_, now) : Status();
    if (!ticked && ticked.error().kind == ErrorKind::kCancelled) break;
    if (!ticked) logger_.Debug("control: {}", ticked.error().message);
    sleep_.SleepFor(kTick, stop);
  }
  connection_.reset();
}

bool ControlLoop::HasConnection(Clock::time_point now) {
  if (connection_ && connection_->is_alive()) return true;
  if (now < connect_at_) return false;
  Result<postgres::Connection> opened = connect_();
  if (!opened) {
    NoteRefusal(opened.error(), now);
    connect_wait_ = std::clamp(connect_wait_ * 2, kTick, kConnectWaitMax);
    connect_at_ = Clock::now() + connect_wait_;
    return false;
  }
  refused_since_.reset();
  connect_wait_ = {};
  // In place: whoever waits for the writer goes on with it.
  if (connection_) {
    *connection_ = *std::move(opened);
  } else {
    connection_.emplace(*std::move(opened));
  }
  return true;
}

/// Sessions end and no new ones come, but the walsender stays until all that it sent is flushed.
void ControlLoop::NoteRefusal(const Error& error, Clock::time_point now) {
  if (error.sqlstate != "57P03" || !progress_.source_connected.load()) {
    refused_since_.reset();
    return;
  }
  if (!refused_since_) refused_since_ = now;
  if (now - *refused_since_ >= kShutdownPatience) progress_.lets_go.store(true);
}

template <class F>
std::invoke_result_t<F> ControlLoop::AskWriter(F function) {
  auto answer = writer_.inbox().Ask(std::move(function));
  while (answer.wait_for(kTick) != std::future_status::ready) {
    const Clock::time_point now = Clock::now();
    const Status looked = HasConnection(now) ? LookAtSource(*connection_, now) : Status();
    if (!looked) logger_.Debug("control: {}", looked.error().message);
  }
  return answer.get();
}

Status ControlLoop::Tick(postgres::Connection& connection, Clock::time_point now) {
  SLUICE_RETURN_IF_ERROR(LookAtSource(connection, now));
  SLUICE_RETURN_IF_ERROR(FeedMachine(connection));
  SLUICE_RETURN_IF_ERROR(FollowSeen());
  return LookAtSchemas(connection, now);
}

Status ControlLoop::LookAtSource(postgres::Connection& connection, Clock::time_point now) {
  if (options_.is_standby) SLUICE_RETURN_IF_ERROR(LookForPromotion(connection));
  if (now - identities_at_ >= kIdentityInterval) {
    identities_at_ = now;
    SLUICE_RETURN_IF_ERROR(LookAtIdentities(connection));
  }
  if (now - slot_at_ < (budget_.has_limit() ? kBudgetInterval : kSlotInterval)) return {};
  slot_at_ = now;
  return LookAtSlot(connection, now);
}

/// A stream goes on over a promotion; the new timeline has to be stored before the next start.
Status ControlLoop::LookForPromotion(postgres::Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(const postgres::QueryResult rows,
                          connection.Exec("look for a promotion", "SELECT pg_is_in_recovery()"));
  if (rows.is_true(0, 0) || !options_.on_failure) return {};
  options_.on_failure(Error{
      .kind = ErrorKind::kConnection, .message = "the standby was promoted", .code = "SLU-3024"});
  return {};
}

void ControlLoop::FollowAll() {
  ++asked_;
  sleep_.Wake();
}

Status ControlLoop::LookAtSchemas(postgres::Connection& connection, Clock::time_point now) {
  const int asked = asked_.load();
  const bool is_told = now >= schemas_allowed_ && wants_look_.exchange(false);
  if (asked != looked_ || is_told || now >= schemas_due_) {
    const Status compared = CompareSchemas(connection);
    // Thousands of tables take long: a twentieth of the time at most.
    const Clock::time_point done = Clock::now();
    schemas_allowed_ = done + (done - now) * 20;
    // The stream may tell of a commit before the catalog shows it.
    schemas_due_ = std::max(schemas_allowed_, done + (is_told ? kSecondLook : kSchemaInterval));
    failed_looks_ = compared ? 0 : failed_looks_ + 1;
    if (compared || failed_looks_ >= kFailedLooksMax) looked_ = asked;
    SLUICE_RETURN_IF_ERROR(compared);
  }
  if (looked_ == followed_.load() || !seen_.empty()) return {};
  // Behind what the writer was told last: committed, and its copies asked for.
  SLUICE_RETURN_IF_ERROR(AskWriter([]() -> Status { return {}; }));
  followed_.store(looked_);
  return {};
}

/// What no message tells: tables that were altered, or rewritten, and got no rows since.
Status ControlLoop::CompareSchemas(postgres::Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(const std::vector<SchemaPtr> known,
                          AskWriter([this]() -> Result<std::vector<SchemaPtr>> {
                            std::vector<SchemaPtr> live;
                            for (const RelationId relation : writer_.machine().tables()) {
                              const TableRecord& record = writer_.machine().record(relation);
                              if (record.state == TableState::kLive && record.schema)
                                live.push_back(record.schema);
                            }
                            return live;
                          }));
  if (known.empty()) return {};
  std::vector<RelationId> relations;
  for (const SchemaPtr& schema : known) relations.push_back(schema->relation);
  SLUICE_ASSIGN_OR_RETURN(const auto stamps,
                          postgres::ReadTableStamps(connection, relations, options_.publication));
  std::vector<Seen> seen;
  for (const SchemaPtr& schema : known) {
    const auto now = stamps.find(schema->relation);
    if (now == stamps.end() || now->second == schema->facts.stamp) continue;
    Result<SchemaPtr> catalog = registry_.LoadVersion(connection, schema->relation);
    if (!catalog && !connection.is_alive()) return std::move(catalog).error();
    if (!catalog) {
      logger_.Debug("table {}: {}", ToString(schema->name), catalog.error().message);
    } else if (*catalog) {
      seen.push_back({schema, *std::move(catalog)});
    }
  }
  seen_ = std::move(seen);
  if (!seen_.empty() && !wish_) wish_.emplace(progress_);
  return FollowSeen();
}

Status ControlLoop::FollowSeen() {
  std::vector<Seen> later;
  for (const Seen& table : seen_) {
    SLUICE_ASSIGN_OR_RETURN(const bool is_current, AskWriter([&]() -> Result<bool> {
                              const auto& machine = writer_.machine();
                              const RelationId relation = table.known->relation;
                              return machine.has_table(relation) &&
                                     machine.record(relation).schema == table.known &&
                                     machine.record(relation).state == TableState::kLive;
                            }));
    if (!is_current) continue;  // rows brought it, or a copy: looked at again next time
    SLUICE_ASSIGN_OR_RETURN(const bool is_followed, AskWriter([&]() -> Result<bool> {
                              return writer_.FollowCatalog(table.known, table.catalog);
                            }));
    if (is_followed) {
      registry_.SetKnown(table.known->relation, table.catalog);
    } else {
      later.push_back(table);
    }
  }
  seen_ = std::move(later);
  if (seen_.empty()) wish_.reset();
  return {};
}

/// Snapshots prune P; floors let units begin that nothing else proves safe.
Status ControlLoop::FeedMachine(postgres::Connection& connection) {
  struct Need {
    std::vector<RelationId> membership;
    bool floor = false;
    std::uint64_t floor_generation = 0;
    std::uint64_t incarnation = 0;
    bool waits = false;
  };
  SLUICE_ASSIGN_OR_RETURN(const Need need, AskWriter([this]() -> Result<Need> {
                            replication::TableMachine& machine = writer_.machine();
                            Need now{.membership = machine.NeedMembershipFloor()};
                            now.floor = machine.needs_floor();
                            now.floor_generation = machine.floor_generation();
                            now.incarnation = machine.incarnation();
                            for (const RelationId relation : machine.tables()) {
                              now.waits = now.waits ||
                                          machine.record(relation).state == TableState::kPending;
                            }
                            return now;
                          }));
  if (need.floor || !need.membership.empty()) {
    SLUICE_ASSIGN_OR_RETURN(const std::uint64_t xid, postgres::AssignTransactionId(connection));
    SLUICE_RETURN_IF_ERROR(AskWriter([&]() -> Status {
      if (need.floor) writer_.machine().SetFloor(need.floor_generation, xid);
      for (const RelationId relation : need.membership) {
        if (writer_.machine().has_table(relation)) writer_.machine().WaitFor(relation, xid);
      }
      return {};
    }));
  }
  const std::int64_t transactions = progress_.transactions.load();
  if (transactions == transactions_seen_ && !need.waits) return {};
  transactions_seen_ = transactions;
  SLUICE_ASSIGN_OR_RETURN(const Lsn flushed, postgres::ReadFlushLsn(connection));
  SLUICE_ASSIGN_OR_RETURN(const std::string text, postgres::ReadSnapshotText(connection));
  SLUICE_ASSIGN_OR_RETURN(const replication::Snapshot snapshot, replication::ParseSnapshot(text));
  return AskWriter([&]() -> Status {
    // Behind a reconnect it may be another server's.
    if (writer_.machine().incarnation() == need.incarnation) {
      writer_.machine().OnServerSnapshot(snapshot, flushed);
    } else {
      transactions_seen_ = -1;
    }
    return {};
  });
}

/// A table whose updates would fail at the source because it is published is taken out at once; the
/// user's application comes first.
Status ControlLoop::LookAtIdentities(postgres::Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(const std::vector<postgres::LostIdentity> lost,
                          postgres::FindLostIdentities(connection, options_.publication));
  if (lost.empty()) return {};
  for (const postgres::LostIdentity& table : lost) {
    if (std::find(alarmed_.begin(), alarmed_.end(), table.relation) != alarmed_.end()) continue;
    if (!options_.owns_publication) {
      alarmed_.push_back(table.relation);
      logger_.Failed(
          "table {} has no usable identity any more ({}) and is in publication {}: its UPDATE and "
          "DELETE fail at "
          "the source until it is taken out",
          ToString(table.name), table.reason, options_.publication);
    }
  }
  if (!options_.owns_publication) return {};
  // Only these: tables that join at this moment are another thread's.
  for (const postgres::LostIdentity& table : lost) {
    const Status dropped = postgres::DropFromPublication(connection, options_.publication,
                                                         table.name, kLockTimeout, stop_);
    if (dropped) continue;
    if (!connection.is_alive() || stop_.stop_requested()) return dropped;
    logger_.Failed("table {} lost its identity and could not be taken out of the publication: {}",
                   ToString(table.name), dropped.error().message);
  }
  // Not waited for: the next look comes in time, whatever the writer is at.
  writer_.inbox().Ask([&writer = writer_, lost]() -> Status {
    for (const postgres::LostIdentity& table : lost) {
      if (!writer.machine().has_table(table.relation)) continue;
      SLUICE_RETURN_IF_ERROR(writer.HaltTable(
          table.relation,
          Error{
              .kind = ErrorKind::kConfig,
              .message =
                  "it lost its replica identity (" + table.reason +
                  ") and was taken out of the publication, so that its updates go on at the source",
              .code = "SLU-4210",
              .advice =
                  "give it a primary key or REPLICA IDENTITY FULL; it is then copied again"}));
    }
    return {};
  });
  return {};
}

Status ControlLoop::LookAtSlot(postgres::Connection& connection, Clock::time_point now) {
  if (options_.on_ddl_trigger) {
    SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::DdlTrigger> trigger,
                            postgres::ReadDdlTrigger(connection));
    options_.on_ddl_trigger(trigger && trigger->is_current);
  }
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::SlotRow> slot,
                          postgres::ReadSlot(connection, options_.slot));
  if (!slot) return {};
  if (slot->restart_lsn.is_valid() && slot->retained_bytes >= 0) {
    const auto retained = static_cast<std::uint64_t>(slot->retained_bytes);
    progress_.unread.OnLook(Lsn{slot->restart_lsn.value + retained}, progress_.durable.Load(),
                            WallClock());
  }
  LookAtBudget(*slot, now);
  if (options_.on_slot) options_.on_slot(*slot);
  const base::MutexLock lock(mutex_);
  slot_.retained_bytes =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, slot->retained_bytes));
  slot_.wal_status = slot->wal_status;
  slot_.is_over_budget = budget_.is_over();
  return {};
}

void ControlLoop::LookAtBudget(const postgres::SlotRow& slot, Clock::time_point now) {
  const bool is_unreserved = slot.wal_status == "unreserved";
  if (is_unreserved && !is_unreserved_) {
    logger_.Failed(
        "the source is about to take the slot's WAL away: it keeps {}, more than "
        "max_slot_wal_keep_size allows",
        base::FormatSize(
            static_cast<std::uint64_t>(std::max<std::int64_t>(0, slot.retained_bytes))));
  }
  is_unreserved_ = is_unreserved;
  const WalBudget::Verdict verdict =
      budget_.Look(static_cast<std::uint64_t>(std::max<std::int64_t>(0, slot.retained_bytes)), now);
  if (!verdict.alarm.empty()) {
    logger_.Failed("{}{}", verdict.alarm,
                   budget_.pauses_copies() ? "; copies wait until it keeps less" : "");
  }
  if (verdict.is_back) logger_.Info("the slot keeps no more WAL than it may again");
  progress_.copies_pause.store(budget_.pauses_copies());
  if (verdict.drops_slot && options_.on_failure) {
    options_.on_failure(
        Error{.kind = ErrorKind::kConfig,
              .message = "the slot kept " +
                         base::FormatSize(static_cast<std::uint64_t>(slot.retained_bytes)) +
                         " of WAL, more than --max-retained-wal allows and not getting less, and "
                         "--on-retained-wal is drop-slot",
              .code = "SLU-3030"});
  }
}

}  // namespace sluice::engine
