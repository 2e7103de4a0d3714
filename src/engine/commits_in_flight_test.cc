#include "engine/commits_in_flight.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/testing/result_matchers.h"

namespace sluice::engine {
namespace {

using sluice::testing::IsError;
using sluice::testing::IsOk;

class CommitsInFlightTest : public ::testing::Test {
 protected:
  Progress progress_;
  CommitsInFlight commits_{progress_, 1};
};

TEST_F(CommitsInFlightTest, MovePositionsAsTheDestinationSays) {
  commits_.Add(2, Lsn{200}, UnixMicros{7});
  commits_.Add(3, Lsn{300}, UnixMicros{8});
  commits_.OnWatermarks({.durable_sequence = 2, .visible_sequence = 1});
  EXPECT_EQ(progress_.durable.Load(), Lsn{200});
  EXPECT_EQ(progress_.visible.Load(), Lsn{});
  EXPECT_EQ(progress_.last_commit_unix_us.load(), 7);
  EXPECT_EQ(progress_.oldest_pending_commit_us.load(), 8);
  commits_.OnWatermarks({.durable_sequence = 3, .visible_sequence = 3});
  EXPECT_EQ(progress_.durable.Load(), Lsn{300});
  EXPECT_EQ(progress_.visible.Load(), Lsn{300});
  EXPECT_EQ(progress_.oldest_pending_commit_us.load(), 0);
  EXPECT_EQ(commits_.durable_sequence(), 3U);
  EXPECT_EQ(commits_.visible_sequence(), 3U);
}

TEST_F(CommitsInFlightTest, LetInWhoWaitsWhenOneIsVisible) {
  commits_.Add(2, Lsn{200}, {});
  commits_.OnWatermarks({.durable_sequence = 2, .visible_sequence = 1});
  Status waited = Error{};
  {
    std::jthread writer([&] { waited = commits_.WaitForRoom(1); });
    commits_.OnWatermarks({.durable_sequence = 2, .visible_sequence = 2});
  }
  EXPECT_THAT(waited, IsOk());
}

TEST_F(CommitsInFlightTest, LetNobodyWaitAfterAnInterrupt) {
  commits_.Add(2, Lsn{200}, {});
  Status waited;
  {
    std::jthread writer([&] { waited = commits_.WaitForRoom(1); });
    commits_.Interrupt();
  }
  EXPECT_THAT(waited, IsError(ErrorKind::kCancelled));
  EXPECT_THAT(commits_.WaitForRoom(1), IsError(ErrorKind::kCancelled));
  EXPECT_THAT(commits_.WaitForRoom(2), IsOk()) << "there is room";
}

}  // namespace
}  // namespace sluice::engine
