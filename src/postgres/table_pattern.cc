#include "postgres/table_pattern.h"

#include <algorithm>
#include <utility>

namespace sluice::postgres {

bool TableSelection::Excludes(const TableName& name) const {
  const auto matches = [&](const NamePattern& pattern) { return pattern.Matches(name); };
  return std::any_of(excluded_tables.begin(), excluded_tables.end(), matches) ||
         std::any_of(excluded_schemas.begin(), excluded_schemas.end(), matches);
}

bool TableSelection::Names(const TableName& name) const {
  return std::any_of(tables.begin(), tables.end(), [&](const NamePattern& pattern) {
    return pattern.is_exact() && pattern.Matches(name);
  });
}

bool TableSelection::Selects(const TableName& name) const {
  const auto matches = [&](const NamePattern& pattern) { return pattern.Matches(name); };
  if (Excludes(name)) return false;
  return is_everything() || std::any_of(tables.begin(), tables.end(), matches) ||
         std::any_of(schemas.begin(), schemas.end(), matches);
}

Result<TableSelection> ParseSelection(const std::vector<std::string>& tables,
                                      const std::vector<std::string>& excluded_tables,
                                      const std::vector<std::string>& schemas,
                                      const std::vector<std::string>& excluded_schemas) {
  TableSelection selection;
  for (const std::string& text : tables) {
    const bool is_excluded = text.starts_with('!');
    SLUICE_ASSIGN_OR_RETURN(NamePattern pattern,
                            NamePattern::ParseTable(std::string_view(text).substr(is_excluded)));
    (is_excluded ? selection.excluded_tables : selection.tables).push_back(std::move(pattern));
  }
  for (const std::string& text : excluded_tables) {
    SLUICE_ASSIGN_OR_RETURN(NamePattern pattern, NamePattern::ParseTable(text));
    selection.excluded_tables.push_back(std::move(pattern));
  }
  for (const std::string& text : schemas) {
    SLUICE_ASSIGN_OR_RETURN(NamePattern pattern, NamePattern::ParseSchema(text));
    selection.schemas.push_back(std::move(pattern));
  }
  for (const std::string& text : excluded_schemas) {
    SLUICE_ASSIGN_OR_RETURN(NamePattern pattern, NamePattern::ParseSchema(text));
    selection.excluded_schemas.push_back(std::move(pattern));
  }
  return selection;
}

}  // namespace sluice::postgres
