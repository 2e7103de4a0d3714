/// \file
/// One pass of a comparison: source and destination of one table, read side by side.
#pragma once

#include <stop_token>
#include <string>

#include "sluice/destination.h"
#include "sluice/result.h"

#include "postgres/connection.h"
#include "verify/table_comparison.h"

namespace sluice::pipeline {

/// \param select verify::SelectForVerify(), run on `source` under its snapshot. Two threads until
/// it returns. Errors: kSchemaConflict SLU-5025 (the destination's table was altered), kCancelled,
/// of both sides.
Status ReadBothSides(verify::TableComparison& comparison, const TableRecord& record,
                     DestinationReader& destination, postgres::Connection& source,
                     const std::string& select, std::stop_token stop);

}  // namespace sluice::pipeline
