/// \file
/// A DuckDB file as anybody's client sees it, without sluice: the independent reader of scenarios.
#pragma once

#include <string>
#include <vector>

#include "sluice/result.h"

namespace sluice::tests {

/// The rows of a query, cells joined with '|', NULL as NULL, line breaks in a cell as \n. The file
/// is attached read-only from memory, so a .wal beside it is replayed but nothing is changed.
Result<std::vector<std::string>> QueryDuckDbFile(const std::string& path, const std::string& sql);

/// Runs statements on the file, as a user who changes it by hand would.
Status ChangeDuckDbFile(const std::string& path, const std::string& sql);

/// Makes every cell of a query text, NULL as 'NULL', so that any client prints the same.
std::string AsTextQuery(const std::string& sql);

}  // namespace sluice::tests
