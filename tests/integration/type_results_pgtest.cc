// Every value of tests/data/type_values.txt on every way to the destination: by COPY and by the
// stream, binary and text, as a new row, as the old key of a row and in an old row that is sent
// whole. What PostgreSQL prints is what must come out. docs/types.md has the results; the test
// fails where they differ.
//
// SLUICE_WRITE_RESULTS=1 writes them instead, on the newest server only, and with them the bytes of
// the values for the unit tests of the decoders (tests/data/binary_values.txt).
#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <array>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "columnar/copy_decoder.h"
#include "columnar/table_builder.h"
#include "columnar/testing/postgres_text.h"
#include "duckdb_file.h"
#include "integration/stream_rows.h"
#include "integration/type_values.h"
#include "postgres/catalog.h"
#include "postgres/copy_reader.h"
#include "postgres/quote.h"
#include "postgres/server_fixture.h"
#include "testing/sluice_process.h"
#include "types/builtin_types.h"
#include "types/type_catalog.h"

namespace sluice::tests {
namespace {

using sluice::testing::IsOk;

constexpr int kNewestServer = 18;
constexpr std::size_t kShownBytes = 300;
constexpr int kMoved = 1000;  // what an update adds to an id

enum Way : std::uint8_t { kCopyBinary, kCopyText, kStreamBinary, kStreamText, kOldKey, kFull };
constexpr std::size_t kWays = 6;

// One row of the document: values of one type that end the same way.
struct Results {
  std::string label;
  std::size_t count = 0;
  std::array<std::set<std::string>, kWays> cells;
};

using Texts = std::map<int, std::optional<std::string>>;

// A type in two tables: f with the whole old row, k with the value in its identity.
struct Subject {
  const TypeValues* type = nullptr;
  std::string name;
  SchemaPtr full;
  SchemaPtr key;  // nullptr: no index takes the type
  Texts printed;
  std::size_t first_row = 0;  // in results_
};

std::string Shown(const std::optional<std::string>& text) {
  if (!text) return "NULL";
  return text->size() <= kShownBytes ? *text : text->substr(0, kShownBytes) + "...";
}

class TypeResults : public postgres::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (IsSkipped() || HasFailure()) return;
    server_version_ = sql_->server_version() / 10000;
    file_ = ReadValues(SLUICE_TYPE_VALUES);
    ASSERT_FALSE(file_.types.empty());
    Sql("SET search_path = public");
    Sql(file_.setup);
    MakeTables();
  }

  bool Takes(const std::string& sql) {
    return sql_->Exec("try what the server takes", sql).has_value();
  }

  void MakeTables() {
    for (const TypeValues& type : file_.types) {
      if (type.since > server_version_) continue;
      Subject subject{.type = &type,
                      .name = std::to_string(subjects_.size()),
                      .full = nullptr,
                      .key = nullptr,
                      .printed = {},
                      .first_row = 0};
      Sql(
          fmt::format("CREATE TABLE f{0} (id int PRIMARY KEY, v {1});"
                      "ALTER TABLE f{0} REPLICA IDENTITY FULL",
                      subject.name, type.type));
      const std::string key = fmt::format(
          "CREATE TABLE k{0} (id int NOT NULL, n int, v {1} NOT NULL);"
          "CREATE UNIQUE INDEX k{0}_index ON k{0} (id, v);"
          "ALTER TABLE k{0} REPLICA IDENTITY USING INDEX k{0}_index",
          subject.name, type.type);
      if (Takes("BEGIN; " + key + "; COMMIT")) {
        has_key_.insert(subject.name);
      } else {
        Sql("ROLLBACK");
      }
      subjects_.push_back(std::move(subject));
    }
  }

  void Insert(Subject& subject, bool with_misfits) {
    Takes(fmt::format("INSERT INTO f{} VALUES (0, NULL)", subject.name));
    for (std::size_t i = 0; i < subject.type->values.size(); ++i) {
      const Value& value = subject.type->values[i];
      if (value.since > server_version_ || (!value.code.empty() && !with_misfits)) continue;
      const std::string sql = "(" + value.sql + ")::" + subject.type->type;
      Sql(fmt::format("INSERT INTO f{} VALUES ({}, {})", subject.name, i + 1, sql));
      if (!has_key_.contains(subject.name)) continue;
      // What an index does not hold is no key.
      Takes(fmt::format("INSERT INTO k{} VALUES ({}, 1, {})", subject.name, i + 1, sql));
    }
    const postgres::QueryResult rows = Sql("SELECT id, v FROM f" + subject.name);
    for (std::size_t i = 0; i < rows.row_count(); ++i)
      subject.printed[static_cast<int>(rows.integer_or(i, 0, 0))] = rows.optional_text(i, 1);
  }

  void Load(Subject& subject, const types::TypeCatalog& catalog) {
    const auto load = [&](const std::string& table) -> SchemaPtr {
      const auto oid = Sql("SELECT '" + table + "'::regclass::oid").Unsigned32(0, 0);
      const auto loaded = postgres::LoadTableSchema(*sql_, catalog, RelationId{*oid}, "p");
      EXPECT_THAT(loaded, IsOk()) << subject.type->type;
      return loaded ? loaded->schema : nullptr;
    };
    subject.full = load("f" + subject.name);
    if (has_key_.contains(subject.name)) subject.key = load("k" + subject.name);
  }

  // Which of the document's rows a value belongs to.
  Results& RowOf(const Subject& subject, int id) {
    std::size_t row = subject.first_row;
    if (id > 0 && !subject.type->values[static_cast<std::size_t>(id) - 1].code.empty()) ++row;
    return results_[row];
  }

  void AddRows(Subject& subject) {
    subject.first_row = results_.size();
    const std::string since =
        subject.type->since == 0 ? "" : fmt::format(", {} and later", subject.type->since);
    Results exact{.label = "`" + subject.type->type + "`" + since, .count = 0, .cells = {}};
    Results refused{.label = "", .count = 0, .cells = {}};
    bool is_refused_here = false;
    for (const Value& value : subject.type->values) {
      if (value.code.empty()) {
        ++exact.count;
        continue;
      }
      const std::string from = value.since == 0 ? "" : fmt::format(" ({} and later)", value.since);
      is_refused_here |= value.since <= server_version_;
      refused.label += (refused.count++ == 0 ? "`" + subject.type->type + "`, " + value.code + ": "
                                             : std::string(", ")) +
                       "`" + value.sql + "`" + from;
    }
    results_.push_back(std::move(exact));
    if (is_refused_here) results_.push_back(std::move(refused));
  }

  // What became of one value; `is_taken`: it is in row `row` of `array`.
  void Judge(const Subject& subject, int id, Way way, const Status& status,
             const arrow::Array* array, std::int64_t row) {
    const std::string what = fmt::format("{} `{}` on way {}", subject.type->type,
                                         id == 0 ? "NULL" : ValueAt(subject, id).sql, int{way});
    if (!status) {
      EXPECT_EQ(id == 0 ? "" : ValueAt(subject, id).code, status.error().code)
          << what << ": " << status.error().message;
      EXPECT_EQ(status.error().kind, ErrorKind::kConversion) << what;
      RowOf(subject, id).cells[way].insert("refused");
      return;
    }
    const ColumnType& type = subject.full->columns[1].type;
    std::optional<std::string> found;
    if (!array->IsNull(row)) found = columnar::testing::PostgresText(type, *array, row);
    const std::optional<std::string>& expected = subject.printed.at(id);
    EXPECT_EQ(expected == found, true)
        << what << "\nPostgreSQL: " << Shown(expected) << "\ndecoded:    " << Shown(found);
    const bool is_text = type.carrier == Carrier::kText;
    RowOf(subject, id).cells[way].insert(expected != found ? "WRONG" : is_text ? "text" : "exact");
  }

  static const Value& ValueAt(const Subject& subject, int id) {
    return subject.type->values[static_cast<std::size_t>(id) - 1];
  }

  void Copy(const Subject& subject, columnar::CopyFormat format) {
    const bool is_binary = format == columnar::CopyFormat::kBinary;
    if (is_binary && columnar::FormatFor(*subject.full) != format) return;
    const Way way = is_binary ? kCopyBinary : kCopyText;
    for (const auto& [id, text] : subject.printed) {
      columnar::CopyDecoder decoder(subject.full, format);
      auto reader = postgres::CopyReader::Start(
          *sql_, fmt::format("COPY (SELECT * FROM f{} WHERE id = {}) TO STDOUT (FORMAT {})",
                             subject.name, id, is_binary ? "binary" : "text"));
      ASSERT_THAT(reader, IsOk());
      Status status;
      for (;;) {
        const auto messages = reader->NextRows();
        ASSERT_THAT(messages, IsOk());
        if (messages->empty()) break;
        for (const auto& message : *messages) {
          if (Status appended = decoder.Append(message); !appended) status = std::move(appended);
        }
      }
      EXPECT_EQ(decoder.row_count(), status ? 1U : 0U) << subject.type->type;
      const RowsPtr rows = decoder.Finish().rows;
      Judge(subject, id, way, status, status ? rows->column(1).get() : nullptr, 0);
    }
  }

  void Stream(bool is_binary) {
    std::map<std::uint32_t, const Subject*> by_relation;
    for (const Subject& subject : subjects_) {
      by_relation[subject.full->relation.value] = &subject;
      if (subject.key) by_relation[subject.key->relation.value] = &subject;
    }
    const postgres::QueryResult rows =
        Sql("SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('" + database_ +
            "', NULL, NULL, 'proto_version', '1', 'publication_names', 'p', 'binary', '" +
            (is_binary ? "true" : "false") + "')");
    std::size_t changes = 0;
    for (std::size_t i = 0; i < rows.row_count(); ++i) {
      const std::string message = FromHex(rows.text(i, 0));
      const auto change = ReadStreamRow(message);
      if (!change) continue;
      ++changes;
      const Subject& subject = *by_relation.at(change->relation);
      if (is_binary && columnar::FormatFor(*subject.full) != columnar::CopyFormat::kBinary)
        continue;
      Change(subject, *change, is_binary ? kStreamBinary : kStreamText);
    }
    EXPECT_GT(changes, subjects_.size() * 6);
  }

  // The bytes of a value whose type has the same number in every database: unit tests read them.
  void Capture(const Subject& subject, const StreamRow& change) {
    constexpr std::size_t kBytesMax = 120;
    constexpr std::uint32_t kFirstOfUsers = 16384;
    const ColumnType& type = subject.full->columns[1].type;
    const std::span<const std::byte> bytes = change.row[1].bytes;
    if (type.oid.value >= kFirstOfUsers || bytes.size() > kBytesMax || change.id == 0 ||
        !ValueAt(subject, change.id).code.empty()) {
      return;
    }
    captured_ += fmt::format("{} {} ", type.oid.value, type.typmod);
    for (const std::byte byte : bytes)
      captured_ += fmt::format("{:02x}", std::to_integer<int>(byte));
    captured_ += "\n";
  }

  // An insert is the way itself; the old tuple of an update or delete is another.
  void Change(const Subject& subject, const StreamRow& change, Way way) {
    const bool is_full = change.relation == subject.full->relation.value;
    columnar::TableBuilder builder(is_full ? subject.full : subject.key);
    if (is_full && change.kind == 'I' && way == kStreamBinary) Capture(subject, change);
    Status status = change.kind == 'I'   ? builder.AppendInsert(change.row, 0)
                    : change.kind == 'U' ? builder.AppendUpdate(change.row, change.old, 0)
                                         : builder.AppendDelete(change.old, 0);
    const int id = change.id >= kMoved ? change.id - kMoved : change.id;
    if (!is_full && change.kind == 'I') return;  // as in f
    const ChangeBatch batch = builder.Finish();
    if (change.kind != 'D') {
      const int column = is_full ? 1 : 2;
      Judge(subject, id, way, status, status ? batch.values->column(column).get() : nullptr, 0);
    }
    if (change.kind == 'I') return;
    EXPECT_TRUE(!status || batch.has_old[0]) << subject.type->type << change.kind;
    Judge(subject, id, is_full ? kFull : kOldKey, status,
          status ? batch.old->column(1).get() : nullptr, 0);
  }

  std::string Table() const {
    std::string out =
        "| type | values | COPY binary | COPY text | stream binary | stream text | old key | whole "
        "old row |\n|---|---|---|---|---|---|---|---|\n";
    for (const Results& row : results_) {
      out += fmt::format("| {} | {} |", row.label, row.count);
      for (const std::set<std::string>& cell : row.cells)
        out += fmt::format(" {} |", cell.empty() ? "-" : fmt::format("{}", fmt::join(cell, "/")));
      out += "\n";
    }
    return out;
  }

  // Tables wide and wide_values: row i has the i-th value of every type, and begins again where a
  // type has fewer; row 0 has NULLs.
  void MakeWide() {
    std::string columns = "id int PRIMARY KEY";
    std::size_t rows = 0;
    for (const Subject& subject : subjects_) {
      columns += fmt::format(", c{} {}", subject.name, subject.type->type);
      rows = std::max(rows, subject.type->values.size());
    }
    for (const char* table : {"wide", "wide_values"})
      Sql(fmt::format("CREATE TABLE {} ({})", table, columns));
    for (std::size_t row = 0; row <= rows; ++row) {
      std::string cells = std::to_string(row);
      for (const Subject& subject : subjects_) {
        std::vector<std::string> exact;
        for (const Value& value : subject.type->values) {
          if (value.code.empty() && value.since <= server_version_) exact.push_back(value.sql);
        }
        const bool is_null = row == 0 && subject.type->type != "deep";
        cells +=
            is_null ? ", NULL" : ", (" + exact[row % exact.size()] + ")::" + subject.type->type;
      }
      Sql("INSERT INTO wide_values VALUES (" + cells + ")");
    }
    Sql("INSERT INTO wide SELECT * FROM wide_values; ALTER TABLE wide REPLICA IDENTITY FULL");
  }

  // Tables keys0, keys1, ... with types that have an order, several in one identity.
  void MakeKeys() {
    constexpr std::size_t kTypesOfAKey = 10;
    std::vector<std::string> names;
    for (const Subject& subject : subjects_) {
      const std::string& name = subject.name;
      if (has_key_.contains(name) &&
          Takes(fmt::format("SELECT FROM k{0} a, k{0} b WHERE a.v < b.v", name)))
        names.push_back(name);
    }
    EXPECT_GT(names.size(), 80U);
    for (std::size_t first = 0; first < names.size(); first += kTypesOfAKey) {
      std::string columns = "id";
      std::string values;
      for (std::size_t i = first; i < std::min(first + kTypesOfAKey, names.size()); ++i) {
        columns += ", c" + names[i];
        values += fmt::format(
            ", (SELECT v FROM (SELECT v, row_number() OVER (ORDER BY id) - 1 AS at, count(*) OVER "
            "() AS "
            "of FROM k{0} WHERE pg_column_size(v) < 200) AS x WHERE at = i % of) AS c{0}",
            names[i]);
      }
      const std::string table = "keys" + std::to_string(keys_.size());
      Sql(fmt::format(
          "CREATE TABLE {0} AS SELECT i::int AS id, 0 AS n{1} FROM generate_series(0, 19) i", table,
          values));
      const std::string not_null =
          "SELECT string_agg('ALTER ' || attname || ' SET NOT NULL', ', ') FROM "
          "pg_attribute WHERE attrelid = '" +
          table + "'::regclass AND attnum > 0";
      Sql("ALTER TABLE " + table + " " + Sql(not_null).str(0, 0));
      Sql(
          fmt::format("CREATE UNIQUE INDEX {0}_index ON {0} ({1});"
                      "ALTER TABLE {0} REPLICA IDENTITY USING INDEX {0}_index",
                      table, columns));
      keys_.push_back(table);
    }
  }

  void CompareColumn(const testing::SluiceProcess& sluice, std::size_t column) {
    const std::string name = "c" + std::to_string(column);
    const postgres::QueryResult rows = Sql("SELECT id, " + name + " FROM public.wide ORDER BY id");
    const auto found =
        QueryDuckDbFile(sluice.destination(), "SELECT id, hex(encode(" + name +
                                                  "::VARCHAR)) FROM public.wide ORDER BY id");
    ASSERT_THAT(found, IsOk());
    ASSERT_EQ(found->size(), rows.row_count());
    for (std::size_t i = 0; i < rows.row_count(); ++i) {
      const std::string cell = (*found)[i].substr((*found)[i].find('|') + 1);
      EXPECT_EQ(cell == "NULL" ? "NULL" : FromHex(cell), rows.optional_text(i, 1).value_or("NULL"))
          << subjects_[column].type->type;
    }
  }

  int server_version_ = 0;
  ValuesFile file_;
  std::vector<Subject> subjects_;
  std::set<std::string> has_key_;
  std::vector<Results> results_;
  std::vector<std::string> keys_;
  std::string captured_;
};

std::string Document() {
  std::stringstream text;
  text << std::ifstream(SLUICE_TYPES_MD).rdbuf();
  return text.str();
}

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out.push_back(line);
  return out;
}

TEST_F(TypeResults, AreThoseOfTheDocument) {
  Sql("CREATE PUBLICATION p FOR ALL TABLES;");
  Sql("SELECT pg_create_logical_replication_slot('" + database_ + "', 'pgoutput')");
  for (Subject& subject : subjects_) Insert(subject, true);
  const auto catalog = postgres::LoadTypeCatalog(*sql_);
  ASSERT_THAT(catalog, IsOk());
  for (Subject& subject : subjects_) {
    Load(subject, *catalog);
    ASSERT_FALSE(HasFailure());
    AddRows(subject);
    Copy(subject, columnar::CopyFormat::kBinary);
    Copy(subject, columnar::CopyFormat::kText);
  }
  for (const Subject& subject : subjects_) {
    for (const std::string& table : {"f" + subject.name, "k" + subject.name}) {
      if (table[0] == 'k' && !subject.key) continue;
      Sql(fmt::format("UPDATE {0} SET id = id + {1}; DELETE FROM {0}", table, kMoved));
    }
  }
  Stream(true);
  Stream(false);
  if (std::getenv("SLUICE_WRITE_RESULTS") != nullptr &&
      server_version_ == kNewestServer) {  // NOLINT
    std::string document = Document();
    const auto begin = document.find(kResultsBegin) + kResultsBegin.size();
    document.replace(begin, document.find(kResultsEnd) - begin, Table());
    std::ofstream(SLUICE_TYPES_MD) << document;
    std::ofstream(SLUICE_BINARY_VALUES) << captured_;
  }
  EXPECT_EQ(LinesOf(ResultsFor(Document(), server_version_)), LinesOf(Table()));
}

// A type that the code knows and nobody tried would be a claim.
TEST_F(TypeResults, CoverEveryBuiltInType) {
  std::set<std::uint32_t> tried;
  for (const Subject& subject : subjects_) {
    const auto rows = Sql("SELECT atttypid FROM pg_attribute WHERE attrelid = 'f" + subject.name +
                          "'::regclass AND attname = 'v'");
    const auto oid = rows.Unsigned32(0, 0);
    ASSERT_THAT(oid, IsOk());
    tried.insert(*oid);
  }
  for (std::uint32_t oid = 1; oid < 10'000; ++oid) {
    const types::BuiltinType* type = types::FindBuiltinType(Oid{oid});
    // Takes no input: only inside of indexes.
    if (type == nullptr || type->name == "gtsvector") continue;
    EXPECT_TRUE(tried.contains(oid)) << type->name;
  }
}

// Types that DuckDB prints as PostgreSQL does.
bool PrintsAsPostgres(const std::string& type) {
  static const std::set<std::string> kSame = {
      "VARCHAR", "JSON",     "UUID",         "SMALLINT",      "INTEGER",
      "BIGINT",  "UINTEGER", "DECIMAL(1,0)", "DECIMAL(10,2)", "DECIMAL(38,0)"};
  return kSame.contains(type);
}

// The whole way by the program, by copy and by stream: a table with a column of every type and the
// whole old row, and for every type that has an order a table with it in the key. What DuckDB
// prints as PostgreSQL does is compared here, everything by verify.
TEST_F(TypeResults, AreInTheFileToo) {
  auto sluice = testing::SluiceProcess::Create(server_ + " dbname=" + database_, "types");
  ASSERT_THAT(sluice, IsOk());
  const auto run = [&](std::vector<std::string> arguments) {
    const std::string command = arguments[0];
    const auto result = sluice->Run(std::move(arguments), std::chrono::seconds(120));
    ASSERT_THAT(result, IsOk());
    EXPECT_EQ(result->exit.code, 0) << command << "\n"
                                    << result->stdout_text << result->stderr_text;
  };
  for (Subject& subject : subjects_) Insert(subject, false);
  MakeWide();
  MakeKeys();
  for (const Subject& subject : subjects_) {
    Sql(fmt::format("DROP TABLE f{0}; DROP TABLE IF EXISTS k{0}", subject.name));
  }
  const std::vector<std::string> follow = {"run", "--until", "caught-up"};
  run(follow);
  Sql("UPDATE wide SET id = id + 1000; INSERT INTO wide SELECT * FROM wide_values;"
      "DELETE FROM wide WHERE id % 3 = 1 AND id > 1000");
  for (const std::string& table : keys_) {
    Sql(
        fmt::format("BEGIN; UPDATE {0} SET id = id + 1000 WHERE id % 2 = 0;"
                    "UPDATE {0} SET n = id WHERE id % 3 = 0; DELETE FROM {0} WHERE id % 5 = 1;"
                    "COMMIT",
                    table));
  }
  run(follow);
  run({"verify"});
  Sql("SET search_path = pg_catalog");  // as sluice has it: names of types are printed by it
  const auto types = QueryDuckDbFile(
      sluice->destination(),
      "SELECT data_type FROM information_schema.columns WHERE table_schema = 'public' AND "
      "table_name = 'wide' ORDER BY ordinal_position");
  ASSERT_THAT(types, IsOk());
  ASSERT_EQ(types->size(), subjects_.size() + 1);
  for (std::size_t column = 0; column < subjects_.size(); ++column) {
    if (PrintsAsPostgres((*types)[column + 1])) CompareColumn(*sluice, column);
  }
  run({"drop", "--yes"});
}

}  // namespace
}  // namespace sluice::tests
