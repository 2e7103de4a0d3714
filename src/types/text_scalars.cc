#include <string_view>

#include "sluice/lsn.h"

#include "types/text_formats.h"

namespace sluice::types {
namespace {

void AppendHstoreText(std::string_view text, std::string& out) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
}

/// A text with its length before it. False: overrun, or a length below zero.
bool ReadCounted(base::ByteReader& reader, std::int32_t length, std::string_view& text) {
  if (length < 0) return false;
  text = base::AsText(reader.ReadBytes(static_cast<std::size_t>(length)));
  return reader.ok();
}

}  // namespace

bool FormatByteChar(Wire wire, std::string& out) {
  if (wire.size() != 1) return false;
  const auto value = static_cast<unsigned>(wire[0]);
  if (value == 0) return true;  // the server prints nothing
  if (value < 0x80) {
    out.push_back(static_cast<char>(value));
    return true;
  }
  // A lone high byte is no text in UTF-8: three octal digits.
  out.push_back('\\');
  out.push_back(static_cast<char>('0' + (value >> 6)));
  out.push_back(static_cast<char>('0' + ((value >> 3) & 7)));
  out.push_back(static_cast<char>('0' + (value & 7)));
  return true;
}

bool FormatBytea(Wire wire, std::string& out) {
  out.append("\\x");
  AppendHex(wire, out);
  return true;
}

bool FormatBits(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const std::int32_t bit_count = reader.ReadI32();
  if (!reader.ok() || bit_count < 0) return false;
  const auto bits = static_cast<std::size_t>(bit_count);
  if (reader.remaining() != (bits + 7) / 8) return false;
  const Wire bytes = reader.ReadBytes(reader.remaining());
  for (std::size_t i = 0; i < bits; ++i) {
    const unsigned bit = (static_cast<unsigned>(bytes[i / 8]) >> (7 - i % 8)) & 1;
    out.push_back(bit != 0 ? '1' : '0');
  }
  return true;
}

bool FormatVersionedText(Wire wire, std::string& out) {
  if (wire.empty() || wire[0] != std::byte{1}) return false;
  out.append(base::AsText(wire.subspan(1)));
  return true;
}

bool FormatTid(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const std::uint32_t block = reader.ReadU32();
  const unsigned offset = reader.ReadU16();
  if (!reader.Finish()) return false;
  out.push_back('(');
  AppendUnsigned(block, out);
  out.push_back(',');
  AppendUnsigned(offset, out);
  out.push_back(')');
  return true;
}

bool FormatLsn(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const Lsn lsn{reader.ReadU64()};
  if (!reader.Finish()) return false;
  out.append(ToString(lsn));
  return true;
}

bool FormatSnapshot(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const std::uint32_t count = reader.ReadU32();
  const std::uint64_t oldest = reader.ReadU64();
  const std::uint64_t end = reader.ReadU64();
  if (!reader.ok() || reader.remaining() % 8 != 0 || reader.remaining() / 8 != count) return false;
  AppendUnsigned(oldest, out);
  out.push_back(':');
  AppendUnsigned(end, out);
  out.push_back(':');
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i > 0) out.push_back(',');
    AppendUnsigned(reader.ReadU64(), out);
  }
  return reader.Finish();
}

bool FormatHstore(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const std::uint32_t count = reader.ReadU32();
  if (!reader.ok() || count > reader.remaining() / 8) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string_view text;
    if (!ReadCounted(reader, reader.ReadI32(), text)) return false;
    if (i > 0) out.append(", ");
    AppendHstoreText(text, out);
    out.append("=>");
    const std::int32_t length = reader.ReadI32();
    if (length == -1) {
      out.append("NULL");
      continue;
    }
    if (!ReadCounted(reader, length, text)) return false;
    AppendHstoreText(text, out);
  }
  return reader.Finish();
}

}  // namespace sluice::types
