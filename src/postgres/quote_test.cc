#include "postgres/quote.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "postgres/copy_reader.h"
#include "postgres/query_result.h"
#include "postgres/replication_stream.h"
#include "postgres/slot.h"

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

TEST(CopySql, JoinsFilterAndRange) {
  EXPECT_EQ(CopySql({.table = {"public", "t"},
                     .is_only = true,
                     .columns = {"id", "a\"b"},
                     .row_filter = "(id > 10) OR x",
                     .range = "ctid < '(5,0)'"}),
            "COPY (SELECT \"id\", \"a\"\"b\" FROM ONLY \"public\".\"t\" WHERE ((id > 10) OR x) "
            "AND (ctid < '(5,0)')) TO STDOUT (FORMAT binary)");
  EXPECT_EQ(CopySql({.table = {"s", "r"},
                     .is_only = false,
                     .columns = {"id"},
                     .row_filter = {},
                     .range = {},
                     .is_binary = false}),
            "COPY (SELECT \"id\" FROM \"s\".\"r\") TO STDOUT (FORMAT text)");
  EXPECT_EQ(CopySql({.table = {"s", "r"},
                     .relation = RelationId{7},
                     .columns = {"id"},
                     .row_filter = {},
                     .range = {}}),
            "COPY (SELECT \"id\" FROM ONLY \"s\".\"r\" WHERE (CASE WHEN '\"s\".\"r\"'"
            "::pg_catalog.regclass::pg_catalog.oid = 7::pg_catalog.oid THEN true ELSE "
            "pg_catalog.current_setting('sluice.this_is_another_table') IS NULL END)) TO STDOUT "
            "(FORMAT binary)");
}

TEST(StartReplicationSql, AsksForBinaryAndStreaming) {
  EXPECT_EQ(StartReplicationSql({.slot = "s", .publications = {"p"}, .start_lsn = Lsn{0x16B3748}}),
            "START_REPLICATION SLOT \"s\" LOGICAL 0/16B3748 (proto_version '2', "
            "publication_names '\"p\"', binary 'true', streaming 'on')");
}

TEST(CreateSlotSql, FollowsTheServersGrammar) {
  EXPECT_EQ(CreateSlotSql("s", 140000, true),
            "CREATE_REPLICATION_SLOT \"s\" LOGICAL pgoutput USE_SNAPSHOT");
  EXPECT_EQ(CreateSlotSql("s", 150000, true),
            "CREATE_REPLICATION_SLOT \"s\" LOGICAL pgoutput (SNAPSHOT 'use')");
  EXPECT_EQ(CreateSlotSql("s", 170000, true),
            "CREATE_REPLICATION_SLOT \"s\" LOGICAL pgoutput (SNAPSHOT 'use', FAILOVER true)");
}

TEST(IsSlotName, TakesWhatTheServerTakes) {
  EXPECT_TRUE(IsSlotName("sluice_shop_1"));
  EXPECT_FALSE(IsSlotName(""));
  EXPECT_FALSE(IsSlotName("Shop"));
  EXPECT_FALSE(IsSlotName(std::string(64, 'a')));
}

}  // namespace
}  // namespace sluice::postgres
