/// \file
/// What TransactionAssembler keeps; its functions are in transaction_assembler.cc (messages, direct
/// transactions) and transaction_assembler_streamed.cc (blocks, aborts, release, spilling).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "columnar/raw_rows.h"
#include "pgoutput/decoder.h"
#include "replication/oid_map.h"
#include "replication/open_set.h"
#include "replication/staged_transaction.h"
#include "replication/transaction_assembler.h"

namespace sluice::replication {

/// One relation, across transactions: its part of the open set, and what its last committed or
/// direct Relation message said.
struct TrackedRelation {
  OpenTable open;
  RelationEntry entry;
};

/// A committed streamed transaction on its way into sets.
struct Release {
  std::unique_ptr<StagedTransaction> log;
  Lsn end_lsn;
  std::size_t bytes_left = 0;  ///< of rows still in memory
  std::size_t next_item = 0;
  bool is_restore_asked = false;
  std::optional<ChangeBatch> restored;
};

struct TransactionAssembler::State {
  State(const AssemblerOptions& assembler_options, Lsn durable_end,
        std::optional<Witness> expected_witness, RelationResolver& relation_resolver,
        MessageListener* message_listener)
      : options(assembler_options),
        durable(durable_end),
        witness(expected_witness),
        resolver(relation_resolver),
        listener(message_listener),
        set(durable_end) {}

  enum class Where : std::uint8_t { kBetween, kInDirect, kInBlock };

  // transaction_assembler.cc
  Status Consume(std::span<const std::byte> message);
  Status Dispatch(base::ByteReader& in, pgoutput::MessageKind kind);
  Status OnBegin(const pgoutput::Begin& begin);
  Status OnCommit(const pgoutput::Commit& commit);
  Status OnRow(base::ByteReader& in, pgoutput::MessageKind kind, std::size_t wire_bytes);
  Status OnDirectRow(base::ByteReader& in, const pgoutput::RowHeader& header,
                     std::size_t wire_bytes);
  Status OnRelation(const pgoutput::Relation& relation);
  Status ResolveNow(const pgoutput::Relation& relation);
  Status Describe(RelationId relation, Resolution resolution, std::size_t sent_columns);
  void Defer(RelationId relation);
  /// What skipped transactions said of it, and of what may be its partitions, is looked at now.
  Status ResolveDeferred(RelationId relation);
  Status ResolveMessage(std::span<const std::byte> relation);
  Status OnTruncate(const pgoutput::Truncate& truncate);
  Status OnDirectTruncate(const pgoutput::Truncate& truncate);
  Status OnMessage(const pgoutput::LogicalMessage& message);
  /// True: rows of it are decoded; else they are skipped, its failure told.
  bool TakesChanges(TrackedRelation& relation);
  Status KeepCells(const RelationEntry& entry, pgoutput::RowTuples& tuples);
  TrackedRelation* FindDescribed(RelationId relation);
  TrackedRelation& Track(RelationId relation);
  RelationContext context() const;
  /// Is the transaction durable already? Then it must agree with the witness.
  Result<bool> IsReplayed(TransactionId xid, Lsn commit_lsn, UnixMicros committed_at);
  pgoutput::Place place() const {
    return where == Where::kInBlock ? pgoutput::Place::kInStreamBlock
                                    : pgoutput::Place::kOutsideBlock;
  }
  /// The open set is closed if it is over its limits.
  void CloseAtBoundary();
  /// The same inside a transaction, if that alone is over the limits.
  void CutInTransaction();
  void CountRow(pgoutput::MessageKind kind);
  Status AppendRaw(base::ByteReader& in, pgoutput::MessageKind kind, const RelationEntry& entry,
                   columnar::TableBuilder& rows, std::uint32_t ordinal);

  // transaction_assembler_streamed.cc
  Status OnStreamStart(const pgoutput::StreamStart& start);
  Status OnStreamStop();
  Status OnStreamCommit(const pgoutput::StreamCommit& commit);
  Status OnStreamAbort(const pgoutput::StreamAbort& abort);
  Status OnStagedRow(base::ByteReader& in, const pgoutput::RowHeader& header,
                     std::size_t wire_bytes);
  Status OnStagedTruncate(const pgoutput::Truncate& truncate);
  bool TakesStagedChanges(StagedTable& table, std::uint32_t ordinal);
  Status DeliverMessages(const StagedTransaction& log, const pgoutput::StreamCommit& commit);
  /// What its Relation messages said holds from now on for direct transactions.
  void Promote(const StagedTransaction& log);
  void Forget(std::unique_ptr<StagedTransaction> log);
  /// Moves the release on until a set is ready or a batch must be read back.
  void AdvanceRelease();
  bool ReleaseItem(StagedItem& item);
  void FinishRelease();
  void SpillIfOverBudget();

  AssemblerOptions options;
  Lsn durable;
  std::optional<Witness> witness;
  RelationResolver& resolver;
  MessageListener* listener;

  Where where = Where::kBetween;
  pgoutput::TupleCells cells;
  std::vector<pgoutput::TupleCell> kept_row;  ///< of `cells`, where some are left out
  std::vector<pgoutput::TupleCell> kept_old;
  std::string raw_cell;
  AssemblerCounters counters;
  bool has_seen_witness = false;
  std::uint64_t relation_sequence = 0;

  // Direct transactions.
  OpenSet set;
  std::deque<ChangeSet> ready;
  std::size_t ready_bytes = 0;
  std::size_t ready_rows = 0;
  pgoutput::Begin begin;
  bool is_skipping = false;  ///< the direct transaction is durable already
  /// The last transaction that was found to be durable was never seen: it must have no changes.
  bool is_unknown = false;
  std::uint64_t next_ordinal = 0;
  std::vector<std::unique_ptr<TrackedRelation>> relations;
  OidMap<TrackedRelation> by_relation;
  TrackedRelation* last_relation = nullptr;
  /// Last Relation messages of skipped transactions: perhaps of an older version than the one that
  /// is in force, and of tables that do not change again.
  struct Deferred {
    std::vector<std::byte> message;
    std::set<RelationId> behind;  ///< came directly behind it: perhaps its partitions
  };
  std::map<RelationId, Deferred> deferred;
  RelationId last_deferred;
  std::span<const std::byte> current;  ///< the message that is consumed

  // Streamed ones.
  std::map<TransactionId, std::unique_ptr<StagedTransaction>> staged;
  StagedTransaction* block = nullptr;  ///< whose block is open
  std::size_t staged_row_bytes = 0;    ///< of all
  std::size_t staged_message_bytes = 0;
  std::optional<Release> release;
  std::vector<Action> actions;
};

/// A message in the wrong place (SLU-3103).
Error Misplaced(std::string_view what);
/// A change of a relation that no Relation message described (SLU-3104).
Error NotDescribed(RelationId relation);
/// 2^32 changes in one transaction (SLU-3107).
Error TooManyChanges();
/// A transaction that the mirror should have, and has not (SLU-3105).
Error OtherSource(Lsn commit_lsn);
/// Does the failure concern the table only, not the stream?
bool IsOfTable(ErrorKind kind);

}  // namespace sluice::replication
