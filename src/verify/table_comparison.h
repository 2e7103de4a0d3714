/// \file
/// Compares one table of both sides at a fence, by reading each side once, and what differs again.
///
///   TableComparison comparison(MakeComparedTable(schema), lsn);
///   do {                                         // pass 1; then pass 2, in rounds, where
///   something differs
///     // any number of workers a side, each with a scan of its own
///     TableScan scan = comparison.NewScan(Side::kSource);
///     while (message) SLUICE_RETURN_IF_ERROR(scan.AppendCopy(message));
///     SLUICE_RETURN_IF_ERROR(comparison.Absorb(std::move(scan)));
///     ... the same for Side::kDestination with AppendRows() ...
///   } while (comparison.FinishPass());
///   TableResult result = comparison.Finish();
///
/// Every pass must read the same rows: the source under one snapshot, the destination in one read
/// transaction. Pure. Memory: 3 MiB, 1.5 MiB a scan in pass 1, ComparisonOptions::memory_bytes_max
/// in pass 2. Thread safety: a scan belongs to one thread and may be fed while others are; the
/// comparison's own members are called by one thread, FinishPass() when no scan is out.
#pragma once

#include <arrow/type_fwd.h>

#include <bitset>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sluice/lsn.h"
#include "sluice/result.h"

#include "verify/bucket_sums.h"
#include "verify/compared_table.h"
#include "verify/comparison_result.h"
#include "verify/copy_rows.h"
#include "verify/key_text.h"
#include "verify/row_collector.h"

namespace sluice::verify {

enum class Side : std::uint8_t { kSource, kDestination };

struct ComparisonOptions {
  std::size_t memory_bytes_max = std::size_t{64} << 20;
  std::size_t samples_max = 10;
  /// How many differing keys are remembered for TableComparison::DifferingKeys(); 0: none.
  std::size_t keys_max = 0;
  /// How often both sides are read again when the differing rows do not fit into memory at once.
  int second_passes_max = 8;
};

using BucketSet = std::bitset<kBucketCount>;

/// One worker's reading of one side in one pass. Must not outlive its TableComparison.
class TableScan {
 public:
  TableScan(TableScan&&) noexcept = default;
  TableScan& operator=(TableScan&&) noexcept = default;

  /// A CopyData message of SelectForVerify()'s COPY. Only for Side::kSource.
  /// Errors: kProtocol (SLU-4501).
  Status AppendCopy(std::span<const std::byte> message);
  /// Rows of the destination: one column per entry of ComparedTable::columns, as their carriers.
  /// Only for Side::kDestination. Errors: kInternal (SLU-9001): other columns.
  Status AppendRows(const arrow::RecordBatch& rows);

 private:
  friend class TableComparison;
  TableScan(const ComparedTable& table, Side side, const BucketSet* wanted, std::size_t bytes_max,
            std::size_t cells_max);

  template <class AppendCell>
  Status AddRow(const AppendCell& append_cell);

  const ComparedTable* table_;
  Side side_;
  const BucketSet* wanted_;  ///< null: pass 1
  std::size_t cells_max_;
  CopyRows copy_rows_;
  std::unique_ptr<BucketSums> sums_;
  std::uint64_t kept_bytes_ = 0;  ///< what the keys would take in pass 2
  std::optional<RowCollector> collector_;
  std::string row_;  ///< canonical cells of the row at hand
  std::string key_;
  std::vector<std::size_t> cell_begins_;
};

class TableComparison {
 public:
  TableComparison(ComparedTable table, Lsn lsn, ComparisonOptions options = {});
  TableComparison(const TableComparison&) = delete;
  TableComparison& operator=(const TableComparison&) = delete;

  const ComparedTable& table() const { return table_; }

  TableScan NewScan(Side side) const;
  /// A scan that has read all of its share. Errors: kProtocol (SLU-4501): the COPY was cut short.
  Status Absorb(TableScan scan);
  /// True: both sides must be read (once more). False: Finish() has the result.
  bool FinishPass();
  TableResult Finish() const;
  /// The keys of all rows that differ, each once. nullopt: they are not known one by one: the table
  /// is keyless, there are more than ComparisonOptions::keys_max, or one has no text.
  std::optional<std::vector<KeyText>> DifferingKeys() const;

 private:
  void ChooseBuckets();
  std::size_t CellsMax() const;
  SampleRow Describe(const Differences::Sample& sample) const;

  ComparedTable table_;
  Lsn lsn_;
  ComparisonOptions options_;
  BucketSums source_sums_;
  BucketSums destination_sums_;
  std::uint64_t kept_bytes_ = 0;
  bool is_first_pass_ = true;
  bool is_incomplete_ = false;
  int second_passes_ = 0;
  std::vector<std::uint16_t> differing_;  ///< not yet looked at; from the back
  std::unique_ptr<BucketSet> wanted_;
  std::optional<RowCollector> source_rows_;
  std::optional<RowCollector> destination_rows_;
  Differences differences_;
};

}  // namespace sluice::verify
