// docs/types.md says what the code does: every built-in type stands in one row, with the carrier
// and the type of DuckDB that the code gives it, and every misfit has its code there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "destinations/duckdb/type_map.h"
#include "types/builtin_types.h"
#include "types/type_catalog.h"
#include "types/value_fault.h"

namespace sluice::duckdb {
namespace {

std::string ReadDocument() {
  std::ifstream file(SLUICE_TYPES_MD);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? std::string()
                                    : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

/// At `separator` outside of brackets.
std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == separator && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  for (std::string& part : parts) part = Trimmed(part);
  return parts;
}

struct Row {
  std::vector<std::string> names;
  std::string carrier;
  std::string destination;
};

std::vector<Row> ReadTable(const std::string& document) {
  std::vector<Row> rows;
  std::istringstream lines(document);
  for (std::string line; std::getline(lines, line) && !line.starts_with("## ");) {
    if (!line.starts_with("| ") || line.starts_with("| PostgreSQL")) continue;
    const std::vector<std::string> cells = Split(line, '|');
    if (cells.size() < 5) continue;
    rows.push_back({Split(cells[1], ','), cells[2], cells[3]});
  }
  return rows;
}

/// How the document calls a built-in type.
std::string DocumentedName(const types::BuiltinType& type) {
  static const std::map<std::string_view, std::string> kNames = {
      {"character varying", "varchar"},
      {"character", "char(n)"},
      {"bit varying", "varbit"},
      {"numeric", "other numeric"},
      {"time without time zone", "time"},
      {"time with time zone", "timetz"},
      {"timestamp without time zone", "timestamp"},
      {"timestamp with time zone", "timestamptz"},
      {"gtsvector", "types without a send function"}};
  if (type.codec == "range") return "ranges";
  if (type.codec == "multirange") return "multiranges";
  if (type.name.starts_with("reg")) return "regclass and the other reg types";
  const auto found = kNames.find(type.name);
  return found == kNames.end() ? std::string(type.name) : found->second;
}

std::string CarrierWord(Carrier carrier) {
  static const std::map<Carrier, std::string> kWords = {
      {Carrier::kBool, "bool"},         {Carrier::kInt16, "int16"},
      {Carrier::kInt32, "int32"},       {Carrier::kInt64, "int64"},
      {Carrier::kUInt32, "uint32"},     {Carrier::kFloat32, "float"},
      {Carrier::kFloat64, "double"},    {Carrier::kDecimal, "decimal128(p,s)"},
      {Carrier::kText, "utf8"},         {Carrier::kBytes, "binary"},
      {Carrier::kDate, "date32"},       {Carrier::kTimestamp, "timestamp[us]"},
      {Carrier::kTime, "time64[us]"},   {Carrier::kTimestampTz, "timestamp[us, UTC]"},
      {Carrier::kInterval, "16 bytes"}, {Carrier::kUuid, "16 bytes"},
      {Carrier::kJson, "utf8"},         {Carrier::kList, "list"},
      {Carrier::kStruct, "struct"},     {Carrier::kMap, "map<utf8, utf8>"}};
  return kWords.at(carrier);
}

std::string DestinationWord(const ColumnType& type) {
  if (type.carrier == Carrier::kTimestampTz) return "TIMESTAMPTZ";
  if (type.carrier == Carrier::kDecimal) return "DECIMAL(p,s)";
  return SqlType(type);
}

const Row* Find(const std::vector<Row>& rows, const std::string& name) {
  const Row* found = nullptr;
  for (const Row& row : rows) {
    if (std::find(row.names.begin(), row.names.end(), name) == row.names.end()) continue;
    EXPECT_EQ(found, nullptr) << name << " stands in two rows";
    found = &row;
  }
  return found;
}

void ExpectDocumented(const std::vector<Row>& rows, const std::string& name,
                      const ColumnType& type) {
  const Row* row = Find(rows, name);
  ASSERT_NE(row, nullptr) << "docs/types.md lacks " << name;
  EXPECT_NE(row->carrier.find(CarrierWord(type.carrier)), std::string::npos)
      << name << ": " << row->carrier;
  EXPECT_NE(row->destination.find(DestinationWord(type)), std::string::npos)
      << name << ": " << row->destination;
}

TEST(TypesDocument, HasEveryBuiltInTypeWithItsCarrier) {
  const std::vector<Row> rows = ReadTable(ReadDocument());
  const types::TypeCatalog catalog;
  std::set<std::string> documented = {// What is no built-in type of its own.
                                      "numeric(p,s)",
                                      "p <= 38",
                                      "0 <= s <= p",
                                      "citext",
                                      "enums",
                                      "arrays",
                                      "composite types",
                                      "row types",
                                      "hstore",
                                      "domains",
                                      "also over arrays and other domains",
                                      "ltree",
                                      "lquery",
                                      "ltxtquery",
                                      "vector(n)",
                                      "halfvec(n) (pgvector)",
                                      "sparsevec",
                                      "geometry",
                                      "geography (PostGIS)",
                                      "types unknown to Sluice"};
  int count = 0;
  for (std::uint32_t oid = 1; oid < 10'000; ++oid) {
    const types::BuiltinType* builtin = types::FindBuiltinType(Oid{oid});
    if (builtin == nullptr) continue;
    ++count;
    const std::string name = DocumentedName(*builtin);
    ExpectDocumented(rows, name, *catalog.Resolve(Oid{oid}, -1));
    documented.insert(name);
    // The last row is that of types without a codec.
    EXPECT_EQ(builtin->codec.empty(), Find(rows, name) == &rows.back()) << name;
  }
  EXPECT_GT(count, 60);
  for (const Row& row : rows) {
    for (const std::string& name : row.names) EXPECT_TRUE(documented.contains(name)) << name;
  }
}

TEST(TypesDocument, HasWhatTheModifiersAndContainersMake) {
  const std::vector<Row> rows = ReadTable(ReadDocument());
  const types::TypeCatalog catalog;
  ExpectDocumented(rows, "numeric(p,s)", *catalog.Resolve(Oid{1700}, ((38 << 16) | 10) + 4));
  ExpectDocumented(rows, "other numeric", *catalog.Resolve(Oid{1700}, ((39 << 16) | 10) + 4));
  const Row* arrays = Find(rows, "arrays");
  ASSERT_NE(arrays, nullptr);
  EXPECT_EQ(SqlType(*catalog.Resolve(Oid{1007}, -1)), "INTEGER[]");
  EXPECT_EQ(arrays->destination, "LIST");
  types::TypeCatalog extended;
  extended.AddType({.oid = Oid{20000}, .name = "vector", .extension = "vector"});
  extended.AddType({.oid = Oid{20001}, .name = "geometry", .extension = "postgis"});
  ExpectDocumented(rows, "vector(n)", *extended.Resolve(Oid{20000}, -1));
  EXPECT_EQ(SqlType(*extended.Resolve(Oid{20000}, 3)), "FLOAT[3]");
  ExpectDocumented(rows, "geometry", *extended.Resolve(Oid{20001}, -1));
}

TEST(TypesDocument, HasEveryMisfit) {
  using types::ValueFault;
  const std::string document = ReadDocument();
  for (auto fault = static_cast<int>(ValueFault::kNotUtf8);
       fault <= static_cast<int>(ValueFault::kTooLarge); ++fault) {
    const Error error = types::FaultError(static_cast<ValueFault>(fault), "c", "t");
    EXPECT_NE(document.find(error.code), std::string::npos) << error.code << ": " << error.message;
  }
}

}  // namespace
}  // namespace sluice::duckdb
