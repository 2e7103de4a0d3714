/// \file
/// psql's patterns for names, as a pure function (PostgreSQL docs, psql, "Patterns").
///
///   orders           that table in any schema that is selected      ("schema" unset)
///   public.*         every table of public
///   sales_?.orders*  * is any run of characters, ? any one character
///   "My.Table"       inside quotes nothing is special and case is kept; outside letters fold to
///   lower case
///   log_[0-9]+       other characters are those of a regular expression, but for $ (ECMAScript's,
///   of which PostgreSQL's are a superset)
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/ids.h"
#include "sluice/result.h"

namespace sluice::base {

class NamePattern {
 public:
  /// Errors: kConfig SLU-2018 (empty, unfinished quote, more than schema.table, not a regular
  /// expression).
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
    enum class Kind : char { kLiteral, kAny, kOne, kExpression } kind = Kind::kLiteral;
    char character = 0;
  };
  using Units = std::vector<Unit>;
  struct Expression;
  /// What stands for one name.
  struct Part {
    Units units;
    std::shared_ptr<const Expression> expression;  ///< where a unit is of one; else null

    Status Compile(std::string_view text);
    bool Matches(std::string_view name) const;
    bool is_exact() const;
    std::string name() const;
  };
  static Result<std::vector<Part>> Split(std::string_view text);

  std::string text_;
  std::optional<Part> schema_;
  Part table_;
};

}  // namespace sluice::base
