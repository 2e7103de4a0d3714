// Canonical cells as readable text, for reports.
#include <algorithm>
#include <array>
#include <limits>

#include "base/byte_reader.h"
#include "types/canonical.h"
#include "types/canonical_internal.h"
#include "types/text_formats.h"

namespace sluice::types {
namespace {

using canonical::Int128;

constexpr std::int64_t kEpochDays = 10'957;
constexpr std::int64_t kEpochMicros = kEpochDays * 86'400'000'000;

bool DescribeDecimal(base::ByteReader& reader, int scale, std::string& out) {
  const std::uint64_t high = reader.ReadU64();
  const std::uint64_t low = reader.ReadU64();
  if (!reader.Finish()) return false;
  __extension__ using Wide = unsigned __int128;
  Wide size = Wide{high} << 64 | low;
  const bool is_negative = high >> 63 != 0;
  if (is_negative) size = 0 - size;
  std::string digits;
  for (; size != 0 || digits.size() <= static_cast<std::size_t>(scale); size /= 10) {
    digits.push_back(static_cast<char>('0' + static_cast<int>(size % 10)));
  }
  if (is_negative) digits.push_back('-');
  std::ranges::reverse(digits);
  if (scale > 0) digits.insert(digits.size() - static_cast<std::size_t>(scale), 1, '.');
  out += digits;
  return true;
}

/// Prints through the wire's form: the carrier's epoch is moved back first.
template <class T, auto Format>
bool DescribeInstant(T value, std::int64_t shift, std::string& out) {
  using Limits = std::numeric_limits<T>;
  T wire = value;
  if (value == -Limits::max()) {
    wire = Limits::min();
  } else if (value != Limits::max()) {
    if (value < Limits::min() + static_cast<T>(shift)) return false;
    wire = static_cast<T>(value - static_cast<T>(shift));
  }
  std::string bytes;
  canonical::AppendBigEndian(static_cast<std::make_unsigned_t<T>>(wire), bytes);
  return Format(base::AsBytes(bytes), out);
}

bool DescribeParts(const ColumnType& type, std::string_view cells, std::string& out,
                   std::size_t length_max) {
  const ColumnType text;
  base::ByteReader reader(base::AsBytes(cells));
  const std::uint32_t count = reader.ReadU32();
  if (!reader.ok() || type.children.empty() != (type.carrier == Carrier::kMap)) return false;
  cells.remove_prefix(4);
  out.push_back('{');
  for (std::size_t i = 0; !cells.empty() && out.size() < length_max; ++i) {
    if (i > 0) out.append(i % 2 == 1 && type.carrier == Carrier::kMap ? "=>" : ", ");
    const ColumnType& part = type.carrier == Carrier::kMap ? text
                             : type.carrier == Carrier::kList
                                 ? type.children[0]
                                 : type.children[std::min(i, type.children.size() - 1)];
    const auto described = DescribeCell(part, cells, length_max);
    if (!described) return false;
    out += *described;
  }
  out.push_back('}');
  return count == 0 || out.size() > 2;
}

bool DescribeValue(const ColumnType& type, std::string_view bytes, std::string& out,
                   std::size_t length_max) {
  base::ByteReader reader(base::AsBytes(bytes));
  switch (type.carrier) {
    case Carrier::kBool:
      out = reader.ReadU8() != 0 ? "true" : "false";
      return reader.Finish();
    case Carrier::kInt16:
      AppendSigned(reader.ReadI16(), out);
      return reader.Finish();
    case Carrier::kInt32:
      AppendSigned(reader.ReadI32(), out);
      return reader.Finish();
    case Carrier::kInt64:
      AppendSigned(reader.ReadI64(), out);
      return reader.Finish();
    case Carrier::kUInt32:
      AppendUnsigned(reader.ReadU32(), out);
      return reader.Finish();
    case Carrier::kFloat32:
      AppendFloat4(std::bit_cast<float>(reader.ReadU32()), out);
      return reader.Finish();
    case Carrier::kFloat64:
      AppendFloat8(std::bit_cast<double>(reader.ReadU64()), out);
      return reader.Finish();
    case Carrier::kDecimal:
      return DescribeDecimal(reader, type.scale, out);
    case Carrier::kDate:
      return DescribeInstant<std::int32_t, FormatDate>(reader.ReadI32(), kEpochDays, out) &&
             reader.Finish();
    case Carrier::kTimestamp:
      return DescribeInstant<std::int64_t, FormatTimestamp>(reader.ReadI64(), kEpochMicros, out) &&
             reader.Finish();
    case Carrier::kTimestampTz:
      return DescribeInstant<std::int64_t, FormatTimestampTz>(reader.ReadI64(), kEpochMicros,
                                                              out) &&
             reader.Finish();
    case Carrier::kTime:
      return FormatTime(base::AsBytes(bytes), out);
    case Carrier::kInterval:
      return FormatInterval(base::AsBytes(bytes), out);
    case Carrier::kUuid:
      return FormatUuid(base::AsBytes(bytes), out);
    case Carrier::kBytes:
      out = "\\x";
      AppendHex(base::AsBytes(bytes.substr(0, length_max)), out);
      return true;
    case Carrier::kText:
    case Carrier::kJson:
      out = bytes.substr(0, length_max + 1);
      return true;
    case Carrier::kList:
    case Carrier::kStruct:
    case Carrier::kMap:
      return DescribeParts(type, bytes, out, length_max);
  }
  return false;
}

void CutAtCharacter(std::string& text, std::size_t length_max) {
  if (text.size() <= length_max) return;
  std::size_t end = length_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
}

}  // namespace

std::optional<std::string> DescribeCell(const ColumnType& type, std::string_view& cells,
                                        std::size_t length_max) {
  base::ByteReader reader(base::AsBytes(cells));
  const std::uint32_t length = reader.ReadU32();
  if (!reader.ok()) return std::nullopt;
  if (length == kNullCell) {
    cells.remove_prefix(4);
    return "NULL";
  }
  const std::string_view bytes = base::AsText(reader.ReadBytes(length));
  if (!reader.ok()) return std::nullopt;
  cells.remove_prefix(4 + std::size_t{length});
  std::string text;
  // A misfit has no readable form here; its bytes still name the row.
  if (!DescribeValue(type, bytes, text, length_max)) {
    text = "\\x";
    AppendHex(base::AsBytes(bytes.substr(0, length_max)), text);
  }
  CutAtCharacter(text, length_max);
  return text;
}

}  // namespace sluice::types
