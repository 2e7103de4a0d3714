#include "cli/query_output.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cli/text_table.h"

namespace sluice::cli {
namespace {

std::string Print(OutputFormat format, const std::vector<OutputColumn>& columns,
                  const std::vector<OutputRow>& rows) {
  std::string out;
  const auto output = MakeQueryOutput(format, [&](std::string_view text) {
    out += text;
    return Status();
  });
  EXPECT_TRUE(output->Header(columns));
  for (const OutputRow& row : rows) EXPECT_TRUE(output->Row(row));
  EXPECT_TRUE(output->Finish());
  return out;
}

TEST(CsvCell, TellsNullFromEmptyText) {
  EXPECT_EQ(CsvCell(std::nullopt), "");
  EXPECT_EQ(CsvCell(""), "\"\"");
}

TEST(CsvCell, QuotesWhatWouldEndACell) {
  EXPECT_EQ(CsvCell("a,b"), "\"a,b\"");
  EXPECT_EQ(CsvCell("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(CsvCell("a\nb"), "\"a\nb\"");
  EXPECT_EQ(CsvCell("it's"), "it's");
}

TEST(JsonCell, KeepsNumbersExactAndEverythingElseAsText) {
  EXPECT_EQ(JsonCell("12345678901234567890.12", "DECIMAL(22,2)"), "12345678901234567890.12");
  EXPECT_EQ(JsonCell("nan", "DOUBLE"), "\"nan\"");
  EXPECT_EQ(JsonCell("1", "VARCHAR"), "\"1\"");
  EXPECT_EQ(JsonCell("true", "BOOLEAN"), "true");
  EXPECT_EQ(JsonCell("true", "VARCHAR"), "\"true\"");
  EXPECT_EQ(JsonCell(std::nullopt, "INTEGER"), "null");
  EXPECT_EQ(JsonCell("a\"\xFF", "VARCHAR"), "\"a\\\"\xEF\xBF\xBD\"");
}

TEST(QueryOutput, PrintsCsvWithAHeading) {
  EXPECT_EQ(Print(OutputFormat::kCsv, {{"id", "INTEGER"}, {"a b", "VARCHAR"}},
                  {{"1", std::nullopt}, {"2", ""}}),
            "id,a b\n1,\n2,\"\"\n");
}

TEST(QueryOutput, PrintsValidJsonWithAndWithoutRows) {
  EXPECT_EQ(Print(OutputFormat::kJson, {{"id", "INTEGER"}}, {}), "[]\n");
  EXPECT_EQ(Print(OutputFormat::kJson, {{"id", "INTEGER"}}, {{"1"}, {"2"}}),
            "[\n {\"id\": 1},\n {\"id\": 2}\n]\n");
}

TEST(QueryOutput, AlignsATableAndCountsRows) {
  EXPECT_EQ(Print(OutputFormat::kTable, {{"id", "INTEGER"}, {"name", "VARCHAR"}},
                  {{"1", "é"}, {"100", std::nullopt}}),
            " id  name\n  1  é\n100  NULL\n(2 rows)\n");
  EXPECT_EQ(Print(OutputFormat::kTable, {{"id", "INTEGER"}}, {}), "id\n(0 rows)\n");
}

TEST(QueryOutput, PrintsALargeTableInBlocks) {
  std::vector<OutputRow> rows(2500, OutputRow{"7"});
  const std::string text = Print(OutputFormat::kTable, {{"n", "INTEGER"}}, rows);
  EXPECT_EQ(std::count(text.begin(), text.end(), '7'), 2500);
  EXPECT_EQ(std::count(text.begin(), text.end(), 'n'), 3);
  EXPECT_NE(text.find("(2,500 rows)"), std::string::npos);
}

TEST(QueryOutput, EndsWithTheSinksError) {
  const auto output = MakeQueryOutput(
      OutputFormat::kCsv, [](std::string_view) -> Status { return Error{.code = "SLU-1045"}; });
  ASSERT_TRUE(output->Header({{"n", "INTEGER"}}));
  EXPECT_EQ(output->Finish().error().code, "SLU-1045");
}

TEST(TextTable, ShowsControlCharactersAsSpaces) {
  TextTable table({"a"});
  table.AddRow({"x\x1b[2Jy"});
  EXPECT_EQ(table.Print(), "a\nx [2Jy\n");
}

TEST(TextWidth, CountsCodePoints) {
  EXPECT_EQ(TextWidth("aé€"), 3U);
}

}  // namespace
}  // namespace sluice::cli
