/// \file
/// sluice._ranges: which ranges of a table that is copied in ranges have landed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "destinations/duckdb/connection.h"

namespace sluice::duckdb {

/// Conditions that are true for the rows of one range, and for those of all landed ones. Pure.
std::string RangeSql(const TableSchema& schema, const CopyRanges& ranges, std::size_t index);
std::string LandedSql(const CopyRanges& ranges);

/// Makes the table where it is not there.
std::string CreateRangesSql();

/// TableRecord::ranges of the tables that have some as of the state's epoch: a version that knows
/// of no ranges may have had the file since, and changed nothing of them.
Status ReadRanges(Connection& connection, DeliveryState& state);
/// As the record has them; empty: none any more.
Status WriteRanges(Connection& connection, RelationId relation,
                   const std::optional<CopyRanges>& ranges, std::uint64_t epoch);
/// Where the landed ranges of the records lie: these are taken out of `aside`. A record whose
/// ranges are not there exactly once has none any more. Pure.
std::map<RelationId, TableName> PickRanges(std::vector<TableName>& aside,
                                           std::vector<TableRecord>& tables);
/// Those that are there are of the state's epoch now, with as many rows as they have; others are
/// forgotten. `places`: of PickRanges().
Status TakeOverRanges(Connection& connection, DeliveryState& state,
                      const std::map<RelationId, TableName>& places);

}  // namespace sluice::duckdb
