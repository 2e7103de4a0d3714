#include "engine/delivery_writer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "replication/lift.h"
#include "replication/net_change_fold.h"
#include "replication/schema_versions.h"

namespace sluice::engine {
namespace {

constexpr Duration kIdleTick = std::chrono::milliseconds(100);
constexpr Duration kPublishInterval = std::chrono::milliseconds(100);

/// The transaction of an item that is not a batch.
std::uint32_t TransactionOf(const ChangeItem& item) {
  if (const auto* mark = std::get_if<TruncateMark>(&item)) return mark->transaction;
  if (const auto* mark = std::get_if<SchemaMark>(&item)) return mark->transaction;
  if (const auto* mark = std::get_if<TableFailure>(&item)) return mark->transaction;
  return 0;
}

}  // namespace

DeliveryWriter::DeliveryWriter(Destination& destination, DeliveryState restored,
                               WriterOptions options, Progress& progress, LatencyWindow& latency,
                               telemetry::Logger& logger)
    : destination_(destination),
      options_(std::move(options)),
      progress_(progress),
      latency_(latency),
      logger_(logger),
      inbox_(options_.inbox_bytes),
      machine_(restored),
      held_(options_.spill_dir, options_.held_memory_bytes) {
  if (restored.position) {
    position_ = restored.position->lsn;
    last_transaction_ = restored.position->last_transaction;
  }
  progress_.processed.Store(position_);
  progress_.durable.Store(position_);
  progress_.visible.Store(position_);
  destination_.OnWatermark([this](const Watermarks& marks) { OnWatermarks(marks); });
  PublishTables();
}

DeliveryWriter::~DeliveryWriter() {
  inbox_.Stop();
  destination_.OnWatermark([](const Watermarks&) {});
}

Status DeliveryWriter::Run() {
  for (;;) {
    if (!takes_fences_.load()) fence_.Close();
    WriterInbox::Item item =
        inbox_.Pop(in_transaction_, fence_.blocks_sets(), Clock::now() + kIdleTick);
    progress_.writer_beat_us.store(WallClock().value, std::memory_order_relaxed);
    if (auto* set = std::get_if<ChangeSet>(&item)) {
      SLUICE_RETURN_IF_ERROR(HandleSet(std::move(*set)));
    } else if (auto* call = std::get_if<WriterInbox::Call>(&item)) {
      call->run();
    } else if (auto* lost = std::get_if<WriterInbox::StreamLost>(&item)) {
      DropStream();
      lost->handled->set_value();
    } else if (std::holds_alternative<WriterInbox::Closed>(item)) {
      DropStream();
      return CommitStates();
    } else if (!in_transaction_) {
      const Status maintained = destination_.Maintain(Clock::now() + std::chrono::seconds(1));
      if (!maintained)
        logger_.Warn("maintenance of the destination failed: {}", maintained.error().message);
    }
    fence_.CheckDeadline(Clock::now());
    if (!in_transaction_) {
      fence_.OnProcessed(position_);
      if (!fence_.is_open()) SLUICE_RETURN_IF_ERROR(LandUnits());
      SLUICE_RETURN_IF_ERROR(CommitStates());
    }
    PublishTables();
  }
}

// Steps
// ---------------------------------------------------------------------------------------------------------------

Result<replication::CopyStart> DeliveryWriter::BeginUnit(UnitId unit) {
  if (!machine_.has_table(unit.relation) ||
      machine_.unit_state(unit) != replication::UnitState::kWaiting) {
    return Error{.kind = ErrorKind::kCancelled, .message = "the unit is not waiting any more"};
  }
  held_.Drop(unit);
  return machine_.BeginUnit(unit);
}

Result<replication::SnapshotVerdict> DeliveryWriter::OfferSnapshot(
    const replication::CopyTicket& ticket, replication::CopySnapshot taken) {
  replication::SnapshotVerdict verdict =
      machine_.OfferSnapshot(ticket, std::move(taken), WallClock());
  if (!verdict.usable()) return verdict;
  SLUICE_RETURN_IF_ERROR(held_.Decide(ticket.unit, [&](const TransactionMark& mark) {
    return machine_.DropsHeld(ticket.unit, mark);
  }));
  return verdict;
}

Result<bool> DeliveryWriter::CopyFinished(const replication::CopyTicket& ticket,
                                          std::int64_t row_count, Lsn flushed) {
  const bool is_current = machine_.CopyFinished(ticket, row_count, flushed);
  if (is_current) ++progress_.units_to_land;  // exact again at the next PublishTables()
  return is_current;
}

Result<bool> DeliveryWriter::CopyFailed(const replication::CopyTicket& ticket) {
  if (!machine_.CopyFailed(ticket, WallClock())) return false;
  held_.Drop(ticket.unit);
  return true;
}

Status DeliveryWriter::HaltTable(RelationId relation, const Error& error) {
  Halt(relation, error);
  return {};
}

Status DeliveryWriter::Resync(RelationId relation) {
  if (!machine_.has_table(relation)) {
    return Error{.kind = ErrorKind::kInvalidArgument, .message = "no such table in this pipeline"};
  }
  held_.Drop(UnitId{relation, 0});
  machine_.Resync(relation, WallClock());
  return {};
}

Status DeliveryWriter::CommitStates() {
  return Commit(std::nullopt, UnixMicros{});
}

// Change sets
// ---------------------------------------------------------------------------------------------------------

Status DeliveryWriter::HandleSet(ChangeSet set) {
  SLUICE_CHECK(set.continues_previous == in_transaction_);
  if (!set.transactions.empty() && progress_.oldest_pending_commit_us.load() == 0) {
    progress_.oldest_pending_commit_us.store(set.transactions.front().committed_at.value);
  }
  std::optional<ChangeSet> behind = fence_.CutBehind(set);
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(const SetOutcome outcome, StageSet(set));
    if (outcome == SetOutcome::kDone) break;
    // A table halted: nothing of this set may stay staged with half of it. Stage again without that
    // table; where earlier pieces of a transaction are gone already, the stream has to bring them
    // again.
    destination_.Abandon();
    held_.Rollback();
    staged_.clear();
    shapes_.clear();
    if (set.continues_previous) {
      in_transaction_ = false;
      pending_.clear();
      SLUICE_RETURN_IF_ERROR(CommitStates());
      return Error{.kind = ErrorKind::kConnection,
                   .message = "a table halted inside a large transaction, which is read again",
                   .code = "SLU-3090"};
    }
  }
  progress_.rows_streamed += static_cast<std::int64_t>(set.row_count);
  if (!set.ends_at_boundary) {
    SLUICE_CHECK(!behind && !set.transactions.empty());
    in_transaction_ = true;
    pending_.insert(pending_.end(), set.transactions.begin(), set.transactions.end() - 1);
    return {};
  }
  in_transaction_ = false;
  pending_.insert(pending_.end(), set.transactions.begin(), set.transactions.end());
  const std::vector<TransactionMark> passed = std::exchange(pending_, {});
  SLUICE_RETURN_IF_ERROR(machine_.OnProcessed(passed));
  held_.Boundary();
  if (set.end > position_) {
    machine_.OnPosition(set.end);
    SLUICE_RETURN_IF_ERROR(CommitPosition(set.end, passed));
  }
  if (behind) {
    inbox_.PushFront(std::move(*behind));
    fence_.OnPassed();
  }
  return {};
}

Result<DeliveryWriter::SetOutcome> DeliveryWriter::StageSet(const ChangeSet& set) {
  for (const TableChanges& table : set.tables) {
    SLUICE_ASSIGN_OR_RETURN(const SetOutcome outcome, StageTable(table, set.transactions));
    if (outcome == SetOutcome::kTableHalted) return outcome;
  }
  return SetOutcome::kDone;
}

Result<DeliveryWriter::SetOutcome> DeliveryWriter::StageTable(
    const TableChanges& changes, const std::vector<TransactionMark>& marks) {
  if (!machine_.has_table(changes.relation)) return SetOutcome::kDone;
  const UnitId unit{changes.relation, 0};
  if (machine_.DecideAll(changes.relation) == replication::Decision::kApply) {
    return ApplyItems(changes.relation, changes.items, marks);
  }
  const bool is_waiting = machine_.unit_state(unit) == replication::UnitState::kWaiting;
  for (const ChangeItem& item : changes.items) {
    // Later rows of this set are missing, also those of transactions that the copy does not see:
    // that the copy sees the transaction that failed is no way out. A waiting table needs none.
    const auto* failure = std::get_if<TableFailure>(&item);
    if (failure != nullptr && !is_waiting) return Halt(changes.relation, failure->error);
    const Status held = HoldItem(unit, item, marks);
    // Held changes that find no place make their copy begin again: nothing of it is needed any
    // more.
    if (!held) return Halt(changes.relation, held.error());
  }
  return SetOutcome::kDone;
}

Status DeliveryWriter::HoldItem(UnitId unit, const ChangeItem& item,
                                const std::vector<TransactionMark>& marks) {
  using replication::Decision;
  const auto* batch = std::get_if<ChangeBatch>(&item);
  if (batch == nullptr) {
    const TransactionMark& mark = marks.at(TransactionOf(item));
    if (machine_.Decide(unit.relation, mark) == Decision::kHold)
      return held_.Append(unit, item, {mark});
    CountDropped(unit.relation, item);
    return {};
  }
  std::vector<TransactionMark> run_marks;
  std::vector<bool> is_dropped;
  run_marks.reserve(batch->runs.size());
  for (const TransactionRun& run : batch->runs) {
    run_marks.push_back(marks.at(run.transaction));
    is_dropped.push_back(machine_.Decide(unit.relation, run_marks.back()) != Decision::kHold);
  }
  const auto dropped = std::count(is_dropped.begin(), is_dropped.end(), true);
  if (dropped == 0) return held_.Append(unit, *batch, std::move(run_marks));
  if (dropped == static_cast<std::ptrdiff_t>(is_dropped.size())) {
    CountDropped(unit.relation, item);
    return {};
  }
  // Only a unit whose snapshot is known drops some and holds others; the single marks are not asked
  // for again.
  for (ChangeBatch& kept : KeepRuns(*batch, is_dropped)) {
    SLUICE_RETURN_IF_ERROR(held_.Append(unit, std::move(kept), {run_marks.back()}));
  }
  return {};
}

void DeliveryWriter::CountDropped(RelationId relation, const ChangeItem& item) {
  if (machine_.record(relation).state != TableState::kHalted) return;
  const auto* batch = std::get_if<ChangeBatch>(&item);
  counters_[relation].dropped +=
      batch == nullptr ? 1 : static_cast<std::int64_t>(batch->row_count());
}

Result<DeliveryWriter::SetOutcome> DeliveryWriter::ApplyItems(
    RelationId relation, std::vector<ChangeItem> items, const std::vector<TransactionMark>& marks) {
  for (const ChangeItem& item : items) {
    if (const auto* failure = std::get_if<TableFailure>(&item))
      return Halt(relation, failure->error);
  }
  auto outcome = destination_.capabilities().wants == Capabilities::Rows::kLog
                     ? ApplyLog(relation, items, marks)
                     : ApplyNet(relation, items, marks);
  if (!outcome || *outcome == SetOutcome::kTableHalted) return outcome;
  std::int64_t rows_delta = 0;
  for (const ChangeItem& item : items) {
    // A truncate takes back what was counted of this run, too.
    const std::int64_t delta = CountItem(relation, item);
    rows_delta = std::holds_alternative<TruncateMark>(item) ? delta : rows_delta + delta;
  }
  if (!items.empty() && !marks.empty()) machine_.CountApplied(relation, rows_delta, marks.back());
  return outcome;
}

Result<DeliveryWriter::SetOutcome> DeliveryWriter::ApplyLog(
    RelationId relation, std::vector<ChangeItem>& items,
    const std::vector<TransactionMark>& marks) {
  const auto shared_marks = std::make_shared<const std::vector<TransactionMark>>(marks);
  for (ChangeItem& item : items) {
    SetOutcome outcome = SetOutcome::kDone;
    if (auto* batch = std::get_if<ChangeBatch>(&item)) {
      SLUICE_ASSIGN_OR_RETURN(outcome, BringTo(relation, batch->schema));
      if (outcome == SetOutcome::kTableHalted) return outcome;
      LogRows rows{std::make_shared<const ChangeBatch>(*batch), shared_marks};
      SLUICE_ASSIGN_OR_RETURN(outcome, StageItem(relation, SequenceItem(std::move(rows))));
    } else if (const auto* truncate = std::get_if<TruncateMark>(&item)) {
      const TransactionMark& mark =
          marks.at(std::min<std::size_t>(truncate->transaction, marks.size() - 1));
      SLUICE_ASSIGN_OR_RETURN(
          outcome, StageItem(relation, TruncateTable{relation, mark, truncate->ordinal}));
    }
    if (outcome == SetOutcome::kTableHalted) return outcome;
  }
  return SetOutcome::kDone;
}

Result<DeliveryWriter::SetOutcome> DeliveryWriter::ApplyNet(
    RelationId relation, std::vector<ChangeItem>& items,
    const std::vector<TransactionMark>& marks) {
  // All DDL before rows: the table is brought to the newest version in this run first, older rows
  // are lifted.
  for (const ChangeItem& item : items) {
    const auto* batch = std::get_if<ChangeBatch>(&item);
    if (batch == nullptr) continue;
    SLUICE_ASSIGN_OR_RETURN(const SetOutcome outcome, BringTo(relation, batch->schema));
    if (outcome == SetOutcome::kTableHalted) return outcome;
  }
  const SchemaPtr schema = Shape(relation);
  std::vector<replication::FoldItem> fold;
  for (ChangeItem& item : items) {
    if (std::holds_alternative<TruncateMark>(item)) fold.emplace_back();
    auto* batch = std::get_if<ChangeBatch>(&item);
    if (batch == nullptr) continue;
    if (batch->schema != schema) {
      if (SameShape(*batch->schema, *schema)) {
        batch->schema = schema;
      } else {
        Result<ChangeBatch> lifted = replication::LiftRows(*batch, schema);
        if (!lifted) return Halt(relation, lifted.error());
        *batch = *std::move(lifted);
      }
    }
    replication::FoldItem& added = fold.emplace_back();
    added.batch = batch;
    added.transactions = &marks;
  }
  if (fold.empty()) return SetOutcome::kDone;
  Result<NetChange> net = replication::FoldNet(
      schema, fold, {.wants_change_ids = destination_.capabilities().wants_change_ids});
  if (!net) return Halt(relation, net.error());
  NetRows rows{std::make_shared<const NetChange>(*std::move(net))};
  return StageItem(relation, SequenceItem(std::move(rows)));
}

/// What the table at the destination looks like now, changes that are staged included.
SchemaPtr DeliveryWriter::Shape(RelationId relation) const {
  const auto found = shapes_.find(relation);
  return found != shapes_.end() ? found->second : machine_.record(relation).schema;
}

/// The table at the destination gets the shape of rows that come; rows of an older shape leave it
/// alone.
Result<DeliveryWriter::SetOutcome> DeliveryWriter::BringTo(RelationId relation,
                                                           const SchemaPtr& schema) {
  const SchemaPtr shape = Shape(relation);
  if (shape == schema) return SetOutcome::kDone;
  if (!shape) {
    shapes_[relation] = schema;
    return SetOutcome::kDone;
  }
  const auto change = replication::CompareSchema(*shape, *schema);
  if (!change) {
    // Rows of an older version never come behind a newer one: whoever alters a table waits for its
    // writers to end.
    return Halt(relation, change.error());
  }
  if (*change == replication::SchemaChange::kNone) return SetOutcome::kDone;
  SLUICE_ASSIGN_OR_RETURN(const SetOutcome outcome,
                          StageItem(relation, AlterTable{shape, schema, schema->since}));
  if (outcome == SetOutcome::kTableHalted) return outcome;
  logger_.Info("table {}: {} column(s) added", ToString(schema->name),
               schema->columns.size() - shape->columns.size());
  shapes_[relation] = schema;
  return SetOutcome::kDone;
}

Result<DeliveryWriter::SetOutcome> DeliveryWriter::StageItem(RelationId relation,
                                                             const SequenceItem& item) {
  SLUICE_ASSIGN_OR_RETURN(const StageOutcome outcome, destination_.Stage(item));
  staged_.insert(relation);
  if (!outcome.table_failed) return SetOutcome::kDone;
  return Halt(outcome.table_failed->relation, outcome.table_failed->error);
}

DeliveryWriter::SetOutcome DeliveryWriter::Halt(RelationId relation, const Error& error) {
  if (!machine_.has_table(relation)) return SetOutcome::kTableHalted;
  const TableRecord& record = machine_.record(relation);
  if (record.state == TableState::kHalted) return SetOutcome::kTableHalted;
  Error with_advice = error;
  if (with_advice.advice.empty()) with_advice.advice = "sluice resync " + ToString(record.source);
  logger_.Failed("table {} halted: {} ({}); the others go on; to continue: {}",
                 ToString(record.source), with_advice.message, with_advice.code,
                 with_advice.advice);
  machine_.Halt(relation, with_advice, WallClock());
  held_.Drop(UnitId{relation, 0});
  return SetOutcome::kTableHalted;
}

/// \return by how many rows the table grew.
std::int64_t DeliveryWriter::CountItem(RelationId relation, const ChangeItem& item) {
  TableCounters& counters = counters_[relation];
  if (std::holds_alternative<TruncateMark>(item)) {
    ++counters.truncates;
    return -machine_.record(relation).row_count;
  }
  const auto* batch = std::get_if<ChangeBatch>(&item);
  if (batch == nullptr) return 0;
  std::int64_t inserted = 0;
  std::int64_t deleted = 0;
  if (batch->kinds.empty()) {
    inserted = static_cast<std::int64_t>(batch->row_count());
  } else {
    inserted = std::count(batch->kinds.begin(), batch->kinds.end(), ChangeKind::kInsert);
    deleted = std::count(batch->kinds.begin(), batch->kinds.end(), ChangeKind::kDelete);
  }
  counters.inserted += inserted;
  counters.deleted += deleted;
  counters.updated += static_cast<std::int64_t>(batch->row_count()) - inserted - deleted;
  return inserted - deleted;
}

// Commits
// -------------------------------------------------------------------------------------------------------------

Status DeliveryWriter::CommitPosition(Lsn end, const std::vector<TransactionMark>& marks) {
  if (!marks.empty()) {
    const TransactionMark& last = marks.back();
    last_transaction_ = Witness{last.commit_lsn, last.xid, last.committed_at};
  }
  SLUICE_RETURN_IF_ERROR(Commit(end, marks.empty() ? UnixMicros{} : marks.back().committed_at));
  progress_.transactions += static_cast<std::int64_t>(marks.size());
  NoteLatency(marks);
  return {};
}

Status DeliveryWriter::Commit(std::optional<Lsn> end, UnixMicros committed_at) {
  SLUICE_CHECK(!in_transaction_);
  for (const auto& [relation, schema] : shapes_) machine_.SetSchema(relation, schema);
  shapes_.clear();
  CommitRecord record;
  record.tables = machine_.TakeChangedRecords(sequence_ + 1);
  if (!end && record.tables.empty() && staged_.empty()) return {};
  SLUICE_RETURN_IF_ERROR(WaitForRoom());
  record.sequence = ++sequence_;
  const Lsn position = end.value_or(position_);
  if (position.is_valid()) {
    record.position = Position{position, last_transaction_};
    record.passed = machine_.PassedAt(position);
  }
  record.committed_at = committed_at;
  {
    const base::MutexLock lock(shared_mutex_);
    waiting_durable_.push_back({record.sequence, position, committed_at});
    waiting_visible_.push_back({record.sequence, position, committed_at});
  }
  SLUICE_ASSIGN_OR_RETURN(const CommitOutcome outcome, destination_.Commit(record));
  staged_.clear();
  if (outcome == CommitOutcome::kUnknown) {
    return Error{.kind = ErrorKind::kConnection,
                 .message =
                     "the destination does not know whether the last commit is in; its position is "
                     "read again",
                 .code = "SLU-5005"};
  }
  ++progress_.commits;
  position_ = position;
  progress_.processed.Store(position_);
  machine_.OnDurable(durable_sequence_.load(std::memory_order_acquire));
  return {};
}

void DeliveryWriter::Interrupt() {
  is_interrupted_.store(true);
  destination_.Interrupt();
}

/// Several commits may be in flight only as far as the destination says: until they are visible.
Status DeliveryWriter::WaitForRoom() {
  const std::size_t most =
      std::max<std::size_t>(1, destination_.capabilities().commits_in_flight_max);
  const Clock::time_point deadline = Clock::now() + std::chrono::minutes(10);
  for (;;) {
    {
      const base::MutexLock lock(shared_mutex_);
      if (std::max(waiting_durable_.size(), waiting_visible_.size()) < most) return {};
    }
    if (is_interrupted_.load()) {
      return Error{.kind = ErrorKind::kCancelled,
                   .message = "stopped while earlier commits were not durable"};
    }
    if (Clock::now() > deadline) {
      return Error{
          .kind = ErrorKind::kTimeout,
          .message = "the destination did not make earlier commits durable within 10 minutes",
          .code = "SLU-5006"};
    }
    const Status maintained = destination_.Maintain(Clock::now() + std::chrono::milliseconds(10));
    if (!maintained) return maintained;
  }
}

void DeliveryWriter::OnWatermarks(const Watermarks& marks) {
  durable_sequence_.store(marks.durable_sequence, std::memory_order_release);
  const base::MutexLock lock(shared_mutex_);
  while (!waiting_durable_.empty() && waiting_durable_.front().sequence <= marks.durable_sequence) {
    const InFlight& front = waiting_durable_.front();
    progress_.durable.Store(front.end);
    if (front.committed_at.value != 0) {
      progress_.last_commit_unix_us.store(front.committed_at.value, std::memory_order_relaxed);
    }
    waiting_durable_.pop_front();
  }
  while (!waiting_visible_.empty() && waiting_visible_.front().sequence <= marks.visible_sequence) {
    progress_.visible.Store(waiting_visible_.front().end);
    waiting_visible_.pop_front();
  }
  progress_.oldest_pending_commit_us.store(
      waiting_durable_.empty() ? 0 : waiting_durable_.front().committed_at.value,
      std::memory_order_relaxed);
}

void DeliveryWriter::NoteLatency(const std::vector<TransactionMark>& marks) {
  const std::int64_t now = WallClock().value;
  const std::size_t step = marks.size() / 64 + 1;
  for (std::size_t i = 0; i < marks.size(); i += step) {
    latency_.Add(static_cast<double>(now - marks[i].committed_at.value) / 1000.0);
  }
}

// Landing
// -------------------------------------------------------------------------------------------------------------

Status DeliveryWriter::LandUnits() {
  for (const UnitId unit : machine_.Landable()) SLUICE_RETURN_IF_ERROR(Land(unit));
  return {};
}

Status DeliveryWriter::Land(UnitId unit) {
  const TableRecord before = machine_.record(unit.relation);
  const SchemaPtr schema = machine_.unit_schema(unit);
  const LandUnit item{
      .unit = unit, .schema = schema, .destination = before.destination, .lsn = position_};
  SLUICE_ASSIGN_OR_RETURN(SetOutcome outcome, StageItem(unit.relation, item));
  if (outcome == SetOutcome::kDone) {
    // First the copied rows are counted, then what the held changes make of them.
    machine_.Land(unit, WallClock());
    shapes_[unit.relation] = schema;
    SLUICE_ASSIGN_OR_RETURN(outcome, ReplayHeld(unit));
  }
  if (outcome == SetOutcome::kTableHalted) {
    destination_.Abandon();
    staged_.clear();
    shapes_.clear();
    machine_.SetSchema(unit.relation, before.schema);  // the table stays as it was
    const Status discarded = destination_.DiscardCopy(unit);
    if (!discarded) {
      logger_.Warn("the copy of {} could not be removed: {}", ToString(before.source),
                   discarded.error().message);
    }
    return CommitStates();
  }
  held_.Drop(unit);
  SLUICE_RETURN_IF_ERROR(Commit(std::nullopt, UnixMicros{}));
  logger_.Info("table {} is live: {} rows", ToString(before.source),
               machine_.record(unit.relation).row_count);
  return {};
}

Result<DeliveryWriter::SetOutcome> DeliveryWriter::ReplayHeld(UnitId unit) {
  std::vector<ChangeItem> items;
  std::vector<TransactionMark> marks;
  std::size_t bytes = 0;
  SetOutcome outcome = SetOutcome::kDone;
  const auto flush = [&]() -> Status {
    if (items.empty() || outcome == SetOutcome::kTableHalted) return {};
    SLUICE_ASSIGN_OR_RETURN(outcome, ApplyItems(unit.relation, std::move(items), marks));
    items.clear();
    bytes = 0;
    return {};
  };
  SLUICE_RETURN_IF_ERROR(
      held_.Replay(unit, [&](ChangeItem item, const TransactionMark& last) -> Status {
        if (outcome == SetOutcome::kTableHalted) return {};
        marks.assign(1, last);
        if (auto* batch = std::get_if<ChangeBatch>(&item)) {
          bytes += batch->bytes;
          for (TransactionRun& run : batch->runs) run.transaction = 0;
        } else if (auto* truncate = std::get_if<TruncateMark>(&item)) {
          truncate->transaction = 0;
        }
        items.push_back(std::move(item));
        return bytes >= options_.landing_bytes ? flush() : Status{};
      }));
  SLUICE_RETURN_IF_ERROR(flush());
  return outcome;
}

void DeliveryWriter::DropStream() {
  if (!in_transaction_) return;
  destination_.Abandon();
  held_.Rollback();
  staged_.clear();
  shapes_.clear();
  pending_.clear();
  in_transaction_ = false;
}

// Display
// -------------------------------------------------------------------------------------------------------------

void DeliveryWriter::PublishTables() {
  const Clock::time_point now = Clock::now();
  if (now - published_at_ < kPublishInterval) return;
  published_at_ = now;
  progress_.held_bytes.store(held_.total_bytes(), std::memory_order_relaxed);
  int to_land = 0;
  std::vector<TableStatus> tables;
  for (const RelationId relation : machine_.tables()) {
    TableStatus& status = tables.emplace_back();
    status.record = machine_.record(relation);
    const TableRecord& record = status.record;
    status.record.schema = nullptr;
    const TableCounters& counters = counters_[record.relation];
    status.rows_inserted = counters.inserted;
    status.rows_updated = counters.updated;
    status.rows_deleted = counters.deleted;
    status.truncates = counters.truncates;
    status.changes_dropped = counters.dropped;
    status.held_bytes = held_.bytes(UnitId{record.relation, 0});
    if (machine_.unit_state(UnitId{record.relation, 0}) == replication::UnitState::kCopied)
      ++to_land;
  }
  progress_.units_to_land.store(to_land);
  const base::MutexLock lock(shared_mutex_);
  published_.swap(tables);
}

std::vector<TableRecord> DeliveryWriter::Records() const {
  std::vector<TableRecord> records;
  for (const RelationId relation : machine_.tables()) records.push_back(machine_.record(relation));
  return records;
}

std::vector<TableStatus> DeliveryWriter::Tables() const {
  const base::MutexLock lock(shared_mutex_);
  return published_;
}

}  // namespace sluice::engine
