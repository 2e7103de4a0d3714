// Opening and closing the file, and every refusal.
#include <gmock/gmock.h>

#include <fstream>

#include "destinations/duckdb/database.h"
#include "destinations/duckdb/duckdb_test_fixture.h"

namespace sluice::duckdb {
namespace {

namespace fs = std::filesystem;

class FileTest : public DuckDbTest {
 protected:
  std::string OpenCode(const std::string& path, OpenRequest request = {.pipeline = "shop"}) {
    const auto other = MakeDuckDbDestination({.path = path});
    const auto state = other->Open(request);
    if (state) return "ok";
    EXPECT_EQ(state.error().kind, ErrorKind::kConfig) << Why(state);
    return state.error().code;
  }
  void Write(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
};

TEST_F(FileTest, ClosingLeavesOneFile) {
  const SchemaPtr orders = MakeSchema(1, {"public", "orders"}, {{"id", Carrier::kInt64, kKey}});
  OpenFile();
  MakeLive(orders, {{"1"}});
  Stage(Inserts(orders, {{"2"}}));
  Commit();
  EXPECT_TRUE(fs::exists(file_ + ".wal"));
  CloseFile();
  EXPECT_TRUE(fs::exists(file_));
  EXPECT_FALSE(fs::exists(file_ + ".wal"));
  EXPECT_GT(oracle_->checks(), 1U);
}

class BackupTest : public FileTest {
 protected:
  const SchemaPtr orders_ = MakeSchema(1, {"public", "orders"}, {{"id", Carrier::kInt64, kKey}});
  const SchemaPtr later_ = MakeSchema(2, {"public", "later"}, {{"id", Carrier::kInt64, kKey}});
  const std::string log_ = file_ + ".wal";
  const std::string backup_ = folder_.File("backup");

  static std::string BytesOf(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void EndAsIfKilled() {
    destination_.reset();
    ASSERT_TRUE(fs::exists(log_));
  }
  void PutBack() { fs::copy_file(backup_, file_, fs::copy_options::overwrite_existing); }
  void ExpectRefused(const std::string& code) {
    const std::string log = BytesOf(log_);
    for (const bool read_only : {true, false}) {
      EXPECT_EQ(OpenCode(file_, {.pipeline = "shop", .read_only = read_only}), code);
      EXPECT_TRUE(BytesOf(file_) == BytesOf(backup_));
      EXPECT_TRUE(BytesOf(log_) == log);
    }
    fs::remove(log_);
    OpenFile();
    EXPECT_EQ(ReadRows(orders_), (Rows{{"1"}}));
  }
};

TEST_F(BackupTest, AFileBesideTheLogOfANewerOneIsRefusedAndBothAreLeftAsTheyAre) {
  OpenFile();
  MakeLive(orders_, {{"1"}});
  CloseFile();
  fs::copy_file(file_, backup_);
  OpenFile();
  Stage(Inserts(orders_, {{"2"}}));
  Commit();  // its checkpoint is that of the start
  Stage(Inserts(orders_, {{"3"}}));
  Commit();
  EndAsIfKilled();
  PutBack();
  ExpectRefused("SLU-5020");
}

TEST_F(BackupTest, AFileWithoutATableThatANewerLogWritesToIsRefusedAndTheLogIsNamed) {
  OpenFile();
  MakeLive(orders_, {{"1"}});
  CloseFile();
  fs::copy_file(file_, backup_);
  OpenFile();
  MakeLive(later_, {{"1"}});
  ASSERT_FALSE(fs::exists(log_) && fs::file_size(log_) > 0);
  Stage(Inserts(later_, {{"2"}}));
  Commit();
  EndAsIfKilled();
  PutBack();
  const auto other = MakeDuckDbDestination({.path = file_});
  const auto state = other->Open({.pipeline = "shop"});
  ASSERT_FALSE(state);
  EXPECT_NE(state.error().advice.find(log_), std::string::npos) << Why(state);
  ExpectRefused("SLU-5019");
}

TEST_F(BackupTest, AFileThatWasCopiedSinceItsLastCheckpointTakesTheLogThatFollows) {
  OpenFile();
  MakeLive(orders_, {{"1"}});
  fs::copy_file(file_, backup_);
  Stage(Inserts(orders_, {{"2"}}));
  Commit();
  EndAsIfKilled();
  PutBack();
  OpenFile();
  EXPECT_EQ(ReadRows(orders_), (Rows{{"1"}, {"2"}}));
}

TEST_F(FileTest, AFileIsOpenedOnceInAProcess) {
  OpenFile();
  EXPECT_EQ(OpenCode(file_), "SLU-5001");
  EXPECT_EQ(OpenCode(folder_.path() + "/./shop.duckdb"), "SLU-5001");
  CloseFile();
  EXPECT_EQ(OpenCode(file_), "ok");
}

TEST_F(FileTest, WhatIsNotADuckDbFileIsRefusedAndLeftAlone) {
  Write(folder_.File("text"), "hello, this is not a database at all");
  Write(folder_.File("empty"), "");
  EXPECT_EQ(OpenCode(folder_.File("text")), "SLU-5002");
  EXPECT_EQ(OpenCode(folder_.File("empty")), "SLU-5002");
  EXPECT_EQ(OpenCode(folder_.path()), "SLU-5002");
  EXPECT_EQ(fs::file_size(folder_.File("empty")), 0U);
  EXPECT_FALSE(fs::exists(folder_.File("text.wal")));
}

TEST_F(FileTest, AMissingFolderIsRefusedAndNotMade) {
  EXPECT_EQ(OpenCode(folder_.File("no/such/shop.duckdb")), "SLU-5003");
  EXPECT_FALSE(fs::exists(folder_.File("no")));
  EXPECT_EQ(OpenCode(""), "SLU-5003");
}

TEST_F(FileTest, ReadingWantsAFileThatIsThere) {
  EXPECT_EQ(OpenCode(file_, {.pipeline = "shop", .read_only = true}), "SLU-5011");
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(FileTest, AFileOfAnotherPipelineOrSourceIsRefused) {
  OpenFile();
  CloseFile();
  EXPECT_EQ(OpenCode(file_, {.pipeline = "other"}), "SLU-5007");
  EXPECT_EQ(OpenCode(file_, {.pipeline = "shop", .system_identifier = 8}), "SLU-5008");
  EXPECT_EQ(OpenCode(file_, {.pipeline = "shop", .system_identifier = 7}), "ok");
}

TEST_F(FileTest, ATableOfTheUsersIsNotTakenUnlessAdopted) {
  const SchemaPtr orders = MakeSchema(1, {"public", "orders"}, {{"id", Carrier::kInt64, kKey}});
  OpenFile();
  MakeLive(orders, {{"1"}});
  ASSERT_TRUE(destination_->Forget());
  CloseFile();
  OpenFile();
  const auto refused = destination_->CheckTable(*orders, orders->name, TableMode::kMirror, false);
  ASSERT_TRUE(refused && *refused);
  EXPECT_EQ((*refused)->code, "SLU-5116");
  const auto adopted =
      destination_->CheckTable(*orders, {"Public", "ORDERS"}, TableMode::kMirror, true);
  ASSERT_TRUE(adopted);
  EXPECT_FALSE(*adopted);
}

TEST_F(FileTest, NamesThatFoldTogetherOrAreReservedAreRefused) {
  OpenFile();
  const auto code = [&](const TableSchema& schema, const TableName& name) {
    const auto checked = destination_->CheckTable(schema, name, TableMode::kMirror, false);
    if (!checked) return Why(checked);
    return *checked ? (*checked)->code : std::string("ok");
  };
  const auto table = [](TableName name, const std::vector<std::string>& columns) {
    std::vector<sluice::testing::ColumnSpec> specs;
    for (const std::string& column : columns) specs.push_back({column, Carrier::kText});
    return MakeSchema(1, std::move(name), specs);
  };
  EXPECT_EQ(code(*table({"a", "t"}, {"x"}), {"a", "t"}), "ok");
  EXPECT_EQ(code(*table({"a", "t"}, {"x"}), {"a", "t"}), "ok");
  EXPECT_EQ(code(*table({"a", "T"}, {"x"}), {"a", "T"}), "SLU-5115");
  EXPECT_EQ(code(*table({"Sluice", "t"}, {"x"}), {"Sluice", "t"}), "SLU-5021");
  EXPECT_EQ(code(*table({"main", "t"}, {"x"}), {"main", "t"}), "SLU-5021");
  EXPECT_EQ(code(*table({"public", "t"}, {"x"}), {"main", "t"}), "ok");
  EXPECT_EQ(code(*table({"b", "_SLUICE_x"}, {"x"}), {"b", "_SLUICE_x"}), "SLU-5021");
  EXPECT_EQ(code(*table({"b", "u"}, {"x", "X"}), {"b", "u"}), "SLU-5023");
  EXPECT_EQ(code(*table({"b", "u"}, {"_sluice_op"}), {"b", "u"}), "SLU-5023");
  EXPECT_EQ(code(*table({"b", "u"}, {}), {"b", "u"}), "SLU-5024");
}

TEST_F(FileTest, AnOlderEpochMayNotCommit) {
  OpenFile();
  CloseFile();
  // Somebody with another tool on the file, in the middle of our life, is what a second writer
  // would look like; DuckDB's lock keeps a real one out.
  OpenFile();
  const std::uint64_t first = state_.epoch;
  CloseFile();
  OpenFile();
  EXPECT_EQ(state_.epoch, first + 1);
}

TEST_F(FileTest, RefusesALaterFormatAndNamesTheVersionThatWroteIt) {
  OpenFile();
  CloseFile();
  {
    auto database = Database::Open({.path = file_}, false);
    ASSERT_TRUE(database);
    auto connection = (*database)->Connect();
    ASSERT_TRUE(connection);
    ASSERT_TRUE(
        connection->Run("USE _sluice_file; UPDATE sluice.position SET format = 2;"
                        "COMMENT ON TABLE sluice.position IS 'written by sluice 7.5.0'",
                        "write as a later version"));
  }
  const auto state = MakeDuckDbDestination({.path = file_})->Open({.pipeline = "shop"});
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, "SLU-5009");
  EXPECT_THAT(state.error().message, ::testing::HasSubstr("written by sluice 7.5.0"));
}

TEST_F(FileTest, NamesTheVersionThatWroteIt) {
  OpenFile();
  EXPECT_THAT(Sql("SELECT comment FROM duckdb_tables() WHERE table_name = 'position'"),
              ::testing::MatchesRegex("written by sluice [0-9.]+"));
}

TEST_F(FileTest, TheTablesOfSchemaSluiceAreThoseOfTheManual) {
  const SchemaPtr orders = MakeSchema(16'384, {"public", "orders"},
                                      {{"id", Carrier::kInt64, kKey}, {"note", Carrier::kText}});
  OpenFile();
  ASSERT_TRUE(destination_->StoreBirth({.pipeline = "shop",
                                        .slot = "sluice_shop",
                                        .publication = "sluice_shop",
                                        .generation = "6f1c2e5a-0d3b-4c7e-9a51-3f2b8c4d6e70",
                                        .system_identifier = 7,
                                        .timeline = 3}));
  MakeLive(orders, {{"1", "a"}});
  EXPECT_EQ(
      Sql("SELECT pipeline, system_identifier, timeline, slot, generation, epoch, "
          "sluice.lsn(lsn), committed_at, applied_at IS NOT NULL, format FROM sluice.position"),
      "shop|7|3|sluice_shop|6f1c2e5a-0d3b-4c7e-9a51-3f2b8c4d6e70|1|0/1100|NULL|true|1");
  EXPECT_EQ(Sql("SELECT source_schema, source_table, table_oid, schema, \"table\", mode, state "
                "FROM sluice.tables"),
            "public|orders|16384|public|orders|mirror|live");
  EXPECT_EQ(Sql("SELECT \"column\", position, type, policy FROM sluice.columns ORDER BY position"),
            "id|1|BIGINT|default\nnote|2|VARCHAR|default");
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice.schema_changes"), "0");
  EXPECT_EQ(Sql("SELECT sluice.lsn(23967562), sluice.lsn(94689122347)"), "0/16DB74A|16/BE9582B");
}

TEST_F(FileTest, ReadingOnlyWorksOnAFileWithALogBesideIt) {
  const SchemaPtr orders = MakeSchema(1, {"public", "orders"}, {{"id", Carrier::kInt64, kKey}});
  OpenFile();
  MakeLive(orders, {{"1"}});
  Stage(Inserts(orders, {{"2"}}));
  Commit();
  destination_.reset();  // as by a kill
  ASSERT_TRUE(fs::exists(file_ + ".wal"));
  destination_ = MakeDuckDbDestination({.path = file_});
  const auto state = destination_->Open({.pipeline = "shop", .read_only = true});
  ASSERT_TRUE(state) << Why(state);
  EXPECT_EQ(state->position->lsn, Lsn{lsn_});
  EXPECT_EQ(ReadRows(orders), (Rows{{"1"}, {"2"}}));
  EXPECT_FALSE(destination_->Commit({.sequence = 9}));
  CloseFile();
  EXPECT_TRUE(fs::exists(file_ + ".wal"));
}

}  // namespace
}  // namespace sluice::duckdb
