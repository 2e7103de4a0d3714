#include "engine/held_changes.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "columnar/table_builder.h"

namespace sluice::engine {
namespace {

std::size_t BytesOf(const ChangeItem& item) {
  const auto* batch = std::get_if<ChangeBatch>(&item);
  return sizeof(ChangeItem) + (batch == nullptr ? 0 : batch->bytes);
}

}  // namespace

std::vector<ChangeBatch> KeepRuns(const ChangeBatch& batch, const std::vector<bool>& is_dropped) {
  std::vector<ChangeBatch> kept;
  const std::size_t run_count = batch.runs.size();
  for (std::size_t run = 0; run < run_count;) {
    if (is_dropped[run]) {
      ++run;
      continue;
    }
    std::size_t end_run = run;
    while (end_run < run_count && !is_dropped[end_run]) ++end_run;
    const std::size_t begin = batch.runs[run].first_row;
    const std::size_t end = end_run < run_count ? batch.runs[end_run].first_row : batch.row_count();
    if (begin == 0 && end == batch.row_count()) {
      kept.push_back(batch);
    } else {
      kept.push_back(columnar::SliceRows(batch, begin, end));
    }
    run = end_run;
  }
  return kept;
}

Status HeldChanges::Append(UnitId unit_id, ChangeItem item, std::vector<TransactionMark> marks) {
  SLUICE_CHECK(!marks.empty());
  Unit& unit = units_[unit_id];
  Entry entry{.item = std::move(item), .marks = std::move(marks)};
  entry.bytes = BytesOf(entry.item) + entry.marks.size() * sizeof(TransactionMark);
  if (unit.is_decided) entry.marks.erase(entry.marks.begin(), entry.marks.end() - 1);
  unit.bytes += entry.bytes;
  memory_bytes_ += entry.bytes;
  unit.entries.push_back(std::move(entry));
  return memory_bytes_ > memory_bytes_max_ ? SpillLargest() : Status{};
}

Status HeldChanges::Decide(UnitId unit_id,
                           const std::function<bool(const TransactionMark&)>& is_seen) {
  const auto found = units_.find(unit_id);
  if (found == units_.end()) {
    units_[unit_id].is_decided = true;
    return {};
  }
  // Built anew: what S sees is cut out and the marks are no longer needed.
  Unit old = std::move(found->second);
  SLUICE_CHECK(old.boundary == old.entries.size());
  Unit& unit = found->second;
  unit = Unit{};
  unit.is_decided = true;
  for (Entry& entry : old.entries) {
    std::vector<bool> is_dropped(entry.marks.size());
    std::transform(entry.marks.begin(), entry.marks.end(), is_dropped.begin(), is_seen);
    const TransactionMark last = entry.marks.back();
    if (std::all_of(is_dropped.begin(), is_dropped.end(), [](bool dropped) { return dropped; })) {
      if (!entry.is_spilled) memory_bytes_ -= entry.bytes;
      continue;
    }
    SLUICE_ASSIGN_OR_RETURN(ChangeItem item, Load(old, entry));
    if (!entry.is_spilled) memory_bytes_ -= entry.bytes;
    if (auto* batch = std::get_if<ChangeBatch>(&item)) {
      for (ChangeBatch& kept : KeepRuns(*batch, is_dropped)) {
        SLUICE_RETURN_IF_ERROR(Append(unit_id, std::move(kept), {last}));
      }
    } else {
      SLUICE_RETURN_IF_ERROR(Append(unit_id, std::move(item), {last}));
    }
  }
  unit.boundary = unit.entries.size();
  return {};
}

Status HeldChanges::Replay(
    UnitId unit_id,
    const std::function<Status(ChangeItem item, const TransactionMark& last)>& sink) {
  const auto found = units_.find(unit_id);
  if (found == units_.end()) return {};
  SLUICE_CHECK(found->second.is_decided);
  for (const Entry& entry : found->second.entries) {
    SLUICE_ASSIGN_OR_RETURN(ChangeItem item, Load(found->second, entry));
    SLUICE_RETURN_IF_ERROR(sink(std::move(item), entry.marks.back()));
  }
  return {};
}

void HeldChanges::Drop(UnitId unit_id) {
  const auto found = units_.find(unit_id);
  if (found == units_.end()) return;
  Forget(found->second, 0);
  units_.erase(found);
}

void HeldChanges::Boundary() {
  for (auto& [id, unit] : units_) unit.boundary = unit.entries.size();
}

void HeldChanges::Rollback() {
  for (auto& [id, unit] : units_) Forget(unit, unit.boundary);
}

std::uint64_t HeldChanges::bytes(UnitId unit_id) const {
  const auto found = units_.find(unit_id);
  return found == units_.end() ? 0 : found->second.bytes;
}

std::uint64_t HeldChanges::total_bytes() const {
  std::uint64_t total = 0;
  for (const auto& [id, unit] : units_) total += unit.bytes;
  return total;
}

void HeldChanges::Forget(Unit& unit, std::size_t from) {
  for (std::size_t i = from; i < unit.entries.size(); ++i) {
    unit.bytes -= unit.entries[i].bytes;
    if (!unit.entries[i].is_spilled) memory_bytes_ -= unit.entries[i].bytes;
  }
  unit.entries.resize(from);
}

Status HeldChanges::SpillLargest() {
  Unit* largest = nullptr;
  std::size_t most = 0;
  for (auto& [id, unit] : units_) {
    std::size_t in_memory = 0;
    for (const Entry& entry : unit.entries) in_memory += entry.is_spilled ? 0 : entry.bytes;
    if (in_memory > most) {
      most = in_memory;
      largest = &unit;
    }
  }
  return largest == nullptr ? Status{} : SpillUnit(*largest);
}

Status HeldChanges::SpillUnit(Unit& unit) {
  if (!unit.log) {
    SLUICE_ASSIGN_OR_RETURN(spill::ChangeLog log, spill::ChangeLog::Create(spill_dir_));
    unit.log.emplace(std::move(log));
  }
  for (Entry& entry : unit.entries) {
    auto* batch = std::get_if<ChangeBatch>(&entry.item);
    if (entry.is_spilled || batch == nullptr) continue;
    SLUICE_ASSIGN_OR_RETURN(entry.log_index, unit.log->Append(*batch));
    *batch = ChangeBatch{};
    entry.is_spilled = true;
    memory_bytes_ -= entry.bytes;
    spilled_bytes_ += entry.bytes;
  }
  return {};
}

Result<ChangeItem> HeldChanges::Load(Unit& unit, const Entry& entry) {
  if (!entry.is_spilled) return entry.item;
  SLUICE_ASSIGN_OR_RETURN(ChangeBatch batch, unit.log->ReadBatch(entry.log_index));
  return ChangeItem(std::move(batch));
}

}  // namespace sluice::engine
