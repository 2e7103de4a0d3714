#include "engine/held_changes.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "columnar/table_builder.h"

namespace sluice::engine {
namespace {

/// What an entry takes in memory, about, `base` being its own size.
std::size_t BytesOf(std::size_t base, const ChangeItem& item, std::size_t mark_count) {
  const auto* batch = std::get_if<ChangeBatch>(&item);
  return base + (batch == nullptr ? 0 : batch->bytes) + mark_count * sizeof(TransactionMark);
}

}  // namespace

std::vector<KeptRuns> KeepRuns(const ChangeBatch& batch, const std::vector<TransactionMark>& marks,
                               const std::vector<bool>& is_dropped) {
  std::vector<KeptRuns> kept;
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
    const bool is_whole = begin == 0 && end == batch.row_count();
    const auto first = static_cast<std::ptrdiff_t>(run);
    kept.push_back({is_whole ? batch : columnar::SliceRows(batch, begin, end),
                    {marks.begin() + first, marks.begin() + static_cast<std::ptrdiff_t>(end_run)}});
    run = end_run;
  }
  return kept;
}

Status HeldChanges::Append(UnitId unit_id, ChangeItem item, std::vector<TransactionMark> marks) {
  SLUICE_CHECK(!marks.empty());
  Unit& unit = units_[unit_id];
  if (unit.is_decided && !unit.keeps_marks) marks.assign(1, TransactionMark(marks.back()));
  Entry entry{.item = std::move(item), .marks = std::move(marks)};
  entry.bytes = BytesOf(sizeof(Entry), entry.item, entry.marks.size());
  unit.bytes += entry.bytes;
  unit.tail_bytes += entry.bytes;
  memory_bytes_ += entry.bytes;
  unit.tail.push_back(std::move(entry));
  return memory_bytes_ > memory_bytes_max_ ? SpillLargest() : Status{};
}

Status HeldChanges::Decide(UnitId unit_id,
                           const std::function<bool(const TransactionMark&)>& is_seen) {
  // Built anew: what S sees is cut out and the marks are no longer needed.
  Unit old = std::exchange(units_[unit_id], Unit{});
  SLUICE_CHECK(old.is_at_boundary());
  units_[unit_id].is_decided = true;
  units_[unit_id].keeps_marks = old.keeps_marks;
  Status status;
  for (spill::LogPlace place; status && old.log && place < old.log->end();) {
    Result<spill::SequentialLog::Record> read = old.log->Read(place);
    status = read ? Keep(unit_id, std::move(read->item), read->marks, is_seen)
                  : Status(std::move(read).error());
  }
  for (Entry& entry : old.tail) {
    memory_bytes_ -= entry.bytes;
    if (status) status = Keep(unit_id, std::move(entry.item), entry.marks, is_seen);
  }
  SetBoundary(units_[unit_id]);
  return status;
}

/// What S does not see of one item.
Status HeldChanges::Keep(UnitId unit_id, ChangeItem item, const std::vector<TransactionMark>& marks,
                         const std::function<bool(const TransactionMark&)>& is_seen) {
  std::vector<bool> is_dropped(marks.size());
  std::transform(marks.begin(), marks.end(), is_dropped.begin(), is_seen);
  const auto* batch = std::get_if<ChangeBatch>(&item);
  if (batch == nullptr) {
    return is_dropped.front() ? Status{} : Append(unit_id, std::move(item), {marks.back()});
  }
  for (KeptRuns& kept : KeepRuns(*batch, marks, is_dropped)) {
    SLUICE_RETURN_IF_ERROR(Append(unit_id, std::move(kept.batch), std::move(kept.marks)));
  }
  return {};
}

Status HeldChanges::Replay(
    UnitId unit_id,
    const std::function<bool(ChangeItem item, const std::vector<TransactionMark>& marks)>& sink) {
  const auto found = units_.find(unit_id);
  if (found == units_.end()) return {};
  const Unit& unit = found->second;
  SLUICE_CHECK(unit.is_decided);
  for (spill::LogPlace place; unit.log && place < unit.log->end();) {
    SLUICE_ASSIGN_OR_RETURN(spill::SequentialLog::Record read, unit.log->Read(place));
    if (!sink(std::move(read.item), read.marks)) return {};
  }
  for (const Entry& entry : unit.tail) {
    if (!sink(entry.item, entry.marks)) return {};
  }
  return {};
}

void HeldChanges::Drop(UnitId unit_id) {
  const auto found = units_.find(unit_id);
  if (found == units_.end()) return;
  memory_bytes_ -= found->second.tail_bytes;
  units_.erase(found);
}

void HeldChanges::DropTable(RelationId relation) {
  for (auto unit = units_.lower_bound({relation, 0});
       unit != units_.end() && unit->first.relation == relation;) {
    memory_bytes_ -= unit->second.tail_bytes;
    unit = units_.erase(unit);
  }
}

void HeldChanges::Boundary() {
  for (auto& [id, unit] : units_) SetBoundary(unit);
}

void HeldChanges::SetBoundary(Unit& unit) {
  unit.log_boundary = unit.log ? unit.log->end() : spill::LogPlace{};
  unit.tail_boundary = unit.tail.size();
  unit.bytes_boundary = unit.bytes;
}

void HeldChanges::Rollback() {
  for (auto& [id, unit] : units_) {
    while (unit.tail.size() > unit.tail_boundary) {
      unit.tail_bytes -= unit.tail.back().bytes;
      memory_bytes_ -= unit.tail.back().bytes;
      unit.tail.pop_back();
    }
    // A file that cannot be made shorter is written over.
    if (unit.log) (void)unit.log->Truncate(unit.log_boundary);
    unit.bytes = unit.bytes_boundary;
  }
}

std::uint64_t HeldChanges::bytes(RelationId relation) const {
  std::uint64_t total = 0;
  for (auto unit = units_.lower_bound({relation, 0});
       unit != units_.end() && unit->first.relation == relation; ++unit)
    total += unit->second.bytes;
  return total;
}

std::uint64_t HeldChanges::total_bytes() const {
  std::uint64_t total = 0;
  for (const auto& [id, unit] : units_) total += unit.bytes;
  return total;
}

Status HeldChanges::SpillLargest() {
  const auto largest = std::max_element(
      units_.begin(), units_.end(),
      [](const auto& a, const auto& b) { return a.second.tail_bytes < b.second.tail_bytes; });
  return largest == units_.end() ? Status{} : SpillUnit(largest->second);
}

Status HeldChanges::SpillUnit(Unit& unit) {
  if (!unit.log) {
    SLUICE_ASSIGN_OR_RETURN(spill::SequentialLog log, spill::SequentialLog::Create(spill_dir_));
    unit.log.emplace(std::move(log));
  }
  const spill::LogPlace begin = unit.log->end();
  spill::LogPlace boundary = unit.log_boundary;
  for (std::size_t i = 0; i < unit.tail.size(); ++i) {
    const Status written = unit.log->Append(unit.tail[i].item, unit.tail[i].marks);
    if (!written) {
      (void)unit.log->Truncate(begin);  // all of it is still in memory
      return written;
    }
    if (i + 1 == unit.tail_boundary) boundary = unit.log->end();
  }
  unit.log_boundary = boundary;
  unit.tail_boundary = 0;
  memory_bytes_ -= unit.tail_bytes;
  spilled_bytes_ += unit.tail_bytes;
  unit.tail_bytes = 0;
  unit.tail.clear();
  return {};
}

}  // namespace sluice::engine
