/// \file
/// Row changes on their way from the stream to a destination: columnar, immutable, shared by
/// pointer.
///
///   ChangeBatch   rows of one table under one schema version, in commit order, as decoded ("log")
///   NetChange     what is left of them after the net-change fold ("net")
///   ChangeSet     everything of some consecutive transactions (or a piece of a huge one): what
///   crosses threads
///
/// Arrow C++ is only named here. A consumer without it exports a batch with ExportRows()
/// (arrow_c_data.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "sluice/ids.h"
#include "sluice/lsn.h"
#include "sluice/result.h"
#include "sluice/schema.h"
#include "sluice/time.h"

namespace arrow {
class RecordBatch;
}

namespace sluice {

/// Immutable by convention once it is in one of the structs below.
using RowsPtr = std::shared_ptr<arrow::RecordBatch>;

/// One bit a row; an empty one reads as all false, whatever the row.
class RowBits {
 public:
  bool operator[](std::size_t row) const {
    return row / 64 < words_.size() && ((words_[row / 64] >> (row % 64)) & 1U) != 0;
  }
  void Set(std::size_t row) {
    if (row / 64 >= words_.size()) words_.resize(row / 64 + 1);
    words_[row / 64] |= std::uint64_t{1} << (row % 64);
  }
  /// Forget every row from `row_count` on.
  void Truncate(std::size_t row_count) {
    if (row_count / 64 >= words_.size()) return;
    words_.resize(row_count / 64 + 1);
    words_.back() &= (std::uint64_t{1} << (row_count % 64)) - 1;
  }
  bool any() const {
    for (const std::uint64_t word : words_) {
      if (word != 0) return true;
    }
    return false;
  }
  void clear() { words_.clear(); }
  RowBits Slice(std::size_t begin, std::size_t end) const {
    RowBits out;
    for (std::size_t row = begin; row < end; ++row) {
      if ((*this)[row]) out.Set(row - begin);
    }
    return out;
  }

 private:
  std::vector<std::uint64_t> words_;
};

enum class ChangeKind : std::uint8_t { kInsert, kUpdate, kDelete };

/// A committed transaction of the source.
struct TransactionMark {
  TransactionId xid{};
  Lsn commit_lsn{};  ///< LSN of the commit record; orders transactions
  Lsn end_lsn{};     ///< first byte after it: the position; 0 while only a piece of it has come
  UnixMicros committed_at{};  ///< not monotonic (T80): data, never order
  /// Nothing published of it survived. The server may leave such a one out when it is asked again.
  bool is_empty = false;
};

/// Rows from `first_row` on, up to the next run, belong to ChangeSet::transactions[transaction].
struct TransactionRun {
  std::uint32_t transaction = 0;
  std::uint32_t first_row = 0;
};

/// A cell whose value has no exact form and became NULL, as its column's policy says
/// (Column::on_misfit). Never in a key column.
struct Misfit {
  std::uint32_t row = 0;     ///< of the batch it belongs to
  std::uint32_t column = 0;  ///< of the schema
  bool is_old = false;       ///< in the old tuple
  std::string reason;        ///< why it has none, in a few words
  std::string text;          ///< exactly as PostgreSQL prints it; empty under kNull
  Lsn commit_lsn;            ///< of its transaction, once that is known; a copied row has none
  UnixMicros committed_at;

  std::size_t bytes() const { return sizeof(Misfit) + reason.capacity() + text.capacity(); }
};

/// Copied rows of one table: one Arrow column per schema column.
struct CopiedRows {
  RowsPtr rows;
  std::vector<Misfit> misfits = {};  ///< ascending by row
};

/// Consecutive changes of one table under one schema version, in commit order.
struct ChangeBatch {
  SchemaPtr schema;
  /// New values, one Arrow column per schema column. A delete's row is all null here.
  RowsPtr values;
  /// Old tuples, one Arrow column per schema->identity_columns, row for row; null pointer: none has
  /// one. An update has one only where the server sent it (its key changed, or identity is FULL).
  RowsPtr old;
  RowBits has_old;
  std::vector<ChangeKind> kinds;   ///< per row; empty: all inserts
  std::vector<RowBits> unchanged;  ///< per column, TOAST values not sent; empty: none
  std::vector<std::uint32_t>
      ordinals;                      ///< per row: index within its transaction's surviving changes
  std::vector<TransactionRun> runs;  ///< ascending; the first begins at row 0
  std::vector<Misfit> misfits;       ///< ascending by row; nearly always empty
  std::size_t bytes = 0;             ///< memory it holds, for budgets

  std::size_t row_count() const { return ordinals.size(); }
  ChangeKind kind(std::size_t row) const {
    return kinds.empty() ? ChangeKind::kInsert : kinds[row];
  }
};

/// TRUNCATE of one table at its place among that table's changes.
struct TruncateMark {
  std::uint32_t transaction = 0;
  std::uint32_t ordinal = 0;
};

/// From here on rows have this version. Comes before the first batch that uses it.
struct SchemaMark {
  std::uint32_t transaction = 0;
  SchemaPtr schema;
};

/// This table cannot go on from here: a value that has no exact form, a schema change that cannot
/// be followed.
struct TableFailure {
  std::uint32_t transaction = 0;
  Error error;
};

using ChangeItem = std::variant<ChangeBatch, TruncateMark, SchemaMark, TableFailure>;

/// What happened to one table, in order. Order between tables is not kept: they commit together.
struct TableChanges {
  RelationId relation;
  std::vector<ChangeItem> items;
};

/// Consecutive transactions, whole, except that the last may go on in the next set ("piece").
struct ChangeSet {
  std::vector<TransactionMark> transactions;
  std::vector<TableChanges> tables;
  /// transactions[0] is the one that the previous set left unfinished.
  bool continues_previous = false;
  /// False: more of transactions.back() follows; nothing may be committed at the destination yet.
  bool ends_at_boundary = true;
  /// Position after this set: the last end_lsn, or a later keepalive's. 0 while !ends_at_boundary.
  Lsn end;
  std::size_t bytes = 0;
  std::size_t row_count = 0;
};

/// Where a change stood in the source: survives the fold.
struct ChangeId {
  Lsn commit_lsn;
  std::uint32_t ordinal = 0;
};

/// Net effect of a run of changes on one table. Apply in this order: truncate, row_deletes,
/// deletes, updates, inserts. All of `updates` in one set-based statement: origin keys and new keys
/// may overlap (swaps, chains).
struct NetChange {
  SchemaPtr schema;
  bool truncate = false;
  /// Repair: a delete takes every row of its key, none or many; NULL is a value like another.
  bool deletes_any = false;
  RowsPtr deletes;             ///< key columns (schema->key), by key before this change; null: none
  RowsPtr update_origin_keys;  ///< key columns before this change; null: no updates
  RowsPtr update_values;       ///< all columns
  std::vector<RowBits> update_unchanged;  ///< per column: keep what is there; empty: none
  RowsPtr inserts;  ///< all columns: rows born here; their keys are not at the destination
  /// Keyless tables under FULL: whole rows, each removes exactly one row with the same canonical
  /// bytes.
  RowsPtr row_deletes;
  /// Cells of the rows of that name that are NULL because their values have no exact form,
  /// ascending by row. A cell of a touched row that is neither here nor unchanged is no misfit any
  /// more.
  std::vector<Misfit> update_misfits, insert_misfits, row_delete_misfits;
  /// One per row of the batch of that name, if the destination asked for them
  /// (Capabilities::wants_change_ids).
  std::vector<ChangeId> delete_ids, update_ids, insert_ids;
  std::size_t bytes = 0;
};

/// What a row of a table's log tells of.
enum class LogOp : std::uint8_t { kCopy, kInsert, kUpdate, kDelete, kTruncate };
/// copy, insert, update, delete, truncate.
const char* ToString(LogOp op);

/// Changes of one table as its log keeps them: nothing is folded. An update that changes its row's
/// key is two rows, the delete of the old one and the update, with one ordinal; so is every update
/// of a table without a key.
struct HistoryChange {
  SchemaPtr schema;
  /// All columns. Of a delete the old row as far as it was sent; all NULL for a truncate.
  RowsPtr rows;
  // Per row.
  std::vector<LogOp> ops;
  std::vector<Lsn> commit_lsns;
  std::vector<std::uint32_t> ordinals;
  std::vector<TransactionId> xids;
  std::vector<UnixMicros> committed_at;
  RowBits key_only;  ///< deletes that carry only what identifies the row
  /// Per column: values that the server did not send and nothing else told, NULL in `rows`. Empty:
  /// none.
  std::vector<RowBits> unchanged;

  std::size_t row_count() const { return ops.size(); }
};

}  // namespace sluice
