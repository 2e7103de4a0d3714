#include "verify/bucket_sums.h"

namespace sluice::verify {

void BucketSums::Merge(const BucketSums& other) {
  for (std::size_t i = 0; i < kBucketCount; ++i) {
    buckets_[i].row_count += other.buckets_[i].row_count;
    buckets_[i].low += other.buckets_[i].low;
    buckets_[i].high += other.buckets_[i].high;
  }
}

std::uint64_t BucketSums::row_count() const {
  std::uint64_t count = 0;
  for (const Bucket& bucket : buckets_) count += bucket.row_count;
  return count;
}

std::vector<std::uint16_t> DifferingBuckets(const BucketSums& a, const BucketSums& b) {
  std::vector<std::uint16_t> differing;
  for (std::size_t i = 0; i < kBucketCount; ++i) {
    if (a[i] != b[i]) differing.push_back(static_cast<std::uint16_t>(i));
  }
  return differing;
}

}  // namespace sluice::verify
