// Types of extensions: the ..._send and ..._out functions of pgvector and PostGIS.
#include <bit>

#include "types/text_formats.h"
#include "types/vectors.h"

namespace sluice::types {
namespace {

template <auto ReadFloat>
bool FormatFloats(Wire wire, std::size_t width, std::string& out) {
  base::ByteReader reader(wire);
  const std::size_t count = reader.ReadU16();
  reader.ReadU16();
  if (!reader.ok() || reader.remaining() != count * width) return false;
  out.push_back('[');
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0) out.push_back(',');
    AppendFloat4(std::bit_cast<float>(ReadFloat(reader)), out);
  }
  out.push_back(']');
  return true;
}

std::uint32_t ReadFloat32(base::ByteReader& reader) {
  return reader.ReadU32();
}

std::uint32_t ReadFloat16(base::ByteReader& reader) {
  return FloatBitsOfHalf(reader.ReadU16());
}

}  // namespace

bool FormatVector(Wire wire, std::string& out) {
  return FormatFloats<ReadFloat32>(wire, sizeof(float), out);
}

bool FormatHalfVector(Wire wire, std::string& out) {
  return FormatFloats<ReadFloat16>(wire, sizeof(std::uint16_t), out);
}

//   Int32 dimensions, Int32 elements that are not zero, Int32 unused
//   Int32 place of each, from 0; the text counts from 1
//   Float32 each
bool FormatSparseVector(Wire wire, std::string& out) {
  base::ByteReader places(wire);
  const std::uint32_t dimensions = places.ReadU32();
  const std::size_t count = places.ReadU32();
  places.ReadU32();
  if (!places.ok() || places.remaining() / 8 != count || places.remaining() % 8 != 0) return false;
  base::ByteReader values = places;
  values.ReadBytes(count * 4);
  out.push_back('{');
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0) out.push_back(',');
    AppendUnsigned(std::uint64_t{places.ReadU32()} + 1, out);
    out.push_back(':');
    AppendFloat4(std::bit_cast<float>(values.ReadU32()), out);
  }
  out.append("}/");
  AppendUnsigned(dimensions, out);
  return true;
}

bool FormatEwkb(Wire wire, std::string& out) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  for (const std::byte byte : wire) {
    out.push_back(kDigits[std::to_integer<unsigned>(byte) >> 4]);
    out.push_back(kDigits[std::to_integer<unsigned>(byte) & 15]);
  }
  return true;
}

}  // namespace sluice::types
