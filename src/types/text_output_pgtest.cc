// The server as oracle: what TextFormatter makes of COPY's binary form equals what the server
// prints.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_reader.h"
#include "types/text_output.h"

namespace sluice::types {
namespace {

struct CloseConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, CloseConnection>;

ColumnType Scalar(std::string_view codec) {
  ColumnType type;
  type.codec = codec;
  return type;
}

ColumnType Composed(std::string_view codec, std::vector<ColumnType> children) {
  ColumnType type = Scalar(codec);
  type.children = std::move(children);
  return type;
}

ColumnType ArrayOf(ColumnType element) {
  return Composed("array", {std::move(element)});
}

class TextOutputOracle : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* conninfo = std::getenv("SLUICE_TEST_PG");
    if (conninfo == nullptr) GTEST_SKIP() << "SLUICE_TEST_PG is not set";
    connection_.reset(PQconnectdb(conninfo));
    ASSERT_EQ(PQstatus(connection_.get()), CONNECTION_OK) << PQerrorMessage(connection_.get());
    Execute(
        "SET datestyle TO ISO; SET intervalstyle TO postgres; SET extra_float_digits TO 3; "
        "SET timezone TO 'UTC'; SET bytea_output TO hex; SET lc_monetary TO 'C'; "
        "SET client_encoding TO 'UTF8'; SET client_min_messages TO warning");
  }

  int version() const { return PQserverVersion(connection_.get()) / 10000; }

  void Execute(const std::string& sql) {
    PGresult* result = PQexec(connection_.get(), sql.c_str());
    const ExecStatusType status = PQresultStatus(result);
    EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        << PQresultErrorMessage(result);
    PQclear(result);
  }

  bool TryExecute(const std::string& sql) {
    PGresult* result = PQexec(connection_.get(), sql.c_str());
    const bool is_ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return is_ok;
  }

  /// Every value v of `source` (a SELECT of one column) prints as the server prints it.
  void Check(const ColumnType& type, const std::string& source) {
    SCOPED_TRACE(source.substr(0, 200));
    const auto formatter = TextFormatter::Make(type);
    ASSERT_TRUE(formatter.has_value());
    const std::string sql = "COPY (SELECT v, format('%s', v) FROM (" + source +
                            ") AS s(v) WHERE v IS DISTINCT FROM NULL) TO STDOUT (FORMAT binary)";
    PGresult* result = PQexec(connection_.get(), sql.c_str());
    const ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    ASSERT_EQ(status, PGRES_COPY_OUT) << PQerrorMessage(connection_.get());
    int rows = 0;
    char* buffer = nullptr;
    bool is_first = true;
    for (int size = 0; (size = PQgetCopyData(connection_.get(), &buffer, 0)) > 0;) {
      base::ByteReader reader(
          base::AsBytes(std::string_view(buffer, static_cast<std::size_t>(size))));
      if (is_first) reader.ReadBytes(19);
      is_first = false;
      if (reader.ReadI16() == 2) {
        ++rows;
        CheckRow(*formatter, reader);
      }
      PQfreemem(buffer);
    }
    while (PGresult* end = PQgetResult(connection_.get())) {
      EXPECT_EQ(PQresultStatus(end), PGRES_COMMAND_OK) << PQresultErrorMessage(end);
      PQclear(end);
    }
    EXPECT_GT(rows, 0);
  }

  void CheckRow(const TextFormatter& formatter, base::ByteReader& reader) {
    const auto wire = reader.ReadBytes(static_cast<std::size_t>(reader.ReadI32()));
    const auto expected =
        base::AsText(reader.ReadBytes(static_cast<std::size_t>(reader.ReadI32())));
    ASSERT_TRUE(reader.Finish());
    std::string text = "before ";
    ASSERT_TRUE(formatter.Append(wire, text)) << expected;
    ASSERT_EQ(text, "before " + std::string(expected));
    // Cut short it is refused or is another value, and never read past its end (ASan watches).
    for (std::size_t cut = 0; cut < std::min<std::size_t>(wire.size(), 64); ++cut) {
      std::vector<std::byte> part(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(cut));
      std::string rest;
      formatter.Append(part, rest);
    }
  }

  /// `values` as quoted literals of `type`.
  static std::string Values(const std::string& type, const std::vector<std::string>& values) {
    std::string sql = "SELECT x::" + type + " FROM (VALUES ";
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i > 0) sql += ", ";
      sql += "($v$" + values[i] + "$v$)";
    }
    return sql + ") AS t(x)";
  }

  Connection connection_;
};

template <class F, class Bits>
std::string RandomFloats(const char* type, int count) {
  std::mt19937_64 random(4711);
  std::string sql = "SELECT x FROM unnest('{0";
  for (int i = 0; i < count; ++i) {
    auto bits = static_cast<Bits>(random());
    if (i % 4 == 0) bits &= ~((Bits{1} << (std::numeric_limits<F>::digits / 2)) - 1);
    const F value = std::bit_cast<F>(bits);
    if (!std::isfinite(value)) continue;
    std::array<char, 40> text{};
    const char* end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    sql.append(",").append(text.data(), static_cast<std::size_t>(end - text.data()));
  }
  return sql + "}'::" + type + "[]) AS t(x)";
}

TEST_F(TextOutputOracle, PrintsBooleansAndIntegers) {
  Check(Scalar("bool"), "SELECT x FROM (VALUES (true), (false), (NULL)) AS t(x)");
  Check(Scalar("int2"), "SELECT x::int2 FROM generate_series(-32768, 32767, 97) AS t(x)");
  Check(Scalar("int4"), Values("int4", {"-2147483648", "2147483647", "0", "-1", "1000000"}));
  Check(Scalar("int8"),
        Values("int8", {"-9223372036854775808", "9223372036854775807", "0", "-1", "100"}));
  Check(Scalar("oid"), Values("oid", {"0", "4294967295", "2147483648"}));
  Check(Scalar("xid"), Values("xid", {"3", "4294967295"}));
  Check(Scalar("cid"), Values("cid", {"3", "4294967295"}));
  Check(Scalar("xid8"), Values("xid8", {"0", "18446744073709551615", "9223372036854775808"}));
  Check(Scalar("pg_lsn"), Values("pg_lsn", {"0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848", "A/0"}));
  Check(Scalar("tid"), Values("tid", {"(0,0)", "(4294967295,65535)", "(7,1)"}));
  Check(Scalar("money"), Values("money", {"0", "-0.01", "1.5", "-1234.50", "1234567.89", "999.99",
                                          "-92233720368547758.08", "92233720368547758.07"}));
}

TEST_F(TextOutputOracle, PrintsFloatsTheShortestWayThatReadsBack) {
  Check(Scalar("float8"), Values("float8", {"NaN",
                                            "Infinity",
                                            "-Infinity",
                                            "-0",
                                            "0",
                                            "5e-324",
                                            "4.94e-324",
                                            "1.7976931348623157e308",
                                            "2.2250738585072014e-308",
                                            "1e23",
                                            "9e22",
                                            "123456789012345",
                                            "1234567890123456",
                                            "0.0001",
                                            "0.00001",
                                            "1e15",
                                            "1e14",
                                            "999999999999999",
                                            "0.1",
                                            "100",
                                            "9007199254740993",
                                            "-1.5e-7",
                                            "8.41e21",
                                            "2.0e-44",
                                            "1e100",
                                            "1e-100",
                                            "5e22",
                                            "4.5e15"}));
  Check(Scalar("float8"), "SELECT 2::float8 ^ x FROM generate_series(-1022, 1023) AS t(x)");
  Check(Scalar("float8"),
        "SELECT (m || 'e' || x)::float8 FROM generate_series(-307, 305) AS t(x), "
        "(VALUES ('1'), ('5'), ('9'), ('1.5'), ('123'), ('9.999999999999999')) AS u(m)");
  Check(Scalar("float8"),
        "SELECT m * 2::float8 ^ x FROM generate_series(0, 60) AS t(x), generate_series(1, 99) m");
  Check(Scalar("float8"), RandomFloats<double, std::uint64_t>("float8", 20000));
  Check(Scalar("float4"),
        Values("float4", {"NaN",      "Infinity",     "-Infinity",      "-0",          "0",
                          "1e-45",    "3.4028235e38", "1.17549435e-38", "0.1",         "123456",
                          "1234567",  "1e6",          "999999",         "0.0001",      "0.00001",
                          "16777216", "16777217",     "8388608",        "3.3554432e7", "1e10"}));
  Check(Scalar("float4"), "SELECT (2::float8 ^ x)::float4 FROM generate_series(-126, 127) AS t(x)");
  Check(Scalar("float4"),
        "SELECT (m || 'e' || x)::float4 FROM generate_series(-37, 35) AS t(x), "
        "(VALUES ('1'), ('2'), ('1.5'), ('3.3'), ('123')) AS u(m)");
  Check(Scalar("float4"), RandomFloats<float, std::uint32_t>("float4", 20000));
}

TEST_F(TextOutputOracle, PrintsNumericsOfAnySize) {
  Check(Scalar("numeric"), Values("numeric", {"0",
                                              "NaN",
                                              "Infinity",
                                              "-Infinity",
                                              "1",
                                              "-1",
                                              "10000",
                                              "9999",
                                              "0.0001",
                                              "0.00001",
                                              "-0.5",
                                              "1.50",
                                              "0.00",
                                              "100000000.000000001",
                                              "1e40",
                                              "1e-40",
                                              "12345678901234567890.123456789",
                                              "1e1000",
                                              "0.000000000000000000000000000001",
                                              "1e131071",
                                              "1e-16383",
                                              "-99999999999999999999999999999999999999.9"}));
  Check(Scalar("numeric_decimal"), "SELECT x::numeric(10,2) / 7 FROM generate_series(-50, 50) x");
  Check(Scalar("numeric"),
        "SELECT round((random() * 2 - 1)::numeric * 10::numeric ^ (x % 60 - 30), x % 40) "
        "FROM generate_series(1, 3000) AS t(x)");
  if (version() < 15) return;
  Check(Scalar("numeric"),
        "SELECT x::numeric(10,-2) FROM generate_series(-999999, 999999, 33333) x");
}

TEST_F(TextOutputOracle, PrintsTexts) {
  for (const char* type : {"text", "varchar", "json", "xml", "name"}) {
    Check(Scalar(type), Values(type, {R"("a\\b")", R"("")", R"("ä€😀")"}));
  }
  Check(Scalar("json"), Values("json", {R"({"k":1.10, "k":2})", R"(  [1 , null])"}));
  Check(Scalar("jsonb"), Values("jsonb", {R"({"k":1.10, "k":2, "a":"\\u20ac"})", "1.10", "[]"}));
  Check(Scalar("bpchar"), Values("char(8)", {"ab", "", "  x", "ä"}));
  Check(Scalar("char"), "SELECT x::\"char\" FROM generate_series(0, 127) AS t(x)");
  if (version() >= 16) {
    Check(Scalar("char"), "SELECT x::\"char\" FROM generate_series(-128, -1) AS t(x)");
  }
  Check(Scalar("bytea"), "SELECT decode(md5(x::text), 'hex') FROM generate_series(0, 9) AS t(x)");
  Check(Scalar("bytea"), "SELECT ''::bytea");
  Check(Scalar("uuid"), Values("uuid", {"00000000-0000-0000-0000-000000000000",
                                        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"}));
  Check(Scalar("bit"), "SELECT x::bit(9) FROM generate_series(0, 511) AS t(x)");
  Check(Scalar("varbit"), Values("varbit", {"", "1", "0", "101010101", "11111111"}));
  Check(Scalar("jsonpath"), Values("jsonpath", {"$.a[*] ? (@ > 1)", "strict $"}));
}

TEST_F(TextOutputOracle, PrintsDatesAndTimes) {
  Check(Scalar("date"),
        Values("date", {"infinity", "-infinity", "4714-11-24 BC", "5874897-12-31", "0001-01-01",
                        "0001-12-31 BC", "2000-02-29", "1970-01-01", "0999-01-01", "10000-01-01"}));
  Check(Scalar("date"), "SELECT '4714-11-24 BC'::date + x * 719 FROM generate_series(0, 9000) x");
  for (const char* type : {"timestamp", "timestamptz"}) {
    Check(Scalar(type),
          Values(type, {"infinity", "-infinity", "4714-11-24 00:00:00 BC",
                        "294276-12-31 23:59:59.999999", "0001-01-01 00:00:00.5",
                        "0044-03-15 12:00:00.100 BC", "1999-12-31 23:59:59.999999", "2000-01-01",
                        "1969-12-31 23:59:59.000001", "2024-02-29 01:02:03.04"}));
    Check(Scalar(type),
          std::string("SELECT '2000-01-01'::") + type +
              " + (random() * 2 - 1) * interval '6000 years' FROM generate_series(1, 2000)");
  }
  Check(Scalar("time"), Values("time", {"00:00", "24:00", "23:59:59.999999", "01:02:03.4"}));
  Check(Scalar("timetz"),
        Values("timetz", {"24:00:00-15:59", "00:00+15:59:59", "12:00:00.5+00", "01:02:03-05:30",
                          "01:02:03+05:30:15", "00:00:00-00:00:01", "00:00:00+14"}));
  std::vector<std::string> intervals = {"0",
                                        "1 mon -1 days",
                                        "178000000 years",
                                        "-178000000 years",
                                        "1 year 2 mons -3 days +04:05:06.7",
                                        "-1 year +2 days",
                                        "1 day -00:00:01",
                                        "-00:00:00.000001",
                                        "-1 day +00:00:00.5",
                                        "1 mon",
                                        "1 day",
                                        "-1 mon -1 day -01:00",

                                        "2147483647:00:00",
                                        "-2147483647:59:59.999999",
                                        "100:00:00",
                                        "-13 mons",
                                        "1 year -1 mon"};
  if (version() >= 15) intervals.push_back("-2562047788:00:54.775807");
  if (version() >= 17) intervals.insert(intervals.end(), {"infinity", "-infinity"});
  Check(Scalar("interval"), Values("interval", intervals));
  Check(
      Scalar("interval"),
      "SELECT make_interval(months => (random() * 60 - 30)::int, days => (random() * 4 - 2)::int, "
      "secs => (random() * 2 - 1) * 10 ^ (x % 9)) FROM generate_series(1, 3000) AS t(x)");
}

TEST_F(TextOutputOracle, PrintsNetworkAddresses) {
  Check(Scalar("inet"), Values("inet", {"192.168.0.1",
                                        "192.168.0.1/24",
                                        "0.0.0.0/0",
                                        "255.255.255.255",
                                        "::",
                                        "::1",
                                        "::2",
                                        "::1.2.3.4",
                                        "::ffff:1.2.3.4",
                                        "::ffff:0:1.2.3.4",
                                        "1::",
                                        "fe80::1/64",
                                        "2001:db8:0:0:1:0:0:1",
                                        "1:0:0:2:0:0:0:3",
                                        "0:1:2:3:4:5:6:7",
                                        "1:2:3:4:5:6:7:0",
                                        "1:0:3:4:5:6:7:8",
                                        "::/0",
                                        "0:0:0:0:0:0:1:0",
                                        "0:0:0:0:0:ffff:0:0",
                                        "1:2:3:4:5:6:0:0"}));
  Check(Scalar("cidr"), Values("cidr", {"192.168.0.0/24", "10.0.0.1/32", "::/0", "2001:db8::/32",
                                        "::1/128", "0.0.0.0/0"}));
  Check(Scalar("macaddr"), Values("macaddr", {"08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"}));
  Check(Scalar("macaddr8"), Values("macaddr8", {"08:00:2b:01:02:03:04:05"}));
}

TEST_F(TextOutputOracle, PrintsGeometry) {
  Check(Scalar("point"), Values("point", {"(-0,1e300)", "(NaN,Infinity)", "(1.5,-2)"}));
  Check(Scalar("lseg"), Values("lseg", {"[(1,2),(3,4.5)]"}));
  Check(Scalar("box"), Values("box", {"(1,2),(3,4)", "(0,0),(0,0)"}));
  Check(Scalar("path"), Values("path", {"[(1,2),(3,4)]", "((1,2),(3,4))", "[(1,2)]"}));
  Check(Scalar("polygon"), Values("polygon", {"((0,0),(1,1),(1,0))", "((1,2))"}));
  Check(Scalar("line"), Values("line", {"{1,-2,3.5}", "{1,0,0}"}));
  Check(Scalar("circle"), Values("circle", {"<(1,2),3.25>", "<(0,0),0>"}));
}

TEST_F(TextOutputOracle, PrintsTextSearch) {
  Check(Scalar("tsvector"), Values("tsvector", {"", "a fat cat", "a:1A,2B,3C,4D b:16383",
                                                R"('it''s' 'b\\\\s')", "'two words':5"}));
  Check(Scalar("tsquery"), Values("tsquery", {"",
                                              "a",
                                              "!a",
                                              "!!a",
                                              "a & b | c",
                                              "a & (b | c)",
                                              "!(a & b)",
                                              "(a|b)&!c",
                                              "a <-> b <-> c",
                                              "a <-> (b <-> c)",
                                              "a <3> b",
                                              "a:*",
                                              "a:AB",
                                              "a:*ABCD",
                                              "(a & b) <-> c",
                                              "a <-> (b | !c)",
                                              "!(a <-> b)",
                                              "a | b | c | d",
                                              "a & (b & c)",
                                              R"('it''s' & 'x\\\\y')",
                                              "(a | b) <2> (c & d)"}));
  Check(Scalar("tsquery"),
        "SELECT string_agg('w' || x, ' & ')::tsquery FROM generate_series(1, 2000) x");
  Check(Scalar("tsquery"), "SELECT (repeat('!(a | ', 300) || 'b' || repeat(')', 300))::tsquery");
}

TEST_F(TextOutputOracle, PrintsRangesAndMultiranges) {
  Check(Scalar("int4range"), Values("int4range", {"empty", "[1,5]", "(,)", "[,5)", "(3,]"}));
  Check(Composed("range", {Scalar("int8")}), Values("int8range", {"[-9000000000,5]"}));
  Check(Scalar("numrange"), Values("numrange", {"[1.50,2.0]", "(-Infinity,NaN)", "(1,2]"}));
  Check(Scalar("daterange"), Values("daterange", {"[2024-01-01,infinity]", "(,-infinity]"}));
  Check(Scalar("tsrange"), Values("tsrange", {"[2024-01-01 10:00,2024-01-02)", "[infinity,]"}));
  Check(Scalar("tstzrange"), Values("tstzrange", {"[2024-01-01 10:00+03,)"}));
  Execute("DROP TYPE IF EXISTS sluice_text_range CASCADE");
  Execute("CREATE TYPE sluice_text_range AS RANGE (subtype = text)");
  Check(Composed("range", {Scalar("text")}),
        Values("sluice_text_range",
               {R"(["","a b"])", R"([a,"b,c"])", R"(["(x","[y"])", R"(["a\\\\b","q\"q"])"}));
  if (version() < 14) return;
  Check(Scalar("int4multirange"), Values("int4multirange", {"{}", "{[1,5],[7,9)}", "{(,)}"}));
  Check(Composed("multirange", {Scalar("timestamp")}),
        Values("tsmultirange", {"{[2024-01-01,2024-01-02],[2025-01-01,)}"}));
  Check(Composed("multirange", {Scalar("numeric")}), Values("nummultirange", {"{[1.0,2.00)}"}));
}

TEST_F(TextOutputOracle, PrintsArrays) {
  Check(ArrayOf(Scalar("int4")),
        Values("int4[]", {"{}", "{1,NULL,-3}", "[0:1]={7,8}", "{{1,2},{3,4}}",
                          "[-2:-1][5:6]={{1,2},{3,4}}", "{{{1},{2}},{{3},{4}},{{5},{6}}}"}));
  Check(ArrayOf(Scalar("text")),
        Values("text[]", {R"({a,"NULL",NULL,"",nUlL,"a b"," ","{x}","a,b","\"","\\\\"})",
                          R"({"a\nb","a\tb",nulls,ä})"}));
  Check(ArrayOf(Scalar("box")), Values("box[]", {"{(1,2),(3,4);(5,6),(7,8)}"}));
  Check(ArrayOf(Scalar("float8")), Values("float8[]", {"{1e23,NaN,-0,Infinity}"}));
  Check(ArrayOf(Scalar("timestamptz")), Values("timestamptz[]", {R"({"2024-01-01 00:00+00"})"}));
  Check(ArrayOf(Scalar("int4range")), Values("int4range[]", {R"~({"[1,2)",empty})~"}));
  Check(Scalar("int2vector"), Values("int2vector", {"1 2 3", "", "-5"}));
  Check(Scalar("oidvector"), Values("oidvector", {"1 4294967295", "", "7"}));
}

TEST_F(TextOutputOracle, PrintsCompositesAndExtensions) {
  Execute("DROP TYPE IF EXISTS sluice_text_pair CASCADE");
  Execute("CREATE TYPE sluice_text_pair AS (a int, b text, c numeric[])");
  const ColumnType pair =
      Composed("record", {Scalar("int4"), Scalar("text"), ArrayOf(Scalar("numeric"))});
  const std::vector<std::string> pairs = {"(1,x,{1.0})", "(,,)", R"((2,"",{}))",
                                          R"((3,"a ""b"" (c), \\\\d","{1,NULL}"))"};
  Check(pair, Values("sluice_text_pair", pairs));
  Check(ArrayOf(pair),
        "SELECT array_agg(x) FROM (" + Values("sluice_text_pair", pairs) + ") AS q(x)");
  Check(Scalar("pg_snapshot"), Values("pg_snapshot", {"10:20:10,14,15", "3:3:"}));
  Check(Scalar("txid_snapshot"), Values("txid_snapshot", {"10:20:10,14,15"}));
  if (TryExecute("CREATE EXTENSION IF NOT EXISTS hstore")) {
    Check(Scalar("hstore"),
          Values("hstore", {"", R"(a=>1,bb=>NULL,"c \""=>"x\"y\\\\z")", R"("q\"r"=>"NULL")"}));
  }
  if (TryExecute("CREATE EXTENSION IF NOT EXISTS citext")) {
    Check(Scalar("citext"), Values("citext", {"AbC", ""}));
  }
  if (TryExecute("CREATE EXTENSION IF NOT EXISTS ltree")) {
    Check(Scalar("ltree"), Values("ltree", {"a.b.c", ""}));
    Check(Scalar("lquery"), Values("lquery", {"a.*{1,2}.c|d"}));
    Check(Scalar("ltxtquery"), Values("ltxtquery", {"a & !b*"}));
  }
}

}  // namespace
}  // namespace sluice::types
