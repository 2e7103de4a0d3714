/// \file
/// Makes the sessions of sql_session.h.
#pragma once

#include <memory>

#include "destinations/duckdb/database.h"
#include "destinations/duckdb/sql_session.h"

namespace sluice::duckdb {

Result<std::unique_ptr<SqlSession>> NewSqlSession(std::unique_ptr<Database::Lease> lease,
                                                  const SqlLimits& limits);

}  // namespace sluice::duckdb
