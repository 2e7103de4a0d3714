// PostgreSQL as the oracle of the decoders: the binary and the text form of the same rows, by COPY
// and by pgoutput, must give equal columns.
//
// Needs SLUICE_TEST_PG, a connection string to a server with wal_level=logical; skipped without.

#include <arrow/array.h>
#include <arrow/compare.h>
#include <arrow/record_batch.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/byte_reader.h"
#include "base/testing/result_matchers.h"
#include "columnar/copy_decoder.h"
#include "columnar/table_builder.h"
#include "types/type_catalog.h"

namespace sluice::columnar {
namespace {

using sluice::testing::IsOk;

struct CloseConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, CloseConnection>;
using Rows = std::unique_ptr<PGresult, ClearResult>;

// Every type of docs/types.md with a first row of NULLs, then extremes. One array a column, NULL
// where it has fewer values than the longest.
struct TestColumn {
  const char* type;
  std::vector<const char*> values;  // SQL literals
};

const std::vector<TestColumn>& TestColumns() {
  static const std::vector<TestColumn> kColumns = {
      {"bool", {"'t'", "'f'"}},
      {"int2", {"'-32768'", "'32767'", "'0'"}},
      {"int4", {"'-2147483648'", "'2147483647'", "'0'"}},
      {"int8", {"'-9223372036854775808'", "'9223372036854775807'", "'0'"}},
      {"oid", {"'0'", "'4294967295'"}},
      {"float4",
       {"'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "'1e-45'", "'3.4028235e38'", "'0.1'"}},
      {"float8",
       {"'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "'4.9e-324'", "'1.7976931348623157e308'",
        "'1e23'", "'0.1'"}},
      {"numeric(10,2)", {"'0'", "'-99999999.99'", "'99999999.99'", "'0.01'", "'10000'", "'100'"}},
      {"numeric(38,0)", {"'99999999999999999999999999999999999999'", "'-1'"}},
      {"numeric(38,38)", {"'0.99999999999999999999999999999999999999'", "'-0.00000001'"}},
      {"numeric(5,5)", {"'0.00001'", "'-0.12345'"}},
      {"numeric", {"'NaN'", "'1e40'", "'-1.500'", "'0.000000001'", "'12345678901234567890.123'"}},
      {"text", {"''", "'plain'", "E'tab\\tnewline\\nback\\\\slash\\r'", "'é€😀'", "'NULL'"}},
      {"varchar(20)", {"'x'", "'\\N'"}},
      {"char(5)", {"'ab'", "''"}},
      {"name", {"'name'"}},
      {"\"char\"", {"'a'", "''"}},
      {"xml", {"'<a>b</a>'"}},
      {"bytea", {"''", "'\\x00ff5c0a'"}},
      {"date",
       {"'infinity'", "'-infinity'", "'4714-11-24 BC'", "'5874897-12-31'", "'2000-02-29'",
        "'1969-12-31'", "'0001-12-31 BC'"}},
      {"timestamp",
       {"'infinity'", "'-infinity'", "'4714-11-24 00:00:00 BC'", "'2024-02-29 23:59:59.999999'",
        "'1969-12-31 23:59:59.5'", "'290000-01-01'", "'0044-03-15 12:00:00.1 BC'"}},
      {"timestamptz",
       {"'infinity'", "'-infinity'", "'4714-11-24 00:00:00+00 BC'",
        "'2024-02-29 23:59:59.000001+02'", "'0044-03-15 12:00:00+00 BC'"}},
      {"time", {"'00:00:00'", "'24:00:00'", "'23:59:59.999999'"}},
      {"timetz", {"'24:00:00-15:59'", "'12:00:00.5+05:30'"}},
      {"interval",
       {"'0'", "'1 year 2 mons -3 days 04:05:06.7'", "'1 mon -1 days'",
        "'-178956970 years -8 mons'", "'-00:00:00.000001'", "'1000000:00:00.000001'",
        "'178956970 years 7 mons 2147483647 days'"}},
      {"uuid",
       {"'00000000-0000-0000-0000-000000000000'", "'FFFFFFFF-1234-5678-9abc-def012345678'"}},
      {"json", {"'{\"k\":1.10, \"k\":2}'", "'\"\\ud800\"'", "'null'"}},
      {"jsonb", {"'{\"k\":1.10, \"k\":2}'", "'null'", "'[1, {\"a\": \"é\"}]'"}},
      {"jsonpath", {"'$.a[*] ? (@ > 1)'"}},
      {"inet", {"'192.168.0.1/24'", "'::1'", "'10.0.0.1'"}},
      {"cidr", {"'10.0.0.0/8'", "'2001:db8::/32'"}},
      {"macaddr", {"'08:00:2b:01:02:03'"}},
      {"macaddr8", {"'08:00:2b:01:02:03:04:05'"}},
      {"bit(5)", {"'10101'"}},
      {"varbit", {"''", "'1010101010'"}},
      {"money", {"'-1234.50'", "'92233720368547758.07'"}},
      {"point", {"'(1,-0)'"}},
      {"box", {"'(2,2),(0,0)'"}},
      {"polygon", {"'((0,0),(1,1),(2,0))'"}},
      {"circle", {"'<(0,0),1.5>'"}},
      {"tsvector", {"'a:1A b:2,3 c'", "''"}},
      {"tsquery", {"'a & !b | c:*'"}},
      {"pg_lsn", {"'16/B374D848'"}},
      {"xid", {"'4294967295'"}},
      {"xid8", {"'18446744073709551615'"}},
      {"tid", {"'(4294967295,65535)'"}},
      {"int2vector", {"'1 2 3'"}},
      {"oidvector", {"'1 4294967295'"}},
      {"pg_snapshot", {"'10:20:10,14,15'"}},
      {"int4range", {"'[1,10]'", "'empty'", "'(,5)'"}},
      {"numrange", {"'[1.5,2.50)'"}},
      {"tstzrange", {"'[2024-01-01 00:00:00+00,infinity)'"}},
      {"int8multirange", {"'{[1,3),[5,7)}'", "'{}'"}},
      {"int4[]", {"'{}'", "'{1,NULL,-3}'"}},
      {"int8range[]", {"'{\"[1,3)\",empty}'"}},
      {"text[]", {"'{a,\"NULL\",NULL,\"\",\"q\\\"u\\\\o\",\"x,y\",\" sp \",\"{b}\"}'", "'{}'"}},
      {"numeric(8,3)[]", {"'{1.5,NULL,-99999.999}'"}},
      {"timestamptz[]", {"'{\"2024-01-01 00:00:00.25+00\",infinity}'"}},
      {"float8[]", {"'{NaN,-0,Infinity}'"}},
      {"box[]", {"'{(2,2),(0,0);(1,1),(0,0)}'"}},
      {"bytea[]", {"'{\"\\\\\\\\x00ff\",NULL}'"}},
      {"jsonb[]", {"array['{\"a\": \"b\"}'::jsonb]"}},
      {"bool[]", {"'{t,f,NULL}'"}},
      {"uuid[]", {"'{00000000-0000-0000-0000-000000000001}'"}},
      {"interval[]", {"'{\"1 mon -1 days\",\"00:00:01\"}'"}},
      {"mood", {"'sad'", "'very \"happy\"'"}},
      {"mood[]", {"'{sad,NULL,\"very \\\"happy\\\"\"}'"}},
      {"price", {"'12.34'"}},
      {"prices", {"'{12.34,NULL}'"}},
      {"price[]", {"'{12.34}'"}},
      {"pair", {"row(1,'x')", "row(NULL,NULL)", "row(2,'q\"u,o\\te) ')", "row(3,'')"}},
      {"pair[]", {"array[row(1,'a'),NULL,row(NULL,'b\"c')]::pair[]"}},
      {"nested", {"row(row(1,'in \"ner\"'),array[1,NULL],'a=>1')", "row(NULL,'{}',NULL)"}},
      {"one", {"row(NULL)", "row('x')", "row('')"}},
      {"hstore", {"''", "'a=>1, \"b c\"=>NULL, \"q\\\"=>\"=>\"\\\\\\\\\"'"}},
      {"hstore[]", {"array['a=>1, b=>NULL'::hstore, NULL]"}},
      {"citext", {"'MiXed'"}},
      {"ltree", {"'Top.Science'"}},
      {"floatrange", {"'[1.5,2.5]'"}},
      {"int4_list_list", {"array['{1,2}','{3}']::int4_list_list"}},
  };
  return kColumns;
}

class DecodersAgainstServer : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* conninfo = std::getenv("SLUICE_TEST_PG");  // NOLINT(concurrency-mt-unsafe)
    if (conninfo == nullptr) GTEST_SKIP() << "SLUICE_TEST_PG is not set";
    connection_.reset(PQconnectdb(conninfo));
    ASSERT_EQ(PQstatus(connection_.get()), CONNECTION_OK) << PQerrorMessage(connection_.get());
    for (const char* setting :
         {"client_encoding = 'UTF8'", "datestyle = 'ISO'", "intervalstyle = 'postgres'",
          "extra_float_digits = 3", "bytea_output = 'hex'", "timezone = 'UTC'", "lc_monetary = 'C'",
          "client_min_messages = 'warning'"}) {
      Run(std::string("SET ") + setting);
    }
    schema_name_ = "columnar_" + std::to_string(PQbackendPID(connection_.get()));
    slot_ = schema_name_;
    Run("CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public");
    Run("CREATE EXTENSION IF NOT EXISTS citext SCHEMA public");
    Run("CREATE EXTENSION IF NOT EXISTS ltree SCHEMA public");
    Run("CREATE SCHEMA " + schema_name_);
    Run("SET search_path = " + schema_name_ + ", public");
    Run("CREATE TYPE mood AS ENUM ('sad', 'very \"happy\"');"
        "CREATE DOMAIN price AS numeric(10,2); CREATE DOMAIN prices AS numeric(10,2)[];"
        "CREATE TYPE pair AS (a int4, dropped int8, b text);"
        "ALTER TYPE pair DROP ATTRIBUTE dropped;"
        "CREATE TYPE nested AS (p pair, l int4[], h hstore); CREATE TYPE one AS (x text);"
        "CREATE TYPE floatrange AS RANGE (subtype = float8);"
        "CREATE DOMAIN int4_list AS int4[]; CREATE DOMAIN int4_list_list AS int4_list[]");
  }
  void TearDown() override {
    if (!connection_ || PQstatus(connection_.get()) != CONNECTION_OK) return;
    Run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '" +
        slot_ + "'");
    Run("DROP PUBLICATION IF EXISTS " + slot_);
    Run("DROP SCHEMA IF EXISTS " + schema_name_ + " CASCADE");
  }

  Rows Run(const std::string& sql, int result_format = 0) {
    Rows rows(result_format == 0 ? PQexec(connection_.get(), sql.c_str())
                                 : PQexecParams(connection_.get(), sql.c_str(), 0, nullptr, nullptr,
                                                nullptr, nullptr, result_format));
    const ExecStatusType status = PQresultStatus(rows.get());
    EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        << sql << ": " << PQerrorMessage(connection_.get());
    return rows;
  }
  static std::string Cell(const Rows& rows, int row, int column) {
    return PQgetvalue(rows.get(), row, column);
  }
  template <class T>
  static T Number(const Rows& rows, int row, int column) {
    const std::string text = Cell(rows, row, column);
    T value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  }
  static bool Flag(const Rows& rows, int row, int column) { return Cell(rows, row, column) == "t"; }

  types::TypeCatalog LoadCatalog() {
    types::TypeCatalog catalog;
    const Rows rows = Run(std::string(types::TypeRowsSql()));
    for (int i = 0; i < PQntuples(rows.get()); ++i) {
      catalog.AddType({.oid = Oid{Number<std::uint32_t>(rows, i, 0)},
                       .name = Cell(rows, i, 1),
                       .namespace_name = Cell(rows, i, 2),
                       .typtype = Cell(rows, i, 3)[0],
                       .typcategory = Cell(rows, i, 4)[0],
                       .is_array = Flag(rows, i, 5),
                       .typelem = Oid{Number<std::uint32_t>(rows, i, 6)},
                       .typbasetype = Oid{Number<std::uint32_t>(rows, i, 7)},
                       .typtypmod = Number<std::int32_t>(rows, i, 8),
                       .typrelid = Number<std::uint32_t>(rows, i, 9),
                       .typdelim = Cell(rows, i, 10)[0],
                       .has_send = Flag(rows, i, 11),
                       .range_element = Oid{Number<std::uint32_t>(rows, i, 12)},
                       .extension = Cell(rows, i, 13)});
    }
    const Rows attributes = Run(std::string(types::AttributeRowsSql()));
    for (int i = 0; i < PQntuples(attributes.get()); ++i) {
      catalog.AddAttribute({.typrelid = Number<std::uint32_t>(attributes, i, 0),
                            .attnum = Number<std::int16_t>(attributes, i, 1),
                            .name = Cell(attributes, i, 2),
                            .type = Oid{Number<std::uint32_t>(attributes, i, 3)},
                            .typmod = Number<std::int32_t>(attributes, i, 4)});
    }
    return catalog;
  }

  void MakeTable() {
    std::size_t row_count = 0;
    std::string create = "CREATE TABLE t (";
    for (std::size_t i = 0; i < TestColumns().size(); ++i) {
      const TestColumn& column = TestColumns()[i];
      if (i != 0) create += ", ";
      create += "c" + std::to_string(i) + " " + column.type;
      row_count = std::max(row_count, column.values.size());
    }
    Run(create + ")");
    insert_ = "INSERT INTO t VALUES ";
    for (std::size_t row = 0; row <= row_count; ++row) {
      insert_ += row == 0 ? "(" : ", (";
      for (std::size_t i = 0; i < TestColumns().size(); ++i) {
        const TestColumn& column = TestColumns()[i];
        if (i != 0) insert_ += ", ";
        const bool is_null = row == 0 || row > column.values.size();
        insert_ +=
            is_null ? "NULL" : std::string("(") + column.values[row - 1] + ")::" + column.type;
      }
      insert_ += ")";
    }
  }

  SchemaPtr LoadSchema(const types::TypeCatalog& catalog) {
    auto schema = std::make_shared<TableSchema>();
    schema->name = {schema_name_, "t"};
    const Rows rows =
        Run("SELECT attname, atttypid, atttypmod, attnum FROM pg_attribute "
            "WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum");
    for (int i = 0; i < PQntuples(rows.get()); ++i) {
      auto type =
          catalog.Resolve(Oid{Number<std::uint32_t>(rows, i, 1)}, Number<std::int32_t>(rows, i, 2));
      EXPECT_THAT(type, IsOk());
      if (!type) return nullptr;
      schema->columns.push_back({.name = Cell(rows, i, 0),
                                 .type = *std::move(type),
                                 .attnum = Number<std::int16_t>(rows, i, 3),
                                 .missing_value = {}});
    }
    return schema;
  }

  RowsPtr Copy(const SchemaPtr& schema, CopyFormat format) {
    CopyDecoder decoder(schema, format);
    const std::string sql = std::string("COPY t TO STDOUT (FORMAT ") +
                            (format == CopyFormat::kBinary ? "binary" : "text") + ")";
    const Rows begin(PQexec(connection_.get(), sql.c_str()));
    EXPECT_EQ(PQresultStatus(begin.get()), PGRES_COPY_OUT) << PQerrorMessage(connection_.get());
    char* message = nullptr;
    int length = 0;
    while ((length = PQgetCopyData(connection_.get(), &message, 0)) > 0) {
      const std::span<const std::byte> bytes =
          base::AsBytes({message, static_cast<std::size_t>(length)});
      EXPECT_THAT(decoder.Append(bytes), IsOk());
      PQfreemem(message);
    }
    Rows(PQgetResult(connection_.get())).reset();
    while (Rows rest{PQgetResult(connection_.get())}) {
    }
    EXPECT_THAT(decoder.CheckComplete(), IsOk());
    return decoder.Finish().rows;
  }

  // The Insert messages of everything that the slot has, through TableBuilder.
  RowsPtr Stream(const SchemaPtr& schema, bool binary) {
    const Rows rows = Run("SELECT data FROM pg_logical_slot_peek_binary_changes('" + slot_ +
                              "', NULL, NULL, 'proto_version', '1', 'publication_names', '" +
                              slot_ + "', 'binary', '" + (binary ? "true" : "false") + "')",
                          1);
    TableBuilder builder(schema);
    std::vector<pgoutput::TupleCell> cells;
    std::uint32_t ordinal = 0;
    for (int i = 0; i < PQntuples(rows.get()); ++i) {
      base::ByteReader in(base::AsBytes(
          {PQgetvalue(rows.get(), i, 0), static_cast<std::size_t>(PQgetlength(rows.get(), i, 0))}));
      if (in.ReadU8() != 'I') continue;
      in.ReadU32();
      EXPECT_EQ(in.ReadU8(), 'N');
      cells.clear();
      for (std::uint16_t left = in.ReadU16(); left > 0 && in.ok(); --left) {
        pgoutput::TupleCell cell;
        cell.kind = static_cast<pgoutput::TupleCell::Kind>(in.ReadU8());
        if (cell.kind == pgoutput::TupleCell::Kind::kText ||
            cell.kind == pgoutput::TupleCell::Kind::kBinary) {
          cell.bytes = in.ReadBytes(in.ReadU32());
        }
        cells.push_back(cell);
      }
      EXPECT_TRUE(in.Finish());
      EXPECT_THAT(builder.AppendInsert(cells, ordinal++), IsOk());
    }
    return builder.Finish().values;
  }

  static void ExpectSame(const RowsPtr& expected, const RowsPtr& actual, const char* what) {
    ASSERT_EQ(expected->num_rows(), actual->num_rows()) << what;
    ASSERT_GT(expected->num_rows(), 1) << what;
    EXPECT_TRUE(actual->Validate().ok()) << what << actual->Validate().ToString();
    const auto options = arrow::EqualOptions::Defaults().nans_equal(true).signed_zeros_equal(false);
    for (int i = 0; i < expected->num_columns(); ++i) {
      // Arrow's full validation does not know 24:00:00, which PostgreSQL has.
      if (actual->column(i)->type_id() != arrow::Type::TIME64) {
        EXPECT_TRUE(actual->column(i)->ValidateFull().ok()) << what << i;
      }
      EXPECT_TRUE(expected->column(i)->Equals(actual->column(i), options))
          << what << ": " << TestColumns()[static_cast<std::size_t>(i)].type << "\n"
          << expected->column(i)->ToString() << "\n"
          << actual->column(i)->ToString();
    }
  }

  Connection connection_;
  std::string schema_name_;
  std::string slot_;
  std::string insert_;
};

TEST_F(DecodersAgainstServer, BinaryAndTextGiveEqualColumnsByCopyAndByStream) {
  MakeTable();
  Run("CREATE PUBLICATION " + slot_ + " FOR TABLE t");
  Run("SELECT pg_create_logical_replication_slot('" + slot_ + "', 'pgoutput')");
  Run(insert_);
  const types::TypeCatalog catalog = LoadCatalog();
  const SchemaPtr schema = LoadSchema(catalog);
  ASSERT_NE(schema, nullptr);
  ASSERT_EQ(schema->columns.size(), TestColumns().size());
  for (std::size_t i = 0; i < schema->columns.size(); ++i) {
    EXPECT_TRUE(types::HasCodec(schema->columns[i].type)) << TestColumns()[i].type;
  }
  EXPECT_EQ(FormatFor(*schema), CopyFormat::kBinary);

  const RowsPtr by_binary = Copy(schema, CopyFormat::kBinary);
  ExpectSame(by_binary, by_binary, "binary copy");
  ExpectSame(by_binary, Copy(schema, CopyFormat::kText), "text copy");
  ExpectSame(by_binary, Stream(schema, true), "binary stream");
  ExpectSame(by_binary, Stream(schema, false), "text stream");
}

// What a column of text says must be the server's own text.
TEST_F(DecodersAgainstServer, TextCarriersHoldTheServersText) {
  MakeTable();
  Run(insert_);
  const types::TypeCatalog catalog = LoadCatalog();
  const SchemaPtr schema = LoadSchema(catalog);
  const RowsPtr rows = Copy(schema, CopyFormat::kBinary);
  for (int i = 0; i < rows->num_columns(); ++i) {
    const Carrier carrier = schema->columns[static_cast<std::size_t>(i)].type.carrier;
    if (carrier != Carrier::kText && carrier != Carrier::kJson) continue;
    const std::string name = "c" + std::to_string(i);
    const Rows texts =
        Run("SELECT CASE WHEN " + name + " IS NOT NULL THEN format('%s', " + name + ") END FROM t");
    const auto& column = static_cast<const arrow::StringArray&>(*rows->column(i));
    for (int row = 0; row < PQntuples(texts.get()); ++row) {
      ASSERT_EQ(column.IsNull(row), PQgetisnull(texts.get(), row, 0) == 1) << name;
      if (column.IsNull(row)) continue;
      EXPECT_EQ(column.GetString(row), Cell(texts, row, 0))
          << TestColumns()[static_cast<std::size_t>(i)].type;
    }
  }
}

TEST_F(DecodersAgainstServer, MisfitsAreRefusedInBothForms) {
  const struct {
    const char* type;
    const char* value;
    const char* code;
  } kMisfits[] = {
      {"numeric(10,2)", "'NaN'", "SLU-4104"},
      {"int4[]", "'{{1,2},{3,4}}'", "SLU-4106"},
      {"int4[]", "'[0:1]={7,8}'", "SLU-4106"},
      {"text[]", "'{{a},{b}}'", "SLU-4106"},
      {"timestamp", "'294276-12-31 23:59:59.999999'", "SLU-4108"},
      {"interval", "'infinity'", "SLU-4107"},
  };
  for (const auto& misfit : kMisfits) {
    if (std::string_view(misfit.type) == "interval" &&
        PQserverVersion(connection_.get()) < 170000) {
      continue;
    }
    Run(std::string("CREATE TABLE t (c ") + misfit.type + ")");
    Run(std::string("INSERT INTO t VALUES (") + misfit.value + ")");
    const types::TypeCatalog catalog = LoadCatalog();
    const SchemaPtr schema = LoadSchema(catalog);
    for (const CopyFormat format : {CopyFormat::kBinary, CopyFormat::kText}) {
      CopyDecoder decoder(schema, format);
      const Rows begin(PQexec(connection_.get(), format == CopyFormat::kBinary
                                                     ? "COPY t TO STDOUT (FORMAT binary)"
                                                     : "COPY t TO STDOUT"));
      char* message = nullptr;
      const int length = PQgetCopyData(connection_.get(), &message, 0);
      ASSERT_GT(length, 0);
      const Status status =
          decoder.Append(base::AsBytes({message, static_cast<std::size_t>(length)}));
      EXPECT_THAT(status, sluice::testing::CodeIs(misfit.code)) << misfit.type;
      EXPECT_THAT(status, sluice::testing::IsError(ErrorKind::kConversion));
      PQfreemem(message);
      while (PQgetCopyData(connection_.get(), &message, 0) > 0) PQfreemem(message);
      while (Rows rest{PQgetResult(connection_.get())}) {
      }
    }
    Run("DROP TABLE t");
  }
}

}  // namespace
}  // namespace sluice::columnar
