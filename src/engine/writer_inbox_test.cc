#include "engine/writer_inbox.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/testing/result_matchers.h"
#include "engine/testing/change_sets.h"

namespace sluice::engine {
namespace {

using sluice::testing::HasValue;
using sluice::testing::IsError;
using testing::Mark;
using testing::Piece;
using testing::Print;
using testing::Set;

constexpr Clock::time_point kNow{};
const Clock::time_point kFar = Clock::now() + std::chrono::minutes(5);

ChangeSet Sized(std::uint32_t xid, std::size_t bytes) {
  ChangeSet set = Set({Mark(xid, xid * 100)}, {});
  set.bytes = bytes;
  return set;
}

bool Push(WriterInbox& inbox, ChangeSet set) {
  return inbox.PushUntil(set, kNow, {});
}

std::string Next(WriterInbox& inbox, bool sets_only = false, bool calls_only = false) {
  WriterInbox::Item item = inbox.Pop(sets_only, calls_only, kNow);
  if (const auto* set = std::get_if<ChangeSet>(&item)) {
    return std::to_string(set->transactions.front().xid.value);
  }
  if (auto* call = std::get_if<WriterInbox::Call>(&item)) {
    call->run();
    return "call";
  }
  if (auto* lost = std::get_if<WriterInbox::StreamLost>(&item)) {
    lost->handled->set_value();
    return "lost";
  }
  return std::holds_alternative<WriterInbox::Closed>(item) ? "closed" : "timeout";
}

/// A thread that calls; joined after its call was answered.
std::jthread Caller(WriterInbox& inbox, Result<int>& answer) {
  return std::jthread([&] { answer = inbox.CallAndWait([]() -> Result<int> { return 42; }); });
}

TEST(WriterInbox, HandsSetsOutInOrder) {
  WriterInbox inbox(100);
  ASSERT_TRUE(Push(inbox, Sized(1, 10)));
  ASSERT_TRUE(Push(inbox, Sized(2, 10)));
  EXPECT_EQ(inbox.used_bytes(), 20U);
  EXPECT_EQ(Next(inbox), "1");
  inbox.PushFront(Sized(9, 5));
  EXPECT_EQ(Next(inbox), "9") << "the rest of a set that was split comes first";
  EXPECT_EQ(Next(inbox), "2");
  EXPECT_EQ(inbox.used_bytes(), 0U);
  EXPECT_EQ(Next(inbox), "timeout");
}

TEST(WriterInbox, TakesOneSetThatIsTooLargeAndThenNoMore) {
  WriterInbox inbox(100);
  ASSERT_TRUE(Push(inbox, Sized(1, 1000)));
  EXPECT_FALSE(Push(inbox, Sized(2, 1)));
  EXPECT_EQ(Next(inbox), "1");
  EXPECT_TRUE(Push(inbox, Sized(2, 1)));
}

TEST(WriterInbox, LetsInWhoWaitsForRoom) {
  WriterInbox inbox(100);
  ASSERT_TRUE(Push(inbox, Sized(1, 100)));
  bool is_in = false;
  {
    std::jthread pusher([&] {
      ChangeSet set = Sized(2, 100);
      is_in = inbox.PushUntil(set, kFar, {});
    });
    EXPECT_EQ(Next(inbox), "1");
  }
  EXPECT_TRUE(is_in);
  EXPECT_EQ(Next(inbox), "2");
}

TEST(WriterInbox, RunsNoCallInsideATransaction) {
  WriterInbox inbox(100);
  Result<int> answer = 0;
  std::jthread caller = Caller(inbox, answer);
  // The call is there when it is handed out; until then only sets are taken.
  ASSERT_TRUE(Push(inbox, Set({Piece(1, 100)}, {})));
  EXPECT_EQ(Next(inbox, true), "1");
  EXPECT_EQ(Next(inbox, true), "timeout");
  while (Next(inbox) != "call") {
  }
  caller.join();
  EXPECT_THAT(answer, HasValue(42));
}

TEST(WriterInbox, KeepsSetsBackAtAFence) {
  WriterInbox inbox(100);
  ASSERT_TRUE(Push(inbox, Sized(1, 10)));
  EXPECT_EQ(Next(inbox, false, true), "timeout");
  EXPECT_EQ(Next(inbox), "1");
}

TEST(WriterInbox, TellsOfABrokenStreamBehindItsSets) {
  WriterInbox inbox(100);
  ASSERT_TRUE(Push(inbox, Sized(1, 10)));
  std::jthread stream([&] { inbox.PushStreamLostAndWait(); });
  EXPECT_EQ(Next(inbox), "1");
  while (Next(inbox) != "lost") {
  }
}

TEST(WriterInbox, RefusesWhatIsLeftOfAStreamUntilItBroke) {
  WriterInbox inbox(100);
  ASSERT_TRUE(Push(inbox, Sized(1, 60)));
  inbox.RefuseSets();
  EXPECT_TRUE(inbox.is_refusing());
  EXPECT_EQ(inbox.used_bytes(), 0U);
  EXPECT_EQ(Next(inbox), "timeout") << "what was queued is of that stream, too";
  ChangeSet set = Sized(2, 10);
  EXPECT_FALSE(inbox.PushUntil(set, kFar, {})) << "at once, and not when the time is up";
  std::jthread stream([&] { inbox.PushStreamLostAndWait(); });
  while (Next(inbox) != "lost") {
  }
  EXPECT_FALSE(inbox.is_refusing());
  EXPECT_TRUE(Push(inbox, Sized(3, 10)));
  EXPECT_EQ(Next(inbox), "3");
}

TEST(WriterInbox, RefusesWhoWaitsForRoom) {
  WriterInbox inbox(100);
  ASSERT_TRUE(Push(inbox, Sized(1, 100)));
  bool is_in = true;
  {
    std::jthread pusher([&] {
      ChangeSet set = Sized(2, 100);
      is_in = inbox.PushUntil(set, kFar, {});
    });
    inbox.RefuseSets();
  }
  EXPECT_FALSE(is_in);
}

TEST(WriterInbox, DropsTheSetsOfAStreamThatHasBrokenAlready) {
  WriterInbox inbox(100);
  ASSERT_TRUE(Push(inbox, Sized(1, 10)));
  ASSERT_TRUE(Push(inbox, Sized(2, 10)));
  EXPECT_EQ(Next(inbox), "1");
  std::jthread stream([&] { inbox.PushStreamLostAndWait(); });
  // Whichever comes first, the stream is not left waiting and set 2 never comes.
  inbox.RefuseSets();
  std::string next;
  while ((next = Next(inbox)) == "timeout") {
  }
  EXPECT_EQ(next, "lost");
  stream.join();
  EXPECT_FALSE(inbox.is_refusing());
}

TEST(WriterInbox, DrainsWhatItHasWhenItIsClosed) {
  WriterInbox inbox(100);
  ASSERT_TRUE(Push(inbox, Sized(1, 10)));
  inbox.Close();
  EXPECT_FALSE(Push(inbox, Sized(2, 10)));
  EXPECT_EQ(Next(inbox), "1");
  EXPECT_EQ(Next(inbox), "closed");
  EXPECT_THAT(inbox.CallAndWait([]() -> Result<int> { return 1; }), IsError(ErrorKind::kCancelled));
}

TEST(WriterInbox, CancelsWhoWaitsWhenTheWriterHasEnded) {
  WriterInbox inbox(100);
  Result<int> answer = 0;
  {
    std::jthread caller = Caller(inbox, answer);
    std::jthread stream([&] { inbox.PushStreamLostAndWait(); });
    inbox.Stop();
  }
  EXPECT_THAT(answer, IsError(ErrorKind::kCancelled));
}

TEST(WriterInbox, IsPressedWhereHalfOfItIsFullOrTheWriterStaysAway) {
  WriterInbox inbox(100);
  EXPECT_FALSE(inbox.is_pressed(Clock::now()));
  Push(inbox, Sized(1, 10));
  EXPECT_EQ(Next(inbox), "1");
  const Clock::time_point later = Clock::now() + std::chrono::seconds(5);
  EXPECT_FALSE(inbox.is_pressed(later));  // it works on that one, and nothing waits
  Push(inbox, Sized(2, 10));
  EXPECT_FALSE(inbox.is_pressed(Clock::now()));
  EXPECT_TRUE(inbox.is_pressed(later));
  Push(inbox, Sized(3, 40));
  EXPECT_TRUE(inbox.is_pressed(Clock::now()));
}

TEST(WriterInboxTest, WhoAsksGoesOnUntilTheWriterAnswers) {
  WriterInbox inbox(1000);
  std::future<Result<int>> answer = inbox.Ask([]() -> Result<int> { return 7; });
  EXPECT_EQ(answer.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  Next(inbox);
  EXPECT_THAT(answer.get(), HasValue(7));
  inbox.Close();
  EXPECT_THAT(inbox.Ask([]() -> Result<int> { return 7; }).get(), IsError(ErrorKind::kCancelled));
}

}  // namespace
}  // namespace sluice::engine
