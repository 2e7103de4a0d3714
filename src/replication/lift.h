/// \file
/// Brings rows of an older version of a table to a later one, so that one destination transaction
/// has all its DDL first and then rows of one shape.
///
/// An added column reads as what PostgreSQL says for rows from before it: its default at that time
/// (Column::missing_value), else NULL. Columns are matched by name. Anything else than added
/// columns cannot be lifted.
#pragma once

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::replication {

/// Shares the memory of `batch`. Errors: kUnsupported SLU-4202 (not only added columns).
Result<ChangeBatch> LiftRows(const ChangeBatch& batch, const SchemaPtr& to);

}  // namespace sluice::replication
