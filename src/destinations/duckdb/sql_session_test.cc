#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "destinations/duckdb/duckdb_test_fixture.h"
#include "destinations/duckdb/statement_text.h"

namespace sluice::duckdb {
namespace {

class SqlTest : public DuckDbTest {
 protected:
  void SetUp() override {
    OpenFile();
    MakeLive(MakeSchema(1, {"public", "orders"},
                        {{"id", Carrier::kInt64, kKey}, {"note", Carrier::kText}}),
             {{"1", "a"}, {"2", kNull}});
  }
  std::string Code(const std::string& sql, const SqlLimits& limits = {}) {
    auto session = destination_->Sql(limits);
    if (!session) return Why(session);
    const Status status = (*session)->QueryText(
        sql, [](const std::vector<SqlColumn>&) { return Status(); },
        [](const SqlTextRow&) { return Status(); });
    return status ? "ok" : status.error().code;
  }
};

TEST_F(SqlTest, AnswersWhatReads) {
  EXPECT_EQ(Sql("SELECT * FROM public.orders ORDER BY id DESC"), "2|NULL\n1|a");
  EXPECT_EQ(Sql("  -- why\nWITH x AS (SELECT 1 AS a) FROM x; -- the end"), "1");
  EXPECT_EQ(Sql("VALUES (1, [2, 3]), (4, NULL)"), "1|[2, 3]\n4|NULL");
  EXPECT_EQ(Sql("SELECT 1 AS a, 2 AS a"), "1|2");
  EXPECT_EQ(Sql("SELECT ';' || $$;$$ /* ; */"), ";;");
  EXPECT_EQ(Sql("SELECT column_name FROM (DESCRIBE public.orders)"), "id\nnote");
  EXPECT_NE(Sql("SHOW ALL TABLES").find("orders"), std::string::npos);
  EXPECT_NE(Sql("EXPLAIN SELECT * FROM public.orders").find("orders"), std::string::npos);
  EXPECT_EQ(Sql("SELECT TIMESTAMPTZ '2020-01-01 00:00:00+00'"), "2020-01-01 00:00:00+00");
}

TEST_F(SqlTest, LetsFunctionsThroughThatOnlyRead) {
  EXPECT_EQ(Sql("SELECT * FROM range(2) t(a), unnest([5]) u(b) ORDER BY a"), "0|5\n1|5");
  EXPECT_EQ(Sql("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'orders'"), "1");
  EXPECT_EQ(Sql("SELECT count(*) FROM pragma_table_info('public.orders')"), "2");
  EXPECT_EQ(Sql("SELECT key FROM json_each('{\"a\": 1}')"), "a");
  EXPECT_EQ(Sql("FROM (SUMMARIZE public.orders) SELECT count(*)"), "2");
  EXPECT_NE(Sql("EXPLAIN ANALYZE SELECT * FROM public.orders").find("orders"), std::string::npos);
  EXPECT_NE(Sql("EXPLAIN (FORMAT json) (SELECT ')' FROM range(3))").find("RANGE"),
            std::string::npos);
  EXPECT_NE(Sql("EXPLAIN (SELECT 1)"), "");
}

TEST_F(SqlTest, NamesColumnsAndTypes) {
  auto session = destination_->Sql({});
  ASSERT_TRUE(session);
  std::vector<SqlColumn> columns;
  ASSERT_TRUE((*session)->QueryText(
      "SELECT id, 1.50 AS price, [note] AS notes FROM public.orders",
      [&](const std::vector<SqlColumn>& header) -> Status {
        columns = header;
        return {};
      },
      [](const SqlTextRow&) { return Status(); }));
  ASSERT_EQ(columns.size(), 3U);
  EXPECT_EQ(columns[0].name + " " + columns[0].type, "id BIGINT");
  EXPECT_EQ(columns[1].name + " " + columns[1].type, "price DECIMAL(3,2)");
  EXPECT_EQ(columns[2].name + " " + columns[2].type, "notes VARCHAR[]");
}

TEST_F(SqlTest, RefusesWhatIsNotOneStatementThatReads) {
  for (const char* sql : {"",
                          ";",
                          "SELECT 1; SELECT 2",
                          "INSERT INTO public.orders VALUES (3, 'x')",
                          "UPDATE public.orders SET note = 'x'",
                          "DELETE FROM public.orders",
                          "DROP TABLE public.orders",
                          "CREATE TABLE public.x(i INT)",
                          "CREATE TEMP TABLE x(i INT)",
                          "SET threads = 1",
                          "RESET threads",
                          "PRAGMA database_list",
                          "CALL pragma_version()",
                          "ATTACH 'x.db'",
                          "DETACH _sluice_file",
                          "USE memory",
                          "COPY public.orders TO 'x.csv'",
                          "EXPORT DATABASE 'x'",
                          "LOAD json",
                          "INSTALL httpfs",
                          "CHECKPOINT",
                          "VACUUM",
                          "BEGIN",
                          "COMMIT",
                          "EXECUTE x",
                          "PREPARE x AS SELECT 1",
                          "SELECT $1"}) {
    const std::string code = Code(sql);
    EXPECT_TRUE(code == "SLU-5030" || code == "SLU-5033") << sql << ": " << code;
  }
  EXPECT_EQ(Code("SELECT 1; SELECT 2"), "SLU-5030");
  EXPECT_EQ(Code("DELETE FROM public.orders"), "SLU-5030");
  EXPECT_EQ(Sql("SELECT count(*) FROM public.orders"), "2");
}

TEST_F(SqlTest, ReachesNoFileAndNoWriter) {
  for (const char* sql : {"SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '/etc/passwd'",
                          "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM glob('/*')",
                          "SELECT * FROM read_parquet('https://example.org/x')",
                          "SELECT * FROM force_checkpoint('_sluice_file')", "SELECT getenv('HOME')",
                          "SELECT * FROM sniff_csv('/etc/passwd')", "SELECT nope"}) {
    const std::string code = Code(sql);
    EXPECT_TRUE(code == "SLU-5030" || code == "SLU-5033") << sql << ": " << code;
  }
  const std::string copy = "COPY (SELECT 1) TO '" + file_ + "' (FORMAT csv, USE_TMP_FILE false)";
  for (const std::string& sql :
       {std::string("EXPLAIN ANALYZE DELETE FROM public.orders"), "EXPLAIN ANALYZE " + copy,
        "EXPLAIN (ANALYZE, FORMAT json) " + copy, "/* ( */ EXPLAIN --\nANALYZE " + copy,
        "EXPLAIN " + copy, "FROM read_blob('" + file_ + "')",
        "EXPLAIN ANALYZE FROM read_blob('" + file_ + "')",
        "SELECT (SELECT max(size) FROM READ_BLOB('" + file_ + "'))",
        "WITH x AS (FROM main.read_text('" + file_ + "')) SELECT 1 FROM x",
        std::string("FROM enable_logging(storage='file', storage_config={'path':'/x'})"),
        std::string("DESCRIBE FROM enable_logging()"), std::string("FROM enable_profiling()"),
        std::string("FROM checkpoint('_sluice_file')"), std::string("FROM query('SELECT 1')")}) {
    EXPECT_EQ(Code(sql), "SLU-5030") << sql;
  }
  EXPECT_EQ(Sql("SELECT count(*) FROM public.orders"), "2");
}

TEST_F(SqlTest, EndsAtItsLimits) {
  EXPECT_EQ(Code("SELECT count(*) FROM range(1000000000) a, range(1000000) b",
                 {.time_limit = std::chrono::milliseconds(100)}),
            "SLU-5031");
  EXPECT_EQ(Code("FROM range(10)", {.rows_max = 10}), "ok");
  EXPECT_EQ(Code("FROM range(11)", {.rows_max = 10}), "SLU-5032");
}

TEST_F(SqlTest, SpillsWhereMemoryIsShort) {
  CloseFile();
  OpenFile({.memory_bytes_max = 48U << 20});
  EXPECT_EQ(Sql("SELECT count(*), max(r) FROM (SELECT row_number() OVER (ORDER BY hash(i)) AS r "
                "FROM range(3000000) t(i))"),
            "3000000|3000000");
  CloseFile();
  EXPECT_FALSE(std::filesystem::exists(file_ + ".tmp"));
}

TEST_F(SqlTest, ASessionIsUsableAfterAnError) {
  auto session = destination_->Sql({});
  ASSERT_TRUE(session);
  const auto header = [](const std::vector<SqlColumn>&) { return Status(); };
  int rows = 0;
  const auto count = [&](const SqlTextRow&) -> Status {
    ++rows;
    return {};
  };
  EXPECT_FALSE((*session)->QueryText("SELECT * FROM nowhere", header, count));
  EXPECT_FALSE((*session)->QueryText("SELECT 1/'x'", header, count));
  EXPECT_TRUE((*session)->QueryText("SELECT * FROM public.orders", header, count));
  EXPECT_EQ(rows, 2);
}

TEST_F(SqlTest, SeesWhatWasCommittedLast) {
  const SchemaPtr orders = MakeSchema(1, {"public", "orders"},
                                      {{"id", Carrier::kInt64, kKey}, {"note", Carrier::kText}});
  Stage(Inserts(orders, {{"3", "c"}}));
  EXPECT_EQ(Sql("SELECT count(*) FROM public.orders"), "2");
  Commit();
  EXPECT_EQ(Sql("SELECT count(*) FROM public.orders"), "3");
}

TEST_F(SqlTest, GivesArrowBatches) {
  auto session = destination_->Sql({});
  ASSERT_TRUE(session);
  std::string types;
  std::int64_t rows = 0;
  const Status status = (*session)->QueryArrow(
      "SELECT i AS id, i::VARCHAR AS t, [i] AS l, 1.5::DECIMAL(5,2) AS d FROM range(5000) r(i)",
      [&](const std::shared_ptr<arrow::Schema>& schema) -> Status {
        for (const auto& field : schema->fields()) types += field->type()->name() + " ";
        return {};
      },
      [&](const RowsPtr& batch) -> Status {
        rows += batch->num_rows();
        return {};
      });
  ASSERT_TRUE(status) << Why(status);
  EXPECT_EQ(types, "int64 utf8 list decimal128 ");
  EXPECT_EQ(rows, 5000);
}

TEST(FirstStatement, EndsAtTheFirstSemicolonThatCounts) {
  EXPECT_EQ(FirstStatement("SELECT 1; SELECT 2"), "SELECT 1");
  EXPECT_EQ(FirstStatement("SELECT ';' ; x"), "SELECT ';' ");
  EXPECT_EQ(FirstStatement("SELECT 'it''s;';"), "SELECT 'it''s;'");
  EXPECT_EQ(FirstStatement("SELECT \"a;b\" -- ;\n;"), "SELECT \"a;b\" -- ;\n");
  EXPECT_EQ(FirstStatement("/* ; /* ; */ ; */ SELECT 1;"), "/* ; /* ; */ ; */ SELECT 1");
  EXPECT_EQ(FirstStatement("SELECT $a$ ; $$ ; $a$;"), "SELECT $a$ ; $$ ; $a$");
  EXPECT_EQ(FirstStatement("SELECT e'\\';';"), "SELECT e'\\';'");
  EXPECT_EQ(FirstStatement("SELECT e'\\"), "SELECT e'\\");
  EXPECT_EQ(FirstStatement("SELECT 'open ;"), "SELECT 'open ;");
  EXPECT_EQ(FirstStatement(""), "");
}

}  // namespace
}  // namespace sluice::duckdb
