/// \file
/// sluice._ranges: which ranges of a table that is copied in ranges have landed.
#pragma once

#include <cstdint>
#include <map>
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
/// Those that were read are of the state's epoch now, as many rows as there are; others are
/// forgotten, with their rows. So are those whose table is not there exactly once: the state's
/// records have them no more. \return where the landed ones lie, of each table that has some
Result<std::map<RelationId, TableName>> TakeOverRanges(Connection& connection,
                                                       DeliveryState& state);

}  // namespace sluice::duckdb
