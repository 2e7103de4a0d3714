/// \file
/// Just enough of SQL's lexical rules to find where one statement ends.
#pragma once

#include <string>
#include <string_view>

namespace sluice::duckdb {

/// The text up to the first semicolon that is not inside a string, a quoted name, a dollar-quoted
/// text or a comment. Whether anything follows is DuckDB's parser's to say.
std::string_view FirstStatement(std::string_view sql);

}  // namespace sluice::duckdb
