#include "verify/source_select.h"

#include "types/canonical.h"
#include "types/type_policies.h"

namespace sluice::verify {
namespace {

std::string Quoted(std::string_view identifier) {
  std::string quoted = "\"";
  for (const char c : identifier) {
    if (c == '"') quoted.push_back('"');
    quoted.push_back(c);
  }
  quoted.push_back('"');
  return quoted;
}

/// NULL stays NULL, and a composite whose attributes are all NULL is none.
std::string UnlessNull(const std::string& value, const std::string& expression) {
  return "CASE WHEN " + value + " IS DISTINCT FROM NULL THEN " + expression + " END";
}

/// `value` is SQL that may be named more than once; `depth` makes inner names unique.
std::string Expression(const ColumnType& type, const std::string& value, int depth) {
  if (!types::NeedsServerText(type)) return value;
  if (type.carrier == Carrier::kList) {
    const std::string index = "i" + std::to_string(depth);
    const std::string element =
        Expression(type.children[0], "(" + value + ")[" + index + "]", depth + 1);
    return UnlessNull(value, "ARRAY(SELECT " + element + " FROM pg_catalog.generate_subscripts(" +
                                 value + ", 1) AS s" + std::to_string(depth) + "(" + index +
                                 ") ORDER BY " + index + ")");
  }
  if (type.carrier == Carrier::kStruct) {
    std::string attributes;
    for (std::size_t i = 0; i < type.children.size(); ++i) {
      if (i > 0) attributes += ", ";
      attributes +=
          Expression(type.children[i], "(" + value + ")." + Quoted(type.child_names[i]), depth + 1);
    }
    return UnlessNull(value, "ROW(" + attributes + ")");
  }
  if (types::IsTrimmed(type)) return "(" + value + ")::pg_catalog.text";
  return UnlessNull(value, "pg_catalog.format('%s', " + value + ")");
}

/// True where an array has another shape than one dimension from 1 on: its elements are selected
/// one by one, which would hide that. Empty: nothing in this type is selected that way.
std::string ShapeCondition(const ColumnType& type, const std::string& value, int depth) {
  if (!types::NeedsServerText(type)) return {};
  std::string condition;
  const auto add = [&](const std::string& part) {
    if (!part.empty()) condition += (condition.empty() ? "" : " OR ") + part;
  };
  if (type.carrier == Carrier::kList) {
    add("pg_catalog.array_ndims(" + value + ") > 1 OR pg_catalog.array_lower(" + value +
        ", 1) <> 1");
    const std::string index = "j" + std::to_string(depth);
    const std::string inside =
        ShapeCondition(type.children[0], "(" + value + ")[" + index + "]", depth + 1);
    if (!inside.empty()) {
      add("EXISTS (SELECT 1 FROM pg_catalog.generate_subscripts(" + value + ", 1) AS t" +
          std::to_string(depth) + "(" + index + ") WHERE " + inside + ")");
    }
  }
  for (std::size_t i = 0; type.carrier == Carrier::kStruct && i < type.children.size(); ++i) {
    add(ShapeCondition(type.children[i], "(" + value + ")." + Quoted(type.child_names[i]),
                       depth + 1));
  }
  return condition;
}

/// A misfit that the select would hide is NULL, as it is at the destination.
std::string CellExpression(const ComparedTable& table, std::size_t position, const Column& column) {
  const std::string name = Quoted(column.name);
  std::string expression = Expression(column.type, name, 0);
  const std::string condition =
      table.lets_go[position] ? ShapeCondition(column.type, name, 0) : std::string();
  if (condition.empty()) return expression;
  return "CASE WHEN " + condition + " THEN NULL ELSE " + expression + " END";
}

}  // namespace

std::string SelectForVerify(const ComparedTable& table, const SourceSelectOptions& options) {
  std::string sql = "COPY (SELECT ";
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const Column& column = table.schema->columns[static_cast<std::size_t>(table.columns[i])];
    if (i > 0) sql += ", ";
    sql += CellExpression(table, i, column);
  }
  sql += options.is_partitioned ? " FROM " : " FROM ONLY ";
  sql += Quoted(table.schema->name.schema) + "." + Quoted(table.schema->name.table);
  if (!options.row_filter.empty()) {
    sql.append(" WHERE (").append(options.row_filter).append(")");
  }
  return sql + ") TO STDOUT (FORMAT binary)";
}

}  // namespace sluice::verify
