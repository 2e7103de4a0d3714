/// \file
/// The key of a row as PostgreSQL's own messages print it, from the row's bytes on the wire: for
/// the error about a row that is not there.
#pragma once

#include <string>

#include "sluice/schema.h"

#include "pgoutput/tuple.h"

namespace sluice::columnar {

/// "(id, kind)=(7, blue)". `row`: one cell per schema column; a key cell that it lacks is taken
/// from `old`, which may be empty. Long values are cut. Empty for tables without a key.
std::string RowKeyText(const TableSchema& schema, pgoutput::TupleView row, pgoutput::TupleView old);

}  // namespace sluice::columnar
