#include "postgres/column_facts.h"

namespace sluice::postgres {

Result<std::map<RelationId, ColumnNumbers>> ReadColumnNumbers(
    Connection& connection, std::span<const RelationId> relations) {
  std::string list = "{";
  for (const RelationId relation : relations) {
    if (list.size() > 1) list += ',';
    list += std::to_string(relation.value);
  }
  list += '}';
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read column numbers",
                      "SELECT attrelid, attname, attnum FROM pg_attribute"
                      " WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped",
                      {list}));
  std::map<RelationId, ColumnNumbers> numbers;
  for (std::size_t row = 0; row < rows.row_count(); ++row) {
    SLUICE_ASSIGN_OR_RETURN(const std::uint32_t relation, rows.Unsigned32(row, 0));
    numbers[RelationId{relation}][rows.str(row, 1)] =
        static_cast<std::int16_t>(rows.integer_or(row, 2, 0));
  }
  return numbers;
}

Result<std::vector<std::string>> ReadComputedDefaults(Connection& connection, RelationId relation) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec(
          "read column defaults",
          "SELECT attname FROM pg_attribute WHERE attrelid = $1::oid AND attnum > 0"
          " AND NOT attisdropped AND NOT atthasmissing AND (atthasdef OR attidentity <> '')",
          {std::to_string(relation.value)}));
  std::vector<std::string> names;
  for (std::size_t row = 0; row < rows.row_count(); ++row) names.push_back(rows.str(row, 0));
  return names;
}

}  // namespace sluice::postgres
