#include "pipeline/table_set.h"

#include <algorithm>
#include <utility>

#include "engine/delivery_writer.h"
#include "engine/progress.h"
#include "postgres/table_pattern.h"

namespace sluice::pipeline {
namespace {

/// nullptr: not published.
const postgres::PublishedTable* FindEntry(RelationId relation,
                                          const std::vector<postgres::PublishedTable>& entries) {
  const auto found = std::ranges::find(entries, relation, &postgres::PublishedTable::relation);
  return found == entries.end() ? nullptr : &*found;
}

}  // namespace

TableRecord NewRecord(const postgres::PlannedTable& planned,
                      const std::vector<postgres::PublishedTable>& entries,
                      const engine::PipelineOptions& options) {
  TableRecord record;
  record.relation = planned.table.relation;
  record.source = planned.table.name;
  record.destination = options.names.For(planned.table.name);
  record.mode = options.tables.For(planned.table.name).mode;
  record.since = engine::WallClock();
  const postgres::PublishedTable* entry = FindEntry(planned.table.relation, entries);
  record.publication_entry = entry == nullptr ? 0 : entry->entry;
  if (planned.is_skipped) {
    record.state = TableState::kSkipped;
    record.reason = planned.reason;
    record.advice = planned.advice;
  } else {
    record.state = options.copy_existing ? TableState::kPending : TableState::kLive;
  }
  return record;
}

TableSet PlanTables(const std::vector<postgres::PlannedTable>& planned,
                    const std::vector<TableRecord>& remembered,
                    const std::vector<postgres::PublishedTable>& entries,
                    const engine::PipelineOptions& options) {
  TableSet set;
  for (const postgres::PlannedTable& table : planned) {
    const RelationId relation = table.table.relation;
    if (!table.is_skipped) set.published.push_back({relation, table.table.name, table.is_append});
    const auto known =
        std::find_if(remembered.begin(), remembered.end(),
                     [&](const TableRecord& record) { return record.relation == relation; });
    const bool changes_side =
        known != remembered.end() && (known->state == TableState::kSkipped) != table.is_skipped;
    if (known == remembered.end() || changes_side) {
      // A table that was skipped and can be replicated now (or the reverse) begins anew.
      TableRecord& added = set.added.emplace_back(NewRecord(table, entries, options));
      if (!changes_side) continue;
      set.removed.push_back(relation);
      // Its rows lie where they lay, and stay ours.
      added.schema = known->schema;
      if (known->schema) {
        added.destination = known->destination;
        added.mode = known->mode;
      }
      continue;
    }
    const postgres::PublishedTable* entry = FindEntry(relation, entries);
    if (table.is_skipped || entry == nullptr || entry->entry == known->publication_entry) continue;
    const bool is_as_before = entry->is_as_in(known->publication_entry);
    (is_as_before ? set.restated : set.rejoined).emplace_back(relation, entry->entry);
  }
  for (const TableRecord& record : remembered) {
    const bool is_planned =
        std::any_of(planned.begin(), planned.end(), [&](const postgres::PlannedTable& table) {
          return table.table.relation == record.relation;
        });
    if (!is_planned && !record.schema) set.removed.push_back(record.relation);
  }
  return set;
}

Plan DescribePlan(const std::vector<postgres::PlannedTable>& planned,
                  const std::vector<TableRecord>& remembered,
                  const engine::PipelineOptions& options,
                  const postgres::TableSelection& selection) {
  Plan plan;
  plan.destination = options.destination;
  for (const postgres::PlannedTable& table : planned) {
    Plan::Table& entry = plan.tables.emplace_back();
    entry.name = table.table.name;
    entry.state = table.is_skipped ? TableState::kSkipped : TableState::kPending;
    entry.reason = table.reason;
    entry.advice = table.advice;
    entry.rows_estimated = std::max<std::int64_t>(0, table.table.row_estimate);
    entry.bytes_estimated =
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, table.table.size_bytes));
    entry.named_by_user = std::any_of(
        selection.tables.begin(), selection.tables.end(), [&](const base::NamePattern& pattern) {
          return pattern.is_exact() && pattern.Matches(table.table.name);
        });
    for (const TableRecord& record : remembered) {
      if (record.source != entry.name || table.is_skipped) continue;
      if (record.state != TableState::kSkipped) entry.state = record.state;
    }
    const bool is_copied =
        entry.state == TableState::kPending || entry.state == TableState::kCopying;
    if (is_copied) plan.bytes_needed += entry.bytes_estimated;
  }
  return plan;
}

Result<std::vector<RelationId>> MatchTables(const std::vector<std::string>& patterns,
                                            const std::vector<TableRecord>& tables) {
  std::vector<RelationId> matched;
  for (const std::string& text : patterns) {
    SLUICE_ASSIGN_OR_RETURN(const base::NamePattern pattern, base::NamePattern::ParseTable(text));
    bool has_match = false;
    for (const TableRecord& table : tables) {
      if (!pattern.Matches(table.source)) continue;
      has_match = true;
      if (std::find(matched.begin(), matched.end(), table.relation) == matched.end()) {
        matched.push_back(table.relation);
      }
    }
    if (!has_match) {
      return Error{.kind = ErrorKind::kInvalidArgument,
                   .message = "no table of this pipeline matches " + text,
                   .code = "SLU-1030",
                   .advice = "sluice tables lists them"};
    }
  }
  return matched;
}

Result<std::vector<RelationId>> MatchToCopyAgain(const std::vector<std::string>& patterns,
                                                 const std::vector<TableRecord>& tables) {
  SLUICE_ASSIGN_OR_RETURN(std::vector<RelationId> matched, MatchTables(patterns, tables));
  const TableRecord* skipped = nullptr;
  for (const TableRecord& table : tables) {
    if (table.state != TableState::kSkipped) continue;
    if (std::erase(matched, table.relation) != 0) skipped = &table;
  }
  if (!matched.empty() || skipped == nullptr) return matched;
  return Error{.kind = ErrorKind::kInvalidArgument,
               .message = "table " + ToString(skipped->source) +
                          " is skipped, no changes of it would follow a copy: " + skipped->reason,
               .code = "SLU-1051",
               .advice = skipped->advice};
}

}  // namespace sluice::pipeline
