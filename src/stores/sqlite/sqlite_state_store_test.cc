#include "stores/sqlite/sqlite_state_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "destinations/null/null_destination.h"
#include "destinations/testing/destination_contract.h"
#include "stores/sqlite/sqlite_connection.h"
#include "stores/stateful_destination.h"

namespace sluice {
namespace stores {
namespace {

namespace fs = std::filesystem;

/// A directory that goes with the object.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (fs::temp_directory_path() / "sluice-store-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempDir() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string File(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

class Place final : public testing::DestinationPlace {
 public:
  std::unique_ptr<Destination> Make() override {
    return MakeStatefulDestination(std::make_unique<null::NullDestination>(),
                                   MakeSqliteStateStore(dir_.File("shop.state")));
  }

 private:
  TempDir dir_;
};

std::unique_ptr<testing::DestinationPlace> MakePlace() {
  return std::make_unique<Place>();
}

const OpenRequest kShop{.pipeline = "shop"};

TEST(SqliteStateStore, AnOlderEpochMayNotCommit) {
  const TempDir dir;
  const auto first = MakeSqliteStateStore(dir.File("s"));
  const auto second = MakeSqliteStateStore(dir.File("s"));
  ASSERT_TRUE(first->Open(kShop));
  ASSERT_TRUE(second->Open(kShop));
  const Status refused = first->Commit({.sequence = 1, .position = Position{Lsn{1}, {}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "SLU-5004");
  EXPECT_TRUE(second->Commit({.sequence = 1, .position = Position{Lsn{2}, {}}}));
  EXPECT_FALSE(first->StoreBirth({}));
}

TEST(SqliteStateStore, MakesItsDirectoryAndAFileForTheOwnerOnly) {
  const TempDir dir;
  const std::string path = dir.File("a/b/shop.state");
  ASSERT_TRUE(MakeSqliteStateStore(path)->Open(kShop));
  EXPECT_EQ(fs::status(path).permissions() & fs::perms::all,
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST(SqliteStateStore, ReadOnlyMakesNoFile) {
  const TempDir dir;
  const auto state =
      MakeSqliteStateStore(dir.File("s"))->Open({.pipeline = "shop", .read_only = true});
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->birth);
  EXPECT_FALSE(fs::exists(dir.File("s")));
}

TEST(SqliteStateStore, RefusesAFileThatIsNoDatabase) {
  const TempDir dir;
  std::ofstream(dir.File("s")) << std::string(4096, 'x');
  const auto state = MakeSqliteStateStore(dir.File("s"))->Open(kShop);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, "SLU-5101");
  EXPECT_EQ(state.error().kind, ErrorKind::kConfig);
}

TEST(SqliteStateStore, RefusesADatabaseOfAnotherProgram) {
  const TempDir dir;
  {
    auto db = SqliteConnection::Open(dir.File("s"), SqliteConnection::Mode::kCreate);
    ASSERT_TRUE(db);
    ASSERT_TRUE(db->Exec("CREATE TABLE songs(title TEXT)"));
  }
  const auto state = MakeSqliteStateStore(dir.File("s"))->Open(kShop);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, "SLU-5101");
}

TEST(SqliteStateStore, RefusesANewerFormatAndNamesTheVersionThatWroteIt) {
  const TempDir dir;
  ASSERT_TRUE(MakeSqliteStateStore(dir.File("s"))->Open(kShop));
  {
    auto db = SqliteConnection::Open(dir.File("s"), SqliteConnection::Mode::kCreate);
    ASSERT_TRUE(db);
    ASSERT_TRUE(db->Exec("PRAGMA user_version = 2; UPDATE writer SET version = '7.5.0'"));
  }
  const auto state = MakeSqliteStateStore(dir.File("s"))->Open(kShop);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, "SLU-5103");
  EXPECT_THAT(state.error().message, ::testing::HasSubstr("written by sluice 7.5.0"));
}

TEST(SqliteStateStore, SaysThatTheFileCannotBeMade) {
  const auto state = MakeSqliteStateStore("/proc/no/such/place")->Open(kShop);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, "SLU-5102");
  EXPECT_EQ(state.error().kind, ErrorKind::kConfig);
}

TEST(SqliteStateStore, AFullDatabaseIsAnErrorAndNothingOfTheCommitIsStored) {
  const TempDir dir;
  auto db = SqliteConnection::Open(dir.File("s"), SqliteConnection::Mode::kCreate);
  ASSERT_TRUE(db);
  // The limit on pages gives the same code as a full disk.
  ASSERT_TRUE(db->Exec("CREATE TABLE t(x TEXT); PRAGMA max_page_count = 3"));
  const Status full = db->Exec("INSERT INTO t VALUES (hex(randomblob(100000)))");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, "SLU-5106");
  EXPECT_EQ(full.error().kind, ErrorKind::kStateStore);
}

TEST(SqliteStateStore, ALockedFileIsNamedAsSuch) {
  const TempDir dir;
  const auto store = MakeSqliteStateStore(dir.File("s"));
  ASSERT_TRUE(store->Open(kShop));
  auto db = SqliteConnection::Open(dir.File("s"), SqliteConnection::Mode::kCreate);
  ASSERT_TRUE(db);
  ASSERT_TRUE(db->Exec("PRAGMA busy_timeout = 0"));
  auto other = SqliteConnection::Open(dir.File("s"), SqliteConnection::Mode::kCreate);
  ASSERT_TRUE(other);
  ASSERT_TRUE(other->Exec("BEGIN IMMEDIATE"));
  const Status locked = db->Exec("BEGIN IMMEDIATE");
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().code, "SLU-5104");
}

TEST(SqliteStateStore, DamagedStateIsAnErrorNotAGuess) {
  const TempDir dir;
  const auto store = MakeSqliteStateStore(dir.File("s"));
  ASSERT_TRUE(store->Open(kShop));
  ASSERT_TRUE(store->Commit({.sequence = 1, .position = Position{Lsn{7}, {}}}));
  ASSERT_TRUE(store->Close());
  {
    auto db = SqliteConnection::Open(dir.File("s"), SqliteConnection::Mode::kCreate);
    ASSERT_TRUE(db);
    ASSERT_TRUE(db->Exec("UPDATE delivery SET value = '{\"lsn\": \"x\"}' WHERE part = 'position'"));
  }
  const auto state = store->Open(kShop);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, "SLU-5101");
}

}  // namespace
}  // namespace stores

namespace testing {
INSTANTIATE_TEST_SUITE_P(NullWithSqlite, DestinationContract,
                         ::testing::Values(ContractParam{"sqlite", stores::MakePlace}),
                         [](const auto& param) { return param.param.name; });
}  // namespace testing
}  // namespace sluice
