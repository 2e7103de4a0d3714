// Tables that are copied in ranges: landed ones are kept aside until all are.
#include <utility>

#include "destinations/duckdb/bookkeeping.h"
#include "destinations/duckdb/copied_ranges.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/row_applier.h"
#include "destinations/duckdb/transaction_writer.h"

namespace sluice::duckdb {
namespace {

StageOutcome Failed(RelationId relation, Error error) {
  return {.table_failed = TableFailed{.relation = relation, .error = std::move(error)}};
}

Error OtherRanges(const TableName& name) {
  return {.kind = ErrorKind::kSchemaConflict,
          .message = "the ranges of " + ToString(name) + " that were copied before do not fit",
          .code = "SLU-5027",
          .advice = "sluice resync " + ToString(name)};
}

}  // namespace

const TransactionWriter::Table* TransactionWriter::FindRanges(RelationId relation) const {
  if (const auto staged = staged_ranges_.find(relation); staged != staged_ranges_.end())
    return staged->second ? &*staged->second : nullptr;
  const auto known = ranges_.find(relation);
  return known == ranges_.end() ? nullptr : &known->second;
}

std::vector<TableName> TransactionWriter::ranges() const {
  std::vector<TableName> names;
  for (const auto& [relation, table] : ranges_) names.push_back(table.name);
  return names;
}

Result<std::optional<Error>> TransactionWriter::CheckShadow(const LandUnit& item,
                                                            const TableName& shadow) {
  SLUICE_RETURN_IF_ERROR(Begin());
  SLUICE_ASSIGN_OR_RETURN(const std::optional<Error> altered,
                          CompareShape(connection_, shadow, *item.schema));
  SLUICE_ASSIGN_OR_RETURN(const bool is_seen, HasUnit(connection_, item.unit));
  if (!altered && is_seen) return std::optional<Error>();
  return std::optional(Error{.kind = ErrorKind::kSchemaConflict,
                             .message = "the copy of " + ToString(item.destination) +
                                        " ended after the transaction that lands it began",
                             .code = "SLU-5114",
                             .advice = "sluice resync " + ToString(item.destination)});
}

Result<StageOutcome> TransactionWriter::LandRange(const LandUnit& item, const TableName& ranges) {
  const RelationId relation = item.unit.relation;
  const Table* const known = FindRanges(relation);
  const bool is_last = item.part == LandUnit::Part::kLastRange;
  if (known == nullptr
          ? is_last
          : FoldKey(known->name) != FoldKey(ranges) || !SameShape(*known->shape, *item.schema))
    return Failed(relation, OtherRanges(item.destination));
  if (is_last) {
    if (changed_ranges_.contains(relation)) return Failed(relation, OutOfOrder(item.destination));
    SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome, Land(item, ranges));
    if (!outcome.table_failed) staged_ranges_[relation] = std::nullopt;
    return outcome;
  }
  SLUICE_ASSIGN_OR_RETURN(std::optional<Error> unseen, CheckShadow(item, ranges));
  if (unseen) return Failed(relation, *std::move(unseen));
  if (known == nullptr) staged_ranges_[relation] = Table{.name = ranges, .shape = item.schema};
  SLUICE_RETURN_IF_ERROR(RemoveUnit(connection_, item.unit));
  return StageOutcome{};
}

Result<StageOutcome> TransactionWriter::ApplyToRanges(const NetChange& change) {
  const RelationId relation = change.schema->relation;
  const Table* const ranges = FindRanges(relation);
  if (ranges == nullptr || !SameShape(*ranges->shape, *change.schema))
    return Failed(relation, OtherRanges(change.schema->name));
  SLUICE_RETURN_IF_ERROR(Begin());
  changed_ranges_.insert(relation);
  SLUICE_ASSIGN_OR_RETURN(std::optional<Error> failed,
                          ApplyChange(connection_, ranges->name, change, strings_));
  if (failed) return Failed(relation, *std::move(failed));
  return StageOutcome{};
}

Status TransactionWriter::WriteRangesOf(const TableRecord& table) {
  const auto known = records_.find(table.relation);
  const bool had_ranges = known != records_.end() && known->second.ranges;
  if (table.ranges && !table.was_removed) {
    const bool is_same = had_ranges && known->second.ranges->landed == table.ranges->landed;
    return is_same ? Status() : WriteRanges(connection_, table.relation, table.ranges, epoch_);
  }
  if (!had_ranges) return {};
  SLUICE_RETURN_IF_ERROR(WriteRanges(connection_, table.relation, std::nullopt, epoch_));
  const Table* const left = FindRanges(table.relation);
  if (left == nullptr) return {};
  has_ddl_ = true;
  SLUICE_RETURN_IF_ERROR(
      connection_.Run("DROP TABLE IF EXISTS " + QualifiedName(left->name), "drop landed ranges"));
  staged_ranges_[table.relation] = std::nullopt;
  return {};
}

}  // namespace sluice::duckdb
