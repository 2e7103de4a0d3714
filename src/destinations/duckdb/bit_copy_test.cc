#include "destinations/duckdb/bit_copy.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace sluice::duckdb {
namespace {

TEST(CopyBits, CopiesAnyRunAndLeavesTheRestValid) {
  std::mt19937 random(1);
  std::vector<std::uint8_t> bits(64);
  for (std::uint8_t& byte : bits) byte = static_cast<std::uint8_t>(random());
  for (std::size_t offset = 0; offset < 70; ++offset) {
    for (const std::size_t count : {1U, 7U, 8U, 63U, 64U, 65U, 130U, 442U}) {
      if (offset + count > bits.size() * 8) continue;
      // Exactly the bytes that are there: a read past them is the sanitizer's to find.
      const std::vector<std::uint8_t> exact(
          bits.begin(), bits.begin() + static_cast<long>((offset + count + 7) / 8));
      std::vector<std::uint64_t> out((count + 63) / 64);
      bool has_zero = false;
      const bool told = CopyBits(exact.data(), offset, count, out.data());
      for (std::size_t i = 0; i < count; ++i) {
        const bool want = IsBitSet(bits.data(), offset + i);
        has_zero |= !want;
        ASSERT_EQ(((out[i / 64] >> (i % 64)) & 1U) != 0, want)
            << offset << " " << count << " " << i;
      }
      ASSERT_EQ(told, has_zero);
      for (std::size_t i = count; i < out.size() * 64; ++i)
        ASSERT_TRUE(((out[i / 64] >> (i % 64)) & 1U) != 0);
    }
  }
}

}  // namespace
}  // namespace sluice::duckdb
