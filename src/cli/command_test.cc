#include "cli/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "cli/commands.h"

namespace sluice::cli {
namespace {

using std::string;
using std::vector;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Result<Arguments> ParseRun(const vector<string>& words) {
  return ParseArguments(*FindCommand("run"), words);
}

TEST(ParseArguments, TakesOptionsAnywhere) {
  const auto got = ParseRun({"--batch-rows", "5", "postgres://h/d", "-t", "a.*", "shop.duckdb",
                             "--table=b", "-q", "--report", "-"});
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_THAT(got->options.at("source"), ElementsAre("postgres://h/d"));
  EXPECT_THAT(got->options.at("destination"), ElementsAre("shop.duckdb"));
  EXPECT_THAT(got->options.at("table"), ElementsAre("a.*", "b"));
  EXPECT_THAT(got->options.at("batch-rows"), ElementsAre("5"));
  EXPECT_THAT(got->options.at("quiet"), ElementsAre("true"));
  EXPECT_THAT(got->options.at("report"), ElementsAre("-"));
}

TEST(ParseArguments, LastOfAScalarWins) {
  const auto got = ParseRun({"--memory", "1GiB", "--memory", "2GiB"});
  ASSERT_TRUE(got);
  EXPECT_THAT(got->options.at("memory"), ElementsAre("2GiB"));
}

TEST(ParseArguments, TakesAloneByItsLook) {
  EXPECT_TRUE(ParseRun({"shop.duckdb"})->options.contains("destination"));
  EXPECT_TRUE(ParseRun({"postgresql://h/d"})->options.contains("source"));
  EXPECT_TRUE(ParseRun({"host=db dbname=shop"})->options.contains("source"));
  EXPECT_TRUE(ParseRun({"./a=b.duckdb"})->options.contains("destination"));
}

TEST(ParseArguments, RefusesWhatItDoesNotKnow) {
  EXPECT_FALSE(ParseRun({"--no-such-flag"}));
  EXPECT_FALSE(ParseRun({"a", "b", "c"}));
  EXPECT_FALSE(ParseRun({"--memory"}));
  EXPECT_FALSE(ParseArguments(*FindCommand("version"), vector<string>{"--memory", "1GiB"}));
  EXPECT_FALSE(ParseArguments(*FindCommand("version"), vector<string>{"word"}));
}

TEST(ParseArguments, SeesSwappedEnds) {
  const auto got = ParseRun({"shop.duckdb", "postgres://a:b@c/d"});
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, "SLU-1020");
  EXPECT_THAT(got.error().message, HasSubstr("source comes first"));
}

TEST(ParseArguments, KeepsFlagsOfTheCommandApart) {
  const auto got = ParseArguments(*FindCommand("version"), vector<string>{"--json"});
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->has("json"));
  EXPECT_EQ(got->flag("json"), "true");
  EXPECT_EQ(got->flag("other"), std::nullopt);
  EXPECT_TRUE(got->options.empty());
}

TEST(Commands, HaveNamesSummariesAndFunctions) {
  std::set<std::string_view> names;
  for (const Command& command : Commands()) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name;
    EXPECT_FALSE(command.summary.empty()) << command.name;
    EXPECT_NE(command.run, nullptr) << command.name;
    for (const std::string_view option : command.options) {
      EXPECT_NE(config::FindOption(option), nullptr) << option;
    }
    for (const CommandFlag& flag : command.flags) {
      EXPECT_FALSE(TakesOption(command, flag.name)) << command.name << " --" << flag.name;
    }
    // Names that collide are refused by the parser.
    EXPECT_TRUE(ParseArguments(command, {})) << command.name;
  }
}

TEST(RunCommandLine, EndsWithTwoOnBadUsage) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(RunCommandLine(vector<string>{"runn"}), 2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("did you mean run?"));
  testing::internal::CaptureStderr();
  EXPECT_EQ(RunCommandLine(vector<string>{"run", "--frobnicate"}), 2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("sluice help run"));
}

TEST(RunCommandLine, AloneIsHelp) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(RunCommandLine({}), 0);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("Commands:"));
  testing::internal::CaptureStdout();
  EXPECT_EQ(RunCommandLine(vector<string>{"run", "--help"}), 0);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("--batch-rows N"));
}

TEST(RunCommandLine, SaysNothingOfPasswords) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(RunCommandLine(vector<string>{"run", "postgres://u:pa55@h/d", "x.duckdb",
                                          "postgres://u:pa55@h/d"}),
            2);
  EXPECT_EQ(RunCommandLine(vector<string>{"postgres://u:pa55@h/d"}), 2);
  EXPECT_EQ(RunCommandLine(vector<string>{"run", "postgres://u:pa55@h/d", "ftp://u:pa55@h/d"}), 2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), Not(HasSubstr("pa55")));
}

TEST(ErrorText, HasWhatWhyAndWhatToDo) {
  const string text = ErrorText({.message = "cannot connect to db:5432 (password=abc)",
                                 .server_message = "FATAL: no\nDETAIL: because\n",
                                 .sqlstate = "28P01",
                                 .code = "SLU-2004",
                                 .advice = "set another password"});
  EXPECT_EQ(text,
            "sluice: cannot connect to db:5432 (password=***\n"
            "  because: FATAL: no\n"
            "           DETAIL: because\n"
            "  to do:   set another password\n"
            "  code:    SLU-2004, SQLSTATE 28P01 (sluice help SLU-2004)\n");
}

TEST(ErrorText, TakesTheRemedyOfTheCodeWhereThereIsNoAdvice) {
  EXPECT_THAT(ErrorText({.message = "m", .code = "SLU-1006"}), HasSubstr("to do:   Leave it out."));
}

}  // namespace
}  // namespace sluice::cli
