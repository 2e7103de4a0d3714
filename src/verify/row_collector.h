/// \file
/// Pass 2: key and hash of the rows in chosen buckets, within a memory limit; and how two sides
/// differ.
///
/// Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "types/canonical.h"

namespace sluice::verify {

/// Longest key, or row of a keyless table, that is kept for the sample; what follows is cut off.
inline constexpr std::size_t kSampleBytesMax = 1024;
/// An index entry takes less than 2,704 bytes, compressed: what is longer is no usual key.
inline constexpr std::size_t kKeyBytesMax = std::size_t{16} << 10;
/// What one collected row takes beside its key.
inline constexpr std::size_t kCollectedRowBytes = 56;

class RowCollector {
 public:
  struct Row {
    types::Hash128 key;
    types::Hash128 row;
    std::uint64_t count = 1;       ///< equal rows of one key are one entry after Sort()
    std::uint64_t text_begin = 0;  ///< in the collector's cells
    std::uint32_t text_length = 0;
  };

  explicit RowCollector(std::size_t bytes_max, std::size_t cells_max = kSampleBytesMax)
      : bytes_max_(bytes_max), cells_max_(cells_max) {}

  /// `cells`: canonical cells of the key, or of the row for keyless tables.
  void Add(const types::Hash128& key, const types::Hash128& row, std::string_view cells);
  void Merge(RowCollector&& other);
  /// By key, then by row hash; equal ones become one entry.
  void Sort();

  const std::vector<Row>& rows() const { return rows_; }
  std::string_view cells(const Row& row) const {
    return std::string_view(cells_).substr(row.text_begin, row.text_length);
  }
  /// Rows were dropped, as they did not fit: a comparison would say nothing true.
  bool has_overflowed() const { return has_overflowed_; }

 private:
  std::size_t bytes() const { return rows_.size() * kCollectedRowBytes + cells_.size(); }

  std::size_t bytes_max_;
  std::size_t cells_max_;
  std::vector<Row> rows_;
  std::string cells_;
  bool has_overflowed_ = false;
};

enum class DifferenceKind : std::uint8_t {
  kMissing,    ///< at the source only
  kExtra,      ///< at the destination only
  kDifferent,  ///< on both sides, with other values
};

struct Differences {
  struct Sample {
    DifferenceKind kind;
    std::string cells;  ///< as given to RowCollector::Add
  };
  std::uint64_t missing = 0;
  std::uint64_t extra = 0;
  std::uint64_t different = 0;
  std::vector<Sample> samples;

  /// The counts, and samples up to `samples_max`.
  void Add(Differences other, std::size_t samples_max);
};

/// Both sorted. A key may come more than once on either side: equal rows are paired first, then the
/// others as different, the rest is missing or extra.
Differences Compare(const RowCollector& source, const RowCollector& destination,
                    std::size_t samples_max);

}  // namespace sluice::verify
