/// \file
/// What tables are called at the destination: `names:` in the config file. Without a word a table
/// keeps its name.
///
///   schemas: {public: main}                 every table of a schema
///   tables: {public.orders: sales.orders}   one table; counts before its schema
///
/// Thread safety: const members from any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "sluice/ids.h"
#include "sluice/result.h"

namespace sluice::types {

class NameMap {
 public:
  /// Names fold as in SQL. Errors: kConfig SLU-1001.
  Status MapSchema(std::string_view from, std::string_view to);
  /// SCHEMA.TABLE to SCHEMA.TABLE. Errors: kConfig SLU-1001 (a pattern, a part is missing, another
  /// table has that name already).
  Status MapTable(std::string_view from, std::string_view to);

  /// The table's name at the destination.
  TableName For(const TableName& source) const;
  /// A rule names it: names that are reserved by default are the user's choice then.
  bool is_mapped(const TableName& source) const;

 private:
  std::map<std::string, std::string, std::less<>> schemas_;
  std::map<TableName, TableName> tables_;
};

}  // namespace sluice::types
