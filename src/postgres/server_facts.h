/// \file
/// What the server and our role are, read in one statement: identity for the position checks,
/// settings and privileges for preflight.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/lsn.h"
#include "sluice/result.h"

#include "postgres/connection.h"

namespace sluice::postgres {

struct ServerFacts {
  int version_num = 0;  ///< 170010
  std::string version;  ///< "17.10"
  std::string database;
  std::uint32_t database_oid = 0;
  std::string encoding;  ///< of the database: "UTF8", "SQL_ASCII"
  bool is_in_recovery = false;
  std::string postmaster_start;  ///< the same for two connections to one server

  std::string wal_level;
  std::uint64_t wal_segment_size = 16ULL * 1024 * 1024;
  std::int64_t wal_sender_timeout_ms = 60'000;  ///< 0: none
  int max_replication_slots = 0;
  int used_replication_slots = 0;
  int max_wal_senders = 0;
  int used_wal_senders = 0;
  std::string max_slot_wal_keep_size;   ///< as shown: "-1", "10GB"
  std::string output_plugin_libraries;  ///< empty: the server has no such setting

  std::string role;
  bool is_superuser = false;
  bool may_replicate = false;  ///< REPLICATION, superuser, or a provider's role that grants it
  bool may_bypass_rls = false;
  bool may_create_in_database = false;  ///< needed for CREATE PUBLICATION
};

/// Errors: as Connection::Exec().
Result<ServerFacts> ReadServerFacts(Connection& connection);

/// Who the server is, from IDENTIFY_SYSTEM: works for any role that may replicate.
struct ServerIdentity {
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;
  Lsn flush_lsn;  ///< flushed so far (replayed, on a standby)
  std::string database;
};
/// \param connection a replication connection.
Result<ServerIdentity> ReadServerIdentity(Connection& connection);
/// The same by an ordinary connection. Errors: kConfig where the role may not.
Result<std::uint64_t> ReadSystemIdentifier(Connection& connection);

/// Where the server's history left timeline `of` for the next one; nullopt: it never was on it.
/// \param connection a replication connection. \param timeline the server's, above 1.
Result<std::optional<Lsn>> ReadTimelineEnd(Connection& connection, std::uint32_t timeline,
                                           std::uint32_t of);
/// The same of the text of a history file. Pure.
std::optional<Lsn> FindTimelineEnd(std::string_view history, std::uint32_t of);

/// Positions of the WAL now: what the connection's sessions see lies before the first.
/// pg_current_wal_insert_lsn() and pg_current_wal_flush_lsn(); of a standby MarkLog() and what was
/// replayed.
struct WalPositions {
  Lsn insert_lsn;
  Lsn flush_lsn;
};
Result<WalPositions> ReadWalPositions(Connection& connection);
/// Last flushed (primary) or replayed (standby) LSN.
Result<Lsn> ReadFlushLsn(Connection& connection);

/// pg_current_snapshot() in its text form, for pruning the passed list.
Result<std::string> ReadSnapshotText(Connection& connection);

/// A transaction that others wait for.
struct OpenTransaction {
  int pid = 0;               ///< 0: prepared
  std::string prepared_gid;  ///< of a prepared transaction
  std::string database;
  std::string user;
  std::string application;
  std::string state;       ///< "idle in transaction", "active", "prepared"
  std::string wait_event;  ///< "SyncRep"
  std::string age;         ///< of the transaction: "00:12:31"
  std::uint64_t age_seconds = 0;
};
/// The oldest transaction with an xid in the whole cluster, prepared ones too; nullopt: none.
Result<std::optional<OpenTransaction>> ReadOldestTransaction(Connection& connection);
/// "pid 4711 (app, idle in transaction, database shop, 00:12:31)" or "prepared transaction 'x'".
std::string Describe(const OpenTransaction& transaction);

/// Highest xid handed out plus one as a 64-bit number: what pg_current_xact_id() would be. Assigns
/// an xid, so that everything older is below it (rules 9 and 10). Of a standby its primary's.
Result<std::uint64_t> AssignTransactionId(Connection& connection);

}  // namespace sluice::postgres
