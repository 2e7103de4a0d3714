/// \file
/// A prepared SELECT whose result comes chunk by chunk and is never in memory as a whole.
#pragma once

#include <functional>
#include <string>

#include "sluice/result.h"

#include "destinations/duckdb/connection.h"
#include "destinations/duckdb/handles.h"

namespace sluice::duckdb {

/// Prepares one statement.
Result<PreparedHandle> Prepare(Connection& connection, const std::string& sql);

/// Runs it. `start` is called once with the result before its first chunk. An error of a callback
/// ends the query with it.
Status RunStreaming(const PreparedHandle& prepared,
                    const std::function<Status(duckdb_result*)>& start,
                    const std::function<Status(duckdb_data_chunk)>& chunk);

}  // namespace sluice::duckdb
