#include "types/type_catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "types/builtin_types.h"
#include "types/type_policies.h"
#include "types/vectors.h"

namespace sluice::types {
namespace {

// Deeper than anybody nests, less than what the decoders' recursion could bear.
constexpr int kTypeDepthMax = 16;
constexpr std::uint32_t kNumericOid = 1700;
constexpr Oid kFloat4Oid{700};
constexpr std::int32_t kTypmodHeaderBytes = 4;  // VARHDRSZ, added to most modifiers
constexpr int kDecimalPrecisionMax = 38;

// numeric's modifier: precision in the upper half, scale as 11 bits with sign (15+) in the lower.
void ResolveNumeric(ColumnType& type) {
  if (type.typmod < kTypmodHeaderBytes) return;
  const int bits = type.typmod - kTypmodHeaderBytes;
  const int precision = (bits >> 16) & 0xffff;
  const int scale = ((bits & 0x7ff) ^ 0x400) - 0x400;
  type.name = fmt::format("numeric({},{})", precision, scale);
  if (precision < 1 || precision > kDecimalPrecisionMax || scale < 0 || scale > precision) return;
  type.carrier = Carrier::kDecimal;
  type.precision = static_cast<std::uint8_t>(precision);
  type.scale = static_cast<std::int8_t>(scale);
}

// "character varying(20)", "timestamp(3) with time zone": the number stands before a suffix.
std::string NameWithModifier(const BuiltinType& type, std::int32_t typmod) {
  const std::string name(type.name);
  if (typmod < 0) return name;
  switch (type.oid) {
    case 1042:  // bpchar
    case 1043:  // varchar
      return fmt::format("{}({})", name, typmod - kTypmodHeaderBytes);
    case 1560:  // bit
    case 1562:  // varbit
      return fmt::format("{}({})", name, typmod);
    case 1083:    // time
    case 1114:    // timestamp
    case 1184:    // timestamptz
    case 1266: {  // timetz
      const auto space = name.find(' ');
      return fmt::format("{}({}){}", name.substr(0, space), typmod, name.substr(space));
    }
    default:
      return name;
  }
}

ColumnType BuiltinColumnType(const BuiltinType& builtin, std::int32_t typmod) {
  ColumnType type;
  type.oid = Oid{builtin.oid};
  type.typmod = typmod;
  type.name = NameWithModifier(builtin, typmod);
  type.carrier = builtin.carrier;
  type.codec = builtin.codec;
  if (builtin.oid == kNumericOid) ResolveNumeric(type);
  if (builtin.element != 0) {
    if (const BuiltinType* element = FindBuiltinType(Oid{builtin.element})) {
      type.children.push_back(BuiltinColumnType(*element, -1));
    }
  }
  return type;
}

ColumnType TextOnly(Oid oid, std::int32_t typmod, std::string name) {
  ColumnType type;
  type.oid = oid;
  type.typmod = typmod;
  type.name = std::move(name);
  type.carrier = Carrier::kText;
  return type;
}

// A container with something in it that has no codec has none either: its bytes cannot be walked.
void DropCodecWithoutChildren(ColumnType& type) {
  for (const ColumnType& child : type.children) {
    if (child.codec.empty()) type.codec.clear();
  }
}

ColumnType ListOf(Oid oid, std::int32_t typmod, ColumnType element) {
  ColumnType type;
  type.oid = oid;
  type.typmod = typmod;
  type.name = element.name + "[]";
  type.carrier = Carrier::kList;
  type.codec = "array";
  type.children.push_back(std::move(element));
  DropCodecWithoutChildren(type);
  return type;
}

struct ExtensionType {
  std::string_view extension;
  std::string_view name;
  std::string_view codec;
  Carrier carrier;
};
constexpr ExtensionType kExtensionTypes[] = {
    {"hstore", "hstore", "hstore", Carrier::kMap},
    {"citext", "citext", "text", Carrier::kText},
    {"ltree", "ltree", "ltree", Carrier::kText},
    {"ltree", "lquery", "lquery", Carrier::kText},
    {"ltree", "ltxtquery", "ltxtquery", Carrier::kText},
    {"vector", "vector", kVectorCodec, Carrier::kList},
    {"vector", "halfvec", kHalfVectorCodec, Carrier::kList},
    {"vector", "sparsevec", "sparsevec", Carrier::kText},
    {"postgis", "geometry", "ewkb", Carrier::kText},
    {"postgis", "geography", "ewkb", Carrier::kText},
};

const ExtensionType* FindExtensionType(const TypeRow& row) {
  for (const ExtensionType& known : kExtensionTypes) {
    if (row.extension == known.extension && row.name == known.name) return &known;
  }
  return nullptr;
}

bool IsOrdinaryName(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_') return false;
  }
  return true;
}

std::string QuotedName(std::string_view name) {
  if (IsOrdinaryName(name)) return std::string(name);
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += c;
    out += c;
  }
  return out + '"';
}

std::string QualifiedName(const TypeRow& row) {
  return fmt::format("{}.{}", QuotedName(row.namespace_name), QuotedName(row.name));
}

}  // namespace

void TypeCatalog::AddType(TypeRow row) {
  const Oid oid = row.oid;
  types_.insert_or_assign(oid, std::move(row));
}

void TypeCatalog::AddAttribute(AttributeRow row) {
  std::vector<AttributeRow>& attributes = attributes_[row.typrelid];
  // A second load replaces what the first one said.
  if (!attributes.empty() && attributes.back().attnum >= row.attnum) attributes.clear();
  attributes.push_back(std::move(row));
}

bool TypeCatalog::Contains(Oid oid) const {
  return FindBuiltinType(oid) != nullptr || FindBuiltinArrayElement(oid) != nullptr ||
         types_.contains(oid);
}

Result<ColumnType> TypeCatalog::Resolve(Oid oid, std::int32_t typmod) const {
  return Resolve(oid, typmod, 0);
}

OnMisfit TypeCatalog::MisfitPolicy(const TableName& table, std::string_view column,
                                   const ColumnType& type) const {
  return policies_ ? policies_->MisfitPolicy(table, column, type) : OnMisfit::kHalt;
}

Result<ColumnType> TypeCatalog::ResolveColumn(const TableName& table, std::string_view column,
                                              Oid oid, std::int32_t typmod) const {
  Result<ColumnType> type = Resolve(oid, typmod, 0);
  if (!type || !policies_) return type;
  const bool is_sent = IsSent(oid, *type);
  return policies_->Apply(table, column, *std::move(type), is_sent);
}

/// The server has a binary form of the type: one that is understood here, or of a base type.
bool TypeCatalog::IsSent(Oid oid, const ColumnType& type) const {
  if (HasCodec(type)) return true;
  auto found = types_.find(oid);
  for (int depth = 0; depth < kTypeDepthMax; ++depth) {
    if (found == types_.end() || found->second.typtype != 'd') break;
    oid = found->second.typbasetype;
    found = types_.find(oid);
  }
  constexpr std::array kNeverSent = {Oid{1033}, Oid{3642}};  // aclitem, gtsvector
  if (FindBuiltinType(oid) != nullptr)
    return std::ranges::find(kNeverSent, oid) == kNeverSent.end();
  return found != types_.end() && found->second.typtype == 'b' && !found->second.is_array &&
         found->second.has_send;
}

Result<ColumnType> TypeCatalog::Resolve(Oid oid, std::int32_t typmod, int depth) const {
  if (depth > kTypeDepthMax) {
    return Error{.kind = ErrorKind::kUnsupported,
                 .message = "types are nested too deeply",
                 .code = "SLU-4120",
                 .advice = "leave the column out with a column list in the publication"};
  }
  if (const BuiltinType* builtin = FindBuiltinType(oid)) return BuiltinColumnType(*builtin, typmod);
  if (const BuiltinType* element = FindBuiltinArrayElement(oid)) {
    return ListOf(oid, typmod, BuiltinColumnType(*element, typmod));
  }
  const auto found = types_.find(oid);
  if (found == types_.end()) return TextOnly(oid, typmod, fmt::format("type {}", oid.value));
  return ResolveRow(found->second, typmod, depth);
}

Result<ColumnType> TypeCatalog::ResolveRow(const TypeRow& row, std::int32_t typmod,
                                           int depth) const {
  if (row.typtype == 'd') {
    // A domain's own modifier counts; a column of a domain has none.
    return Resolve(row.typbasetype, row.typtypmod, depth + 1);
  }
  if (row.is_array) {
    SLUICE_ASSIGN_OR_RETURN(ColumnType element, Resolve(row.typelem, typmod, depth + 1));
    // Text of an array whose delimiter we would not know later stays text as it is.
    if (row.typdelim != ArrayDelimiter(element))
      return TextOnly(row.oid, typmod, QualifiedName(row));
    return ListOf(row.oid, typmod, std::move(element));
  }
  if (row.typtype == 'c') return ResolveComposite(row, depth);

  ColumnType type = TextOnly(row.oid, typmod, QualifiedName(row));
  if (row.typtype == 'e') {
    type.codec = "text";
  } else if ((row.typtype == 'r' || row.typtype == 'm') && row.range_element.value != 0) {
    SLUICE_ASSIGN_OR_RETURN(ColumnType bounds, Resolve(row.range_element, -1, depth + 1));
    type.codec = row.typtype == 'r' ? "range" : "multirange";
    type.children.push_back(std::move(bounds));
    DropCodecWithoutChildren(type);
  } else if (const ExtensionType* known = FindExtensionType(row)) {
    type.name = row.name;
    type.codec = known->codec;
    type.carrier = known->carrier;
    if (IsVector(type)) {
      if (typmod > 0) type.name += fmt::format("({})", typmod);
      type.children.push_back(BuiltinColumnType(*FindBuiltinType(kFloat4Oid), -1));
    }
  }
  if (!row.has_send) type.codec.clear();
  return type;
}

Result<ColumnType> TypeCatalog::ResolveComposite(const TypeRow& row, int depth) const {
  ColumnType type = TextOnly(row.oid, -1, QualifiedName(row));
  const auto found = attributes_.find(row.typrelid);
  // Without attributes (none loaded, or a type of no columns) there is no STRUCT to make.
  if (found == attributes_.end() || found->second.empty()) return type;
  type.carrier = Carrier::kStruct;
  type.codec = "record";
  for (const AttributeRow& attribute : found->second) {
    SLUICE_ASSIGN_OR_RETURN(ColumnType child, Resolve(attribute.type, attribute.typmod, depth + 1));
    type.children.push_back(std::move(child));
    type.child_names.push_back(attribute.name);
  }
  DropCodecWithoutChildren(type);
  return type;
}

std::string_view TypeRowsSql() {
  // No pseudo-types; what initdb made counts (domains of information_schema); row types of tables,
  // as a column may be of one.
  return R"(
SELECT t.oid, t.typname, n.nspname, t.typtype, t.typcategory,
       t.typinput = 'pg_catalog.array_in'::pg_catalog.regproc AS is_array,
       t.typelem, t.typbasetype, t.typtypmod, t.typrelid, t.typdelim,
       t.typsend <> 0 AS has_send,
       COALESCE(r.rngsubtype, m.rngsubtype, 0) AS range_element,
       COALESCE(e.extname, '') AS extension
  FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
  LEFT JOIN pg_catalog.pg_range m ON m.rngmultitypid = t.oid
  LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
        AND d.objid = t.oid AND d.deptype = 'e'
        AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
 WHERE t.typtype <> 'p' AND t.typisdefined AND t.oid >= 12000)";
}

std::string_view AttributeRowsSql() {
  return R"(
SELECT a.attrelid AS typrelid, a.attnum, a.attname, a.atttypid, a.atttypmod
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_type t ON t.typrelid = a.attrelid
 WHERE t.oid >= 12000 AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum)";
}

bool HasCodec(const ColumnType& type) {
  if (type.codec.empty()) return false;
  for (const ColumnType& child : type.children) {
    if (!HasCodec(child)) return false;
  }
  return true;
}

}  // namespace sluice::types
