/// \file
/// From pgoutput messages to change sets: committed transactions in commit order, in columns.
///
/// Pure: no socket, file, clock, thread. One incarnation of the stream, one object: after a
/// reconnect a new one begins at the durable position.
///
///   Begin .. Commit            decoded straight into the open set; many transactions share one set
///   StreamStart .. StreamStop  into the transaction's own log (staged_transaction.h); it becomes
///                              part of the output at StreamCommit, or is dropped at StreamAbort
///   Keepalive                  moves the end of the open set: an empty transaction
///
/// The caller's loop:
///
///     SLUICE_RETURN_IF_ERROR(assembler.Consume(data.wal_start, data.message));
///     while (assembler.is_busy()) {                   // rare: a set is full, something spills
///       for (Action& action : assembler.TakeActions()) {
///         // SpillBatch -> append to the xid's log; TruncateSpill, DropSpill -> the same log;
///         // RestoreBatch -> read it, then assembler.Restore(xid, index, std::move(batch))
///       }
///       if (assembler.has_ready()) Push(*assembler.Seal());   // may wait for room; read nothing
///     }
///     ...
///     if (writer_is_free && assembler.has_sealable()) Push(*assembler.Seal());
///
/// What leaves:
/// - A set is closed by size at a transaction boundary. Inside a transaction only once that
///   transaction alone has reached the limit: then it leaves in pieces (ends_at_boundary,
///   continues_previous). So memory is at most about twice the limits, plus one message.
/// - A streamed transaction is merged into the open set where it fits; else what was open leaves
///   first and it follows in pieces, read back one batch at a time where it was spilled.
/// - Ordinals count the surviving changes of all published relations, also of those that are
/// ignored
///   or failed; each relation of a TRUNCATE counts as one.
/// - Every table's first batch in this incarnation comes after a SchemaMark, as does every change
/// of
///   its SchemaPtr.
/// - A failure (Resolution::kFail, a value without exact form) is one TableFailure; the table's
///   later rows in that set are skipped, whatever their transaction. Every set in which rows of
///   direct transactions are skipped has its own. A streamed transaction has one, in the set where
///   it begins to be skipped; it vanishes with its subtransaction.
///
/// Replay: transactions whose commit LSN is below the durable end are skipped whole; their Relation
/// messages count, as the server will not repeat them. By SQL (asked_from) they are looked at when
/// a later change needs them: much may be skipped, and of older versions.
///
/// Errors: kProtocol SLU-3101, SLU-3102 (decoder), SLU-3103 (a message in the wrong place),
/// SLU-3104 (a change of a relation that was not described), SLU-3021 (commits out of order);
/// kConfig SLU-3105 (the witness differs: another source); kUnsupported SLU-3107 (over 4 billion
/// changes in a transaction). After an error the object is spent. Thread safety: one object, one
/// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/delivery_state.h"
#include "sluice/lsn.h"
#include "sluice/result.h"

#include "replication/relation_resolver.h"

namespace sluice::replication {

struct AssemblerOptions {
  /// A set is closed when it has so many rows or transactions, or bytes, or its tables together so
  /// many columns, where a table by itself is OpenSet::kTableColumns: a destination takes up memory
  /// for each, however few rows there are.
  std::size_t batch_rows = 65'536;
  std::size_t batch_bytes = 16U << 20;
  std::size_t batch_columns = 65'536;
  /// Rows of open streamed transactions in memory; beyond it they spill.
  std::size_t staging_bytes = 128U << 20;
  /// Wanted logical messages kept in memory for open streamed transactions, all together;
  /// what is beyond it is dropped.
  std::size_t message_bytes_max = 16U << 20;
  /// The witness is the last transaction with changes before the durable end; without one there is
  /// none that could come again.
  bool knows_past = false;
  /// What commits before it was not asked for, and comes all the same where the log is read by SQL:
  /// it proves nothing.
  Lsn asked_from = {};
};

/// Keep a batch of an open streamed transaction on disk. `index` counts up from 0 per xid.
struct SpillBatch {
  TransactionId xid;
  std::uint32_t index = 0;
  ChangeBatch batch;
};
/// An abort took back what was spilled last: keep the first `count` batches.
struct TruncateSpill {
  TransactionId xid;
  std::uint32_t count = 0;
};
/// Read it and answer with Restore().
struct RestoreBatch {
  TransactionId xid;
  std::uint32_t index = 0;
};
/// The transaction is over, or aborted: nothing of it is needed any more.
struct DropSpill {
  TransactionId xid;
};
/// To be carried out in order.
using Action = std::variant<SpillBatch, TruncateSpill, RestoreBatch, DropSpill>;

struct AssemblerCounters {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;    ///< of messages
  std::uint64_t inserts = 0;  ///< decoded, also in streamed transactions that abort later
  std::uint64_t updates = 0;
  std::uint64_t deletes = 0;
  std::uint64_t truncates = 0;
  std::uint64_t skipped_rows = 0;  ///< not decoded: ignored or failed tables, replayed transactions
  std::uint64_t transactions = 0;  ///< committed ones that went into sets
  std::uint64_t replayed_transactions = 0;
  std::uint64_t streamed_transactions = 0;  ///< of `transactions`
  std::uint64_t aborts = 0;                 ///< StreamAbort messages
  std::uint64_t logical_messages = 0;
  std::uint64_t spilled_batches = 0;
  std::uint64_t spilled_bytes = 0;  ///< as held in memory before
};

class TransactionAssembler {
 public:
  /// \param durable_end the destination's position: what ends there or before is in.
  /// \param witness the last durable transaction, if the stream was asked to begin at its commit.
  ///     Where options.knows_past, any other one with changes that ends at durable_end or before is
  ///     SLU-3105: the source has another past.
  /// \param resolver must outlive this. \param listener may be null; must outlive this.
  TransactionAssembler(const AssemblerOptions& options, Lsn durable_end,
                       std::optional<Witness> witness, RelationResolver& resolver,
                       MessageListener* listener = nullptr);
  ~TransactionAssembler();
  TransactionAssembler(TransactionAssembler&&) noexcept;
  TransactionAssembler& operator=(TransactionAssembler&&) noexcept;

  /// One pgoutput message, from XLogData. Not while is_busy(): then an error of kind kInternal.
  Status Consume(Lsn wal_start, std::span<const std::byte> message);
  /// A keepalive's wal_end. Ignored inside a direct transaction and while is_busy().
  void Keepalive(Lsn wal_end);

  /// The log is read again from some earlier place: what ends at end() or before is skipped.
  /// \pre at_boundary(), and nothing streamed is open.
  void ReadAgain();

  /// There are actions to take, sets to take, or batches to restore before the next message.
  bool is_busy() const;
  /// What must happen outside, in order. Empties the list.
  std::vector<Action> TakeActions();
  /// The answer to RestoreBatch. \pre it was asked for.
  void Restore(TransactionId xid, std::uint32_t index, ChangeBatch batch);

  /// A set was closed by size or order: take it with Seal().
  bool has_ready() const;
  /// Seal() has something: a ready set, or at a boundary transactions or a moved end.
  bool has_sealable() const;
  /// The next set. nullopt: nothing new, or inside a transaction that is not over its limit.
  std::optional<ChangeSet> Seal();

  /// No direct transaction is half received and none is being released. Open streamed transactions
  /// do not count.
  bool at_boundary() const;
  /// Of the open set and of sets that are ready; about.
  std::size_t open_bytes() const;
  std::size_t open_rows() const;
  /// Streamed transactions that are open.
  std::size_t staged_transactions() const;
  /// Their bytes in memory; about.
  std::size_t staged_bytes() const;
  /// Where the open set would end if it were sealed now.
  Lsn end() const;
  /// The transaction asked for once more has come, and is the same.
  bool has_seen_witness() const;
  const AssemblerCounters& counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::replication
