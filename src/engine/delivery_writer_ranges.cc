// Tables that are copied in ranges of their key: while some are landed and others are not, each row
// goes where the unit of its key says.
#include <algorithm>
#include <utility>

#include "engine/delivery_writer.h"
#include "replication/key_ranges.h"

namespace sluice::engine {
namespace {

StageOutcome Failed(RelationId relation, Error error) {
  return {.table_failed = TableFailed{relation, std::move(error)}};
}

}  // namespace

/// The rows of one batch, sorted: to be applied, and held for each unit.
struct DeliveryWriter::RoutedRows {
  std::vector<replication::PickedRow> applied;
  std::map<std::uint32_t, std::vector<replication::PickedRow>> held;

  void Put(std::uint32_t unit, replication::Decision decision, replication::PickedRow row) {
    if (decision == replication::Decision::kApply) applied.push_back(row);
    if (decision == replication::Decision::kHold) held[unit].push_back(row);
  }
};

bool DeliveryWriter::MayCopyInRanges(RelationId relation) const {
  if (!machine_.has_table(relation) || not_in_ranges_.contains(relation)) return false;
  const TableRecord& record = machine_.record(relation);
  const Capabilities& capabilities = destination_.capabilities();
  return capabilities.lands_ranges && capabilities.wants == Capabilities::Rows::kNet &&
         ModeOf(record.source) == TableMode::kMirror && record.state == TableState::kPending &&
         machine_.unit_count(relation) == 1;
}

Result<StageOutcome> DeliveryWriter::StageRanges(const TableChanges& changes,
                                                 const std::vector<TransactionMark>& marks) {
  const RelationId relation = changes.relation;
  std::vector<ChangeItem> to_apply;
  for (const ChangeItem& item : changes.items) {
    if (const auto* failure = std::get_if<TableFailure>(&item))
      return Failed(relation, failure->error);
    if (const auto* truncate = std::get_if<TruncateMark>(&item)) {
      // What was read of it before is gone; nothing is lost by reading the rest again.
      if (!machine_.IsBehindAllRanges(relation, marks.at(truncate->transaction)))
        return Failed(relation, replication::RangesTruncatedError());
      continue;
    }
    const auto* batch = std::get_if<ChangeBatch>(&item);
    if (batch == nullptr) continue;
    RoutedRows rows;
    SLUICE_ASSIGN_OR_RETURN(std::optional<Error> refused, Route(relation, *batch, marks, rows));
    if (refused) return Failed(relation, *std::move(refused));
    for (const auto& [index, held] : rows.held) {
      Result<ChangeBatch> picked = replication::PickRows(*batch, held);
      if (!picked) return Failed(relation, std::move(picked).error());
      Status kept = HoldRows({relation, index}, *std::move(picked), marks);
      if (!kept) return Failed(relation, std::move(kept).error());
    }
    if (rows.applied.empty()) continue;
    Result<ChangeBatch> picked = replication::PickRows(*batch, rows.applied);
    if (!picked) return Failed(relation, std::move(picked).error());
    to_apply.emplace_back(*std::move(picked));
  }
  return to_apply.empty() ? StageOutcome{} : stager_.Apply(relation, std::move(to_apply), marks);
}

Result<std::optional<Error>> DeliveryWriter::Route(RelationId relation, const ChangeBatch& batch,
                                                   const std::vector<TransactionMark>& marks,
                                                   RoutedRows& rows) {
  using replication::Decision;
  const auto places = replication::PlaceRows(batch, *machine_.ranges(relation));
  if (!places) return std::optional(places.error());
  std::size_t run = 0;
  for (std::uint32_t row = 0; row < batch.row_count(); ++row) {
    while (run + 1 < batch.runs.size() && batch.runs[run + 1].first_row <= row) ++run;
    const TransactionMark& mark = marks.at(batch.runs[run].transaction);
    const auto [from, to] = (*places)[row];
    const Decision before = machine_.Decide(UnitId{relation, from}, mark);
    const Decision after = from == to ? before : machine_.Decide(UnitId{relation, to}, mark);
    const bool is_one = from == to || (before == Decision::kApply && after == Decision::kApply);
    if (is_one) {
      rows.Put(from, before, {row, batch.kind(row)});
      continue;
    }
    rows.Put(from, before, {row, ChangeKind::kDelete});
    if (after == Decision::kDrop) continue;
    // Its old row is not among those that its new place has.
    if (replication::HasUnsentValue(batch, row)) {
      return std::optional(replication::RangesAgainError(
          "a row moved between ranges that are being copied, without a value that was not sent"));
    }
    rows.Put(to, after, {row, ChangeKind::kInsert});
  }
  return std::optional<Error>();
}

Status DeliveryWriter::HoldRows(UnitId unit, ChangeBatch batch,
                                const std::vector<TransactionMark>& marks) {
  std::vector<TransactionMark> run_marks;
  for (const TransactionRun& run : batch.runs) run_marks.push_back(marks.at(run.transaction));
  return held_.Append(unit, std::move(batch), std::move(run_marks));
}

void DeliveryWriter::CopyRangesAgain(RelationId relation, const Error& error) {
  settled_sequence_.store(0);
  logger_.Warn("table {} is copied again, its contents stay readable until then: {} ({})",
               ToString(machine_.record(relation).source), error.message, error.code);
  const bool may_be_in_ranges =
      replication::IsRangesTruncated(error) && truncated_in_ranges_.insert(relation).second;
  if (!may_be_in_ranges) not_in_ranges_.insert(relation);
  // What was altered may be the name of a label, which locks no table (WaitsForOlderWriters()).
  const CopyRanges* const ranges = machine_.ranges(relation);
  const bool has_labels =
      ranges != nullptr && ranges->schema != nullptr && !ranges->schema->facts.labels.empty();
  DropCopies(relation);
  machine_.Resync(relation, WallClock());
  if (has_labels && !replication::IsRangesTruncated(error)) machine_.AwaitOlderWriters(relation);
  machine_.SetReason(relation, "copied again: " + error.code + ": " + error.message);
}

void DeliveryWriter::ForgetFailedRanges(RelationId relation) {
  not_in_ranges_.erase(relation);
  truncated_in_ranges_.erase(relation);
}

void DeliveryWriter::DropCopies(RelationId relation) {
  held_.DropTable(relation);
  if (!machine_.has_table(relation)) return;
  const TableName source = machine_.record(relation).source;
  for (std::uint32_t index = 0; index < machine_.unit_count(relation); ++index) {
    const UnitId unit{relation, index};
    copy_began_.erase(unit);
    // A copy that is under way finds its ticket stale and removes what it wrote.
    if (machine_.unit_state(unit) == replication::UnitState::kCopied) DiscardCopy(unit, source);
  }
}

void DeliveryWriter::DiscardCopy(UnitId unit, const TableName& source) {
  const Status discarded = destination_.DiscardCopy(unit);
  if (discarded) return;
  logger_.Warn("the copy of {} could not be removed: {}", ToString(source),
               discarded.error().message);
}

}  // namespace sluice::engine
