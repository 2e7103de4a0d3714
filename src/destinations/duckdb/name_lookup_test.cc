// A name is looked up as DuckDB itself would: without regard to case, and in the transaction.
#include "destinations/duckdb/name_lookup.h"

#include <memory>
#include <optional>
#include <string>

#include "destinations/duckdb/database.h"
#include "destinations/duckdb/duckdb_test_fixture.h"
#include "destinations/duckdb/names.h"

namespace sluice::duckdb {
namespace {

class NameLookupTest : public DuckDbTest {
 protected:
  void SetUp() override {
    auto database = Database::Open({.path = file_}, false);
    ASSERT_TRUE(database) << Why(database);
    database_ = *std::move(database);
    connection_.emplace(Connect());
  }
  void TearDown() override {
    connection_.reset();
    database_.reset();
  }
  Connection Connect() {
    auto connection = database_->Connect();
    EXPECT_TRUE(connection) << Why(connection);
    return *std::move(connection);
  }
  void Run(const std::string& sql) {
    const Status status = connection_->Run(sql, "prepare a test");
    ASSERT_TRUE(status) << status.error().server_message;
  }
  static NameUse Use(Connection& connection, const TableName& name) {
    const Result<NameUse> use = LookUpName(connection, name);
    EXPECT_TRUE(use) << Why(use);
    return use ? *use : NameUse::kFree;
  }

  std::shared_ptr<Database> database_;
  std::optional<Connection> connection_;
};

TEST_F(NameLookupTest, TellsTablesFromViewsAndFromNothing) {
  const std::string schema = QualifiedSchema("s");
  Run("CREATE SCHEMA " + schema + "; CREATE TABLE " + schema + ".\"Two \"\" words\"(a INTEGER)");
  Run("CREATE VIEW " + schema + ".v AS SELECT 1; CREATE VIEW " + schema +
      ".\"No table with that schema+name could be located\" AS SELECT 1");
  EXPECT_EQ(Use(*connection_, {"s", "Two \" words"}), NameUse::kTable);
  EXPECT_EQ(Use(*connection_, {"S", "tWO \" WORDS"}), NameUse::kTable);
  EXPECT_EQ(Use(*connection_, {"s", "v"}), NameUse::kView);
  EXPECT_EQ(Use(*connection_, {"s", "No table with that schema+name could be located"}),
            NameUse::kView);
  EXPECT_EQ(Use(*connection_, {"s", "other"}), NameUse::kFree);
  EXPECT_EQ(Use(*connection_, {"other", "v"}), NameUse::kFree);
}

TEST_F(NameLookupTest, SeesWhatItsTransactionMadeAndOthersDoNot) {
  const std::string schema = QualifiedSchema("s");
  Run("CREATE SCHEMA " + schema);
  Run("BEGIN; CREATE TABLE " + schema + ".t(a INTEGER)");
  Connection other = Connect();
  EXPECT_EQ(Use(*connection_, {"s", "t"}), NameUse::kTable);
  EXPECT_EQ(Use(*connection_, {"s", "u"}), NameUse::kFree);
  EXPECT_EQ(Use(other, {"s", "t"}), NameUse::kFree);
  Run("COMMIT");
  EXPECT_EQ(Use(other, {"s", "t"}), NameUse::kTable);
}

TEST_F(NameLookupTest, MakesTheSnapshotOfItsTransaction) {
  const std::string table = QualifiedSchema("s") + ".t";
  Run("CREATE SCHEMA " + QualifiedSchema("s") + "; CREATE TABLE " + table + "(a INTEGER)");
  Run("BEGIN TRANSACTION READ ONLY");
  EXPECT_EQ(Use(*connection_, {"s", "nothing"}), NameUse::kFree);
  Connection other = Connect();
  ASSERT_TRUE(other.Run("INSERT INTO " + table + " VALUES (1)", "write beside it"));
  const auto rows = connection_->Query("SELECT count(*)::BIGINT FROM " + table, "count");
  ASSERT_TRUE(rows) << Why(rows);
  EXPECT_EQ(rows->i64(0, 0), 0);
  Run("ROLLBACK");
}

}  // namespace
}  // namespace sluice::duckdb
