#include "destinations/duckdb/names.h"

#include <set>

namespace sluice::duckdb {
namespace {

constexpr std::string_view kReservedPrefix = "_sluice_";

Error Reserved(std::string message, std::string advice) {
  return {.kind = ErrorKind::kUnsupported,
          .message = std::move(message),
          .code = "SLU-5021",
          .advice = std::move(advice)};
}

Error BadColumn(std::string message) {
  return {.kind = ErrorKind::kUnsupported,
          .message = std::move(message),
          .code = "SLU-5023",
          .advice = "rename the column at the source, or leave the table out with --exclude-table"};
}

std::optional<Error> CheckAttributes(const ColumnType& type, const std::string& column) {
  if (type.carrier == Carrier::kStruct) {
    if (type.children.empty()) return BadColumn("composite type has no attributes: " + column);
    std::set<std::string> seen;
    for (const std::string& name : type.child_names) {
      if (name.empty() || !seen.insert(FoldName(name)).second)
        return BadColumn("attributes of a composite type fold to the same name: " + column);
    }
  }
  for (const ColumnType& child : type.children) {
    if (auto error = CheckAttributes(child, column)) return error;
  }
  return std::nullopt;
}

std::optional<Error> CheckColumns(const TableSchema& schema) {
  if (schema.columns.empty()) {
    return Error{.kind = ErrorKind::kUnsupported,
                 .message = "the table has no published columns, DuckDB needs one",
                 .code = "SLU-5024",
                 .advice = "add a column at the source, or leave the table out"};
  }
  std::set<std::string> seen;
  for (const Column& column : schema.columns) {
    const std::string folded = FoldName(column.name);
    if (folded.starts_with(kReservedPrefix))
      return BadColumn("column names that begin with _sluice_ are reserved: " + column.name);
    if (folded.empty() || !seen.insert(folded).second)
      return BadColumn("two columns differ only in case, which is one name in DuckDB: " +
                       column.name);
    if (schema.is_keyless() && folded == "rowid")
      return BadColumn("a table without a key cannot have a column of this name: " + column.name);
    if (auto error = CheckAttributes(column.type, column.name)) return error;
  }
  return std::nullopt;
}

}  // namespace

std::string QuoteIdentifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out += '"';
}

std::string QuoteLiteral(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out += '\'';
}

std::string QualifiedSchema(std::string_view schema) {
  return QuoteIdentifier(kCatalog) + "." + QuoteIdentifier(schema);
}

std::string QualifiedName(const TableName& name) {
  return QualifiedSchema(name.schema) + "." + QuoteIdentifier(name.table);
}

std::string FoldName(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool HasRowIdColumn(const TableSchema& schema) {
  return std::any_of(schema.columns.begin(), schema.columns.end(),
                     [](const Column& column) { return FoldName(column.name) == "rowid"; });
}

std::string FoldKey(const TableName& name) {
  return FoldName(name.schema) + '\0' + FoldName(name.table);
}

std::string ShadowName(RelationId relation) {
  return std::string(kShadowPrefix) + std::to_string(relation.value);
}

std::string RangesName(RelationId relation) {
  return std::string(kRangesPrefix) + std::to_string(relation.value);
}

std::optional<Error> CheckNames(const TableSchema& schema, const TableName& destination) {
  const std::string folded = FoldName(destination.schema);
  for (const std::string_view reserved :
       {"sluice", "temp", "information_schema", "pg_catalog", "_sluice_file", "system"}) {
    if (folded == reserved)
      return Reserved("schema name is reserved at the destination: " + destination.schema,
                      "map the schema to another name");
  }
  // `main` is DuckDB's own default schema: fine where somebody asked for it by a mapping.
  if (folded == "main" && FoldName(schema.name.schema) == "main")
    return Reserved("schema main is DuckDB's own", "map the schema to another name");
  if (FoldName(destination.table).starts_with(kReservedPrefix))
    return Reserved("table names that begin with _sluice_ are reserved: " + destination.table,
                    "rename the table at the source, or leave it out");
  if (destination.schema.empty() || destination.table.empty())
    return Reserved("schema and table need a name", "give both");
  return CheckColumns(schema);
}

}  // namespace sluice::duckdb
