#include "verify/source_select.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::verify {
namespace {

ColumnType Type(Carrier carrier, std::string_view codec) {
  ColumnType type;
  type.carrier = carrier;
  type.codec = codec;
  return type;
}

std::shared_ptr<TableSchema> Table(std::vector<Column> columns) {
  auto schema = std::make_shared<TableSchema>();
  schema->name = {"s", "t"};
  schema->columns = std::move(columns);
  return schema;
}

TEST(SelectForVerify, TakesBinaryFormsAsTheyAre) {
  const auto table = Table({{.name = "id", .type = Type(Carrier::kInt64, "int8")},
                            {.name = "Odd\"name", .type = Type(Carrier::kText, "text")}});
  EXPECT_EQ(
      SelectForVerify(MakeComparedTable(table)),
      "COPY (SELECT \"id\", \"Odd\"\"name\" FROM ONLY \"s\".\"t\") TO STDOUT (FORMAT binary)");
}

TEST(SelectForVerify, AsksTheServerForTheTextOfOtherTypes) {
  const auto table = Table({{.name = "a", .type = Type(Carrier::kText, "inet")}});
  EXPECT_EQ(SelectForVerify(MakeComparedTable(table),
                            {.row_filter = "a IS NOT NULL", .is_partitioned = true}),
            "COPY (SELECT CASE WHEN \"a\" IS DISTINCT FROM NULL THEN pg_catalog.format('%s', "
            "\"a\") END FROM \"s\".\"t\" WHERE (a IS NOT NULL)) TO STDOUT (FORMAT binary)");
}

TEST(SelectForVerify, ReachesIntoListsAndComposites) {
  ColumnType composite = Type(Carrier::kStruct, "record");
  composite.children = {Type(Carrier::kInt32, "int4"), Type(Carrier::kText, "inet")};
  composite.child_names = {"n", "net"};
  ColumnType list = Type(Carrier::kList, "array");
  list.children = {composite};
  const std::string sql = SelectForVerify(MakeComparedTable(Table({{.name = "c", .type = list}})));
  EXPECT_NE(sql.find("ARRAY(SELECT CASE WHEN (\"c\")[i0] IS DISTINCT FROM NULL THEN "
                     "ROW(((\"c\")[i0]).\"n\", CASE WHEN ((\"c\")[i0]).\"net\""),
            std::string::npos)
      << sql;
}

TEST(MakeComparedTable, ComparesWholeRowsWhereAKeyColumnIsLeftOut) {
  const auto table = Table({{.name = "a", .type = Type(Carrier::kInt32, "int4")},
                            {.name = "b", .type = Type(Carrier::kInt32, "int4")}});
  table->key = {1};
  const std::vector<std::string> without_a = {"a"};
  const std::vector<std::string> without_b = {"b"};
  EXPECT_EQ(MakeComparedTable(table, without_a).key, std::vector<std::size_t>{0});
  EXPECT_TRUE(MakeComparedTable(table, without_b).is_keyless());
  EXPECT_EQ(MakeComparedTable(table, without_b).not_compared, without_b);
}

}  // namespace
}  // namespace sluice::verify
