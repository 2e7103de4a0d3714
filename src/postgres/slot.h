/// \file
/// Logical replication slots: made with the snapshot the first position needs, read, listed,
/// dropped.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/lsn.h"
#include "sluice/result.h"

#include "postgres/connection.h"
#include "postgres/server_facts.h"

namespace sluice::postgres {

/// One row of pg_replication_slots; what a server version lacks reads as its default.
struct SlotRow {
  std::string name;
  std::string plugin;
  std::string database;
  bool is_logical = true;
  bool is_temporary = false;
  bool is_active = false;  ///< also by HoldSlot()
  int active_pid = 0;
  Lsn restart_lsn;
  Lsn confirmed_flush_lsn;
  std::string wal_status;  ///< reserved, extended, unreserved, lost
  std::optional<std::int64_t> safe_wal_size;
  bool is_two_phase = false;
  std::string invalidation_reason;  ///< 17: wal_removed, rows_removed, ...; 16: "conflict"
  bool is_failover = false;
  std::int64_t retained_bytes = 0;  ///< WAL kept for it now
  /// Of pg_stat_activity for active_pid, empty where unseen.
  std::string active_application;
  std::string active_client;
};

Result<std::optional<SlotRow>> ReadSlot(Connection& connection, std::string_view name);

/// A slot or publication made by Sluice, for `sluice slots`: slots of every database, publications
/// of the connected one.
struct SluiceSlot {
  std::optional<SlotRow> slot;
  std::string publication;  ///< empty: none of that name in this database
  std::string generation;
};
Result<std::vector<SluiceSlot>> ListSluiceSlots(Connection& connection);

struct CreateSlotOptions {
  std::string name;
  Duration deadline = std::chrono::minutes(10);
  bool failover = false;  ///< 17 or newer, and no standby
  /// Called about every second while the server waits for older transactions.
  std::function<void(const std::optional<OpenTransaction>& oldest)> on_waiting;
};

/// A slot that was just made, and what rule 9 of the copy boundary wants to know: the passed list
/// is what `slot_snapshot` (E) sees and `first_snapshot` (S, taken just after) does not. On a
/// standby the two are the same.
struct CreatedSlot {
  Lsn consistent_point;
  std::string slot_snapshot;
  std::string first_snapshot;
};

/// A slot for the sake of its snapshot, which sees exactly the transactions that committed before
/// `point`. Slot and snapshot end with this object; who has imported the snapshot keeps it.
class TemporarySlot {
 public:
  /// \param control to a standby, ForWriting() was asked; nothing is run on it, so it may be in a
  /// transaction. Errors: as CreateSlot(); kConnection where no slot is left.
  static Result<TemporarySlot> Create(Connection& control, Duration deadline,
                                      std::stop_token stop = {});

  Lsn point() const { return point_; }
  const std::string& snapshot() const { return snapshot_; }

 private:
  TemporarySlot(Connection stream, Lsn point, std::string snapshot)
      : stream_(std::move(stream)), point_(point), snapshot_(std::move(snapshot)) {}

  Connection stream_;
  Lsn point_;
  std::string snapshot_;
};

/// Creates a permanent logical slot for pgoutput. The server waits for every transaction open in
/// the cluster: hence the deadline and the report.
///
/// \param stream a replication connection, idle; \param control an ordinary one to the same server.
/// Errors: kConfig SLU-2101 (exists), SLU-2102 (none left), kTimeout SLU-2104 (names the oldest
/// transaction; nothing is left behind), kAuth.
Result<CreatedSlot> CreateSlot(Connection& stream, Connection& control,
                               const CreateSlotOptions& options, std::stop_token stop = {});

/// Not an error when it is not there. Waits up to `wait` while another session uses it.
/// Errors: kConfig SLU-2105 (in use, names who).
Status DropSlot(Connection& connection, std::string_view name, Duration wait,
                std::stop_token stop = {});

/// Who reads the slot by SQL holds it only while a call is decoded. For the rest of `reader`'s
/// session ReadSlot() shows it as active all the same, and nobody else can hold it so; the server
/// itself knows nothing of it, so whoever reads as a stream holds it in this way too. Waits a
/// moment for a session that is about to end.
/// \param reader idle; also a replication connection \param control an ordinary one
/// Errors: kConnection SLU-2105 (somebody holds it, names who).
Status HoldSlot(Connection& reader, Connection& control, std::string_view name,
                std::stop_token stop = {});

/// What ends at or before `to`, which is flushed, is not sent any more; nothing happens where the
/// slot is there already. Waits up to `wait` while another session uses it. Until its next
/// checkpoint a crash of the server may take it back.
/// \param limit the server reads its log from where the slot restarts
/// Errors: kConfig SLU-2105 (in use, names who).
Status AdvanceSlot(Connection& connection, std::string_view name, Lsn to, Duration wait,
                   std::stop_token stop = {}, Duration limit = std::chrono::minutes(10));

/// [a-z0-9_]{1,63} (T108).
bool IsSlotName(std::string_view name);

/// A slot's snapshot lists every transaction and subtransaction that was open, up to a limit of the
/// server's: kConnection SLU-2058 where that is what `error` says.
Error RefineSnapshotError(Error error);

/// CREATE_REPLICATION_SLOT in the grammar of that server version.
std::string CreateSlotSql(std::string_view name, int server_version, bool failover);

}  // namespace sluice::postgres
