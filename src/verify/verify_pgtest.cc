// A real server's rows, read twice: by verify's SELECT, and by an ordinary COPY through the decoder
// that the copy uses. Both must come to the same canonical bytes, for every type.
#include <arrow/record_batch.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_reader.h"
#include "columnar/copy_decoder.h"
#include "types/type_catalog.h"
#include "verify/source_select.h"
#include "verify/table_comparison.h"

namespace sluice::verify {
namespace {

struct CloseConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultPtr = std::unique_ptr<PGresult, ClearResult>;

class VerifyOracle : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* conninfo = std::getenv("SLUICE_TEST_PG");
    if (conninfo == nullptr) GTEST_SKIP() << "SLUICE_TEST_PG is not set";
    connection_.reset(PQconnectdb(conninfo));
    ASSERT_EQ(PQstatus(connection_.get()), CONNECTION_OK) << PQerrorMessage(connection_.get());
    Query(
        "SET datestyle TO ISO; SET intervalstyle TO postgres; SET extra_float_digits TO 3; "
        "SET timezone TO 'UTC'; SET bytea_output TO hex; SET lc_monetary TO 'C'; "
        "SET client_encoding TO 'UTF8'; SET client_min_messages TO warning; BEGIN");
  }

  ResultPtr Query(const std::string& sql) {
    ResultPtr result(PQexec(connection_.get(), sql.c_str()));
    EXPECT_NE(PQresultStatus(result.get()), PGRES_FATAL_ERROR)
        << sql << PQresultErrorMessage(result.get());
    return result;
  }

  std::vector<std::string> Copy(const std::string& sql) {
    std::vector<std::string> messages;
    EXPECT_EQ(PQresultStatus(Query(sql).get()), PGRES_COPY_OUT);
    char* buffer = nullptr;
    for (int size = 0; (size = PQgetCopyData(connection_.get(), &buffer, 0)) > 0;) {
      messages.emplace_back(buffer, static_cast<std::size_t>(size));
      PQfreemem(buffer);
    }
    while (ResultPtr end{PQgetResult(connection_.get())}) {
      EXPECT_EQ(PQresultStatus(end.get()), PGRES_COMMAND_OK) << PQresultErrorMessage(end.get());
    }
    return messages;
  }

  static Oid OidOf(const PGresult* result, int row, int column) {
    return Oid{
        static_cast<std::uint32_t>(std::strtoul(PQgetvalue(result, row, column), nullptr, 10))};
  }

  types::TypeCatalog Catalog() {
    types::TypeCatalog catalog;
    const ResultPtr rows = Query(std::string(types::TypeRowsSql()));
    for (int i = 0; i < PQntuples(rows.get()); ++i) {
      const auto text = [&](int column) { return std::string(PQgetvalue(rows.get(), i, column)); };
      types::TypeRow row;
      row.oid = OidOf(rows.get(), i, 0);
      row.name = text(1);
      row.namespace_name = text(2);
      row.typtype = text(3)[0];
      row.typcategory = text(4)[0];
      row.is_array = text(5) == "t";
      row.typelem = OidOf(rows.get(), i, 6);
      row.typbasetype = OidOf(rows.get(), i, 7);
      row.typtypmod = std::atoi(text(8).c_str());
      row.typrelid = OidOf(rows.get(), i, 9).value;
      row.typdelim = text(10)[0];
      row.has_send = text(11) == "t";
      row.range_element = OidOf(rows.get(), i, 12);
      row.extension = text(13);
      catalog.AddType(std::move(row));
    }
    const ResultPtr attributes = Query(std::string(types::AttributeRowsSql()));
    for (int i = 0; i < PQntuples(attributes.get()); ++i) {
      types::AttributeRow row;
      row.typrelid = OidOf(attributes.get(), i, 0).value;
      row.attnum = static_cast<std::int16_t>(std::atoi(PQgetvalue(attributes.get(), i, 1)));
      row.name = PQgetvalue(attributes.get(), i, 2);
      row.type = OidOf(attributes.get(), i, 3);
      row.typmod = std::atoi(PQgetvalue(attributes.get(), i, 4));
      catalog.AddAttribute(std::move(row));
    }
    return catalog;
  }

  SchemaPtr SchemaOf(const std::string& table) {
    const types::TypeCatalog catalog = Catalog();
    const ResultPtr rows =
        Query("SELECT attname, atttypid, atttypmod FROM pg_attribute WHERE attrelid = '" + table +
              "'::regclass AND attnum > 0 ORDER BY attnum");
    auto schema = std::make_shared<TableSchema>();
    schema->name = {"public", table};
    for (int i = 0; i < PQntuples(rows.get()); ++i) {
      auto type = catalog.Resolve(OidOf(rows.get(), i, 1), std::atoi(PQgetvalue(rows.get(), i, 2)));
      EXPECT_TRUE(type.has_value());
      schema->columns.push_back({.name = PQgetvalue(rows.get(), i, 0), .type = *std::move(type)});
    }
    schema->key = {0};
    return schema;
  }

  TableResult CompareWithDecoder(const std::string& table) {
    const SchemaPtr schema = SchemaOf(table);
    const columnar::CopyFormat format = columnar::FormatFor(*schema);
    columnar::CopyDecoder decoder(schema, format);
    const std::string word = format == columnar::CopyFormat::kBinary ? "binary" : "text";
    for (const std::string& message : Copy("COPY " + table + " TO STDOUT (FORMAT " + word + ")")) {
      const Status status = decoder.Append(base::AsBytes(message));
      EXPECT_TRUE(status.has_value()) << status.error().message;
    }
    const RowsPtr rows = decoder.Finish().rows;
    TableComparison comparison(MakeComparedTable(schema), Lsn{1});
    const std::vector<std::string> messages = Copy(SelectForVerify(comparison.table()));
    do {
      TableScan source = comparison.NewScan(Side::kSource);
      for (const std::string& message : messages) {
        const Status status = source.AppendCopy(base::AsBytes(message));
        EXPECT_TRUE(status.has_value()) << status.error().message;
      }
      EXPECT_TRUE(comparison.Absorb(std::move(source)).has_value());
      TableScan destination = comparison.NewScan(Side::kDestination);
      const Status status = destination.AppendRows(*rows);
      EXPECT_TRUE(status.has_value()) << status.error().message;
      EXPECT_TRUE(comparison.Absorb(std::move(destination)).has_value());
    } while (comparison.FinishPass());
    return comparison.Finish();
  }

  /// A table of one type with these values (SQL expressions) and NULL.
  void Check(const std::string& type, const std::vector<std::string>& values) {
    SCOPED_TRACE(type);
    Query("CREATE TABLE sluice_verify_one (id int PRIMARY KEY, v " + type + ")");
    Query("INSERT INTO sluice_verify_one VALUES (0, NULL)");
    for (std::size_t i = 0; i < values.size(); ++i) {
      Query("INSERT INTO sluice_verify_one VALUES (" + std::to_string(i + 1) + ", " + values[i] +
            ")");
    }
    const TableResult result = CompareWithDecoder("sluice_verify_one");
    EXPECT_EQ(result.rows_source, values.size() + 1);
    EXPECT_EQ(result.status, ComparisonStatus::kEqual) << PrintJson({{result}});
    Query("DROP TABLE sluice_verify_one");
  }

  std::unique_ptr<PGconn, CloseConnection> connection_;
};

TEST_F(VerifyOracle, AgreesWithTheDecoderOnNumbersAndTimes) {
  Check("bool", {"true", "false"});
  Check("int2", {"-32768", "32767"});
  Check("int4", {"-2147483648", "0"});
  Check("int8", {"9223372036854775807", "-1"});
  Check("oid", {"4294967295"});
  Check("float4", {"'NaN'", "'-0'", "1e-45", "'-Infinity'"});
  Check("float8", {"'NaN'", "'-0'", "0", "1e23", "5e-324"});
  Check("numeric(10,2)", {"1.5", "-0.01", "0", "99999999.99"});
  Check("numeric(38,2)", {"-999999999999999999999999999999999999.99"});
  Check("numeric(38,38)", {"0.00000000000000000000000000000000000001", "-0.1"});
  Check("numeric", {"'NaN'", "1e40", "1.50", "'Infinity'"});
  Check("date", {"'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'"});
  Check("timestamp", {"'infinity'", "'-infinity'", "'4713-01-01 BC'", "'2024-02-29 01:02:03.4'"});
  Check("timestamptz", {"'infinity'", "'1969-12-31 23:59:59.999999+00'"});
  Check("time", {"'24:00'", "'00:00:00.000001'"});
  Check("timetz", {"'24:00:00-15:59'", "'12:00+05:30'"});
  Check("interval", {"'1 mon -1 days +00:00:00.5'", "'-178000000 years'"});
}

TEST_F(VerifyOracle, AgreesWithTheDecoderOnTextsAndWhatIsCarriedAsText) {
  Check("text", {"''", "'ä€'"});
  Check("char(6)", {"'ab'", "''"});
  Check("name", {"'n'"});
  Check("bytea", {"'\\x00ff'", "''"});
  Check("uuid", {"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"});
  Check("json", {"'{\"k\":1.10, \"k\":2}'"});
  Check("jsonb", {"'{\"k\":1.10, \"a\":[1,null]}'"});
  Check("inet", {"'10.0.0.1'", "'10.0.0.1/8'", "'::ffff:1.2.3.4'"});
  Check("macaddr", {"'08:00:2b:01:02:03'"});
  Check("bit(3)", {"B'101'"});
  Check("money", {"(-1234.5)::numeric::money"});
  Check("int4range", {"'[1,5]'", "'empty'"});
  Check("tstzrange", {"'[2024-01-01,)'"});
  Check("point", {"'(1e23,-0)'"});
  Check("tsvector", {"'a:1A fat'"});
  Check("tsquery", {"'!(a | b) <-> c'"});
  Check("pg_lsn", {"'16/B374D848'"});
  Check("\"char\"", {"'x'"});
  Check("regclass", {"'pg_class'"});
}

TEST_F(VerifyOracle, AgreesWithTheDecoderOnListsCompositesAndMaps) {
  Query("CREATE TYPE sluice_verify_mood AS ENUM ('sad', 'ok')");
  Query("CREATE DOMAIN sluice_verify_domain AS inet[]");
  Query("CREATE TYPE sluice_verify_pair AS (n numeric(5,1), net inet, tags text[])");
  Check("int4[]", {"'{}'", "'{1,NULL,3}'"});
  Check("text[]", {"ARRAY['a', NULL, '', 'NULL', 'b\"c']"});
  Check("inet[]", {"'{10.0.0.1,NULL,10.0.0.0/8}'", "'{}'"});
  Check("char(3)[]", {"'{a,bcd}'"});
  Check("numeric[]", {"'{1.50,NaN}'"});
  Check("jsonb[]", {"ARRAY['{\"a\": 1}'::jsonb, NULL]"});
  Check("sluice_verify_mood", {"'sad'"});
  Check("sluice_verify_mood[]", {"'{ok,NULL,sad}'"});
  Check("sluice_verify_domain", {"'{10.0.0.1}'"});
  Check("sluice_verify_pair", {"'(1.5,10.0.0.1,\"{a,b}\")'", "'(,,)'"});
  Check("sluice_verify_pair[]", {"ARRAY['(1.5,10.0.0.1,{})'::sluice_verify_pair, NULL, '(,,)']"});
  Query("SAVEPOINT before_extension");
  Query("CREATE EXTENSION IF NOT EXISTS hstore");
  Check("hstore", {"'a=>1, bb=>NULL'", "''"});
}

}  // namespace
}  // namespace sluice::verify
