#include "types/text_output.h"

#include <algorithm>
#include <array>
#include <bit>

#include "types/text_formats.h"
#include "types/vectors.h"

namespace sluice::types {

enum class TextCodec : std::uint8_t {
  kBool,
  kInt2,
  kInt4,
  kInt8,
  kUInt32,
  kUInt64,
  kFloat4,
  kFloat8,
  kNumeric,
  kMoney,
  kPlain,
  kTrimmed,
  kVersioned,
  kByteChar,
  kBytea,
  kUuid,
  kDate,
  kTime,
  kTimeTz,
  kTimestamp,
  kTimestampTz,
  kInterval,
  kBits,
  kInet,
  kMacAddr,
  kMacAddr8,
  kTid,
  kLsn,
  kSnapshot,
  kPoint,
  kSegment,
  kPath,
  kBox,
  kPolygon,
  kLine,
  kCircle,
  kTsVector,
  kTsQuery,
  kHstore,
  kFloatVector,
  kHalfVector,
  kSparseVector,
  kEwkb,
  kVector,
  kArray,
  kRecord,
  kRange,
  kMultirange,
};

namespace {

struct CodecName {
  std::string_view name;
  TextCodec codec;
  /// kRange, kMultirange, kVector: the element, where the name says it.
  std::string_view element = {};
};

constexpr auto kCodecNames = std::to_array<CodecName>({
    {"bool", TextCodec::kBool},
    {"int2", TextCodec::kInt2},
    {"int4", TextCodec::kInt4},
    {"int8", TextCodec::kInt8},
    {"oid", TextCodec::kUInt32},
    {"xid", TextCodec::kUInt32},
    {"cid", TextCodec::kUInt32},
    {"xid8", TextCodec::kUInt64},
    {"float4", TextCodec::kFloat4},
    {"float8", TextCodec::kFloat8},
    {"numeric", TextCodec::kNumeric},
    {"numeric_decimal", TextCodec::kNumeric},
    {"numeric_text", TextCodec::kNumeric},
    {"money", TextCodec::kMoney},
    {"text", TextCodec::kPlain},
    {"varchar", TextCodec::kPlain},
    {"bpchar", TextCodec::kPlain},
    {"bpchar_trimmed", TextCodec::kTrimmed},
    {"name", TextCodec::kPlain},
    {"citext", TextCodec::kPlain},
    {"enum", TextCodec::kPlain},
    {"xml", TextCodec::kPlain},
    {"json", TextCodec::kPlain},
    {"unknown", TextCodec::kPlain},
    {"refcursor", TextCodec::kPlain},
    {"cstring", TextCodec::kPlain},
    {"jsonb", TextCodec::kVersioned},
    {"jsonpath", TextCodec::kVersioned},
    {"ltree", TextCodec::kVersioned},
    {"lquery", TextCodec::kVersioned},
    {"ltxtquery", TextCodec::kVersioned},
    {"char", TextCodec::kByteChar},
    {"bytea", TextCodec::kBytea},
    {"uuid", TextCodec::kUuid},
    {"date", TextCodec::kDate},
    {"time", TextCodec::kTime},
    {"timetz", TextCodec::kTimeTz},
    {"timestamp", TextCodec::kTimestamp},
    {"timestamptz", TextCodec::kTimestampTz},
    {"interval", TextCodec::kInterval},
    {"bit", TextCodec::kBits},
    {"varbit", TextCodec::kBits},
    {"inet", TextCodec::kInet},
    {"cidr", TextCodec::kInet},
    {"macaddr", TextCodec::kMacAddr},
    {"macaddr8", TextCodec::kMacAddr8},
    {"tid", TextCodec::kTid},
    {"pg_lsn", TextCodec::kLsn},
    {"pg_snapshot", TextCodec::kSnapshot},
    {"txid_snapshot", TextCodec::kSnapshot},
    {"point", TextCodec::kPoint},
    {"lseg", TextCodec::kSegment},
    {"path", TextCodec::kPath},
    {"box", TextCodec::kBox},
    {"polygon", TextCodec::kPolygon},
    {"line", TextCodec::kLine},
    {"circle", TextCodec::kCircle},
    {"tsvector", TextCodec::kTsVector},
    {"tsquery", TextCodec::kTsQuery},
    {"hstore", TextCodec::kHstore},
    {"map", TextCodec::kHstore},
    {kVectorCodec, TextCodec::kFloatVector},
    {kHalfVectorCodec, TextCodec::kHalfVector},
    {"sparsevec", TextCodec::kSparseVector},
    {"ewkb", TextCodec::kEwkb},
    {"int2vector", TextCodec::kVector, "int2"},
    {"oidvector", TextCodec::kVector, "oid"},
    {"array", TextCodec::kArray},
    {"list", TextCodec::kArray},
    {"record", TextCodec::kRecord},
    {"struct", TextCodec::kRecord},
    {"range", TextCodec::kRange},
    {"int4range", TextCodec::kRange, "int4"},
    {"int8range", TextCodec::kRange, "int8"},
    {"numrange", TextCodec::kRange, "numeric"},
    {"daterange", TextCodec::kRange, "date"},
    {"tsrange", TextCodec::kRange, "timestamp"},
    {"tstzrange", TextCodec::kRange, "timestamptz"},
    {"multirange", TextCodec::kMultirange},
    {"int4multirange", TextCodec::kMultirange, "int4"},
    {"int8multirange", TextCodec::kMultirange, "int8"},
    {"nummultirange", TextCodec::kMultirange, "numeric"},
    {"datemultirange", TextCodec::kMultirange, "date"},
    {"tsmultirange", TextCodec::kMultirange, "timestamp"},
    {"tstzmultirange", TextCodec::kMultirange, "timestamptz"},
});

const CodecName* FindCodec(std::string_view name) {
  const auto* found = std::ranges::find(kCodecNames, name, &CodecName::name);
  return found == kCodecNames.end() ? nullptr : found;
}

/// The codec by carrier where the carrier says it all, else by name.
const CodecName* FindCodec(const ColumnType& type) {
  if (type.carrier == Carrier::kList && !IsVector(type)) return FindCodec("array");
  if (type.carrier == Carrier::kStruct) return FindCodec("record");
  if (type.carrier == Carrier::kMap) return FindCodec("hstore");
  return FindCodec(type.codec);
}

bool FormatBool(Wire wire, std::string& out) {
  if (wire.size() != 1) return false;
  out.push_back(wire[0] != std::byte{0} ? 't' : 'f');
  return true;
}

/// Fixed-width numbers, which share how their bytes are read.
template <class T, auto Print>
bool FormatFixed(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  if constexpr (sizeof(T) == 2) {
    Print(std::bit_cast<T>(reader.ReadU16()), out);
  } else if constexpr (sizeof(T) == 4) {
    Print(std::bit_cast<T>(reader.ReadU32()), out);
  } else {
    Print(std::bit_cast<T>(reader.ReadU64()), out);
  }
  return reader.Finish();
}

bool FormatPlain(Wire wire, std::string& out) {
  out.append(base::AsText(wire));
  return true;
}

bool FormatTrimmed(Wire wire, std::string& out) {
  out.append(WithoutPadding(base::AsText(wire)));
  return true;
}

}  // namespace

std::optional<TextFormatter> TextFormatter::Make(const ColumnType& type) {
  return MakeNested(type, 0);
}

std::optional<TextFormatter> TextFormatter::MakeNested(const ColumnType& type, int depth) {
  const CodecName* found = depth < kTextDepthMax ? FindCodec(type) : nullptr;
  if (found == nullptr) return std::nullopt;
  TextFormatter formatter(found->codec);
  const bool is_composed =
      found->codec == TextCodec::kArray || found->codec == TextCodec::kRecord ||
      found->codec == TextCodec::kRange || found->codec == TextCodec::kMultirange;
  if (!found->element.empty()) {
    formatter.children_.push_back(TextFormatter(FindCodec(found->element)->codec));
    return formatter;
  }
  if (!is_composed) return formatter;
  const bool has_one_child = found->codec != TextCodec::kRecord;
  if (has_one_child && type.children.size() != 1) return std::nullopt;
  for (const ColumnType& child : type.children) {
    std::optional<TextFormatter> nested = MakeNested(child, depth + 1);
    if (!nested) return std::nullopt;
    formatter.children_.push_back(*std::move(nested));
  }
  return formatter;
}

bool TextFormatter::Append(std::span<const std::byte> wire, std::string& out) const {
  const std::size_t begin = out.size();
  if (AppendAny(wire, out)) return true;
  out.resize(begin);
  return false;
}

bool TextFormatter::AppendAny(Wire wire, std::string& out) const {
  switch (codec_) {
    case TextCodec::kVector:
      return AppendVector(wire, out);
    case TextCodec::kArray:
      return AppendArray(wire, out);
    case TextCodec::kRecord:
      return AppendRecord(wire, out);
    case TextCodec::kRange:
      return AppendRange(wire, out);
    case TextCodec::kMultirange:
      return AppendMultirange(wire, out);
    default:
      return AppendScalar(wire, out);
  }
}

bool TextFormatter::AppendScalar(Wire wire, std::string& out) const {
  using Format = bool (*)(Wire, std::string&);
  // In the order of TextCodec, up to kEwkb.
  static constexpr auto kFormats = std::to_array<Format>({
      FormatBool,
      FormatFixed<std::int16_t, AppendSigned>,
      FormatFixed<std::int32_t, AppendSigned>,
      FormatFixed<std::int64_t, AppendSigned>,
      FormatFixed<std::uint32_t, AppendUnsigned>,
      FormatFixed<std::uint64_t, AppendUnsigned>,
      FormatFixed<float, AppendFloat4>,
      FormatFixed<double, AppendFloat8>,
      FormatNumeric,
      FormatMoney,
      FormatPlain,
      FormatTrimmed,
      FormatVersionedText,
      FormatByteChar,
      FormatBytea,
      FormatUuid,
      FormatDate,
      FormatTime,
      FormatTimeTz,
      FormatTimestamp,
      FormatTimestampTz,
      FormatInterval,
      FormatBits,
      FormatInet,
      [](Wire bytes, std::string& text) { return FormatMacAddress(bytes, 6, text); },
      [](Wire bytes, std::string& text) { return FormatMacAddress(bytes, 8, text); },
      FormatTid,
      FormatLsn,
      FormatSnapshot,
      FormatPoint,
      FormatSegment,
      FormatPath,
      FormatBox,
      FormatPolygon,
      FormatLine,
      FormatCircle,
      FormatTsVector,
      FormatTsQuery,
      FormatHstore,
      FormatVector,
      FormatHalfVector,
      FormatSparseVector,
      FormatEwkb,
  });
  static_assert(kFormats.size() == static_cast<std::size_t>(TextCodec::kEwkb) + 1);
  return kFormats[static_cast<std::size_t>(codec_)](wire, out);
}

std::string_view WithoutPadding(std::string_view text) {
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

bool HasTextCodec(std::string_view codec) {
  return FindCodec(codec) != nullptr;
}

bool FormatText(const ColumnType& type, std::span<const std::byte> wire, std::string& out) {
  const std::optional<TextFormatter> formatter = TextFormatter::Make(type);
  return formatter && formatter->Append(wire, out);
}

}  // namespace sluice::types
