/// \file
/// A start of a pipeline that has run before: what changed at the source or in the selection since
/// then is stored before anything streams.
#pragma once

#include <stop_token>
#include <vector>

#include "sluice/destination.h"

#include "engine/options.h"
#include "postgres/connection.h"
#include "postgres/preflight.h"
#include "telemetry/log.h"
#include "types/table_rules.h"
#include "types/type_catalog.h"

namespace sluice::pipeline {

/// All outlive the calls.
struct TableSyncInput {
  const engine::PipelineOptions& options;
  const std::vector<postgres::PlannedTable>& planned;
  const types::TypeCatalog& types;
  postgres::Connection& control;
  telemetry::Logger& logger;
  std::stop_token stop;
};

/// A destination table that is not ours is found before anything is made at the source, and so is a
/// column that is to be excluded and is not there.
/// Errors: kConfig (the table is somebody else's), kUnsupported SLU-4124, SLU-4125, of the source,
/// of the destination.
Status CheckDestinationTables(const TableSyncInput& input, Destination& destination,
                              const DeliveryState& state);

/// A table that was copied with a column that is excluded now is compared with the catalog before
/// its next row, and so loses the column. In memory only.
void LookAgainForExcluded(const types::TableRules& rules, DeliveryState& state);

/// Keeps our own publication to the selection, and commits the tables that came and went.
/// \param state as Open() gave it; updated to what is stored then.
/// Errors: of the source, of the destination; kConnection SLU-5005 (a commit's outcome is unknown).
Status SyncTables(const TableSyncInput& input, Destination& destination, DeliveryState& state);

}  // namespace sluice::pipeline
