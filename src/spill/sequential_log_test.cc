#include "spill/sequential_log.h"

#include <arrow/record_batch.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <string>
#include <vector>

#include "base/testing/result_matchers.h"
#include "replication/testing/change_batches.h"

namespace sluice::spill {
namespace {

using replication::testing::BatchMaker;
using replication::testing::MakeColumn;
using replication::testing::MakeTable;
using replication::testing::TextRow;
using replication::testing::TextRows;
using sluice::testing::CodeIs;
using sluice::testing::IsOk;

SequentialLog NewLog() {
  Result<SequentialLog> log = SequentialLog::Create(::testing::TempDir());
  EXPECT_THAT(log, IsOk());
  return *std::move(log);
}

SchemaPtr Table() {
  return MakeTable({MakeColumn("id", 23), MakeColumn("note", 25)}, {0}, ReplicaIdentity::kDefault);
}

std::vector<TransactionMark> Marks(std::uint32_t first, std::uint32_t count) {
  std::vector<TransactionMark> marks;
  for (std::uint32_t xid = first; xid < first + count; ++xid) {
    marks.push_back({TransactionId{xid}, Lsn{xid * 10}, Lsn{xid * 10 + 5}, UnixMicros{xid}});
  }
  return marks;
}

ChangeBatch Inserts(const SchemaPtr& table, const std::vector<TextRow>& rows) {
  BatchMaker maker(table);
  for (const TextRow& row : rows) maker.Insert(row);
  return maker.Finish();
}

TEST(SequentialLog, GivesBackItemsAndTheirTransactionsInOrder) {
  SequentialLog log = NewLog();
  const SchemaPtr table = Table();
  BatchMaker maker(table);
  maker.Update({"1", "b"}, TextRow{"2", std::nullopt});
  maker.Delete({"3", std::nullopt});
  const ChangeBatch changed = maker.Finish();
  ASSERT_THAT(log.Append(Inserts(table, {{"1", "a"}, {"2", std::nullopt}}), Marks(7, 3)), IsOk());
  ASSERT_THAT(log.Append(TruncateMark{2, 9}, Marks(10, 1)), IsOk());
  ASSERT_THAT(log.Append(changed, Marks(11, 1)), IsOk());
  for (int round = 0; round < 2; ++round) {
    LogPlace place;
    auto read = log.Read(place);
    ASSERT_THAT(read, IsOk());
    const auto& batch = std::get<ChangeBatch>(read->item);
    EXPECT_EQ(TextRows(batch.values), (std::vector<TextRow>{{"1", "a"}, {"2", std::nullopt}}));
    EXPECT_EQ(batch.schema, table);
    ASSERT_EQ(read->marks.size(), 3U);
    EXPECT_EQ(read->marks[2].xid, TransactionId{9});
    EXPECT_EQ(read->marks[2].end_lsn, Lsn{95});
    read = log.Read(place);
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ(std::get<TruncateMark>(read->item).ordinal, 9U);
    EXPECT_EQ(std::get<TruncateMark>(read->item).transaction, 2U);
    read = log.Read(place);
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ(TextRows(std::get<ChangeBatch>(read->item).old), TextRows(changed.old));
    EXPECT_EQ(place, log.end());
  }
}

TEST(SequentialLog, WritesOverWhatWasForgotten) {
  SequentialLog log = NewLog();
  const SchemaPtr table = Table();
  ASSERT_THAT(log.Append(Inserts(table, {{"1", "stays"}}), Marks(1, 1)), IsOk());
  const LogPlace kept = log.end();
  ASSERT_THAT(log.Append(Inserts(table, {{"2", "goes"}}), Marks(2, 1)), IsOk());
  ASSERT_THAT(log.Truncate(kept), IsOk());
  EXPECT_EQ(log.end(), kept);
  ASSERT_THAT(log.Append(Inserts(table, {{"3", "comes"}}), Marks(3, 1)), IsOk());
  LogPlace place = kept;
  const auto read = log.Read(place);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(TextRows(std::get<ChangeBatch>(read->item).values),
            (std::vector<TextRow>{{"3", "comes"}}));
  EXPECT_EQ(place, log.end());
}

TEST(SequentialLog, IsAsBeforeWhenTheDiskIsFull) {
  SequentialLog log = NewLog();
  const SchemaPtr table = Table();
  ASSERT_THAT(log.Append(Inserts(table, {{"1", "stays"}}), Marks(1, 1)), IsOk());
  const LogPlace end = log.end();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{end.offset + 8, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status full = log.Append(Inserts(table, {{"2", "no room"}}), Marks(2, 1));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  (void)std::signal(SIGXFSZ, handler);
  EXPECT_THAT(full, CodeIs("SLU-6102"));
  EXPECT_EQ(log.end(), end);
  ASSERT_THAT(log.Append(Inserts(table, {{"3", "room again"}}), Marks(3, 1)), IsOk());
  LogPlace place = end;
  EXPECT_THAT(log.Read(place), IsOk());
}

TEST(SequentialLog, RefusesADirectoryThatIsNotThere) {
  EXPECT_THAT(SequentialLog::Create("/nonexistent/sluice"), CodeIs("SLU-6101"));
}

}  // namespace
}  // namespace sluice::spill
