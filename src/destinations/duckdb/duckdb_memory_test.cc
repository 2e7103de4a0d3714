// More than DuckDB's share of memory: what a transaction writes goes to disk, or in another way.
#include <unistd.h>

#include <fstream>

#include "destinations/duckdb/duckdb_test_fixture.h"
#include "destinations/duckdb/table_width.h"

namespace sluice::duckdb {
namespace {

using MemoryTest = DuckDbTest;

constexpr std::size_t kMemory = 32U << 20;
constexpr int kRows = 200;
constexpr std::size_t kLength = 8U << 10;

SchemaPtr Notes() {
  return MakeSchema(16'384, {"public", "notes"},
                    {{"id", Carrier::kInt32, kKey}, {"note", Carrier::kText}});
}

/// Of one length, and hardly the same twice.
std::string Note(int round, int row) {
  std::string note = std::to_string(round) + "/" + std::to_string(row) + "/";
  while (note.size() < kLength)
    note += std::to_string(std::hash<std::string>{}(note) + static_cast<std::size_t>(row));
  note.resize(kLength);
  return note;
}

/// Keys of a round: each moves the rows on by one, so that every row has a key that another had.
std::string Key(int round, int row) {
  return std::to_string((row + round) % kRows);
}

Rows NotesOf(int round) {
  Rows rows;
  for (int row = 0; row < kRows; ++row) rows.push_back({Key(round, row), Note(round, row)});
  return rows;
}

NetChange NextRound(const SchemaPtr& schema, int round) {
  Rows keys;
  for (int row = 0; row < kRows; ++row) keys.push_back({Key(round - 1, row)});
  return Updates(schema, keys, NotesOf(round));
}

std::int64_t ResidentBytes() {
  std::int64_t size = 0;
  std::int64_t resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

Rows Sorted(Rows rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

TEST_F(MemoryTest, ATransactionUpdatesMoreTextThanFitsIntoMemory) {
  OpenFile({.memory_bytes_max = kMemory, .threads = 1});
  const SchemaPtr schema = Notes();
  MakeLive(schema, NotesOf(0));
  constexpr int kRounds = 16;
  for (int round = 1; round <= kRounds; ++round) Stage(NextRound(schema, round));
  Commit(schema);
  EXPECT_TRUE(ReadRows(schema) == Sorted(NotesOf(kRounds)));  // too long to be shown
  CloseFile();
}

TEST_F(MemoryTest, TransactionsUpdateMoreTextThanFitsWhileACopyHoldsBackTheCheckpoint) {
  OpenFile({.memory_bytes_max = kMemory, .threads = 1});
  const SchemaPtr schema = Notes();
  MakeLive(schema, NotesOf(0));
  const SchemaPtr other = MakeSchema(16'390, {"public", "other"}, {{"id", Carrier::kInt32, kKey}});
  auto copy = destination_->OpenCopy({{other->relation, 0}, other, other->name});
  ASSERT_TRUE(copy) << Why(copy);
  ASSERT_TRUE((*copy)->Append({MakeRows(*other, {{"1"}})}));
  constexpr int kRounds = 16;
  for (int round = 1; round <= kRounds; ++round) {
    Stage(NextRound(schema, round));
    Commit(schema);
  }
  EXPECT_TRUE(ReadRows(schema) == Sorted(NotesOf(kRounds)));  // too long to be shown
  copy->reset();
  CloseFile();
}

TEST_F(MemoryTest, ALargeTransactionKeepsNothingOfItsPiecesInMemory) {
  OpenFile({.memory_bytes_max = kMemory, .threads = 1});
  std::vector<sluice::testing::ColumnSpec> columns = {{"id", Carrier::kInt32, kKey}};
  for (int i = 0; i < 20; ++i) columns.push_back({"c" + std::to_string(i), Carrier::kUuid});
  const SchemaPtr schema = MakeSchema(16'384, {"public", "wide"}, columns);
  TextRow row(columns.size(), "00000000-0000-0000-8000-000000000000");
  row[0] = "1";
  MakeLive(schema, {row});
  constexpr int kPieces = 120;
  for (int piece = 0; piece < kPieces; ++piece) {
    row[1] = "00000000-0000-0000-8000-000000000" + std::to_string(100 + piece);
    Stage(Updates(schema, {{"1"}}, {row}));
  }
  Commit(schema);
  EXPECT_EQ(ReadRows(schema), Rows{row});
  CloseFile();
}

TEST_F(MemoryTest, ACopyOfLargeRowsKeepsFewOfThemOutsideOfWhatDuckDbCounts) {
  OpenFile({.memory_bytes_max = kMemory, .threads = 1});
  const SchemaPtr schema = Notes();
  const RowsPtr rows = MakeRows(*schema, NotesOf(0));
  const std::int64_t row_bytes = kRows * static_cast<std::int64_t>(kLength);
  const auto copy = destination_->OpenCopy({{schema->relation, 0}, schema, schema->name});
  ASSERT_TRUE(copy) << Why(copy);
  const std::int64_t before = ResidentBytes();
  std::int64_t written = 0;
  for (; written < 256LL << 20; written += row_bytes) {
    const Status appended = (*copy)->Append({rows});
    ASSERT_TRUE(appended) << Why(appended);
  }
  EXPECT_LT(ResidentBytes() - before, written / 2);
}

TEST_F(MemoryTest, AFileThatIsOpenedWithMoreIsCheckpointedAndHasLessAfterwards) {
  const SchemaPtr schema = MakeSchema(1, {"public", "t"}, {{"id", Carrier::kInt64, kKey}});
  OpenFile();
  MakeLive(schema, {{"1"}});
  Stage(Inserts(schema, {{"2"}}));
  Commit();
  destination_.reset();  // as by a kill
  ASSERT_GT(std::filesystem::file_size(file_ + ".wal"), 0U);
  OpenFile({.memory_bytes_max = 64U << 20, .memory_bytes_open = 128U << 20});
  std::error_code gone;
  const std::uintmax_t left = std::filesystem::file_size(file_ + ".wal", gone);
  EXPECT_TRUE(gone || left < 1000) << left;  // the commit that took the epoch
  EXPECT_EQ(Sql("SELECT current_setting('memory_limit')"), "64.0 MiB");
  EXPECT_EQ(ReadRows(schema), (Rows{{"1"}, {"2"}}));
  CloseFile();
}

class WidthTest : public MemoryTest,
                  public ::testing::WithParamInterface<std::pair<std::size_t, Carrier>> {
 protected:
  static SchemaPtr Wide(std::size_t columns) {
    std::vector<sluice::testing::ColumnSpec> specs = {{"id", Carrier::kInt32, kKey}};
    for (std::size_t i = 1; i < columns; ++i)
      specs.push_back({"c" + std::to_string(i), GetParam().second});
    return MakeSchema(16'384, {"public", "wide"}, specs);
  }
  static TextRow RowOf(const SchemaPtr& schema, const std::string& id) {
    TextRow row(schema->columns.size(), kNull);
    row[0] = id;
    return row;
  }
};

TEST_P(WidthTest, ATableAsWideAsIsTakenIsCopiedAndChangedAndAWiderOneFailsAlone) {
  const std::size_t memory = GetParam().first;
  std::size_t most = 1;
  while (!CheckWidth(*Wide(most + 1), memory)) ++most;
  const SchemaPtr wide = Wide(most);
  OpenFile({.memory_bytes_max = memory});
  MakeLive(wide, {RowOf(wide, "1"), RowOf(wide, "2")});
  // The checkpoint of such a table takes twice as much: it is left to the next open, as by a run.
  const DuckDbOptions open_with_more{.memory_bytes_max = memory, .memory_bytes_open = 4 * memory};
  for (const char* id : {"3", "4", "5"}) {
    destination_.reset();
    OpenFile(open_with_more);
    Stage(Inserts(wide, {RowOf(wide, id)}));
    Stage(Updates(wide, {{"1"}}, {RowOf(wide, "1")}));
    Commit(wide);
  }
  destination_.reset();
  OpenFile(open_with_more);
  EXPECT_EQ(ReadRows(wide).size(), 5U);
  const SchemaPtr wider = Wide(most + 1);
  const auto checked = destination_->CheckTable(*wider, wider->name, TableMode::kMirror, false);
  ASSERT_TRUE(checked && *checked);
  EXPECT_EQ((*checked)->code, "SLU-5026");
  const auto copy = destination_->OpenCopy({{wider->relation, 0}, wider, wider->name});
  ASSERT_FALSE(copy);
  EXPECT_EQ(copy.error().code, "SLU-5026");
  const auto altered = destination_->Stage(SequenceItem(AlterTable{wide, wider, Lsn{2}}));
  ASSERT_TRUE(altered && altered->table_failed);
  EXPECT_EQ(altered->table_failed->error.code, "SLU-5026");
  destination_.reset();

  OpenFile({.memory_bytes_max = memory - (memory >> 3U)});
  const auto staged = destination_->Stage(
      SequenceItem(NetRows{std::make_shared<const NetChange>(Inserts(wide, {RowOf(wide, "6")}))}));
  ASSERT_TRUE(staged && staged->table_failed);
  EXPECT_EQ(staged->table_failed->error.code, "SLU-5026");
}

constexpr std::size_t kMiB = 1U << 20;
INSTANTIATE_TEST_SUITE_P(
    Shapes, WidthTest,
    ::testing::Values(std::pair(16 * kMiB, Carrier::kInt32), std::pair(64 * kMiB, Carrier::kInt32),
                      std::pair(64 * kMiB, Carrier::kText), std::pair(64 * kMiB, Carrier::kList),
                      std::pair(64 * kMiB, Carrier::kStruct), std::pair(64 * kMiB, Carrier::kMap),
                      std::pair(256 * kMiB, Carrier::kInt64)));

}  // namespace
}  // namespace sluice::duckdb
