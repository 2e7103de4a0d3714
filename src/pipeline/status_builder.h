/// \file
/// Puts a PipelineStatus together from what the threads publish, and the last word of a run. Pure
/// but for reading atomics.
#pragma once

#include <string>
#include <vector>

#include "engine/options.h"
#include "engine/progress.h"
#include "engine/status.h"
#include "pipeline/pipeline.h"
#include "pipeline/session.h"
#include "postgres/preflight.h"

namespace sluice::pipeline {

struct StatusInput {
  const engine::PipelineOptions& options;
  std::string source;
  engine::Phase phase;
  std::string last_error;
  std::string waiting_for;
  std::uint64_t epoch;
  const std::vector<postgres::PlannedTable>& planned;
  const Session* session;  ///< may be null
  const engine::Progress& progress;
  const engine::LatencyWindow& latency;
};

engine::PipelineStatus BuildStatus(const StatusInput& input);

/// Exit code 3 where a table is halted or a named one left out.
void FinishOutcome(RunOutcome& outcome, bool lacks_named);

}  // namespace sluice::pipeline
