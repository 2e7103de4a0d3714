/// \file
/// Tables that have other names at the source, and how their rows get them at the destination:
/// which can be renamed where they lie, and in which order, so that no step needs a name that
/// another table still has. Exchanged names go over a third one.
///
/// Pure.
#pragma once

#include <span>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/ids.h"

namespace sluice::engine {

struct TableRename {
  RelationId relation;
  TableName to;
};

struct RenamePlan {
  /// In order; the last step of a table gives it the name that was wanted.
  std::vector<TableRename> steps;
  /// Rows of another table under the name, neither live nor halted with changes kept: a copy lands
  /// under it instead.
  std::vector<TableRename> to_copy;
};

/// \param records every table of the pipeline. \param wanted names to be, none twice.
RenamePlan PlanRenames(std::span<const TableRecord> records, std::span<const TableRename> wanted);

}  // namespace sluice::engine
