// Rows in, rows out: every carrier, and changes by key and by whole row.
#include <numeric>

#include "destinations/duckdb/duckdb_test_fixture.h"

namespace sluice::duckdb {
namespace {

using RowsTest = DuckDbTest;

ColumnType Type(Carrier carrier, std::uint8_t precision = 0, std::int8_t scale = 0) {
  ColumnType type = sluice::testing::TypeOf(carrier);
  if (carrier == Carrier::kDecimal) {
    type.precision = precision;
    type.scale = scale;
  }
  return type;
}

SchemaPtr TableOf(std::vector<Column> columns, bool is_keyed = true) {
  auto schema = std::make_shared<TableSchema>();
  schema->relation = {20'000};
  schema->name = {"public", "things"};
  schema->columns = std::move(columns);
  if (is_keyed) {
    schema->key = {0};
    schema->identity_columns = {0};
  } else {
    schema->identity = ReplicaIdentity::kFull;
    schema->identity_columns.resize(schema->columns.size());
    std::iota(schema->identity_columns.begin(), schema->identity_columns.end(), 0);
  }
  return schema;
}

SchemaPtr Orders() {
  return MakeSchema(
      16'384, {"public", "orders"},
      {{"id", Carrier::kInt64, kKey}, {"note", Carrier::kText}, {"weight", Carrier::kFloat64}});
}

TEST_F(RowsTest, EdgesOfEveryCarrierSurviveCopyCheckpointAndReopening) {
  const SchemaPtr schema = TableOf({{"id", Type(Carrier::kInt32)},
                                    {"b", Type(Carrier::kBool)},
                                    {"i2", Type(Carrier::kInt16)},
                                    {"u4", Type(Carrier::kUInt32)},
                                    {"f4", Type(Carrier::kFloat32)},
                                    {"f8", Type(Carrier::kFloat64)},
                                    {"d4", Type(Carrier::kDecimal, 4, 2)},
                                    {"d9", Type(Carrier::kDecimal, 9, 0)},
                                    {"d18", Type(Carrier::kDecimal, 18, 18)},
                                    {"d38", Type(Carrier::kDecimal, 38, 10)},
                                    {"by", Type(Carrier::kBytes)},
                                    {"da", Type(Carrier::kDate)},
                                    {"ts", Type(Carrier::kTimestamp)},
                                    {"tz", Type(Carrier::kTimestampTz)},
                                    {"ti", Type(Carrier::kTime)},
                                    {"iv", Type(Carrier::kInterval)},
                                    {"uu", Type(Carrier::kUuid)},
                                    {"js", Type(Carrier::kJson)}});
  const Rows rows = {
      {"1", "t", "32767", "4294967295", "-0", "-0", "99.99", "999999999", "0.999999999999999999",
       "9999999999999999999999999999.9999999999", "\\x00ff", "2147483647", "9223372036854775807",
       "9223372036854775807", "86400000000", "2147483647 mon -2147483648 d 9223372036854775807 us",
       "ffffffff-ffff-ffff-ffff-ffffffffffff", "{\"a\": \"\\ud800\"}"},
      {"2", "f", "-32768", "0", "NaN", "NaN", "-99.99", "-999999999", "-0.999999999999999999",
       "-9999999999999999999999999999.9999999999", "\\x", "-2147483647", "-9223372036854775807",
       "-9223372036854775807", "0", "-12 mon 360 d -1 us", "00000000-0000-0000-0000-000000000000",
       "not json at all"},
      {"3", "t", "0", "1", "1", "1e-300", "0.00", "0", "0.123456789012345678", "123.0000000001",
       "\\x0102030405060708090a0b0c0d0e0f", "-2440588", "-210866803200000000",
       "9223371331199999999", "1", "1 mon 0 d 0 us", "00000000-0000-0000-8000-000000000000", "1"},
      {"4", kNull, kNull, kNull, kNull, kNull, kNull, kNull, kNull, kNull, kNull, kNull, kNull,
       kNull, kNull, kNull, kNull, kNull}};
  OpenFile();
  MakeLive(schema, rows);
  EXPECT_EQ(ReadRows(schema), rows);
  CloseFile();
  OpenFile();
  EXPECT_EQ(ReadRows(schema), rows);
  EXPECT_EQ(Sql("SELECT da, ts, tz, ti FROM public.things WHERE id = 1"),
            "infinity|infinity|infinity|24:00:00");
  EXPECT_EQ(Sql("SELECT d18, d38, js FROM public.things WHERE id = 3"),
            ".123456789012345678|123.0000000001|1");
}

TEST_F(RowsTest, NestedValuesSurviveChunksDeletesAndUpdates) {
  const SchemaPtr schema = TableOf({{"id", Type(Carrier::kInt64)},
                                    {"l", Type(Carrier::kList)},
                                    {"s", Type(Carrier::kStruct)},
                                    {"m", Type(Carrier::kMap)}});
  Rows rows;
  for (int i = 10'000; i < 16'000; ++i) {
    const std::string n = std::to_string(i);
    rows.push_back(
        {n,
         i % 5 == 0   ? memory::Cell()
         : i % 5 == 1 ? "[]"
                      : "[\"v" + n + "\",null,\"a longer text than fits\"]",
         i % 3 == 0 ? memory::Cell() : "(\"" + n + "\"," + (i % 2 == 0 ? "null" : "\"x\"") + ")",
         i % 4 == 0 ? memory::Cell() : "[(\"k\",\"" + n + "\"),(\"k2\",null)]"});
  }
  OpenFile();
  MakeLive(schema, rows);
  ASSERT_EQ(ReadRows(schema), rows);
  Rows keys;
  Rows left;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i % 7 == 3) {
      keys.push_back({rows[i][0]});
    } else {
      left.push_back(rows[i]);
    }
  }
  Stage(Deletes(schema, keys));
  left[0] = {left[0][0], "[\"new\"]", "(\"7\",\"seven\")", "[]"};
  Stage(Updates(schema, {{left[0][0]}}, {left[0]}));
  Commit();
  EXPECT_EQ(ReadRows(schema), left);
  CloseFile();
  OpenFile();
  EXPECT_EQ(ReadRows(schema), left);
}

TEST_F(RowsTest, VectorsOfOneLengthAreArrays) {
  ColumnType vector = Type(Carrier::kList);
  vector.children = {Type(Carrier::kFloat32)};
  vector.codec = "vector";
  vector.typmod = 3;
  ColumnType vectors = Type(Carrier::kList);
  vectors.children = {vector};
  const SchemaPtr schema = TableOf({{"id", Type(Carrier::kInt64)}, {"v", vector}, {"l", vectors}});
  Rows rows;
  for (int i = 10'000; i < 15'000; ++i) {
    const std::string n = std::to_string(i);
    const memory::Cell list = i % 7 == 0 ? memory::Cell() : memory::Cell("[]");
    rows.push_back({n, i % 5 == 0 ? memory::Cell() : "[\"" + n + "\",\"0\",\"-1.5\"]",
                    i % 3 == 0 ? R"(["[\"1\",\"2\",\"3\"]",null,"[\"4\",\"5\",\"6\"]"])" : list});
  }
  OpenFile();
  MakeLive(schema, rows);
  ASSERT_EQ(ReadRows(schema), rows);
  Stage(Deletes(schema, {{rows[1][0]}}));
  rows[2][1] = memory::Cell();
  rows[5][1] = "[\"1\",\"2\",\"3\"]";
  Stage(Updates(schema, {{rows[2][0]}, {rows[5][0]}}, {rows[2], rows[5]}));
  Commit();
  rows.erase(rows.begin() + 1);
  EXPECT_EQ(ReadRows(schema), rows);
}

TEST_F(RowsTest, AListOfManyElementsWithNullsFitsOneRow) {
  const SchemaPtr schema = TableOf({{"id", Type(Carrier::kInt64)}, {"l", Type(Carrier::kList)}});
  std::string list = "[";
  for (int i = 0; i < 20'000; ++i)
    list +=
        (i == 0 ? "" : ",") + (i % 3 == 0 ? std::string("null") : "\"" + std::to_string(i) + "\"");
  const Rows rows = {{"1", list + "]"}, {"2", kNull}, {"3", list + "]"}};
  OpenFile();
  MakeLive(schema, rows);
  EXPECT_EQ(ReadRows(schema), rows);
}

TEST_F(RowsTest, ALargeSwapOfKeysIsOneUpdate) {
  // More rows than DuckDB's appenders buffer at a time.
  constexpr int kCount = 300'000;
  const SchemaPtr schema = MakeSchema(16'384, {"public", "pairs"},
                                      {{"id", Carrier::kInt64, kKey}, {"v", Carrier::kInt64}});
  Rows rows;
  Rows keys;
  Rows swapped;
  for (int i = 0; i < kCount; ++i) {
    const std::string id = std::to_string(i);
    rows.push_back({id, id});
    keys.push_back({id});
    swapped.push_back({std::to_string(i ^ 1), id});
  }
  OpenFile();
  MakeLive(schema, rows);
  Stage(Updates(schema, keys, swapped));
  Commit();
  EXPECT_EQ(Sql("SELECT count(*), count(DISTINCT id), count(*) FILTER (xor(id, v) = 1) "
                "FROM public.pairs"),
            "300000|300000|300000");
}

TEST_F(RowsTest, UnchangedCellsKeepTheirValueAlsoWhereTheKeyMoves) {
  const SchemaPtr orders = Orders();
  OpenFile();
  MakeLive(orders, {{"1", "one", "1"}, {"2", "two", "2"}, {"3", "three", "3"}});
  NetChange change = Updates(orders, {{"1"}, {"2"}, {"3"}},
                             {{"2", kNull, "10"}, {"1", "neu", kNull}, {"9", kNull, kNull}});
  change.update_unchanged.resize(3);
  change.update_unchanged[1].Set(0);
  change.update_unchanged[1].Set(2);
  Stage(std::move(change));
  Commit();
  EXPECT_EQ(ReadRows(orders),
            (Rows{{"1", "neu", kNull}, {"2", "one", "10"}, {"9", "three", kNull}}));
}

TEST_F(RowsTest, AnUpdateToAnEqualValueThatIsNotTheSameIsWritten) {
  ColumnType pair = Type(Carrier::kStruct);
  pair.children[0] = Type(Carrier::kFloat64);
  const SchemaPtr schema = TableOf({{"id", Type(Carrier::kInt64)},
                                    {"f", Type(Carrier::kFloat64)},
                                    {"g", Type(Carrier::kFloat32)},
                                    {"iv", Type(Carrier::kInterval)},
                                    {"s", pair}});
  OpenFile();
  MakeLive(schema, {{"1", "0", "0", "1 mon 0 d 0 us", "(\"0\",\"a\")"},
                    {"2", "-0", "1", "0 mon 1 d 0 us", "(\"1\",\"b\")"},
                    {"3", "5", "5", kNull, kNull}});
  const Rows want = {{"1", "-0", "-0", "0 mon 30 d 0 us", "(\"-0\",\"a\")"},
                     {"2", "0", "2", "0 mon 0 d 86400000000 us", "(\"2\",\"b\")"},
                     {"3", "0", "6", kNull, kNull}};
  Stage(Updates(schema, {{"1"}, {"2"}, {"3"}}, want));
  Commit();
  EXPECT_EQ(ReadRows(schema), want);
}

TEST_F(RowsTest, WholeRowsAreTakenByTheirBytesNotByEquality) {
  const SchemaPtr schema = TableOf({{"f", Type(Carrier::kFloat64)},
                                    {"iv", Type(Carrier::kInterval)},
                                    {"j", Type(Carrier::kJson)},
                                    {"l", Type(Carrier::kList)},
                                    {"m", Type(Carrier::kMap)}},
                                   false);
  OpenFile();
  MakeLive(schema, {{"0", "1 mon 0 d 0 us", "{}", "[\"a, b\"]", kNull},
                    {"-0", "0 mon 30 d 0 us", "{}", "[\"a\",\"b\"]", kNull},
                    {"NaN", "0 mon 720 d 0 us", "{ }", kNull, "[(\"k\",null)]"},
                    {"NaN", "24 mon 0 d 0 us", "{ }", kNull, "[(\"k\",null)]"},
                    {"1", kNull, kNull, kNull, kNull},
                    {"1", kNull, kNull, kNull, kNull},
                    {"1", kNull, kNull, kNull, kNull}});
  Stage(RowDeletes(schema, {{"-0", "0 mon 30 d 0 us", "{}", "[\"a\",\"b\"]", kNull},
                            {"NaN", "24 mon 0 d 0 us", "{ }", kNull, "[(\"k\",null)]"},
                            {"1", kNull, kNull, kNull, kNull},
                            {"1", kNull, kNull, kNull, kNull}}));
  Commit();
  EXPECT_EQ(ReadRows(schema), (Rows{{"0", "1 mon 0 d 0 us", "{}", "[\"a, b\"]", kNull},
                                    {"1", kNull, kNull, kNull, kNull},
                                    {"NaN", "0 mon 720 d 0 us", "{ }", kNull, "[(\"k\",null)]"}}));
}

TEST_F(RowsTest, AMissingRowFailsTheTable) {
  const SchemaPtr orders = Orders();
  OpenFile();
  MakeLive(orders, {{"1", "a", "1"}});
  for (const NetChange& change :
       {Deletes(orders, {{"7"}}), Updates(orders, {{"7"}}, {{"7", "x", "1"}})}) {
    const auto staged = destination_->Stage(NetRows{std::make_shared<const NetChange>(change)});
    ASSERT_TRUE(staged) << Why(staged);
    ASSERT_TRUE(staged->table_failed);
    EXPECT_EQ(staged->table_failed->error.code, "SLU-5112");
  }
  destination_->Abandon();
}

TEST_F(RowsTest, AValueThatDoesNotFitFailsItsTableAndTheOthersGoOn) {
  const SchemaPtr good = Orders();
  const SchemaPtr bad = TableOf({{"id", Type(Carrier::kInt64)}, {"at", Type(Carrier::kTimestamp)}});
  OpenFile();
  MakeLive(good, {});
  MakeLive(bad, {});
  NetChange change = Inserts(bad, {{"1", "-9223372036854775808"}});
  const auto staged =
      destination_->Stage(NetRows{std::make_shared<const NetChange>(std::move(change))});
  ASSERT_TRUE(staged) << Why(staged);
  ASSERT_TRUE(staged->table_failed);
  EXPECT_EQ(staged->table_failed->error.code, "SLU-5040");
  EXPECT_EQ(staged->table_failed->error.kind, ErrorKind::kConversion);
  EXPECT_EQ(staged->table_failed->error.message.find("92233"), std::string::npos);
  Stage(Inserts(good, {{"1", "a", "1"}}));
  Commit();
  EXPECT_EQ(ReadRows(good).size(), 1U);
  EXPECT_TRUE(ReadRows(bad).empty());
}

TEST_F(RowsTest, TextThatIsNotUtf8FailsItsTable) {
  const SchemaPtr orders = Orders();
  OpenFile();
  MakeLive(orders, {});
  // Each value is broken, the two together are not.
  const auto staged = destination_->Stage(NetRows{std::make_shared<const NetChange>(
      Inserts(orders, {{"1", "a\xc3", "1"}, {"2", "\xa4", "1"}}))});
  ASSERT_TRUE(staged) << Why(staged);
  ASSERT_TRUE(staged->table_failed);
  EXPECT_EQ(staged->table_failed->error.code, "SLU-5040");
}

}  // namespace
}  // namespace sluice::duckdb
