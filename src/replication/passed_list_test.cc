#include "replication/passed_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::replication {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TransactionMark Mark(std::uint32_t xid, std::uint64_t end) {
  return {.xid = {xid}, .commit_lsn = {end - 8}, .end_lsn = {end}, .committed_at = {}};
}

Snapshot Upto(std::uint64_t xmax, std::vector<std::uint64_t> xip = {}) {
  return {.xmin = xip.empty() ? xmax : xip.front(), .xmax = xmax, .xip = std::move(xip)};
}

TEST(Suspects, RefuseASnapshotThatMissesOneOfThem) {
  const Suspects suspects(PassedList{.xids = {{10}, {12}}});
  EXPECT_TRUE(suspects.Judge(Upto(13)).usable());
  const SnapshotVerdict running = suspects.Judge(Upto(13, {12}));
  EXPECT_FALSE(running.usable());
  EXPECT_THAT(running.unseen, ElementsAre(TransactionId{12}));
  EXPECT_FALSE(suspects.Judge(Upto(12)).usable());
}

TEST(Suspects, OfAnUnknownListWantTheFloor) {
  EXPECT_FALSE(Suspects(UnknownList(0)).Judge(Upto(1000)).usable());
  EXPECT_FALSE(Suspects(UnknownList(20)).Judge(Upto(25, {19})).usable());
  EXPECT_EQ(Suspects(UnknownList(20)).Judge(Upto(25, {19})).floor, 20U);
  EXPECT_TRUE(Suspects(UnknownList(20)).Judge(Upto(25, {20})).usable());
}

TEST(PassedTransactions, ForgetWhatASnapshotSees) {
  PassedTransactions passed;
  passed.Add(Mark(10, 100));
  passed.Add(Mark(11, 200));
  passed.Prune(Upto(12, {11}));
  EXPECT_THAT(passed.At({200}).xids, ElementsAre(TransactionId{11}));
}

TEST(PassedTransactions, DoNotTakeUpWhatWasSeenBeforeItCame) {
  PassedTransactions passed;
  passed.Expect(Upto(13, {11}), {250});
  passed.Add(Mark(10, 100));
  passed.Add(Mark(11, 200));
  passed.Add(Mark(12, 258));  // a crash may take it back, and hand its id out again
  passed.Add(Mark(13, 300));
  EXPECT_THAT(passed.At({300}).xids,
              ElementsAre(TransactionId{11}, TransactionId{12}, TransactionId{13}));
}

TEST(PassedTransactions, ExpectNothingOfAnEarlierIncarnation) {
  PassedTransactions passed;
  passed.Expect(Upto(12), {250});
  passed.RewindTo({50});
  passed.Add(Mark(10, 100));
  EXPECT_THAT(passed.At({100}).xids, ElementsAre(TransactionId{10}));
}

TEST(PassedTransactions, StoreOnlyWhatEndsAtOrBeforeThePosition) {
  PassedTransactions passed;
  passed.Add(Mark(10, 100));
  passed.Add(Mark(11, 200));
  EXPECT_THAT(passed.At({100}).xids, ElementsAre(TransactionId{10}));
  EXPECT_THAT(passed.At({99}).xids, IsEmpty());
}

TEST(PassedTransactions, DropWhatComesAgainAfterAReconnect) {
  PassedTransactions passed(PassedList{.xids = {{9}}}, {50});
  passed.Add(Mark(10, 100));
  passed.Add(Mark(11, 200));
  passed.RewindTo({100});
  EXPECT_THAT(passed.TakeSuspects().list().xids, ElementsAre(TransactionId{9}, TransactionId{10}));
}

TEST(PassedTransactions, StoreALongListAsUnknown) {
  PassedTransactions passed;
  for (std::uint32_t i = 0; i <= kPassedStoredMax; ++i) passed.Add(Mark(100 + i, 100 + i));
  EXPECT_FALSE(passed.is_unknown());
  EXPECT_FALSE(passed.At({100 + kPassedStoredMax - 1}).is_unknown);
  EXPECT_TRUE(passed.At({100 + kPassedStoredMax}).is_unknown);
  EXPECT_THAT(passed.At({100 + kPassedStoredMax}).xids, IsEmpty());
}

class Overflown : public ::testing::Test {
 protected:
  Overflown() { Overflow(); }
  void Overflow() {
    for (std::size_t i = 0; i <= kPassedMax; ++i) passed_.Add(Mark(100, 100));
  }
  PassedTransactions passed_;
};

TEST_F(Overflown, WantsAFloorAndIsKnownAgainBehindIt) {
  EXPECT_TRUE(passed_.needs_floor());
  EXPECT_TRUE(passed_.At({500}).is_unknown);
  passed_.SetFloor(passed_.floor_generation(), 300);
  EXPECT_FALSE(passed_.needs_floor());
  passed_.Prune(Upto(310, {299}));
  EXPECT_TRUE(passed_.is_unknown());
  passed_.Prune(Upto(310, {300}));
  EXPECT_FALSE(passed_.is_unknown());
}

TEST_F(Overflown, KeepsWhatPassesWhileTheFloorIsRead) {
  const auto generation = passed_.floor_generation();
  passed_.Add(Mark(301, 400));
  passed_.SetFloor(generation, 300);
  EXPECT_FALSE(passed_.TakeSuspects().Judge(Upto(310, {301})).usable());
  EXPECT_TRUE(passed_.TakeSuspects().Judge(Upto(310, {302})).usable());
}

TEST_F(Overflown, RefusesAFloorReadBeforeItForgotAgain) {
  const auto generation = passed_.floor_generation();
  Overflow();
  passed_.SetFloor(generation, 300);
  EXPECT_TRUE(passed_.needs_floor());
}

TEST(BirthList, IsWhatTheSlotSnapshotSeesAndAnOrdinaryOneDoesNot) {
  const Snapshot exported = Upto(20, {13});
  // 11 and 13 run; 13 is not before the slot either. 16 and above are not visible yet.
  const Snapshot current{.xmin = 11, .xmax = 16, .xip = {11, 13}};
  EXPECT_THAT(BirthList(exported, current).xids,
              ElementsAre(TransactionId{11}, TransactionId{16}, TransactionId{17},
                          TransactionId{18}, TransactionId{19}));
  EXPECT_THAT(BirthList(exported, Upto(20)).xids, IsEmpty());
}

TEST(BirthList, OfAnAbsurdLengthIsUnknown) {
  EXPECT_TRUE(BirthList(Upto(10'000'000), Upto(16)).is_unknown);
}

}  // namespace
}  // namespace sluice::replication
