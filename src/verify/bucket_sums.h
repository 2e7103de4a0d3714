/// \file
/// Pass 1: what a side's rows come to, in 65,536 buckets by key hash.
///
/// A bucket is the count of its rows and the sums, modulo 2^64, of both halves of their hashes:
/// order does not matter, and rows may be counted by several workers and merged. Memory: 1.5 MiB an
/// object. Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "types/canonical.h"

namespace sluice::verify {

inline constexpr std::size_t kBucketCount = 65'536;

struct Bucket {
  std::uint64_t row_count = 0;
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const Bucket&) const = default;
};

class BucketSums {
 public:
  BucketSums() : buckets_(kBucketCount) {}

  void Add(std::uint16_t bucket, const types::Hash128& row) {
    Bucket& sums = buckets_[bucket];
    ++sums.row_count;
    sums.low += row.low;
    sums.high += row.high;
  }
  void Merge(const BucketSums& other);

  const Bucket& operator[](std::size_t bucket) const { return buckets_[bucket]; }
  std::uint64_t row_count() const;

 private:
  std::vector<Bucket> buckets_;
};

/// Ascending.
std::vector<std::uint16_t> DifferingBuckets(const BucketSums& a, const BucketSums& b);

}  // namespace sluice::verify
