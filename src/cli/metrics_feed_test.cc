#include "cli/metrics_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

engine::PipelineStatus StatusWith(std::int64_t rows_copied) {
  engine::PipelineStatus status;
  status.pipeline = "shop";
  status.transactions = 7;
  engine::TableStatus table;
  table.record.source = {"public", "t"};
  table.record.state = TableState::kCopying;
  table.rows_copied = rows_copied;
  table.rows_estimated = 100;
  status.tables.push_back(table);
  return status;
}

TEST(MetricsFeed, CountersGoOnWhenACopyBeginsAgain) {
  MetricsFeed feed("shop", "1");
  feed.Update(StatusWith(40), {});
  feed.Update(StatusWith(60), {});
  feed.Update(StatusWith(10), {});
  EXPECT_THAT(feed.Serialize(),
              HasSubstr("sluice_copied_rows_total{pipeline=\"shop\",table=\"public.t\"} 70"));
}

TEST(MetricsFeed, ForgetsTablesThatAreGone) {
  MetricsFeed feed("shop", "1");
  feed.Update(StatusWith(40), {});
  EXPECT_THAT(feed.Serialize(), HasSubstr("public.t"));
  engine::PipelineStatus empty;
  feed.Update(empty, {});
  EXPECT_THAT(feed.Serialize(), Not(HasSubstr("public.t")));
}

TEST(MetricsFeed, ObservesABatchOnce) {
  MetricsFeed feed("shop", "1");
  engine::PipelineStatus status;
  status.commits = 1;
  status.last_batch_rows = 5;
  feed.Update(status, {});
  feed.Update(status, {});
  EXPECT_THAT(feed.Serialize(), HasSubstr("sluice_batch_rows_count{pipeline=\"shop\"} 1"));
}

TEST(ReadProcessMemory, SeesThisProcess) {
  const ProcessMemory memory = ReadProcessMemory();
  EXPECT_GT(memory.resident_bytes, 0U);
  EXPECT_GT(memory.peak_bytes, 0U);
}

}  // namespace
}  // namespace sluice::cli
