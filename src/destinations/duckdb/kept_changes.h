/// \file
/// What is kept of halted tables: the rows of sluice._kept.
///
/// Thread safety: the writer's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/result.h"

#include "destinations/duckdb/connection.h"

namespace sluice::duckdb {

/// Makes sluice._kept where it is not there as it is now.
std::string CreateKeptSql();

/// TableRecord::kept of the halted tables, from what is there.
Status ReadKeptSums(Connection& connection, DeliveryState& state);

/// Says in sluice._kept that a record begins or ends to keep changes, or to apply them.
Status WriteKept(Connection& connection, RelationId relation,
                 const std::optional<KeptChanges>& before, const std::optional<KeptChanges>& after);

/// As those of Destination, inside the caller's transaction.
Status AppendKept(Connection& connection, RelationId relation,
                  const std::vector<KeptChange>& changes);
Status DropKept(Connection& connection, RelationId relation, std::uint64_t through);
Result<std::vector<KeptChange>> ReadKept(Connection& connection, RelationId relation,
                                         std::uint64_t after, std::size_t count_max,
                                         std::size_t bytes_max);

}  // namespace sluice::duckdb
