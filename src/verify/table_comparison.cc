#include "verify/table_comparison.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "types/hidden_columns.h"

namespace sluice::verify {
namespace {

/// Longest text of one column in a sample.
constexpr std::size_t kSampleTextMax = 200;

std::uint16_t BucketOf(const types::Hash128& key) {
  return static_cast<std::uint16_t>(key.low);
}

Error Malformed(const Column& column) {
  return Error{.kind = ErrorKind::kProtocol,
               .message = "verify cannot read what the source sent: column " + column.name +
                          " is not a " + column.type.name,
               .code = "SLU-4501"};
}

}  // namespace

TableScan::TableScan(const ComparedTable& table, Side side, const BucketSet* wanted,
                     std::size_t bytes_max, std::size_t cells_max)
    : table_(&table),
      side_(side),
      wanted_(wanted),
      cells_max_(cells_max),
      copy_rows_(table.columns.size()) {
  cell_begins_.resize(table.columns.size() + 1);
  if (wanted_ == nullptr) {
    sums_ = std::make_unique<BucketSums>();
  } else {
    collector_.emplace(bytes_max, cells_max);
  }
}

/// `append_cell(column, row_)` appends one cell; false: malformed.
template <class AppendCell>
Status TableScan::AddRow(const AppendCell& append_cell) {
  row_.clear();
  const std::size_t count = table_->columns.size();
  for (std::size_t i = 0; i < count; ++i) {
    cell_begins_[i] = row_.size();
    if (!append_cell(i, row_)) {
      return Malformed(table_->schema->columns[static_cast<std::size_t>(table_->columns[i])]);
    }
  }
  cell_begins_[count] = row_.size();
  const types::Hash128 row_hash = types::HashCanonical(row_);
  std::string_view key = row_;
  types::Hash128 key_hash = row_hash;
  if (!table_->is_keyless()) {
    key_.clear();
    for (const std::size_t column : table_->key) {
      key_.append(row_, cell_begins_[column], cell_begins_[column + 1] - cell_begins_[column]);
    }
    key = key_;
    key_hash = types::HashCanonical(key_);
  }
  if (wanted_ == nullptr) {
    sums_->Add(BucketOf(key_hash), row_hash);
    kept_bytes_ += std::min(key.size(), cells_max_);
  } else if ((*wanted_)[BucketOf(key_hash)]) {
    collector_->Add(key_hash, row_hash, key);
  }
  return {};
}

Status TableScan::AppendCopy(std::span<const std::byte> message) {
  SLUICE_CHECK(side_ == Side::kSource);
  copy_rows_.Begin(message);
  while (true) {
    SLUICE_ASSIGN_OR_RETURN(const bool has_row, copy_rows_.Next());
    if (!has_row) return {};
    const std::span<const SourceCell> cells = copy_rows_.cells();
    SLUICE_RETURN_IF_ERROR(AddRow([&](std::size_t column, std::string& out) {
      if (!cells[column].is_null) {
        if (table_->lets_go[column])
          return types::AppendCellOrNull(table_->types[column], cells[column].bytes, out);
        return types::AppendWireCell(table_->types[column], cells[column].bytes, out);
      }
      types::AppendNullCell(out);
      return true;
    }));
  }
}

Status TableScan::AppendRows(const arrow::RecordBatch& rows) {
  SLUICE_CHECK(side_ == Side::kDestination);
  SLUICE_ASSIGN_OR_RETURN(const types::ArrowCellEncoder encoder,
                          types::ArrowCellEncoder::Make(table_->types, rows.columns()));
  for (std::int64_t row = 0; row < rows.num_rows(); ++row) {
    SLUICE_RETURN_IF_ERROR(AddRow([&](std::size_t column, std::string& out) {
      encoder.Append(column, row, out);
      return true;
    }));
  }
  return {};
}

TableComparison::TableComparison(ComparedTable table, Lsn lsn, ComparisonOptions options)
    : table_(std::move(table)), lsn_(lsn), options_(options) {}

TableScan TableComparison::NewScan(Side side) const {
  return TableScan(table_, side, is_first_pass_ ? nullptr : wanted_.get(),
                   options_.memory_bytes_max / 2, CellsMax());
}

std::size_t TableComparison::CellsMax() const {
  return options_.keys_max > 0 && !table_.is_keyless() ? kKeyBytesMax : kSampleBytesMax;
}

Status TableComparison::Absorb(TableScan scan) {
  const bool is_source = scan.side_ == Side::kSource;
  if (is_source) SLUICE_RETURN_IF_ERROR(scan.copy_rows_.CheckComplete());
  if (is_first_pass_) {
    (is_source ? source_sums_ : destination_sums_).Merge(*scan.sums_);
    kept_bytes_ += scan.kept_bytes_;
  } else {
    (is_source ? source_rows_ : destination_rows_)->Merge(std::move(*scan.collector_));
  }
  return {};
}

/// As many of the differing buckets as fit into memory on both sides.
void TableComparison::ChooseBuckets() {
  wanted_ = std::make_unique<BucketSet>();
  const std::uint64_t rows =
      std::max<std::uint64_t>(1, source_sums_.row_count() + destination_sums_.row_count());
  // A quarter more than the average key, as buckets vary; what does not fit after all is counted as
  // incomplete.
  const std::uint64_t row_bytes = kCollectedRowBytes + kept_bytes_ / rows * 5 / 4 + 1;
  const std::uint64_t rows_max = options_.memory_bytes_max / 2 / row_bytes;
  std::uint64_t chosen = 0;
  while (!differing_.empty()) {
    const std::uint16_t bucket = differing_.back();
    const std::uint64_t more =
        std::max(source_sums_[bucket].row_count, destination_sums_[bucket].row_count);
    if (chosen > 0 && chosen + more > rows_max) break;
    chosen += more;
    wanted_->set(bucket);
    differing_.pop_back();
  }
  source_rows_.emplace(options_.memory_bytes_max / 2, CellsMax());
  destination_rows_.emplace(options_.memory_bytes_max / 2, CellsMax());
}

bool TableComparison::FinishPass() {
  if (is_first_pass_) {
    is_first_pass_ = false;
    differing_ = DifferingBuckets(source_sums_, destination_sums_);
  } else {
    const bool has_all = !source_rows_->has_overflowed() && !destination_rows_->has_overflowed();
    is_incomplete_ = is_incomplete_ || !has_all;
    source_rows_->Sort();
    destination_rows_->Sort();
    if (has_all) {
      // One key may be two samples: another row, and one too many.
      const std::size_t samples_max =
          std::max(options_.samples_max, table_.is_keyless() ? 0 : 2 * options_.keys_max);
      differences_.Add(Compare(*source_rows_, *destination_rows_, samples_max), samples_max);
    }
    source_rows_.reset();
    destination_rows_.reset();
  }
  if (differing_.empty()) return false;
  if (second_passes_ == options_.second_passes_max) {
    is_incomplete_ = true;
    return false;
  }
  ++second_passes_;
  ChooseBuckets();
  return true;
}

SampleRow TableComparison::Describe(const Differences::Sample& sample) const {
  SampleRow row{.kind = sample.kind, .columns = {}};
  std::string_view cells = sample.cells;
  const std::size_t count = table_.is_keyless() ? table_.columns.size() : table_.key.size();
  for (std::size_t i = 0; i < count && !cells.empty(); ++i) {
    const std::size_t column = table_.is_keyless() ? i : table_.key[i];
    const auto text = types::DescribeCell(table_.types[column], cells, kSampleTextMax);
    if (!text) break;  // cut off here
    const auto index = static_cast<std::size_t>(table_.columns[column]);
    row.columns.emplace_back(table_.schema->columns[index].name, *text);
  }
  return row;
}

TableResult TableComparison::Finish() const {
  TableResult result;
  result.name = table_.schema->name;
  result.lsn = lsn_;
  result.rows_source = source_sums_.row_count();
  result.rows_destination = destination_sums_.row_count();
  result.missing = differences_.missing;
  result.extra = differences_.extra;
  result.different = differences_.different;
  result.not_compared = table_.not_compared;
  result.are_counts_minimum = is_incomplete_;
  for (const Differences::Sample& sample : differences_.samples) {
    if (result.sample.size() == options_.samples_max) break;
    result.sample.push_back(Describe(sample));
  }
  const bool is_equal = DifferingBuckets(source_sums_, destination_sums_).empty();
  result.status = is_equal ? ComparisonStatus::kEqual : ComparisonStatus::kDifferent;
  // Where rows are only added the source may have fewer, and nothing else may differ.
  const bool is_append = types::IsAppend(*table_.schema);
  if (!is_equal && is_append && result.missing == 0 && result.different == 0) {
    result.sample.clear();
    result.status = is_incomplete_ ? ComparisonStatus::kNotCompared : ComparisonStatus::kEqual;
    if (is_incomplete_)
      result.reason = "it has more rows here than fit into memory beside those of the source";
  }
  return result;
}

std::optional<std::vector<KeyText>> TableComparison::DifferingKeys() const {
  if (table_.is_keyless() || is_incomplete_ || options_.keys_max == 0) return std::nullopt;
  std::vector<ColumnType> types;
  for (const std::size_t column : table_.key) types.push_back(table_.types[column]);
  std::vector<std::string_view> cells;
  for (const Differences::Sample& sample : differences_.samples) cells.push_back(sample.cells);
  std::ranges::sort(cells);
  cells.erase(std::unique(cells.begin(), cells.end()), cells.end());
  const std::uint64_t count = differences_.missing + differences_.extra + differences_.different;
  const bool has_all = differences_.samples.size() < 2 * options_.keys_max || count == cells.size();
  if (!has_all || cells.size() > options_.keys_max) return std::nullopt;
  std::vector<KeyText> keys;
  keys.reserve(cells.size());
  for (const std::string_view one : cells) {
    std::optional<KeyText> key = ReadKeyText(types, one);
    if (!key) return std::nullopt;
    keys.push_back(*std::move(key));
  }
  return keys;
}

}  // namespace sluice::verify
