// Every destination behind one engine: copied and streamed while rows change, equal at the end.
#include "destinations/duckdb/duckdb_destination.h"
#include "destinations/null/null_destination.h"
#include "stores/sqlite/sqlite_state_store.h"
#include "stores/stateful_destination.h"
#include "tests/integration/engine_fixture.h"

namespace sluice::integration {
namespace {

using doubles::Deferred;
using doubles::DeferredOptions;
using testing::IsOk;

class EngineOverDestinations : public EngineTest {
 protected:
  /// Copies under change, streams, stops in the middle, goes on, stops.
  void Drive(const MakeDestination& make, ChangesOptions options) {
    StartChanges(options);
    EngineRun& run = Run(make);
    ASSERT_THAT(run.Open(), IsOk());
    ASSERT_THAT(UntilChanged(150), IsOk());
    ASSERT_THAT(run.Stop(), IsOk());
    ASSERT_THAT(run.Open(), IsOk());
    ASSERT_TRUE(run.restored().position);
    ASSERT_THAT(UntilChanged(150), IsOk());
    ASSERT_THAT(changes_->Stop(), IsOk());
    ASSERT_THAT(run.CatchUp(kPatience, [this] { Nudge(); }), IsOk());
    ASSERT_THAT(run.Stop(), IsOk());
    EXPECT_GT(run.progress().rows_streamed.load(), 0);
  }
};

TEST_F(EngineOverDestinations, MemoryEndsEqual) {
  Drive(Memory(), {.seed = 11});
  ExpectEqual(Memory());
}

TEST_F(EngineOverDestinations, DuckDbEndsEqual) {
  const MakeDestination make = [path = (folder_ / "engine.duckdb").string()] {
    return duckdb::MakeDuckDbDestination({.path = path});
  };
  Drive(make, {.seed = 12});
  ExpectEqual(make);
}

TEST_F(EngineOverDestinations, NullBesideAStateStoreReachesTheEnd) {
  const MakeDestination make = [path = (folder_ / "engine.state").string()] {
    return stores::MakeStatefulDestination(std::make_unique<null::NullDestination>(),
                                           stores::MakeSqliteStateStore(path));
  };
  Drive(make, {.seed = 13});
  const Lsn end = run_->progress().visible.Load();
  const auto opened = make();
  const auto state = opened->Open({.pipeline = name_, .system_identifier = 0, .read_only = true});
  ASSERT_THAT(state, IsOk());
  ASSERT_TRUE(state->position);
  EXPECT_GE(state->position->lsn, end);
  EXPECT_EQ(state->tables.size(), TableNames().size());
  for (const TableRecord& table : state->tables) {
    EXPECT_EQ(table.state, TableState::kLive) << ToString(table.source);
    const std::string count = Value("SELECT count(*) FROM " + table.source.table);
    EXPECT_EQ(std::to_string(table.row_count), count) << ToString(table.source);
  }
}

TEST_F(EngineOverDestinations, DeferredThatFollowsEndsEqual) {
  const MakeDestination make = [memory = Memory()] {
    return std::make_unique<Deferred>(memory(),
                                      DeferredOptions{.durable_behind = 3, .visible_behind = 2});
  };
  Drive(make, {.seed = 14});
  ExpectEqual(Memory());
}

TEST_F(EngineOverDestinations, IntervalEndsEqual) {
  const MakeDestination make = [memory = Memory()] { return doubles::MakeInterval(memory(), 5); };
  Drive(make, {.seed = 15});
  ExpectEqual(Memory());
}

TEST_F(EngineOverDestinations, AtLeastOnceEndsEqualWhereChangesCanBeRepeated) {
  const MakeDestination make = [memory = Memory(false)] {
    return doubles::MakeAtLeastOnce(memory(), 16);
  };
  Drive(make, {.seed = 16, .keyless = false, .toasted_moves = false});
  ExpectEqual(Memory());
}

TEST_F(EngineOverDestinations, SlowEndsEqual) {
  auto calls = std::make_shared<std::atomic<int>>(0);
  const MakeDestination make = [memory = Memory(), calls] {
    return doubles::MakeSlow(memory(), doubles::Method::kCommit, [calls] {
      // Late by what a stop token that nobody pulls waits.
      std::mutex mutex;
      std::condition_variable never;
      std::unique_lock lock(mutex);
      if (++*calls % 4 == 0) never.wait_for(lock, std::chrono::milliseconds(40));
    });
  };
  Drive(make, {.seed = 17});
  ExpectEqual(Memory());
}

}  // namespace
}  // namespace sluice::integration
