/// \file
/// What a user declared instead of the type a column has by default: `types:` in the config file.
///
///   SCHEMA.TABLE.COLUMN: text            PostgreSQL's text, for every type
///   SCHEMA.TABLE.COLUMN: decimal(p,s)    for numeric: p <= 38, 0 <= s <= p; what does not fit is a
///                                        misfit
///   SCHEMA.TABLE.COLUMN: double          for numeric: the nearest double, a declared loss; not for
///   a
///                                        column that rows are found by; beyond its range: a misfit
///   SCHEMA.TABLE.COLUMN: trimmed         for character(n): without the blanks at the end
///   SCHEMA.TABLE.COLUMN: wkb             for geometry and geography: the bytes instead of their
///                                        hexadecimal digits
///   SCHEMA.TABLE.COLUMN: bytes           for types kept as PostgreSQL's text that have a binary
///   form
///                                        of another kind: what their send function gives; not for
///                                        a column that rows are found by
///   arrays: text                         every array as PostgreSQL's text; list is the default
///
/// And what becomes of values that have no exact form: `on_misfit:`, one of halt, null, quarantine.
///
///   SCHEMA.TABLE.COLUMN                  this column
///   numeric, date, timestamp, ...        columns of this type, unless they have an entry
///   default                              every other column
///
/// Thread safety: const members from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/ids.h"
#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::types {

class TypePolicies {
 public:
  /// Names fold as in SQL: "Odd".t.c keeps its case, Odd.t.c is odd.t.c.
  /// Errors: kConfig SLU-1001, with what is allowed.
  Status Add(std::string_view name, std::string_view value);

  /// Errors: kConfig SLU-1001, with what is allowed.
  Status AddMisfit(std::string_view name, std::string_view value);

  /// The type with what was declared for the column. Errors: kConfig SLU-4121: the type cannot be
  /// kept that way.
  /// \param is_sent the server has a binary form of it, whether or not we understand it.
  Result<ColumnType> Apply(const TableName& table, std::string_view column, ColumnType type,
                           bool is_sent) const;
  /// What becomes of misfits of a column. kHalt where its type has none.
  OnMisfit MisfitPolicy(const TableName& table, std::string_view column,
                        const ColumnType& type) const;
  /// Columns that were declared, for those who look whether they are there.
  struct Declared {
    TableName table;
    std::string column;
    std::string_view option;  ///< types, on_misfit
  };
  std::vector<Declared> declared() const;

 private:
  struct Policy {
    enum class Kind : std::uint8_t { kText, kDecimal, kDouble, kTrimmed, kWkb, kBytes };
    Kind kind = Kind::kText;
    int precision = 0;
    int scale = 0;
    TableName table;
    std::string column;
  };
  std::map<std::string, Policy, std::less<>> columns_;  ///< by schema, table and column, \0 between
  struct Misfits {
    OnMisfit policy = OnMisfit::kHalt;
    TableName table;
    std::string column;
  };
  std::map<std::string, Misfits, std::less<>> misfits_;           ///< by column, as columns_
  std::map<std::string, OnMisfit, std::less<>> misfits_by_type_;  ///< also "default"
  bool arrays_as_text_ = false;
};

/// A value of this type may have no exact form.
bool MayMisfit(const ColumnType& type);

/// The error of a column by which rows are found, and which is kept in a form that finds none: as
/// double, where two keys would become one, or as bytes, which are in no text of a key. Errors:
/// kConfig SLU-4121.
Status CheckKeyTypes(const TableSchema& schema);

/// A numeric that was declared as a double.
bool IsRoundedNumeric(const ColumnType& type);

/// A character(n) that was declared as trimmed.
bool IsTrimmed(const ColumnType& type);

/// A geometry or geography that was declared as wkb.
bool IsWkb(const ColumnType& type);

/// Any type that was declared as bytes: its binary form as it is sent, which has no text here.
bool IsSentBytes(const ColumnType& type);

/// "text", "decimal(p,s)", "double", "trimmed", "wkb", "bytes" where this is not how the type is
/// kept by default; else empty.
std::string DeclaredPolicy(const ColumnType& type);

/// Kept as the text that PostgreSQL prints.
ColumnType AsText(ColumnType type);

}  // namespace sluice::types
