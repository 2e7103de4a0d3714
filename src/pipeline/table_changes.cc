#include "pipeline/table_changes.h"

#include <algorithm>
#include <unordered_map>

namespace sluice::pipeline {
namespace {

constexpr std::string_view kDropped = "SLU-4211";
constexpr std::string_view kLeft = "SLU-4212";
constexpr std::string_view kNarrowed = "SLU-2038";

/// Nothing of it is or was ever copied: it is only listed.
bool IsOnlyListed(const TableRecord& record) {
  return record.state == TableState::kSkipped && !record.schema;
}

class Planner {
 public:
  Planner(const CatalogLook& look, const std::vector<TableRecord>& records) : look_(look) {
    for (const TableRecord& record : records) records_[record.relation] = &record;
    for (const postgres::PublishedTable& entry : look.entries) entries_[entry.relation] = &entry;
  }

  void Judge(const postgres::PlannedTable& planned) {
    const auto found = records_.find(planned.table.relation);
    const TableRecord* record = found == records_.end() ? nullptr : found->second;
    const auto entry = entries_.find(planned.table.relation);
    const bool is_known = entry != entries_.end();
    const bool is_misplaced =
        look_.owns_publication && is_known && entry->second->is_append != planned.is_append;
    const bool is_published = is_known && !is_misplaced;
    if (planned.is_skipped) {
      const bool is_replicated = record != nullptr && record->state != TableState::kSkipped;
      if (is_replicated && !planned.cut_off_by.empty()) changes_.cut_off.push_back(planned);
      const bool is_new =
          record == nullptr || (IsOnlyListed(*record) && (record->reason != planned.reason ||
                                                          record->source != planned.table.name));
      // Any other that is replicated goes on: the identity is looked after elsewhere, and what else
      // is asked of a table matters when it is copied.
      if (is_new) changes_.left_out.push_back(planned);
      return;
    }
    const bool is_another_entry =
        record != nullptr && is_published && !entry->second->is_as_in(record->publication_entry);
    const bool must_be_published = look_.owns_publication && !is_published;
    if (record == nullptr || record->state == TableState::kSkipped || must_be_published ||
        is_another_entry) {
      changes_.joining.push_back({planned, is_published, is_misplaced});
      return;
    }
    if (record->source != planned.table.name)
      changes_.renamed.push_back({planned.table.relation, planned.table.name});
  }

  void JudgeUnplanned(const TableRecord& record) {
    if (!look_.existing.contains(record.relation)) {
      if (!IsGone(record)) changes_.dropped.push_back(record.relation);
      return;
    }
    if (!IsGone(record)) changes_.left.push_back(record.relation);
  }

  TableChanges Take() { return std::move(changes_); }

 private:
  const CatalogLook& look_;
  std::unordered_map<RelationId, const TableRecord*> records_;
  std::unordered_map<RelationId, const postgres::PublishedTable*> entries_;
  TableChanges changes_;
};

}  // namespace

bool IsGone(const TableRecord& record) {
  return record.state == TableState::kSkipped &&
         (record.reason.starts_with(kDropped) || record.reason.starts_with(kLeft));
}

bool IsNoLongerFollowed(const TableRecord& record, bool holds_rows) {
  return record.state == TableState::kSkipped && holds_rows && !IsGone(record);
}

void CutOffNarrowed(const std::vector<postgres::Finding>& findings,
                    std::vector<postgres::PlannedTable>& planned) {
  const auto narrowed = std::ranges::find(findings, kNarrowed, &postgres::Finding::code);
  if (narrowed == findings.end()) return;
  for (postgres::PlannedTable& table : planned) {
    if (table.is_skipped) continue;
    table.is_skipped = true;
    table.reason = narrowed->message;
    table.advice = narrowed->advice;
    table.cut_off_by = kNarrowed;
  }
}

TableChanges PlanChanges(const CatalogLook& look, const std::vector<TableRecord>& records) {
  Planner planner(look, records);
  std::set<RelationId> planned;
  for (const postgres::PlannedTable& table : look.planned) {
    planned.insert(table.table.relation);
    planner.Judge(table);
  }
  for (const TableRecord& record : records) {
    if (!planned.contains(record.relation)) planner.JudgeUnplanned(record);
  }
  return planner.Take();
}

Error DroppedAtSource(const TableName& name) {
  return {.kind = ErrorKind::kConfig,
          .message = "it was dropped at the source; its rows stay as they were then",
          .code = std::string(kDropped),
          .advice = "nothing to do; a new table called " + ToString(name) + " replaces it"};
}

Error LeftPipeline(const TableName& name, bool owns_publication, const std::string& publication) {
  return {.kind = ErrorKind::kConfig,
          .message = owns_publication
                         ? "it is no longer among the selected tables; its rows stay as they were"
                         : "it is no longer in publication " + publication +
                               "; its rows stay as they were",
          .code = std::string(kLeft),
          .advice = owns_publication ? "select it, or give " + ToString(name) + " its old name back"
                                     : "add it to the publication again; it is then copied again"};
}

}  // namespace sluice::pipeline
