#include <array>
#include <charconv>

#include "types/text_formats.h"

namespace sluice::types {
namespace {

constexpr unsigned kFamilyV4 = 2;
constexpr unsigned kFamilyV6 = 3;

void AppendV4(Wire bytes, std::string& out) {
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0) out.push_back('.');
    AppendUnsigned(static_cast<unsigned>(bytes[i]), out);
  }
}

struct ZeroRun {
  std::size_t begin = 0;
  std::size_t length = 0;
};

/// The first of the longest runs of zero words; runs of one do not count.
ZeroRun LongestZeroRun(const std::array<unsigned, 8>& words) {
  ZeroRun best;
  for (std::size_t i = 0; i < words.size();) {
    std::size_t end = i;
    while (end < words.size() && words[end] == 0) ++end;
    if (end - i > best.length) best = {i, end - i};
    i = end == i ? i + 1 : end;
  }
  return best.length < 2 ? ZeroRun{} : best;
}

void AppendV6(Wire bytes, std::string& out) {
  std::array<unsigned, 8> words{};
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = static_cast<unsigned>(bytes[2 * i]) << 8 | static_cast<unsigned>(bytes[2 * i + 1]);
  }
  const ZeroRun run = LongestZeroRun(words);
  const bool has_v4_tail =
      run.begin == 0 && (run.length == 6 || (run.length == 5 && words[5] == 0xFFFF));
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (run.length > 0 && i >= run.begin && i < run.begin + run.length) {
      if (i == run.begin) out.push_back(':');
      continue;
    }
    if (i != 0) out.push_back(':');
    if (i == 6 && has_v4_tail) {
      AppendV4(bytes.subspan(12), out);
      return;
    }
    std::array<char, 8> text{};
    out.append(text.data(),
               std::to_chars(text.data(), text.data() + text.size(), words[i], 16).ptr);
  }
  if (run.length > 0 && run.begin + run.length == words.size()) out.push_back(':');
}

}  // namespace

bool FormatInet(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const unsigned family = reader.ReadU8();
  const unsigned bits = reader.ReadU8();
  const unsigned is_cidr = reader.ReadU8();
  const unsigned byte_count = reader.ReadU8();
  const Wire address = reader.ReadBytes(byte_count);
  if (!reader.Finish() || is_cidr > 1) return false;
  const bool is_v4 = family == kFamilyV4;
  if (!is_v4 && family != kFamilyV6) return false;
  if (byte_count != (is_v4 ? 4U : 16U) || bits > byte_count * 8) return false;
  if (is_v4) {
    AppendV4(address, out);
  } else {
    AppendV6(address, out);
  }
  if (is_cidr != 0 || bits != byte_count * 8) {
    out.push_back('/');
    AppendUnsigned(bits, out);
  }
  return true;
}

bool FormatMacAddress(Wire wire, std::size_t byte_count, std::string& out) {
  if (wire.size() != byte_count) return false;
  for (std::size_t i = 0; i < byte_count; ++i) {
    if (i > 0) out.push_back(':');
    AppendHex(wire.subspan(i, 1), out);
  }
  return true;
}

bool FormatUuid(Wire wire, std::string& out) {
  if (wire.size() != 16) return false;
  constexpr std::array<std::size_t, 6> kCuts = {0, 4, 6, 8, 10, 16};
  for (std::size_t part = 0; part + 1 < kCuts.size(); ++part) {
    if (part > 0) out.push_back('-');
    AppendHex(wire.subspan(kCuts[part], kCuts[part + 1] - kCuts[part]), out);
  }
  return true;
}

}  // namespace sluice::types
