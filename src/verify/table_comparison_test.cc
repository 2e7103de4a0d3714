#include "verify/table_comparison.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "types/canonical_internal.h"

namespace sluice::verify {
namespace {

using namespace std::string_literals;

/// One row (id, note) of the tables compared here.
struct TestRow {
  std::int64_t id;
  std::optional<std::string> note;
};

SchemaPtr Table(bool is_keyless) {
  auto schema = std::make_shared<TableSchema>();
  schema->name = {"public", "orders"};
  ColumnType id;
  id.carrier = Carrier::kInt64;
  id.codec = "int8";
  ColumnType note;
  note.codec = "text";
  schema->columns = {{.name = "id", .type = id}, {.name = "note", .type = note}};
  if (!is_keyless) schema->key = {0};
  return schema;
}

std::vector<std::string> CopyMessages(const std::vector<TestRow>& rows) {
  std::vector<std::string> messages = {"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"s};
  for (const TestRow& row : rows) {
    std::string message = "\0\2"s;
    types::canonical::AppendFixedCell(static_cast<std::uint64_t>(row.id), message);
    if (row.note) {
      types::canonical::AppendBytesCell(*row.note, message);
    } else {
      types::AppendNullCell(message);
    }
    messages.push_back(message);
  }
  messages.push_back("\377\377"s);
  return messages;
}

std::shared_ptr<arrow::RecordBatch> Batch(const std::vector<TestRow>& rows) {
  arrow::Int64Builder ids;
  arrow::StringBuilder notes;
  for (const TestRow& row : rows) {
    EXPECT_TRUE(ids.Append(row.id).ok());
    EXPECT_TRUE((row.note ? notes.Append(*row.note) : notes.AppendNull()).ok());
  }
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("note", arrow::utf8())}),
      static_cast<std::int64_t>(rows.size()),
      {ids.Finish().ValueOrDie(), notes.Finish().ValueOrDie()});
}

struct Comparison {
  TableResult result;
  int passes = 0;
};

Comparison CompareTables(const std::vector<TestRow>& source,
                         const std::vector<TestRow>& destination, bool is_keyless = false,
                         ComparisonOptions options = {}) {
  TableComparison comparison(MakeComparedTable(Table(is_keyless)), Lsn{0x16B3748}, options);
  Comparison run;
  do {
    ++run.passes;
    // Two workers at the destination, to see them merged.
    const std::size_t half = destination.size() / 2;
    const auto middle = destination.begin() + static_cast<std::ptrdiff_t>(half);
    TableScan scan = comparison.NewScan(Side::kSource);
    for (const std::string& message : CopyMessages(source)) {
      EXPECT_TRUE(scan.AppendCopy(base::AsBytes(message)).has_value());
    }
    EXPECT_TRUE(comparison.Absorb(std::move(scan)).has_value());
    for (const auto& part : {std::vector<TestRow>(destination.begin(), middle),
                             std::vector<TestRow>(middle, destination.end())}) {
      TableScan worker = comparison.NewScan(Side::kDestination);
      EXPECT_TRUE(worker.AppendRows(*Batch(part)).has_value());
      EXPECT_TRUE(comparison.Absorb(std::move(worker)).has_value());
    }
  } while (comparison.FinishPass());
  run.result = comparison.Finish();
  return run;
}

std::vector<TestRow> Rows(std::int64_t count) {
  std::vector<TestRow> rows;
  for (std::int64_t i = 0; i < count; ++i) {
    rows.push_back({i, i % 7 == 0 ? std::nullopt : std::optional("note " + std::to_string(i))});
  }
  return rows;
}

TEST(TableComparison, FindsNothingInEqualRowsInAnyOrder) {
  const std::vector<TestRow> source = Rows(1000);
  const std::vector<TestRow> destination(source.rbegin(), source.rend());
  const Comparison run = CompareTables(source, destination);
  EXPECT_EQ(run.passes, 1);
  EXPECT_EQ(run.result.status, ComparisonStatus::kEqual);
  EXPECT_EQ(run.result.rows_source, 1000U);
  EXPECT_EQ(run.result.rows_destination, 1000U);
}

TEST(TableComparison, NamesTheKeyOfADamagedCell) {
  const std::vector<TestRow> source = Rows(1000);
  std::vector<TestRow> destination = source;
  destination[541].note = "note 54l";
  const Comparison run = CompareTables(source, destination);
  EXPECT_EQ(run.passes, 2);
  EXPECT_EQ(run.result.different, 1U);
  EXPECT_EQ(run.result.missing + run.result.extra, 0U);
  ASSERT_EQ(run.result.sample.size(), 1U);
  EXPECT_EQ(run.result.sample[0].kind, DifferenceKind::kDifferent);
  EXPECT_EQ(run.result.sample[0].columns[0], (std::pair<std::string, std::string>{"id", "541"}));
}

TEST(TableComparison, TellsNullFromEmpty) {
  EXPECT_EQ(CompareTables({{1, ""}}, {{1, std::nullopt}}).result.different, 1U);
}

TEST(TableComparison, CountsMissingExtraAndDifferentApart) {
  const std::vector<TestRow> source = Rows(1000);
  std::vector<TestRow> destination = source;
  std::swap(destination[10].note, destination[20].note);
  destination.erase(destination.begin() + 30);
  destination.push_back({5000, "new"});
  destination.push_back(source[40]);
  const Comparison run = CompareTables(source, destination);
  EXPECT_EQ(run.result.different, 2U);
  EXPECT_EQ(run.result.missing, 1U);
  EXPECT_EQ(run.result.extra, 2U);
  EXPECT_EQ(run.result.sample.size(), 5U);
}

TEST(TableComparison, ComparesKeylessTablesAsMultisets) {
  const std::vector<TestRow> source = {{1, "a"}, {1, "a"}, {1, "b"}};
  EXPECT_EQ(CompareTables(source, {{1, "b"}, {1, "a"}, {1, "a"}}, true).result.status,
            ComparisonStatus::kEqual);
  const Comparison run = CompareTables(source, {{1, "a"}, {1, "b"}, {1, "b"}}, true);
  EXPECT_EQ(run.result.missing, 1U);
  EXPECT_EQ(run.result.extra, 1U);
  EXPECT_EQ(run.result.different, 0U);
  EXPECT_EQ(run.result.sample[0].columns.size(), 2U);
}

TEST(TableComparison, CountsManyEqualRowsInLittleMemory) {
  const std::vector<TestRow> source(20'000, TestRow{1, "same"});
  const std::vector<TestRow> destination(19'990, TestRow{1, "same"});
  const Comparison run = CompareTables(source, destination, true, {.memory_bytes_max = 100'000});
  EXPECT_FALSE(run.result.are_counts_minimum);
  EXPECT_EQ(run.result.missing, 10U);
  EXPECT_EQ(run.result.extra, 0U);
}

TEST(TableComparison, ReadsAgainWhereMemoryDoesNotHoldAllThatDiffers) {
  const std::vector<TestRow> source = Rows(5000);
  std::vector<TestRow> destination = source;
  for (TestRow& row : destination) row.note = "lost";
  const Comparison run = CompareTables(source, destination, false,
                                       {.memory_bytes_max = 300'000, .second_passes_max = 100});
  EXPECT_GT(run.passes, 2);
  EXPECT_EQ(run.result.different, 5000U);
  EXPECT_EQ(run.result.sample.size(), 10U);
  EXPECT_FALSE(run.result.are_counts_minimum);
  const Comparison capped = CompareTables(source, destination, false,
                                          {.memory_bytes_max = 300'000, .second_passes_max = 1});
  EXPECT_TRUE(capped.result.are_counts_minimum);
  EXPECT_LT(capped.result.different, 5000U);
  EXPECT_EQ(capped.result.status, ComparisonStatus::kDifferent);
}

TEST(TableComparison, FindsExactlyWhatWasDamagedAtRandom) {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    std::mt19937 random(seed);
    const std::vector<TestRow> source = Rows(300);
    std::vector<TestRow> destination;
    std::uint64_t missing = 0;
    std::uint64_t different = 0;
    std::uint64_t extra = 0;
    for (const TestRow& row : source) {
      const unsigned dice = static_cast<unsigned>(random()) % 20;
      if (dice == 0) {
        ++missing;
        continue;
      }
      destination.push_back(row);
      if (dice == 1) {
        ++different;
        destination.back().note = row.note.value_or("") + "!";
      } else if (dice == 2) {
        ++extra;
        destination.push_back({row.id + 100'000, row.note});
      }
    }
    std::shuffle(destination.begin(), destination.end(), random);
    const Comparison run = CompareTables(source, destination);
    EXPECT_EQ(run.result.missing, missing) << seed;
    EXPECT_EQ(run.result.different, different) << seed;
    EXPECT_EQ(run.result.extra, extra) << seed;
  }
}

TEST(TableComparison, RefusesACopyThatEndedEarlyOrHasOtherTypes) {
  TableComparison comparison(MakeComparedTable(Table(false)), Lsn{1});
  TableScan cut = comparison.NewScan(Side::kSource);
  ASSERT_TRUE(cut.AppendCopy(base::AsBytes(CopyMessages({})[0])).has_value());
  const Status early = comparison.Absorb(std::move(cut));
  ASSERT_FALSE(early.has_value());
  EXPECT_EQ(early.error().code, "SLU-4501");
  TableScan wrong = comparison.NewScan(Side::kSource);
  ASSERT_TRUE(wrong.AppendCopy(base::AsBytes(CopyMessages({})[0])).has_value());
  EXPECT_FALSE(wrong.AppendCopy(base::AsBytes("\0\2\0\0\0\1x\0\0\0\1y"s)).has_value());
}

TEST(PrintJson, HasTheDocumentedShape) {
  std::vector<TestRow> destination = Rows(10);
  destination[3].note = "x";
  const VerifyResult result{{CompareTables(Rows(10), destination).result}};
  const nlohmann::json json = ToJson(result);
  EXPECT_EQ(json.dump(),
            R"({"equal":false,"tables":[{"different":1,"extra":0,"lsn":"0/16B3748","missing":0,)"
            R"("not_compared":[],"rows_destination":10,"rows_source":10,)"
            R"("sample":[{"columns":{"id":"3"},"kind":"different"}],"schema":"public",)"
            R"("status":"different","table":"orders"}]})");
  EXPECT_TRUE(VerifyResult{}.is_equal());
}

TEST(PrintJson, ReplacesBytesThatAreNotText) {
  TableResult table;
  table.reason = "\xff";
  EXPECT_NE(PrintJson(VerifyResult{{table}}).find("\xef\xbf\xbd"), std::string::npos);
}

}  // namespace
}  // namespace sluice::verify
