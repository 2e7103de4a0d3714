// LoadTypeCatalog(): pg_type and composites' attributes into types::TypeCatalog.
#include "postgres/catalog.h"

namespace sluice::postgres {
namespace {

char CharAt(const QueryResult& rows, std::size_t row, std::size_t column, char fallback) {
  const std::string_view text = rows.text(row, column);
  return text.empty() ? fallback : text.front();
}

}  // namespace

Result<types::TypeCatalog> LoadTypeCatalog(Connection& connection) {
  types::TypeCatalog catalog;
  SLUICE_ASSIGN_OR_RETURN(const QueryResult type_rows,
                          connection.Exec("read the catalog's types", types::TypeRowsSql()));
  for (std::size_t i = 0; i < type_rows.row_count(); ++i) {
    types::TypeRow row;
    SLUICE_ASSIGN_OR_RETURN(row.oid.value, type_rows.Unsigned32(i, 0));
    row.name = type_rows.str(i, 1);
    row.namespace_name = type_rows.str(i, 2);
    row.typtype = CharAt(type_rows, i, 3, 'b');
    row.typcategory = CharAt(type_rows, i, 4, 'U');
    row.is_array = type_rows.is_true(i, 5);
    SLUICE_ASSIGN_OR_RETURN(row.typelem.value, type_rows.Unsigned32(i, 6));
    SLUICE_ASSIGN_OR_RETURN(row.typbasetype.value, type_rows.Unsigned32(i, 7));
    row.typtypmod = static_cast<std::int32_t>(type_rows.integer_or(i, 8, -1));
    SLUICE_ASSIGN_OR_RETURN(row.typrelid, type_rows.Unsigned32(i, 9));
    row.typdelim = CharAt(type_rows, i, 10, ',');
    row.has_send = type_rows.is_true(i, 11);
    row.range_element.value = static_cast<std::uint32_t>(type_rows.integer_or(i, 12, 0));
    row.extension = type_rows.str(i, 13);
    catalog.AddType(std::move(row));
  }
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult attributes,
      connection.Exec("read the catalog's composite types", types::AttributeRowsSql()));
  for (std::size_t i = 0; i < attributes.row_count(); ++i) {
    types::AttributeRow row;
    SLUICE_ASSIGN_OR_RETURN(row.typrelid, attributes.Unsigned32(i, 0));
    row.attnum = static_cast<std::int16_t>(attributes.integer_or(i, 1, 0));
    row.name = attributes.str(i, 2);
    SLUICE_ASSIGN_OR_RETURN(row.type.value, attributes.Unsigned32(i, 3));
    row.typmod = static_cast<std::int32_t>(attributes.integer_or(i, 4, -1));
    catalog.AddAttribute(std::move(row));
  }
  return catalog;
}

}  // namespace sluice::postgres
