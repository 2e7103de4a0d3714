/// \file
/// Whether DuckDB's memory has room for a table's columns.
///
/// While rows are added to a table DuckDB pins a block of 256 KiB for the values and one for the
/// validity of each of its columns, of all at once and however few the rows are. What is pinned
/// cannot go to disk. Source: DuckDB's ColumnData::InitializeAppend and those of its nested types.
#pragma once

#include <cstddef>
#include <optional>

#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::duckdb {

/// What is pinned while rows are added.
std::size_t PinnedBytes(const TableSchema& schema);

/// SLU-5026 where that leaves too little of DuckDB's `memory_bytes` to everything else; nullopt: it
/// fits.
std::optional<Error> CheckWidth(const TableSchema& schema, std::size_t memory_bytes);

}  // namespace sluice::duckdb
