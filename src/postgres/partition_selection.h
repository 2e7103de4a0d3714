/// \file
/// Partitions among the tables that are selected: as which table each is replicated. Pure.
///
/// A publication of ours publishes through the root, but only through a root that is in it: a
/// partition that is selected alone is published alone. One of the user's decides that itself.
#pragma once

#include <unordered_map>
#include <vector>

#include "sluice/ids.h"

#include "postgres/catalog.h"
#include "postgres/preflight.h"

namespace sluice::postgres {

/// Who is whose partition. Refers to the tables it was made of.
class Ancestry {
 public:
  /// \param tables read in one statement: no table is its own ancestor.
  explicit Ancestry(const std::vector<SourceTable>& tables);

  /// The parent first, the root last.
  std::vector<const SourceTable*> Of(const SourceTable& table) const;

  /// A partition comes with an ancestor that is selected, and is left out with one that is
  /// excluded, unless it is named itself.
  bool Covers(const TableSelection& selection, const SourceTable& partition) const;

 private:
  std::unordered_map<RelationId, const SourceTable*> tables_;
};

/// SLU-2052, a problem: a table was named that the user's publication publishes as part of its
/// root, or as its partitions.
void CheckPublishedPartitions(const PreflightRequest& request, const PreflightInput& in,
                              const Ancestry& ancestry, std::vector<Finding>& out);

}  // namespace sluice::postgres
