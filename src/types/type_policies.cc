#include "types/type_policies.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "types/builtin_types.h"
#include "types/type_catalog.h"
#include "types/vectors.h"

namespace sluice::types {
namespace {

constexpr std::uint32_t kNumericOid = 1700;
constexpr std::uint32_t kBpcharOid = 1042;
constexpr std::string_view kEwkbCodec = "ewkb";
constexpr std::string_view kTrimmedCodec = "bpchar_trimmed";
constexpr std::string_view kSentCodec = "sent";
constexpr int kDecimalPrecisionMax = 38;

/// The parts of a dotted name, folded; nullopt: a quote is open.
std::optional<std::vector<std::string>> SplitName(std::string_view name) {
  std::vector<std::string> parts(1);
  bool is_quoted = false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '"') {
      const bool is_doubled = is_quoted && i + 1 < name.size() && name[i + 1] == '"';
      if (is_doubled) {
        parts.back() += c;
        ++i;
      } else {
        is_quoted = !is_quoted;
      }
    } else if (c == '.' && !is_quoted) {
      parts.emplace_back();
    } else {
      parts.back() += !is_quoted && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  if (is_quoted) return std::nullopt;
  return parts;
}

std::string KeyOf(const TableName& table, std::string_view column) {
  std::string key = table.schema;
  key += '\0';
  key += table.table;
  key += '\0';
  key += column;
  return key;
}

/// "decimal(38,4)", blanks allowed inside.
std::optional<std::pair<int, int>> ReadDecimal(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c != ' ') text += c;
  }
  constexpr std::string_view kHead = "decimal(";
  if (!text.starts_with(kHead) || !text.ends_with(')')) return std::nullopt;
  const char* at = text.data() + kHead.size();
  const char* end = text.data() + text.size() - 1;
  int precision = 0;
  int scale = 0;
  const auto first = std::from_chars(at, end, precision);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ',') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, scale);
  if (second.ec != std::errc() || second.ptr != end) return std::nullopt;
  if (precision < 1 || precision > kDecimalPrecisionMax || scale < 0 || scale > precision)
    return std::nullopt;
  return std::pair(precision, scale);
}

std::string DecimalName(int precision, int scale) {
  return fmt::format("decimal({},{})", precision, scale);
}

Error NotAllowed(std::string_view option, std::string_view name, std::string_view value,
                 std::string_view allowed) {
  return {.kind = ErrorKind::kConfig,
          .message = fmt::format("{}: {}: {} is not allowed", option, name, value),
          .code = "SLU-1001",
          .advice = fmt::format("allowed: {}", allowed)};
}

/// The word for columns of this type in `on_misfit`; empty: none of their values is a misfit.
std::string_view MisfitWord(const ColumnType& type) {
  if (IsRoundedNumeric(type)) return "numeric";
  switch (type.carrier) {
    case Carrier::kDecimal:
      return "numeric";
    case Carrier::kText:
    case Carrier::kJson:
    case Carrier::kMap:
      return "text";
    case Carrier::kDate:
      return "date";
    case Carrier::kTimestamp:
      return "timestamp";
    case Carrier::kTimestampTz:
      return "timestamptz";
    case Carrier::kInterval:
      return "interval";
    case Carrier::kList:
      return IsVector(type) ? "" : "arrays";
    case Carrier::kStruct:
      return "composites";
    case Carrier::kBool:
    case Carrier::kInt16:
    case Carrier::kInt32:
    case Carrier::kInt64:
    case Carrier::kUInt32:
    case Carrier::kFloat32:
    case Carrier::kFloat64:
    case Carrier::kBytes:
    case Carrier::kTime:
    case Carrier::kUuid:
      return {};
  }
  return {};
}

constexpr auto kMisfitWords =
    std::to_array<std::string_view>({"default", "numeric", "date", "timestamp", "timestamptz",
                                     "interval", "text", "arrays", "composites"});

/// Kept as text by default, while its binary form is neither that text nor declared as wkb.
bool HasFormOfBytes(const ColumnType& type) {
  return type.carrier == Carrier::kText && !IsVerbatimText(type.codec) && type.codec != kEwkbCodec;
}

ColumnType WithArraysAsText(ColumnType type) {
  if (IsVector(type)) return type;
  if (type.carrier == Carrier::kList) return AsText(std::move(type));
  for (ColumnType& child : type.children) child = WithArraysAsText(std::move(child));
  return type;
}

}  // namespace

Status TypePolicies::Add(std::string_view name, std::string_view value) {
  if (name == "arrays") {
    if (value != "list" && value != "text") return NotAllowed("types", name, value, "list, text");
    arrays_as_text_ = value == "text";
    return {};
  }
  const auto parts = SplitName(name);
  if (!parts || parts->size() != 3) {
    return NotAllowed("types", name, value, "a name is SCHEMA.TABLE.COLUMN, or arrays");
  }
  Policy policy{.table = {(*parts)[0], (*parts)[1]}, .column = (*parts)[2]};
  if (value == "double") {
    policy.kind = Policy::Kind::kDouble;
  } else if (value == "trimmed") {
    policy.kind = Policy::Kind::kTrimmed;
  } else if (value == "wkb") {
    policy.kind = Policy::Kind::kWkb;
  } else if (value == "bytes") {
    policy.kind = Policy::Kind::kBytes;
  } else if (value != "text") {
    const auto decimal = ReadDecimal(value);
    if (!decimal) {
      return NotAllowed("types", name, value,
                        "text, decimal(p,s) with p <= 38 and s <= p, double, trimmed, wkb, bytes");
    }
    policy.kind = Policy::Kind::kDecimal;
    policy.precision = decimal->first;
    policy.scale = decimal->second;
  }
  const std::string key = KeyOf(policy.table, policy.column);
  columns_.insert_or_assign(key, std::move(policy));
  return {};
}

Result<ColumnType> TypePolicies::Apply(const TableName& table, std::string_view column,
                                       ColumnType type, bool is_sent) const {
  const auto found = columns_.find(KeyOf(table, column));
  if (found == columns_.end()) return arrays_as_text_ ? WithArraysAsText(std::move(type)) : type;
  const Policy& policy = found->second;
  const auto cannot = [&](const std::string& kept_as) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = fmt::format("{}.{} is of type {}, which cannot be kept as {}",
                                        ToString(table), column, type.name, kept_as),
                 .code = "SLU-4121",
                 .advice = "take the line out of `types`, or declare text"};
  };
  const bool is_numeric = type.oid.value == kNumericOid;
  switch (policy.kind) {
    case Policy::Kind::kText:
      return AsText(std::move(type));
    case Policy::Kind::kDecimal:
      if (!is_numeric) return cannot(DecimalName(policy.precision, policy.scale));
      type.carrier = Carrier::kDecimal;
      type.precision = static_cast<std::uint8_t>(policy.precision);
      type.scale = static_cast<std::int8_t>(policy.scale);
      return type;
    case Policy::Kind::kDouble:
      if (!is_numeric) return cannot("double");
      type = AsText(std::move(type));
      type.carrier = Carrier::kFloat64;
      return type;
    case Policy::Kind::kTrimmed:
      if (type.oid.value != kBpcharOid) return cannot("trimmed");
      type.codec = kTrimmedCodec;
      return type;
    case Policy::Kind::kWkb:
      if (type.codec != kEwkbCodec) return cannot("wkb");
      type.carrier = Carrier::kBytes;
      return type;
    case Policy::Kind::kBytes:
      if (!is_sent || !HasFormOfBytes(type)) return cannot("bytes");
      type.carrier = Carrier::kBytes;
      type.codec = kSentCodec;
      type.children.clear();
      return type;
  }
  return type;
}

Status TypePolicies::AddMisfit(std::string_view name, std::string_view value) {
  constexpr std::string_view kOption = "on_misfit";
  std::optional<OnMisfit> policy;
  for (const OnMisfit known : {OnMisfit::kHalt, OnMisfit::kNull, OnMisfit::kQuarantine}) {
    if (value == ToString(known)) policy = known;
  }
  if (!policy) return NotAllowed(kOption, name, value, "halt, null, quarantine");
  if (std::ranges::find(kMisfitWords, name) != kMisfitWords.end()) {
    misfits_by_type_.insert_or_assign(std::string(name), *policy);
    return {};
  }
  auto parts = SplitName(name);
  if (!parts || parts->size() != 3) {
    return NotAllowed(
        kOption, name, value,
        fmt::format("a name is SCHEMA.TABLE.COLUMN, or one of {}", fmt::join(kMisfitWords, ", ")));
  }
  Misfits column{*policy, {(*parts)[0], (*parts)[1]}, (*parts)[2]};
  const std::string key = KeyOf(column.table, column.column);
  misfits_.insert_or_assign(key, std::move(column));
  return {};
}

OnMisfit TypePolicies::MisfitPolicy(const TableName& table, std::string_view column,
                                    const ColumnType& type) const {
  const std::string_view word = MisfitWord(type);
  if (word.empty()) return OnMisfit::kHalt;
  if (const auto found = misfits_.find(KeyOf(table, column)); found != misfits_.end())
    return found->second.policy;
  for (const std::string_view name : {word, kMisfitWords.front()}) {
    const auto found = misfits_by_type_.find(name);
    if (found != misfits_by_type_.end()) return found->second;
  }
  return OnMisfit::kHalt;
}

bool MayMisfit(const ColumnType& type) {
  return !MisfitWord(type).empty();
}

std::vector<TypePolicies::Declared> TypePolicies::declared() const {
  std::vector<Declared> out;
  for (const auto& [key, policy] : columns_) out.push_back({policy.table, policy.column, "types"});
  for (const auto& [key, misfits] : misfits_)
    out.push_back({misfits.table, misfits.column, "on_misfit"});
  return out;
}

ColumnType AsText(ColumnType type) {
  type.carrier = Carrier::kText;
  type.precision = 0;
  type.scale = 0;
  return type;
}

bool IsRoundedNumeric(const ColumnType& type) {
  return type.carrier == Carrier::kFloat64 && type.oid.value == kNumericOid;
}

Status CheckKeyTypes(const TableSchema& schema) {
  for (const std::int32_t index : schema.key) {
    const Column& column = schema.columns[static_cast<std::size_t>(index)];
    const bool is_rounded = IsRoundedNumeric(column.type);
    if (!is_rounded && !IsSentBytes(column.type)) continue;
    return Error{
        .kind = ErrorKind::kConfig,
        .message = fmt::format("{}.{} is declared as {}, and rows are found by it",
                               ToString(schema.name), column.name, DeclaredPolicy(column.type)),
        .code = "SLU-4121",
        .advice = is_rounded ? "declare a decimal or text in `types`" : "declare text in `types`"};
  }
  return {};
}

bool IsTrimmed(const ColumnType& type) {
  return type.codec == kTrimmedCodec;
}

bool IsWkb(const ColumnType& type) {
  return type.carrier == Carrier::kBytes && type.codec == kEwkbCodec;
}

bool IsSentBytes(const ColumnType& type) {
  return type.carrier == Carrier::kBytes && type.codec == kSentCodec;
}

std::string DeclaredPolicy(const ColumnType& type) {
  if (IsTrimmed(type)) return "trimmed";
  if (IsWkb(type)) return "wkb";
  if (IsSentBytes(type)) return "bytes";
  if (FindBuiltinType(type.oid) == nullptr) {
    const bool is_container = type.codec == "array" || type.codec == "record" ||
                              type.codec == "hstore" || type.codec == kVectorCodec ||
                              type.codec == kHalfVectorCodec;
    return type.carrier == Carrier::kText && is_container ? "text" : "";
  }
  const Result<ColumnType> usual = TypeCatalog().Resolve(type.oid, type.typmod);
  if (!usual || (usual->carrier == type.carrier && usual->precision == type.precision &&
                 usual->scale == type.scale)) {
    return {};
  }
  if (IsRoundedNumeric(type)) return "double";
  return type.carrier == Carrier::kText ? "text" : DecimalName(type.precision, type.scale);
}

}  // namespace sluice::types
