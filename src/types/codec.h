/// \file
/// The binary wire forms we read, by name, and PostgreSQL's built-in types by their fixed oid.
///
/// A codec says how a type's binary form is laid out (its typsend function), not how the value is
/// carried: numeric(10,2) and numeric have the same codec and different carriers. ColumnType::codec
/// holds the name, so that a stored schema does not depend on the order of this list.
///
/// Source: pg_type.dat and the ..._send functions under src/backend/utils/adt/.
#pragma once

#include <cstdint>
#include <string_view>

#include "sluice/ids.h"
#include "sluice/schema.h"

namespace sluice::types {

/// What stands behind a codec on the wire; integers are big-endian.
enum class Codec : std::uint8_t {
  kNone,           ///< "": only the text form is understood
  kBool,           ///< "bool": one byte, 0 or 1
  kInt2,           ///< "int2"
  kInt4,           ///< "int4"
  kInt8,           ///< "int8"
  kOid,            ///< "oid": uint32
  kFloat4,         ///< "float4": IEEE bits
  kFloat8,         ///< "float8"
  kNumeric,        ///< "numeric": ndigits, weight, sign, dscale, base-10000 digits
  kText,           ///< "text": the characters; also varchar, bpchar, name, xml, enums, citext
  kChar,           ///< "char": the type "char", one byte
  kBytea,          ///< "bytea"
  kDate,           ///< "date": int32 days since 2000
  kTimestamp,      ///< "timestamp": int64 microseconds since 2000
  kTimestampTz,    ///< "timestamptz": the same, UTC
  kTime,           ///< "time": int64 microseconds
  kTimeTz,         ///< "timetz": int64 microseconds, int32 seconds west of UTC
  kInterval,       ///< "interval": int64 microseconds, int32 days, int32 months
  kUuid,           ///< "uuid": 16 bytes
  kJson,           ///< "json": the characters
  kJsonb,          ///< "jsonb": version byte 1, the characters
  kJsonPath,       ///< "jsonpath": version byte 1, the characters
  kBit,            ///< "bit": int32 bit count, bytes; also varbit
  kMoney,          ///< "money": int64 hundredths
  kInet,           ///< "inet": family, bits, is_cidr, length, address
  kCidr,           ///< "cidr": the same
  kMacaddr,        ///< "macaddr": 6 bytes
  kMacaddr8,       ///< "macaddr8": 8 bytes
  kPoint,          ///< "point": 2 float8
  kLseg,           ///< "lseg": 4 float8
  kPath,           ///< "path": closed byte, int32 count, points
  kBox,            ///< "box": 4 float8
  kPolygon,        ///< "polygon": int32 count, points
  kLine,           ///< "line": 3 float8
  kCircle,         ///< "circle": 3 float8
  kTsVector,       ///< "tsvector"
  kTsQuery,        ///< "tsquery"
  kPgLsn,          ///< "pg_lsn": uint64
  kXid,            ///< "xid": uint32; also cid
  kXid8,           ///< "xid8": uint64
  kTid,            ///< "tid": uint32 block, uint16 offset
  kSnapshot,       ///< "pg_snapshot": int32 count, xmin, xmax, xids; also txid_snapshot
  kOidVector,      ///< "oidvector": an array of oid, lower bound 0
  kInt2Vector,     ///< "int2vector": an array of int2, lower bound 0
  kVersionedText,  ///< "versioned_text": version byte 1, the characters; ltree, lquery, ltxtquery
  kRange,          ///< "range": flags, bounds; ColumnType::children[0] is the bounds' type
  kMultirange,     ///< "multirange": int32 count, ranges; children[0] is the range's type
  kArray,          ///< "array": ndim, flags, oid, dimensions, elements; children[0] is the element
  kRecord,         ///< "record": int32 count, then oid, length, value of each; children
  kHstore,         ///< "hstore": int32 count, then length, key, length, value of each
};

/// kNone: no such name.
Codec FindCodec(std::string_view name);
std::string_view CodecName(Codec codec);

/// A type that has the same oid in every database.
struct BuiltinType {
  std::uint32_t oid;
  std::uint32_t array_oid;    ///< its array type; 0: none
  std::string_view name;      ///< as format_type() prints it, without modifiers
  Carrier carrier;            ///< numeric: kText here; its modifiers decide
  Codec codec;                ///< kNone: reg* types (their names need the catalog), aclitem, ...
  std::uint32_t element = 0;  ///< ranges: the bounds' type; multiranges: the range
};

/// nullptr: not built in. The oids of the arrays are not in it: FindBuiltinArrayElement().
const BuiltinType* FindBuiltinType(Oid oid);
/// The built-in type whose array this is; nullptr: not a built-in array.
const BuiltinType* FindBuiltinArrayElement(Oid array_oid);

/// Between the elements of an array of this type in text form: ';' for box, else ','.
char ArrayDelimiter(const ColumnType& element);

}  // namespace sluice::types
