#include "postgres/partition_selection.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "postgres/quote.h"

namespace sluice::postgres {

Ancestry::Ancestry(const std::vector<SourceTable>& tables) {
  for (const SourceTable& table : tables) tables_.emplace(table.relation, &table);
}

std::vector<const SourceTable*> Ancestry::Of(const SourceTable& table) const {
  std::vector<const SourceTable*> out;
  for (auto at = tables_.find(table.parent); at != tables_.end();
       at = tables_.find(at->second->parent)) {
    out.push_back(at->second);
  }
  return out;
}

bool Ancestry::Covers(const TableSelection& selection, const SourceTable& partition) const {
  const std::vector<const SourceTable*> ancestors = Of(partition);
  return std::any_of(ancestors.begin(), ancestors.end(), [&](const SourceTable* ancestor) {
    return selection.Selects(ancestor->name) ||
           (selection.Excludes(ancestor->name) && !selection.Names(partition.name));
  });
}

void CheckPublishedPartitions(const PreflightRequest& request, const PreflightInput& in,
                              const Ancestry& ancestry, std::vector<Finding>& out) {
  if (request.is_publication_ours || !in.publication) return;
  const auto add = [&](const SourceTable& table, std::string message, std::string advice) {
    out.push_back({.severity = Severity::kProblem,
                   .code = "SLU-2052",
                   .message = std::move(message),
                   .advice = std::move(advice),
                   .sql = {},
                   .table = table.name});
  };
  std::set<RelationId> published;
  for (const PublishedTable& table : in.published) published.insert(table.relation);
  std::set<RelationId> roots;
  for (const SourceTable& table : in.tables) {
    if (!published.contains(table.relation)) continue;
    for (const SourceTable* ancestor : ancestry.Of(table)) roots.insert(ancestor->relation);
  }
  for (const SourceTable& table : in.tables) {
    if (published.contains(table.relation) || !request.selection.Names(table.name)) continue;
    const std::string name = ToString(table.name);
    for (const SourceTable* ancestor : ancestry.Of(table)) {
      if (!published.contains(ancestor->relation)) continue;
      add(table,
          "publication " + in.publication->name + " publishes " + name + " as part of " +
              ToString(ancestor->name),
          "select " + ToString(ancestor->name));
    }
    if (!roots.contains(table.relation)) continue;
    add(table,
        "publication " + in.publication->name + " publishes the partitions of " + name +
            " as tables of their own",
        "select the partitions, or ALTER PUBLICATION " + QuoteIdentifier(in.publication->name) +
            " SET (publish_via_partition_root = true)");
  }
}

}  // namespace sluice::postgres
