/// \file
/// What a name means in the file, asked of DuckDB's catalog by that name.
///
/// duckdb_tables() and its like describe every table before they leave out any: with thousands of
/// tables one look takes tens of milliseconds. They are for lists; this is for one name.
#pragma once

#include <cstdint>

#include "sluice/ids.h"
#include "sluice/result.h"

#include "destinations/duckdb/connection.h"

namespace sluice::duckdb {

enum class NameUse : std::uint8_t { kFree, kTable, kView };

/// As the connection's transaction sees it; in one that has not looked at the file yet it makes the
/// snapshot. Names are compared as FoldName() does; a schema that is not there has no names in use.
/// Errors: kDestination SLU-5014, kConnection SLU-5015.
Result<NameUse> LookUpName(Connection& connection, const TableName& name);

}  // namespace sluice::duckdb
