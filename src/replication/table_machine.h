/// \file
/// Decides, for every table and every transaction, whether copy or stream brings it: exactly one of
/// the two.
///
///   unit     waiting -> holding -> copying -> copied -> landing -> live
///               ^__________|__________|__________|  (CopyFailed, Resync, restart)
///   table    pending -> copying -> live; halted from any; skipped
///
/// A *unit* is a part of a table that is copied and landed on its own: a whole table (index 0), or
/// one range of its key (SetRanges()), each under a snapshot of its own. The table is live once all
/// of its units are; until then each row is decided by the unit of its key.
///   waiting   its changes are dropped: a later copy will see them
///   holding   its changes are held from here on; a snapshot is being taken
///   copying   rows are read under snapshot S; what S sees is dropped, the rest held
///   copied    all rows are durable in the shadow and the server has flushed up to I
///   landing   rows + held changes + state + position are in a destination transaction that is not
///             durable yet; changes apply
///   live      changes apply; S is forgotten
///
/// Only `live` is durable, of a range too; a restart begins every other unit again, under a new
/// snapshot, which sees all that passed so far (the stored list P is the proof).
///
/// Use, in the delivery writer's thread:
///
///     for (const TableChanges& t : set.tables)
///       for each run of one transaction in t:  Decide(t.relation, mark)  -> apply, hold or drop
///     OnProcessed(set.transactions); OnPosition(set.end);
///     for (UnitId unit : Landable()) { stage LandUnit, held changes without DropsHeld(); Land(); }
///     OnServerSnapshot(...)                        // now and then: keeps P short
///     Commit({.sequence, .position, .passed = PassedAt(position),
///             .tables = TakeChangedRecords(sequence)});
///     OnDurable(sequence);                         // or OnReconnect() where it came to nothing
///
/// Copies are steered between two transactions, also by the writer: BeginUnit(), then in a copy
/// thread lock, snapshot, read; its messages come back as OfferSnapshot(), CopyFinished(),
/// CopyFailed(). Messages of a copy that was given up are told by their ticket and ignored.
///
/// Pure: no I/O, no clock, no thread. One object, one thread. Checked always (SLUICE_CHECK): steps
/// come at transaction boundaries, positions only rise, a unit lands only behind I.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/delivery_state.h"
#include "sluice/ids.h"
#include "sluice/lsn.h"
#include "sluice/result.h"
#include "sluice/schema.h"
#include "sluice/time.h"

#include "replication/passed_list.h"
#include "replication/snapshot.h"

namespace sluice::replication {

enum class UnitState : std::uint8_t { kWaiting, kHolding, kCopying, kCopied, kLanding, kLive };
const char* ToString(UnitState state);

enum class Decision : std::uint8_t { kApply, kHold, kDrop };

/// One try to copy a unit.
struct CopyTicket {
  UnitId unit;
  std::uint64_t attempt = 0;
  bool operator==(const CopyTicket&) const = default;
};

struct CopyStart {
  CopyTicket ticket;
  Suspects suspects;  ///< a copy; the machine judges again when the snapshot is offered
};

/// What a copy reads under.
struct CopySnapshot {
  Snapshot snapshot;  ///< S, taken after the table was locked
  Lsn insert_lsn;     ///< I: InsertLsnFloor() of the insert LSN read after S
  SchemaPtr schema;   ///< the table as S sees it
};

/// Why `sluice resume` cannot have this table: kInvalidArgument SLU-1047 (it is not halted),
/// kUnsupported SLU-1048 (nothing is kept of it). nullopt: it can.
std::optional<Error> WhyNoResume(const TableRecord& record);

class TableMachine {
 public:
  /// What Open() gave back. Tables that were being copied are pending again.
  explicit TableMachine(const DeliveryState& restored);

  // --- tables ------------------------------------------------------------------------------------

  /// A table that joins, in the state of the record (a record in kCopying begins as pending). A
  /// pending one whose record does not say `older_writers_done` waits for them first (G3).
  void AddTable(TableRecord record);
  /// The table left the selection: its record is handed out once more with was_removed, then
  /// forgotten. Discard its copy.
  void RemoveTable(RelationId relation);
  /// It was taken out of the publication and added again: what happened in between is in no stream.
  void Rejoined(RelationId relation, std::uint32_t publication_entry, UnixMicros now);
  /// Of a pending one: its copy waits for every transaction that is open now (G3).
  void AwaitOlderWriters(RelationId relation);
  /// It has another name at the source. Rows go to `destination` from the next landing on; a table
  /// that is there must have been renamed, or be copied again.
  void Rename(RelationId relation, TableName source, TableName destination);
  /// What is kept of it at the destination is another thing from the landing on.
  void SetMode(RelationId relation, TableMode mode);
  /// live, halted, copying or skipped -> pending. Other tables are untouched. Discard its copy, its
  /// held changes.
  void Resync(RelationId relation, UnixMicros now);
  /// Why it is pending: kept until it is live.
  void SetReason(RelationId relation, std::string reason);
  /// No change of it is applied from here on. Discard its copy, its held changes.
  void Halt(RelationId relation, const Error& error, UnixMicros now);
  void Skip(RelationId relation, const Error& error, UnixMicros now);
  /// What the destination keeps of a halted table; nullopt: nothing any more.
  void SetKept(RelationId relation, std::optional<KeptChanges> kept);
  void SetAdvice(RelationId relation, std::string reason, std::string advice);
  /// halted -> live: all that was kept is applied.
  void Resume(RelationId relation, UnixMicros now);
  /// The destination's table was altered to this version.
  void SetSchema(RelationId relation, SchemaPtr schema);
  /// Rows were staged: for the record.
  void CountApplied(RelationId relation, std::int64_t rows_delta, const TransactionMark& last);

  // --- G3: writers older than the membership -----------------------------------------------------

  /// Pending tables that need an id N read by pg_current_xact_id() after their membership was
  /// visible.
  std::vector<RelationId> NeedMembershipFloor() const;
  void WaitFor(RelationId relation, std::uint64_t floor);
  /// The shorter proof: none of the transactions that held a lock on it is listed any more.
  void OlderWritersDone(RelationId relation);

  /// The stream broke: perhaps the server crashed, and ids that it gave out will be given out
  /// again. Floors that were read before are asked for anew; what waited for one waits for a newer
  /// one.
  void ForgetFloors();

  // --- the stream --------------------------------------------------------------------------------

  /// What to do with the changes of `mark` for this table. `mark.end_lsn` may be 0 (a piece).
  Decision Decide(RelationId relation, const TransactionMark& mark);
  /// The same for one range of a table that is copied in ranges.
  Decision Decide(UnitId unit, const TransactionMark& mark) const;
  /// The same answer for every transaction? Saves the walk over the runs of a batch.
  std::optional<Decision> DecideAll(RelationId relation) const;
  /// No row of an unfinished table that this transaction touched will be applied: every range is
  /// yet to be read, or was read by a copy that sees it.
  bool IsBehindAllRanges(RelationId relation, const TransactionMark& mark) const;
  /// Rule 1. All changes of these were decided. A mark without end_lsn is a piece: the machine is
  /// not at a boundary until the rest has come. Errors: kProtocol, SLU-3021 (commits out of order).
  Status OnProcessed(std::span<const TransactionMark> transactions);
  /// ChangeSet::end, also a keepalive's.
  void OnPosition(Lsn position);
  bool at_boundary() const { return !in_transaction_; }
  Lsn processed() const { return processed_; }

  /// Any newer snapshot of the server: prunes P, ends G3 waits. \param flushed up to where the
  /// server's log was on disk before, if that is known: what ends before it and the snapshot sees
  /// never enters P.
  void OnServerSnapshot(const Snapshot& snapshot, Lsn flushed = {});

  // --- copies ------------------------------------------------------------------------------------

  /// The table is copied in these ranges. Only before its first unit begins; `landed` is ignored.
  void SetRanges(RelationId relation, CopyRanges ranges);
  /// The rest of a table can be read in this shape: its rows are those of the ranges that were read
  /// before. True for a stale ticket.
  bool FitsRanges(const CopyTicket& ticket, const TableSchema& schema) const;
  /// Rows of landed ranges were changed: for display.
  void CountInRanges(RelationId relation, std::int64_t rows_delta);
  /// The last one that is not landed.
  bool IsLastUnit(UnitId unit) const;

  /// Units that could begin now, one of each table.
  std::vector<UnitId> Startable() const;
  /// Copies that were begun and neither finished nor failed.
  std::vector<CopyTicket> Running() const;
  /// Rule 2, in one step: from here on the unit holds, and the suspects are P as of now. Only what
  /// is startable, at a boundary. The snapshot must be taken after this returns.
  CopyStart BeginUnit(UnitId unit);
  /// Rule 4. On kUsable the unit is copying under it.
  SnapshotVerdict OfferSnapshot(const CopyTicket& ticket, CopySnapshot taken, UnixMicros now);
  /// Rows are durable in the shadow and, read while the exporter's transaction was still open, the
  /// server had flushed `flushed` >= I (G2). False: the ticket is stale, discard the copy.
  bool CopyFinished(const CopyTicket& ticket, std::int64_t row_count, Lsn flushed);
  /// The unit waits again. Discard what is held for it. False: the ticket is stale.
  bool CopyFailed(const CopyTicket& ticket, UnixMicros now);

  /// A held change that S sees after all (it was held before S was known): not to be applied.
  bool DropsHeld(UnitId unit, const TransactionMark& mark) const;
  /// Rule 7: copied units whose I the stream has passed. At a boundary only.
  std::vector<UnitId> Landable() const;
  /// The landing was staged, as part of the commit that takes the position processed(). Keep its
  /// held changes until that is durable.
  void Land(UnitId unit, UnixMicros now);

  // --- commits -----------------------------------------------------------------------------------

  /// Rule 8: stored with every position.
  /// P as of now, for a fence (as BeginUnit() hands it to a copy).
  Suspects TakeSuspects() const { return passed_.TakeSuspects(); }
  PassedList PassedAt(Lsn position) const { return passed_.At(position); }
  /// TakeChangedRecords() has more to say than that copies began.
  bool has_news() const { return has_news_; }
  /// Records changed since the last call, for CommitRecord::tables. What was landed since then
  /// belongs to the same commit.
  std::vector<TableRecord> TakeChangedRecords(std::uint64_t sequence);
  /// Watermarks::durable_sequence: landings and records up to this commit are final.
  void OnDurable(std::uint64_t sequence);
  /// A new incarnation of the stream starts at `durable`; commits that OnDurable() was not called
  /// for came to nothing: their landings are to be staged again, their records are handed out
  /// again. (Where it is unknown what became of a commit, make a new machine from Open()'s state.)
  /// Copies go on if their exporter's transaction lives (else call CopyFailed); held changes for
  /// which HeldSurvives() is false are to be dropped: they come again.
  void OnReconnect(Lsn durable);
  /// Counts these: what was read at the server before the last one is not to be given to
  /// OnServerSnapshot().
  std::uint64_t incarnation() const { return incarnation_; }
  static bool HeldSurvives(const TransactionMark& mark, Lsn durable) {
    return mark.end_lsn.is_valid() && mark.end_lsn <= durable;
  }

  // --- P -----------------------------------------------------------------------------------------

  /// The slot was made at `position`.
  void OnBirth(Lsn position, const PassedList& passed);
  std::size_t passed_count() const { return passed_.size(); }
  bool needs_floor() const { return passed_.needs_floor(); }
  std::uint64_t floor_generation() const { return passed_.floor_generation(); }
  void SetFloor(std::uint64_t generation, std::uint64_t floor) {
    passed_.SetFloor(generation, floor);
  }

  // --- looking -----------------------------------------------------------------------------------

  bool has_table(RelationId relation) const { return tables_.contains(relation); }
  const TableRecord& record(RelationId relation) const;
  /// Null: it is not copied in ranges, or all of them are landed.
  const CopyRanges* ranges(RelationId relation) const;
  std::uint32_t unit_count(RelationId relation) const;
  UnitState unit_state(UnitId unit) const;
  /// Schema version of the unit's snapshot; null while it has none.
  SchemaPtr unit_schema(UnitId unit) const;
  std::vector<RelationId> tables() const;
  /// Transactions whose changes were dropped because the table is halted or skipped.
  std::uint64_t dropped_while_stopped(RelationId relation) const;

 private:
  struct Unit {
    UnitState state = UnitState::kWaiting;
    std::uint64_t attempt = 0;
    Suspects suspects;
    std::optional<CopySnapshot> taken;
    std::int64_t row_count = 0;
    std::uint64_t commit = 0;  ///< kLanding: the commit it belongs to; 0: the one being staged
  };
  struct Table {
    TableRecord record;
    std::vector<Unit> units;
    std::optional<CopyRanges> ranges;  ///< one unit each; until the last landing is durable
    std::optional<TableRecord> durable_record;  ///< as it was before changes not durable yet
    bool is_changed = false;
    std::uint64_t commit = 0;  ///< that has the record and is not durable yet; 0: none
    /// What was landed and given up again must be durable before its shadow may be made anew.
    bool awaits_durable = false;
    std::uint64_t membership_floor = 0;  ///< 0: not read yet
    std::uint64_t dropped_count = 0;
  };

  Table& At(RelationId relation);
  const Table& At(RelationId relation) const;
  Unit& At(UnitId unit);
  const Unit& At(UnitId unit) const;
  bool IsCurrent(const CopyTicket& ticket) const;
  Unit* OfTicket(const CopyTicket& ticket);
  void Change(Table& table);
  void Enter(Table& table, TableState state, UnixMicros now);
  void StartOver(Table& table);
  void Stop(RelationId relation, TableState state, const Error& error, UnixMicros now);
  static bool IsWhole(const Table& table);
  static void NoteLanded(Table& table);
  static void Reset(Unit& unit);
  static bool Sees(const Unit& unit, const TransactionMark& mark);
  static bool Waits(const Table& table);

  std::unordered_map<RelationId, Table> tables_;
  struct Removed {
    TableRecord record;
    std::uint64_t commit = 0;  ///< as in Table
  };
  std::vector<Removed> removed_;
  PassedTransactions passed_;
  std::uint64_t last_attempt_ = 0;
  std::uint64_t incarnation_ = 0;
  Lsn processed_;
  Lsn last_commit_;
  bool in_transaction_ = false;
  bool has_news_ = false;
};

}  // namespace sluice::replication
