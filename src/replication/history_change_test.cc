#include "replication/history_change.h"

#include <arrow/record_batch.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/testing/result_matchers.h"
#include "replication/testing/change_batches.h"

namespace sluice::replication {
namespace {

using testing::BatchMaker;
using ::testing::ElementsAre;
using testing::MakeColumn;
using testing::MakeTable;
using testing::TextRow;
using testing::TextRows;

constexpr std::uint32_t kInt4 = 23;
constexpr std::uint32_t kText = 25;
constexpr auto kNone = std::nullopt;

class MakeHistoryTest : public ::testing::Test {
 protected:
  /// One row a line: commit#ordinal op values, "*" where a value was not sent, "k" where only the
  /// key was.
  std::vector<std::string> Printed(const SchemaPtr& schema, const std::vector<HistoryItem>& items) {
    const auto made = MakeHistory(schema, items, marks_);
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    if (!made) return {};
    std::vector<std::string> out;
    const auto rows = TextRows(made->rows);
    for (std::size_t row = 0; row < made->row_count(); ++row) {
      std::string& line = out.emplace_back();
      line = std::to_string(made->commit_lsns[row].value) + "#" +
             std::to_string(made->ordinals[row]) + " " + ToString(made->ops[row]);
      for (std::size_t column = 0; column < rows[row].size(); ++column) {
        const bool is_unsent = !made->unchanged.empty() && made->unchanged[column][row];
        line += " " + (is_unsent ? "*" : rows[row][column].value_or("-"));
      }
      if (made->key_only[row]) line += " k";
    }
    return out;
  }

  const std::vector<TransactionMark> marks_ = {{{5}, {500}, {508}, {1}}, {{6}, {600}, {608}, {2}}};
  const SchemaPtr keyed_ =
      MakeTable({MakeColumn("id", kInt4), MakeColumn("a", kText), MakeColumn("big", kText)}, {0},
                ReplicaIdentity::kDefault);
  const SchemaPtr full_ =
      MakeTable({MakeColumn("id", kInt4), MakeColumn("a", kText), MakeColumn("big", kText)}, {0},
                ReplicaIdentity::kFull);
  const SchemaPtr keyless_ =
      MakeTable({MakeColumn("a", kInt4), MakeColumn("b", kText)}, {}, ReplicaIdentity::kFull);
};

TEST_F(MakeHistoryTest, HandsOnASingleBatchOfInsertsAsItIs) {
  BatchMaker maker(keyed_);
  maker.Insert({"1", "x", "y"});
  const ChangeBatch batch = maker.Finish();
  const HistoryItem item{.batch = &batch};
  const auto made = MakeHistory(keyed_, {&item, 1}, marks_);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->rows, batch.values);
  EXPECT_EQ(made->xids[0].value, 5U);
  EXPECT_EQ(made->committed_at[0].value, 1);
}

TEST_F(MakeHistoryTest, LogsEveryChangeOfARow) {
  BatchMaker maker(keyed_);
  maker.Insert({"1", "x", "y"});
  maker.Update({"1", "x2", "y"}, kNone, {2});
  maker.Update({"1", "x3", "y3"}, kNone);
  maker.Delete({"1", kNone, kNone});
  maker.Insert({"1", "again", kNone});
  const ChangeBatch batch = maker.Finish();
  EXPECT_THAT(Printed(keyed_, {{.batch = &batch}}),
              ElementsAre("500#0 insert 1 x y", "500#1 update 1 x2 *", "500#2 update 1 x3 y3",
                          "500#3 delete 1 - - k", "500#4 insert 1 again -"));
}

TEST_F(MakeHistoryTest, MakesAKeyChangeTwoRowsOfOneOrdinal) {
  BatchMaker maker(keyed_);
  maker.Update({"2", "x", "y"}, TextRow{"1", kNone, kNone}, {2});
  const ChangeBatch batch = maker.Finish();
  EXPECT_THAT(Printed(keyed_, {{.batch = &batch}}),
              ElementsAre("500#0 delete 1 - - k", "500#0 update 2 x *"));
}

TEST_F(MakeHistoryTest, TakesWhatWasNotSentFromTheWholeOldRow) {
  BatchMaker maker(full_);
  maker.Update({"1", "x2", kNone}, TextRow{"1", "x", "large"}, {2});
  maker.Delete({"1", "x2", "large"});
  const ChangeBatch batch = maker.Finish();
  EXPECT_THAT(Printed(full_, {{.batch = &batch}}),
              ElementsAre("500#0 update 1 x2 large", "500#1 delete 1 x2 large"));
}

TEST_F(MakeHistoryTest, MakesEveryUpdateWithoutAKeyTwoRows) {
  BatchMaker maker(keyless_);
  maker.Insert({"1", "x"});
  maker.Update({"1", "y"}, TextRow{"1", "x"});
  const ChangeBatch batch = maker.Finish();
  EXPECT_THAT(Printed(keyless_, {{.batch = &batch}}),
              ElementsAre("500#0 insert 1 x", "500#1 delete 1 x", "500#1 update 1 y"));
}

TEST_F(MakeHistoryTest, PutsTruncatesAndTransactionsWhereTheyWere) {
  BatchMaker maker(keyed_);
  maker.Insert({"1", "x", kNone});
  ChangeBatch first = maker.Finish();
  maker.Insert({"2", "y", kNone});
  maker.Insert({"3", "z", kNone});
  ChangeBatch second = maker.Finish();
  second.runs = {{0, 0}, {1, 1}};
  second.ordinals = {2, 0};
  EXPECT_THAT(Printed(keyed_, {{.batch = &first}, {.truncate = {0, 1}}, {.batch = &second}}),
              ElementsAre("500#0 insert 1 x -", "500#1 truncate - - -", "500#2 insert 2 y -",
                          "600#0 insert 3 z -"));
  EXPECT_THAT(Printed(keyed_, {{.truncate = {1, 7}}}), ElementsAre("600#7 truncate - - -"));
}

}  // namespace
}  // namespace sluice::replication
