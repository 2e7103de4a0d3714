#include "columnar/table_builder.h"

#include <arrow/array/data.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/byte_reader.h"
#include "base/check.h"
#include "columnar/column_builder.h"
#include "columnar/columns.h"
#include "columnar/misfit_notes.h"
#include "columnar/row_key.h"

namespace sluice::columnar {
namespace {

using pgoutput::TupleCell;
using pgoutput::TupleView;
using types::ValueFault;

// Ordinal and kind of every row.
constexpr std::size_t kBookkeepingRowBytes = sizeof(std::uint32_t) + sizeof(ChangeKind);
// What a sealed column takes besides its values: array, buffers and their rounding. Counts where
// batches are tiny and many.
constexpr std::size_t kSealedColumnBytes = 512;

ValueFault AppendCell(ColumnBuilder& column, const TupleCell& cell) {
  switch (cell.kind) {
    case TupleCell::Kind::kBinary:
      return column.AppendBinary(cell.bytes);
    case TupleCell::Kind::kText:
      return column.AppendText(base::AsText(cell.bytes));
    case TupleCell::Kind::kNull:
    case TupleCell::Kind::kUnchanged:
      column.AppendNull();
      return ValueFault::kNone;
  }
  return ValueFault::kMalformed;
}

Error WrongCellCount(const TableSchema& schema, std::size_t count) {
  return Error{.kind = ErrorKind::kProtocol,
               .message = fmt::format("row of {} has not the table's columns: {} instead of {}",
                                      ToString(schema.name), count, schema.columns.size()),
               .code = "SLU-4111"};
}

// A row filter can turn an update into an insert; what the update did not touch is then missing.
Error MissingCell(const Column& column) {
  return Error{.kind = ErrorKind::kConversion,
               .message = fmt::format("column {} ({}): the server did not send the value of a row "
                                      "that is new",
                                      column.name, column.type.name),
               .code = "SLU-4113",
               .advice = "set REPLICA IDENTITY FULL on the table, then `sluice resync` it"};
}

}  // namespace

struct TableBuilder::State {
  explicit State(SchemaPtr schema_in) : schema(std::move(schema_in)), values(*schema) {
    is_identity.resize(schema->columns.size());
    for (const std::int32_t index : schema->identity_columns) {
      SLUICE_CHECK(index >= 0 && static_cast<std::size_t>(index) < is_identity.size());
      is_identity[static_cast<std::size_t>(index)] = true;
    }
  }

  Status AppendValues(TupleView row, TupleView old_row);
  Status AppendOld(TupleView old_row);
  bool HasCells(TupleView row) const { return row.size() == values.columns.size(); }
  void MarkUnchanged(std::size_t column);
  void EndRow(ChangeKind kind, std::uint32_t ordinal);
  Status RollBack(Status status);
  Status Refuse(Status status, TupleView row, TupleView old_row);

  SchemaPtr schema;
  Columns values;
  std::optional<Columns> old;  // made with the first old tuple; may be shorter than `values`
  std::vector<bool> is_identity;
  RowBits has_old;
  std::vector<ChangeKind> kinds;  // empty while all are inserts
  std::vector<RowBits> unchanged;
  std::vector<std::uint32_t> ordinals;
  std::vector<TransactionRun> runs;
  MisfitNotes misfits;
  std::uint32_t transaction = 0;
};

void TableBuilder::State::MarkUnchanged(std::size_t column) {
  if (unchanged.empty()) unchanged.resize(schema->columns.size());
  unchanged[column].Set(ordinals.size());
}

// `old_row` is empty for inserts, where nothing may be unchanged, and where none was sent.
Status TableBuilder::State::AppendValues(TupleView row, TupleView old_row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    const TupleCell* cell = &row[i];
    if (cell->kind == TupleCell::Kind::kUnchanged) [[unlikely]] {
      // Identity columns of an old tuple come with their values, also those from TOAST.
      const bool is_filled = !old_row.empty() && is_identity[i] &&
                             old_row[i].kind != TupleCell::Kind::kUnchanged &&
                             old_row[i].kind != TupleCell::Kind::kNull;
      if (is_filled) {
        cell = &old_row[i];
      } else {
        MarkUnchanged(i);
      }
    }
    const ValueFault fault = AppendCell(values.columns[i], *cell);
    if (fault != ValueFault::kNone) [[unlikely]] {
      if (!misfits.Take(*schema, {.row = ordinals.size(), .column = i}, fault, *cell,
                        values.columns[i])) {
        return values.FaultAt(*schema, i, fault);
      }
      continue;
    }
    values.CountWireBytes(i, cell->bytes.size());
  }
  return {};
}

Status TableBuilder::State::AppendOld(TupleView old_row) {
  if (!old) old.emplace(*schema, schema->identity_columns);
  old->PadTo(ordinals.size());
  for (std::size_t i = 0; i < old->columns.size(); ++i) {
    const auto source = static_cast<std::size_t>(schema->identity_columns[i]);
    const TupleCell& cell = old_row[source];
    // An old tuple is always whole: a hole in it is not of this protocol.
    const ValueFault fault = cell.kind == TupleCell::Kind::kUnchanged
                                 ? ValueFault::kMalformed
                                 : AppendCell(old->columns[i], cell);
    if (fault != ValueFault::kNone) [[unlikely]] {
      if (!misfits.Take(*schema, {.row = ordinals.size(), .column = source, .is_old = true}, fault,
                        cell, old->columns[i])) {
        return old->FaultAt(*schema, source, fault);
      }
      continue;
    }
    old->CountWireBytes(i, cell.bytes.size());
  }
  old->EndRow();
  has_old.Set(ordinals.size());
  return {};
}

void TableBuilder::State::EndRow(ChangeKind kind, std::uint32_t ordinal) {
  values.EndRow();
  if (kind != ChangeKind::kInsert && kinds.empty()) kinds.resize(ordinals.size());
  if (kind != ChangeKind::kInsert || !kinds.empty()) kinds.push_back(kind);
  if (runs.empty() || runs.back().transaction != transaction) {
    runs.push_back({transaction, static_cast<std::uint32_t>(ordinals.size())});
  }
  ordinals.push_back(ordinal);
}

// Takes back what a failed append left behind the last whole row.
Status TableBuilder::State::RollBack(Status status) {
  const std::size_t row_count = ordinals.size();
  values.Truncate(row_count);
  if (old) old->Truncate(row_count);
  has_old.Truncate(row_count);
  for (RowBits& bits : unchanged) bits.Truncate(row_count);
  misfits.Truncate(row_count);
  return status;
}

// The row is taken back, and its error tells which one it was.
Status TableBuilder::State::Refuse(Status status, TupleView row, TupleView old_row) {
  Error error = std::move(status).error();
  if (error.kind == ErrorKind::kConversion) {
    error.server_message = RowKeyText(*schema, row, old_row);
  }
  return RollBack(std::move(error));
}

TableBuilder::TableBuilder(SchemaPtr schema) : state_(std::make_unique<State>(std::move(schema))) {}
TableBuilder::~TableBuilder() = default;
TableBuilder::TableBuilder(TableBuilder&&) noexcept = default;
TableBuilder& TableBuilder::operator=(TableBuilder&&) noexcept = default;

void TableBuilder::BeginTransaction(std::uint32_t transaction) {
  state_->transaction = transaction;
}

Status TableBuilder::AppendInsert(TupleView row, std::uint32_t ordinal) {
  State& state = *state_;
  if (!state.HasCells(row)) return WrongCellCount(*state.schema, row.size());
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i].kind == TupleCell::Kind::kUnchanged) [[unlikely]]
      return state.Refuse(MissingCell(state.schema->columns[i]), row, {});
  }
  if (Status status = state.AppendValues(row, {}); !status) [[unlikely]]
    return state.Refuse(std::move(status), row, {});
  state.EndRow(ChangeKind::kInsert, ordinal);
  return {};
}

Status TableBuilder::AppendUpdate(TupleView row, TupleView old, std::uint32_t ordinal) {
  State& state = *state_;
  if (!state.HasCells(row)) return WrongCellCount(*state.schema, row.size());
  if (!old.empty() && !state.HasCells(old)) return WrongCellCount(*state.schema, old.size());
  Status status = state.AppendValues(row, old);
  if (status && !old.empty()) status = state.AppendOld(old);
  if (!status) [[unlikely]]
    return state.Refuse(std::move(status), row, old);
  state.EndRow(ChangeKind::kUpdate, ordinal);
  return {};
}

Status TableBuilder::AppendDelete(TupleView old, std::uint32_t ordinal) {
  State& state = *state_;
  if (!state.HasCells(old)) return WrongCellCount(*state.schema, old.size());
  if (Status status = state.AppendOld(old); !status) [[unlikely]]
    return state.Refuse(std::move(status), {}, old);
  for (ColumnBuilder& column : state.values.columns) column.AppendNull();
  state.EndRow(ChangeKind::kDelete, ordinal);
  return {};
}

void TableBuilder::Truncate(std::size_t row_count) {
  State& state = *state_;
  if (row_count >= state.ordinals.size()) return;
  state.ordinals.resize(row_count);
  if (state.kinds.size() > row_count) state.kinds.resize(row_count);
  while (!state.runs.empty() && state.runs.back().first_row >= row_count) state.runs.pop_back();
  const Status done = state.RollBack({});
  SLUICE_CHECK(done.has_value());
}

void TableBuilder::TruncateFromOrdinal(std::uint32_t ordinal) {
  const State& state = *state_;
  if (state.runs.empty() || state.runs.back().transaction != state.transaction) return;
  // Ordinals ascend within the last run, and only there.
  const auto begin = state.ordinals.begin() + state.runs.back().first_row;
  const auto first = std::lower_bound(begin, state.ordinals.end(), ordinal);
  Truncate(static_cast<std::size_t>(first - state.ordinals.begin()));
}

std::size_t TableBuilder::row_count() const {
  return state_->ordinals.size();
}

std::size_t TableBuilder::bytes() const {
  return state_->values.bytes() + (state_->old ? state_->old->bytes() : 0) +
         state_->ordinals.size() * kBookkeepingRowBytes + state_->misfits.bytes();
}

const SchemaPtr& TableBuilder::schema() const {
  return state_->schema;
}

ChangeBatch TableBuilder::Finish() {
  State& state = *state_;
  const std::size_t row_count = state.ordinals.size();
  ChangeBatch batch;
  batch.schema = state.schema;
  batch.bytes = bytes() + state.schema->columns.size() * kSealedColumnBytes;
  batch.values = state.values.Finish(row_count);
  if (state.has_old.any()) {
    state.old->PadTo(row_count);
    batch.old = state.old->Finish(row_count);
    batch.has_old = std::exchange(state.has_old, {});
  } else if (state.old) {
    state.old->Truncate(0);
  }
  const bool is_any_unchanged =
      std::ranges::any_of(state.unchanged, [](const RowBits& bits) { return bits.any(); });
  if (is_any_unchanged) batch.unchanged = std::move(state.unchanged);
  batch.kinds = std::exchange(state.kinds, {});
  batch.ordinals = std::exchange(state.ordinals, {});
  batch.runs = std::exchange(state.runs, {});
  batch.misfits = state.misfits.Finish();
  state.unchanged.clear();
  state.has_old.clear();
  return batch;
}

ChangeBatch SliceRows(const ChangeBatch& batch, std::size_t begin, std::size_t end) {
  SLUICE_CHECK(begin <= end && end <= batch.row_count());
  const auto offset = static_cast<std::int64_t>(begin);
  const auto length = static_cast<std::int64_t>(end - begin);
  const auto first = static_cast<std::ptrdiff_t>(begin);
  const auto last = static_cast<std::ptrdiff_t>(end);
  ChangeBatch slice;
  slice.schema = batch.schema;
  slice.values = batch.values->Slice(offset, length);
  slice.has_old = batch.has_old.Slice(begin, end);
  if (batch.old != nullptr && slice.has_old.any()) slice.old = batch.old->Slice(offset, length);
  if (!batch.kinds.empty()) {
    slice.kinds.assign(batch.kinds.begin() + first, batch.kinds.begin() + last);
  }
  for (const RowBits& bits : batch.unchanged) slice.unchanged.push_back(bits.Slice(begin, end));
  slice.ordinals.assign(batch.ordinals.begin() + first, batch.ordinals.begin() + last);
  for (std::size_t i = 0; i < batch.runs.size(); ++i) {
    const std::size_t run_begin = batch.runs[i].first_row;
    const std::size_t run_end =
        i + 1 < batch.runs.size() ? batch.runs[i + 1].first_row : batch.row_count();
    if (run_begin >= end || run_end <= begin) continue;
    const std::size_t first_row = std::max(run_begin, begin) - begin;
    slice.runs.push_back({batch.runs[i].transaction, static_cast<std::uint32_t>(first_row)});
  }
  for (const Misfit& misfit : batch.misfits) {
    if (misfit.row < begin || misfit.row >= end) continue;
    slice.misfits.push_back(misfit);
    slice.misfits.back().row -= static_cast<std::uint32_t>(begin);
  }
  if (batch.row_count() != 0) slice.bytes = batch.bytes * (end - begin) / batch.row_count();
  return slice;
}

}  // namespace sluice::columnar
