// Types that hold other types: the part of TextFormatter that prints braces, commas and quotes.
#include <algorithm>
#include <array>
#include <string_view>

#include "types/text_formats.h"
#include "types/text_output.h"

namespace sluice::types {
namespace {

bool IsSpace(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// Puts out[begin..] between double quotes, with `escape_quote` before each quote and a backslash
/// before each backslash.
void Quote(std::string& out, std::size_t begin, char escape_quote) {
  const std::string text(out, begin);
  out.resize(begin);
  out.push_back('"');
  for (const char c : text) {
    if (c == '"') out.push_back(escape_quote);
    if (c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
}

bool IsNullWord(std::string_view text) {
  constexpr std::string_view kNull = "null";
  return std::ranges::equal(text, kNull, [](char a, char b) { return (a | 0x20) == b; });
}

/// Array elements: quoted where they would read as something else.
void QuoteElement(std::string& out, std::size_t begin, char delimiter) {
  const std::string_view text = std::string_view(out).substr(begin);
  const bool is_special = std::ranges::any_of(text, [delimiter](char c) {
    return c == '"' || c == '\\' || c == '{' || c == '}' || c == delimiter || IsSpace(c);
  });
  if (text.empty() || is_special || IsNullWord(text)) Quote(out, begin, '\\');
}

/// Composite attributes; range bounds with brackets too.
void QuoteAttribute(std::string& out, std::size_t begin, bool quotes_brackets) {
  const std::string_view text = std::string_view(out).substr(begin);
  const bool is_special = std::ranges::any_of(text, [quotes_brackets](char c) {
    return c == '"' || c == '\\' || c == '(' || c == ')' || c == ',' || IsSpace(c) ||
           (quotes_brackets && (c == '[' || c == ']'));
  });
  if (text.empty() || is_special) Quote(out, begin, '"');
}

struct ArrayShape {
  static constexpr std::size_t kDimensionsMax = 6;
  std::size_t dimensions = 0;
  std::array<std::int64_t, kDimensionsMax> sizes{};
  std::array<std::int64_t, kDimensionsMax> lower_bounds{};
  std::int64_t element_count = 0;
  std::uint32_t element_oid = 0;
};

bool ReadShape(base::ByteReader& reader, ArrayShape& shape) {
  const auto element_count_max = static_cast<std::int64_t>(reader.remaining() / 4);
  const std::uint32_t dimensions = reader.ReadU32();
  const std::uint32_t flags = reader.ReadU32();
  shape.element_oid = reader.ReadU32();
  if (!reader.ok() || dimensions > ArrayShape::kDimensionsMax || flags > 1) return false;
  shape.dimensions = dimensions;
  shape.element_count = dimensions == 0 ? 0 : 1;
  for (std::size_t i = 0; i < dimensions; ++i) {
    shape.sizes[i] = reader.ReadI32();
    shape.lower_bounds[i] = reader.ReadI32();
    if (!reader.ok() || shape.sizes[i] < 0) return false;
    // Every element takes at least its length word: bounds the product before it can overflow.
    shape.element_count *= shape.sizes[i];
    if (shape.element_count > element_count_max) return false;
  }
  return true;
}

void AppendBounds(const ArrayShape& shape, std::string& out) {
  const auto begin = shape.lower_bounds.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(shape.dimensions);
  if (std::all_of(begin, end, [](std::int64_t bound) { return bound == 1; })) return;
  for (std::size_t i = 0; i < shape.dimensions; ++i) {
    out.push_back('[');
    AppendSigned(shape.lower_bounds[i], out);
    out.push_back(':');
    AppendSigned(shape.lower_bounds[i] + shape.sizes[i] - 1, out);
    out.push_back(']');
  }
  out.push_back('=');
}

constexpr unsigned kRangeEmpty = 0x01;
constexpr unsigned kRangeLowerInclusive = 0x02;
constexpr unsigned kRangeUpperInclusive = 0x04;
constexpr unsigned kRangeLowerInfinite = 0x08;
constexpr unsigned kRangeUpperInfinite = 0x10;

/// int32 length, or -1 for NULL where the caller allows it.
struct Counted {
  bool is_ok = false;
  bool is_null = false;
  Wire bytes;
};

Counted ReadCounted(base::ByteReader& reader) {
  const std::int32_t length = reader.ReadI32();
  if (length == -1) return {reader.ok(), true, {}};
  if (length < 0) return {};
  const Wire bytes = reader.ReadBytes(static_cast<std::size_t>(length));
  return {reader.ok(), false, bytes};
}

}  // namespace

bool TextFormatter::AppendArray(Wire wire, std::string& out) const {
  constexpr std::uint32_t kBoxOid = 603;
  base::ByteReader reader(wire);
  ArrayShape shape;
  if (!ReadShape(reader, shape)) return false;
  if (shape.element_count == 0) {
    out.append("{}");
    return reader.Finish();
  }
  const char delimiter = shape.element_oid == kBoxOid ? ';' : ',';
  AppendBounds(shape, out);
  out.append(shape.dimensions, '{');
  std::array<std::int64_t, ArrayShape::kDimensionsMax> index{};
  for (std::int64_t i = 0; i < shape.element_count; ++i) {
    const Counted element = ReadCounted(reader);
    if (!element.is_ok) return false;
    if (element.is_null) {
      out.append("NULL");
    } else {
      const std::size_t begin = out.size();
      if (!children_[0].AppendAny(element.bytes, out)) return false;
      QuoteElement(out, begin, delimiter);
    }
    // Step to the next element; every dimension that wraps closes a brace.
    std::size_t closed = 0;
    while (closed < shape.dimensions) {
      const std::size_t dimension = shape.dimensions - 1 - closed;
      if (++index[dimension] < shape.sizes[dimension]) break;
      index[dimension] = 0;
      ++closed;
    }
    out.append(closed, '}');
    if (closed < shape.dimensions) out.append(1, delimiter).append(closed, '{');
  }
  return reader.Finish();
}

/// int2vector, oidvector: arrays on the wire, bare numbers in text.
bool TextFormatter::AppendVector(Wire wire, std::string& out) const {
  base::ByteReader reader(wire);
  ArrayShape shape;
  if (!ReadShape(reader, shape) || shape.dimensions > 1) return false;
  for (std::int64_t i = 0; i < shape.element_count; ++i) {
    const Counted element = ReadCounted(reader);
    if (!element.is_ok || element.is_null) return false;
    if (i > 0) out.push_back(' ');
    if (!children_[0].AppendAny(element.bytes, out)) return false;
  }
  return reader.Finish();
}

bool TextFormatter::AppendRecord(Wire wire, std::string& out) const {
  base::ByteReader reader(wire);
  const std::uint32_t count = reader.ReadU32();
  if (!reader.ok() || count != children_.size()) return false;
  out.push_back('(');
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i > 0) out.push_back(',');
    reader.ReadU32();  // the attribute's type; known from the catalog
    const Counted attribute = ReadCounted(reader);
    if (!attribute.is_ok) return false;
    if (attribute.is_null) continue;
    const std::size_t begin = out.size();
    if (!children_[i].AppendAny(attribute.bytes, out)) return false;
    QuoteAttribute(out, begin, false);
  }
  out.push_back(')');
  return reader.Finish();
}

bool TextFormatter::AppendRange(Wire wire, std::string& out) const {
  base::ByteReader reader(wire);
  const unsigned flags = reader.ReadU8();
  if (!reader.ok() || flags > 0x1F) return false;
  if ((flags & kRangeEmpty) != 0) {
    out.append("empty");
    return reader.Finish();
  }
  const auto append_bound = [&](unsigned infinite) {
    if ((flags & infinite) != 0) return true;
    const Counted bound = ReadCounted(reader);
    const std::size_t begin = out.size();
    if (!bound.is_ok || bound.is_null || !children_[0].AppendAny(bound.bytes, out)) return false;
    QuoteAttribute(out, begin, true);
    return true;
  };
  out.push_back((flags & kRangeLowerInclusive) != 0 ? '[' : '(');
  if (!append_bound(kRangeLowerInfinite)) return false;
  out.push_back(',');
  if (!append_bound(kRangeUpperInfinite)) return false;
  out.push_back((flags & kRangeUpperInclusive) != 0 ? ']' : ')');
  return reader.Finish();
}

bool TextFormatter::AppendMultirange(Wire wire, std::string& out) const {
  base::ByteReader reader(wire);
  const std::uint32_t count = reader.ReadU32();
  out.push_back('{');
  for (std::uint32_t i = 0; i < count; ++i) {
    const Counted range = ReadCounted(reader);
    if (!range.is_ok || range.is_null) return false;
    if (i > 0) out.push_back(',');
    if (!AppendRange(range.bytes, out)) return false;
  }
  out.push_back('}');
  return reader.Finish();
}

}  // namespace sluice::types
