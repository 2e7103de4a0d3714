#include "scenario_file.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "base/testing/result_matchers.h"

namespace sluice::tests {
namespace {

using sluice::testing::IsOk;
using sluice::testing::MessageIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParseScenario, SplitsAFileIntoSteps) {
  const auto steps = ParseScenario(
      "# what it proves\n\n-- options -t 'public.a b' -T \"x\"\n-- source s1\nSELECT 1;\n# why\n"
      "SELECT 2;\n\n-- destination\nSELECT a FROM t\n----\n1|x\n\n2|y\n\n");
  ASSERT_THAT(steps, IsOk());
  ASSERT_EQ(steps->size(), 3U);
  EXPECT_THAT((*steps)[0].arguments, ElementsAre("-t", "public.a b", "-T", "x"));
  EXPECT_EQ((*steps)[1].line, 4);
  EXPECT_EQ((*steps)[1].body, "SELECT 1;\nSELECT 2;\n\n");
  EXPECT_THAT((*steps)[2].expected, ElementsAre("1|x", "", "2|y"));
}

TEST(ParseScenario, NamesTheLineOfAnUnknownStep) {
  EXPECT_THAT(ParseScenario("-- source\nSELECT 1\n-- sorce\nSELECT 1\n"),
              MessageIs(HasSubstr("line 3: unknown step: sorce")));
}

TEST(ParseScenario, RejectsAQueryWithoutExpectation) {
  EXPECT_THAT(ParseScenario("-- destination\nSELECT 1\n"), MessageIs(HasSubstr("no ----")));
}

TEST(ParseScenario, RejectsTextBelowAStepWithoutBody) {
  EXPECT_THAT(ParseScenario("-- stop\nSELECT 1\n"), MessageIs(HasSubstr("unexpected text")));
}

TEST(ParseScenario, RejectsAnEmptyFile) {
  EXPECT_THAT(ParseScenario("# nothing\n"), MessageIs(HasSubstr("no steps")));
}

TEST(SplitStatements, CutsAtSemicolonsOutsideQuotes) {
  EXPECT_THAT(SplitStatements("SELECT ';', \"a;b\"; -- not; here\nSELECT E'\\';';\n"),
              ElementsAre("SELECT ';', \"a;b\"", " -- not; here\nSELECT E'\\';'"));
  EXPECT_THAT(SplitStatements("DO $$ BEGIN a; b; END $$; SELECT $1, $x$;$x$"),
              ElementsAre("DO $$ BEGIN a; b; END $$", " SELECT $1, $x$;$x$"));
  EXPECT_THAT(SplitStatements(" ;\n; "), ElementsAre());
}

TEST(RowsOfCsv, LeavesOutTheHeaderAndUnquotes) {
  EXPECT_THAT(RowsOfCsv("a,b\n1,\"x,\"\"y\"\"\"\n2,\"two\nlines\"\n"),
              ElementsAre("1|x,\"y\"", "2|two\\nlines"));
}

TEST(RowsOfCsv, TakesAnEmptyAnswer) {
  EXPECT_THAT(RowsOfCsv(""), ElementsAre());
  EXPECT_THAT(RowsOfCsv("a\n"), ElementsAre());
}

// README.md says which scenario holds what: each that it names is there.
TEST(MapOfTests, NamesScenariosThatAreThere) {
  std::stringstream text;
  text << std::ifstream(SLUICE_TESTS_DIR "/README.md").rdbuf();
  const std::string map = text.str();
  const std::regex name("`([a-z]+/[a-z0-9_]+)`");
  int count = 0;
  for (std::sregex_iterator it(map.begin(), map.end(), name), end; it != end; ++it, ++count) {
    const std::string scenario = (*it)[1];
    EXPECT_TRUE(std::filesystem::exists(SLUICE_TESTS_DIR "/scenarios/" + scenario + ".test"))
        << scenario;
  }
  EXPECT_GT(count, 100);
}

}  // namespace
}  // namespace sluice::tests
