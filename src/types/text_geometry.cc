#include <bit>

#include "types/text_formats.h"

namespace sluice::types {
namespace {

void AppendCoordinate(base::ByteReader& reader, std::string& out) {
  AppendFloat8(std::bit_cast<double>(reader.ReadU64()), out);
}

void AppendPair(base::ByteReader& reader, std::string& out) {
  out.push_back('(');
  AppendCoordinate(reader, out);
  out.push_back(',');
  AppendCoordinate(reader, out);
  out.push_back(')');
}

/// `count` points, all of what is left.
bool AppendPoints(base::ByteReader& reader, std::int32_t count, std::string& out) {
  if (!reader.ok() || count < 0) return false;
  if (reader.remaining() != static_cast<std::size_t>(count) * 16) return false;
  for (std::int32_t i = 0; i < count; ++i) {
    if (i > 0) out.push_back(',');
    AppendPair(reader, out);
  }
  return reader.Finish();
}

}  // namespace

bool FormatPoint(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  return AppendPoints(reader, 1, out);
}

bool FormatSegment(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  out.push_back('[');
  if (!AppendPoints(reader, 2, out)) return false;
  out.push_back(']');
  return true;
}

bool FormatPath(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const unsigned is_closed = reader.ReadU8();
  const std::int32_t count = reader.ReadI32();
  if (is_closed > 1) return false;
  out.push_back(is_closed != 0 ? '(' : '[');
  if (!AppendPoints(reader, count, out)) return false;
  out.push_back(is_closed != 0 ? ')' : ']');
  return true;
}

bool FormatBox(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  return AppendPoints(reader, 2, out);
}

bool FormatPolygon(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const std::int32_t count = reader.ReadI32();
  out.push_back('(');
  if (!AppendPoints(reader, count, out)) return false;
  out.push_back(')');
  return true;
}

bool FormatLine(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  out.push_back('{');
  AppendCoordinate(reader, out);
  out.push_back(',');
  AppendCoordinate(reader, out);
  out.push_back(',');
  AppendCoordinate(reader, out);
  out.push_back('}');
  return reader.Finish();
}

bool FormatCircle(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  out.push_back('<');
  AppendPair(reader, out);
  out.push_back(',');
  AppendCoordinate(reader, out);
  out.push_back('>');
  return reader.Finish();
}

}  // namespace sluice::types
