/// \file
/// From a destination URL to an object, and this process's memory shared out.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "sluice/destination.h"
#include "sluice/result.h"

#include "engine/options.h"

namespace sluice::pipeline {

/// How --memory is divided. The parts add up to the limit.
struct MemoryShares {
  std::size_t destination = 0;  ///< DuckDB's memory_limit
  std::size_t staging = 0;      ///< streamed transactions before they spill
  std::size_t held = 0;         ///< changes of units being copied before they spill
  std::size_t inbox = 0;        ///< sealed, waiting for the writer
  std::size_t batch = 0;        ///< one change set
  std::size_t columns = 0;      ///< of the tables of one change set (OpenSet::column_count())
};
MemoryShares ShareMemory(const engine::PipelineOptions& options);

/// Does no I/O. Errors: kConfig (URL).
/// \param spares_memory its memory was used up before
Result<std::unique_ptr<Destination>> MakeDestination(const engine::PipelineOptions& options,
                                                     bool spares_memory = false);

/// The file of a duckdb destination; empty for others.
std::string DestinationFile(const engine::PipelineOptions& options);

/// Is there a file in which an earlier run may have left something? Never for memory:.
bool HasState(const engine::PipelineOptions& options);

}  // namespace sluice::pipeline
