#include "postgres/server_facts.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "postgres/standby.h"

namespace sluice::postgres {
namespace {

// One row. rds_replication and cloudsqlsuperuser are what two providers grant in place of the
// REPLICATION attribute; pg_has_role() of a role that is not there would be an error, hence EXISTS.
constexpr std::string_view kFactsSql = R"(
SELECT current_setting('server_version_num'), current_setting('server_version'),
  d.datname, d.oid, pg_encoding_to_char(d.encoding), pg_is_in_recovery(),
  pg_postmaster_start_time()::text,
  current_setting('wal_level'), s.segment, s.sender_timeout,
  current_setting('max_replication_slots'),
  (SELECT count(*) FROM pg_replication_slots),
  current_setting('max_wal_senders'),
  (SELECT count(*) FROM pg_stat_replication),
  current_setting('max_slot_wal_keep_size'),
  coalesce(current_setting('output_plugin_libraries', true), ''),
  current_user, r.rolsuper,
  r.rolreplication OR r.rolsuper OR EXISTS (SELECT FROM pg_roles p
    WHERE p.rolname IN ('rds_replication', 'rdsadmin') AND pg_has_role(current_user, p.oid, 'member')),
  r.rolbypassrls OR r.rolsuper,
  has_database_privilege(d.oid, 'CREATE')
FROM pg_database d, pg_roles r,
  (SELECT max(setting::bigint) FILTER (WHERE name = 'wal_segment_size') AS segment,
          max(setting::bigint) FILTER (WHERE name = 'wal_sender_timeout') AS sender_timeout
   FROM pg_settings WHERE name IN ('wal_segment_size', 'wal_sender_timeout')) s
WHERE d.datname = current_database() AND r.rolname = current_user)";

// max_prepared_transactions is usually 0, then pg_prepared_xacts is empty and costs nothing.
constexpr std::string_view kOldestSql = R"(
SELECT pid, gid, datname, usename, app, state, wait_event,
  extract(epoch FROM age)::bigint, date_trunc('second', age)::text
FROM (
  SELECT pid, '' AS gid, datname, usename, application_name AS app, state, wait_event,
    clock_timestamp() - xact_start AS age, age(backend_xid) AS xids
  FROM pg_stat_activity
  WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
  UNION ALL
  SELECT 0, gid, database, owner, '', 'prepared', '', clock_timestamp() - prepared, age(transaction)
  FROM pg_prepared_xacts
) t
ORDER BY xids DESC LIMIT 1)";

}  // namespace

Result<ServerFacts> ReadServerFacts(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(const QueryResult rows,
                          connection.Exec("read the server's settings", kFactsSql));
  if (rows.row_count() != 1) {
    return Error{.kind = ErrorKind::kProtocol,
                 .message = "the server's settings did not come as one row",
                 .code = "SLU-2019"};
  }
  ServerFacts facts;
  const auto number = [&](std::size_t column) {
    return static_cast<int>(rows.integer_or(0, column, 0));
  };
  facts.version_num = number(0);
  facts.version = rows.str(0, 1).substr(0, rows.text(0, 1).find(' '));
  facts.database = rows.str(0, 2);
  SLUICE_ASSIGN_OR_RETURN(facts.database_oid, rows.Unsigned32(0, 3));
  facts.encoding = rows.str(0, 4);
  facts.is_in_recovery = rows.is_true(0, 5);
  facts.postmaster_start = rows.str(0, 6);
  facts.wal_level = rows.str(0, 7);
  SLUICE_ASSIGN_OR_RETURN(facts.wal_segment_size, rows.Unsigned64(0, 8));
  SLUICE_ASSIGN_OR_RETURN(facts.wal_sender_timeout_ms, rows.Integer(0, 9));
  facts.max_replication_slots = number(10);
  facts.used_replication_slots = number(11);
  facts.max_wal_senders = number(12);
  facts.used_wal_senders = number(13);
  facts.max_slot_wal_keep_size = rows.str(0, 14);
  facts.output_plugin_libraries = rows.str(0, 15);
  facts.role = rows.str(0, 16);
  facts.is_superuser = rows.is_true(0, 17);
  facts.may_replicate = rows.is_true(0, 18);
  facts.may_bypass_rls = rows.is_true(0, 19);
  facts.may_create_in_database = rows.is_true(0, 20);
  return facts;
}

Result<ServerIdentity> ReadServerIdentity(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(const QueryResult rows,
                          connection.Exec("identify the server", "IDENTIFY_SYSTEM"));
  ServerIdentity identity;
  SLUICE_ASSIGN_OR_RETURN(identity.system_identifier, rows.Unsigned64(0, 0));
  SLUICE_ASSIGN_OR_RETURN(identity.timeline, rows.Unsigned32(0, 1));
  SLUICE_ASSIGN_OR_RETURN(identity.flush_lsn, rows.LsnAt(0, 2));
  identity.database = rows.str(0, 3);
  return identity;
}

Result<std::uint64_t> ReadSystemIdentifier(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("identify the server", "SELECT system_identifier FROM pg_control_system()"));
  return rows.Unsigned64(0, 0);
}

std::optional<Lsn> FindTimelineEnd(std::string_view history, std::uint32_t of) {
  // Lines of: timeline, blank, LSN where it was left, blank, reason. Comments begin with #.
  constexpr std::string_view kBlank = " \t";
  while (!history.empty()) {
    std::string_view line = history.substr(0, history.find('\n'));
    history.remove_prefix(std::min(line.size() + 1, history.size()));
    line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
    std::uint32_t timeline = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), timeline);
    if (error != std::errc() || timeline != of) continue;
    line.remove_prefix(static_cast<std::size_t>(end - line.data()));
    line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
    return ParseLsn(line.substr(0, line.find_first_of(kBlank)));
  }
  return std::nullopt;
}

Result<std::optional<Lsn>> ReadTimelineEnd(Connection& connection, std::uint32_t timeline,
                                           std::uint32_t of) {
  SLUICE_ASSIGN_OR_RETURN(const QueryResult rows,
                          connection.Exec("read the timeline's history",
                                          "TIMELINE_HISTORY " + std::to_string(timeline)));
  return FindTimelineEnd(rows.row_count() == 0 ? std::string_view() : rows.text(0, 1), of);
}

Result<WalPositions> ReadWalPositions(Connection& connection) {
  if (connection.is_standby()) {
    WalPositions positions;
    SLUICE_ASSIGN_OR_RETURN(positions.insert_lsn, MarkLog(connection));
    SLUICE_ASSIGN_OR_RETURN(positions.flush_lsn, ReadFlushLsn(connection));
    return positions;
  }
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read the WAL positions",
                      "SELECT pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn()"));
  WalPositions positions;
  SLUICE_ASSIGN_OR_RETURN(positions.insert_lsn, rows.LsnAt(0, 0));
  SLUICE_ASSIGN_OR_RETURN(positions.flush_lsn, rows.LsnAt(0, 1));
  return positions;
}

Result<Lsn> ReadFlushLsn(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read the flush position",
                      "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() "
                      "ELSE pg_current_wal_flush_lsn() END"));
  return rows.LsnAt(0, 0);
}

Result<std::string> ReadSnapshotText(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read the current snapshot", "SELECT pg_current_snapshot()::text"));
  return rows.str(0, 0);
}

Result<std::optional<OpenTransaction>> ReadOldestTransaction(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(Connection * primary, connection.ForWriting());
  SLUICE_ASSIGN_OR_RETURN(const QueryResult rows,
                          primary->Exec("look for open transactions", kOldestSql));
  if (rows.row_count() == 0) return std::optional<OpenTransaction>();
  OpenTransaction out;
  out.pid = static_cast<int>(rows.integer_or(0, 0, 0));
  out.prepared_gid = rows.str(0, 1);
  out.database = rows.str(0, 2);
  out.user = rows.str(0, 3);
  out.application = rows.str(0, 4);
  out.state = rows.str(0, 5);
  out.wait_event = rows.str(0, 6);
  out.age_seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(0, rows.integer_or(0, 7, 0)));
  out.age = rows.str(0, 8);
  return std::optional(std::move(out));
}

std::string Describe(const OpenTransaction& transaction) {
  std::string out = transaction.pid == 0
                        ? "prepared transaction '" + transaction.prepared_gid + "' ("
                        : "pid " + std::to_string(transaction.pid) + " (";
  for (const std::string* part : {&transaction.application, &transaction.state}) {
    if (!part->empty() && *part != "prepared") out += *part + ", ";
  }
  if (transaction.wait_event == "SyncRep") out += "waits for a synchronous standby, ";
  out += "database " + transaction.database + ", user " + transaction.user + ", open for " +
         transaction.age + ")";
  return out;
}

Result<std::uint64_t> AssignTransactionId(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(Connection * primary, connection.ForWriting());
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      primary->Exec("assign a transaction id", "SELECT pg_current_xact_id()::text"));
  if (primary != &connection) {
    // Promoted in between it has handed out ids of its own.
    SLUICE_ASSIGN_OR_RETURN(const QueryResult still,
                            connection.Exec("look for a promotion", "SELECT pg_is_in_recovery()"));
    if (!still.is_true(0, 0)) {
      return Error{.kind = ErrorKind::kConnection,
                   .message = "the standby was promoted meanwhile",
                   .code = "SLU-3024"};
    }
  }
  return rows.Unsigned64(0, 0);
}

}  // namespace sluice::postgres
