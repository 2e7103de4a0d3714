/// \file
/// Which tables a run has to do with: what the source offers and the user chose, against what the
/// destination remembers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sluice/delivery_state.h"

#include "engine/options.h"
#include "pipeline/pipeline.h"
#include "postgres/preflight.h"
#include "postgres/publication.h"

namespace sluice::pipeline {

struct TableSet {
  std::vector<TableRecord> added;   ///< new in the selection; pending or skipped
  std::vector<RelationId> removed;  ///< no longer selected, or gone, and never copied
  /// Taken out of the publication and added again meanwhile, with the new entry (T33).
  std::vector<std::pair<RelationId, std::uint32_t>> rejoined;
  /// Stored without an entry, or with one of an older form: they are as they were, with the new
  /// one.
  std::vector<std::pair<RelationId, std::uint32_t>> restated;
  std::vector<postgres::WantedTable> published;  ///< what our own publication must hold
};

/// Pure, before a session. `entries`: what the publication holds now (empty before it is made).
/// What was copied and is gone at the source, or is left out now, stays until a session has passed
/// the change (table_changes.h).
TableSet PlanTables(const std::vector<postgres::PlannedTable>& planned,
                    const std::vector<TableRecord>& remembered,
                    const std::vector<postgres::PublishedTable>& entries,
                    const engine::PipelineOptions& options);

/// A table that joins, as it is stored: pending (live where nothing is to be copied) or skipped.
TableRecord NewRecord(const postgres::PlannedTable& planned,
                      const std::vector<postgres::PublishedTable>& entries,
                      const engine::PipelineOptions& options);

/// For the reader, before the first byte. `remembered`: what the destination holds; disk space is
/// asked for what will be copied only.
Plan DescribePlan(const std::vector<postgres::PlannedTable>& planned,
                  const std::vector<TableRecord>& remembered,
                  const engine::PipelineOptions& options,
                  const postgres::TableSelection& selection);

/// psql's patterns over the pipeline's tables. Errors: kInvalidArgument SLU-1030 (a pattern matches
/// nothing).
Result<std::vector<RelationId>> MatchTables(const std::vector<std::string>& patterns,
                                            const std::vector<TableRecord>& tables);
/// MatchTables() without those that are skipped: they are not published. Errors: also
/// kInvalidArgument SLU-1051 (only skipped ones match).
Result<std::vector<RelationId>> MatchToCopyAgain(const std::vector<std::string>& patterns,
                                                 const std::vector<TableRecord>& tables);

}  // namespace sluice::pipeline
