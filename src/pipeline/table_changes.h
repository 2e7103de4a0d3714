/// \file
/// What the source's catalog means for the tables of a running pipeline: who joins, who goes, who
/// has another name.
///
/// Pure. What comes from a look at the catalog is true for the log up to the insert LSN read with
/// it: joins take effect at once (the copy rule makes them exact), the others when the stream has
/// passed that LSN, so that the last changes under the old state are applied first.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "sluice/delivery_state.h"

#include "postgres/preflight.h"
#include "postgres/publication.h"

namespace sluice::pipeline {

/// What a look at the catalog saw.
struct CatalogLook {
  std::vector<postgres::PlannedTable> planned;    ///< selected ones
  std::set<RelationId> existing;                  ///< every relation there is
  std::vector<postgres::PublishedTable> entries;  ///< what the publication holds
  bool owns_publication = true;
  bool waits_for_companion = false;  ///< some are left out until they can be published
};

struct TableChanges {
  /// To be published, where the publication is ours, and copied. New ones, and known ones whose
  /// membership began anew.
  struct Join {
    postgres::PlannedTable table;
    bool is_published = false;
    bool is_misplaced = false;  ///< in the other one of our two publications, which it has to leave
  };
  std::vector<Join> joining;
  std::vector<postgres::PlannedTable> left_out;  ///< new, or left out for another reason

  /// These wait for the stream.
  struct Renaming {
    RelationId relation;
    TableName source;
  };
  std::vector<Renaming> renamed;
  std::vector<RelationId> dropped;  ///< gone from the source
  std::vector<RelationId> left;     ///< still there, but no longer selected or published
  std::vector<postgres::PlannedTable> cut_off;  ///< not all changes of them come any more

  bool empty() const {
    return joining.empty() && left_out.empty() && renamed.empty() && dropped.empty() &&
           left.empty() && cut_off.empty();
  }
};

/// A publication that leaves kinds of changes out (SLU-2038 in `findings`) cuts all of them off.
void CutOffNarrowed(const std::vector<postgres::Finding>& findings,
                    std::vector<postgres::PlannedTable>& planned);

TableChanges PlanChanges(const CatalogLook& look, const std::vector<TableRecord>& records);

/// Why a table is not replicated any more. The record's reason begins with the code.
Error DroppedAtSource(const TableName& name);
/// Dropped, or not in the pipeline any more (SLU-4211, SLU-4212).
bool IsGone(const TableRecord& record);
/// Its rows are at the destination and it is in the pipeline, but cannot be replicated as it is:
/// somebody has to see to it.
bool IsNoLongerFollowed(const TableRecord& record, bool holds_rows);

Error LeftPipeline(const TableName& name, bool owns_publication, const std::string& publication);

}  // namespace sluice::pipeline
