#include "postgres/quote.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "postgres/query_result.h"

namespace sluice::postgres {
namespace {

TEST(QuoteIdentifier, DoublesInnerQuotes) {
  EXPECT_EQ(QuoteIdentifier("orders"), "\"orders\"");
  EXPECT_EQ(QuoteIdentifier("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(QuoteIdentifier(""), "\"\"");
}

TEST(QuoteTable, QuotesBothParts) {
  EXPECT_EQ(QuoteTable({"My.Schema", "t"}), "\"My.Schema\".\"t\"");
}

TEST(QuoteLiteral, DoublesQuotesAndMarksBackslashes) {
  EXPECT_EQ(QuoteLiteral("it's"), "'it''s'");
  EXPECT_EQ(QuoteLiteral("a\\'b"), "E'a\\\\''b'");
}

TEST(QuoteReplicationLiteral, KeepsBackslashesAsTheyAre) {
  EXPECT_EQ(QuoteReplicationLiteral("a\\b'c"), "'a\\b''c'");
}

TEST(QuotePublicationNames, QuotesEachNameInsideTheLiteral) {
  const std::vector<std::string> names = {"sluice_shop", "My \"Pub\"", "it's"};
  EXPECT_EQ(QuotePublicationNames(names), "'\"sluice_shop\",\"My \"\"Pub\"\"\",\"it''s\"'");
}

TEST(ArrayLiteral, EscapesWhatArraysReadSpecially) {
  const std::vector<std::string> elements = {"a", "b,c", "d\"e\\f", "", "NULL"};
  EXPECT_EQ(ArrayLiteral(elements), "{\"a\",\"b,c\",\"d\\\"e\\\\f\",\"\",\"NULL\"}");
}

TEST(ParseArrayText, ReadsBackWhatArrayLiteralWrites) {
  const std::vector<std::string> elements = {"a", "b,c", "d\"e\\f", "", "{}"};
  EXPECT_EQ(ParseArrayText(ArrayLiteral(elements)), elements);
}

TEST(ParseArrayText, ReadsBareElements) {
  EXPECT_EQ(ParseArrayText("{}"), std::vector<std::string>{});
  EXPECT_EQ(ParseArrayText("{1,NULL,x}"), (std::vector<std::string>{"1", "", "x"}));
}

TEST(ParseArrayText, RejectsWhatIsNoArray) {
  for (const char* text : {"", "{", "}", "{\"}", "{a,}", "{,a}", "{{1},{2}}", "{\"a\"b}", "x"}) {
    EXPECT_FALSE(ParseArrayText(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace sluice::postgres
