/// \file
/// What a destination holds while no pipeline runs on it: for `status`, `tables`, `sql`, `resync`.
///
/// The caller has asked the control socket before: a running pipeline holds the file, and these
/// then fail with SLU-5001.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sluice/destination.h"
#include "sluice/result.h"

#include "destinations/duckdb/sql_session.h"
#include "engine/options.h"
#include "engine/status.h"

namespace sluice::pipeline {

/// As stored: positions and tables; the phase is kStopped, nothing is known of the source.
/// Errors: kConfig SLU-5011 (no such file), SLU-5001 (held), of the destination.
Result<engine::PipelineStatus> ReadStoredStatus(const engine::PipelineOptions& options);

/// Pure: what of `state` a status shows.
engine::PipelineStatus StatusFromState(const engine::PipelineOptions& options,
                                       const DeliveryState& state);

/// What the next run is to do with tables.
enum class Mark : std::uint8_t {
  kResync,  ///< copy them
  kResume,  ///< go on with the changes kept since they halted
};

/// Marks the tables that match, in one commit without a new position. Returns their names. Errors:
/// kInvalidArgument SLU-1030 (a pattern matches nothing), kConfig SLU-1031 (no pipeline has been
/// here); of kResume: as replication::WhyNoResume(), then none is marked.
Result<std::vector<TableName>> MarkTables(const engine::PipelineOptions& options,
                                          const std::vector<std::string>& patterns, Mark mark);

/// A file opened for queries only. `session` goes first at the end.
struct OpenedSql {
  std::unique_ptr<Destination> destination;
  std::unique_ptr<duckdb::SqlSession> session;
};
/// Errors: kUnsupported SLU-1024 (this destination has no SQL), as ReadStoredStatus().
Result<OpenedSql> OpenSql(const engine::PipelineOptions& options, const duckdb::SqlLimits& limits);

}  // namespace sluice::pipeline
