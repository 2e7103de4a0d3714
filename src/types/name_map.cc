#include "types/name_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/name_pattern.h"

namespace sluice::types {
namespace {

Error NotAllowed(std::string_view value, std::string_view allowed) {
  return {.kind = ErrorKind::kConfig,
          .message = fmt::format("{} is not allowed; allowed: {}", value, allowed),
          .code = "SLU-1001"};
}

Result<TableName> TableOf(std::string_view text) {
  const auto pattern = base::NamePattern::ParseTable(text);
  if (!pattern || !pattern->is_exact()) return NotAllowed(text, "SCHEMA.TABLE");
  return pattern->name();
}

Result<std::string> SchemaOf(std::string_view text) {
  // The rules of a table's name, with a table of no matter which name.
  const bool is_schema = base::NamePattern::ParseSchema(text).has_value();
  const auto pattern = base::NamePattern::ParseTable(std::string(text) + ".t");
  if (!is_schema || !pattern || !pattern->is_exact()) return NotAllowed(text, "a schema's name");
  return pattern->name().schema;
}

}  // namespace

Status NameMap::MapSchema(std::string_view from, std::string_view to) {
  SLUICE_ASSIGN_OR_RETURN(std::string source, SchemaOf(from));
  SLUICE_ASSIGN_OR_RETURN(std::string destination, SchemaOf(to));
  schemas_.insert_or_assign(std::move(source), std::move(destination));
  return {};
}

Status NameMap::MapTable(std::string_view from, std::string_view to) {
  SLUICE_ASSIGN_OR_RETURN(TableName source, TableOf(from));
  SLUICE_ASSIGN_OR_RETURN(TableName destination, TableOf(to));
  const bool is_taken = std::any_of(tables_.begin(), tables_.end(), [&](const auto& entry) {
    return entry.second == destination && entry.first != source;
  });
  if (is_taken) return NotAllowed(to, "a name for each table; this one has another table already");
  tables_.insert_or_assign(std::move(source), std::move(destination));
  return {};
}

TableName NameMap::For(const TableName& source) const {
  if (const auto table = tables_.find(source); table != tables_.end()) return table->second;
  const auto schema = schemas_.find(source.schema);
  return {schema == schemas_.end() ? source.schema : schema->second, source.table};
}

bool NameMap::is_mapped(const TableName& source) const {
  return tables_.contains(source) || schemas_.contains(source.schema);
}

}  // namespace sluice::types
