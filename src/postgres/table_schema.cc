// LoadTableSchema(): one table as the stream carries it.
#include <algorithm>
#include <charconv>
#include <memory>
#include <string>

#include "postgres/catalog.h"
#include "postgres/table_facts.h"
#include "types/hidden_columns.h"
#include "types/type_policies.h"

namespace sluice::postgres {
namespace {

constexpr std::string_view kTableSql = R"(
SELECT n.nspname, c.relname, c.relkind, c.relreplident,
  (SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] FROM pg_index i WHERE i.indrelid = c.oid
    AND i.indisprimary AND i.indisvalid AND i.indimmediate),
  (SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] FROM pg_index i WHERE i.indrelid = c.oid
    AND i.indisreplident AND i.indisvalid AND i.indimmediate LIMIT 1),
  (SELECT pr.oid FROM pg_publication_rel pr JOIN pg_publication p ON p.oid = pr.prpubid
    WHERE pr.prrelid = c.oid AND p.pubname = $2)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid)";

// Of a partitioned table the partitions know what older rows read as: one that says something else
// than the others was attached since, and then the table is copied again.
constexpr std::string_view kColumnsSql = R"(
SELECT a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
  CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] WHEN c.relkind = 'p' THEN (
    WITH RECURSIVE tree(oid) AS (SELECT a.attrelid UNION ALL SELECT h.inhrelid FROM tree
      JOIN pg_inherits h ON h.inhparent = tree.oid)
    SELECT min((m.attmissingval::text::text[])[1]) FROM tree JOIN pg_attribute m ON
      m.attrelid = tree.oid AND m.attname = a.attname AND m.attnum > 0 AND m.atthasmissing) END,
  a.attgenerated, a.xmin
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum)";

// Column lists and row filters came with 15, generated columns with 18. Not from
// pg_publication_tables: that opens every table of the publication, and asking for another table's
// lock while we hold ours could end a transaction of the application in a deadlock.
std::string PublishedSql(int server_version) {
  const std::string columns =
      "(SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = "
      "$2::oid"
      " AND a.attnum > 0 AND NOT a.attisdropped AND ";
  const std::string listed = columns + "a.attnum = ANY (r.prattrs::int2[]))";
  const std::string with_generated = columns + "a.attgenerated IN ('', 's'))";
  const std::string unlisted = server_version >= 180000
                                   ? "CASE WHEN p.pubgencols = 's' THEN " + with_generated + " END"
                                   : "NULL";
  return "SELECT CASE WHEN r.prattrs IS NOT NULL THEN " + listed + " ELSE " + unlisted +
         " END, pg_get_expr(r.prqual, r.prrelid) FROM pg_publication p"
         " LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = $2::oid"
         " WHERE p.pubname = $1";
}

struct Published {
  std::optional<std::vector<std::string>> columns;  // nullopt: all that are not generated
  std::string row_filter;
};

Result<Published> ReadPublished(Connection& connection, std::string_view publication,
                                RelationId relation, const TableName& name) {
  Published out;
  if (publication.empty() || connection.server_version() < 150000) return out;
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read what the publication holds of " + ToString(name),
                      PublishedSql(connection.server_version()),
                      {std::string(publication), std::to_string(relation.value)}));
  if (rows.row_count() == 0) return out;
  if (!rows.is_null(0, 0)) out.columns = ParseArrayText(rows.text(0, 0));
  out.row_filter = rows.str(0, 1);
  return out;
}

std::vector<std::int16_t> ReadAttnums(const QueryResult& rows, std::size_t column) {
  std::vector<std::int16_t> out;
  // A slice of an int2vector may print its bounds: "[0:1]={1,2}".
  std::string_view text = rows.text(0, column);
  text = text.substr(std::min(text.find('{'), text.size()));
  for (const std::string& element : ParseArrayText(text).value_or(std::vector<std::string>{})) {
    std::int16_t attnum = 0;
    std::from_chars(element.data(), element.data() + element.size(), attnum);
    out.push_back(attnum);
  }
  return out;
}

// Indexes into `columns`, ascending; empty where one of `attnums` is not among them.
std::vector<std::int32_t> IndexesOf(const std::vector<Column>& columns,
                                    const std::vector<std::int16_t>& attnums) {
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (std::find(attnums.begin(), attnums.end(), columns[i].attnum) != attnums.end()) {
      out.push_back(static_cast<std::int32_t>(i));
    }
  }
  if (out.size() != attnums.size()) out.clear();
  return out;
}

Result<std::vector<Column>> ReadColumns(Connection& connection, const types::TypeCatalog& types,
                                        RelationId relation, const TableName& table,
                                        const Published& published) {
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult rows,
      connection.Exec("read a table's columns", kColumnsSql, {std::to_string(relation.value)}));
  std::vector<Column> columns;
  for (std::size_t i = 0; i < rows.row_count(); ++i) {
    Column column;
    column.name = rows.str(i, 1);
    if (published.columns) {
      const auto& list = *published.columns;
      if (std::find(list.begin(), list.end(), column.name) == list.end()) continue;
    } else if (!rows.text(i, 6).empty()) {
      continue;
    }
    column.attnum = static_cast<std::int16_t>(rows.integer_or(i, 0, 0));
    SLUICE_ASSIGN_OR_RETURN(const std::uint32_t type, rows.Unsigned32(i, 2));
    const auto typmod = static_cast<std::int32_t>(rows.integer_or(i, 3, -1));
    auto resolved = types.ResolveColumn(table, column.name, Oid{type}, typmod);
    if (!resolved) return std::move(resolved).error().At("column " + column.name);
    column.type = *std::move(resolved);
    column.on_misfit = types.MisfitPolicy(table, column.name, column.type);
    column.is_nullable = !rows.is_true(i, 4);
    column.missing_value = rows.optional_text(i, 5);
    SLUICE_ASSIGN_OR_RETURN(column.altered_by, rows.Unsigned32(i, 7));
    columns.push_back(std::move(column));
  }
  return columns;
}

void SetIdentity(TableSchema& schema, const std::vector<std::int16_t>& primary_key,
                 const std::vector<std::int16_t>& identity_index) {
  switch (schema.identity) {
    case ReplicaIdentity::kFull:
      for (std::size_t i = 0; i < schema.columns.size(); ++i) {
        schema.identity_columns.push_back(static_cast<std::int32_t>(i));
      }
      schema.key = IndexesOf(schema.columns, primary_key);
      break;
    case ReplicaIdentity::kDefault:
      schema.identity_columns = IndexesOf(schema.columns, primary_key);
      schema.key = schema.identity_columns;
      break;
    case ReplicaIdentity::kIndex:
      schema.identity_columns = IndexesOf(schema.columns, identity_index);
      schema.key = schema.identity_columns;
      break;
    case ReplicaIdentity::kNothing:
      break;
  }
  for (const std::int32_t index : schema.identity_columns) {
    schema.columns[static_cast<std::size_t>(index)].is_identity = true;
  }
}

}  // namespace

Result<LoadedTable> LoadTableSchema(Connection& connection, const types::TypeCatalog& types,
                                    RelationId relation, std::string_view publication,
                                    std::span<const HiddenColumn> known) {
  SLUICE_ASSIGN_OR_RETURN(const QueryResult rows, connection.Exec("read a table", kTableSql,
                                                                  {std::to_string(relation.value),
                                                                   std::string(publication)}));
  if (rows.row_count() == 0) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "the table is no longer there: oid " + std::to_string(relation.value),
                 .code = "SLU-2103"};
  }
  auto schema = std::make_shared<TableSchema>();
  schema->relation = relation;
  schema->name = {rows.str(0, 0), rows.str(0, 1)};
  const char identity = rows.text(0, 3).empty() ? 'd' : rows.text(0, 3).front();
  schema->identity = static_cast<ReplicaIdentity>(identity);
  SLUICE_ASSIGN_OR_RETURN(const Published published,
                          ReadPublished(connection, publication, relation, schema->name));
  auto columns = ReadColumns(connection, types, relation, schema->name, published);
  if (!columns) return std::move(columns).error().At("table " + ToString(schema->name));
  schema->columns = *std::move(columns);
  SetIdentity(*schema, ReadAttnums(rows, 4), ReadAttnums(rows, 5));
  SLUICE_RETURN_IF_ERROR(types::CheckKeyTypes(*schema));
  SLUICE_ASSIGN_OR_RETURN(schema->facts, ReadTableFacts(connection, relation, publication));
  LoadedTable loaded;
  loaded.is_partitioned = rows.text(0, 2) == "p";
  loaded.row_filter = published.row_filter;
  loaded.publication_entry = static_cast<std::uint32_t>(rows.integer_or(0, 6, 0));
  static const types::TableRules kNone;
  const types::TableRules& rules = types.rules() ? *types.rules() : kNone;
  if (rules.For(schema->name).mode == types::TableMode::kAppend) types::ForgetIdentity(*schema);
  SLUICE_ASSIGN_OR_RETURN(loaded.schema, types::HideColumns(schema, rules, known));
  return loaded;
}

}  // namespace sluice::postgres
