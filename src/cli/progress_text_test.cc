#include "cli/progress_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

engine::TableStatus Table(std::string name, TableState state, std::int64_t copied,
                          std::int64_t estimated) {
  engine::TableStatus table;
  table.record.source = {"public", std::move(name)};
  table.record.state = state;
  table.rows_copied = copied;
  table.rows_estimated = estimated;
  table.bytes_copied = static_cast<std::uint64_t>(copied) * 1024;
  return table;
}

engine::PipelineStatus Running() {
  engine::PipelineStatus status;
  status.phase = engine::Phase::kRunning;
  status.durable = {0x16B3748};
  status.tables = {Table("orders", TableState::kCopying, 512, 1024),
                   Table("users", TableState::kLive, 10, 10)};
  return status;
}

TEST(Bar, IsAsWideAsAskedFor) {
  EXPECT_EQ(Bar(0, 12), "[          ]");
  EXPECT_EQ(Bar(0.5, 12), "[=====>    ]");
  EXPECT_EQ(Bar(1, 12), "[==========]");
  EXPECT_EQ(Bar(7, 12), "[==========]");
  EXPECT_EQ(Bar(-1, 12), "[          ]");
  EXPECT_EQ(Bar(0.5, 2), "");
}

TEST(CopyRatio, IsNeverDoneBeforeTheTableIsLive) {
  EXPECT_EQ(CopyRatio(Table("t", TableState::kCopying, 200, 100)), 0.99);
  EXPECT_EQ(CopyRatio(Table("t", TableState::kLive, 0, 0)), 1);
  EXPECT_LT(CopyRatio(Table("t", TableState::kCopying, 5, 0)), 0);
  EXPECT_LT(CopyRatio(Table("t", TableState::kCopying, 5, -1)), 0);
}

TEST(CutTo, CountsCharactersNotBytes) {
  EXPECT_EQ(CutTo("größe", 4), "größ");
  EXPECT_EQ(CutTo("ab", 4), "ab");
  EXPECT_EQ(CutTo("a\nb", 4), "a b");
}

TEST(ProgressLines, ShowABarForWhatIsCopiedAndOneLineForAll) {
  EXPECT_THAT(ProgressLines(Running(), {.rows = 1234.4, .transactions = 5}, 100),
              ElementsAre("  public.orders [==========>         ]  50% 512 rows, 512 KiB",
                          "running | 1 of 2 tables live, 1 copying | lag 0.0 s | 1,234 rows/s, "
                          "5 tx/s | 0/16B3748"));
}

TEST(ProgressLines, StayFewAndNarrow) {
  engine::PipelineStatus status = Running();
  for (int i = 0; i < 50; ++i) {
    status.tables.push_back(
        Table("some_long_name_" + std::to_string(i), TableState::kCopying, 1, 0));
  }
  const auto lines = ProgressLines(status, {}, 40);
  EXPECT_EQ(lines.size(), 10U);
  EXPECT_THAT(lines[8], HasSubstr("and 43 more"));
  for (const std::string& line : lines) EXPECT_LE(line.size(), 40U);
}

TEST(PlainProgressLine, SaysHowFarTheCopiesAre) {
  EXPECT_THAT(PlainProgressLine(Running(), {}), HasSubstr("512 of about 1,024 rows copied"));
}

TEST(PlainProgressLine, SaysWhyItIsNotRunning) {
  engine::PipelineStatus status;
  status.phase = engine::Phase::kRetrying;
  status.last_error = "connection refused";
  EXPECT_EQ(PlainProgressLine(status, {}), "retrying: connection refused");
}

TEST(ProgressKey, IsTheSameWhileNothingHappens) {
  engine::PipelineStatus a = Running();
  engine::PipelineStatus b = Running();
  b.lag_seconds = 0.1;
  EXPECT_EQ(ProgressKey(a), ProgressKey(b));
  b.tables[0].rows_copied++;
  EXPECT_NE(ProgressKey(a), ProgressKey(b));
}

TEST(RateMeter, MeasuresTheLastSeconds) {
  RateMeter meter;
  EXPECT_EQ(meter.rates().rows, 0);
  const Clock::time_point start{};
  engine::PipelineStatus status;
  for (int second = 0; second <= 10; ++second) {
    status.rows_streamed = second <= 5 ? 0 : (second - 5) * 100;
    status.transactions = second;
    meter.Add(start + std::chrono::seconds(second), status);
  }
  EXPECT_DOUBLE_EQ(meter.rates().rows, 100);
  EXPECT_DOUBLE_EQ(meter.rates().transactions, 1);
}

}  // namespace
}  // namespace sluice::cli
