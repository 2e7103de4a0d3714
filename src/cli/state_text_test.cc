#include "cli/state_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/check_text.h"
#include "cli/pipeline_client.h"
#include "cli/status_json.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

Json VerifyReport(const std::string& status, const std::string& reason = "") {
  Json table = {{"schema", "public"},
                {"table", "orders"},
                {"status", status},
                {"rows_source", 1234},
                {"rows_destination", 1},
                {"missing", 3},
                {"extra", 0},
                {"different", 2},
                {"reason", reason},
                {"not_compared", Json::array()}};
  table["sample"] = Json::parse(
      R"([{"kind":"missing","columns":{"id":"5"}},{"kind":"missing","columns":{"id":"6"}},
          {"kind":"different","columns":{"id":"9"}}])");
  Json report = Json::object();
  report["equal"] = status != "different";
  report["tables"] = Json::array({table});
  return report;
}

TEST(VerifyText, NamesCountsAndTheFirstOfEachKind) {
  const std::string text = VerifyText(VerifyReport("different"));
  EXPECT_TRUE(Has(text, "3 missing, 2 different (first: missing id=5; different id=9)")) << text;
  EXPECT_TRUE(Has(text, "1,234")) << text;
  EXPECT_FALSE(Has(text, "id=6")) << text;
}

TEST(VerifyExitCode, PutsDifferencesBeforeHaltedTables) {
  EXPECT_EQ(VerifyExitCode(VerifyReport("equal")), 0);
  EXPECT_EQ(VerifyExitCode(VerifyReport("different")), 1);
  EXPECT_EQ(VerifyExitCode(VerifyReport("not_compared", "halted: SLU-4104")), 3);
  EXPECT_EQ(VerifyExitCode(VerifyReport("not_compared", "pending: copied again")), 3);
  EXPECT_EQ(VerifyExitCode(VerifyReport("not_compared", "copying")), 3);
  EXPECT_EQ(VerifyExitCode(VerifyReport("not_compared", "skipped: no identity")), 0);
  EXPECT_EQ(VerifyExitCode(VerifyReport("not_compared", "skipped since it was copied: x")), 3);
}

TEST(RepairText, SaysWhatWasFoundWhatWasDoneAndWhatIsNow) {
  Json report = VerifyReport("different");
  report["equal"] = true;
  report["dry_run"] = false;
  Json& table = report["tables"][0];
  table["action"] = "rows";
  table["keys_repaired"] = 5;
  table["longest_pause_ms"] = 12;
  table["status_now"] = "equal";
  const std::string text = RepairText(report);
  EXPECT_TRUE(Has(text, "3 missing, 2 different")) << text;
  EXPECT_TRUE(Has(text, "5 keys read again")) << text;
  EXPECT_TRUE(Has(text, "longest pause of the pipeline: 12 ms")) << text;
  EXPECT_EQ(RepairExitCode(report), 0);
  table["status_now"] = "different";
  EXPECT_EQ(RepairExitCode(report), 1);
  table["status_now"] = "not_compared";
  table["reason_now"] = "halted: SLU-4104";
  EXPECT_EQ(RepairExitCode(report), 3);
}

TEST(StatusText, SaysWhatIsOffAndWhatToDo) {
  engine::PipelineStatus status;
  status.pipeline = "shop";
  status.phase = engine::Phase::kStopped;
  engine::TableStatus& table = status.tables.emplace_back();
  table.record.source = {"public", "orders"};
  table.record.state = TableState::kHalted;
  table.record.reason = "a value";
  table.record.advice = "sluice resync public.orders";
  table.record.kept = KeptChanges{.last = 3, .bytes = 3 << 20};
  const std::string text = StatusText(StatusJson(status));
  EXPECT_TRUE(Has(text, "shop (stopped)")) << text;
  EXPECT_TRUE(Has(text, "public.orders halted: a value")) << text;
  EXPECT_TRUE(Has(text, "to do: sluice resync public.orders")) << text;
  EXPECT_TRUE(Has(text, "keeps 3.0 MiB of changes since")) << text;
  EXPECT_FALSE(Has(text, "lag:")) << text;
  EXPECT_TRUE(Has(TablesText(TablesJson(status)), "public.orders  mirror  halted")) << text;
}

TEST(StatusText, SaysThatTheLogIsReadBySqlAndHowMuchIsUnread) {
  engine::PipelineStatus status;
  status.phase = engine::Phase::kRunning;
  status.lag_bytes = 3U << 20;
  EXPECT_FALSE(Has(StatusText(StatusJson(status)), "by SQL"));
  status.reads_by_sql = true;
  const std::string text = StatusText(StatusJson(status));
  EXPECT_TRUE(Has(text, "3.0 MiB")) << text;
  EXPECT_TRUE(Has(text, "far behind: the log is read by SQL")) << text;
}

TEST(StatusText, TakesAnythingForJson) {
  EXPECT_FALSE(StatusText(Json::array()).empty());
  EXPECT_EQ(TablesText(Json(nullptr)), "no tables\n");
  EXPECT_EQ(VerifyText(Json::object()), "no table to compare\n");
}

TEST(CheckText, CountsProblemsAndListsWhatWasNotLookedAt) {
  pipeline::CheckReport report;
  report.findings.push_back({.severity = postgres::Severity::kProblem,
                             .code = "SLU-2030",
                             .message = "wal_level is replica",
                             .advice = "set it to logical",
                             .sql = "",
                             .table = {}});
  report.not_checked.emplace_back("the destination");
  const std::string text = CheckText(report);
  EXPECT_TRUE(Has(text, "problem: wal_level is replica (SLU-2030)\n  to do: set it")) << text;
  EXPECT_TRUE(Has(text, "not checked: the destination")) << text;
  EXPECT_TRUE(Has(text, "1 problem found")) << text;
  const Json json = CheckJson(report);
  EXPECT_EQ(json.at("ok"), false);
  EXPECT_EQ(json.at("findings").at(0).at("severity"), "problem");
}

TEST(CheckJson, IsOkWithWarningsOnly) {
  pipeline::CheckReport report;
  report.findings.push_back({.severity = postgres::Severity::kWarning,
                             .code = "SLU-2042",
                             .message = "old",
                             .advice = "",
                             .sql = "",
                             .table = {}});
  EXPECT_EQ(CheckJson(report).at("ok"), true);
  EXPECT_TRUE(Has(CheckText(report), "no problem found"));
}

config::RunOptions Options(const std::string& name, bool is_named) {
  config::RunOptions options;
  options.pipeline.pipeline = name;
  options.is_pipeline_named = is_named;
  return options;
}

TEST(ChoosePipeline, TakesTheOnlyOneWhereNobodyIsNamed) {
  const auto choice = ChoosePipeline(Options("", false), {"shop"});
  ASSERT_TRUE(choice);
  EXPECT_EQ(*choice, "shop");
}

TEST(ChoosePipeline, ListsThemWhereSeveralRun) {
  const auto choice = ChoosePipeline(Options("", false), {"a", "b"});
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().code, "SLU-1041");
  EXPECT_TRUE(Has(choice.error().message, "a, b"));
}

TEST(ChoosePipeline, NeedsADestinationWhereNoneRuns) {
  EXPECT_EQ(ChoosePipeline(Options("", false), {}).error().code, "SLU-1040");
  EXPECT_EQ(ChoosePipeline(Options("x", true), {"shop"}).error().code, "SLU-1040");
}

TEST(SlotsText, SaysWhoUsesASlotAndWhatItKeeps) {
  pipeline::SourceSlots slots;
  EXPECT_TRUE(Has(SlotsText(slots), "no slots"));
  postgres::SluiceSlot& entry = slots.slots.emplace_back();
  entry.slot.emplace();
  entry.slot->name = "sluice_shop";
  entry.slot->is_active = true;
  entry.slot->active_pid = 42;
  entry.slot->retained_bytes = 1 << 20;
  EXPECT_TRUE(Has(SlotsText(slots), "pid 42"));
  EXPECT_TRUE(Has(SlotsText(slots), "1.0 MiB"));
  EXPECT_EQ(SlotsJson(slots).at("slots").at(0).at("retained_bytes"), 1 << 20);
}

}  // namespace
}  // namespace sluice::cli
