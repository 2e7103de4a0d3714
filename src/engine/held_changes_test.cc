#include "engine/held_changes.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <string>

#include "base/testing/result_matchers.h"
#include "engine/testing/change_sets.h"

namespace sluice::engine {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsOk;
using testing::Inserts;
using testing::Mark;
using testing::NewRows;
using testing::PrintItem;
using testing::Table;

constexpr std::size_t kPlenty = std::size_t{1} << 30;
/// Every entry goes to the disk at once.
constexpr std::size_t kNothing = 0;

class HeldChangesTest : public ::testing::TestWithParam<std::size_t> {
 protected:
  HeldChanges held_{::testing::TempDir(), GetParam()};
  const SchemaPtr table_ = Table(1, "t");
  const UnitId unit_{table_->relation, 0};
  const SchemaPtr other_ = Table(2, "u");
  const UnitId other_unit_{other_->relation, 0};

  /// One row of each of these transactions, in one batch.
  Status Hold(UnitId unit, const std::vector<std::uint32_t>& xids) {
    std::vector<TransactionMark> marks;
    NewRows rows;
    for (const std::uint32_t xid : xids) {
      rows.emplace_back(static_cast<std::uint32_t>(marks.size()), xid);
      marks.push_back(Mark(xid, xid * 10));
    }
    return held_.Append(unit, Inserts(unit == unit_ ? table_ : other_, rows), std::move(marks));
  }
  Status DecideBelow(UnitId unit, std::uint32_t xid) {
    return held_.Decide(unit, [xid](const TransactionMark& mark) { return mark.xid.value < xid; });
  }
  std::string Replayed(UnitId unit) {
    std::string out;
    const Status read =
        held_.Replay(unit, [&](ChangeItem item, const std::vector<TransactionMark>& marks) {
          if (auto* batch = std::get_if<ChangeBatch>(&item)) {
            for (TransactionRun& run : batch->runs) run.transaction = 0;
          }
          out += PrintItem(item) + " (" + std::to_string(marks.back().xid.value) + ")";
          return true;
        });
    EXPECT_THAT(read, IsOk());
    return out;
  }
};

INSTANTIATE_TEST_SUITE_P(InMemory, HeldChangesTest, ::testing::Values(kPlenty));
INSTANTIATE_TEST_SUITE_P(OnDisk, HeldChangesTest, ::testing::Values(kNothing));
/// A few entries, then the disk, so that most units lie in both.
INSTANTIATE_TEST_SUITE_P(OnBoth, HeldChangesTest, ::testing::Values(1500));

TEST_P(HeldChangesTest, GiveBackInOrderWhatTheSnapshotDoesNotSee) {
  ASSERT_THAT(Hold(unit_, {1, 2}), IsOk());
  ASSERT_THAT(Hold(unit_, {3, 8, 4, 9}), IsOk());
  ASSERT_THAT(held_.Append(unit_, TruncateMark{0, 7}, {Mark(4, 400)}), IsOk());
  ASSERT_THAT(held_.Append(unit_, TruncateMark{0, 8}, {Mark(10, 500)}), IsOk());
  ASSERT_THAT(Hold(unit_, {11, 12}), IsOk());
  held_.Boundary();
  ASSERT_THAT(DecideBelow(unit_, 5), IsOk());
  // Judged before it comes here.
  ASSERT_THAT(Hold(unit_, {13}), IsOk());
  held_.Boundary();
  EXPECT_EQ(Replayed(unit_), " +8x#8 (8) +9x#9 (9) T#8 (10) +11x#11 +12x#12 (12) +13x#13 (13)");
  EXPECT_EQ(Replayed(unit_), Replayed(unit_));
}

TEST_P(HeldChangesTest, TellTheTransactionOfEachChangeWhereALogAsksForIt) {
  held_.KeepMarks(unit_);
  ASSERT_THAT(Hold(unit_, {3, 8, 4, 9, 10}), IsOk());
  held_.Boundary();
  ASSERT_THAT(DecideBelow(unit_, 5), IsOk());
  ASSERT_THAT(Hold(unit_, {11, 12}), IsOk());
  std::string xids;
  const auto read =
      held_.Replay(unit_, [&](const ChangeItem& item, const std::vector<TransactionMark>& marks) {
        EXPECT_EQ(std::get<ChangeBatch>(item).runs.size(), marks.size());
        for (const TransactionMark& mark : marks) xids += " " + std::to_string(mark.xid.value);
        return true;
      });
  EXPECT_THAT(read, IsOk());
  EXPECT_EQ(xids, " 8 9 10 11 12");
}

TEST_P(HeldChangesTest, AreEmptyWhereNothingCame) {
  ASSERT_THAT(DecideBelow(unit_, 5), IsOk());
  EXPECT_EQ(Replayed(unit_), "");
  EXPECT_EQ(Replayed(other_unit_), "");
}

TEST_P(HeldChangesTest, TakeBackWhatCameSinceTheBoundary) {
  ASSERT_THAT(Hold(unit_, {1}), IsOk());
  ASSERT_THAT(Hold(unit_, {2}), IsOk());
  held_.Boundary();
  const std::uint64_t before = held_.bytes(unit_.relation);
  for (std::uint32_t xid = 3; xid < 20; ++xid) ASSERT_THAT(Hold(unit_, {xid}), IsOk());
  ASSERT_THAT(Hold(other_unit_, {5}), IsOk());
  held_.Rollback();
  EXPECT_EQ(held_.bytes(unit_.relation), before);
  EXPECT_EQ(held_.bytes(other_unit_.relation), 0U);
  ASSERT_THAT(Hold(unit_, {21}), IsOk());
  held_.Boundary();
  ASSERT_THAT(DecideBelow(unit_, 0), IsOk());
  EXPECT_EQ(Replayed(unit_), " +1x#1 (1) +2x#2 (2) +21x#21 (21)");
}

TEST_P(HeldChangesTest, ForgetAUnitWithoutTheOthers) {
  ASSERT_THAT(Hold(unit_, {1}), IsOk());
  ASSERT_THAT(Hold(other_unit_, {2}), IsOk());
  held_.Boundary();
  held_.Drop(unit_);
  EXPECT_EQ(held_.bytes(unit_.relation), 0U);
  EXPECT_EQ(held_.total_bytes(), held_.bytes(other_unit_.relation));
  ASSERT_THAT(DecideBelow(other_unit_, 0), IsOk());
  EXPECT_EQ(Replayed(other_unit_), " +2x#2 (2)");
  held_.Drop(other_unit_);
  EXPECT_EQ(held_.memory_bytes(), 0U);
}

TEST_P(HeldChangesTest, EndTheReplayWhenTheSinkHasEnough) {
  for (std::uint32_t xid = 1; xid < 9; ++xid) ASSERT_THAT(Hold(unit_, {xid}), IsOk());
  held_.Boundary();
  ASSERT_THAT(DecideBelow(unit_, 0), IsOk());
  int count = 0;
  EXPECT_THAT(held_.Replay(unit_, [&](const ChangeItem&,
                                      const std::vector<TransactionMark>&) { return ++count < 3; }),
              IsOk());
  EXPECT_EQ(count, 3);
}

TEST(HeldChangesInBounds, TakeNoMoreMemoryThanTheyWereGiven) {
  constexpr std::size_t kBudget = 64 << 10;
  HeldChanges held(::testing::TempDir(), kBudget);
  const SchemaPtr table = Table(1, "t");
  const UnitId unit{table->relation, 0};
  // Truncates and marks count as rows do, and leave memory with them.
  const std::vector<TransactionMark> marks(200, Mark(7, 100));
  NewRows rows;
  for (std::uint32_t i = 0; i < marks.size(); ++i) rows.emplace_back(i, i);
  const ChangeBatch batch = Inserts(table, rows);
  for (int i = 0; i < 200; ++i) {
    ASSERT_THAT(held.Append(unit, batch, marks), IsOk());
    ASSERT_THAT(held.Append(unit, TruncateMark{}, {marks[0]}), IsOk());
    ASSERT_LE(held.memory_bytes(), kBudget);
  }
  EXPECT_GT(held.spilled_bytes(), 200 * 200 * sizeof(TransactionMark));
  held.Boundary();
  ASSERT_THAT(held.Decide(unit, [](const TransactionMark&) { return false; }), IsOk());
  EXPECT_LE(held.memory_bytes(), kBudget);
}

TEST(HeldChangesInBounds, SayThatTheDiskFailed) {
  HeldChanges held("/nonexistent/sluice", kNothing);
  const SchemaPtr table = Table(1, "t");
  EXPECT_THAT(held.Append({table->relation, 0}, Inserts(table, {{0, 1}}), {Mark(1, 10)}),
              CodeIs("SLU-6101"));
}

TEST(HeldChangesInBounds, LoseNothingWhenASpillFails) {
  HeldChanges held(::testing::TempDir(), kNothing);
  const SchemaPtr table = Table(1, "t");
  const UnitId unit{table->relation, 0};
  ASSERT_THAT(held.Append(unit, Inserts(table, {{0, 1}}), {Mark(1, 10)}), IsOk());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit none{1, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  const Status full = held.Append(unit, Inserts(table, {{0, 2}}), {Mark(2, 20)});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  (void)std::signal(SIGXFSZ, handler);
  EXPECT_THAT(full, CodeIs("SLU-6102"));
  ASSERT_THAT(held.Append(unit, Inserts(table, {{0, 3}}), {Mark(3, 30)}), IsOk());
  EXPECT_EQ(held.memory_bytes(), 0U);
  held.Boundary();
  ASSERT_THAT(held.Decide(unit, [](const TransactionMark&) { return false; }), IsOk());
  std::string keys;
  ASSERT_THAT(held.Replay(unit,
                          [&](const ChangeItem& item, const std::vector<TransactionMark>&) {
                            keys += PrintItem(item);
                            return true;
                          }),
              IsOk());
  EXPECT_EQ(keys, " +1x#1 +2x#2 +3x#3");
}

}  // namespace
}  // namespace sluice::engine
