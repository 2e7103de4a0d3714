/// \file
/// How canonical cells are laid out; shared by both ways there (canonical.h).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "types/canonical.h"

namespace sluice::types::canonical {

__extension__ using Int128 = __int128;
__extension__ using UInt128 = unsigned __int128;

inline std::uint16_t BigEndian(std::uint16_t v) {
  return __builtin_bswap16(v);
}
inline std::uint32_t BigEndian(std::uint32_t v) {
  return __builtin_bswap32(v);
}
inline std::uint64_t BigEndian(std::uint64_t v) {
  return __builtin_bswap64(v);
}
static_assert(std::endian::native == std::endian::little);

template <class T>
void AppendBigEndian(T value, std::string& out) {
  const T swapped = BigEndian(value);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &swapped, sizeof(T));
  out.append(bytes, sizeof(T));
}

/// A whole cell of a fixed-width integer: one append.
template <class T>
void AppendFixedCell(T value, std::string& out) {
  const std::uint32_t length = BigEndian(std::uint32_t{sizeof(T)});
  const T swapped = BigEndian(value);
  char bytes[4 + sizeof(T)];
  std::memcpy(bytes, &length, 4);
  std::memcpy(bytes + 4, &swapped, sizeof(T));
  out.append(bytes, sizeof(bytes));
}

inline void AppendBytesCell(std::string_view bytes, std::string& out) {
  AppendBigEndian(static_cast<std::uint32_t>(bytes.size()), out);
  out.append(bytes);
}

inline void AppendBoolCell(bool value, std::string& out) {
  constexpr char kTrue[] = {0, 0, 0, 1, 1};
  constexpr char kFalse[] = {0, 0, 0, 1, 0};
  out.append(value ? kTrue : kFalse, sizeof(kTrue));
}

inline std::uint32_t NormaliseNan(std::uint32_t bits) {
  return (bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC00000 : bits;
}
inline std::uint64_t NormaliseNan(std::uint64_t bits) {
  return (bits & 0x7FFFFFFFFFFFFFFF) > 0x7FF0000000000000 ? 0x7FF8000000000000 : bits;
}

inline void AppendInt128Cell(Int128 value, std::string& out) {
  const auto wide = static_cast<UInt128>(value);
  AppendBigEndian(std::uint32_t{16}, out);
  AppendBigEndian(static_cast<std::uint64_t>(wide >> 64), out);
  AppendBigEndian(static_cast<std::uint64_t>(wide), out);
}

/// Microseconds, days, months, as the wire has them.
inline void AppendIntervalCell(std::uint64_t micros, std::uint32_t days, std::uint32_t months,
                               std::string& out) {
  AppendBigEndian(std::uint32_t{16}, out);
  AppendBigEndian(micros, out);
  AppendBigEndian(days, out);
  AppendBigEndian(months, out);
}

/// A cell whose length is known only at its end.
class OpenCell {
 public:
  explicit OpenCell(std::string& out) : out_(out), begin_(out.size()) { out.append(4, '\0'); }
  void Close() {
    const std::uint32_t length = BigEndian(static_cast<std::uint32_t>(out_.size() - begin_ - 4));
    std::memcpy(out_.data() + begin_, &length, 4);
  }

 private:
  std::string& out_;
  std::size_t begin_;
};

}  // namespace sluice::types::canonical
