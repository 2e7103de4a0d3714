#include "cli/status_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sluice::cli {
namespace {

TEST(FormatTime, IsIso8601InUtc) {
  EXPECT_EQ(FormatTime({1'700'000'000'123'456}), "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(FormatTime({kPostgresEpochMicros}), "2000-01-01T00:00:00.000000Z");
  EXPECT_EQ(FormatTime({}), "");
}

TEST(StatusJson, HasPositionsAsTextAndNullWhereThereIsNone) {
  engine::PipelineStatus status;
  status.pipeline = "shop";
  status.source = "postgres://u:pw@h/d";
  status.durable = {0x16B3748};
  status.latency_p50_ms = 250;
  status.birth.system_identifier = 7'000'000'000'000'000'001ULL;
  const auto json = StatusJson(status);
  EXPECT_EQ(json["pipeline"], "shop");
  EXPECT_EQ(json["source"], "postgres://u:***@h/d");
  EXPECT_EQ(json["phase"], "connecting");
  EXPECT_EQ(json["position"]["durable"], "0/16B3748");
  EXPECT_TRUE(json["position"]["visible"].is_null());
  EXPECT_EQ(json["lag"]["latency_p50_seconds"], 0.25);
  EXPECT_EQ(json["system_identifier"], "7000000000000000001");
  EXPECT_TRUE(json["tables"].is_array());
}

TEST(TablesJson, HasStateReasonAndAdvice) {
  engine::PipelineStatus status;
  engine::TableStatus table;
  table.record.source = {"public", "t"};
  table.record.destination = {"main", "t"};
  table.record.state = TableState::kHalted;
  table.record.reason = "why";
  table.record.advice = "what";
  table.record.since = {1'700'000'000'000'000};
  status.tables.push_back(table);
  const auto json = TablesJson(status);
  ASSERT_EQ(json.size(), 1U);
  EXPECT_EQ(json[0]["schema"], "public");
  EXPECT_EQ(json[0]["destination_schema"], "main");
  EXPECT_EQ(json[0]["state"], "halted");
  EXPECT_EQ(json[0]["reason"], "why");
  EXPECT_EQ(json[0]["advice"], "what");
  EXPECT_EQ(json[0]["since"], "2023-11-14T22:13:20.000000Z");
  EXPECT_TRUE(json[0]["committed_at"].is_null());
}

TEST(StatusJson, ShowsNoKeyOfARowOverHttp) {
  engine::PipelineStatus status;
  status.tables.emplace_back().record.reason = "SLU-4108: column a; row (id)=(7)";
  EXPECT_EQ(StatusJson(status)["tables"][0]["reason"], "SLU-4108: column a; row (id)=(7)");
  EXPECT_EQ(StatusJsonForHttp(status)["tables"][0]["reason"], "SLU-4108: column a");
}

TEST(ErrorJson, ComesBackAsItWas) {
  const Error error{.kind = ErrorKind::kTimeout,
                    .message = "m",
                    .server_message = "s",
                    .sqlstate = "57014",
                    .code = "SLU-2008",
                    .advice = "a"};
  const Error back = ErrorFromJson(ErrorJson(error));
  EXPECT_EQ(back.kind, ErrorKind::kTimeout);
  EXPECT_EQ(back.message, "m");
  EXPECT_EQ(back.server_message, "s");
  EXPECT_EQ(back.sqlstate, "57014");
  EXPECT_EQ(back.code, "SLU-2008");
  EXPECT_EQ(back.advice, "a");
}

TEST(ErrorFromJson, TakesAnything) {
  EXPECT_EQ(ErrorFromJson(nlohmann::ordered_json(3)).kind, ErrorKind::kInternal);
  EXPECT_EQ(ErrorFromJson({{"kind", 5}, {"message", nullptr}}).message, "");
}

TEST(PrintJson, ReplacesBytesThatAreNotUtf8) {
  nlohmann::ordered_json json = {{"a", "x\xff"}};
  EXPECT_EQ(PrintJson(json), "{\"a\":\"x\xef\xbf\xbd\"}");
}

}  // namespace
}  // namespace sluice::cli
