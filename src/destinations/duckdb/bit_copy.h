/// \file
/// Runs of bits at any offset: Arrow's validity and boolean buffers to and from DuckDB's masks.
/// Both number bits from the least significant one.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sluice::duckdb {

static_assert(std::endian::native == std::endian::little);

/// Bits [offset, offset + count), count in 1..64, as the low bits of the result; reads no byte past
/// the last one needed.
inline std::uint64_t LoadBits(const std::uint8_t* bits, std::size_t offset, std::size_t count) {
  const std::uint8_t* first = bits + offset / 8;
  const std::size_t shift = offset % 8;
  const std::size_t byte_count = (shift + count + 7) / 8;
  std::uint64_t low = 0;
  std::memcpy(&low, first, byte_count < 8 ? byte_count : 8);
  std::uint64_t word = low >> shift;
  if (byte_count == 9) word |= std::uint64_t{first[8]} << (64 - shift);
  return count == 64 ? word : word & ((std::uint64_t{1} << count) - 1);
}

/// Copies `count` bits to the words of `out`; false: every one of them is set.
inline bool CopyBits(const std::uint8_t* bits, std::size_t offset, std::size_t count,
                     std::uint64_t* out) {
  bool has_zero = false;
  for (std::size_t done = 0; done < count; done += 64) {
    const std::size_t now = count - done < 64 ? count - done : 64;
    const std::uint64_t word = LoadBits(bits, offset + done, now);
    const std::uint64_t all = now == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << now) - 1;
    has_zero |= word != all;
    // Bits past the end read as valid, as DuckDB has them.
    out[done / 64] = word | ~all;
  }
  return has_zero;
}

inline bool IsBitSet(const std::uint8_t* bits, std::size_t index) {
  return ((bits[index / 8] >> (index % 8)) & 1U) != 0;
}

}  // namespace sluice::duckdb
