/// \file
/// psql's patterns for names, as a pure function: which tables -t, -T, -n, -N and the configuration
/// mean.
///
///   orders           that table in any schema that is selected      ("schema" unset)
///   public.*         every table of public
///   sales_?.orders*  * is any run of characters, ? any one character
///   "My.Table"       inside quotes nothing is special and case is kept; outside letters fold to
///   lower case
///   !public.audit_*  in a list of the configuration: what follows is left out
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/ids.h"
#include "sluice/result.h"

namespace sluice::postgres {

class NamePattern {
 public:
  /// Errors: kConfig SLU-2018 (empty, unfinished quote, more than schema.table).
  static Result<NamePattern> ParseTable(std::string_view text);
  /// One name without a dot.
  static Result<NamePattern> ParseSchema(std::string_view text);

  bool Matches(const TableName& name) const;
  bool MatchesSchema(std::string_view schema) const;
  /// As written.
  const std::string& text() const { return text_; }
  /// It names exactly one table: no wildcard, schema given.
  bool is_exact() const;

 private:
  /// One character of a pattern.
  struct Unit {
    enum class Kind : char { kLiteral, kAny, kOne } kind = Kind::kLiteral;
    char character = 0;
  };
  using Units = std::vector<Unit>;
  static Result<std::vector<Units>> Split(std::string_view text);
  static bool Match(const Units& pattern, std::string_view name);

  std::string text_;
  std::optional<Units> schema_;
  Units table_;
};

/// What the user chose. Empty lists: every table.
struct TableSelection {
  std::vector<NamePattern> tables;            ///< -t
  std::vector<NamePattern> excluded_tables;   ///< -T and "!..."
  std::vector<NamePattern> schemas;           ///< -n
  std::vector<NamePattern> excluded_schemas;  ///< -N

  /// Exclusions win; then, with any -t or -n, one of them must match.
  bool Selects(const TableName& name) const;
  bool is_everything() const { return tables.empty() && schemas.empty(); }
};

/// \param tables -t and the configuration's list, where "!pattern" excludes.
Result<TableSelection> ParseSelection(const std::vector<std::string>& tables,
                                      const std::vector<std::string>& excluded_tables,
                                      const std::vector<std::string>& schemas,
                                      const std::vector<std::string>& excluded_schemas);

}  // namespace sluice::postgres
