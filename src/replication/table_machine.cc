#include "replication/table_machine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/reason.h"
#include "replication/schema_versions.h"

namespace sluice::replication {
namespace {

/// But for what altered them last: SET STATISTICS and the like leave every row as it is.
bool HasSameColumns(const TableSchema& a, const TableSchema& b) {
  return std::equal(a.columns.begin(), a.columns.end(), b.columns.begin(), b.columns.end(),
                    [](Column x, const Column& y) {
                      x.altered_by = y.altered_by;
                      return x == y;
                    });
}

}  // namespace

const char* ToString(UnitState state) {
  switch (state) {
    case UnitState::kWaiting:
      return "waiting";
    case UnitState::kHolding:
      return "holding";
    case UnitState::kCopying:
      return "copying";
    case UnitState::kCopied:
      return "copied";
    case UnitState::kLanding:
      return "landing";
    case UnitState::kLive:
      return "live";
  }
  return "unknown";
}

std::optional<Error> WhyNoResume(const TableRecord& record) {
  const std::string name = ToString(record.source);
  if (record.state != TableState::kHalted) {
    return Error{.kind = ErrorKind::kInvalidArgument,
                 .message = "table " + name + " is not halted: it is " + ToString(record.state),
                 .code = "SLU-1047"};
  }
  if (record.kept) return std::nullopt;
  return Error{.kind = ErrorKind::kUnsupported,
               .message = "no changes of table " + name + " are kept",
               .code = "SLU-1048",
               .advice = "sluice resync " + name};
}

TableMachine::TableMachine(const DeliveryState& restored)
    : passed_(restored.passed, restored.position ? restored.position->lsn : Lsn{}),
      processed_(restored.position ? restored.position->lsn : Lsn{}) {
  for (const TableRecord& record : restored.tables) AddTable(record);
  has_news_ = false;
  // What was read back is what is stored, but for copies that began again.
  for (const TableRecord& record : restored.tables) {
    Table& table = At(record.relation);
    table.is_changed = table.record.state != record.state;
    has_news_ = has_news_ || table.is_changed;
    table.durable_record.reset();
  }
}

// --- tables --------------------------------------------------------------------------------------

void TableMachine::AddTable(TableRecord record) {
  SLUICE_CHECK(at_boundary());
  SLUICE_CHECK(!tables_.contains(record.relation));
  if (record.state == TableState::kCopying) record.state = TableState::kPending;
  Table& table = tables_[record.relation];
  table.units.resize(1);
  if (record.state == TableState::kLive) table.units[0].state = UnitState::kLive;
  if (record.state == TableState::kPending && record.ranges) {
    table.ranges = record.ranges;
    table.units.resize(table.ranges->landed.size());
    for (std::size_t i = 0; i < table.units.size(); ++i) {
      if (table.ranges->landed[i]) table.units[i].state = UnitState::kLive;
    }
  } else {
    record.ranges.reset();
  }
  table.record = std::move(record);
  table.is_changed = true;
  has_news_ = true;
}

void TableMachine::RemoveTable(RelationId relation) {
  const auto found = tables_.find(relation);
  if (found == tables_.end()) return;
  removed_.push_back({.record = std::move(found->second.record)});
  removed_.back().record.was_removed = true;
  has_news_ = true;
  tables_.erase(found);
}

void TableMachine::Rejoined(RelationId relation, std::uint32_t publication_entry, UnixMicros now) {
  Resync(relation, now);
  At(relation).record.publication_entry = publication_entry;
  AwaitOlderWriters(relation);
}

void TableMachine::AwaitOlderWriters(RelationId relation) {
  Table& table = At(relation);
  Change(table);
  table.record.older_writers_done = false;
  table.membership_floor = 0;
}

void TableMachine::Rename(RelationId relation, TableName source, TableName destination) {
  SLUICE_CHECK(at_boundary());
  Table& table = At(relation);
  Change(table);
  table.record.source = std::move(source);
  table.record.destination = std::move(destination);
}

void TableMachine::SetMode(RelationId relation, TableMode mode) {
  Table& table = At(relation);
  if (table.record.mode == mode) return;
  Change(table);
  table.record.mode = mode;
}

void TableMachine::Resync(RelationId relation, UnixMicros now) {
  SLUICE_CHECK(at_boundary());
  Table& table = At(relation);
  StartOver(table);
  Enter(table, TableState::kPending, now);
  table.dropped_count = 0;
}

void TableMachine::SetReason(RelationId relation, std::string reason) {
  Table& table = At(relation);
  Change(table);
  table.record.reason = std::move(reason);
}

void TableMachine::Halt(RelationId relation, const Error& error, UnixMicros now) {
  Stop(relation, TableState::kHalted, error, now);
}

void TableMachine::Skip(RelationId relation, const Error& error, UnixMicros now) {
  Stop(relation, TableState::kSkipped, error, now);
}

void TableMachine::Stop(RelationId relation, TableState state, const Error& error, UnixMicros now) {
  Table& table = At(relation);
  if (table.record.state == state) return;  // the first reason is the cause, later ones follow
  StartOver(table);
  Enter(table, state, now);
  table.record.reason = base::ReasonText(error);
  table.record.advice = error.advice;
}

void TableMachine::SetKept(RelationId relation, std::optional<KeptChanges> kept) {
  Table& table = At(relation);
  SLUICE_CHECK(table.record.state == TableState::kHalted);
  Change(table);
  table.record.kept = kept;
}

void TableMachine::SetAdvice(RelationId relation, std::string reason, std::string advice) {
  Table& table = At(relation);
  Change(table);
  table.record.reason = std::move(reason);
  table.record.advice = std::move(advice);
}

void TableMachine::Resume(RelationId relation, UnixMicros now) {
  SLUICE_CHECK(at_boundary());
  Table& table = At(relation);
  SLUICE_CHECK(table.record.state == TableState::kHalted && table.record.kept);
  Enter(table, TableState::kLive, now);
  table.units[0].state = UnitState::kLive;
}

void TableMachine::SetSchema(RelationId relation, SchemaPtr schema) {
  Table& table = At(relation);
  Change(table);
  table.record.schema = std::move(schema);
}

void TableMachine::CountApplied(RelationId relation, std::int64_t rows_delta,
                                const TransactionMark& last) {
  Table& table = At(relation);
  Change(table);
  table.record.row_count = std::max<std::int64_t>(0, table.record.row_count + rows_delta);
  table.record.lsn = last.commit_lsn;
  table.record.committed_at = last.committed_at;
}

// --- G3 ------------------------------------------------------------------------------------------

bool TableMachine::Waits(const Table& table) {
  return table.record.state == TableState::kPending && !table.record.older_writers_done;
}

std::vector<RelationId> TableMachine::NeedMembershipFloor() const {
  std::vector<RelationId> out;
  for (const auto& [relation, table] : tables_) {
    if (Waits(table) && table.membership_floor == 0) out.push_back(relation);
  }
  std::sort(out.begin(), out.end());
  return out;
}

void TableMachine::WaitFor(RelationId relation, std::uint64_t floor) {
  SLUICE_CHECK(floor != 0);
  At(relation).membership_floor = floor;
}

void TableMachine::OlderWritersDone(RelationId relation) {
  Table& table = At(relation);
  Change(table);
  table.record.older_writers_done = true;
}

void TableMachine::ForgetFloors() {
  passed_.ForgetFloor();
  for (auto& [relation, table] : tables_) table.membership_floor = 0;
}

// --- the stream ----------------------------------------------------------------------------------

std::optional<Decision> TableMachine::DecideAll(RelationId relation) const {
  const auto found = tables_.find(relation);
  if (found == tables_.end()) return Decision::kDrop;
  const Table& table = found->second;
  switch (table.record.state) {
    case TableState::kHalted:
    case TableState::kSkipped:
      return std::nullopt;  // each is counted
    case TableState::kPending:
    case TableState::kCopying:
    case TableState::kLive:
      break;
  }
  if (table.ranges && !IsWhole(table)) {
    const bool is_waiting =
        std::all_of(table.units.begin(), table.units.end(),
                    [](const Unit& unit) { return unit.state == UnitState::kWaiting; });
    return is_waiting ? std::optional(Decision::kDrop) : std::nullopt;
  }
  const UnitState unit = table.units[0].state;
  if (unit == UnitState::kCopying || unit == UnitState::kCopied) return std::nullopt;
  return Decide(UnitId{relation, 0}, TransactionMark{});
}

Decision TableMachine::Decide(RelationId relation, const TransactionMark& mark) {
  if (const auto same = DecideAll(relation)) return *same;
  Table& table = At(relation);
  if (table.record.state == TableState::kHalted || table.record.state == TableState::kSkipped) {
    ++table.dropped_count;
    return Decision::kDrop;
  }
  return Decide(UnitId{relation, 0}, mark);
}

Decision TableMachine::Decide(UnitId id, const TransactionMark& mark) const {
  const Unit& unit = At(id);
  switch (unit.state) {
    case UnitState::kWaiting:
      return Decision::kDrop;
    case UnitState::kHolding:
      return Decision::kHold;
    case UnitState::kCopying:
    case UnitState::kCopied:
      return Sees(unit, mark) ? Decision::kDrop : Decision::kHold;
    case UnitState::kLanding:
    case UnitState::kLive:
      break;
  }
  return Decision::kApply;
}

bool TableMachine::IsBehindAllRanges(RelationId relation, const TransactionMark& mark) const {
  const auto count = static_cast<std::uint32_t>(At(relation).units.size());
  for (std::uint32_t index = 0; index < count; ++index) {
    if (Decide(UnitId{relation, index}, mark) != Decision::kDrop) return false;
  }
  return true;
}

Status TableMachine::OnProcessed(std::span<const TransactionMark> transactions) {
  for (const TransactionMark& mark : transactions) {
    const bool is_piece = !mark.end_lsn.is_valid();
    const bool rises = mark.commit_lsn >= last_commit_ && (is_piece || mark.end_lsn > processed_);
    if (!rises) {
      return Error{.kind = ErrorKind::kProtocol,
                   .message = "commits are out of order: commit " + ToString(mark.commit_lsn) +
                              " after position " + ToString(processed_),
                   .code = "SLU-3021"};
    }
    last_commit_ = mark.commit_lsn;
    in_transaction_ = is_piece;
    if (is_piece) continue;
    processed_ = mark.end_lsn;
    passed_.Add(mark);
  }
  return {};
}

void TableMachine::OnPosition(Lsn position) {
  if (at_boundary()) processed_ = std::max(processed_, position);
}

void TableMachine::OnServerSnapshot(const Snapshot& snapshot, Lsn flushed) {
  passed_.Prune(snapshot);
  passed_.Expect(snapshot, flushed);
  for (auto& [relation, table] : tables_) {
    const bool has_floor = Waits(table) && table.membership_floor != 0;
    if (has_floor && snapshot.xmin >= table.membership_floor) OlderWritersDone(relation);
  }
}

// --- copies --------------------------------------------------------------------------------------

void TableMachine::SetRanges(RelationId relation, CopyRanges ranges) {
  Table& table = At(relation);
  SLUICE_CHECK(table.record.state == TableState::kPending && !table.ranges);
  SLUICE_CHECK(table.units[0].state == UnitState::kWaiting);
  ranges.landed.assign(ranges.bounds.size() + 1, false);
  table.units.assign(ranges.landed.size(), Unit{});
  table.ranges = std::move(ranges);
}

bool TableMachine::FitsRanges(const CopyTicket& ticket, const TableSchema& schema) const {
  if (!IsCurrent(ticket)) return true;
  const Table& table = At(ticket.unit.relation);
  if (!table.ranges || table.ranges->schema == nullptr) return true;
  const TableSchema& known = *table.ranges->schema;
  // A rewrite, also that of a TRUNCATE, shows in the files; a label of an enum that was renamed in
  // the comparison alone.
  return HasSameColumns(known, schema) && known.key == schema.key &&
         known.identity == schema.identity && known.identity_columns == schema.identity_columns &&
         known.hidden == schema.hidden && known.facts.files == schema.facts.files &&
         CompareVersions(known, schema).change == SchemaChange::kNone;
}

void TableMachine::CountInRanges(RelationId relation, std::int64_t rows_delta) {
  Table& table = At(relation);
  if (!table.ranges) return;
  table.ranges->row_count = std::max<std::int64_t>(0, table.ranges->row_count + rows_delta);
}

bool TableMachine::IsLastUnit(UnitId id) const {
  const Table& table = At(id.relation);
  for (std::uint32_t index = 0; index < table.units.size(); ++index) {
    const UnitState state = table.units[index].state;
    if (index != id.index && state != UnitState::kLive && state != UnitState::kLanding)
      return false;
  }
  return true;
}

std::vector<UnitId> TableMachine::Startable() const {
  std::vector<UnitId> out;
  if (!at_boundary() || passed_.needs_floor()) return out;
  for (const auto& [relation, table] : tables_) {
    const bool is_on_its_way = table.record.state == TableState::kPending ||
                               (table.record.state == TableState::kCopying && table.ranges);
    if (!is_on_its_way || Waits(table) || table.awaits_durable) continue;
    const auto first = std::find_if(table.units.begin(), table.units.end(), [](const Unit& unit) {
      return unit.state == UnitState::kWaiting;
    });
    if (first == table.units.end()) continue;
    out.push_back(
        {.relation = relation, .index = static_cast<std::uint32_t>(first - table.units.begin())});
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<CopyTicket> TableMachine::Running() const {
  std::vector<CopyTicket> out;
  for (const auto& [relation, table] : tables_) {
    for (std::uint32_t index = 0; index < table.units.size(); ++index) {
      const Unit& unit = table.units[index];
      if (unit.state != UnitState::kHolding && unit.state != UnitState::kCopying) continue;
      out.push_back({.unit = {.relation = relation, .index = index}, .attempt = unit.attempt});
    }
  }
  return out;
}

CopyStart TableMachine::BeginUnit(UnitId id) {
  SLUICE_CHECK(at_boundary());
  SLUICE_CHECK(!passed_.needs_floor());
  const Table& table = At(id.relation);
  SLUICE_CHECK(!Waits(table) && (table.record.state == TableState::kPending ||
                                 (table.record.state == TableState::kCopying && table.ranges)));
  Unit& unit = At(id);
  SLUICE_CHECK(unit.state == UnitState::kWaiting);
  // Hold, then the copy of P, in one step: another unit's newer snapshot may prune P meanwhile.
  unit.state = UnitState::kHolding;
  unit.attempt = ++last_attempt_;
  unit.suspects = passed_.TakeSuspects();
  return {.ticket = {.unit = id, .attempt = unit.attempt}, .suspects = unit.suspects};
}

SnapshotVerdict TableMachine::OfferSnapshot(const CopyTicket& ticket, CopySnapshot taken,
                                            UnixMicros now) {
  Unit* const unit = OfTicket(ticket);
  if (unit == nullptr) return {.kind = SnapshotVerdict::Kind::kStale};
  SLUICE_CHECK(unit->state == UnitState::kHolding);
  SLUICE_CHECK(taken.insert_lsn.is_valid() && taken.schema != nullptr);
  SnapshotVerdict verdict = unit->suspects.Judge(taken.snapshot);
  passed_.Prune(taken.snapshot);
  if (!verdict.usable()) return verdict;
  Table& table = At(ticket.unit.relation);
  if (table.ranges) {
    SLUICE_CHECK(FitsRanges(ticket, *taken.schema));
    if (table.ranges->schema == nullptr) table.ranges->schema = taken.schema;
  }
  unit->taken = std::move(taken);
  unit->suspects = {};
  unit->state = UnitState::kCopying;
  const bool had_news = has_news_;
  Enter(table, TableState::kCopying, now);
  has_news_ = had_news;
  return verdict;
}

bool TableMachine::CopyFinished(const CopyTicket& ticket, std::int64_t row_count, Lsn flushed) {
  Unit* const unit = OfTicket(ticket);
  if (unit == nullptr) return false;
  SLUICE_CHECK(unit->state == UnitState::kCopying);
  SLUICE_CHECK(flushed >= unit->taken->insert_lsn);  // G2
  unit->row_count = row_count;
  unit->state = UnitState::kCopied;
  return true;
}

bool TableMachine::CopyFailed(const CopyTicket& ticket, UnixMicros now) {
  Unit* const unit = OfTicket(ticket);
  if (unit == nullptr) return false;
  SLUICE_CHECK(unit->state != UnitState::kLanding);  // its rows are in the table already
  Reset(*unit);
  Table& table = At(ticket.unit.relation);
  const bool is_idle = std::all_of(table.units.begin(), table.units.end(), [](const Unit& other) {
    return other.state == UnitState::kWaiting;
  });
  if (is_idle) {
    Enter(table, TableState::kPending, now);
    if (table.ranges) table.ranges->schema = nullptr;  // nothing has it
  }
  return true;
}

// Beyond I nothing is seen; not asking there keeps the ids within reach of Widen(). The commit
// record's own position serves as well as its end: I never lies inside a record.
bool TableMachine::Sees(const Unit& unit, const TransactionMark& mark) {
  return mark.commit_lsn < unit.taken->insert_lsn && unit.taken->snapshot.Sees(mark.xid);
}

bool TableMachine::DropsHeld(UnitId id, const TransactionMark& mark) const {
  const Unit& unit = At(id);
  SLUICE_CHECK(unit.taken.has_value());
  return Sees(unit, mark);
}

std::vector<UnitId> TableMachine::Landable() const {
  std::vector<UnitId> out;
  if (!at_boundary()) return out;
  for (const auto& [relation, table] : tables_) {
    for (std::uint32_t index = 0; index < table.units.size(); ++index) {
      const Unit& unit = table.units[index];
      if (unit.state == UnitState::kCopied && processed_ >= unit.taken->insert_lsn) {
        out.push_back({.relation = relation, .index = index});
      }
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

void TableMachine::Land(UnitId id, UnixMicros now) {
  SLUICE_CHECK(at_boundary());
  Unit& unit = At(id);
  SLUICE_CHECK(unit.state == UnitState::kCopied);
  SLUICE_CHECK(processed_ >= unit.taken->insert_lsn);
  unit.state = UnitState::kLanding;
  unit.commit = 0;
  Table& table = At(id.relation);
  if (table.ranges) {
    Change(table);
    table.ranges->row_count += unit.row_count;
    NoteLanded(table);
    if (!IsWhole(table)) return;
  }
  Enter(table, TableState::kLive, now);
  table.record.row_count = table.ranges ? table.ranges->row_count : unit.row_count;
  table.record.schema = unit.taken->schema;
  table.record.lsn = unit.taken->insert_lsn;
}

// --- commits -------------------------------------------------------------------------------------

std::vector<TableRecord> TableMachine::TakeChangedRecords(std::uint64_t sequence) {
  SLUICE_CHECK(sequence != 0);
  has_news_ = false;
  std::vector<TableRecord> out;
  for (Removed& removed : removed_) {
    if (removed.commit != 0) continue;
    removed.commit = sequence;
    out.push_back(removed.record);
  }
  for (auto& [relation, table] : tables_) {
    for (Unit& unit : table.units) {
      if (unit.state == UnitState::kLanding && unit.commit == 0) unit.commit = sequence;
    }
    if (!table.is_changed) continue;
    table.is_changed = false;
    table.commit = sequence;
    out.push_back(table.record);
  }
  return out;
}

void TableMachine::OnDurable(std::uint64_t sequence) {
  const auto is_in = [&](std::uint64_t commit) { return commit != 0 && commit <= sequence; };
  std::erase_if(removed_, [&](const Removed& removed) { return is_in(removed.commit); });
  for (auto& [relation, table] : tables_) {
    if (is_in(table.commit)) {
      table.commit = 0;
      if (!table.is_changed) {
        table.durable_record.reset();
        table.awaits_durable = false;
      }
    }
    for (Unit& unit : table.units) {
      if (unit.state != UnitState::kLanding || !is_in(unit.commit)) continue;
      Reset(unit);
      unit.state = UnitState::kLive;
    }
    const bool is_done =
        table.ranges && std::all_of(table.units.begin(), table.units.end(), [](const Unit& unit) {
          return unit.state == UnitState::kLive;
        });
    if (is_done) {
      table.ranges.reset();
      table.units.resize(1);
    }
  }
}

void TableMachine::OnReconnect(Lsn durable) {
  passed_.RewindTo(durable);
  ++incarnation_;
  processed_ = durable;
  last_commit_ = {};
  in_transaction_ = false;
  has_news_ = true;
  for (Removed& removed : removed_) removed.commit = 0;
  for (auto& [relation, table] : tables_) {
    for (Unit& unit : table.units) {
      if (unit.state != UnitState::kLanding) continue;
      unit.state = UnitState::kCopied;
      unit.commit = 0;
      table.record.state = TableState::kCopying;
    }
    if (table.ranges) NoteLanded(table);
    if (table.commit != 0) table.is_changed = true;
    table.commit = 0;
    table.awaits_durable = false;
    if (!table.durable_record) continue;
    // Counted again when the changes come again. A halt stays: its cause is still there.
    table.record.row_count = table.durable_record->row_count;
    table.record.lsn = table.durable_record->lsn;
    table.record.committed_at = table.durable_record->committed_at;
    table.record.schema = table.durable_record->schema;
    table.is_changed = true;
  }
}

void TableMachine::OnBirth(Lsn position, const PassedList& passed) {
  SLUICE_CHECK(!processed_.is_valid());
  processed_ = position;
  passed_ = PassedTransactions(passed, position);
}

// --- looking -------------------------------------------------------------------------------------

const TableRecord& TableMachine::record(RelationId relation) const {
  return At(relation).record;
}

const CopyRanges* TableMachine::ranges(RelationId relation) const {
  const Table& table = At(relation);
  return table.ranges && !IsWhole(table) ? &*table.ranges : nullptr;
}

std::uint32_t TableMachine::unit_count(RelationId relation) const {
  return static_cast<std::uint32_t>(At(relation).units.size());
}

UnitState TableMachine::unit_state(UnitId unit) const {
  return At(unit).state;
}

SchemaPtr TableMachine::unit_schema(UnitId unit) const {
  const Unit& found = At(unit);
  return found.taken ? found.taken->schema : nullptr;
}

std::vector<RelationId> TableMachine::tables() const {
  std::vector<RelationId> out;
  out.reserve(tables_.size());
  for (const auto& [relation, table] : tables_) out.push_back(relation);
  std::sort(out.begin(), out.end());
  return out;
}

std::uint64_t TableMachine::dropped_while_stopped(RelationId relation) const {
  return At(relation).dropped_count;
}

// --- private -------------------------------------------------------------------------------------

TableMachine::Table& TableMachine::At(RelationId relation) {
  const auto found = tables_.find(relation);
  SLUICE_CHECK(found != tables_.end());
  return found->second;
}

const TableMachine::Table& TableMachine::At(RelationId relation) const {
  const auto found = tables_.find(relation);
  SLUICE_CHECK(found != tables_.end());
  return found->second;
}

TableMachine::Unit& TableMachine::At(UnitId unit) {
  Table& table = At(unit.relation);
  SLUICE_CHECK(unit.index < table.units.size());
  return table.units[unit.index];
}

const TableMachine::Unit& TableMachine::At(UnitId unit) const {
  const Table& table = At(unit.relation);
  SLUICE_CHECK(unit.index < table.units.size());
  return table.units[unit.index];
}

// Copy threads speak late: the table may be gone, halted or in its next try.
bool TableMachine::IsCurrent(const CopyTicket& ticket) const {
  const auto found = tables_.find(ticket.unit.relation);
  if (found == tables_.end() || ticket.unit.index >= found->second.units.size()) return false;
  return ticket.attempt != 0 && found->second.units[ticket.unit.index].attempt == ticket.attempt;
}

TableMachine::Unit* TableMachine::OfTicket(const CopyTicket& ticket) {
  return IsCurrent(ticket) ? &At(ticket.unit) : nullptr;
}

void TableMachine::Change(Table& table) {
  if (!table.durable_record) table.durable_record = table.record;
  table.is_changed = true;
  has_news_ = true;
}

void TableMachine::Enter(Table& table, TableState state, UnixMicros now) {
  if (table.record.state == state) return;
  Change(table);
  const TableState before = table.record.state;
  table.record.state = state;
  table.record.since = now;
  table.record.kept.reset();
  const bool is_on_its_way = state == TableState::kPending || state == TableState::kCopying;
  const bool was_on_its_way = before == TableState::kPending || before == TableState::kCopying;
  if (!is_on_its_way || !was_on_its_way) table.record.reason.clear();
  table.record.advice.clear();
}

void TableMachine::StartOver(Table& table) {
  Change(table);
  for (const Unit& unit : table.units) {
    // Landed ranges must be known to be given up before others take their place.
    const bool is_landed =
        unit.state == UnitState::kLanding || (table.ranges && unit.state == UnitState::kLive);
    table.awaits_durable = table.awaits_durable || is_landed;
  }
  table.units.assign(1, Unit{});
  table.ranges.reset();
  table.record.ranges.reset();
}

bool TableMachine::IsWhole(const Table& table) {
  return std::all_of(table.units.begin(), table.units.end(), [](const Unit& unit) {
    return unit.state == UnitState::kLanding || unit.state == UnitState::kLive;
  });
}

/// The record has them only while there is something to go on with.
void TableMachine::NoteLanded(Table& table) {
  bool has_any = false;
  for (std::size_t i = 0; i < table.units.size(); ++i) {
    const UnitState state = table.units[i].state;
    table.ranges->landed[i] = state == UnitState::kLanding || state == UnitState::kLive;
    has_any = has_any || table.ranges->landed[i];
  }
  table.record.ranges.reset();
  if (has_any && !IsWhole(table)) table.record.ranges = table.ranges;
}

void TableMachine::Reset(Unit& unit) {
  unit = Unit{};
}

}  // namespace sluice::replication
