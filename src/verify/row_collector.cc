#include "verify/row_collector.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace sluice::verify {
namespace {

using Row = RowCollector::Row;
using RowAt = std::vector<Row>::const_iterator;

/// Adds what [a, a_end) at the source and [b, b_end) at the destination, all of one key and sorted
/// by row hash, have different.
void CompareKey(const RowCollector& source, RowAt a, RowAt a_end, const RowCollector& destination,
                RowAt b, RowAt b_end, std::size_t samples_max, Differences& found) {
  std::uint64_t source_only = 0;
  std::uint64_t destination_only = 0;
  const std::string_view cells = a != a_end ? source.cells(*a) : destination.cells(*b);
  while (a != a_end || b != b_end) {
    if (b == b_end || (a != a_end && a->row < b->row)) {
      source_only += a++->count;
    } else if (a == a_end || b->row < a->row) {
      destination_only += b++->count;
    } else {
      const std::uint64_t both = std::min(a->count, b->count);
      source_only += a++->count - both;
      destination_only += b++->count - both;
    }
  }
  const std::uint64_t pairs = std::min(source_only, destination_only);
  const auto add = [&](DifferenceKind kind, std::uint64_t count, std::uint64_t& total) {
    total += count;
    if (count > 0 && found.samples.size() < samples_max) {
      found.samples.push_back({kind, std::string(cells)});
    }
  };
  add(DifferenceKind::kDifferent, pairs, found.different);
  add(DifferenceKind::kMissing, source_only - pairs, found.missing);
  add(DifferenceKind::kExtra, destination_only - pairs, found.extra);
}

RowAt EndOfKey(RowAt at, RowAt end) {
  return std::find_if(at, end, [key = at->key](const Row& row) { return row.key != key; });
}

}  // namespace

void RowCollector::Add(const types::Hash128& key, const types::Hash128& row,
                       std::string_view cells) {
  cells = cells.substr(0, cells_max_);
  if (has_overflowed_) return;
  if (bytes() + kCollectedRowBytes + cells.size() > bytes_max_) {
    // Many equal rows take no more room than one. Still half full: give up rather than sort again
    // soon.
    Sort();
    has_overflowed_ = bytes() > bytes_max_ / 2;
    if (has_overflowed_) return;
  }
  rows_.push_back({key, row, 1, cells_.size(), static_cast<std::uint32_t>(cells.size())});
  cells_.append(cells);
}

void RowCollector::Merge(RowCollector&& other) {
  has_overflowed_ = has_overflowed_ || other.has_overflowed_;
  if (rows_.empty()) {
    rows_ = std::move(other.rows_);
    cells_ = std::move(other.cells_);
    return;
  }
  for (Row& row : other.rows_) row.text_begin += cells_.size();
  rows_.insert(rows_.end(), other.rows_.begin(), other.rows_.end());
  cells_.append(other.cells_);
}

void RowCollector::Sort() {
  std::ranges::sort(rows_, [](const Row& a, const Row& b) {
    return std::tie(a.key, a.row) < std::tie(b.key, b.row);
  });
  std::string kept_cells;
  std::size_t kept = 0;
  for (const Row& row : rows_) {
    if (kept > 0 && rows_[kept - 1].key == row.key && rows_[kept - 1].row == row.row) {
      rows_[kept - 1].count += row.count;
      continue;
    }
    const std::string_view text = cells(row);
    rows_[kept] = row;
    rows_[kept].text_begin = kept_cells.size();
    kept_cells.append(text);
    ++kept;
  }
  rows_.resize(kept);
  cells_ = std::move(kept_cells);
}

void Differences::Add(Differences other, std::size_t samples_max) {
  missing += other.missing;
  extra += other.extra;
  different += other.different;
  for (Sample& sample : other.samples) {
    if (samples.size() >= samples_max) break;
    samples.push_back(std::move(sample));
  }
}

Differences Compare(const RowCollector& source, const RowCollector& destination,
                    std::size_t samples_max) {
  Differences found;
  RowAt a = source.rows().begin();
  RowAt b = destination.rows().begin();
  const RowAt a_last = source.rows().end();
  const RowAt b_last = destination.rows().end();
  while (a != a_last || b != b_last) {
    const bool takes_source = a != a_last && (b == b_last || a->key <= b->key);
    const bool takes_destination = b != b_last && (a == a_last || b->key <= a->key);
    const RowAt a_end = takes_source ? EndOfKey(a, a_last) : a;
    const RowAt b_end = takes_destination ? EndOfKey(b, b_last) : b;
    CompareKey(source, a, a_end, destination, b, b_end, samples_max, found);
    a = a_end;
    b = b_end;
  }
  return found;
}

}  // namespace sluice::verify
