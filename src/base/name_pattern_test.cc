#include "base/name_pattern.h"

#include <gtest/gtest.h>

#include "base/testing/result_matchers.h"

namespace sluice::base {
namespace {

using sluice::testing::CodeIs;

bool Matches(std::string_view pattern, const TableName& name) {
  const auto parsed = NamePattern::ParseTable(pattern);
  return parsed.has_value() && parsed->Matches(name);
}

TEST(NamePattern, WithoutASchemaMatchesEverySchema) {
  EXPECT_TRUE(Matches("orders", {"public", "orders"}));
  EXPECT_TRUE(Matches("orders", {"sales", "orders"}));
  EXPECT_FALSE(Matches("orders", {"public", "orders2"}));
}

TEST(NamePattern, TakesStarsAndQuestionMarks) {
  EXPECT_TRUE(Matches("public.*", {"public", "x"}));
  EXPECT_TRUE(Matches("p*c.o?ders*", {"public", "orders_2024"}));
  EXPECT_TRUE(Matches("*a*b*c", {"s", "xaybbzc"}));
  EXPECT_FALSE(Matches("*a*b*c", {"s", "xaybbz"}));
  EXPECT_FALSE(Matches("public.o?", {"public", "o"}));
  EXPECT_TRUE(Matches("public.o?", {"public", "o\xc3\xa4"}));
}

TEST(NamePattern, FoldsOutsideQuotesOnly) {
  EXPECT_TRUE(Matches("Public.ORDERS", {"public", "orders"}));
  EXPECT_TRUE(Matches("\"My.Schema\".\"T*\"", {"My.Schema", "T*"}));
  EXPECT_FALSE(Matches("\"My.Schema\".\"T*\"", {"My.Schema", "Tx"}));
  EXPECT_TRUE(Matches("a\"\"\"\"b", {"s", "a\"b"}));
  EXPECT_TRUE(Matches("FOO\"BAR\"", {"s", "fooBAR"}));
}

TEST(NamePattern, TakesDotsAndDollarsOfARegularExpressionAsTheyAre) {
  EXPECT_TRUE(Matches("a$b", {"s", "a$b"}));
  EXPECT_FALSE(Matches("\"a.b\"", {"s", "axb"}));
}

TEST(NamePattern, RejectsWhatNamesNothing) {
  for (const char* text : {"", ".", "a.", ".a", "a.b.c", "\"a", "a..b"}) {
    EXPECT_THAT(NamePattern::ParseTable(text), CodeIs("SLU-2018")) << text;
  }
  EXPECT_THAT(NamePattern::ParseSchema("a.b"), CodeIs("SLU-2018"));
}

TEST(NamePattern, TakesRegularExpressionsAsPsqlDoes) {
  EXPECT_TRUE(Matches("log_[0-9]*", {"s", "log_2024_old"}));
  EXPECT_FALSE(Matches("log_[0-9]*", {"s", "log_x"}));
  EXPECT_TRUE(Matches("(eu|us).orders", {"us", "orders"}));
  EXPECT_FALSE(Matches("(eu|us).orders", {"usa", "orders"}));
  EXPECT_TRUE(Matches("a|b", {"s", "b"}));
  EXPECT_FALSE(Matches("a|b", {"s", "bb"}));
  EXPECT_TRUE(Matches("t\\d{2}", {"s", "t42"}));
  EXPECT_TRUE(Matches("[\xc3\xa4\xc3\xb6]?", {"s", "\xc3\xb6\xc3\xa4"}));
  EXPECT_TRUE(Matches("LOG_[A-C]", {"s", "log_b"}));
  EXPECT_TRUE(Matches("a$+", {"s", "a$$"}));
  EXPECT_FALSE(NamePattern::ParseTable("public.a|b")->is_exact());
}

TEST(NamePattern, TakesNoExponentialTimeForAnExpression) {
  EXPECT_FALSE(Matches("(a+)+b", {"s", std::string(63, 'a')}));
  EXPECT_FALSE(Matches("((x|x)*y?)+z", {"s", std::string(63, 'x')}));
}

TEST(NamePattern, TakesNothingForAnExpressionInsideQuotes) {
  for (const char* text : {"log_[0-9]", "(a|b)", "a+", "a{2}", "^a", "a\\d"}) {
    EXPECT_TRUE(Matches("\"" + std::string(text) + "\"", {"s", text})) << text;
  }
  EXPECT_TRUE(Matches("\"a.b(\"[0-9]", {"s", "a.b(1"}));
}

TEST(NamePattern, RejectsWhatIsNoRegularExpression) {
  for (const char* text : {"log_[0-9", "(a", "a)", "+", "a{2", "a\\"}) {
    EXPECT_THAT(NamePattern::ParseTable(text), CodeIs("SLU-2018")) << text;
  }
}

TEST(NamePattern, KnowsWhenItNamesOneTable) {
  EXPECT_TRUE(NamePattern::ParseTable("public.orders")->is_exact());
  EXPECT_EQ(NamePattern::ParseTable("public.\"Or.ders\"")->name(),
            (TableName{"public", "Or.ders"}));
  EXPECT_FALSE(NamePattern::ParseTable("orders")->is_exact());
  EXPECT_FALSE(NamePattern::ParseTable("public.o*")->is_exact());
}

}  // namespace
}  // namespace sluice::base
