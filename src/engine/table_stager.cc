#include "engine/table_stager.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/kept_changes.h"
#include "replication/key_ranges.h"
#include "replication/lift.h"
#include "replication/net_change_fold.h"
#include "replication/schema_versions.h"

namespace sluice::engine {
namespace {

StageOutcome Failed(RelationId relation, Error error) {
  return {.table_failed = TableFailed{relation, std::move(error)}};
}

Error AlteredInRanges() {
  return replication::RangesAgainError("it was altered while it was copied in ranges");
}

const ChangeBatch* LastBatch(const std::vector<replication::FoldItem>& fold) {
  for (auto item = fold.rbegin(); item != fold.rend(); ++item) {
    if (item->batch != nullptr) return item->batch;
  }
  return nullptr;
}

/// Rows are found by the same columns, whatever these are called.
bool HasSameKey(const TableSchema& from, const TableSchema& to) {
  const auto origins = ColumnOrigins(from, to);
  return from.key.size() == to.key.size() &&
         std::all_of(to.key.begin(), to.key.end(), [&](std::int32_t index) {
           const auto& origin = origins[static_cast<std::size_t>(index)];
           return origin && std::find(from.key.begin(), from.key.end(),
                                      static_cast<std::int32_t>(*origin)) != from.key.end();
         });
}

bool HasQuarantine(const TableSchema& schema) {
  return std::any_of(schema.columns.begin(), schema.columns.end(), [](const Column& column) {
    return column.on_misfit == OnMisfit::kQuarantine;
  });
}

/// `described` has the columns of `shape`, and no numbers of its own: a version behind it may call
/// them otherwise.
SchemaPtr NumberedAs(const TableSchema& shape, const TableSchema& described) {
  auto schema = std::make_shared<TableSchema>(described);
  for (std::size_t i = 0; i < schema->columns.size(); ++i)
    schema->columns[i].attnum = shape.columns[i].attnum;
  schema->unplaced.clear();
  return schema;
}

Status LiftTo(const SchemaPtr& schema, ChangeBatch* batch) {
  if (batch->schema == schema) return {};
  const auto origins = ColumnOrigins(*batch->schema, *schema);
  bool is_same = SameShape(*batch->schema, *schema) && batch->schema->identity == schema->identity;
  for (std::size_t i = 0; i < origins.size(); ++i) is_same = is_same && origins[i] == i;
  if (is_same) {
    batch->schema = schema;
    return {};
  }
  SLUICE_ASSIGN_OR_RETURN(ChangeBatch lifted, replication::LiftRows(*batch, schema));
  *batch = std::move(lifted);
  return {};
}

}  // namespace

Result<StageOutcome> TableStager::Apply(RelationId relation, std::vector<ChangeItem> items,
                                        const std::vector<TransactionMark>& marks) {
  for (const ChangeItem& item : items) {
    if (const auto* failure = std::get_if<TableFailure>(&item))
      return Failed(relation, failure->error);
  }
  const SchemaPtr ranges = RangesShape(relation);
  SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome,
                          ranges ? ApplyToRanges(ranges, items)
                          : destination_.capabilities().wants == Capabilities::Rows::kLog
                              ? ApplyLog(relation, items, marks)
                              : ApplyNet(relation, items, marks));
  if (outcome.table_failed) return outcome;
  Effect& effect = effects_[relation];
  for (const ChangeItem& item : items) Count(effect, item);
  if (!items.empty() && !marks.empty()) effect.last = marks.back();
  return outcome;
}

Result<StageOutcome> TableStager::Land(const LandUnit& item) {
  if (item.part != LandUnit::Part::kRange) {
    effects_[item.unit.relation].shape = item.schema;
    effects_[item.unit.relation].mode = item.mode;
    effects_[item.unit.relation].is_landed = true;
  }
  return Stage(item);
}

SchemaPtr TableStager::RangesShape(RelationId relation) const {
  const auto found = effects_.find(relation);
  if (found != effects_.end() && found->second.is_landed) return nullptr;
  if (!machine_.has_table(relation)) return nullptr;
  const CopyRanges* const ranges = machine_.ranges(relation);
  return ranges == nullptr ? nullptr : ranges->schema;
}

/// Ranges have one shape until all of them are the table: nothing is lifted or altered.
Result<StageOutcome> TableStager::ApplyToRanges(const SchemaPtr& shape,
                                                std::vector<ChangeItem>& items) {
  std::vector<replication::FoldItem> fold;
  for (ChangeItem& item : items) {
    if (std::holds_alternative<TruncateMark>(item))
      return Failed(shape->relation, replication::RangesTruncatedError());
    auto* batch = std::get_if<ChangeBatch>(&item);
    if (batch == nullptr) continue;
    const bool is_same = SameShape(*batch->schema, *shape) &&
                         batch->schema->identity == shape->identity &&
                         (batch->schema->unplaced.empty() || shape->since >= batch->schema->since);
    const auto origins = ColumnOrigins(*batch->schema, *shape);
    for (std::size_t i = 0; is_same && i < origins.size(); ++i) {
      if (origins[i] != i) return Failed(shape->relation, AlteredInRanges());
    }
    if (!is_same) return Failed(shape->relation, AlteredInRanges());
    batch->schema = shape;
    fold.emplace_back().batch = batch;
  }
  if (fold.empty()) return StageOutcome{};
  Result<NetChange> net = replication::FoldNet(shape, fold);
  if (!net) return Failed(shape->relation, std::move(net).error());
  return Stage(
      NetRows{.change = std::make_shared<const NetChange>(*std::move(net)), .of_ranges = true});
}

Result<StageOutcome> TableStager::LandInPlace(const SchemaPtr& schema,
                                              const std::shared_ptr<const NetChange>& change) {
  effects_[schema->relation].shape = schema;
  return change ? Stage(NetRows{change}) : StageOutcome{};
}

Result<StageOutcome> TableStager::ApplyLog(RelationId relation, std::vector<ChangeItem>& items,
                                           const std::vector<TransactionMark>& marks) {
  const auto shared_marks = std::make_shared<const std::vector<TransactionMark>>(marks);
  SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome, BringTo(relation, items, marks));
  if (outcome.table_failed) return outcome;
  const SchemaPtr schema = Shape(relation);
  for (ChangeItem& item : items) {
    if (auto* batch = std::get_if<ChangeBatch>(&item)) {
      if (Status lifted = LiftTo(schema, batch); !lifted)
        return Failed(relation, std::move(lifted).error());
      LogRows rows{std::make_shared<const ChangeBatch>(*batch), shared_marks};
      SLUICE_ASSIGN_OR_RETURN(outcome, Stage(SequenceItem(std::move(rows))));
    } else if (const auto* truncate = std::get_if<TruncateMark>(&item)) {
      const TransactionMark& mark =
          marks.at(std::min<std::size_t>(truncate->transaction, marks.size() - 1));
      SLUICE_ASSIGN_OR_RETURN(outcome, Stage(TruncateTable{relation, mark, truncate->ordinal}));
    }
    if (outcome.table_failed) return outcome;
  }
  return StageOutcome{};
}

Result<StageOutcome> TableStager::ApplyNet(RelationId relation, std::vector<ChangeItem>& items,
                                           const std::vector<TransactionMark>& marks) {
  // All DDL before rows: the table is brought to the newest version in this run first, older rows
  // are lifted.
  SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome, BringTo(relation, items, marks));
  if (outcome.table_failed) return outcome;
  const SchemaPtr schema = Shape(relation);
  Run run;
  for (ChangeItem& item : items) {
    if (const auto* truncate = std::get_if<TruncateMark>(&item)) {
      run.fold.emplace_back();
      run.log.push_back({.truncate = *truncate});
    }
    auto* batch = std::get_if<ChangeBatch>(&item);
    if (batch == nullptr) continue;
    if (Status lifted = LiftTo(schema, batch); !lifted)
      return Failed(relation, std::move(lifted).error());
    // Rows are followed by one key at a time.
    const ChangeBatch* before = LastBatch(run.fold);
    if (before != nullptr && !SameShape(*before->schema, *batch->schema)) {
      SLUICE_ASSIGN_OR_RETURN(outcome, StageRun(schema, std::exchange(run, {}), marks));
      if (outcome.table_failed) return outcome;
    }
    replication::FoldItem& added = run.fold.emplace_back();
    added.batch = batch;
    added.transactions = &marks;
    run.log.push_back({.batch = batch});
  }
  return run.fold.empty() ? StageOutcome{} : StageRun(schema, run, marks);
}

TableMode TableStager::Mode(RelationId relation) const {
  const auto found = effects_.find(relation);
  if (found != effects_.end() && found->second.mode) return *found->second.mode;
  return machine_.record(relation).mode;
}

Result<StageOutcome> TableStager::StageRun(const SchemaPtr& shape, const Run& run,
                                           const std::vector<TransactionMark>& marks) {
  const TableMode mode = Mode(shape->relation);
  if (HasLog(mode)) {
    const ChangeBatch* last = LastBatch(run.fold);
    Result<HistoryChange> history =
        replication::MakeHistory(last == nullptr ? shape : last->schema, run.log, marks);
    if (!history) return Failed(shape->relation, std::move(history).error());
    if (history->row_count() != 0) {
      SLUICE_ASSIGN_OR_RETURN(
          StageOutcome outcome,
          Stage(HistoryRows{std::make_shared<const HistoryChange>(*std::move(history))}));
      if (outcome.table_failed) return outcome;
    }
  }
  // What is in quarantine is of the current rows, whether these are kept or not.
  const bool needs_net = HasState(mode) || HasQuarantine(*shape);
  return needs_net ? StageFolded(shape, run.fold) : StageOutcome{};
}

Result<StageOutcome> TableStager::StageFolded(const SchemaPtr& shape,
                                              const std::vector<replication::FoldItem>& fold) {
  const ChangeBatch* last = LastBatch(fold);
  const SchemaPtr& schema = last == nullptr ? shape : last->schema;
  Result<NetChange> net = replication::FoldNet(
      schema, fold, {.wants_change_ids = destination_.capabilities().wants_change_ids});
  if (!net) return Failed(shape->relation, std::move(net).error());
  return Stage(NetRows{std::make_shared<const NetChange>(*std::move(net))});
}

/// What the table at the destination looks like now, changes that are staged included.
SchemaPtr TableStager::Shape(RelationId relation) const {
  const auto found = effects_.find(relation);
  const bool is_staged = found != effects_.end() && found->second.shape != nullptr;
  return is_staged ? found->second.shape : machine_.record(relation).schema;
}

Result<StageOutcome> TableStager::BringTo(RelationId relation, std::vector<ChangeItem>& items,
                                          const std::vector<TransactionMark>& marks) {
  const SchemaPtr shape = Shape(relation);
  ChangeBatch* newest = nullptr;
  for (ChangeItem& item : items) {
    auto* batch = std::get_if<ChangeBatch>(&item);
    if (batch == nullptr || batch->schema == shape) continue;
    if (!batch->schema->unplaced.empty()) {
      // What happened before the copy that the table came from, is in it: these are its columns.
      const bool is_at_it = shape && shape->since >= batch->schema->since &&
                            replication::LooksSame(*shape, *batch->schema);
      if (!is_at_it) return Failed(relation, replication::CopyAgainError(batch->schema->unplaced));
      batch->schema = NumberedAs(*shape, *batch->schema);
      continue;
    }
    if (newest == nullptr || batch->schema->since >= newest->schema->since) newest = batch;
  }
  if (newest == nullptr) return StageOutcome{};
  const TransactionMark* mark =
      newest->runs.empty() || marks.empty()
          ? nullptr
          : &marks[std::min<std::size_t>(newest->runs.front().transaction, marks.size() - 1)];
  return AlterTo(newest->schema, mark == nullptr ? newest->schema->since : mark->commit_lsn);
}

Result<StageOutcome> TableStager::AlterTo(const SchemaPtr& schema, Lsn lsn) {
  const RelationId relation = schema->relation;
  const SchemaPtr shape = Shape(relation);
  if (shape == schema) return StageOutcome{};
  if (!shape) {
    effects_[relation].shape = schema;
    return StageOutcome{};
  }
  if (schema->since < shape->since) {
    // The catalog was read again since the rows were described, or the table was copied since.
    if (replication::LooksSame(*shape, *schema)) return StageOutcome{};
    return Failed(relation,
                  replication::CopyAgainError("rows of an older version came behind a newer one"));
  }
  if (HasLog(Mode(relation)) && !HasSameKey(*shape, *schema)) {
    return Failed(relation, replication::CopyAgainError(
                                "the key of a table with a log is another: what follows from the"
                                " log could not be told"));
  }
  const replication::SchemaComparison change = replication::CompareVersions(*shape, *schema);
  if (change.change == replication::SchemaChange::kCopyAgain)
    return Failed(relation, replication::CopyAgainError(change.reason));
  if (change.change == replication::SchemaChange::kInPlace) {
    // Its name at the destination follows on its own (Rename()).
    auto from = std::make_shared<TableSchema>(*shape);
    from->name = schema->name;
    SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome,
                            Stage(AlterTable{SchemaPtr(std::move(from)), schema, lsn}));
    if (outcome.table_failed) return outcome;
    for (const ShapeChange& step : ChangesBetween(*shape, *schema)) {
      logger_.Info("table {}: {} {}{}{}", ToString(schema->name), step.kind, step.before,
                   step.before.empty() || step.after.empty() ? "" : " -> ", step.after);
    }
  }
  effects_[relation].shape = schema;
  return StageOutcome{};
}

Result<StageOutcome> TableStager::Rename(RelationId relation, const TableName& from,
                                         const TableName& to, const TableName& source) {
  const SchemaPtr shape = Shape(relation);
  auto before = std::make_shared<TableSchema>(*shape);
  before->name = from;
  auto after = std::make_shared<TableSchema>(*shape);
  after->name = to;
  auto known = std::make_shared<TableSchema>(*shape);
  known->name = source;
  effects_[relation].shape = std::move(known);
  return Stage(AlterTable{SchemaPtr(std::move(before)), SchemaPtr(std::move(after)), shape->since});
}

Result<StageOutcome> TableStager::Stage(const SequenceItem& item) {
  has_staged_ = true;
  return destination_.Stage(item);
}

Result<std::optional<Error>> TableStager::Keep(RelationId relation,
                                               const std::vector<ChangeItem>& items,
                                               const std::vector<TransactionMark>& marks,
                                               std::uint64_t bytes_left) {
  std::optional<KeptChanges> kept = Kept(relation);
  if (!kept) {
    for (const ChangeItem& item : items) CountDropped(relation, item);
    return std::optional<Error>();
  }
  SchemaPtr& version = kept_versions_[relation];
  auto changes = ToKept(items, marks, kept->last + 1, version);
  if (!changes) return std::optional(std::move(changes).error());
  if (changes->empty()) return std::optional<Error>();
  const std::uint64_t bytes = BytesOf(*changes);
  if (bytes > bytes_left) {
    return std::optional(Error{.kind = ErrorKind::kUnsupported,
                               .message = "more changes came than --keep-halted allows",
                               .code = "SLU-4214"});
  }
  has_staged_ = true;
  SLUICE_RETURN_IF_ERROR(destination_.Keep(relation, *changes));
  kept->last = changes->back().sequence;
  kept->bytes += bytes;
  effects_[relation].kept = kept;
  return std::optional<Error>();
}

std::optional<KeptChanges> TableStager::Kept(RelationId relation) const {
  const auto found = effects_.find(relation);
  if (found != effects_.end() && found->second.stops_keeping) return std::nullopt;
  if (found != effects_.end() && found->second.kept) return found->second.kept;
  return machine_.record(relation).kept;
}

Status TableStager::DropKept(RelationId relation, std::uint64_t through, std::uint64_t bytes) {
  has_staged_ = true;
  if (std::optional<KeptChanges> kept = Kept(relation)) {
    kept->bytes -= std::min(kept->bytes, bytes);
    effects_[relation].kept = kept;
  }
  return destination_.DropKept(relation, through);
}

void TableStager::Count(Effect& effect, const ChangeItem& item) {
  if (std::holds_alternative<TruncateMark>(item)) {
    // It takes back what was counted before it, too.
    ++effect.counters.truncates;
    effect.is_truncated = true;
    effect.rows_delta = 0;
    return;
  }
  const auto* batch = std::get_if<ChangeBatch>(&item);
  if (batch == nullptr) return;
  engine::CountMisfits(*batch->schema, batch->misfits, effect.counters.misfits);
  const auto row_count = static_cast<std::int64_t>(batch->row_count());
  std::int64_t inserted = row_count;
  std::int64_t deleted = 0;
  if (!batch->kinds.empty()) {
    inserted = std::count(batch->kinds.begin(), batch->kinds.end(), ChangeKind::kInsert);
    deleted = std::count(batch->kinds.begin(), batch->kinds.end(), ChangeKind::kDelete);
  }
  effect.counters.inserted += inserted;
  effect.counters.deleted += deleted;
  effect.counters.updated += row_count - inserted - deleted;
  effect.rows_delta += inserted - deleted;
}

void TableStager::CountDropped(RelationId relation, const ChangeItem& item) {
  const auto* batch = std::get_if<ChangeBatch>(&item);
  effects_[relation].counters.dropped +=
      batch == nullptr ? 1 : static_cast<std::int64_t>(batch->row_count());
}

void TableStager::CountMisfits(RelationId relation, const TableName& source,
                               const MisfitCounts& misfits) {
  for (const MisfitCount& first : AddMisfits(misfits, counters_[relation].misfits))
    logger_.Warn("table {}: {}", ToString(source), Describe(first));
}

void TableStager::Settle(replication::TableMachine& machine) {
  for (const auto& [relation, effect] : effects_) {
    if (effect.shape) machine.SetSchema(relation, effect.shape);
    if (effect.last && machine.ranges(relation) != nullptr) {
      machine.CountInRanges(relation, effect.rows_delta);
    } else if (effect.last) {
      const std::int64_t taken_back = effect.is_truncated ? machine.record(relation).row_count : 0;
      machine.CountApplied(relation, effect.rows_delta - taken_back, *effect.last);
    }
    const bool is_halted =
        machine.has_table(relation) && machine.record(relation).state == TableState::kHalted;
    if (is_halted && effect.stops_keeping) {
      machine.SetKept(relation, std::nullopt);
      kept_versions_.erase(relation);
    } else if (is_halted && effect.kept) {
      machine.SetKept(relation, effect.kept);
    }
    TableCounters& total = counters_[relation];
    total.inserted += effect.counters.inserted;
    total.updated += effect.counters.updated;
    total.deleted += effect.counters.deleted;
    total.truncates += effect.counters.truncates;
    total.dropped += effect.counters.dropped;
    if (!effect.counters.misfits.empty())
      CountMisfits(relation, machine.record(relation).source, effect.counters.misfits);
  }
  effects_.clear();
  has_staged_ = false;
}

void TableStager::Abandon() {
  destination_.Abandon();
  effects_.clear();
  kept_versions_.clear();
  has_staged_ = false;
}

}  // namespace sluice::engine
