#include "engine/fence.h"

#include <gtest/gtest.h>

#include "base/testing/result_matchers.h"
#include "engine/testing/change_sets.h"

namespace sluice::engine {
namespace {

using replication::Snapshot;
using sluice::testing::CodeIs;
using sluice::testing::IsError;
using sluice::testing::IsOk;
using testing::Failure;
using testing::Inserts;
using testing::Mark;
using testing::Piece;
using testing::PositionOnly;
using testing::Print;
using testing::Set;
using testing::Table;

constexpr Clock::time_point kDeadline = Clock::time_point(std::chrono::hours(1));
constexpr Clock::time_point kLate = kDeadline + std::chrono::seconds(1);
/// Sees every transaction below 10.
const Snapshot kSeesBelow10{.xmin = 10, .xmax = 10};

class FenceTest : public ::testing::Test {
 protected:
  /// Armed at `insert_lsn`.
  std::shared_future<Status> Arm(std::uint64_t insert_lsn) {
    const auto ticket = fence_.Open(kDeadline);
    EXPECT_THAT(ticket, IsOk());
    ticket_ = ticket ? *ticket : 0;
    auto reached = fence_.Arm(ticket_, kSeesBelow10, Lsn{insert_lsn});
    EXPECT_THAT(reached, IsOk());
    return *reached;
  }
  static bool IsReady(const std::shared_future<Status>& reached) {
    return reached.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  Fence fence_;
  std::uint64_t ticket_ = 0;
};

TEST_F(FenceTest, BlocksSetsWhileItsSnapshotIsTakenAndWhereItWasReached) {
  EXPECT_FALSE(fence_.blocks_sets());
  const auto ticket = fence_.Open(kDeadline);
  ASSERT_THAT(ticket, IsOk());
  EXPECT_TRUE(fence_.blocks_sets());
  const auto reached = fence_.Arm(*ticket, kSeesBelow10, Lsn{300});
  ASSERT_THAT(reached, IsOk());
  EXPECT_FALSE(fence_.blocks_sets()) << "on its way there";
  fence_.OnProcessed(Lsn{299});
  EXPECT_FALSE(IsReady(*reached));
  fence_.OnProcessed(Lsn{300});
  ASSERT_TRUE(IsReady(*reached));
  EXPECT_THAT(reached->get(), IsOk());
  EXPECT_TRUE(fence_.blocks_sets());
  EXPECT_TRUE(fence_.StandsAt(*ticket));
  fence_.Release(*ticket);
  EXPECT_FALSE(fence_.is_open());
}

TEST_F(FenceTest, IsOneAtATime) {
  ASSERT_THAT(fence_.Open(kDeadline), IsOk());
  EXPECT_THAT(fence_.Open(kDeadline), IsError(ErrorKind::kTimeout));
}

TEST_F(FenceTest, IgnoresWhatIsSaidWithAnOlderTicket) {
  const auto first = fence_.Open(kDeadline);
  ASSERT_THAT(first, IsOk());
  fence_.CheckDeadline(kLate);
  EXPECT_FALSE(fence_.is_open()) << "its owner took too long";
  const auto second = fence_.Open(kLate);
  ASSERT_THAT(second, IsOk());
  EXPECT_THAT(fence_.Arm(*first, kSeesBelow10, Lsn{1}), IsError(ErrorKind::kTimeout));
  fence_.Release(*first);
  EXPECT_TRUE(fence_.is_open());
  EXPECT_FALSE(fence_.StandsAt(*second));
}

TEST_F(FenceTest, TellsItsOwnerWhenItWasNotReachedInTime) {
  const auto reached = Arm(300);
  fence_.CheckDeadline(kDeadline - std::chrono::seconds(1));
  EXPECT_FALSE(IsReady(reached));
  fence_.CheckDeadline(kLate);
  ASSERT_TRUE(IsReady(reached));
  EXPECT_THAT(reached.get(), IsError(ErrorKind::kTimeout));
}

TEST_F(FenceTest, TellsItsOwnerThatTheWriterEnds) {
  const auto reached = Arm(300);
  fence_.Close();
  ASSERT_TRUE(IsReady(reached));
  EXPECT_THAT(reached.get(), IsError(ErrorKind::kCancelled));
}

TEST_F(FenceTest, CutsASetAtTheInsertPosition) {
  Arm(250);
  ChangeSet set = Set({Mark(1, 100), Mark(2, 200), Mark(3, 300)}, {});
  const std::optional<ChangeSet> behind = fence_.CutBehind(set);
  ASSERT_TRUE(behind.has_value());
  EXPECT_EQ(Print(set), "1@100..110 2@200..210 | end 210");
  EXPECT_EQ(Print(*behind), "3@300..310 | end 310");
  fence_.OnPassed();
  EXPECT_TRUE(fence_.StandsAt(ticket_)) << "what follows lies behind I";
}

TEST_F(FenceTest, LeavesASetWholeThatLiesBeforeIt) {
  Arm(1000);
  ChangeSet set = Set({Mark(1, 100)}, {});
  EXPECT_FALSE(fence_.CutBehind(set).has_value());
  ChangeSet keepalive = PositionOnly(2000);
  EXPECT_FALSE(fence_.CutBehind(keepalive).has_value());
}

TEST_F(FenceTest, KeepsBackASetThatLiesBehindIt) {
  Arm(50);
  ChangeSet set = Set({Mark(1, 100)}, {});
  const std::optional<ChangeSet> behind = fence_.CutBehind(set);
  ASSERT_TRUE(behind.has_value());
  EXPECT_EQ(Print(*behind), "1@100..110 | end 110");
  EXPECT_TRUE(set.transactions.empty() && set.ends_at_boundary);
}

TEST_F(FenceTest, NeverCutsInsideATransaction) {
  Arm(150);
  ChangeSet first = Set({Mark(1, 100), Piece(2, 120)}, {});
  EXPECT_FALSE(fence_.CutBehind(first).has_value()) << "its commit lies before I";
  ChangeSet second = Set({Mark(2, 120), Mark(3, 300)}, {}, true);
  const std::optional<ChangeSet> behind = fence_.CutBehind(second);
  ASSERT_TRUE(behind.has_value());
  EXPECT_EQ(Print(second), "... 2@120..130 | end 130");
}

TEST_F(FenceTest, IsSpoiledByATransactionThatItsSnapshotDoesNotSee) {
  const auto reached = Arm(250);
  ChangeSet set = Set({Mark(1, 100), Mark(10, 200)}, {});
  EXPECT_FALSE(fence_.CutBehind(set).has_value());
  EXPECT_EQ(set.transactions.size(), 2U) << "the set goes on as if there were no fence";
  ASSERT_TRUE(IsReady(reached));
  EXPECT_THAT(reached.get(), CodeIs("SLU-3080"));
  EXPECT_FALSE(fence_.is_open());
}

TEST(SplitSet, CutsBatchesBetweenRunsAndCountsTransactionsAnew) {
  const SchemaPtr table = Table(1, "t");
  ChangeSet set = Set({Mark(1, 100), Mark(2, 200), Mark(3, 300)},
                      {{table->relation, {Inserts(table, {{0, 4}, {0, 5}, {1, 6}, {2, 7}})}}});
  const auto [before, behind] = SplitSet(std::move(set), 1);
  EXPECT_EQ(Print(before), "1@100..110 | 1: +4x#4 +5x#5 | end 110");
  EXPECT_EQ(Print(behind), "2@200..210 3@300..310 | 1: +6x#6 +7x#7/1 | end 310");
  EXPECT_EQ(before.row_count, 2U);
  EXPECT_EQ(behind.row_count, 2U);
}

TEST(SplitSet, PutsEveryItemOnItsSide) {
  const SchemaPtr table = Table(1, "t");
  const SchemaPtr other = Table(2, "u");
  ChangeSet set =
      Set({Mark(1, 100), Mark(2, 200)}, {{table->relation,
                                          {SchemaMark{0, table}, Inserts(table, {{0, 1}}),
                                           TruncateMark{1, 8}, Inserts(table, {{1, 9}})}},
                                         {other->relation, {Inserts(other, {{1, 3}})}}});
  const auto [before, behind] = SplitSet(std::move(set), 1);
  EXPECT_EQ(Print(before), "1@100..110 | 1: v0 +1x#1 | end 110");
  EXPECT_EQ(Print(behind), "2@200..210 | 1: T#8 +9x#9 | 2: +3x#3 | end 210");
}

TEST(SplitSet, KeepsAFailureOnBothSides) {
  const SchemaPtr table = Table(1, "t");
  ChangeSet set = Set({Mark(1, 100), Mark(2, 200)},
                      {{table->relation, {Failure(0), Inserts(table, {{1, 9}})}}});
  const auto [before, behind] = SplitSet(std::move(set), 1);
  EXPECT_EQ(Print(before), "1@100..110 | 1: F(SLU-4101) | end 110");
  EXPECT_EQ(Print(behind), "2@200..210 | 1: F(SLU-4101) +9x#9 | end 210")
      << "rows behind it are missing";
}

TEST(SplitSet, LeavesAnUnfinishedTransactionToTheRest) {
  ChangeSet set = Set({Mark(1, 100), Mark(2, 200), Piece(3, 300)}, {}, true);
  const auto [before, behind] = SplitSet(std::move(set), 2);
  EXPECT_EQ(Print(before), "... 1@100..110 2@200..210 | end 210");
  EXPECT_EQ(Print(behind), "3@300..0 ... | end 0");
}

}  // namespace
}  // namespace sluice::engine
