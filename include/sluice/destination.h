/// \file
/// What a destination implements. One writer thread calls it; copy workers write through
/// CopyWriters beside it.
///
///   Open -> (StoreBirth)? -> { Stage* -> Commit | Abandon }* -> Close
///
/// Order inside one commit, kept by the caller: for every table first LandUnit, AlterTable and
/// DropTable items, then rows. Commits are numbered by the caller (CommitRecord::sequence); several
/// may be in flight where the destination says so, and become durable and visible by watermarks
/// that move outside any call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/delivery_state.h"
#include "sluice/result.h"
#include "sluice/schema.h"
#include "sluice/time.h"

namespace sluice {

/// P0: what the engine must know before the first byte.
struct Capabilities {
  enum class Rows : std::uint8_t { kLog, kNet };
  enum class Fencing : std::uint8_t { kCompareAndSet, kToken, kNone };
  Rows wants = Rows::kNet;
  Fencing fencing = Fencing::kCompareAndSet;
  bool holds_state = true;         ///< false: the caller adds a StateStore
  bool commits_atomically = true;  ///< rows, DDL, state, position together; else effects may repeat
  bool keeps_rows = true;          ///< false: null: and other sinks without a read side
  bool wants_change_ids = false;
  bool keeps_changes = false;         ///< of halted tables: Keep(), ReadKept(), DropKept() work
  bool lands_ranges = false;          ///< of mirrored tables: LandUnit::part, NetRows::of_ranges
  bool takes_unchanged_cells = true;  ///< updates may leave columns out
  std::size_t commits_in_flight_max = 1;
  Duration preferred_interval{};  ///< between commits; 0: as soon as there is something
  std::size_t preferred_bytes = 64U << 20;
};

struct OpenRequest {
  std::string pipeline = {};
  std::uint64_t system_identifier =
      0;                   ///< of the source; 0: opened without one (status, tables, sql)
  bool read_only = false;  ///< no epoch is taken, nothing is written
};

/// One item of the ordered sequence. Immutable and shared; may be kept until its commit is durable.
/// Rows for `wants == kLog`. `transactions` resolves ChangeBatch::runs.
struct LogRows {
  std::shared_ptr<const ChangeBatch> batch;
  std::shared_ptr<const std::vector<TransactionMark>> transactions;
};
struct NetRows {
  std::shared_ptr<const NetChange> change;
  /// Of the landed ranges of a table that is not whole yet. What is there under the table's name is
  /// another, older table.
  bool of_ranges = false;
};
/// For `wants == kNet`: rows for the log of a table whose mode has one (LogOf()). NetRows of the
/// same changes come beside it where the mode has the current state too, or a column has values
/// that are kept in quarantine.
struct HistoryRows {
  std::shared_ptr<const HistoryChange> change;
};
/// For `wants == kLog`; a net destination gets NetChange::truncate.
struct TruncateTable {
  RelationId relation;
  TransactionMark transaction;
  std::uint32_t ordinal = 0;
};
/// From `from`'s shape to `to`'s: columns added at the end; or only to its name. A log follows, and
/// keeps the columns that are dropped. Idempotent.
struct AlterTable {
  SchemaPtr from;
  SchemaPtr to;
  Lsn lsn;
};
/// What a CopyWriter wrote for this unit becomes the table, replacing the one there is; where
/// `mode` has a log its rows are added there as copied. A log that is there already is kept: a
/// truncate without a transaction comes before the rows.
///
/// A table that is copied in ranges: the rows of each are kept aside, where NetRows of landed
/// ranges reach them, until the last one lands; all of them are the table then.
struct LandUnit {
  enum class Part : std::uint8_t { kWhole, kRange, kLastRange };
  UnitId unit;
  SchemaPtr schema;
  TableName destination;
  Lsn lsn;
  TableMode mode = TableMode::kMirror;
  /// Of the rows in the log, whose ordinals are 1, 2, ...: above all changes that were logged
  /// before, below all that will be. Where an earlier copy has it too, its rows come first and the
  /// ordinals go on.
  Lsn log_lsn = {};
  Part part = Part::kWhole;
};
/// The source's table is gone, and the user wants it gone here too, with its log. Idempotent; its
/// record is removed by the commit that follows.
struct DropTable {
  RelationId relation;
  TableName destination;
};
using SequenceItem =
    std::variant<LogRows, NetRows, HistoryRows, TruncateTable, AlterTable, LandUnit, DropTable>;

/// P4. What became of an item; kUnknown means of the whole destination: re-open and replay.
struct TableFailed {
  RelationId relation;
  Error error;
};
struct StageOutcome {
  std::optional<TableFailed> table_failed;  ///< empty: taken
};

/// What one destination transaction ends with. Fields that did not change are empty.
struct CommitRecord {
  std::uint64_t sequence = 0;
  std::optional<Position> position = {};  ///< refused where it is below the stored one (I5)
  std::optional<PassedList> passed = {};  ///< always given together with `position`
  std::vector<TableRecord> tables = {};   ///< changed ones, whole records
  /// Newest commit time in it; for the position table.
  UnixMicros committed_at = {};
  /// Replaces the stored birth. Where no `position` comes with it, position, witness and P are
  /// forgotten: a new one, which may be lower, follows in a later commit.
  std::optional<Birth> birth = {};
};

enum class CommitOutcome : std::uint8_t {
  kAccepted,  ///< taken; durable and visible when the watermarks say so (for DuckDB: at return)
  kUnknown,   ///< it may or may not be in: Close, Open, read the position, replay
};

/// P2, P3. Both only rise; whole destination, in terms of CommitRecord::sequence.
struct Watermarks {
  std::uint64_t durable_sequence = 0;
  std::uint64_t visible_sequence = 0;
};

/// Writes one copied unit into its shadow, in transactions of its own without a position. One
/// thread at a time; different writers of one destination may be used by different threads at once.
class CopyWriter {
 public:
  virtual ~CopyWriter() = default;
  CopyWriter(const CopyWriter&) = delete;
  CopyWriter& operator=(const CopyWriter&) = delete;

  virtual Status Append(const CopiedRows& copied) = 0;
  /// Commits what was appended: durable, and still unlanded. The writer is finished afterwards.
  virtual Status Finish() = 0;

 protected:
  CopyWriter() = default;
};

struct CopyTarget {
  UnitId unit;
  SchemaPtr schema;
  TableName destination;
  std::optional<CopyRanges> ranges = {};  ///< the unit is one of these
};

/// P13. A pinned read transaction. Rows come in the carriers of sluice/schema.h, as they were
/// given.
class DestinationReader {
 public:
  virtual ~DestinationReader() = default;
  DestinationReader(const DestinationReader&) = delete;
  DestinationReader& operator=(const DestinationReader&) = delete;

  /// Calls `sink` with batches of the table's rows, of one of which only the log is kept those that
  /// follow from it; `columns`: indexes into schema.columns, in the
  /// order wanted. A sink that returns an error ends the scan with it.
  virtual Status Scan(const TableRecord& table, const std::vector<std::int32_t>& columns,
                      const std::function<Status(const RowsPtr&)>& sink) = 0;
  /// The delivery state as of this transaction.
  virtual Result<DeliveryState> State() = 0;

 protected:
  DestinationReader() = default;
};

class Destination {
 public:
  virtual ~Destination() = default;
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  virtual const Capabilities& capabilities() const = 0;

  /// Opens, takes the next epoch unless read-only, removes what unfinished copies left, reads the
  /// state back. Errors: kConfig (held by another process, not ours, another pipeline's),
  /// kDestination, kStateStore.
  virtual Result<DeliveryState> Open(const OpenRequest& request) = 0;

  /// Stores the intent durably; forgets every table, position and list of an earlier birth.
  virtual Status StoreBirth(const Birth& birth) = 0;

  /// Why this table cannot have this name and shape here; nullopt: it can. `adopt`: an existing one
  /// that is not ours may be used. Reads only.
  virtual Result<std::optional<Error>> CheckTable(const TableSchema& schema,
                                                  const TableName& destination, TableMode mode,
                                                  bool adopt) = 0;

  /// Makes an empty shadow for the unit (dropping what an earlier try left) and a writer into it.
  /// Ranges of one table may share a shadow: those of another plan begin when the writers of the
  /// one before are gone. Any thread.
  virtual Result<std::unique_ptr<CopyWriter>> OpenCopy(const CopyTarget& target) = 0;
  /// Removes the unit's shadow. Any thread, after its writer is gone.
  virtual Status DiscardCopy(UnitId unit) = 0;

  /// Take over one item of the ordered sequence. Nothing of it is visible or durable before the
  /// Commit() that follows. Errors: kConnection, kTimeout (re-open and replay), kDestination
  /// (stop).
  virtual Result<StageOutcome> Stage(const SequenceItem& item) = 0;
  /// Ends the transaction. kStateStore with code SLU-5004: a newer epoch exists, stop.
  virtual Result<CommitOutcome> Commit(const CommitRecord& record) = 0;
  /// Drops what was staged since the last commit.
  virtual void Abandon() = 0;

  /// Makes a Stage() or Commit() that is under way, and what copies and readers do at that moment,
  /// end soon with kCancelled; for a stop that cannot wait, which calls it again and again. Any
  /// thread.
  virtual void Interrupt() {}

  /// Adds to what is kept of a halted table, as a part of the open transaction, like Stage(). Only
  /// where Capabilities::keeps_changes, and while TableRecord::kept is set. Errors: as Stage().
  virtual Status Keep(RelationId relation, const std::vector<KeptChange>& changes) {
    (void)relation, (void)changes;
    return KeepsNothing();
  }
  /// Forgets them up to and with `through`, but for the newest version among them.
  virtual Status DropKept(RelationId relation, std::uint64_t through) {
    (void)relation, (void)through;
    return KeepsNothing();
  }
  /// The first ones behind `after`, as the open transaction sees them: at most `count_max`, and of
  /// `bytes_max` together, but one where there is one; none: there are none. Errors: as Stage().
  virtual Result<std::vector<KeptChange>> ReadKept(RelationId relation, std::uint64_t after,
                                                   std::size_t count_max, std::size_t bytes_max) {
    (void)relation, (void)after, (void)count_max, (void)bytes_max;
    return KeepsNothing();
  }

  /// Called by the destination whenever a watermark moved; may be called from inside Commit() or
  /// another thread.
  virtual void OnWatermark(std::function<void(const Watermarks&)> listener) = 0;

  /// Called by the writer when it has nothing to do: checkpoints, compaction. Bounded by
  /// `deadline`.
  virtual Status Maintain(Clock::time_point deadline) = 0;

  /// Any thread; nullptr where there is no read side.
  virtual Result<std::unique_ptr<DestinationReader>> OpenReader() = 0;

  /// Drops schema `sluice` and shadows; the mirrored tables stay. For `sluice drop`.
  virtual Status Forget() = 0;

  /// Ends gracefully within the deadline; safe to call twice.
  virtual Status Close(Clock::time_point deadline) = 0;

 protected:
  Destination() = default;

 private:
  static Error KeepsNothing() {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "this destination keeps no changes of halted tables",
                 .code = "SLU-9001"};
  }
};

}  // namespace sluice
