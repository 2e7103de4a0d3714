/// \file
/// Which values DuckDB cannot hold exactly. Asked before the first row of a batch is written, so
/// that a misfit halts one table and leaves the transaction as it was.
#pragma once

#include <arrow/type_fwd.h>

#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::duckdb {

/// Every value of the column fits, and the column is carried as `type` says. Errors: SLU-5040
/// (kConversion; names the column, never the value), SLU-9001 for another carrier.
Status CheckValues(const Column& column, const arrow::ArrayData& data);

}  // namespace sluice::duckdb
