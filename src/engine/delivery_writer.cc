#include "engine/delivery_writer.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/failpoint.h"
#include "engine/misfit_counts.h"
#include "replication/key_ranges.h"

namespace sluice::engine {
namespace {

constexpr Duration kIdleTick = std::chrono::milliseconds(100);
/// First copies without held changes wait so long for others that are about to end.
constexpr Duration kLandingWait = std::chrono::milliseconds(100);
/// So many land in one commit, so that no other table waits long.
constexpr std::size_t kLandTogetherMax = 20;
/// That a copy has begun is stored with the next commit, or so late.
constexpr Duration kBegunCopiesWait = std::chrono::milliseconds(500);

/// The transaction of an item that is not a batch.
std::uint32_t TransactionOf(const ChangeItem& item) {
  if (const auto* mark = std::get_if<TruncateMark>(&item)) return mark->transaction;
  if (const auto* mark = std::get_if<SchemaMark>(&item)) return mark->transaction;
  if (const auto* mark = std::get_if<TableFailure>(&item)) return mark->transaction;
  return 0;
}

/// How long ago its oldest transaction committed. The clocks of two machines may differ.
std::int64_t AgeOf(const ChangeSet& set) {
  if (set.transactions.empty()) return 0;
  const std::int64_t committed_at = set.transactions.front().committed_at.value;
  return std::max<std::int64_t>(0, WallClock().value - committed_at);
}

void StampAll(ChangeSet& set) {
  for (TableChanges& table : set.tables) {
    for (ChangeItem& item : table.items) {
      if (auto* batch = std::get_if<ChangeBatch>(&item)) StampMisfits(*batch, set.transactions);
    }
  }
}

StageOutcome Failed(RelationId relation, Error error) {
  return {.table_failed = TableFailed{relation, std::move(error)}};
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
      held_(options_.spill_dir, options_.held_memory_bytes),
      stager_(destination, machine_, logger),
      in_flight_(progress, sequence_) {
  if (restored.position) {
    position_ = restored.position->lsn;
    last_transaction_ = restored.position->last_transaction;
  }
  for (const TableRecord& table : restored.tables) {
    if (table.kept && table.kept->is_resuming) resuming_.insert(table.relation);
    // Another mode is declared now.
    if (table.ranges && ModeOf(table.source) != TableMode::kMirror)
      machine_.Resync(table.relation, WallClock());
  }
  progress_.processed.Store(position_);
  progress_.durable.Store(position_);
  progress_.visible.Store(position_);
  destination_.OnWatermark([this](const Watermarks& marks) { in_flight_.OnWatermarks(marks); });
  PublishTables();
}

DeliveryWriter::~DeliveryWriter() {
  inbox_.Stop();
  destination_.OnWatermark([](const Watermarks&) {});
}

Status DeliveryWriter::Run() {
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(const bool goes_on, Turn(Clock::now() + kIdleTick));
    if (!goes_on) return {};
  }
}

Result<bool> DeliveryWriter::Turn(Clock::time_point deadline) {
  if (!takes_fences_.load()) fence_.Close();
  if (!resuming_.empty() && !in_transaction_ && !fence_.is_open())
    deadline = std::min(deadline, resume_next_);
  if (land_by_ && !in_transaction_ && !fence_.is_open()) deadline = std::min(deadline, *land_by_);
  if (!is_published_) deadline = std::min(deadline, publish_next_);
  WriterInbox::Item item = inbox_.Pop(in_transaction_, fence_.blocks_sets(), deadline);
  progress_.writer_beat_us.store(WallClock().value, std::memory_order_relaxed);
  if (auto* set = std::get_if<ChangeSet>(&item)) {
    SLUICE_RETURN_IF_ERROR(HandleSet(std::move(*set)));
  } else if (auto* call = std::get_if<WriterInbox::Call>(&item)) {
    call->run();
  } else if (auto* lost = std::get_if<WriterInbox::StreamLost>(&item)) {
    DropStream();
    machine_.ForgetFloors();
    lost->handled->set_value();
  } else if (std::holds_alternative<WriterInbox::Closed>(item)) {
    DropStream();
    land_by_ = Clock::time_point{};
    if (!fence_.is_open()) SLUICE_RETURN_IF_ERROR(LandUnits());
    SLUICE_RETURN_IF_ERROR(CommitStates());
    publish_next_ = {};  // the last word is exact
    PublishTables();
    return false;
  } else if (!in_transaction_) {
    const Status maintained = destination_.Maintain(Clock::now() + std::chrono::seconds(1));
    if (!maintained)
      logger_.Warn("maintenance of the destination failed: {}", maintained.error().message);
  }
  NoteDurable();
  fence_.CheckDeadline(Clock::now());
  if (!in_transaction_) {
    fence_.OnProcessed(position_);
    if (!fence_.is_open()) {
      // What a call staged is not lost with a landing that fails.
      if (stager_.has_staged()) SLUICE_RETURN_IF_ERROR(CommitStates());
      SLUICE_RETURN_IF_ERROR(LandUnits());
      SLUICE_RETURN_IF_ERROR(ResumeTables());
    }
    DropOldKept();
    const bool may_wait = !machine_.has_news() && !stager_.has_staged() &&
                          Clock::now() - committed_at_ < kBegunCopiesWait;
    if (!may_wait) SLUICE_RETURN_IF_ERROR(CommitStates());
  }
  PublishTables();
  return true;
}

// Steps
// ---------------------------------------------------------------------------------------------------------------

Result<replication::CopyStart> DeliveryWriter::BeginUnit(UnitId unit) {
  if (!machine_.has_table(unit.relation) ||
      machine_.unit_state(unit) != replication::UnitState::kWaiting) {
    return Error{.kind = ErrorKind::kCancelled, .message = "the unit is not waiting any more"};
  }
  held_.Drop(unit);
  patches_.erase(unit);
  if (HasLog(ModeOf(machine_.record(unit.relation).source))) held_.KeepMarks(unit);
  copy_began_[unit] = position_;
  return machine_.BeginUnit(unit);
}

Result<replication::SnapshotVerdict> DeliveryWriter::OfferSnapshot(
    const replication::CopyTicket& ticket, replication::CopySnapshot taken) {
  if (!machine_.FitsRanges(ticket, *taken.schema)) {
    GiveUp({ticket.unit.relation,
            replication::RangesAgainError(
                "it was altered, rewritten or truncated while it was copied in ranges")});
    return replication::SnapshotVerdict{.kind = replication::SnapshotVerdict::Kind::kStale};
  }
  replication::SnapshotVerdict verdict =
      machine_.OfferSnapshot(ticket, std::move(taken), WallClock());
  if (!verdict.usable()) return verdict;
  const Status decided = held_.Decide(ticket.unit, [&](const TransactionMark& mark) {
    return machine_.DropsHeld(ticket.unit, mark);
  });
  if (!decided) {
    // What was held is lost to this table alone; its copy ends as one that was given up.
    GiveUp({ticket.unit.relation, decided.error()});
    verdict.kind = replication::SnapshotVerdict::Kind::kStale;
  }
  return verdict;
}

Result<bool> DeliveryWriter::CopyFinished(const replication::CopyTicket& ticket,
                                          std::int64_t row_count, Lsn flushed,
                                          const MisfitCounts& misfits,
                                          std::optional<RowsPatch> patch) {
  const bool is_current = machine_.CopyFinished(ticket, row_count, flushed);
  if (is_current && patch) patches_[ticket.unit] = *std::move(patch);
  const RelationId relation = ticket.unit.relation;
  if (is_current) stager_.CountMisfits(relation, machine_.record(relation).source, misfits);
  if (is_current) ++progress_.units_to_land;  // exact again at the next PublishTables()
  return is_current;
}

Result<bool> DeliveryWriter::CopyFailed(const replication::CopyTicket& ticket) {
  if (!machine_.CopyFailed(ticket, WallClock())) return false;
  held_.Drop(ticket.unit);
  return true;
}

Status DeliveryWriter::CommitStates() {
  return Commit(std::nullopt, UnixMicros{});
}

// Change sets
// ---------------------------------------------------------------------------------------------------------

Status DeliveryWriter::HandleSet(ChangeSet set) {
  SLUICE_CHECK(set.continues_previous == in_transaction_);
  StampAll(set);
  if (!set.transactions.empty() && progress_.oldest_pending_commit_us.load() == 0) {
    progress_.oldest_pending_commit_us.store(set.transactions.front().committed_at.value);
  }
  std::optional<ChangeSet> behind = fence_.CutBehind(set);
  if (!in_transaction_) batch_ = {.taken = Clock::now(), .age_us = AgeOf(set)};
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(const StageOutcome outcome, StageSet(set));
    if (!outcome.table_failed) break;
    // Nothing of this set may stay staged with half of a table: it is staged again without that
    // table.
    stager_.Abandon();
    held_.Rollback();
    const bool comes_again = GiveUp(*outcome.table_failed);
    if (set.continues_previous || comes_again) {
      // Earlier pieces of its transaction are gone already, or all of it is to be kept: the stream
      // has to bring them again.
      in_transaction_ = false;
      pending_.clear();
      inbox_.RefuseSets();
      return {};
    }
  }
  batch_.row_count += static_cast<std::int64_t>(set.row_count);
  if (!set.ends_at_boundary) {
    SLUICE_CHECK(!behind && !set.transactions.empty());
    SLUICE_FAILPOINT("writer.piece_staged");
    in_transaction_ = true;
    pending_.insert(pending_.end(), set.transactions.begin(), set.transactions.end() - 1);
    return {};
  }
  in_transaction_ = false;
  pending_.insert(pending_.end(), set.transactions.begin(), set.transactions.end());
  const std::vector<TransactionMark> passed = std::exchange(pending_, {});
  SLUICE_RETURN_IF_ERROR(machine_.OnProcessed(passed));
  SLUICE_FAILPOINT("writer.staged");
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

Result<StageOutcome> DeliveryWriter::StageSet(const ChangeSet& set) {
  for (const TableChanges& table : set.tables) {
    SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome, StageTable(table, set.transactions));
    if (outcome.table_failed) return outcome;
  }
  return StageOutcome{};
}

Result<StageOutcome> DeliveryWriter::StageTable(const TableChanges& changes,
                                                const std::vector<TransactionMark>& marks) {
  if (!machine_.has_table(changes.relation)) return StageOutcome{};
  const UnitId unit{changes.relation, 0};
  if (stager_.Kept(changes.relation)) {
    SLUICE_RETURN_IF_ERROR(KeepChanges(changes, marks));
    return StageOutcome{};
  }
  const TableState state = machine_.record(changes.relation).state;
  const auto same = machine_.DecideAll(changes.relation);
  const bool takes_changes = state != TableState::kHalted && state != TableState::kSkipped &&
                             same != replication::Decision::kDrop;
  if (takes_changes && HasRaw(changes.items)) {
    // The stream has not begun again since the table was halted.
    auto items = DecodeItems(changes.items, marks, RedeclareFor(changes.relation));
    if (!items) return Failed(changes.relation, std::move(items).error());
    return StageTable({changes.relation, *std::move(items)}, marks);
  }
  if (same == replication::Decision::kApply) {
    return stager_.Apply(changes.relation, changes.items, marks);
  }
  if (!same && machine_.ranges(changes.relation) != nullptr) return StageRanges(changes, marks);
  const bool is_waiting = machine_.unit_state(unit) == replication::UnitState::kWaiting;
  for (const ChangeItem& item : changes.items) {
    // Later rows of this set are missing, also those of transactions that the copy does not see:
    // that the copy sees the transaction that failed is no way out. A waiting table needs none.
    const auto* failure = std::get_if<TableFailure>(&item);
    if (failure != nullptr && !is_waiting) return Failed(changes.relation, failure->error);
    Status held = HoldItem(unit, item, marks);
    // Held changes that find no place make their copy begin again: nothing of it is needed any
    // more.
    if (!held) return Failed(changes.relation, std::move(held).error());
  }
  return StageOutcome{};
}

Status DeliveryWriter::HoldItem(UnitId unit, const ChangeItem& item,
                                const std::vector<TransactionMark>& marks) {
  using replication::Decision;
  // Rows say themselves which version they have.
  if (std::holds_alternative<SchemaMark>(item)) return {};
  const auto* batch = std::get_if<ChangeBatch>(&item);
  if (batch == nullptr) {
    const TransactionMark& mark = marks.at(TransactionOf(item));
    if (machine_.Decide(unit.relation, mark) == Decision::kHold)
      return held_.Append(unit, item, {mark});
    if (machine_.record(unit.relation).state == TableState::kHalted)
      stager_.CountDropped(unit.relation, item);
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
  SLUICE_FAILPOINT("writer.held");
  if (dropped == 0) return held_.Append(unit, *batch, std::move(run_marks));
  if (dropped == static_cast<std::ptrdiff_t>(is_dropped.size())) {
    if (machine_.record(unit.relation).state == TableState::kHalted)
      stager_.CountDropped(unit.relation, item);
    return {};
  }
  // Only a unit whose snapshot is known drops some and holds others; the single marks are not asked
  // for again.
  for (KeptRuns& kept : KeepRuns(*batch, run_marks, is_dropped)) {
    SLUICE_RETURN_IF_ERROR(held_.Append(unit, std::move(kept.batch), std::move(kept.marks)));
  }
  return {};
}

// Commits
// -------------------------------------------------------------------------------------------------------------

Status DeliveryWriter::CommitPosition(Lsn end, const std::vector<TransactionMark>& marks) {
  // Only one that the server is sure to send again can be a witness.
  const auto last = std::find_if(marks.rbegin(), marks.rend(),
                                 [](const TransactionMark& mark) { return !mark.is_empty; });
  if (last != marks.rend())
    last_transaction_ = Witness{last->commit_lsn, last->xid, last->committed_at};
  SLUICE_RETURN_IF_ERROR(Commit(end, marks.empty() ? UnixMicros{} : marks.back().committed_at));
  if (!marks.empty()) NoteBatch(marks);
  return {};
}

Status DeliveryWriter::Commit(std::optional<Lsn> end, UnixMicros committed_at) {
  SLUICE_CHECK(!in_transaction_);
  const bool has_staged = stager_.has_staged();
  committed_at_ = Clock::now();
  stager_.Settle(machine_);
  CommitRecord record;
  record.tables = machine_.TakeChangedRecords(sequence_ + 1);
  if (!end && record.tables.empty() && !has_staged) return {};
  SLUICE_RETURN_IF_ERROR(in_flight_.WaitForRoom(
      std::max<std::size_t>(1, destination_.capabilities().commits_in_flight_max)));
  record.sequence = ++sequence_;
  const Lsn position = end.value_or(position_);
  if (position.is_valid()) {
    record.position = Position{position, last_transaction_};
    record.passed = machine_.PassedAt(position);
  }
  record.committed_at = committed_at;
  in_flight_.Add(record.sequence, position, committed_at);
  SLUICE_ASSIGN_OR_RETURN(const CommitOutcome outcome, destination_.Commit(record));
  if (outcome == CommitOutcome::kUnknown) {
    return Error{.kind = ErrorKind::kConnection,
                 .message =
                     "the destination does not know whether the last commit is in; its position is "
                     "read again",
                 .code = "SLU-5005"};
  }
  SLUICE_FAILPOINT("writer.committed");
  ++progress_.commits;
  position_ = position;
  progress_.processed.Store(position_);
  NoteDurable();
  return {};
}

/// Watermarks move outside any call, also while nothing is committed.
void DeliveryWriter::NoteDurable() {
  const std::uint64_t durable = in_flight_.durable_sequence();
  if (durable == noted_durable_) return;
  noted_durable_ = durable;
  machine_.OnDurable(durable);
}

void DeliveryWriter::Interrupt() {
  in_flight_.Interrupt();
  destination_.Interrupt();
}

void DeliveryWriter::NoteBatch(const std::vector<TransactionMark>& marks) {
  progress_.transactions += static_cast<std::int64_t>(marks.size());
  progress_.rows_streamed += batch_.row_count;
  progress_.last_batch_rows.store(batch_.row_count);
  progress_.last_batch_age_us.store(batch_.age_us);
  progress_.last_apply_us.store(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - batch_.taken).count());
  const std::int64_t now = WallClock().value;
  const std::size_t step = marks.size() / 64 + 1;
  for (std::size_t i = 0; i < marks.size(); i += step) {
    latency_.Add(static_cast<double>(now - marks[i].committed_at.value) / 1000.0);
  }
}

// Landing
// -------------------------------------------------------------------------------------------------------------

Status DeliveryWriter::LandUnits() {
  std::vector<UnitId> landable = machine_.Landable();
  bool has_landed = false;
  for (const UnitId unit : std::vector<UnitId>(landable)) {
    // A landing that fails may take other units of its table along.
    if (has_landed) landable = machine_.Landable();
    if (std::find(landable.begin(), landable.end(), unit) == landable.end()) continue;
    if (LandsTogether(unit) || IsNameInUse(unit.relation)) continue;
    SLUICE_RETURN_IF_ERROR(Land({&unit, 1}));
    has_landed = true;
  }
  if (has_landed) landable = machine_.Landable();
  std::vector<UnitId> together;
  std::set<TableName> names;
  for (const UnitId unit : landable) {
    if (LandsTogether(unit) && !IsNameInUse(unit.relation) &&
        names.insert(DestinationOf(machine_.record(unit.relation).source)).second)
      together.push_back(unit);
  }
  if (together.empty()) {
    land_by_.reset();
    return {};
  }
  if (together.size() < kLandTogetherMax && !machine_.Running().empty()) {
    if (!land_by_) land_by_ = Clock::now() + kLandingWait;
    if (Clock::now() < *land_by_) return {};
  }
  land_by_.reset();
  for (std::size_t at = 0; at < together.size(); at += kLandTogetherMax) {
    const auto units =
        std::span(together).subspan(at, std::min(kLandTogetherMax, together.size() - at));
    SLUICE_RETURN_IF_ERROR(Land(units));
  }
  return {};
}

/// Its landing has no rows: the copied table gets its name.
bool DeliveryWriter::LandsTogether(UnitId unit) const {
  const TableRecord& record = machine_.record(unit.relation);
  return record.schema == nullptr && machine_.ranges(unit.relation) == nullptr &&
         !patches_.contains(unit) && ModeOf(record.source) == TableMode::kMirror &&
         held_.bytes(unit.relation) == 0;
}

/// One, or some that land together, in one commit. Of several among which one fails each lands by
/// itself.
Status DeliveryWriter::Land(std::span<const UnitId> units) {
  for (const UnitId unit : units) {
    SLUICE_ASSIGN_OR_RETURN(const StageOutcome outcome, StageLanding(unit));
    if (!outcome.table_failed) continue;
    stager_.Abandon();
    if (units.size() == 1) return GiveUpLanding(unit, *outcome.table_failed);
    for (const UnitId& one : units) SLUICE_RETURN_IF_ERROR(Land({&one, 1}));
    return {};
  }
  std::vector<Landed> landed;
  for (const UnitId unit : units) landed.push_back(NoteLanding(unit));
  SLUICE_FAILPOINT("landing.held_staged");
  SLUICE_RETURN_IF_ERROR(Commit(std::nullopt, UnixMicros{}));
  SLUICE_FAILPOINT("landing.committed");
  for (const Landed& one : landed) {
    if (one.is_range)
      logger_.Info("table {}: range {} of {} has landed", ToString(one.source), one.unit.index + 1,
                   one.unit_count);
    if (one.is_live)
      logger_.Info("table {} is live: {} rows", ToString(one.source),
                   machine_.record(one.unit.relation).row_count);
  }
  return {};
}

Status DeliveryWriter::GiveUpLanding(UnitId unit, const TableFailed& failed) {
  // What the rows that lay there do not take, such as a held alteration behind rows, a copy does.
  if (patches_.erase(unit) != 0) {
    CopyAgain(unit.relation, failed.error);
    return CommitStates();
  }
  const TableName source = machine_.record(unit.relation).source;
  GiveUp(failed);
  DiscardCopy(unit, source);
  return CommitStates();
}

DeliveryWriter::Landed DeliveryWriter::NoteLanding(UnitId unit) {
  const RelationId relation = unit.relation;
  Landed landed{.unit = unit,
                .source = machine_.record(relation).source,
                .is_range = machine_.ranges(relation) != nullptr,
                .unit_count = machine_.unit_count(relation)};
  machine_.Land(unit, WallClock());
  landed.is_live = machine_.record(relation).state == TableState::kLive;
  if (landed.is_live) {
    machine_.Rename(relation, landed.source, DestinationOf(landed.source));
    machine_.SetMode(relation, ModeOf(landed.source));
    ForgetReplaced(relation);
    ForgetFailedRanges(relation);
  }
  copy_began_.erase(unit);
  patches_.erase(unit);
  held_.Drop(unit);
  return landed;
}

/// The copied rows, then what was held for them.
Result<StageOutcome> DeliveryWriter::StageLanding(UnitId unit) {
  if (auto error = CheckName(unit.relation))
    return StageOutcome{TableFailed{unit.relation, *std::move(error)}};
  const TableName& source = machine_.record(unit.relation).source;
  // Transactions that were passed when the copy began ended at or before that position and are in
  // it; those that are logged behind it commit there or later.
  const LandUnit item{.unit = unit,
                      .schema = machine_.unit_schema(unit),
                      .destination = DestinationOf(source),
                      .lsn = position_,
                      .mode = ModeOf(source),
                      .log_lsn = {std::max<std::uint64_t>(1, copy_began_[unit].value) - 1},
                      .part = machine_.ranges(unit.relation) == nullptr ? LandUnit::Part::kWhole
                              : machine_.IsLastUnit(unit)               ? LandUnit::Part::kLastRange
                                                                        : LandUnit::Part::kRange};
  const auto patch = patches_.find(unit);
  SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome,
                          patch == patches_.end()
                              ? stager_.Land(item)
                              : stager_.LandInPlace(item.schema, patch->second.change));
  SLUICE_FAILPOINT("landing.staged");
  std::vector<ChangeItem> items;
  std::vector<TransactionMark> marks;
  std::size_t bytes = 0;
  Status applied;
  const auto flush = [&] {
    Result<StageOutcome> staged =
        stager_.Apply(unit.relation, std::exchange(items, {}), std::exchange(marks, {}));
    bytes = 0;
    if (!staged) {
      applied = std::move(staged).error();
    } else {
      outcome = *std::move(staged);
    }
    return applied && !outcome.table_failed;
  };
  const auto take = [&](ChangeItem change, const std::vector<TransactionMark>& of_item) {
    const std::size_t first = marks.size();
    marks.insert(marks.end(), of_item.begin(), of_item.end());
    if (auto* batch = std::get_if<ChangeBatch>(&change)) {
      bytes += batch->bytes;
      for (std::size_t run = 0; run < batch->runs.size(); ++run) {
        batch->runs[run].transaction =
            static_cast<std::uint32_t>(first + std::min(run, of_item.size() - 1));
      }
    } else if (auto* truncate = std::get_if<TruncateMark>(&change)) {
      truncate->transaction = static_cast<std::uint32_t>(first);
    }
    items.push_back(std::move(change));
    return bytes < options_.landing_bytes || flush();
  };
  if (outcome.table_failed) return outcome;
  Status read = held_.Replay(unit, take);
  if (read && !items.empty()) flush();
  SLUICE_RETURN_IF_ERROR(applied);
  // What cannot be read back is lost to this table alone.
  return read ? outcome : Failed(unit.relation, std::move(read).error());
}

void DeliveryWriter::DropStream() {
  if (!in_transaction_) return;
  stager_.Abandon();
  held_.Rollback();
  pending_.clear();
  in_transaction_ = false;
}

}  // namespace sluice::engine
