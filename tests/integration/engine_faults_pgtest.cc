// Destinations that fail: opened again, replayed from their position, equal at the end.
#include "destinations/duckdb/duckdb_destination.h"
#include "tests/integration/engine_fixture.h"

namespace sluice::integration {
namespace {

using doubles::Failure;
using doubles::Method;
using testing::IsOk;

const Error kGone{.kind = ErrorKind::kConnection, .message = "the test's destination went away"};

/// The n-th open gets the n-th failure; later ones none.
MakeDestination FailingInTurn(MakeDestination make, std::vector<Failure> failures) {
  auto opened = std::make_shared<std::size_t>(0);
  return [make = std::move(make), failures = std::move(failures),
          opened]() -> std::unique_ptr<Destination> {
    const std::size_t index = (*opened)++;
    return index < failures.size() ? doubles::MakeFailing(make(), failures[index]) : make();
  };
}

class EngineOverFailures : public EngineTest {
 protected:
  void Drive(const MakeDestination& make, int failures, ChangesOptions options) {
    StartChanges(options);
    EngineRun& run = Run(make);
    ASSERT_THAT(run.Open(), IsOk());
    ASSERT_THAT(
        run.Until("all failures", [&] { return run.open_count() > failures; }, kPatience), IsOk());
    ASSERT_THAT(UntilChanged(50), IsOk());
    ASSERT_THAT(changes_->Stop(), IsOk());
    ASSERT_THAT(run.CatchUp(kPatience), IsOk());
    ASSERT_THAT(run.Stop(), IsOk());
  }
};

TEST_F(EngineOverFailures, StageAndCommitThatFailAreReplayed) {
  Drive(FailingInTurn(Memory(), {{.method = Method::kCommit, .call = 9, .error = kGone},
                                 {.method = Method::kStage, .call = 12, .error = kGone},
                                 {.method = Method::kStage, .call = 1, .error = kGone},
                                 {.method = Method::kCommit, .call = 1, .error = kGone},
                                 {.method = Method::kCommit, .call = 30, .error = kGone}}),
        5, {.seed = 21});
  ExpectEqual(Memory());
}

TEST_F(EngineOverFailures, CommitsOfUnknownOutcomeAreNeitherLostNorDoubled) {
  Drive(FailingInTurn(Memory(),
                      {{.method = Method::kCommit, .call = 7, .unknown = true, .applied = true},
                       {.method = Method::kCommit, .call = 6, .unknown = true, .applied = false},
                       {.method = Method::kCommit, .call = 1, .unknown = true, .applied = true},
                       {.method = Method::kCommit, .call = 2, .unknown = true, .applied = false},
                       {.method = Method::kCommit, .call = 25, .unknown = true, .applied = true}}),
        5, {.seed = 22});
  ExpectEqual(Memory());
}

TEST_F(EngineOverFailures, CopiesThatFailBeginAgainAndTheStreamGoesOn) {
  std::int64_t first_key = 0;
  for (const Method method : {Method::kOpenCopy, Method::kAppend, Method::kFinishCopy}) {
    storage_ = std::make_shared<memory::MemoryStorage>();
    const MakeDestination make =
        FailingInTurn(Memory(), {{.method = method, .call = 1, .times = 2, .error = kGone}});
    StartChanges({.seed = 23, .first_key = first_key += 1'000'000});
    EngineRun& run = Run(make);
    ASSERT_THAT(run.Open(), IsOk());
    ASSERT_THAT(UntilChanged(20), IsOk());
    ASSERT_THAT(changes_->Stop(), IsOk());
    ASSERT_THAT(run.CatchUp(kPatience), IsOk());
    EXPECT_EQ(run.open_count(), 1);
    ASSERT_THAT(run.Stop(), IsOk());
    ExpectEqual(Memory());
    DropSlot();
  }
}

TEST_F(EngineOverFailures, ACopyThatTheDestinationRefusesEndsTheRun) {
  const Error refused{.kind = ErrorKind::kDestination, .message = "refused by the test"};
  EngineRun& run =
      Run(FailingInTurn(Memory(), {{.method = Method::kAppend, .call = 2, .error = refused}}));
  ASSERT_THAT(run.Open(), IsOk());
  EXPECT_THAT(run.Until(
                  "the end", [] { return false; }, kPatience),
              testing::IsError(ErrorKind::kDestination));
}

TEST_F(EngineOverFailures, AnOpenThatFailsIsTriedAgain) {
  Drive(FailingInTurn(Memory(), {{.method = Method::kCommit, .call = 5, .error = kGone},
                                 {.method = Method::kOpen, .call = 1, .error = kGone},
                                 {.method = Method::kOpen, .call = 1, .error = kGone}}),
        3, {.seed = 24});
  ExpectEqual(Memory());
}

TEST_F(EngineOverFailures, DuckDbIsReplayedFromItsPosition) {
  const MakeDestination duckdb = [path = (folder_ / "engine.duckdb").string()] {
    return duckdb::MakeDuckDbDestination({.path = path});
  };
  Drive(FailingInTurn(duckdb,
                      {{.method = Method::kCommit, .call = 8, .error = kGone},
                       {.method = Method::kCommit, .call = 5, .unknown = true, .applied = true},
                       {.method = Method::kStage, .call = 7, .error = kGone}}),
        3, {.seed = 25});
  ExpectEqual(duckdb);
}

TEST_F(EngineOverFailures, ATableThatFailsHaltsAloneAndAResyncBringsItBack) {
  const Error refused{.kind = ErrorKind::kDestination, .message = "refused by the test"};
  // Past the four landings; whose item it is does not matter.
  const MakeDestination make = FailingInTurn(
      Memory(), {{.method = Method::kStage, .call = 25, .error = refused, .table_only = true}});
  StartChanges({.seed = 26});
  EngineRun& run = Run(make);
  ASSERT_THAT(run.Open(), IsOk());
  std::optional<engine::TableStatus> halted;
  const auto one_halted = [&] {
    for (const std::string& table : TableNames()) {
      auto status = run.Table(table);
      if (status && status->record.state == TableState::kHalted) halted = std::move(status);
    }
    return halted.has_value();
  };
  ASSERT_THAT(run.Until("a table halted", one_halted, kPatience), IsOk());
  const std::string name = halted->record.source.table;
  EXPECT_THAT(halted->record.reason, ::testing::HasSubstr("refused by the test"));
  ASSERT_THAT(UntilChanged(40), IsOk());
  EXPECT_EQ(run.open_count(), 1) << "the others were not disturbed";
  const RelationId relation = halted->record.relation;
  ASSERT_THAT(run.session()->writer().inbox().CallAndWait(
                  [&] { return run.session()->writer().Resync(relation); }),
              IsOk());
  run.session()->pool().Wake();
  ASSERT_THAT(UntilChanged(40), IsOk());
  ASSERT_THAT(changes_->Stop(), IsOk());
  ASSERT_THAT(run.CatchUp(kPatience), IsOk()) << name;
  ASSERT_THAT(run.Stop(), IsOk());
  ExpectEqual(Memory());
}

}  // namespace
}  // namespace sluice::integration
