/// \file
/// Snapshots for the initial copy, by the rules of docs/positions.md: tables locked first, then an
/// ordinary snapshot exported with its text and the insert LSN, workers that check they see the
/// same, and the guards before landing.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "sluice/ids.h"
#include "sluice/lsn.h"
#include "sluice/result.h"

#include "postgres/connection.h"

namespace sluice::postgres {

struct ExportedSnapshot {
  std::string id;    ///< for SET TRANSACTION SNAPSHOT
  std::string text;  ///< pg_current_snapshot(): "xmin:xmax:xip,..."
  Lsn insert_lsn;    ///< I, read after the snapshot; not yet adjusted for a page header
};

struct LockTarget {
  RelationId relation;
  TableName name;
  bool is_partitioned = false;
};

/// The exporter: one backend for the whole copy of a unit. Its transaction holds lock and snapshot.
class SnapshotExporter {
 public:
  enum class For : std::uint8_t {
    kStream,   ///< what a stream goes on from: the text names what was running
    kReading,  ///< a standby's own snapshot will do, and its primary need not be known
  };
  explicit SnapshotExporter(Connection connection, For purpose = For::kStream)
      : connection_(std::move(connection)), purpose_(purpose) {}

  /// BEGIN, LOCK ... ACCESS SHARE, then the snapshot: lock first, else DDL in between loses rows
  /// (G1). A former one is released. Checks that the locked names are still these relations and,
  /// of partitioned tables, that every leaf is locked.
  ///
  /// For a stream of a standby the snapshot is a temporary slot's, and the insert LSN the slot's
  /// point: the two see the same transactions. It waits for every transaction open in the cluster.
  ///
  /// Errors: kTimeout SLU-2017 (lock), SLU-2104 (the slot), kConfig SLU-2103 (table is gone),
  /// kUnsupported SLU-2047 (a standby without its primary), kConnection.
  Result<ExportedSnapshot> Take(std::span<const LockTarget> tables, Duration lock_timeout,
                                std::stop_token stop = {});
  /// For catalog queries under the snapshot.
  Connection& connection() { return connection_; }
  /// The exporter's transaction lives. Ask after the last row, before counting the copy as whole.
  Status CheckAlive();
  Status Release();

 private:
  Result<ExportedSnapshot> TakeOrdinary(const ExecOptions& options);
  Result<ExportedSnapshot> TakeBySlot(const ExecOptions& options);

  Connection connection_;
  For purpose_;
};

/// In a worker's session: BEGIN, SET TRANSACTION SNAPSHOT, and the text must be equal.
/// The transaction stays open; end it with "ROLLBACK".
/// Errors: kConnection SLU-2107 (the snapshot is gone, or it is another server: take a new one).
Status ImportSnapshot(Connection& connection, const ExportedSnapshot& snapshot,
                      std::stop_token stop = {});

/// ACCESS SHARE on a table that the exporter has locked, in a worker's session: behind somebody who
/// waits for a stronger lock it would wait for the exporter's own end. Errors: kTimeout.
Status LockForReading(Connection& connection, const LockTarget& table, Duration lock_timeout);

/// Within a transaction: what selects rows by their ctid is read page by page, without others.
inline constexpr std::string_view kReadByPagesSql =
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_tidscan = on; "
    "SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; "
    "SET LOCAL max_parallel_workers_per_gather = 0";

/// G2: waits until the server has flushed `insert_lsn`. Where it has not, a transactional message
/// is committed with synchronous_commit = local on this connection, which flushes it; an idle
/// server would not flush for hours. Of a standby: until it has replayed that.
/// \param control not the exporter.
Status WaitForFlush(Connection& control, Lsn insert_lsn, Duration timeout,
                    std::stop_token stop = {});

/// G3: virtual transactions that hold RowExclusiveLock or stronger on a table or its leaves.
Result<std::vector<std::string>> ReadWriters(Connection& connection, RelationId relation);
/// Those of `writers` that are still there.
Result<std::vector<std::string>> StillOpen(Connection& connection,
                                           const std::vector<std::string>& writers);
/// G3 in its form for every minor: no transaction older than `xid` is open.
Result<bool> AreAllBeforeFinished(Connection& connection, std::uint64_t xid);
/// This minor version's ALTER PUBLICATION is seen by open transactions, so that the list of
/// writers is enough: 14.18, 15.13, 16.9, 17.5 and newer.
bool MayUseWriterList(int server_version);

}  // namespace sluice::postgres
