/// \file
/// What a statement for `sluice sql` may call. DuckDB's table functions read files, change settings
/// of the whole instance, switch logs on and force checkpoints, all from within a SELECT; a
/// read-only transaction and `enable_external_access` stop only some of them. So those that only
/// read are listed, and no other one gets as far as being bound.
///
/// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"

namespace sluice::duckdb {

/// DuckDB's syntax tree of a statement, as json_serialize_sql() gives it.
struct StatementTree {
  bool is_select = false;  ///< else it has no tree
  std::vector<std::string> table_functions;
};
/// Errors: kInternal where the text is not such a tree.
Result<StatementTree> ReadStatementTree(std::string_view json);

/// It reads what is given to it, or the catalog, and nothing else.
bool IsHarmlessTableFunction(std::string_view name);

/// What an EXPLAIN explains, in the two ways that brackets behind it may be read; empty: it is
/// none.
std::vector<std::string_view> Explained(std::string_view statement);

}  // namespace sluice::duckdb
