#include "destinations/duckdb/name_lookup.h"

#include <string>
#include <string_view>

#include "destinations/duckdb/handles.h"
#include "destinations/duckdb/names.h"

namespace sluice::duckdb {

Result<NameUse> LookUpName(Connection& connection, const TableName& name) {
  TableDescriptionHandle table;
  const std::string catalog(kCatalog);
  if (duckdb_table_description_create_ext(connection.get(), catalog.c_str(), name.schema.c_str(),
                                          name.table.c_str(), table.out()) == DuckDBSuccess)
    return NameUse::kTable;
  const char* const text = duckdb_table_description_error(table.get());
  const std::string_view message = text == nullptr ? "" : text;
  // Told by their words only. The second ends the same whatever the view is called.
  if (message == "No table with that schema+name could be located") return NameUse::kFree;
  if (message.ends_with(" is not an table")) return NameUse::kView;
  return MakeError("look for a table", message);
}

}  // namespace sluice::duckdb
