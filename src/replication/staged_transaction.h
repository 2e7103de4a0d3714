/// \file
/// The log of one streamed transaction that is still open: its surviving changes, columnar, in
/// order.
///
/// One log per top-level transaction, however many subtransactions it has. A subtransaction is only
/// remembered by the place of its first change: those that are open form a stack and a released one
/// can only be rolled back with the one it lies in, so that what an abort takes back is always
/// everything from its first change on.
///
///     changes   0  1  2  3  4  5  6      subtransactions   a from 1, b from 3
///     abort of b: 3.. go, the next change is 3 again; abort of a: 1.. go
///
/// Items are batches, truncates and failures, appended when they are sealed. Each knows how far the
/// transaction was then (`sealed_at`), so that an abort looks only at items that it may concern.
///
/// Spilling turns batches into references by index; the caller moves them to disk. What an abort
/// takes back of such a batch is cut when it comes back (`keep_below`).
/// Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "sluice/change_set.h"

#include "replication/oid_map.h"
#include "replication/open_set.h"
#include "replication/relation_resolver.h"

namespace sluice::replication {

/// What the last Relation message of a table said.
struct RelationEntry {
  bool is_known = false;
  Resolution resolution;
  std::size_t sent_columns = 0;  ///< of the message
  bool is_failure_told = false;  ///< kFail: its TableFailure is in the log
  std::uint64_t sequence = 0;    ///< of the Relation message; later ones are greater
};

/// One table's part in the log.
struct StagedTable {
  RelationId relation;
  RelationEntry entry;
  std::uint64_t entry_epoch = 0;  ///< the entry holds while it is the log's
  MeasuredBuilder rows;
  std::uint32_t last_ordinal = 0;  ///< of the open rows; an upper bound
  bool has_run = false;
  bool has_failed = false;  ///< a value had no exact form: the rest is skipped
};

struct SpilledBatch {
  std::uint32_t index = 0;
};

struct StagedFailure {
  Error error;
  bool is_of_value = false;  ///< not of the Relation: the rest of the table's rows are skipped
};

struct StagedItem {
  StagedTable* table = nullptr;
  std::uint32_t first_ordinal = 0;
  std::uint32_t last_ordinal = 0;
  std::uint64_t sealed_at = 0;
  std::size_t row_count = 0;
  std::size_t bytes = 0;
  std::optional<std::uint32_t> keep_below;  ///< spilled, and cut by an abort since
  std::variant<ChangeBatch, SpilledBatch, TruncateMark, StagedFailure> what;
};

/// A wanted logical message; delivered at the commit.
struct StagedMessage {
  std::uint32_t ordinal = 0;
  Lsn lsn;
  std::string prefix;
  std::string content;
};

class StagedTransaction {
 public:
  struct Limits {
    std::size_t batch_rows = 0;
    std::size_t batch_bytes = 0;
  };
  /// A batch that leaves memory.
  struct Spill {
    std::uint32_t index = 0;
    ChangeBatch batch;
  };

  StagedTransaction(TransactionId xid, Limits limits) : xid_(xid), limits_(limits) {}

  /// A message of this (sub)transaction comes next.
  void Enter(TransactionId xid) {
    if (xid != last_xid_) EnterOther(xid);
  }
  /// The place of a change. \pre !is_full().
  std::uint32_t NextOrdinal() { return static_cast<std::uint32_t>(next_ordinal_++); }
  /// No change of it survives.
  bool is_empty() const { return next_ordinal_ == 0; }
  bool is_full() const { return next_ordinal_ >= ~std::uint32_t{0}; }

  StagedTable& TableFor(RelationId relation);
  /// nullptr: no Relation message holds.
  StagedTable* FindDescribed(RelationId relation);
  void Describe(StagedTable& table, RelationEntry entry);

  columnar::TableBuilder& RowsFor(StagedTable& table, const SchemaPtr& schema);
  void AddedRow(StagedTable& table, std::uint32_t ordinal, std::size_t wire_bytes);
  void AddTruncate(StagedTable& table, std::uint32_t ordinal);
  void AddFailure(StagedTable& table, std::uint32_t ordinal, StagedFailure failure);
  void AddMessage(StagedMessage message);

  /// Take back a subtransaction; one without changes here: only relations are forgotten.
  /// \returns the number of spilled batches to keep, if fewer than before.
  std::optional<std::uint32_t> Abort(TransactionId subxid);

  /// Open rows become items: before reading items() at the commit.
  void SealAll();
  /// Everything in memory leaves it.
  std::vector<Spill> SpillAll();

  TransactionId xid() const { return xid_; }
  std::vector<StagedItem>& items() { return items_; }
  const std::vector<StagedMessage>& messages() const { return messages_; }
  const std::vector<std::unique_ptr<StagedTable>>& tables() const { return tables_; }
  bool is_described(const StagedTable& table) const {
    return table.entry.is_known && table.entry_epoch == epoch_;
  }
  /// Rows in memory: what spilling frees. About.
  std::size_t row_bytes() const { return row_bytes_; }
  /// All it holds. About.
  std::size_t bytes() const {
    return row_bytes_ + message_bytes_ + items_.size() * sizeof(StagedItem) +
           subtransactions_.size() * kSubtransactionBytes;
  }
  std::size_t message_bytes() const { return message_bytes_; }
  /// Of items(); exact after SealAll().
  std::size_t row_count() const;
  bool has_spilled() const { return has_ever_spilled_; }

 private:
  struct Subtransaction {
    TransactionId xid;
    std::uint64_t first_ordinal = 0;
    std::size_t message_count = 0;  ///< before it
  };
  static constexpr std::size_t kSubtransactionBytes = sizeof(Subtransaction) + 48;

  void EnterOther(TransactionId xid);
  void Seal(StagedTable& table);
  void Push(StagedItem item);
  bool CutItems(std::uint64_t ordinal);
  bool CutItem(StagedItem& item, std::uint64_t ordinal);
  std::optional<std::uint32_t> SpilledNow();
  void AddRowBytes(std::ptrdiff_t change);

  TransactionId xid_;
  Limits limits_;
  std::uint64_t next_ordinal_ = 0;
  std::vector<std::unique_ptr<StagedTable>> tables_;
  OidMap<StagedTable> by_relation_;
  StagedTable* last_table_ = nullptr;
  std::uint64_t epoch_ = 0;  ///< counts aborts: each makes the server describe relations again
  std::vector<StagedItem> items_;
  std::vector<StagedMessage> messages_;
  /// Ascending by first change; those taken back are gone. The map finds one by its xid.
  std::vector<Subtransaction> subtransactions_;
  std::unordered_map<TransactionId, std::size_t> subtransaction_at_;
  TransactionId last_xid_ = xid_;
  std::size_t row_bytes_ = 0;
  std::size_t message_bytes_ = 0;
  std::size_t spill_from_ = 0;  ///< no item before it has rows in memory
  std::uint32_t spilled_count_ = 0;
  bool has_ever_spilled_ = false;
};

}  // namespace sluice::replication
