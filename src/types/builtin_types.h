/// \file
/// PostgreSQL's built-in types by their fixed oid: how each is carried and which codec reads its
/// binary form.
///
/// A codec says how a type's binary form is laid out (its typsend function), not how the value is
/// carried: numeric(10,2) and numeric have the codec "numeric" and different carriers. Where the
/// carrier is text, text_output.h lists the codecs; "text" stands for all types whose binary form
/// is their text.
///
/// Source: pg_type.dat.
#pragma once

#include <cstdint>
#include <string_view>

#include "sluice/ids.h"
#include "sluice/schema.h"

namespace sluice::types {

/// A type that has the same oid in every database.
struct BuiltinType {
  std::uint32_t oid;
  std::uint32_t array_oid;    ///< its array type; 0: none
  std::string_view name;      ///< as format_type() prints it, without modifiers
  Carrier carrier;            ///< numeric: kText here; its modifiers decide
  std::string_view codec;     ///< empty: reg* types (their names need the catalog), aclitem, ...
  std::uint32_t element = 0;  ///< ranges and multiranges: the bounds' type
};

/// nullptr: not built in. Arrays are not in it: FindBuiltinArrayElement().
const BuiltinType* FindBuiltinType(Oid oid);
/// The built-in type whose array this is; nullptr: not a built-in array.
const BuiltinType* FindBuiltinArrayElement(Oid array_oid);

/// Between the elements of an array of this type in text form: ';' for box, else ','.
char ArrayDelimiter(const ColumnType& element);

/// True where the binary form of a kText type is the text itself.
bool IsVerbatimText(std::string_view codec);

}  // namespace sluice::types
