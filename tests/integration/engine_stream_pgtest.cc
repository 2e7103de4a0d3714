// What the source sees: acknowledgements, patience under a stall, streams that break.
#include <condition_variable>
#include <mutex>

#include "tests/integration/engine_fixture.h"
#include "tests/integration/position_recorder.h"

namespace sluice::integration {
namespace {

using doubles::Deferred;
using doubles::Method;
using testing::IsOk;

/// Shut: calls that come wait.
class Barrier {
 public:
  void Shut() {
    const std::scoped_lock lock(mutex_);
    is_shut_ = true;
  }
  void Open() {
    {
      const std::scoped_lock lock(mutex_);
      is_shut_ = false;
    }
    opened_.notify_all();
  }
  void Pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    opened_.wait(lock, [&] { return !is_shut_; });
    --waiting_;
  }
  bool has_waiting() const {
    const std::scoped_lock lock(mutex_);
    return is_shut_ && waiting_ > 0;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable opened_;
  bool is_shut_ = false;
  int waiting_ = 0;
};

class EngineStream : public EngineTest {
 protected:
  void TearDown() override {
    barrier_->Open();
    EngineTest::TearDown();
  }
  MakeDestination Stalling(Method method) {
    return [memory = Memory(), barrier = barrier_, method] {
      return doubles::MakeSlow(memory(), method, [barrier] { barrier->Pass(); });
    };
  }
  /// Ends the walsender; returns when another one streams.
  void BreakStream() {
    const std::string before = WalsenderPid();
    ASSERT_NE(before, "");
    Sql("SELECT pg_terminate_backend(" + before + ")");
    ASSERT_THAT(run_->Until(
                    "another walsender",
                    [&] {
                      const std::string now = WalsenderPid();
                      return !now.empty() && now != before;
                    },
                    kPatience),
                IsOk());
  }
  std::shared_ptr<Barrier> barrier_ = std::make_shared<Barrier>();
};

TEST_F(EngineStream, NeverAcknowledgesMoreThanIsDurable) {
  auto recorder = std::make_shared<PositionRecord>();
  Deferred* deferred = nullptr;
  bool loses = true;
  const MakeDestination make = [&]() -> std::unique_ptr<Destination> {
    auto made = std::make_unique<Deferred>(Memory()());
    made->LoseOnClose(loses);
    deferred = made.get();
    return std::make_unique<PositionRecorder>(std::move(made), recorder);
  };
  StartChanges({.seed = 31});
  EngineRun& run = Run(make);
  // The birth is a commit too; until it is durable there is nothing to go on from.
  ASSERT_THAT(run.Open(), IsOk());
  const Lsn birth = run.restored().position->lsn;
  deferred->AdvanceDurable(1);
  deferred->AdvanceVisible(1);
  for (int round = 0; round < 3; ++round) {
    std::size_t advanced = 0;
    int looks = 0;
    const auto advance_and_look = [&] {
      if (++looks % 8 == 0) {
        advanced += deferred->AdvanceDurable(1);
        deferred->AdvanceVisible(2);
      }
      const Lsn confirmed = ConfirmedFlush();
      EXPECT_LE(confirmed, std::max(birth, recorder->durable()));
      return advanced >= 15;
    };
    ASSERT_THAT(run.Until("commits made durable", advance_and_look, kPatience), IsOk());
    ASSERT_GT(deferred->accepted_count() + advanced, 0U);
    // What is accepted and not durable is lost; the slot must still have it.
    // The writer may wait for room that nobody makes: the stop must end that, too.
    ASSERT_THAT(run.Stop(std::chrono::milliseconds(300)), IsOk());
    EXPECT_LE(ConfirmedFlush(), std::max(birth, recorder->durable()));
    ASSERT_THAT(run.Open(), IsOk());
  }
  ASSERT_THAT(changes_->Stop(), IsOk());
  loses = false;
  ASSERT_THAT(run.CatchUp(kPatience,
                          [&] {
                            deferred->AdvanceDurable(100);
                            deferred->AdvanceVisible(100);
                          }),
              IsOk());
  deferred->LoseOnClose(false);
  ASSERT_THAT(run.Stop(), IsOk());
  ExpectEqual(Memory());
}

TEST_F(EngineStream, AStalledDestinationKeepsItsWalsender) {
  Setting("wal_sender_timeout", "1s");
  EngineRun& run = Run(Stalling(Method::kCommit), std::size_t{32} << 20);
  ASSERT_THAT(run.Open(), IsOk());
  ASSERT_THAT(run.CatchUp(kPatience), IsOk());
  const std::string pid = WalsenderPid();
  ASSERT_NE(pid, "");
  barrier_->Shut();
  // More than every buffer between here and there holds, so that the stream must stop reading.
  for (int i = 0; i < 20; ++i) {
    Sql("INSERT INTO toasted SELECT (SELECT string_agg(md5(j::text || k), '') FROM "
        "generate_series(1, 500) k), 1, 5000000 + " +
        std::to_string(i) + " * 200 + j FROM generate_series(1, 200) j");
  }
  ASSERT_THAT(run.Until("the stall", [&] { return barrier_->has_waiting(); }, kPatience), IsOk());
  const Clock::time_point begun = Clock::now();
  const auto lasted = [&] {
    EXPECT_EQ(WalsenderPid(), pid);
    return Clock::now() - begun > std::chrono::milliseconds(3500) || HasFailure();
  };
  ASSERT_THAT(run.Until("three and a half timeouts", lasted, kPatience), IsOk());
  barrier_->Open();
  ASSERT_THAT(run.CatchUp(kPatience), IsOk());
  EXPECT_EQ(WalsenderPid(), pid);
  EXPECT_EQ(run.progress().retries_source.load(), 0);
  ASSERT_THAT(run.Stop(), IsOk());
  ExpectEqual(Memory());
}

TEST_F(EngineStream, AnUnfinishedTransactionSurvivesBrokenStreams) {
  EngineRun& run = Run(Memory());
  ASSERT_THAT(run.Open(), IsOk());
  ASSERT_THAT(run.CatchUp(kPatience), IsOk());
  auto big = testing::SqlSession::Open(url());
  ASSERT_THAT(big, IsOk());
  ASSERT_THAT(big->Exec("BEGIN; UPDATE keyed SET n = n + 1000"), IsOk());
  for (int i = 0; i < 3; ++i) {
    const std::string range = std::to_string(7'000'000 + i * 10'000);
    ASSERT_THAT(big->Exec("INSERT INTO keyed (id, name) SELECT " + range +
                          " + i, 'big ' || i FROM generate_series(1, 5000) i; SAVEPOINT s;"
                          "UPDATE keyed SET n = -1; DELETE FROM composite; ROLLBACK TO s;"
                          "UPDATE toasted SET small = small + 1; RELEASE s"),
                IsOk());
    ASSERT_THAT(run.Until(
                    "part of the transaction",
                    [&] { return run.progress().staged_bytes.load() > (64U << 10); }, kPatience),
                IsOk());
    // Others commit in between, on both sides of the break.
    Sql("INSERT INTO keyless VALUES (-1, 'between'), (-1, 'between')");
    BreakStream();
  }
  ASSERT_THAT(big->Exec("DELETE FROM keyed WHERE id % 7 = 0; UPDATE keyed SET id = id + 100000000 "
                        "WHERE id % 11 = 0; COMMIT"),
              IsOk());
  ASSERT_THAT(run.CatchUp(kPatience), IsOk());
  EXPECT_EQ(run.open_count(), 1);
  EXPECT_GE(run.progress().retries_source.load(), 3);
  ASSERT_THAT(run.Stop(), IsOk());
  ExpectEqual(Memory());
}

TEST_F(EngineStream, ATransactionInPiecesIsTakenBackWhenItsStreamBreaks) {
  EngineRun& run = Run(Stalling(Method::kStage), std::size_t{32} << 20);
  ASSERT_THAT(run.Open(), IsOk());
  ASSERT_THAT(run.CatchUp(kPatience), IsOk());
  barrier_->Shut();
  Sql("INSERT INTO keyed (id, name) SELECT 8000000 + i, repeat(md5(i::text), 10) FROM "
      "generate_series(1, 60000) i");
  ASSERT_THAT(
      run.Until("the first piece", [&] { return barrier_->has_waiting(); }, kPatience), IsOk());
  const std::string before = WalsenderPid();
  Sql("SELECT pg_terminate_backend(" + before + ")");
  Sql("INSERT INTO keyless VALUES (-2, 'after the break')");
  barrier_->Open();
  ASSERT_THAT(run.CatchUp(kPatience), IsOk());
  EXPECT_NE(WalsenderPid(), before);
  EXPECT_EQ(run.open_count(), 1);
  ASSERT_THAT(run.Stop(), IsOk());
  ExpectEqual(Memory());
}

TEST_F(EngineStream, ATableThatHaltsInsideALargeTransactionMakesOnlyTheStreamBeginAgain) {
  const Error refused{.kind = ErrorKind::kDestination, .message = "refused by the test"};
  // The landings, then a few pieces.
  const doubles::Failure failure{.method = Method::kStage,
                                 .call = TableNames().size() + 4,
                                 .error = refused,
                                 .table_only = true};
  EngineRun& run = Run([memory = Memory(), failure] { return MakeFailing(memory(), failure); },
                       std::size_t{32} << 20);
  ASSERT_THAT(run.Open(), IsOk());
  ASSERT_THAT(run.CatchUp(kPatience), IsOk());
  const std::string before = WalsenderPid();
  Sql("BEGIN; INSERT INTO keyed (id, name) SELECT 9000000 + i, repeat(md5(i::text), 10) FROM "
      "generate_series(1, 60000) i; INSERT INTO keyless VALUES (-3, 'at its end'); COMMIT");
  ASSERT_THAT(run.CatchUp(kPatience, {}, true), IsOk());
  const auto halted = run.Table("keyed");
  ASSERT_TRUE(halted && halted->record.state == TableState::kHalted);
  EXPECT_NE(WalsenderPid(), before) << "earlier pieces were staged";
  EXPECT_EQ(run.open_count(), 1);
  EXPECT_EQ(run.progress().retries_source.load(), 0);
  ASSERT_THAT(run.Stop(), IsOk());
  ExpectEqual(Memory(), "keyed");
}

/// Commits once Shut() only when it was interrupted again and again.
class Stubborn final : public doubles::Decorator {
 public:
  static constexpr int kInterrupts = 3;
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_shut = false;
    bool is_waiting = false;
    int interrupts = 0;
  };
  Stubborn(std::unique_ptr<Destination> inner, std::shared_ptr<State> state)
      : Decorator(std::move(inner)), state_(std::move(state)) {}

  Result<CommitOutcome> Commit(const CommitRecord& record) override {
    std::unique_lock lock(state_->mutex);
    if (!state_->is_shut) return inner().Commit(record);
    state_->is_waiting = true;
    const bool gave_in = state_->changed.wait_for(
        lock, std::chrono::seconds(20), [&] { return state_->interrupts >= kInterrupts; });
    return Error{.kind = gave_in ? ErrorKind::kCancelled : ErrorKind::kInternal,
                 .message = gave_in ? "interrupted" : "not interrupted often enough"};
  }
  void Interrupt() override {
    const std::scoped_lock lock(state_->mutex);
    ++state_->interrupts;
    state_->changed.notify_all();
  }

 private:
  std::shared_ptr<State> state_;
};

TEST_F(EngineStream, AStopThatCannotWaitInterruptsUntilItIsThrough) {
  auto state = std::make_shared<Stubborn::State>();
  EngineRun& run =
      Run([memory = Memory(), state] { return std::make_unique<Stubborn>(memory(), state); });
  ASSERT_THAT(run.Open(), IsOk());
  ASSERT_THAT(run.CatchUp(kPatience), IsOk());
  const auto with_state = [&](auto look) {
    const std::scoped_lock lock(state->mutex);
    return look();
  };
  with_state([&] { return state->is_shut = true; });
  Sql("INSERT INTO keyless VALUES (-4, 'never committed')");
  ASSERT_THAT(
      run.Until(
          "a commit", [&] { return with_state([&] { return state->is_waiting; }); }, kPatience),
      IsOk());
  EXPECT_THAT(run.Stop(std::chrono::milliseconds(100)), IsOk());
  EXPECT_GE(with_state([&] { return state->interrupts; }), Stubborn::kInterrupts);
}

TEST_F(EngineStream, ChangesGoOnOverManyBrokenStreams) {
  StartChanges({.seed = 35});
  EngineRun& run = Run(Memory());
  ASSERT_THAT(run.Open(), IsOk());
  for (int i = 0; i < 5; ++i) {
    ASSERT_THAT(UntilChanged(25), IsOk());
    ASSERT_THAT(
        run.Until("a walsender", [&] { return !WalsenderPid().empty(); }, kPatience), IsOk());
    BreakStream();
  }
  ASSERT_THAT(changes_->Stop(), IsOk());
  ASSERT_THAT(run.CatchUp(kPatience), IsOk());
  ASSERT_THAT(run.Stop(), IsOk());
  ExpectEqual(Memory());
}

TEST_F(EngineStream, TheSlotFollowsWhileNothingPublishedChanges) {
  EngineRun& run = Run(Memory());
  ASSERT_THAT(run.Open(), IsOk());
  ASSERT_THAT(run.CatchUp(kPatience), IsOk());
  Sql("INSERT INTO unpublished SELECT i, 'noise' FROM generate_series(1, 1000) i");
  const auto target = ParseLsn(Value("SELECT pg_current_wal_insert_lsn()"));
  ASSERT_TRUE(target.has_value());
  // The last record may end a page before the insert position.
  EXPECT_THAT(run.Until(
                  "the slot to follow", [&] { return ConfirmedFlush() >= *target; },
                  std::chrono::seconds(15)),
              IsOk());
  ASSERT_THAT(run.Stop(), IsOk());
  EXPECT_GE(ConfirmedFlush(), *target) << "a graceful end acknowledges what is durable";
}

}  // namespace
}  // namespace sluice::integration
