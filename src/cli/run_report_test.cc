#include "cli/run_report.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

namespace sluice::cli {
namespace {

RunReport Report() {
  RunReport report;
  report.status.pipeline = "shop";
  report.status.rows_copied = 10;
  report.status.rows_streamed = 5;
  report.status.retries_source = 2;
  report.status.durable = {0x16B3748};
  report.started_at = {1'000'000};
  report.ended_at = {3'500'000};
  report.peak_memory_bytes = 42;
  engine::TableStatus table;
  table.record.source = {"public", "a"};
  table.record.state = TableState::kLive;
  table.bytes_copied = 100;
  report.status.tables.push_back(table);
  table.record.source = {"public", "b"};
  table.record.state = TableState::kHalted;
  table.record.reason = "why";
  report.status.tables.push_back(table);
  return report;
}

TEST(ReportJson, CountsTablesByStateAndSumsBytes) {
  const auto json = ReportJson(Report());
  EXPECT_EQ(json["pipeline"], "shop");
  EXPECT_EQ(json["exit_code"], 0);
  EXPECT_TRUE(json["error"].is_null());
  EXPECT_EQ(json["seconds"], 2.5);
  EXPECT_EQ(json["rows_copied"], 10);
  EXPECT_EQ(json["bytes_copied"], 200);
  EXPECT_EQ(json["rows_streamed"], 5);
  EXPECT_EQ(json["retries"]["source"], 2);
  EXPECT_EQ(json["tables"]["live"], 1);
  EXPECT_EQ(json["tables"]["halted"], 1);
  EXPECT_EQ(json["tables"]["pending"], 0);
  ASSERT_EQ(json["not_live"].size(), 1U);
  EXPECT_EQ(json["not_live"][0]["table"], "b");
  EXPECT_EQ(json["not_live"][0]["reason"], "why");
  EXPECT_EQ(json["durable_lsn"], "0/16B3748");
  EXPECT_EQ(json["peak_memory_bytes"], 42);
}

TEST(ReportJson, HoldsTheErrorWithoutPasswords) {
  RunReport report = Report();
  report.exit_code = 2;
  report.error = Error{.message = "no: postgres://a:pw@b/c", .code = "SLU-2002"};
  const auto json = ReportJson(report);
  EXPECT_EQ(json["exit_code"], 2);
  EXPECT_EQ(json["error"]["code"], "SLU-2002");
  EXPECT_EQ(json["error"]["message"], "no: postgres://a:***@b/c");
}

TEST(WriteReport, ReplacesTheFile) {
  const std::string path =
      (std::filesystem::path(testing::TempDir()) / "sluice_run_report_test.json").string();
  ASSERT_TRUE(CheckReportPath(path));
  ASSERT_TRUE(WriteReport(path, ReportJson(Report())));
  ASSERT_TRUE(CheckReportPath(path));
  ASSERT_TRUE(WriteReport(path, {{"a", 1}}));
  std::ifstream in(path);
  EXPECT_EQ(nlohmann::json::parse(in)["a"], 1);
  std::filesystem::remove(path);
}

TEST(CheckReportPath, SaysWhyAtTheStart) {
  const auto status = CheckReportPath("/no/such/folder/report.json");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, "SLU-1021");
  EXPECT_EQ(status.error().kind, ErrorKind::kConfig);
}

}  // namespace
}  // namespace sluice::cli
