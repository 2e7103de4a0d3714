#include "replication/key_ranges.h"

#include <arrow/array/data.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "replication/gather.h"

namespace sluice::replication {
namespace {

constexpr std::string_view kTruncated = "it was truncated while it was copied in ranges";

std::optional<std::int64_t> IntegerAt(const arrow::ArrayData& column, std::size_t row) {
  const auto at = static_cast<std::int64_t>(row);
  if (column.IsNull(at)) return std::nullopt;
  switch (column.type->id()) {
    case arrow::Type::INT16:
      return column.GetValues<std::int16_t>(1)[at];
    case arrow::Type::INT32:
      return column.GetValues<std::int32_t>(1)[at];
    case arrow::Type::INT64:
      return column.GetValues<std::int64_t>(1)[at];
    default:
      return std::nullopt;
  }
}

/// Where a message told of the columns they have no numbers.
std::optional<std::size_t> FindColumn(const TableSchema& schema, const CopyRanges& ranges) {
  std::string name;
  if (ranges.schema) {
    for (const Column& column : ranges.schema->columns) {
      if (column.attnum == ranges.attnum) name = column.name;
    }
  }
  for (std::size_t i = 0; i < schema.columns.size(); ++i) {
    const Column& column = schema.columns[i];
    if (column.attnum != 0 ? column.attnum == ranges.attnum : column.name == name) return i;
  }
  return std::nullopt;
}

Result<RowsPtr> PickCells(const arrow::RecordBatch& rows, const std::vector<CellRef>& cells) {
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  for (int i = 0; i < rows.num_columns(); ++i) {
    const arrow::ArrayData* const source = rows.column_data(i).get();
    SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(),
                            Gather(rows.schema()->field(i)->type(), std::span(&source, 1), cells));
  }
  return RowsPtr(arrow::RecordBatch::Make(rows.schema(), static_cast<std::int64_t>(cells.size()),
                                          std::move(columns)));
}

/// Calls `visit(pick, run)` with the run that each row is in.
template <class Visit>
void ForEachRun(const ChangeBatch& batch, std::span<const PickedRow> rows, Visit visit) {
  std::size_t run = 0;
  for (std::size_t pick = 0; pick < rows.size(); ++pick) {
    while (run + 1 < batch.runs.size() && batch.runs[run + 1].first_row <= rows[pick].row) ++run;
    visit(pick, run);
  }
}

void PickMisfits(const ChangeBatch& batch, std::span<const PickedRow> rows, ChangeBatch& picked) {
  for (const Misfit& misfit : batch.misfits) {
    const auto found = std::lower_bound(
        rows.begin(), rows.end(), misfit.row,
        [](const PickedRow& row, std::uint32_t wanted) { return row.row < wanted; });
    if (found == rows.end() || found->row != misfit.row) continue;
    const auto pick = static_cast<std::uint32_t>(found - rows.begin());
    const bool is_there = misfit.is_old ? picked.has_old[pick] : found->kind != ChangeKind::kDelete;
    if (!is_there) continue;
    picked.misfits.push_back(misfit);
    picked.misfits.back().row = pick;
  }
}

}  // namespace

std::uint32_t RangeOf(const CopyRanges& ranges, std::int64_t value) {
  return static_cast<std::uint32_t>(
      std::lower_bound(ranges.bounds.begin(), ranges.bounds.end(), value) - ranges.bounds.begin());
}

Result<std::vector<RowPlace>> PlaceRows(const ChangeBatch& batch, const CopyRanges& ranges) {
  const TableSchema& schema = *batch.schema;
  const auto column = FindColumn(schema, ranges);
  if (!column) return RangesAgainError("its key changed while it was copied in ranges");
  const auto identity = std::find(schema.identity_columns.begin(), schema.identity_columns.end(),
                                  static_cast<std::int32_t>(*column));
  const arrow::ArrayData& values = *batch.values->column_data(static_cast<int>(*column));
  const arrow::ArrayData* old = nullptr;
  if (batch.old != nullptr && identity != schema.identity_columns.end()) {
    old =
        batch.old->column_data(static_cast<int>(identity - schema.identity_columns.begin())).get();
  }
  std::vector<RowPlace> places(batch.row_count());
  for (std::size_t row = 0; row < places.size(); ++row) {
    const ChangeKind kind = batch.kind(row);
    // Where an update came from is sent only if the range column is part of the identity.
    if (kind == ChangeKind::kUpdate && identity == schema.identity_columns.end())
      return RangesAgainError("its replica identity changed while it was copied in ranges");
    std::optional<std::int64_t> before;
    std::optional<std::int64_t> after;
    if (old != nullptr && batch.has_old[row]) before = IntegerAt(*old, row);
    if (kind != ChangeKind::kDelete) after = IntegerAt(values, row);
    if (!before && !after) return RangesAgainError("its key changed while it was copied in ranges");
    places[row].from = RangeOf(ranges, before ? *before : *after);
    places[row].to = RangeOf(ranges, after ? *after : *before);
  }
  return places;
}

Result<ChangeBatch> PickRows(const ChangeBatch& batch, std::span<const PickedRow> rows) {
  ChangeBatch picked;
  picked.schema = batch.schema;
  std::vector<CellRef> values(rows.size(), kNoCell);
  std::vector<CellRef> old(rows.size(), kNoCell);
  const bool has_unchanged = std::any_of(rows.begin(), rows.end(), [&](const PickedRow& row) {
    return row.kind == ChangeKind::kUpdate && HasUnsentValue(batch, row.row);
  });
  if (has_unchanged) picked.unchanged.resize(batch.unchanged.size());
  for (std::size_t pick = 0; pick < rows.size(); ++pick) {
    const auto [row, kind] = rows[pick];
    picked.kinds.push_back(kind);
    picked.ordinals.push_back(batch.ordinals[row]);
    if (kind != ChangeKind::kDelete) values[pick] = {.source = 0, .row = row};
    if (kind != ChangeKind::kInsert && batch.has_old[row]) {
      old[pick] = {.source = 0, .row = row};
      picked.has_old.Set(pick);
    }
    for (std::size_t column = 0; column < picked.unchanged.size(); ++column) {
      if (kind == ChangeKind::kUpdate && batch.unchanged[column][row])
        picked.unchanged[column].Set(pick);
    }
  }
  SLUICE_ASSIGN_OR_RETURN(picked.values, PickCells(*batch.values, values));
  if (batch.old != nullptr && picked.has_old.any()) {
    SLUICE_ASSIGN_OR_RETURN(picked.old, PickCells(*batch.old, old));
  }
  ForEachRun(batch, rows, [&](std::size_t pick, std::size_t run) {
    const std::uint32_t transaction = batch.runs[run].transaction;
    if (picked.runs.empty() || picked.runs.back().transaction != transaction)
      picked.runs.push_back({transaction, static_cast<std::uint32_t>(pick)});
  });
  PickMisfits(batch, rows, picked);
  if (batch.row_count() != 0) picked.bytes = batch.bytes * rows.size() / batch.row_count();
  return picked;
}

bool HasUnsentValue(const ChangeBatch& batch, std::size_t row) {
  return std::any_of(batch.unchanged.begin(), batch.unchanged.end(),
                     [&](const RowBits& bits) { return bits[row]; });
}

Error RangesAgainError(const std::string& reason) {
  return {.kind = ErrorKind::kSchemaConflict, .message = reason, .code = "SLU-4216"};
}

Error RangesTruncatedError() {
  return RangesAgainError(std::string(kTruncated));
}

bool IsRangesAgain(const Error& error) {
  return error.code == "SLU-4216";
}

bool IsRangesTruncated(const Error& error) {
  return IsRangesAgain(error) && error.message == kTruncated;
}

}  // namespace sluice::replication
