/// \file
/// A TableSchema as JSON text: how sluice._schemas keeps it. Reading what an older version wrote
/// fills absent members with their defaults; unknown members are ignored.
#pragma once

#include <string>

#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::duckdb {

std::string SchemaToJson(const TableSchema& schema);
/// Error SLU-5016 (kStateStore).
Result<SchemaPtr> SchemaFromJson(const std::string& text);

}  // namespace sluice::duckdb
