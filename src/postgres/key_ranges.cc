#include "postgres/key_ranges.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "postgres/quote.h"

namespace sluice::postgres {
namespace {

/// Rows of one range are read in the order of the index: where they lie all over the table, each
/// range would read all of it.
constexpr std::string_view kCorrelationLeast = "0.9";
constexpr std::uint64_t kRangesMost = 10'000;
/// How much of a table may have come since it was analyzed.
constexpr long double kGrowthMost = 10;

std::optional<std::vector<std::int64_t>> ParseIntegers(std::string_view text) {
  const auto items = ParseArrayText(text);
  if (!items) return std::nullopt;
  std::vector<std::int64_t> out;
  for (const std::string& item : *items) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), value);
    if (error != std::errc() || end != item.data() + item.size()) return std::nullopt;
    out.push_back(value);
  }
  return out;
}

std::string Literal(std::int64_t value) {
  return "'" + std::to_string(value) + "'::bigint";
}

}  // namespace

std::uint64_t RangeCount(std::uint64_t bytes, std::uint64_t rows, const RangeSize& size) {
  const std::uint64_t most = bytes / std::max<std::uint64_t>(size.bytes, 1);
  const std::uint64_t least = bytes / std::max({size.bytes, size.bytes_most, std::uint64_t{1}});
  const std::uint64_t count = rows / std::max<std::uint64_t>(size.rows_least, 1);
  return std::min(std::clamp(count, least, most), kRangesMost);
}

Result<std::optional<CopyRanges>> PlanKeyRanges(Connection& connection, RelationId relation,
                                                const RangeSize& size) {
  constexpr const char* kDoing = "plan a copy in ranges";
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult found,
      connection.Exec(
          kDoing,
          "SELECT a.attnum, a.attname, pg_table_size(c.oid), s.histogram_bounds::text, n.nspname,"
          " c.relname,"
          // As the planner reckons: as many in a page as there were when it was analyzed.
          " (greatest(c.reltuples, 0) / greatest(c.relpages, 1) * pg_relation_size(c.oid)"
          " / current_setting('block_size')::int)::bigint FROM pg_class c JOIN pg_namespace n ON "
          "n.oid = c.relnamespace"
          " JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL"
          " AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident"
          " ELSE false END"
          " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]"
          " JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname"
          " AND s.attname = a.attname AND NOT s.inherited"
          " WHERE c.oid = $1::oid AND c.relkind = 'r' AND a.attnotnull"
          " AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)"
          " AND abs(s.correlation) >= " +
              std::string(kCorrelationLeast) +
              " AND s.histogram_bounds IS NOT NULL"
              " AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid)",
          {std::to_string(relation.value)}));
  if (found.row_count() != 1) return std::optional<CopyRanges>();
  const std::uint64_t count =
      RangeCount(static_cast<std::uint64_t>(found.integer_or(0, 2, 0)),
                 static_cast<std::uint64_t>(found.integer_or(0, 6, 0)), size);
  const auto histogram = ParseIntegers(found.text(0, 3));
  if (count < 2 || !histogram) return std::optional<CopyRanges>();
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult newest,
      connection.Exec(kDoing, "SELECT max(" + QuoteIdentifier(found.text(0, 1)) + ") FROM ONLY " +
                                  QuoteTable({found.str(0, 4), found.str(0, 5)})));
  CopyRanges ranges;
  ranges.attnum = static_cast<std::int16_t>(found.integer_or(0, 0, 0));
  ranges.bounds =
      BoundsOf(*histogram, newest.integer_or(0, 0, histogram->empty() ? 0 : histogram->back()),
               static_cast<std::size_t>(count));
  if (ranges.bounds.empty()) return std::optional<CopyRanges>();
  return std::optional(std::move(ranges));
}

std::vector<std::int64_t> BoundsOf(const std::vector<std::int64_t>& histogram, std::int64_t max,
                                   std::size_t count) {
  std::vector<std::int64_t> bounds;
  if (histogram.size() < 2 || histogram.front() >= histogram.back()) return bounds;
  const auto buckets = static_cast<long double>(histogram.size() - 1);
  const auto first = static_cast<long double>(histogram.front());
  const auto last = static_cast<long double>(histogram.back());
  const long double width = (last - first) / buckets;
  const long double tail =
      std::clamp((static_cast<long double>(max) - last) / width, 0.0L, kGrowthMost * buckets);
  for (std::size_t i = 1; i < count; ++i) {
    const long double place =
        (buckets + tail) * static_cast<long double>(i) / static_cast<long double>(count);
    long double value = last + (place - buckets) * width;
    if (place < buckets) {
      const auto bucket = static_cast<std::size_t>(place);
      const auto low = static_cast<long double>(histogram[bucket]);
      const auto high = static_cast<long double>(histogram[bucket + 1]);
      value = low + (high - low) * (place - std::floor(place));
    }
    const auto bound = static_cast<std::int64_t>(std::floor(value));
    // Beyond these a range would be empty for sure.
    if (bound < histogram.front() || bound >= std::max(max, histogram.back())) continue;
    if (bounds.empty() || bound > bounds.back()) bounds.push_back(bound);
  }
  return bounds;
}

std::string RangeSql(std::string_view column, const CopyRanges& ranges, std::uint32_t index) {
  std::string sql;
  const std::string name = QuoteIdentifier(column);
  if (index > 0) sql = name + " > " + Literal(ranges.bounds[index - 1]);
  if (index >= ranges.bounds.size()) return sql;
  return sql + (sql.empty() ? "" : " AND ") + name + " <= " + Literal(ranges.bounds[index]);
}

}  // namespace sluice::postgres
