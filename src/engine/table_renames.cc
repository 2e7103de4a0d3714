#include "engine/table_renames.h"

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>

namespace sluice::engine {
namespace {

bool IsWanted(const std::deque<TableRename>& left, RelationId relation) {
  return std::any_of(left.begin(), left.end(),
                     [&](const TableRename& rename) { return rename.relation == relation; });
}

}  // namespace

RenamePlan PlanRenames(std::span<const TableRecord> records, std::span<const TableRename> wanted) {
  RenamePlan plan;
  // Whose rows lie under a name, and what a table is called so far.
  std::map<TableName, RelationId> holders;
  std::map<RelationId, TableName> names;
  std::deque<TableRename> left;
  for (const TableRecord& record : records) {
    if (!record.schema) continue;
    holders[record.destination] = record.relation;
    names[record.relation] = record.destination;
    const auto rename = std::find_if(wanted.begin(), wanted.end(), [&](const TableRename& w) {
      return w.relation == record.relation;
    });
    if (rename == wanted.end()) continue;
    const bool may_move =
        (record.state == TableState::kLive || record.kept) && record.destination != rename->to;
    if (may_move) left.push_back(*rename);
  }
  const auto move = [&](const TableRename& step) {
    holders.erase(names[step.relation]);
    holders[step.to] = step.relation;
    names[step.relation] = step.to;
    plan.steps.push_back(step);
  };
  // A table is looked at again as long as one that was behind it made room.
  for (std::size_t waiting = 0; !left.empty();) {
    const TableRename rename = left.front();
    left.pop_front();
    const auto holder = holders.find(rename.to);
    if (holder == holders.end()) {
      move(rename);
      waiting = 0;
    } else if (IsWanted(left, holder->second)) {
      left.push_back(rename);
      if (++waiting < left.size()) continue;
      // All that are left wait for each other.
      const RelationId first = left.front().relation;
      move({first, {names[first].schema, "_sluice_rename_" + std::to_string(first.value)}});
      waiting = 0;
    } else {
      waiting = 0;  // its name stays taken: whoever waits for it looks again
    }
  }
  for (const TableRename& rename : wanted) {
    const auto name = names.find(rename.relation);
    if (name == names.end() || name->second != rename.to) plan.to_copy.push_back(rename);
  }
  return plan;
}

}  // namespace sluice::engine
