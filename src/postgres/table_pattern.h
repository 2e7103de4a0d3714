/// \file
/// Which tables -t, -T, -n, -N and the configuration mean, by psql's patterns
/// (base/name_pattern.h). In a list of the configuration !public.audit_* leaves out what follows.
#pragma once

#include <string>
#include <vector>

#include "sluice/ids.h"
#include "sluice/result.h"

#include "base/name_pattern.h"

namespace sluice::postgres {

using base::NamePattern;

/// What the user chose. Empty lists: every table.
struct TableSelection {
  std::vector<NamePattern> tables;            ///< -t
  std::vector<NamePattern> excluded_tables;   ///< -T and "!..."
  std::vector<NamePattern> schemas;           ///< -n
  std::vector<NamePattern> excluded_schemas;  ///< -N

  /// Exclusions win; then, with any -t or -n, one of them must match.
  bool Selects(const TableName& name) const;
  /// An exclusion matches.
  bool Excludes(const TableName& name) const;
  /// A -t says its very name.
  bool Names(const TableName& name) const;
  bool is_everything() const { return tables.empty() && schemas.empty(); }
};

/// \param tables -t and the configuration's list, where "!pattern" excludes.
Result<TableSelection> ParseSelection(const std::vector<std::string>& tables,
                                      const std::vector<std::string>& excluded_tables,
                                      const std::vector<std::string>& schemas,
                                      const std::vector<std::string>& excluded_schemas);

}  // namespace sluice::postgres
