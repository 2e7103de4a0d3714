/// \file
/// Just enough of SQL's lexical rules to find where one statement, or what is in brackets, ends.
#pragma once

#include <string>
#include <string_view>

namespace sluice::duckdb {

/// The text up to the first semicolon that is not inside a string, a quoted name, a dollar-quoted
/// text or a comment. Whether anything follows is DuckDB's parser's to say.
std::string_view FirstStatement(std::string_view sql);

/// Without the blanks and comments that it begins with.
std::string_view WithoutLeadingSpace(std::string_view sql);
/// What follows the bracket that closes the one it begins with; empty: nothing closes it.
std::string_view BehindBrackets(std::string_view sql);

}  // namespace sluice::duckdb
