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
  bool is_shared = false;  ///< other ranges lie in it
  std::size_t transaction_rows = 0;
};

/// Makes the shadow, or an empty range in one that is shared, in one committed transaction. Retries
/// where it meets another copy that makes the same schema.
Status MakeShadow(Connection& connection, const ShadowTarget& target);
/// Drops it and the unit's row in sluice._units, the same way. Of one that is shared the rows stay
/// until MakeShadow().
Status DropShadow(Connection& connection, UnitId unit, const TableName& shadow, bool is_shared);

/// `on_finish` is called once all rows are committed.
std::unique_ptr<CopyWriter> NewCopyWriter(std::unique_ptr<Database::Lease> lease,
                                          ShadowTarget target, std::function<void()> on_finish);

}  // namespace sluice::duckdb
