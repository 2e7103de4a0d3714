// What is kept of halted tables is read in pieces that are bounded in number and in bytes.
#include "destinations/duckdb/database.h"
#include "destinations/duckdb/duckdb_test_fixture.h"
#include "destinations/duckdb/names.h"

namespace sluice::duckdb {
namespace {

constexpr RelationId kTable{5};
constexpr std::size_t kMany = 1000;

std::vector<KeptChange> Changes(std::uint64_t first, std::size_t count, std::size_t bytes) {
  std::vector<KeptChange> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    out[i].sequence = first + i;
    out[i].kind = KeptChange::Kind::kInsert;
    out[i].message = std::string(bytes, 'x');
  }
  return out;
}

class KeptChangesTest : public DuckDbTest {
 protected:
  void Keep(const std::vector<KeptChange>& changes) {
    const Status kept = destination_->Keep(kTable, changes);
    ASSERT_TRUE(kept) << kept.error().message;
  }
  std::vector<std::uint64_t> Read(std::uint64_t after, std::size_t count, std::size_t bytes) {
    auto read = destination_->ReadKept(kTable, after, count, bytes);
    EXPECT_TRUE(read) << Why(read);
    std::vector<std::uint64_t> out;
    for (const KeptChange& change : *read) out.push_back(change.sequence);
    return out;
  }
};

TEST_F(KeptChangesTest, AreReadUpToSoManyBytesButOneAtLeast) {
  OpenFile();
  Keep(Changes(1, 3, 1000));
  Keep(Changes(4, 1, 1 << 20));
  Keep(Changes(5, 3, 10));
  EXPECT_EQ(Read(0, kMany, 2500), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(Read(2, kMany, 2500), (std::vector<std::uint64_t>{3}));
  EXPECT_EQ(Read(3, kMany, 2500), (std::vector<std::uint64_t>{4}));
  EXPECT_EQ(Read(4, kMany, 2500), (std::vector<std::uint64_t>{5, 6, 7}));
  EXPECT_EQ(Read(4, 2, 2500), (std::vector<std::uint64_t>{5, 6}));
  EXPECT_EQ(Read(0, kMany, 0), (std::vector<std::uint64_t>{1}));
  EXPECT_TRUE(Read(7, kMany, 2500).empty());
  Commit();
  CloseFile();
}

TEST_F(KeptChangesTest, OfAnEarlierFileHaveTheirBytesCountedWhenItIsOpened) {
  OpenFile();
  Keep(Changes(1, 3, 1000));
  Commit();
  CloseFile();
  {
    const auto database = Database::Open({.path = file_}, false);
    ASSERT_TRUE(database);
    auto connection = (*database)->Connect();
    ASSERT_TRUE(connection);
    const Status changed = connection->Run(
        "ALTER TABLE " + QualifiedSchema("sluice") + "._kept DROP COLUMN bytes", "make it older");
    ASSERT_TRUE(changed) << changed.error().server_message;
  }
  OpenFile();
  EXPECT_EQ(Read(0, kMany, 2500), (std::vector<std::uint64_t>{1, 2}));
  Keep(Changes(4, 1, 10));
  EXPECT_EQ(Read(2, kMany, 2500), (std::vector<std::uint64_t>{3, 4}));
  Commit();
  CloseFile();
}

}  // namespace
}  // namespace sluice::duckdb
