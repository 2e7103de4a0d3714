/// \file
/// What `check` says about the types of columns: declarations that meet no column, and the line
/// that would make a number of a numeric column that is kept as text.
#pragma once

#include <vector>

#include "sluice/result.h"
#include "sluice/schema.h"

#include "pipeline/check.h"
#include "postgres/connection.h"
#include "types/type_policies.h"

namespace sluice::pipeline {

/// Findings SLU-4123 for what was declared of columns that no table of `schemas` has.
void NoteUnknownColumns(const types::TypePolicies& policies, const std::vector<SchemaPtr>& schemas,
                        CheckReport& report);

/// Findings SLU-4114 for columns declared as bytes while another column makes the stream text.
void NoteBytesAsText(const std::vector<SchemaPtr>& schemas, CheckReport& report);

/// Findings SLU-4122. Looks at a part of the values, some seconds at most for all columns together;
/// a table that takes longer, or may not be read, is passed over.
/// Errors: kConnection, kTimeout.
Status ProposeDecimals(postgres::Connection& connection, const std::vector<SchemaPtr>& schemas,
                       CheckReport& report);

/// The declaration for values with at most so many digits before and behind the point; empty: no
/// DECIMAL has room for them. Leaves room for larger ones where there is some.
std::string DecimalFor(int digits_before, int digits_behind);

}  // namespace sluice::pipeline
