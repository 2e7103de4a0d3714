/// \file
/// The thread that owns the destination: takes change sets in commit order, asks the table machine
/// what becomes of each transaction, and commits rows, states, P and position in one destination
/// transaction.
///
///   loop: take a call or a change set
///         set:  per table  live -> lift, fold, Stage | copying -> hold what S does not see | else
///         drop
///               at a boundary: the machine learns that the transactions are passed;
///               Commit(position, P, changed tables)
///         then: units whose copy is in and whose insert LSN has been passed land, each in a commit
///         of its own; first copies for which nothing is held up to 20 in one
///
/// A table whose shape changed in a way that no stream tells copies itself again, at most
/// WriterOptions::copies_again_max times in copies_again_window, later ones wait; its old contents
/// stay until then.
///
/// A table that cannot go on halts alone: what was staged is abandoned, the set is staged again
/// without it. One that was live keeps its changes from there on, undecoded, at the destination:
/// the stream begins again at the position and brings them so. Resume() applies them in pieces.
/// Where nothing is kept, and earlier pieces of its transaction were staged, the inbox refuses the
/// rest and the stream begins again at the position (SLU-3090); copies go on.
///
/// Thread safety: Run() (or Turn() again and again) on one thread; the steps below it run on that
/// thread, through inbox().CallAndWait(). Lifetime: destination, progress, latency, logger must
/// outlive it. Limits: the inbox in bytes; held changes in memory, then on disk (HeldChanges).
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "sluice/destination.h"

#include "base/mutex.h"
#include "engine/commits_in_flight.h"
#include "engine/fence.h"
#include "engine/held_changes.h"
#include "engine/kept_changes.h"
#include "engine/progress.h"
#include "engine/status.h"
#include "engine/table_renames.h"
#include "engine/table_stager.h"
#include "engine/writer_inbox.h"
#include "replication/table_machine.h"
#include "telemetry/log.h"
#include "types/name_map.h"
#include "types/table_rules.h"

namespace sluice::engine {

struct WriterOptions {
  std::string spill_dir;
  std::size_t held_memory_bytes = std::size_t{64} << 20;
  std::size_t inbox_bytes = std::size_t{64} << 20;
  /// A fold works on at most this much at once when held changes land.
  std::size_t landing_bytes = std::size_t{32} << 20;
  /// A table that would have to be copied again more often than that waits.
  std::size_t copies_again_max = 3;
  Duration copies_again_window = std::chrono::minutes(10);
  /// What tables are called at the destination.
  types::NameMap names = {};
  /// What is kept of them there.
  types::TableRules rules = {};
  /// What halted tables may keep, together (0: nothing is kept), and for how long.
  std::uint64_t keep_bytes = 0;
  Duration keep_for = std::chrono::hours(24);
  /// Whether the stream is to bring the table's changes undecoded from its next start on; `again`:
  /// which is to be soon.
  std::function<void(RelationId relation, bool is_raw, bool again)> on_raw = {};
  /// As RelationRegistry::Redeclare().
  Redeclare redeclare = {};
};

/// What makes the rows that lie at the destination those that a copy's snapshot sees.
struct RowsPatch {
  std::shared_ptr<const NetChange> change;  ///< null: they are
};

class DeliveryWriter {
 public:
  DeliveryWriter(Destination& destination, DeliveryState restored, WriterOptions options,
                 Progress& progress, LatencyWindow& latency, telemetry::Logger& logger);
  ~DeliveryWriter();
  DeliveryWriter(const DeliveryWriter&) = delete;
  DeliveryWriter& operator=(const DeliveryWriter&) = delete;

  WriterInbox& inbox() { return inbox_; }

  /// Until the inbox is closed and drained.
  /// Errors: of the destination (kConnection, kTimeout: re-open and replay; else stop).
  Status Run();
  /// One turn of Run(): an item of the inbox, waited for until `deadline`, and what follows from
  /// it. False: the inbox is closed and drained.
  Result<bool> Turn(Clock::time_point deadline);
  /// For a stop that cannot wait: what waits for the destination ends soon with kCancelled. Any
  /// thread.
  void Interrupt();

  // Steps, on the writer's thread, between two turns, only at_boundary().
  // ----------------------------------------------------------------------------------
  /// Not inside a source transaction. (The inbox runs calls only there.)
  bool at_boundary() const { return !in_transaction_; }
  replication::TableMachine& machine() { return machine_; }
  /// False: it was copied again too often in a short time, its next copy waits.
  bool MayCopy(RelationId relation) const;
  /// The table may be copied in ranges: it could begin now, and its last copy in ranges did not
  /// have to begin again.
  bool MayCopyInRanges(RelationId relation) const;
  Result<replication::CopyStart> BeginUnit(UnitId unit);
  Result<replication::SnapshotVerdict> OfferSnapshot(const replication::CopyTicket& ticket,
                                                     replication::CopySnapshot taken);
  /// \param patch lands on the rows that lie there, in place of a copy; the unit's schema is
  /// theirs. False: the copy was given up meanwhile; discard it.
  Result<bool> CopyFinished(const replication::CopyTicket& ticket, std::int64_t row_count,
                            Lsn flushed, const MisfitCounts& misfits = {},
                            std::optional<RowsPatch> patch = {});
  /// False: the copy was given up before; what became of it says nothing about the table.
  Result<bool> CopyFailed(const replication::CopyTicket& ticket);
  /// Or, where a copy heals the error, the table copies itself again. Nothing is kept of it: what
  /// comes behind this may not be in the stream.
  Status HaltTable(RelationId relation, const Error& error);
  /// What the catalog said of a live table when the log ended at catalog->since, which the stream
  /// has passed: the table gets that shape, in a commit of its own. False: not yet, or `known` is
  /// not what the table has any more.
  Result<bool> FollowCatalog(const SchemaPtr& known, const SchemaPtr& catalog);
  /// `sluice repair`, while the writer stands at the fence of `ticket`: rows of a live table in
  /// place of what the destination has under their keys, in a commit of their own at the position
  /// where it stands. Whoever calls back afterwards finds it committed. Errors: kTimeout (the fence
  /// was left), kSchemaConflict and the like of the table, which goes on as it was; of the
  /// destination.
  Status Replace(std::uint64_t ticket, const std::shared_ptr<const NetChange>& rows);
  /// Its next copy waits for nothing.
  Status Resync(RelationId relation);
  /// Applies what is kept of a halted table, piece by piece; then it is live. Returns when that is
  /// to be. Errors: kInvalidArgument SLU-1047 (not halted), kUnsupported SLU-1048 (nothing kept).
  Status Resume(RelationId relation);
  /// A table joins, in the state of its record. One that is known already is copied anew, or
  /// skipped for another reason.
  void Join(const TableRecord& record);
  /// It is not replicated any more; its rows stay as they are.
  void Skip(RelationId relation, const Error& error);
  /// It was dropped at the source: so it is here, and its record goes, in a commit of their own.
  Status DropTable(RelationId relation);
  /// Its record goes; nothing is done to the destination's table.
  Status Forget(RelationId relation);
  /// They have other names at the source: where they lie they get them in one destination
  /// transaction, or are copied again under them. Between transactions.
  /// Where the destination does not do so where a table lies it is copied again.
  Status RenameTables(const std::vector<TableRename>& renames);
  /// Commits changed table states although no transaction came.
  Status CommitStates();
  std::vector<TableRecord> Records() const;
  /// Where a source table is copied to. A table that was renamed lies under its old name until its
  /// next copy lands. Any thread.
  TableName DestinationOf(const TableName& source) const { return options_.names.For(source); }
  /// What is kept of it from its next copy on. Any thread.
  TableMode ModeOf(const TableName& source) const { return options_.rules.For(source).mode; }
  Fence& fence() { return fence_; }
  /// From now on none stops the change sets. Any thread.
  void GiveUpFences() { takes_fences_.store(false); }

  /// What is known of tables now, for display. Any thread.
  std::vector<TableStatus> Tables() const;
  /// No table waits for its copy, and readers see all that were copied. Any thread.
  bool AreCopiesVisible() const;
  std::optional<Witness> last_transaction() const { return last_transaction_; }

 private:
  Status HandleSet(ChangeSet set);
  /// An outcome with a failed table leaves a part staged: abandon it, halt the table.
  Result<StageOutcome> StageSet(const ChangeSet& set);
  Result<StageOutcome> StageTable(const TableChanges& changes,
                                  const std::vector<TransactionMark>& marks);
  Status HoldItem(UnitId unit, const ChangeItem& item, const std::vector<TransactionMark>& marks);
  /// The table cannot go on with the stream: copied again where that heals it, else halted.
  /// \return true: the stream brings everything behind the position again, to be kept.
  bool GiveUp(const TableFailed& failed, bool may_keep = true);
  bool Halt(RelationId relation, const Error& error, bool may_keep);

  // Of tables that are copied in ranges (delivery_writer_ranges.cc).
  Result<StageOutcome> StageRanges(const TableChanges& changes,
                                   const std::vector<TransactionMark>& marks);
  struct RoutedRows;
  Result<std::optional<Error>> Route(RelationId relation, const ChangeBatch& batch,
                                     const std::vector<TransactionMark>& marks, RoutedRows& rows);
  Status HoldRows(UnitId unit, ChangeBatch batch, const std::vector<TransactionMark>& marks);
  void CopyRangesAgain(RelationId relation, const Error& error);
  /// It is live, or gone: its next copy may be in ranges.
  void ForgetFailedRanges(RelationId relation);
  /// What its copies hold and have written is of no use any more.
  void DropCopies(RelationId relation);
  void DiscardCopy(UnitId unit, const TableName& source);

  Status CopyUnderName(RelationId relation, const TableName& source);
  bool ChangesSchema(const TableRename& rename) const;
  Result<std::size_t> StageRenames(const std::vector<TableRename>& steps,
                                   const std::map<RelationId, TableName>& sources);
  void NameInAdvice(RelationId relation, const TableName& source);
  void TakeRaw(RelationId relation, bool is_raw, bool again);
  /// As WriterOptions::redeclare, under the name that the table has now.
  Redeclare RedeclareFor(RelationId relation) const;

  // Of halted tables (delivery_writer_kept.cc).
  Status KeepChanges(const TableChanges& changes, const std::vector<TransactionMark>& marks);
  void StopKeeping(RelationId relation, const Error& why);
  std::uint64_t KeepBytesLeft() const;
  void DropOldKept();
  Status ResumeTables();
  struct Resumed {
    std::uint64_t through = 0;
    std::uint64_t bytes = 0;
    bool is_whole = false;  ///< nothing is left
  };
  Result<StageOutcome> StageKept(RelationId relation, Resumed& resumed);
  void StopResuming(const TableFailed& failed);

  void CopyAgain(RelationId relation, const Error& error);
  Status CommitPosition(Lsn end, const std::vector<TransactionMark>& marks);
  Status Commit(std::optional<Lsn> end, UnixMicros committed_at);
  void NoteDurable();
  void NoteBatch(const std::vector<TransactionMark>& marks);
  Status LandUnits();
  bool LandsTogether(UnitId unit) const;
  Status Land(std::span<const UnitId> units);
  Status GiveUpLanding(UnitId unit, const TableFailed& failed);
  /// For the log.
  struct Landed {
    UnitId unit;
    TableName source;
    bool is_range = false;
    std::uint32_t unit_count = 0;
    bool is_live = false;
  };
  /// It is part of the commit that follows.
  Landed NoteLanding(UnitId unit);
  Result<StageOutcome> StageLanding(UnitId unit);
  const TableRecord* HolderOfName(RelationId landing) const;
  bool IsNameInUse(RelationId landing) const;
  bool WantOneName(const TableRecord& one, const TableRecord& other) const;
  /// SLU-5115, of a table that is to land where another one lives.
  std::optional<Error> CheckName(RelationId landing) const;
  void ForgetReplaced(RelationId landed);
  void DropStream();
  void PublishTables();

  Destination& destination_;
  const WriterOptions options_;
  Progress& progress_;
  LatencyWindow& latency_;
  telemetry::Logger& logger_;
  WriterInbox inbox_;
  replication::TableMachine machine_;
  HeldChanges held_;
  Fence fence_;

  std::atomic<bool> takes_fences_{true};
  bool in_transaction_ = false;
  /// What the open destination transaction has of the stream, for display.
  struct Batch {
    Clock::time_point taken{};
    std::int64_t age_us = 0;
    std::int64_t row_count = 0;
  };
  Batch batch_;
  /// Whole transactions of pieces whose last one is not finished yet.
  std::vector<TransactionMark> pending_;
  Lsn position_;
  std::optional<Witness> last_transaction_;
  std::uint64_t sequence_ = 1;  // the birth had the first
  std::uint64_t noted_durable_ = 0;
  TableStager stager_;
  CommitsInFlight in_flight_;
  /// When tables began, or may begin, to copy themselves again; none is empty.
  std::map<RelationId, std::deque<Clock::time_point>> copied_again_;
  /// Where the stream stood when a copy that is under way began.
  std::map<UnitId, Lsn> copy_began_;
  /// Tables whose copy in ranges had to begin again: the next one is of the whole.
  std::set<RelationId> not_in_ranges_;
  /// Tables whose copy in ranges met one TRUNCATE; with the next one the copy is of the whole.
  std::set<RelationId> truncated_in_ranges_;
  std::map<UnitId, RowsPatch> patches_;  ///< of copies that were comparisons
  std::set<RelationId> resuming_;
  std::size_t resume_rows_ = 5000;  ///< applied at once; follows the time that takes
  Clock::time_point resume_next_{};
  Clock::time_point old_kept_dropped_at_{};
  Clock::time_point publish_next_{};
  bool is_published_ = true;  ///< as the tables are now
  Clock::time_point committed_at_{};
  std::optional<Clock::time_point> land_by_;  ///< finished first copies wait for others until then
  /// The last commit when no table waited for its copy any more; 0: one does.
  std::atomic<std::uint64_t> settled_sequence_{0};

  mutable base::Mutex shared_mutex_;
  std::vector<TableStatus> published_ SLUICE_GUARDED_BY(shared_mutex_);
};

}  // namespace sluice::engine
