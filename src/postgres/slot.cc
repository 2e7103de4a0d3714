#include "postgres/slot.h"

#include <atomic>
#include <functional>
#include <optional>
#include <thread>

#include "postgres/publication.h"
#include "postgres/quote.h"
#include "postgres/standby.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReportEvery = 1s;
/// On a standby, until the running transactions are logged again; doubled up to kReportEvery.
constexpr Duration kFirstLogAgain = 50ms;
/// Of the advisory locks of HoldSlot().
constexpr int kHoldClass = 0x534C55;
constexpr std::chrono::milliseconds kHoldWait = 1s;
constexpr Duration kSlotRetry = 200ms;

// What a server version lacks is filled with its default.
std::string SlotColumnsSql(int version) {
  std::string sql =
      "SELECT s.slot_name, coalesce(s.plugin, ''), coalesce(s.database, ''), "
      "s.slot_type = 'logical', s.temporary, s.active OR h.pid IS NOT NULL, "
      "coalesce(s.active_pid, h.pid, 0), s.restart_lsn, "
      "s.confirmed_flush_lsn, coalesce(s.wal_status, ''), s.safe_wal_size, s.two_phase, ";
  sql += version >= 170000   ? "coalesce(s.invalidation_reason, ''), s.failover, "
         : version >= 160000 ? "CASE WHEN s.conflicting THEN 'conflict' ELSE '' END, false, "
                             : "'', false, ";
  sql +=
      "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END "
      "- s.restart_lsn, coalesce(a.application_name, ''), coalesce(a.client_addr::text, '') "
      "FROM pg_replication_slots s LEFT JOIN LATERAL (SELECT l.pid FROM pg_locks l "
      // Only where nobody reads from the slot: pg_locks keeps everybody from taking locks
      // meanwhile.
      "WHERE NOT s.active AND l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND "
      "l.classid = " +
      std::to_string(kHoldClass) +
      " AND l.objid::bigint = hashtext(s.slot_name)::bigint & 4294967295 LIMIT 1) h ON true "
      "LEFT JOIN pg_stat_activity a ON a.pid = coalesce(s.active_pid, h.pid) ";
  return sql;
}

SlotRow ReadRow(const QueryResult& rows, std::size_t i) {
  SlotRow row;
  row.name = rows.str(i, 0);
  row.plugin = rows.str(i, 1);
  row.database = rows.str(i, 2);
  row.is_logical = rows.is_true(i, 3);
  row.is_temporary = rows.is_true(i, 4);
  row.is_active = rows.is_true(i, 5);
  row.active_pid = static_cast<int>(rows.integer_or(i, 6, 0));
  row.restart_lsn = ParseLsn(rows.text(i, 7)).value_or(Lsn{});
  row.confirmed_flush_lsn = ParseLsn(rows.text(i, 8)).value_or(Lsn{});
  row.wal_status = rows.str(i, 9);
  if (!rows.is_null(i, 10)) row.safe_wal_size = rows.integer_or(i, 10, 0);
  row.is_two_phase = rows.is_true(i, 11);
  row.invalidation_reason = rows.str(i, 12);
  row.is_failover = rows.is_true(i, 13);
  row.retained_bytes = rows.integer_or(i, 14, 0);
  row.active_application = rows.str(i, 15);
  row.active_client = rows.str(i, 16);
  return row;
}

Error WaitedTooLong(const std::optional<OpenTransaction>& oldest) {
  std::string message =
      "the slot was not made in time: the server waits for every transaction open in the cluster";
  if (oldest) message += ", the oldest is " + Describe(*oldest);
  std::string advice = "end that transaction, then start again";
  if (!oldest) {
    advice = "look at pg_stat_activity (backend_xid) and pg_prepared_xacts as a role that sees all";
  } else if (oldest->pid == 0) {
    advice = "COMMIT PREPARED or ROLLBACK PREPARED " + QuoteLiteral(oldest->prepared_gid) +
             ", then start again";
  } else {
    advice = "SELECT pg_terminate_backend(" + std::to_string(oldest->pid) + "), then start again";
  }
  return Error{.kind = ErrorKind::kTimeout,
               .message = std::move(message),
               .code = "SLU-2104",
               .advice = std::move(advice)};
}

}  // namespace

Error RefineSnapshotError(Error error) {
  // Where the server translates its messages the error stays what it was: 40001 has other reasons.
  if (error.server_message.find("initial slot snapshot too large") == std::string::npos)
    return error;
  error.kind = ErrorKind::kConnection;
  error.code = "SLU-2058";
  error.message =
      "too many transactions and subtransactions are open for a slot's snapshot; it is tried again";
  error.advice =
      "end transactions with many savepoints or PL/pgSQL EXCEPTION blocks (pg_stat_activity, "
      "backend_xid), or raise max_connections";
  return error;
}

namespace {

Error RefineCreateError(Error error, std::string_view name) {
  if (error.sqlstate == "42710") {
    error.code = "SLU-2101";
    error.message = "a slot of that name exists: " + std::string(name);
    error.advice = "choose another with --slot, or remove it with `sluice drop`";
  } else if (error.sqlstate == "53400") {
    error.message = "every replication slot is taken";
  }
  return RefineSnapshotError(std::move(error));
}

// Waits for CREATE_REPLICATION_SLOT, telling what it waits for. Of a standby only its primary is
// asked.
Result<QueryResult> AwaitCreation(Connection& stream, Connection& control,
                                  const CreateSlotOptions& options, const std::stop_token& stop,
                                  const std::function<Status()>& look = nullptr) {
  const Clock::time_point deadline = Clock::now() + options.deadline;
  const bool is_standby = control.is_standby();
  Duration pause = is_standby ? kFirstLogAgain : kReportEvery;
  while (true) {
    const Clock::time_point now = Clock::now();
    SLUICE_ASSIGN_OR_RETURN(auto created, stream.Poll(std::min(deadline, now + pause), stop));
    if (created) return *std::move(created);
    pause = std::min(pause * 2, kReportEvery);
    if (stop.stop_requested()) {
      SLUICE_RETURN_IF_ERROR(stream.Cancel());
      return Error{.kind = ErrorKind::kCancelled, .message = "stopped while making the slot"};
    }
    Status may_go_on = is_standby ? LogRunningTransactions(control) : Status{};
    if (may_go_on && look) may_go_on = look();
    if (!may_go_on) {
      SLUICE_RETURN_IF_ERROR(stream.Cancel());
      return std::move(may_go_on).error();
    }
    SLUICE_ASSIGN_OR_RETURN(const auto oldest, ReadOldestTransaction(control));
    if (Clock::now() >= deadline) {
      SLUICE_RETURN_IF_ERROR(stream.Cancel());
      return WaitedTooLong(oldest);
    }
    if (options.on_waiting) options.on_waiting(oldest);
  }
}

/// Whoever holds a lock while a slot is made may wait for himself: the standby does not replay DDL
/// on the locked table, and the slot waits for what comes behind.
class ReplayWatch {
 public:
  explicit ReplayWatch(const Connection& holder) : holder_(holder) {}

  /// kTimeout SLU-2017: let go.
  Status Look() {
    if (Clock::now() < first_look_) return {};
    if (!session_) {
      SLUICE_ASSIGN_OR_RETURN(Connection opened,
                              Connection::Open(holder_.url(), holder_.options()));
      session_.emplace(std::move(opened));
    }
    SLUICE_ASSIGN_OR_RETURN(
        const QueryResult rows,
        session_->Exec(
            "look whether replay waits",
            // pg_blocking_pids() knows nothing of the process that replays.
            "SELECT EXISTS (SELECT FROM pg_locks w JOIN pg_locks h ON h.locktype = w.locktype AND "
            "h.database = w.database AND h.relation = w.relation WHERE NOT w.granted AND "
            "w.locktype = 'relation' AND w.mode = 'AccessExclusiveLock' AND h.granted AND "
            "h.pid = $1::int)",
            {std::to_string(holder_.backend_pid())}));
    if (!rows.is_true(0, 0)) return {};
    return Error{.kind = ErrorKind::kTimeout,
                 .message = "the standby waits for the lock of the copy, to alter its table",
                 .code = "SLU-2017"};
  }

 private:
  const Connection& holder_;
  const Clock::time_point first_look_ = Clock::now() + kReportEvery;
  std::optional<Connection> session_;
};

Error InUse(std::string_view name, const std::optional<SlotRow>& row, ErrorKind kind) {
  Error error{.kind = kind,
              .message = "the slot is in use: " + std::string(name),
              .code = "SLU-2105",
              .advice = "stop the pipeline that uses it"};
  if (row && row->active_pid != 0) {
    error.message +=
        ", by pid " + std::to_string(row->active_pid) + " (" + row->active_application + ")";
  }
  return error;
}

/// Runs a statement about the slot $1 once no other session uses it.
Status ExecWhenFree(Connection& connection, const std::string& doing, const std::string& sql,
                    std::string_view name, Duration wait, const ExecOptions& options) {
  const Clock::time_point deadline = Clock::now() + wait;
  while (true) {
    auto done = connection.Exec(doing, sql, {std::string(name)}, options);
    if (done || done.error().sqlstate == "42704") return {};
    if (done.error().sqlstate != "55006") return std::move(done).error();
    if (options.stop.stop_requested()) {
      return Error{.kind = ErrorKind::kCancelled, .message = "stopped while: " + doing};
    }
    if (Clock::now() >= deadline) {
      SLUICE_ASSIGN_OR_RETURN(const auto row, ReadSlot(connection, name));
      return InUse(name, row, ErrorKind::kConfig);
    }
    std::this_thread::sleep_for(kSlotRetry);
  }
}

}  // namespace

bool IsSlotName(std::string_view name) {
  return !name.empty() && name.size() <= 63 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

Result<TemporarySlot> TemporarySlot::Create(Connection& control, Duration deadline,
                                            std::stop_token stop) {
  static std::atomic<unsigned> count{0};
  ConnectOptions wanted = control.options();
  wanted.role += " snapshot";
  wanted.is_replication = true;
  SLUICE_ASSIGN_OR_RETURN(Connection stream, Connection::Open(control.url(), wanted, stop));
  // Not as slots that stay are called: nobody is to take it for one.
  const std::string name =
      "snapshot_of_sluice_" + std::to_string(stream.backend_pid()) + "_" + std::to_string(++count);
  SLUICE_RETURN_IF_ERROR(
      stream.Start("create a temporary slot", "CREATE_REPLICATION_SLOT " + QuoteIdentifier(name) +
                                                  " TEMPORARY LOGICAL pgoutput (SNAPSHOT "
                                                  "'export')"));
  const CreateSlotOptions options{.name = name, .deadline = deadline, .on_waiting = nullptr};
  ReplayWatch replay(control);
  auto created = AwaitCreation(stream, control, options, stop, [&] { return replay.Look(); });
  if (!created) {
    Error error = std::move(created).error();
    // They are given back: it is tried again.
    if (error.sqlstate == "53400") error.kind = ErrorKind::kConnection;
    return RefineSnapshotError(std::move(error));
  }
  SLUICE_ASSIGN_OR_RETURN(const Lsn point, created->LsnAt(0, 1));
  return TemporarySlot(std::move(stream), point, created->str(0, 2));
}

std::string CreateSlotSql(std::string_view name, int server_version, bool failover) {
  std::string sql = "CREATE_REPLICATION_SLOT " + QuoteIdentifier(name) + " LOGICAL pgoutput ";
  if (server_version < 150000) return sql + "USE_SNAPSHOT";
  sql += "(SNAPSHOT 'use'";
  if (failover && server_version >= 170000) sql += ", FAILOVER true";
  return sql + ")";
}

Result<std::optional<SlotRow>> ReadSlot(Connection& connection, std::string_view name) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read the slot",
                      SlotColumnsSql(connection.server_version()) + "WHERE s.slot_name = $1",
                      {std::string(name)}));
  if (rows.row_count() == 0) return std::optional<SlotRow>();
  return std::optional(ReadRow(rows, 0));
}

Result<std::vector<SluiceSlot>> ListSluiceSlots(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult slots,
      connection.Exec("list the slots", SlotColumnsSql(connection.server_version()) +
                                            "WHERE s.slot_name LIKE 'sluice\\_%' ORDER BY 1"));
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult publications,
      connection.Exec("list the publications",
                      "SELECT pubname, coalesce(obj_description(oid, 'pg_publication'), '') "
                      "FROM pg_publication WHERE pubname LIKE 'sluice\\_%' ORDER BY 1"));
  std::vector<SluiceSlot> out;
  for (std::size_t i = 0; i < slots.row_count(); ++i) {
    SluiceSlot entry;
    entry.slot = ReadRow(slots, i);
    out.push_back(std::move(entry));
  }
  const std::string& database = connection.url().database();
  for (std::size_t i = 0; i < publications.row_count(); ++i) {
    SluiceSlot* match = nullptr;
    for (SluiceSlot& entry : out) {
      if (entry.slot && entry.slot->name == publications.text(i, 0) &&
          entry.slot->database == database) {
        match = &entry;
      }
    }
    if (match == nullptr) match = &out.emplace_back();
    match->publication = publications.str(i, 0);
    match->generation = GenerationOf(publications.text(i, 1));
  }
  return out;
}

Result<CreatedSlot> CreateSlot(Connection& stream, Connection& control,
                               const CreateSlotOptions& options, std::stop_token stop) {
  if (!IsSlotName(options.name)) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "not a slot name: " + options.name,
                 .code = "SLU-2112",
                 .advice = "use a to z, 0 to 9 and _, at most 63 characters"};
  }
  SLUICE_RETURN_IF_ERROR(control.ForWriting());
  const bool failover = options.failover && !control.is_standby();
  // The slot's snapshot becomes this transaction's: its text is what the slot starts after.
  SLUICE_ASSIGN_OR_RETURN(Transaction transaction,
                          Transaction::Begin(stream, "ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  SLUICE_RETURN_IF_ERROR(
      stream.Start("create slot " + options.name,
                   CreateSlotSql(options.name, stream.server_version(), failover)));
  auto created = AwaitCreation(stream, control, options, stop);
  if (!created) return RefineCreateError(std::move(created).error(), options.name);
  CreatedSlot slot;
  SLUICE_ASSIGN_OR_RETURN(slot.consistent_point, created->LsnAt(0, 1));
  SLUICE_ASSIGN_OR_RETURN(slot.slot_snapshot, ReadSnapshotText(stream));
  SLUICE_ASSIGN_OR_RETURN(const QueryResult first,
                          control.Exec("read the current snapshot",
                                       "SELECT pg_is_in_recovery(), pg_current_snapshot()::text"));
  // A standby decodes what it has replayed: that is visible.
  slot.first_snapshot = first.is_true(0, 0) ? slot.slot_snapshot : first.str(0, 1);
  SLUICE_RETURN_IF_ERROR(transaction.Commit());
  return slot;
}

Status DropSlot(Connection& connection, std::string_view name, Duration wait,
                std::stop_token stop) {
  return ExecWhenFree(
      connection, "drop slot " + std::string(name),
      "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1",
      name, wait, {.stop = stop});
}

Status HoldSlot(Connection& reader, Connection& control, std::string_view name,
                std::stop_token stop) {
  // A replication connection takes no parameters, and before 14.2 one statement at a time.
  SLUICE_RETURN_IF_ERROR(
      reader.Exec("hold the slot", "SET lock_timeout = " + std::to_string(kHoldWait.count())));
  const auto held = reader.Exec("hold the slot",
                                "SELECT pg_advisory_lock(" + std::to_string(kHoldClass) +
                                    ", hashtext(" + QuoteLiteral(name) + "))",
                                {}, {.stop = std::move(stop)});
  if (!held && held.error().sqlstate != "55P03") return held.error();
  if (held) {
    SLUICE_RETURN_IF_ERROR(reader.Exec("hold the slot", "RESET lock_timeout"));
    return {};
  }
  SLUICE_ASSIGN_OR_RETURN(const auto row, ReadSlot(control, name));
  return InUse(name, row, ErrorKind::kConnection);
}

Status AdvanceSlot(Connection& connection, std::string_view name, Lsn to, Duration wait,
                   std::stop_token stop, Duration limit) {
  const std::string lsn = QuoteLiteral(ToString(to)) + "::pg_lsn";
  return ExecWhenFree(connection, "advance slot " + std::string(name),
                      "SELECT pg_replication_slot_advance(slot_name, " + lsn +
                          ") FROM pg_replication_slots WHERE slot_name = $1 AND "
                          "confirmed_flush_lsn < " +
                          lsn,
                      name, wait, {.timeout = limit, .stop = stop});
}

}  // namespace sluice::postgres
