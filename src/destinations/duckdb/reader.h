/// \file
/// The read side: a pinned read transaction on a connection of its own.
#pragma once

#include <memory>

#include "sluice/destination.h"
#include "sluice/result.h"

#include "destinations/duckdb/database.h"

namespace sluice::duckdb {

/// Begins the transaction and pins its snapshot: what was committed before this call.
Result<std::unique_ptr<DestinationReader>> NewReader(std::unique_ptr<Database::Lease> lease);

}  // namespace sluice::duckdb
