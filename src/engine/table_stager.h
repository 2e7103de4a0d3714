/// \file
/// Changes of tables on their way into the open destination transaction: lifted to the table's
/// shape, folded to their net effect, or made rows of its log, or both, staged, counted.
///
///   { Apply | Land | CountDropped }* -> Settle, then the destination's Commit
///                                    -> or Abandon: nothing of it happened, nothing was counted
///
/// What staged changes do to a table's record (its shape, its rows, its last change) is kept here
/// until they are committed: the machine never knows more than the destination's next commit says.
///
/// Thread safety: the delivery writer's thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "sluice/destination.h"

#include "engine/misfit_counts.h"
#include "replication/history_change.h"
#include "replication/net_change_fold.h"
#include "replication/table_machine.h"
#include "telemetry/log.h"

namespace sluice::engine {

/// Changes per table since start, for display.
struct TableCounters {
  std::int64_t inserted = 0;
  std::int64_t updated = 0;
  std::int64_t deleted = 0;
  std::int64_t truncates = 0;
  std::int64_t dropped = 0;  ///< arrived while it was halted
  MisfitCounts misfits;
};

class TableStager {
 public:
  TableStager(Destination& destination, const replication::TableMachine& machine,
              telemetry::Logger& logger)
      : destination_(destination), machine_(machine), logger_(logger) {}

  /// Changes of one table, in order. A table that failed leaves a part staged: abandon it.
  Result<StageOutcome> Apply(RelationId relation, std::vector<ChangeItem> items,
                             const std::vector<TransactionMark>& marks);
  /// The unit's copy becomes the table; its held changes follow by Apply().
  Result<StageOutcome> Land(const LandUnit& item);
  /// The same where the rows that lie there become the table, by this change; null: as they are.
  Result<StageOutcome> LandInPlace(const SchemaPtr& schema,
                                   const std::shared_ptr<const NetChange>& change);
  /// The catalog was read and the stream has passed that point: the table gets its shape although
  /// no row came. Between transactions.
  Result<StageOutcome> Follow(const SchemaPtr& catalog) { return AlterTo(catalog, catalog->since); }
  /// Rows as the source has them at this very position, in place of what is there.
  Result<StageOutcome> Replace(const std::shared_ptr<const NetChange>& rows) {
    return Stage(NetRows{rows});
  }
  /// It gets another name and nothing else, `from` and `to` at the destination; at the source it is
  /// `source` now. Between transactions.
  Result<StageOutcome> Rename(RelationId relation, const TableName& from, const TableName& to,
                              const TableName& source);
  /// Between transactions, and before any row of this one.
  Result<StageOutcome> Drop(const DropTable& item) { return Stage(item); }
  /// Changes of a halted table whose record says that they are kept. An error inside the optional
  /// is the table's: from here on nothing can be kept any more, and nothing was staged.
  Result<std::optional<Error>> Keep(RelationId relation, const std::vector<ChangeItem>& items,
                                    const std::vector<TransactionMark>& marks,
                                    std::uint64_t bytes_left);
  /// Nothing more is kept of it: with the next commit.
  void StopKeeping(RelationId relation) {
    effects_[relation].stops_keeping = true;
    has_staged_ = true;
  }
  /// What is kept of it, as it will be committed.
  std::optional<KeptChanges> Kept(RelationId relation) const;
  /// Kept changes up to `through` were applied.
  Status DropKept(RelationId relation, std::uint64_t through, std::uint64_t bytes);
  void CountDropped(RelationId relation, const ChangeItem& item);
  /// Of a copy that has ended, or of changes that are settled. The log hears of each column once.
  void CountMisfits(RelationId relation, const TableName& source, const MisfitCounts& misfits);

  /// All that was staged is about to be committed: the records say so.
  void Settle(replication::TableMachine& machine);
  void Abandon();

  /// The open destination transaction has something to commit.
  bool has_staged() const { return has_staged_; }
  /// Of what was settled.
  const TableCounters& counters(RelationId relation) { return counters_[relation]; }

 private:
  /// What is staged of one table and not committed.
  struct Effect {
    SchemaPtr shape;  ///< null: as in its record
    std::optional<TableMode> mode;
    TableCounters counters;
    bool is_truncated = false;
    bool is_landed = false;       ///< all of it, in this transaction
    std::int64_t rows_delta = 0;  ///< since the truncate, if there was one
    std::optional<TransactionMark> last;
    std::optional<KeptChanges> kept;
    bool stops_keeping = false;
  };

  Result<StageOutcome> ApplyLog(RelationId relation, std::vector<ChangeItem>& items,
                                const std::vector<TransactionMark>& marks);
  Result<StageOutcome> ApplyNet(RelationId relation, std::vector<ChangeItem>& items,
                                const std::vector<TransactionMark>& marks);
  Result<StageOutcome> ApplyToRanges(const SchemaPtr& shape, std::vector<ChangeItem>& items);
  /// What landed ranges of a table look like that is not whole; null: it is.
  SchemaPtr RangesShape(RelationId relation) const;
  SchemaPtr Shape(RelationId relation) const;
  /// The table at the destination gets the shape of the newest of these rows.
  Result<StageOutcome> BringTo(RelationId relation, std::vector<ChangeItem>& items,
                               const std::vector<TransactionMark>& marks);
  Result<StageOutcome> AlterTo(const SchemaPtr& schema, Lsn lsn);
  /// Changes of one table in order, under one key.
  struct Run {
    std::vector<replication::FoldItem> fold;
    std::vector<replication::HistoryItem> log;
  };
  TableMode Mode(RelationId relation) const;
  Result<StageOutcome> StageRun(const SchemaPtr& shape, const Run& run,
                                const std::vector<TransactionMark>& marks);
  Result<StageOutcome> StageFolded(const SchemaPtr& shape,
                                   const std::vector<replication::FoldItem>& fold);
  Result<StageOutcome> Stage(const SequenceItem& item);
  static void Count(Effect& effect, const ChangeItem& item);

  Destination& destination_;
  const replication::TableMachine& machine_;
  telemetry::Logger& logger_;
  std::map<RelationId, Effect> effects_;
  bool has_staged_ = false;
  /// Kept last, per table; forgotten where it may have come to nothing.
  std::map<RelationId, SchemaPtr> kept_versions_;
  std::map<RelationId, TableCounters> counters_;
};

}  // namespace sluice::engine
