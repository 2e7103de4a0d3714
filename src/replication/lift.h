/// \file
/// Brings rows of an older version of a table to a later one, so that one destination transaction
/// has all its DDL first and then rows of one shape.
///
/// Columns are the same that have the same number (ColumnOrigins). An added column reads as what
/// PostgreSQL says for rows from before it: its default at that time (Column::missing_value), else
/// NULL. A dropped one is left out, a widened one keeps its values.
///
/// Rows keep the key they were sent with: where `to` has another one, the lifted batch has a
/// version of its own, with the columns of `to` and the older key. Such rows are folded on their
/// own.
#pragma once

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::replication {

/// Shares the memory of `batch`. Errors: kUnsupported SLU-4202 (a key column is gone, a type has no
/// exact form in the new one).
Result<ChangeBatch> LiftRows(const ChangeBatch& batch, const SchemaPtr& to);

}  // namespace sluice::replication
