/// \file
/// How far tables have come, in sluice.tables: what nearly every commit writes, and nothing else
/// of a record. One statement for all tables of a commit, as parsing and planning one costs DuckDB
/// more than the rows that it changes.
#pragma once

#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/result.h"

#include "destinations/duckdb/connection.h"

namespace sluice::duckdb {

/// `to` differs from the stored `from` by its rows, its position and its time only, as far as
/// sluice.tables goes.
bool IsProgressOnly(const TableRecord& from, const TableRecord& to);

/// Writes rows, position and time of the records. \return false: not each of them has one row, and
/// nothing that was written may stay as it is.
Result<bool> WriteProgress(Connection& connection, const std::vector<const TableRecord*>& records);

}  // namespace sluice::duckdb
