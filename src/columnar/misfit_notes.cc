#include "columnar/misfit_notes.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "columnar/row_key.h"

namespace sluice::columnar {

bool MisfitNotes::Take(const TableSchema& schema, const Place& place, types::ValueFault fault,
                       const pgoutput::TupleCell& cell, ColumnBuilder& builder) {
  const Column& column = schema.columns[place.column];
  const bool finds_row =
      std::ranges::find(schema.key, static_cast<std::int32_t>(place.column)) != schema.key.end();
  if (column.on_misfit == OnMisfit::kHalt || finds_row || !types::IsMisfit(fault)) return false;
  Misfit misfit{.row = static_cast<std::uint32_t>(place.row),
                .column = static_cast<std::uint32_t>(place.column),
                .is_old = place.is_old,
                .reason = types::FaultReason(fault),
                .text = {},
                .commit_lsn = {},
                .committed_at = {}};
  if (column.on_misfit == OnMisfit::kQuarantine) {
    std::optional<std::string> text = ExactText(column.type, cell);
    if (!text) return false;
    misfit.text = *std::move(text);
  }
  builder.Truncate(place.row);
  builder.AppendNull();
  bytes_ += misfit.bytes();
  misfits_.push_back(std::move(misfit));
  return true;
}

void MisfitNotes::Truncate(std::size_t row_count) {
  while (!misfits_.empty() && misfits_.back().row >= row_count) {
    bytes_ -= misfits_.back().bytes();
    misfits_.pop_back();
  }
}

std::vector<Misfit> MisfitNotes::Finish() {
  bytes_ = 0;
  return std::exchange(misfits_, {});
}

}  // namespace sluice::columnar
