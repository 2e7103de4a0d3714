/// \file
/// Decodes row changes of one table, cell by cell, straight into columns, and seals them as a
/// ChangeBatch.
///
/// One builder per table and schema version in each open batch; made by the transaction assembler.
/// The decoder of each column is chosen once, at construction.
///
/// Thread safety: one object, one thread. Limits: the caller seals by row_count() and bytes().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "pgoutput/tuple.h"

namespace sluice::columnar {

class TableBuilder {
 public:
  explicit TableBuilder(SchemaPtr schema);
  ~TableBuilder();
  TableBuilder(TableBuilder&&) noexcept;
  TableBuilder& operator=(TableBuilder&&) noexcept;

  /// Rows appended from here on belong to ChangeSet::transactions[transaction]; a run begins with
  /// the next row.
  void BeginTransaction(std::uint32_t transaction);

  /// Append one change. `row` has one cell per schema column.
  ///
  /// Errors, after which the row is not there and the builder is as before:
  ///   kConversion    a value has no exact form (SLU-41xx), and its column halts then
  ///                  (Column::on_misfit) or finds the row; the message names the column, never the
  ///                  value; server_message is the key of the row
  ///   kProtocol      bytes that are not of this type, or a wrong number of cells
  Status AppendInsert(pgoutput::TupleView row, std::uint32_t ordinal);
  /// `old`: what the server sent as 'K' or 'O' tuple (one cell per schema column, non-identity
  /// cells of 'K' ignored); empty: none was sent. Unchanged cells are filled from a full old tuple
  /// where there is one (T62), else marked in `unchanged`.
  Status AppendUpdate(pgoutput::TupleView row, pgoutput::TupleView old, std::uint32_t ordinal);
  Status AppendDelete(pgoutput::TupleView old, std::uint32_t ordinal);

  /// Take back every row from `row_count` on (an aborted subtransaction).
  void Truncate(std::size_t row_count);
  /// Take back every row whose ordinal is >= `ordinal`; rows are ascending by ordinal within one
  /// transaction.
  void TruncateFromOrdinal(std::uint32_t ordinal);

  std::size_t row_count() const;
  /// Memory held, about.
  std::size_t bytes() const;
  const SchemaPtr& schema() const;

  /// Seals what was appended; the builder is empty afterwards and may be used again.
  ChangeBatch Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Rows [begin, end) of a batch, sharing its memory; runs, ordinals and bits are cut to match.
ChangeBatch SliceRows(const ChangeBatch& batch, std::size_t begin, std::size_t end);

}  // namespace sluice::columnar
