/// \file
/// psql's patterns for names, as a pure function.
///
///   orders           that table in any schema that is selected      ("schema" unset)
///   public.*         every table of public
///   sales_?.orders*  * is any run of characters, ? any one character
///   "My.Table"       inside quotes nothing is special and case is kept; outside letters fold to
///   lower case
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/ids.h"
#include "sluice/result.h"

namespace sluice::base {

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
  /// What it names. Of an exact pattern only.
  TableName name() const;

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

}  // namespace sluice::base
