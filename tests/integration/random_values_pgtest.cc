// Random tables of random types and values on every way into columns: COPY and the stream, binary
// and text, new values and old tuples, key, index and FULL. What PostgreSQL prints for a cell is
// what the column must come back to; a value without an exact form must be refused, alone.
//
// SLUICE_RANDOM_SEEDS="1 2 3" or "1-500" runs others than the fixed seeds.
#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "columnar/copy_decoder.h"
#include "columnar/table_builder.h"
#include "columnar/testing/postgres_text.h"
#include "columnar/testing/random_values.h"
#include "integration/stream_rows.h"
#include "postgres/catalog.h"
#include "postgres/copy_reader.h"
#include "postgres/server_fixture.h"
#include "testing/sluice_process.h"
#include "types/type_catalog.h"

namespace sluice::tests {
namespace {

using columnar::testing::OneIn;
using columnar::testing::Random;
using columnar::testing::RandomType;
using columnar::testing::RandomValue;
using sluice::testing::IsError;
using sluice::testing::IsOk;

constexpr int kRows = 120;
constexpr std::size_t kShownBytes = 400;

using Cell = std::optional<std::string>;
/// By id.
using Texts = std::map<int, std::vector<Cell>>;
using Misfits = std::set<int>;

std::vector<unsigned> Seeds() {
  const char* given = std::getenv("SLUICE_RANDOM_SEEDS");  // NOLINT(concurrency-mt-unsafe)
  std::istringstream words(given == nullptr ? "1 2 3 4 5 6" : given);
  std::vector<unsigned> seeds;
  for (std::string word; words >> word;) {
    const auto first = static_cast<unsigned>(std::stoul(word));
    const std::size_t dash = word.find('-');
    const auto last = dash == std::string::npos
                          ? first
                          : static_cast<unsigned>(std::stoul(word.substr(dash + 1)));
    for (unsigned seed = first; seed <= last; ++seed) seeds.push_back(seed);
  }
  return seeds;
}

std::string Shown(const Cell& cell) {
  if (!cell) return "NULL";
  return cell->size() <= kShownBytes ? *cell : cell->substr(0, kShownBytes) + "...";
}

class RandomValues : public postgres::ServerTest {
 protected:
  void Run(unsigned seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    lets_go_ = seed % 2 == 0;
    MakeTable(seed);
    if (HasFailure()) return;
    Sql("SELECT pg_create_logical_replication_slot('" + Slot() + "', 'pgoutput')");
    Sql("INSERT INTO t SELECT * FROM a");
    const Texts before = Print();
    Load();
    if (!schema_) return;
    const bool is_binary = columnar::FormatFor(*schema_) == columnar::CopyFormat::kBinary;
    for (const bool binary : {true, false}) {
      if (binary && !is_binary) continue;
      const std::string what = binary ? "binary" : "text";
      CheckCopy(binary ? columnar::CopyFormat::kBinary : columnar::CopyFormat::kText, before,
                what + " copy");
    }
    Sql("UPDATE t SET " + Assignments() + " FROM b WHERE b.id = t.id");
    const Texts after = Print();
    Sql("DELETE FROM t");
    for (const bool binary : {true, false}) {
      if (binary && !is_binary) continue;
      CheckStream(binary, before, after);
    }
    Sql("SELECT pg_drop_replication_slot('" + Slot() + "'); DROP PUBLICATION p");
    Sql("DROP SCHEMA made CASCADE");
  }

  /// By the program into DuckDB's file, once by the copy and once by the stream.
  void RunProgram(unsigned seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    takes_misfits_ = seed % 2 == 0;
    MakeTable(seed);
    Sql("INSERT INTO t SELECT * FROM a WHERE id > 20");
    if (HasFailure()) return;
    auto sluice = testing::SluiceProcess::Create(server_ + " dbname=" + database_, "random");
    ASSERT_THAT(sluice, IsOk());
    const auto run = [&](std::vector<std::string> arguments) {
      const std::string command = arguments[0];
      const auto result = sluice->Run(std::move(arguments), std::chrono::seconds(60));
      ASSERT_THAT(result, IsOk());
      EXPECT_EQ(result->exit.code, 0) << command << "\n"
                                      << result->stdout_text << result->stderr_text;
    };
    const std::string policy = takes_misfits_ ? "quarantine" : "halt";
    run({"run", "--until", "caught-up", "-t", "made.t", "--on-misfit", policy});
    Sql("UPDATE t SET " + Assignments() + " FROM b WHERE b.id = t.id AND t.id % 3 = 0");
    Sql("DELETE FROM t WHERE id % 5 = 0; INSERT INTO t SELECT * FROM a WHERE id <= 20");
    run({"run", "--until", "caught-up", "-t", "made.t", "--on-misfit", policy});
    run({"verify", "-t", "made.t"});
    run({"drop", "--yes"});
    Sql("DROP PUBLICATION p; DROP SCHEMA made CASCADE");
  }

  /// Every column but the id becomes what it is in b.
  std::string Assignments() {
    std::string sets = "k = b.k";
    for (std::size_t i = 0; i < types_.size(); ++i) sets += fmt::format(", c{0} = b.c{0}", i);
    return sets;
  }

  std::string Slot() const { return database_; }

  /// Tables a and b with the same columns and ids, and t, published and empty: it gets a's rows,
  /// and by updates those of b.
  void MakeTable(unsigned seed) {
    Random random(seed);
    Sql("CREATE SCHEMA made; SET search_path = made, public");
    const int server = sql_->server_version() / 10000;
    std::vector<RandomType> scalars = columnar::testing::ScalarTypes(server);
    for (RandomType& type : columnar::testing::ExtensionTypes(Extensions()))
      scalars.push_back(std::move(type));
    if (OneIn(random, 4)) {
      for (RandomType& type : columnar::testing::TextOnlyTypes())
        scalars.push_back(std::move(type));
    }
    columnar::testing::TypeMaker maker(scalars, random);
    types_.clear();
    for (std::size_t left = 6 + columnar::testing::Below(random, 14); left > 0; --left)
      types_.push_back(maker.Make());
    if (!maker.statements().empty()) Sql(maker.statements());
    const std::vector<std::string> keys = {"text",  "numeric",      "timestamptz", "uuid",
                                           "bytea", "float8",       "interval",    "date",
                                           "bool",  "numeric(10,2)"};
    const std::string& key = keys[columnar::testing::Below(random, keys.size())];
    key_ = *std::find_if(scalars.begin(), scalars.end(),
                         [&](const RandomType& type) { return type.name == key; });
    std::string columns = "id int4 PRIMARY KEY, k " + key + " NOT NULL";
    for (std::size_t i = 0; i < types_.size(); ++i)
      columns += fmt::format(", c{} {}", i, types_[i].name);
    misfits_ = {};
    for (const char* table : {"a", "b", "t"}) {
      Sql(fmt::format("CREATE TABLE {} ({})", table, columns));
      if (*table != 't') Fill(table, random, &misfits_[*table]);
    }
    const char* const identities[] = {"DEFAULT", "FULL", "USING INDEX t_index"};
    identity_ = identities[seed % 3];
    Sql("CREATE UNIQUE INDEX t_index ON t (id, k); ALTER TABLE t REPLICA IDENTITY " + identity_);
    Sql("CREATE PUBLICATION p FOR TABLE t");
  }

  std::vector<std::string> Extensions() {
    std::vector<std::string> out;
    for (const char* name : {"citext", "hstore", "ltree"}) {
      if (sql_->Exec("make an extension",
                     fmt::format("CREATE EXTENSION IF NOT EXISTS {} SCHEMA public", name))) {
        out.emplace_back(name);
      }
    }
    return out;
  }

  void Fill(const std::string& table, Random& random, Misfits* misfits) {
    constexpr int kRowsAtOnce = 20;
    std::string insert;
    for (int id = 1; id <= kRows; ++id) {
      RandomValue key = key_.value(random);
      while (key.is_misfit) key = key_.value(random);
      insert += (insert.empty() ? "INSERT INTO " + table + " VALUES (" : ", (") +
                std::to_string(id) + ", " + key.sql;
      for (const RandomType& type : types_) {
        RandomValue value = OneIn(random, 10) ? RandomValue{"NULL", false} : type.value(random);
        while (value.is_misfit && !takes_misfits_) value = type.value(random);
        insert += ", " + value.sql;
        if (value.is_misfit) misfits->insert(id);
      }
      insert += ")";
      if (id % kRowsAtOnce != 0 && id != kRows) continue;
      Sql(insert);
      insert.clear();
    }
  }

  Texts Print() {
    Texts out;
    const postgres::QueryResult rows = Sql("SELECT * FROM t");
    for (std::size_t i = 0; i < rows.row_count(); ++i) {
      std::vector<Cell>& cells = out[static_cast<int>(rows.integer_or(i, 0, 0))];
      for (std::size_t column = 0; column < rows.column_count(); ++column)
        cells.push_back(rows.optional_text(i, column));
    }
    EXPECT_EQ(out.size(), static_cast<std::size_t>(kRows));
    return out;
  }

  void Load() {
    schema_ = nullptr;
    const auto catalog = postgres::LoadTypeCatalog(*sql_);
    ASSERT_THAT(catalog, IsOk());
    const auto oid = Sql("SELECT 't'::regclass::oid").Unsigned32(0, 0);
    ASSERT_THAT(oid, IsOk());
    const auto loaded = postgres::LoadTableSchema(*sql_, *catalog, RelationId{*oid}, "p");
    ASSERT_THAT(loaded, IsOk());
    auto schema = std::make_shared<TableSchema>(*loaded->schema);
    for (Column& column : schema->columns)
      column.on_misfit = lets_go_ ? OnMisfit::kQuarantine : OnMisfit::kHalt;
    schema_ = std::move(schema);
  }

  /// Rows as they were decoded, and what was let go of them.
  struct Decoded {
    RowsPtr rows;
    std::vector<std::int32_t> columns;  ///< indexes into the schema
    const std::vector<Misfit>* misfits = nullptr;
    bool is_old = false;
  };

  /// Against what the server printed; a misfit's text is the server's to the byte.
  void CheckRow(const Decoded& decoded, std::int64_t row, const std::vector<Cell>& expected,
                const std::string& what) {
    const RowsPtr& rows = decoded.rows;
    const std::vector<std::int32_t>& indexes = decoded.columns;
    for (std::size_t i = 0; i < indexes.size(); ++i) {
      const auto column = static_cast<std::size_t>(indexes[i]);
      const ColumnType& type = schema_->columns[column].type;
      const arrow::Array& array = *rows->column(static_cast<int>(i));
      Cell found;
      if (!array.IsNull(row)) found = columnar::testing::PostgresText(type, array, row);
      for (const Misfit& misfit : *decoded.misfits) {
        const bool is_here = misfit.row == static_cast<std::uint32_t>(row) &&
                             misfit.column == column && misfit.is_old == decoded.is_old;
        if (!is_here) continue;
        EXPECT_TRUE(array.IsNull(row)) << what;
        found = misfit.text;
      }
      if (found == expected[column]) continue;
      ADD_FAILURE() << what << ": " << schema_->columns[column].name << " "
                    << (column < 2 ? key_.name : types_[column - 2].name) << " (" << type.name
                    << ") of row " << Shown(expected[0])
                    << "\nPostgreSQL: " << Shown(expected[column])
                    << "\ndecoded:    " << Shown(found);
    }
  }

  std::vector<std::int32_t> AllColumns() const {
    std::vector<std::int32_t> out;
    for (std::size_t i = 0; i < schema_->columns.size(); ++i)
      out.push_back(static_cast<std::int32_t>(i));
    return out;
  }

  void CheckCopy(columnar::CopyFormat format, const Texts& expected, const std::string& what) {
    columnar::CopyDecoder decoder(schema_, format);
    auto reader = postgres::CopyReader::Start(
        *sql_, std::string("COPY (SELECT * FROM t ORDER BY id) TO STDOUT (FORMAT ") +
                   (format == columnar::CopyFormat::kBinary ? "binary)" : "text)"));
    ASSERT_THAT(reader, IsOk());
    std::vector<int> ids;
    int id = 0;
    for (;;) {
      const auto messages = reader->NextRows();
      ASSERT_THAT(messages, IsOk());
      if (messages->empty()) break;
      for (const auto& message : *messages) {
        const std::size_t count = decoder.row_count();
        const Status appended = decoder.Append(message);
        if (appended && decoder.row_count() == count) continue;  // header, trailer
        ++id;
        ExpectTaken(appended, !misfits_['a'].contains(id), what, id);
        if (appended) ids.push_back(id);
      }
    }
    EXPECT_THAT(decoder.CheckComplete(), IsOk());
    EXPECT_EQ(id, kRows) << what;
    const CopiedRows copied = decoder.Finish();
    ASSERT_EQ(static_cast<std::size_t>(copied.rows->num_rows()), ids.size()) << what;
    const Decoded decoded{copied.rows, AllColumns(), &copied.misfits};
    for (std::size_t i = 0; i < ids.size(); ++i)
      CheckRow(decoded, static_cast<std::int64_t>(i), expected.at(ids[i]), what);
  }

  void ExpectTaken(const Status& status, bool is_expected, const std::string& what, int id) {
    if (is_expected || lets_go_) {
      EXPECT_THAT(status, IsOk()) << what << ": row " << id;
    } else {
      EXPECT_THAT(status, IsError(ErrorKind::kConversion)) << what << ": row " << id;
    }
  }

  void CheckStream(bool binary, const Texts& before, const Texts& after) {
    const postgres::QueryResult rows =
        Sql("SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('" + Slot() +
            "', NULL, NULL, 'proto_version', '1', 'publication_names', 'p', 'binary', '" +
            (binary ? "true" : "false") + "')");
    columnar::TableBuilder builder(schema_);
    const std::string form = binary ? "binary stream, " : "text stream, ";
    std::vector<std::pair<char, int>> taken;
    for (std::size_t i = 0; i < rows.row_count(); ++i) {
      const std::string message = FromHex(rows.text(i, 0));
      const auto change = ReadStreamRow(message);
      if (!change) continue;
      const auto ordinal = static_cast<std::uint32_t>(taken.size());
      const Status appended = change->kind == 'I' ? builder.AppendInsert(change->row, ordinal)
                              : change->kind == 'U'
                                  ? builder.AppendUpdate(change->row, change->old, ordinal)
                                  : builder.AppendDelete(change->old, ordinal);
      ExpectTaken(appended, !IsMisfit(change->kind, change->id), form + change->kind, change->id);
      if (appended) taken.emplace_back(change->kind, change->id);
    }
    const ChangeBatch batch = builder.Finish();
    ASSERT_EQ(batch.row_count(), taken.size());
    EXPECT_GE(taken.size(), static_cast<std::size_t>(kRows));
    for (std::size_t i = 0; i < taken.size(); ++i) {
      const auto [kind, id] = taken[i];
      const auto row = static_cast<std::int64_t>(i);
      const std::string what = form + kind;
      if (kind != 'D') {
        CheckRow({batch.values, AllColumns(), &batch.misfits}, row,
                 (kind == 'I' ? before : after).at(id), what);
      }
      if (kind == 'I' || !batch.has_old[i]) continue;
      CheckRow({batch.old, schema_->identity_columns, &batch.misfits, true}, row,
               (kind == 'U' ? before : after).at(id), what + ", old tuple");
    }
  }

  /// The key has none; under FULL the old tuple has every column.
  bool IsMisfit(char kind, int id) {
    const bool is_full = identity_ == "FULL";
    const bool before = misfits_['a'].contains(id);
    const bool after = misfits_['b'].contains(id);
    if (kind == 'I') return before;
    if (kind == 'U') return after || (is_full && before);
    return is_full && after;
  }

  bool takes_misfits_ = true;
  bool lets_go_ = false;  ///< every column may let its misfits go
  std::vector<RandomType> types_;
  RandomType key_;
  std::string identity_;
  std::map<char, Misfits> misfits_;  ///< by table: rows with one
  SchemaPtr schema_;
};

TEST_F(RandomValues, ComeBackAsPostgresPrintsThemOnEveryPath) {
  for (const unsigned seed : Seeds()) {
    std::cout << "seed " << seed << std::endl;
    Run(seed);
    if (HasFailure()) break;
  }
}

TEST_F(RandomValues, ArriveInTheFileAsVerifySays) {
  std::vector<unsigned> seeds = Seeds();
  if (std::getenv("SLUICE_RANDOM_SEEDS") == nullptr) seeds.resize(3);  // NOLINT
  for (const unsigned seed : seeds) {
    std::cout << "seed " << seed << std::endl;
    RunProgram(seed);
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace sluice::tests
