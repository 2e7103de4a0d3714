/// \file
/// Kept changes of halted tables, to and from the rows of sluice._kept.
///
/// Thread safety: the writer's.
#pragma once

#include <cstdint>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/result.h"

#include "destinations/duckdb/connection.h"

namespace sluice::duckdb {

/// Inside the caller's transaction.
Status AppendKept(Connection& connection, RelationId relation,
                  const std::vector<KeptChange>& changes);

/// As Destination::ReadKept().
Result<std::vector<KeptChange>> ReadKept(Connection& connection, RelationId relation,
                                         std::uint64_t after, std::size_t count_max);

}  // namespace sluice::duckdb
