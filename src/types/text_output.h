/// \file
/// Prints a value's binary wire form (its type's send function) as PostgreSQL's output function
/// does.
///
/// Settings assumed: datestyle ISO, intervalstyle postgres, extra_float_digits 1 or more,
/// bytea_output hex, timezone UTC, lc_monetary C, client encoding UTF8. The server's own text is
/// the test oracle (text_output_pgtest.cc).
///
///   codec                                   binary form taken
///   bool int2 int4 int8 oid xid cid xid8    fixed width
///   float4 float8 numeric numeric_decimal money
///   text varchar bpchar name citext enum xml json unknown refcursor cstring   the text itself
///   bpchar_trimmed                          the text without blanks at its end
///   char (the one-byte "char")  bytea  uuid
///   jsonb jsonpath ltree lquery ltxtquery   a version byte 1, then the text
///   date time timetz timestamp timestamptz interval
///   bit varbit inet cidr macaddr macaddr8 tid pg_lsn pg_snapshot txid_snapshot
///   point lseg path box polygon line circle tsvector tsquery
///   int2vector oidvector
///   array, list                             children[0]: the element
///   record, struct                          children: the attributes, in order
///   range, multirange                       children[0]: the subtype of the range (of both)
///   int4range int8range numrange daterange tsrange tstzrange and ...multirange: no children needed
///   hstore, map                             no children needed
///   vector halfvec sparsevec                pgvector's
///   ewkb                                    geometry and geography of PostGIS: hexadecimal digits
///
/// Carriers kList, kStruct and kMap print as array, record and hstore whatever their codec is
/// called; only the vectors print as their codec says. Types whose text needs the catalog (reg*)
/// have no entry here.
///
/// Pure. Thread safety: a TextFormatter is immutable after Make().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/schema.h"

namespace sluice::types {

enum class TextCodec : std::uint8_t;

/// Deepest nesting of arrays, composites and ranges that is formatted.
inline constexpr int kTextDepthMax = 32;

/// A formatter for one type, resolved once; Append() does no lookup and, once `out` has grown, no
/// allocation for scalar types.
class TextFormatter {
 public:
  /// nullopt: a codec here or in a child is not known, a child is missing, or nesting is too deep.
  static std::optional<TextFormatter> Make(const ColumnType& type);

  /// Appends the text. False: the bytes are not of this type; `out` is as it was.
  bool Append(std::span<const std::byte> wire, std::string& out) const;

 private:
  explicit TextFormatter(TextCodec codec) : codec_(codec) {}
  static std::optional<TextFormatter> MakeNested(const ColumnType& type, int depth);
  bool AppendAny(std::span<const std::byte> wire, std::string& out) const;
  bool AppendScalar(std::span<const std::byte> wire, std::string& out) const;
  bool AppendArray(std::span<const std::byte> wire, std::string& out) const;
  bool AppendVector(std::span<const std::byte> wire, std::string& out) const;
  bool AppendRecord(std::span<const std::byte> wire, std::string& out) const;
  bool AppendRange(std::span<const std::byte> wire, std::string& out) const;
  bool AppendMultirange(std::span<const std::byte> wire, std::string& out) const;

  TextCodec codec_;
  std::vector<TextFormatter> children_;
};

/// What a cast of character(n) to text leaves: no blanks at the end (rtrim1 of oracle_compat.c).
std::string_view WithoutPadding(std::string_view text);

/// True where TextFormatter knows this codec name (children are not looked at).
bool HasTextCodec(std::string_view codec);

/// Make() and Append() in one, for single values. False: not known, or malformed bytes.
bool FormatText(const ColumnType& type, std::span<const std::byte> wire, std::string& out);

}  // namespace sluice::types
