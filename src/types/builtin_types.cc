#include "types/builtin_types.h"

#include <algorithm>
#include <array>

namespace sluice::types {
namespace {

using enum Carrier;

// Ascending by oid.
constexpr auto kBuiltinTypes = std::to_array<BuiltinType>({
    {16, 1000, "boolean", kBool, "bool"},
    {17, 1001, "bytea", kBytes, "bytea"},
    {18, 1002, "\"char\"", kText, "char"},
    {19, 1003, "name", kText, "text"},
    {20, 1016, "bigint", kInt64, "int8"},
    {21, 1005, "smallint", kInt16, "int2"},
    {22, 1006, "int2vector", kText, "int2vector"},
    {23, 1007, "integer", kInt32, "int4"},
    {24, 1008, "regproc", kText, ""},
    {25, 1009, "text", kText, "text"},
    {26, 1028, "oid", kUInt32, "oid"},
    {27, 1010, "tid", kText, "tid"},
    {28, 1011, "xid", kText, "xid"},
    {29, 1012, "cid", kText, "cid"},
    {30, 1013, "oidvector", kText, "oidvector"},
    {114, 199, "json", kJson, "json"},
    {142, 143, "xml", kText, "text"},
    {600, 1017, "point", kText, "point"},
    {601, 1018, "lseg", kText, "lseg"},
    {602, 1019, "path", kText, "path"},
    {603, 1020, "box", kText, "box"},
    {604, 1027, "polygon", kText, "polygon"},
    {628, 629, "line", kText, "line"},
    {650, 651, "cidr", kText, "cidr"},
    {700, 1021, "real", kFloat32, "float4"},
    {701, 1022, "double precision", kFloat64, "float8"},
    {718, 719, "circle", kText, "circle"},
    {774, 775, "macaddr8", kText, "macaddr8"},
    {790, 791, "money", kText, "money"},
    {829, 1040, "macaddr", kText, "macaddr"},
    {869, 1041, "inet", kText, "inet"},
    {1033, 1034, "aclitem", kText, ""},
    {1042, 1014, "character", kText, "text"},
    {1043, 1015, "character varying", kText, "text"},
    {1082, 1182, "date", kDate, "date"},
    {1083, 1183, "time without time zone", kTime, "time"},
    {1114, 1115, "timestamp without time zone", kTimestamp, "timestamp"},
    {1184, 1185, "timestamp with time zone", kTimestampTz, "timestamptz"},
    {1186, 1187, "interval", kInterval, "interval"},
    {1266, 1270, "time with time zone", kText, "timetz"},
    {1560, 1561, "bit", kText, "bit"},
    {1562, 1563, "bit varying", kText, "varbit"},
    {1700, 1231, "numeric", kText, "numeric"},
    {1790, 2201, "refcursor", kText, "text"},
    {2202, 2207, "regprocedure", kText, ""},
    {2203, 2208, "regoper", kText, ""},
    {2204, 2209, "regoperator", kText, ""},
    {2205, 2210, "regclass", kText, ""},
    {2206, 2211, "regtype", kText, ""},
    {2950, 2951, "uuid", kUuid, "uuid"},
    {2970, 2949, "txid_snapshot", kText, "txid_snapshot"},
    {3220, 3221, "pg_lsn", kText, "pg_lsn"},
    {3614, 3643, "tsvector", kText, "tsvector"},
    {3615, 3645, "tsquery", kText, "tsquery"},
    {3642, 3644, "gtsvector", kText, ""},
    {3734, 3735, "regconfig", kText, ""},
    {3769, 3770, "regdictionary", kText, ""},
    {3802, 3807, "jsonb", kJson, "jsonb"},
    {3904, 3905, "int4range", kText, "range", 23},
    {3906, 3907, "numrange", kText, "range", 1700},
    {3908, 3909, "tsrange", kText, "range", 1114},
    {3910, 3911, "tstzrange", kText, "range", 1184},
    {3912, 3913, "daterange", kText, "range", 1082},
    {3926, 3927, "int8range", kText, "range", 20},
    {4072, 4073, "jsonpath", kText, "jsonpath"},
    {4089, 4090, "regnamespace", kText, ""},
    {4096, 4097, "regrole", kText, ""},
    {4191, 4192, "regcollation", kText, ""},
    {4451, 6150, "int4multirange", kText, "multirange", 23},
    {4532, 6151, "nummultirange", kText, "multirange", 1700},
    {4533, 6152, "tsmultirange", kText, "multirange", 1114},
    {4534, 6153, "tstzmultirange", kText, "multirange", 1184},
    {4535, 6155, "datemultirange", kText, "multirange", 1082},
    {4536, 6157, "int8multirange", kText, "multirange", 20},
    {5038, 5039, "pg_snapshot", kText, "pg_snapshot"},
    {5069, 271, "xid8", kText, "xid8"},
});
static_assert(std::ranges::is_sorted(kBuiltinTypes, {}, &BuiltinType::oid));

}  // namespace

const BuiltinType* FindBuiltinType(Oid oid) {
  const auto found = std::ranges::lower_bound(kBuiltinTypes, oid.value, {}, &BuiltinType::oid);
  return found != kBuiltinTypes.end() && found->oid == oid.value ? &*found : nullptr;
}

const BuiltinType* FindBuiltinArrayElement(Oid array_oid) {
  if (array_oid.value == 0) return nullptr;
  const auto found = std::ranges::find(kBuiltinTypes, array_oid.value, &BuiltinType::array_oid);
  return found != kBuiltinTypes.end() ? &*found : nullptr;
}

char ArrayDelimiter(const ColumnType& element) {
  constexpr std::uint32_t kBoxOid = 603;
  return element.oid.value == kBoxOid ? ';' : ',';
}

bool IsVerbatimText(std::string_view codec) {
  constexpr std::array<std::string_view, 9> kVerbatim = {
      "text", "varchar", "bpchar", "name", "citext", "enum", "xml", "json", "refcursor"};
  return std::ranges::find(kVerbatim, codec) != kVerbatim.end();
}

}  // namespace sluice::types
