#include "telemetry/log.h"

#include <gtest/gtest.h>

#include <vector>

#include <nlohmann/json.hpp>

namespace sluice::telemetry {
namespace {

struct Captured {
  std::vector<std::string> lines;
  LogOptions Options(LogStyle style, LogLevel level) {
    return {
        .style = style, .level = level, .pipeline = "shop", .sink = [this](std::string_view line) {
          lines.emplace_back(line);
        }};
  }
};

TEST(Logger, WritesOneLineOfText) {
  Captured captured;
  Logger logger(captured.Options(LogStyle::kText, LogLevel::kInfo));
  logger.Write(LogLevel::kWarn, "slot {} lags\nmuch",
               {{"table", "a b"}, {"bytes", std::int64_t{7}}});
  ASSERT_EQ(captured.lines.size(), 1U);
  const std::string& line = captured.lines[0];
  EXPECT_NE(line.find("Z warn  slot {} lags\\nmuch pipeline=shop table=\"a b\" bytes=7\n"),
            std::string::npos)
      << line;
}

TEST(Logger, WritesJsonThatParses) {
  Captured captured;
  Logger logger(captured.Options(LogStyle::kJson, LogLevel::kInfo));
  logger.Write(LogLevel::kInfo, "he said \"\xff\"\n", {{"rows", std::uint64_t{5}}, {"ok", true}});
  ASSERT_EQ(captured.lines.size(), 1U);
  const auto json = nlohmann::json::parse(captured.lines[0]);
  EXPECT_EQ(json["level"], "info");
  EXPECT_EQ(json["pipeline"], "shop");
  EXPECT_EQ(json["rows"], 5);
  EXPECT_EQ(json["ok"], true);
  EXPECT_EQ(json["time"].get<std::string>().size(), 24U);
}

TEST(Logger, LeavesOutWhatIsBelowItsLevel) {
  Captured captured;
  Logger logger(captured.Options(LogStyle::kText, LogLevel::kWarn));
  logger.Info("not {}", "this");
  logger.Debug("nor this");
  logger.Failed("but {}", "this");
  ASSERT_EQ(captured.lines.size(), 1U);
  EXPECT_NE(captured.lines[0].find("error but this"), std::string::npos);
}

TEST(Logger, TellsThePeersWordsAtDebugOnly) {
  const Error error{.kind = ErrorKind::kConnection,
                    .message = "connecting failed",
                    .server_message = "row (secret)",
                    .sqlstate = "08006",
                    .code = "SLU-2001",
                    .advice = "try again"};
  for (const LogStyle style : {LogStyle::kText, LogStyle::kJson}) {
    Captured info;
    Logger(info.Options(style, LogLevel::kInfo)).Write(LogLevel::kError, error);
    EXPECT_EQ(info.lines.at(0).find("secret"), std::string::npos);
    EXPECT_NE(info.lines.at(0).find("SLU-2001"), std::string::npos);
    EXPECT_NE(info.lines.at(0).find("08006"), std::string::npos);
    EXPECT_NE(info.lines.at(0).find("try again"), std::string::npos);
    Captured debug;
    Logger(debug.Options(style, LogLevel::kDebug)).Write(LogLevel::kError, error);
    EXPECT_NE(debug.lines.at(0).find("secret"), std::string::npos);
  }
}

TEST(ParseLogLevel, KnowsItsNamesOnly) {
  EXPECT_EQ(ParseLogLevel("warn"), LogLevel::kWarn);
  EXPECT_EQ(ParseLogLevel("off"), LogLevel::kOff);
  EXPECT_FALSE(ParseLogLevel("WARN"));
  EXPECT_FALSE(ParseLogLevel(""));
}

}  // namespace
}  // namespace sluice::telemetry
