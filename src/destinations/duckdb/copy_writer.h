/// \file
/// Writes one copied unit into its shadow, on a connection of its own.
#pragma once

#include <functional>
#include <memory>

#include "sluice/destination.h"
#include "sluice/result.h"

#include "destinations/duckdb/database.h"

namespace sluice::duckdb {

struct ShadowTarget {
  CopyTarget target;
  TableName shadow;
  std::size_t transaction_rows = 0;
};

/// Makes the shadow and its row in sluice._units, in one committed transaction. Retries where it
/// meets another copy that makes the same schema.
Status MakeShadow(Connection& connection, const ShadowTarget& target);
/// Drops it and its row, the same way.
Status DropShadow(Connection& connection, UnitId unit, const TableName& shadow);

/// `on_finish` is called once all rows are committed.
std::unique_ptr<CopyWriter> NewCopyWriter(std::unique_ptr<Database::Lease> lease,
                                          ShadowTarget target, std::function<void()> on_finish);

}  // namespace sluice::duckdb
