#include "spill/change_log.h"

#include <arrow/record_batch.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "base/testing/result_matchers.h"
#include "columnar/table_builder.h"
#include "columnar/testing/schemas.h"

namespace sluice::spill {
namespace {

using columnar::testing::Builtin;
using columnar::testing::NullCell;
using columnar::testing::TextCell;
using columnar::testing::UnchangedCell;
using sluice::testing::CodeIs;
using sluice::testing::IsOk;
using Cells = std::vector<pgoutput::TupleCell>;

ChangeLog NewLog() {
  Result<ChangeLog> log = ChangeLog::Create(::testing::TempDir());
  EXPECT_THAT(log, IsOk());
  return *std::move(log);
}

SchemaPtr KeyAndTexts() {
  return columnar::testing::Schema({Builtin(23), Builtin(25), Builtin(25)}, {0});
}

/// Every kind of change, of two transactions.
ChangeBatch Mixed(const SchemaPtr& schema) {
  columnar::TableBuilder builder(schema);
  builder.BeginTransaction(0);
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("1"), TextCell("a"), NullCell()}, 3), IsOk());
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("1"), TextCell("b"), UnchangedCell()}, {}, 4),
              IsOk());
  builder.BeginTransaction(2);
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("2"), TextCell("b"), NullCell()},
                                   Cells{TextCell("1"), NullCell(), NullCell()}, 0),
              IsOk());
  EXPECT_THAT(builder.AppendDelete(Cells{TextCell("2"), NullCell(), NullCell()}, 1), IsOk());
  return builder.Finish();
}

ChangeBatch Inserts(const SchemaPtr& schema, int count, const std::string& text) {
  columnar::TableBuilder builder(schema);
  builder.BeginTransaction(0);
  for (int key = 0; key < count; ++key) {
    const std::string number = std::to_string(key);
    EXPECT_THAT(builder.AppendInsert(Cells{TextCell(number), TextCell(text), NullCell()},
                                     static_cast<std::uint32_t>(key)),
                IsOk());
  }
  return builder.Finish();
}

void ExpectSame(const ChangeBatch& got, const ChangeBatch& want) {
  EXPECT_EQ(got.schema, want.schema);
  EXPECT_TRUE(got.values->Equals(*want.values));
  EXPECT_TRUE(got.values->ValidateFull().ok());
  ASSERT_EQ(got.old == nullptr, want.old == nullptr);
  if (want.old != nullptr) {
    EXPECT_TRUE(got.old->Equals(*want.old));
  }
  EXPECT_EQ(got.kinds, want.kinds);
  EXPECT_EQ(got.ordinals, want.ordinals);
  EXPECT_EQ(got.bytes, want.bytes);
  ASSERT_EQ(got.runs.size(), want.runs.size());
  for (std::size_t i = 0; i < want.runs.size(); ++i) {
    EXPECT_EQ(got.runs[i].transaction, want.runs[i].transaction);
    EXPECT_EQ(got.runs[i].first_row, want.runs[i].first_row);
  }
  ASSERT_EQ(got.unchanged.size(), want.unchanged.size());
  for (std::size_t row = 0; row < want.row_count(); ++row) {
    EXPECT_EQ(got.has_old[row], want.has_old[row]);
    for (std::size_t column = 0; column < want.unchanged.size(); ++column) {
      EXPECT_EQ(got.unchanged[column][row], want.unchanged[column][row]);
    }
  }
}

TEST(ChangeLog, KeepsWhatWasLetGo) {
  ChangeLog log = NewLog();
  ChangeBatch batch = Mixed(KeyAndTexts());
  batch.misfits.push_back({.row = 1,
                           .column = 2,
                           .is_old = true,
                           .reason = "why",
                           .text = std::string("a\0b", 3),
                           .commit_lsn = {7},
                           .committed_at = {8}});
  batch.misfits.push_back(
      {.row = 3, .column = 1, .reason = {}, .text = {}, .commit_lsn = {}, .committed_at = {}});
  const auto index = log.Append(batch);
  ASSERT_THAT(index, IsOk());
  const auto read = log.ReadBatch(0);
  ASSERT_THAT(read, IsOk());
  ExpectSame(*read, batch);
  ASSERT_EQ(read->misfits.size(), 2U);
  const Misfit& first = read->misfits[0];
  EXPECT_EQ(first.row, 1U);
  EXPECT_EQ(first.column, 2U);
  EXPECT_TRUE(first.is_old);
  EXPECT_EQ(first.reason, "why");
  EXPECT_EQ(first.text, batch.misfits[0].text);
  EXPECT_EQ(first.commit_lsn, (Lsn{7}));
  EXPECT_EQ(first.committed_at.value, 8);
  EXPECT_EQ(read->misfits[1].row, 3U);
}

TEST(ChangeLog, GivesBackEverythingOfABatch) {
  ChangeLog log = NewLog();
  const SchemaPtr schema = KeyAndTexts();
  const ChangeBatch mixed = Mixed(schema);
  const ChangeBatch inserts = Inserts(schema, 1000, "text");
  ASSERT_TRUE(mixed.unchanged.size() == 3 && mixed.old != nullptr && !mixed.kinds.empty());
  ASSERT_THAT(log.Append(mixed), sluice::testing::HasValue(0U));
  ASSERT_THAT(log.Append(inserts), sluice::testing::HasValue(1U));
  EXPECT_EQ(log.size(), 2U);
  for (int round = 0; round < 2; ++round) {
    const Result<ChangeBatch> second = log.ReadBatch(1);
    ASSERT_THAT(second, IsOk());
    ExpectSame(*second, inserts);
    const Result<ChangeBatch> first = log.ReadBatch(0);
    ASSERT_THAT(first, IsOk());
    ExpectSame(*first, mixed);
  }
}

TEST(ChangeLog, GivesBackASlice) {
  ChangeLog log = NewLog();
  const ChangeBatch slice = columnar::SliceRows(Mixed(KeyAndTexts()), 1, 3);
  ASSERT_THAT(log.Append(slice), IsOk());
  const Result<ChangeBatch> read = log.ReadBatch(0);
  ASSERT_THAT(read, IsOk());
  ExpectSame(*read, slice);
}

TEST(ChangeLog, TakesTablesWithoutColumns) {
  ChangeLog log = NewLog();
  columnar::TableBuilder builder(columnar::testing::Schema({}, {}));
  builder.BeginTransaction(0);
  ASSERT_THAT(builder.AppendInsert({}, 0), IsOk());
  const ChangeBatch batch = builder.Finish();
  ASSERT_THAT(log.Append(batch), IsOk());
  const Result<ChangeBatch> read = log.ReadBatch(0);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->row_count(), 1U);
  EXPECT_EQ(read->values->num_rows(), 1);
}

TEST(ChangeLog, KeepsMarksAndFailuresInOrder) {
  ChangeLog log = NewLog();
  const SchemaPtr schema = KeyAndTexts();
  ASSERT_THAT(log.Append(ChangeItem(SchemaMark{1, schema})), IsOk());
  ASSERT_THAT(log.Append(ChangeItem(Mixed(schema))), IsOk());
  ASSERT_THAT(log.Append(ChangeItem(TruncateMark{1, 9})), IsOk());
  ASSERT_THAT(log.Append(ChangeItem(TableFailure{2, Error{.code = "SLU-4999"}})), IsOk());
  EXPECT_EQ(std::get<SchemaMark>(*log.Read(0)).schema, schema);
  EXPECT_EQ(std::get<ChangeBatch>(*log.Read(1)).row_count(), 4U);
  EXPECT_EQ(std::get<TruncateMark>(*log.Read(2)).ordinal, 9U);
  EXPECT_EQ(std::get<TableFailure>(*log.Read(3)).error.code, "SLU-4999");
}

TEST(ChangeLog, UsesTheSpaceAgainAfterATruncate) {
  ChangeLog log = NewLog();
  const SchemaPtr schema = KeyAndTexts();
  const ChangeBatch first = Mixed(schema);
  ASSERT_THAT(log.Append(first), IsOk());
  const std::uint64_t one = log.file_bytes();
  ASSERT_THAT(log.Append(Inserts(schema, 5000, "gone")), IsOk());
  ASSERT_THAT(log.Append(ChangeItem(TruncateMark{})), IsOk());
  ASSERT_THAT(log.Truncate(1), IsOk());
  EXPECT_EQ(log.size(), 1U);
  EXPECT_EQ(log.file_bytes(), one);
  ASSERT_THAT(log.Truncate(7), IsOk());
  EXPECT_EQ(log.size(), 1U);
  const ChangeBatch second = Inserts(schema, 10, "new");
  ASSERT_THAT(log.Append(second), sluice::testing::HasValue(1U));
  ExpectSame(*log.ReadBatch(0), first);
  ExpectSame(*log.ReadBatch(1), second);
}

TEST(ChangeLog, LeavesNoFileBehind) {
  const std::string directory = ::testing::TempDir() + "/change_log_test";
  std::filesystem::create_directory(directory);
  Result<ChangeLog> log = ChangeLog::Create(directory);
  ASSERT_THAT(log, IsOk());
  ASSERT_THAT(log->Append(Mixed(KeyAndTexts())), IsOk());
  EXPECT_TRUE(std::filesystem::is_empty(directory));
  std::filesystem::remove(directory);
}

TEST(ChangeLog, NamesADirectoryThatIsNotThere) {
  const Result<ChangeLog> log = ChangeLog::Create("/no/such/directory");
  EXPECT_THAT(log, CodeIs("SLU-6101"));
  EXPECT_THAT(log, sluice::testing::MessageIs(::testing::HasSubstr("/no/such/directory")));
}

/// Files of this process end at so many bytes while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_ = {};
  void (*handler_)(int);
};

TEST(ChangeLog, SaysThatTheDiskIsFullAndStaysAsItWas) {
  ChangeLog log = NewLog();
  const SchemaPtr schema = KeyAndTexts();
  const ChangeBatch small = Mixed(schema);
  ASSERT_THAT(log.Append(small), IsOk());
  std::string noise;
  for (unsigned at = 0; at < 100'000; ++at) {
    noise.push_back(static_cast<char>('!' + (at * at * 2654435761U >> 16U) % 90));
  }
  {
    const FileSizeLimit limit(64 * 1024);
    const auto full = log.Append(Inserts(schema, 5, noise));
    EXPECT_THAT(full, CodeIs("SLU-6102"));
    EXPECT_NE(full.error().advice, "");
  }
  EXPECT_EQ(log.size(), 1U);
  ExpectSame(*log.ReadBatch(0), small);
  ASSERT_THAT(log.Append(small), IsOk());
  ExpectSame(*log.ReadBatch(1), small);
}

}  // namespace
}  // namespace sluice::spill
