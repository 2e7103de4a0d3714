#include "engine/table_stager.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "replication/lift.h"
#include "replication/net_change_fold.h"
#include "replication/schema_versions.h"

namespace sluice::engine {
namespace {

StageOutcome Failed(RelationId relation, Error error) {
  return {.table_failed = TableFailed{relation, std::move(error)}};
}

}  // namespace

Result<StageOutcome> TableStager::Apply(RelationId relation, std::vector<ChangeItem> items,
                                        const std::vector<TransactionMark>& marks) {
  for (const ChangeItem& item : items) {
    if (const auto* failure = std::get_if<TableFailure>(&item))
      return Failed(relation, failure->error);
  }
  SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome,
                          destination_.capabilities().wants == Capabilities::Rows::kLog
                              ? ApplyLog(relation, items, marks)
                              : ApplyNet(relation, items, marks));
  if (outcome.table_failed) return outcome;
  Effect& effect = effects_[relation];
  for (const ChangeItem& item : items) Count(effect, item);
  if (!items.empty() && !marks.empty()) effect.last = marks.back();
  return outcome;
}

Result<StageOutcome> TableStager::Land(const LandUnit& item) {
  effects_[item.unit.relation].shape = item.schema;
  return Stage(item);
}

Result<StageOutcome> TableStager::ApplyLog(RelationId relation, std::vector<ChangeItem>& items,
                                           const std::vector<TransactionMark>& marks) {
  const auto shared_marks = std::make_shared<const std::vector<TransactionMark>>(marks);
  for (ChangeItem& item : items) {
    StageOutcome outcome;
    if (auto* batch = std::get_if<ChangeBatch>(&item)) {
      SLUICE_ASSIGN_OR_RETURN(outcome, BringTo(relation, batch->schema));
      if (outcome.table_failed) return outcome;
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
  for (const ChangeItem& item : items) {
    const auto* batch = std::get_if<ChangeBatch>(&item);
    if (batch == nullptr) continue;
    SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome, BringTo(relation, batch->schema));
    if (outcome.table_failed) return outcome;
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
        if (!lifted) return Failed(relation, std::move(lifted).error());
        *batch = *std::move(lifted);
      }
    }
    replication::FoldItem& added = fold.emplace_back();
    added.batch = batch;
    added.transactions = &marks;
  }
  if (fold.empty()) return StageOutcome{};
  Result<NetChange> net = replication::FoldNet(
      schema, fold, {.wants_change_ids = destination_.capabilities().wants_change_ids});
  if (!net) return Failed(relation, std::move(net).error());
  return Stage(NetRows{std::make_shared<const NetChange>(*std::move(net))});
}

/// What the table at the destination looks like now, changes that are staged included.
SchemaPtr TableStager::Shape(RelationId relation) const {
  const auto found = effects_.find(relation);
  const bool is_staged = found != effects_.end() && found->second.shape != nullptr;
  return is_staged ? found->second.shape : machine_.record(relation).schema;
}

/// The table at the destination gets the shape of rows that come; rows of an older shape leave it
/// alone.
Result<StageOutcome> TableStager::BringTo(RelationId relation, const SchemaPtr& schema) {
  const SchemaPtr shape = Shape(relation);
  if (shape == schema) return StageOutcome{};
  if (!shape) {
    effects_[relation].shape = schema;
    return StageOutcome{};
  }
  const auto change = replication::CompareSchema(*shape, *schema);
  // Rows of an older version never come behind a newer one: whoever alters a table waits for its
  // writers to end.
  if (!change) return Failed(relation, change.error());
  if (*change == replication::SchemaChange::kNone) return StageOutcome{};
  SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome, Stage(AlterTable{shape, schema, schema->since}));
  if (outcome.table_failed) return outcome;
  logger_.Info("table {}: {} column(s) added", ToString(schema->name),
               schema->columns.size() - shape->columns.size());
  effects_[relation].shape = schema;
  return outcome;
}

Result<StageOutcome> TableStager::Stage(const SequenceItem& item) {
  has_staged_ = true;
  return destination_.Stage(item);
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

void TableStager::Settle(replication::TableMachine& machine) {
  for (const auto& [relation, effect] : effects_) {
    if (effect.shape) machine.SetSchema(relation, effect.shape);
    if (effect.last) {
      const std::int64_t taken_back = effect.is_truncated ? machine.record(relation).row_count : 0;
      machine.CountApplied(relation, effect.rows_delta - taken_back, *effect.last);
    }
    TableCounters& total = counters_[relation];
    total.inserted += effect.counters.inserted;
    total.updated += effect.counters.updated;
    total.deleted += effect.counters.deleted;
    total.truncates += effect.counters.truncates;
    total.dropped += effect.counters.dropped;
  }
  effects_.clear();
  has_staged_ = false;
}

void TableStager::Abandon() {
  destination_.Abandon();
  effects_.clear();
  has_staged_ = false;
}

}  // namespace sluice::engine
