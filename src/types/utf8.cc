#include "types/utf8.h"

#include <cstdint>
#include <cstring>

namespace sluice::types {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080U;

std::uint64_t Load64(const std::uint8_t* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

const std::uint8_t* SkipAscii(const std::uint8_t* at, const std::uint8_t* end) {
  while (end - at >= 16 && ((Load64(at) | Load64(at + 8)) & kHighBits) == 0) at += 16;
  while (end - at >= 8 && (Load64(at) & kHighBits) == 0) at += 8;
  while (at != end && *at < 0x80) ++at;
  return at;
}

bool IsContinuation(std::uint8_t byte) {
  return (byte & 0xC0U) == 0x80U;
}

// Length of the sequence at `at`, whose first byte is not ASCII; 0: not valid. The limits of the
// second byte keep out overlong forms, surrogates and code points beyond U+10FFFF.
std::size_t SequenceLength(const std::uint8_t* at, std::size_t left) {
  const std::uint8_t lead = at[0];
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (left < length) return 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  if (at[1] < low || at[1] > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (!IsContinuation(at[i])) return 0;
  }
  return length;
}

}  // namespace

bool IsUtf8(std::span<const std::byte> text) {
  const auto* at = reinterpret_cast<const std::uint8_t*>(text.data());  // NOLINT: bytes are octets
  const std::uint8_t* end = at + text.size();
  for (at = SkipAscii(at, end); at != end; at = SkipAscii(at, end)) {
    const std::size_t length = SequenceLength(at, static_cast<std::size_t>(end - at));
    if (length == 0) return false;
    at += length;
  }
  return true;
}

}  // namespace sluice::types
