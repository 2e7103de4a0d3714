#include "cli/help_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace sluice::cli {
namespace {

using ::testing::HasSubstr;

TEST(Wrapped, BreaksBetweenWordsAndIndents) {
  EXPECT_EQ(Wrapped("aa bb cc dd", 2, 8), "aa bb\n  cc dd");
  EXPECT_EQ(Wrapped("aaaaaaaaaaaa b", 0, 4), "aaaaaaaaaaaa\nb");
  EXPECT_EQ(Wrapped("", 2, 8), "");
}

TEST(Wrapped, KeepsParagraphsAndSetLines) {
  EXPECT_EQ(Wrapped("a\n\nb", 0, 8), "a\n\nb");
  EXPECT_EQ(Wrapped("a\n  sluice run postgres://x y", 0, 8), "a\n  sluice run postgres://x y");
}

TEST(OverviewText, NamesEveryCommand) {
  const std::string text = OverviewText();
  for (const Command& command : Commands()) EXPECT_THAT(text, HasSubstr(command.name));
}

TEST(CommandText, FitsIntoAnEightyColumnTerminal) {
  for (const Command& command : Commands()) {
    std::istringstream lines(CommandText(command));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.size(), kHelpWidth) << command.name << ": " << line;
      EXPECT_FALSE(line.ends_with(' ')) << command.name << ": " << line;
    }
  }
}

TEST(ErrorCodeText, ExplainsACodeHoweverItIsTyped) {
  EXPECT_THAT(ErrorCodeText("SLU-2002"), HasSubstr("To do:"));
  EXPECT_EQ(ErrorCodeText("slu-2002"), ErrorCodeText("SLU-2002"));
  EXPECT_EQ(ErrorCodeText("2002"), ErrorCodeText("SLU-2002"));
  EXPECT_EQ(ErrorCodeText("SLU-0000"), "");
}

TEST(NearestCommand, GuessesOnlyWhatIsNear) {
  EXPECT_EQ(NearestCommand("rnu"), "run");
  EXPECT_EQ(NearestCommand("versoin"), "version");
  EXPECT_EQ(NearestCommand("frobnicate"), "");
}

TEST(ErrorCodesMarkdown, IsWhatTheManualShows) {
  std::ifstream in(SLUICE_ERRORS_MD);
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_TRUE(in && text.str().find(ErrorCodesMarkdown()) != std::string::npos)
      << "docs/errors.md is old; write it again with: sluice help errors > docs/errors.md";
}

}  // namespace
}  // namespace sluice::cli
