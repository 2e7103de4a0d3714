/// \file
/// sluice._ranges: which ranges of a table that is copied in ranges have landed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sluice/delivery_state.h"
#include "sluice/result.h"

#include "destinations/duckdb/connection.h"

namespace sluice::duckdb {

/// Makes the table where it is not there.
std::string CreateRangesSql();

/// TableRecord::ranges of the tables that have some as of the state's epoch: a version that knows
/// of no ranges may have had the file since, and changed nothing of them.
Status ReadRanges(Connection& connection, DeliveryState& state);
/// As the record has them; empty: none any more.
Status WriteRanges(Connection& connection, RelationId relation,
                   const std::optional<CopyRanges>& ranges, std::uint64_t epoch);
/// Those that were read are of the state's epoch now; others are forgotten.
Status TakeOverRanges(Connection& connection, const DeliveryState& state);

}  // namespace sluice::duckdb
