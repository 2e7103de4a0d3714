/// \file
/// The change set that is being filled: one builder per table, sealed batches and marks in order.
///
/// Sizes: a builder's memory is asked for only every kMeasureEveryBytes of wire bytes; in between
/// the wire's own bytes stand for it. Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/lsn.h"
#include "sluice/schema.h"

#include "columnar/table_builder.h"

namespace sluice::replication {

inline constexpr std::size_t kMeasureEveryBytes = 32U << 10;
/// What a mark or an empty transaction is taken to hold.
inline constexpr std::size_t kMarkBytes = 64;

/// A builder with its size as far as it is known.
class MeasuredBuilder {
 public:
  /// A builder for this schema; \pre what another schema's builder held was taken.
  columnar::TableBuilder& For(const SchemaPtr& schema);
  columnar::TableBuilder* get() { return builder_ ? &*builder_ : nullptr; }
  bool is_empty() const { return !builder_ || builder_->row_count() == 0; }
  bool holds_other_than(const SchemaPtr& schema) const {
    return !is_empty() && builder_->schema() != schema;
  }

  /// A row of so many wire bytes was appended. \returns by how much the estimate grew (or shrank).
  std::ptrdiff_t Grew(std::size_t wire_bytes) {
    unmeasured_bytes_ += wire_bytes;
    bytes_ += wire_bytes;
    if (unmeasured_bytes_ < kMeasureEveryBytes) return static_cast<std::ptrdiff_t>(wire_bytes);
    return Measure() + static_cast<std::ptrdiff_t>(wire_bytes);
  }
  /// Ask the builder. \returns the change.
  std::ptrdiff_t Measure();
  std::size_t bytes() const { return bytes_; }
  /// Seal. The estimate is 0 afterwards.
  ChangeBatch Take();

 private:
  std::optional<columnar::TableBuilder> builder_;
  std::size_t bytes_ = 0;
  std::size_t unmeasured_bytes_ = 0;
};

/// One table's part in the open set; stays across sets, so that builders are used again.
struct OpenTable {
  static constexpr std::uint32_t kNoRun = ~std::uint32_t{0};

  RelationId relation;
  MeasuredBuilder rows;
  SchemaPtr emitted;  ///< of the last SchemaMark, in this set or one before
  std::vector<ChangeItem> items;
  std::uint32_t run_transaction = kNoRun;  ///< the builder's current run
  bool is_touched = false;                 ///< has a place in this set
  bool has_failed = false;                 ///< in this set: the rest of its rows are skipped
};

class OpenSet {
 public:
  static constexpr std::size_t kTableColumns = 8;

  explicit OpenSet(Lsn end) : end_(end), sealed_end_(end) {}

  void BeginTransaction(const TransactionMark& mark);
  /// The last transaction is whole. \param is_empty TransactionMark::is_empty
  void EndTransaction(Lsn end_lsn, bool is_empty);
  void MoveEnd(Lsn end);

  /// Where rows of the current transaction go, under this schema. Once per row.
  columnar::TableBuilder& RowsFor(OpenTable& table, const SchemaPtr& schema) {
    if (table.emitted != schema || !table.is_touched) [[unlikely]]
      EnterSchema(table, schema);
    columnar::TableBuilder& builder = table.rows.For(schema);
    if (table.run_transaction != current_transaction_) {
      builder.BeginTransaction(current_transaction_);
      table.run_transaction = current_transaction_;
    }
    return builder;
  }
  /// After a row was appended.
  void AddedRow(OpenTable& table, std::size_t wire_bytes) {
    bytes_ += static_cast<std::size_t>(table.rows.Grew(wire_bytes));
    ++row_count_;
  }
  /// A batch of the current transaction, all of it.
  void AddBatch(OpenTable& table, ChangeBatch batch);
  void AddTruncate(OpenTable& table, std::uint32_t ordinal);
  void AddFailure(OpenTable& table, Error error);

  /// Everything so far. \param at_boundary false: the current transaction goes on in the next set.
  ChangeSet Close(bool at_boundary);

  bool has_content() const { return !transactions_.empty() || end_ > sealed_end_; }
  std::size_t bytes() const { return bytes_; }
  std::size_t row_count() const { return row_count_; }
  /// Of the tables with a place in it, together, with kTableColumns for each table itself.
  std::size_t column_count() const { return column_count_; }
  std::size_t table_count() const { return touched_.size(); }
  std::size_t transaction_count() const { return transactions_.size(); }
  /// Of the current transaction, in this set.
  std::size_t transaction_bytes() const {
    return bytes_ > bytes_before_ ? bytes_ - bytes_before_ : 0;
  }
  std::size_t transaction_rows() const { return row_count_ - rows_before_; }
  Lsn end() const { return end_; }

 private:
  /// \param schema of the rows to come, where it is known.
  void Touch(OpenTable& table, const TableSchema* schema);
  void EnterSchema(OpenTable& table, const SchemaPtr& schema);
  /// The builder's rows become an item.
  void SealRows(OpenTable& table);

  std::vector<TransactionMark> transactions_;
  std::vector<OpenTable*> touched_;
  std::uint32_t current_transaction_ = 0;
  bool continues_previous_ = false;
  Lsn end_;
  Lsn sealed_end_;  ///< of the last set that left
  std::size_t bytes_ = 0;
  std::size_t row_count_ = 0;
  std::size_t column_count_ = 0;
  std::size_t bytes_before_ = 0;  ///< before the current transaction
  std::size_t rows_before_ = 0;
};

}  // namespace sluice::replication
