#include "postgres/snapshot_export.h"

#include <algorithm>
#include <thread>

#include "postgres/quote.h"
#include "postgres/server_facts.h"
#include "postgres/slot.h"
#include "postgres/standby.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kReadOnly = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

// Under the snapshot: each locked name still is the relation that was meant, and each leaf of it is
// locked by this session. A partition attached in between is not.
constexpr std::string_view kCheckLocksSql = R"(
SELECT w.oid, n.nspname = w.schema AND c.relname = w.name,
  NOT EXISTS (SELECT FROM pg_partition_tree(c.oid) p WHERE c.relkind = 'p' AND NOT EXISTS (
    SELECT FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
      AND l.relation = p.relid AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())))
FROM unnest($1::oid[], $2::text[], $3::text[]) AS w(oid, schema, name)
LEFT JOIN pg_class c ON c.oid = w.oid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace)";

constexpr int kAttemptsMax = 5;
constexpr Duration kSlotTimeout = 10min;

Error TableIsGone(std::string_view which) {
  return Error{.kind = ErrorKind::kConfig,
               .message = "a table was dropped or renamed before its copy: " + std::string(which),
               .code = "SLU-2103"};
}

// nullopt: a partition came in between, take the locks again.
Result<bool> AreLocksWhole(Connection& connection, std::span<const LockTarget> tables) {
  std::vector<std::string> oids;
  std::vector<std::string> schemas;
  std::vector<std::string> names;
  for (const LockTarget& table : tables) {
    oids.push_back(std::to_string(table.relation.value));
    schemas.push_back(table.name.schema);
    names.push_back(table.name.table);
  }
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("check the locked tables", kCheckLocksSql,
                      {ArrayLiteral(oids), ArrayLiteral(schemas), ArrayLiteral(names)}));
  for (std::size_t i = 0; i < rows.row_count(); ++i) {
    if (!rows.is_true(i, 1)) return TableIsGone(rows.text(i, 0));
    if (!rows.is_true(i, 2)) return false;
  }
  return true;
}

std::string LockSql(std::span<const LockTarget> tables, Duration lock_timeout) {
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(lock_timeout).count();
  std::string sql =
      "SET LOCAL lock_timeout = " + std::to_string(std::max<std::int64_t>(1, millis)) + ";";
  for (const LockTarget& table : tables) {
    sql += "LOCK TABLE ";
    if (!table.is_partitioned) sql += "ONLY ";
    sql += QuoteTable(table.name) + " IN ACCESS SHARE MODE;";
  }
  return sql;
}

Error RefineTakeError(Error error, std::span<const LockTarget> tables) {
  if (error.sqlstate == "42P01" || error.sqlstate == "3F000") {
    return TableIsGone(tables.size() == 1 ? ToString(tables.front().name) : "one of several");
  }
  if (error.sqlstate == "55P03" && !tables.empty()) {
    error.message = "the table is locked by another session: " + ToString(tables.front().name);
    error.advice = "see pg_locks; the copy is tried again";
  }
  return error;
}

}  // namespace

Status SnapshotExporter::Release() {
  if (!connection_.is_alive() || !connection_.is_in_transaction()) return {};
  auto released = connection_.Exec("release a snapshot", "ROLLBACK");
  if (!released) return std::move(released).error();
  return {};
}

Status SnapshotExporter::CheckAlive() {
  auto alive = connection_.Exec("check that a snapshot lives", "SELECT 1");
  if (!alive) return std::move(alive).error();
  if (connection_.is_in_transaction()) return {};
  return Error{.kind = ErrorKind::kConnection,
               .message = "the snapshot's transaction has ended",
               .code = "SLU-2107"};
}

Result<ExportedSnapshot> SnapshotExporter::TakeOrdinary(const ExecOptions& options) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection_.Exec("take a snapshot",
                       "SELECT pg_export_snapshot(), pg_current_snapshot()::text, "
                       "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() "
                       "ELSE pg_current_wal_insert_lsn() END",
                       {}, options));
  ExportedSnapshot snapshot{.id = rows.str(0, 0), .text = rows.str(0, 1), .insert_lsn = {}};
  SLUICE_ASSIGN_OR_RETURN(snapshot.insert_lsn, rows.LsnAt(0, 2));
  return snapshot;
}

/// A standby's own snapshots leave running transactions out of their text. A slot's snapshot is
/// made from the log, and its text is whole; it becomes the transaction's, which has run nothing
/// but LOCK so far.
Result<ExportedSnapshot> SnapshotExporter::TakeBySlot(const ExecOptions& options) {
  SLUICE_ASSIGN_OR_RETURN(const TemporarySlot slot,
                          TemporarySlot::Create(connection_, kSlotTimeout, options.stop));
  SLUICE_RETURN_IF_ERROR(
      connection_.Exec("import a snapshot",
                       "SET TRANSACTION SNAPSHOT " + QuoteLiteral(slot.snapshot()), {}, options));
  SLUICE_ASSIGN_OR_RETURN(const QueryResult rows,
                          connection_.Exec("take a snapshot",
                                           "SELECT pg_is_in_recovery(), pg_export_snapshot(), "
                                           "pg_current_snapshot()::text",
                                           {}, options));
  // What a primary decodes need not be visible yet, and this snapshot would take it for undone.
  if (!rows.is_true(0, 0)) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "the standby was promoted meanwhile",
                 .code = "SLU-3024"};
  }
  return ExportedSnapshot{.id = rows.str(0, 1), .text = rows.str(0, 2), .insert_lsn = slot.point()};
}

Result<ExportedSnapshot> SnapshotExporter::Take(std::span<const LockTarget> tables,
                                                Duration lock_timeout, std::stop_token stop) {
  const ExecOptions options{.timeout = lock_timeout * static_cast<int>(tables.size() + 1) + 30s,
                            .stop = stop};
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    SLUICE_RETURN_IF_ERROR(Release());
    const bool by_slot = connection_.is_standby() && purpose_ == For::kStream;
    if (by_slot) {
      if (const auto writing = connection_.ForWriting(); !writing)
        return TroubleOfTheLine(writing.error());
    }
    SLUICE_RETURN_IF_ERROR(connection_.Exec("begin a snapshot", kReadOnly, {}, options));
    // Locks first: they take no snapshot, and what committed before them is in the one taken next.
    auto locked = connection_.Exec("lock a table", LockSql(tables, lock_timeout), {}, options);
    if (!locked) {
      SLUICE_RETURN_IF_ERROR(Release());
      return RefineTakeError(std::move(locked).error(), tables);
    }
    Result<ExportedSnapshot> snapshot = by_slot ? TakeBySlot(options) : TakeOrdinary(options);
    if (!snapshot) {
      SLUICE_RETURN_IF_ERROR(Release());
      Error error = std::move(snapshot).error();
      return by_slot ? TroubleOfTheLine(std::move(error)) : std::move(error);
    }
    SLUICE_ASSIGN_OR_RETURN(const bool is_whole, AreLocksWhole(connection_, tables));
    if (is_whole) return *std::move(snapshot);
  }
  SLUICE_RETURN_IF_ERROR(Release());
  return Error{.kind = ErrorKind::kTimeout,
               .message = "partitions are attached faster than they can be locked",
               .code = "SLU-2017"};
}

Status ImportSnapshot(Connection& connection, const ExportedSnapshot& snapshot,
                      std::stop_token stop) {
  const ExecOptions options{.stop = stop};
  SLUICE_RETURN_IF_ERROR(connection.Exec("begin a snapshot", kReadOnly, {}, options));
  auto imported = connection.Exec(
      "import a snapshot", "SET TRANSACTION SNAPSHOT " + QuoteLiteral(snapshot.id), {}, options);
  auto text = imported ? connection.Exec("read a snapshot", "SELECT pg_current_snapshot()::text",
                                         {}, options)
                       : std::move(imported);
  if (text && text->text(0, 0) == snapshot.text) return {};
  if (!text && text.error().kind == ErrorKind::kCancelled) return std::move(text).error();
  if (connection.is_alive()) (void)connection.Exec("roll back", "ROLLBACK");
  if (!text && !connection.is_alive()) return std::move(text).error();
  return Error{.kind = ErrorKind::kConnection,
               .message = text ? "a worker sees another snapshot than the one exported"
                               : "the exported snapshot is gone",
               .server_message = text ? "" : text.error().server_message,
               .sqlstate = text ? "" : text.error().sqlstate,
               .code = "SLU-2107",
               .advice = "all connections must reach the same server, without a pooler between"};
}

Status LockForReading(Connection& connection, const LockTarget& table, Duration lock_timeout) {
  SLUICE_RETURN_IF_ERROR(connection.Exec(
      "lock a table", LockSql(std::span(&table, 1), lock_timeout) + std::string(kReadByPagesSql)));
  return {};
}

Status WaitForFlush(Connection& control, Lsn insert_lsn, Duration timeout, std::stop_token stop) {
  const Clock::time_point deadline = Clock::now() + timeout;
  bool has_emitted = false;
  while (true) {
    SLUICE_ASSIGN_OR_RETURN(const Lsn flushed, ReadFlushLsn(control));
    if (flushed >= insert_lsn) return {};
    if (!has_emitted && !control.is_standby()) {
      // local: a standby that is named synchronous and down must not hold us up.
      SLUICE_RETURN_IF_ERROR(
          control.Exec("flush the WAL",
                       "BEGIN; SET LOCAL synchronous_commit = local; "
                       "SELECT pg_logical_emit_message(true, 'sluice', ''); COMMIT"));
      has_emitted = true;
      continue;
    }
    if (stop.stop_requested()) {
      return Error{.kind = ErrorKind::kCancelled, .message = "stopped while waiting for a flush"};
    }
    if (Clock::now() >= deadline) {
      return Error{.kind = ErrorKind::kTimeout,
                   .message = "the server does not flush its WAL up to " + ToString(insert_lsn),
                   .code = "SLU-2008"};
    }
    std::this_thread::sleep_for(1ms);
  }
}

Result<std::vector<std::string>> ReadWriters(Connection& connection, RelationId relation) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec(
          "list a table's writers",
          "SELECT DISTINCT l.virtualtransaction FROM pg_locks l WHERE l.locktype = 'relation' AND "
          "l.granted AND l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', "
          "'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') AND l.database = "
          "(SELECT oid FROM pg_database WHERE datname = current_database()) AND "
          "l.pid IS DISTINCT FROM pg_backend_pid() AND "
          "(l.relation = $1::oid OR l.relation IN (SELECT relid FROM "
          "pg_partition_tree($1::oid::regclass)))",
          {std::to_string(relation.value)}));
  std::vector<std::string> writers;
  for (std::size_t i = 0; i < rows.row_count(); ++i) writers.push_back(rows.str(i, 0));
  return writers;
}

Result<std::vector<std::string>> StillOpen(Connection& connection,
                                           const std::vector<std::string>& writers) {
  if (writers.empty()) return std::vector<std::string>();
  SLUICE_ASSIGN_OR_RETURN(const QueryResult rows,
                          connection.Exec("look whether a table's writers have ended",
                                          "SELECT DISTINCT virtualtransaction FROM pg_locks "
                                          "WHERE virtualtransaction = ANY ($1::text[])",
                                          {ArrayLiteral(writers)}));
  std::vector<std::string> open;
  for (std::size_t i = 0; i < rows.row_count(); ++i) open.push_back(rows.str(i, 0));
  return open;
}

Result<bool> AreAllBeforeFinished(Connection& connection, std::uint64_t xid) {
  SLUICE_ASSIGN_OR_RETURN(const QueryResult rows,
                          connection.Exec("look for older transactions",
                                          "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"));
  SLUICE_ASSIGN_OR_RETURN(const std::uint64_t xmin, rows.Unsigned64(0, 0));
  return xmin >= xid;
}

bool MayUseWriterList(int server_version) {
  const int minor = server_version % 10000;
  switch (server_version / 10000) {
    case 14:
      return minor >= 18;
    case 15:
      return minor >= 13;
    case 16:
      return minor >= 9;
    case 17:
      return minor >= 5;
    default:
      return server_version >= 180000;
  }
}

}  // namespace sluice::postgres
