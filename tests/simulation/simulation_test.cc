// Seeded schedules of a server, its users, our core and its destination, with everything that may
// break between them. One number replays a run:
//
//     simulation_test --gtest_filter='*Schedules*' SEED...    (SLUICE_SIMULATION_SEEDS=FROM-TO)
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "simulation/simulated_replica.h"
#include "simulation/simulated_server.h"

namespace sluice::simulation {
namespace {

constexpr std::size_t kTransactions = 16;
constexpr int kSteps = 700;
constexpr int kStepsToRest = 20'000;

/// A schedule takes milliseconds; one that is at it for so long waits for what never comes.
constexpr unsigned kSecondsMax = 20;

std::uint32_t g_seed = 0;

void SayTheSeed(int signal) {
  std::fprintf(stderr, "%s in the schedule of seed %u\n", signal == SIGALRM ? "stuck" : "aborted",
               g_seed);
  std::_Exit(1);
}

/// Empty: all was right.
std::string RunSchedule(std::uint32_t seed, Coverage& coverage) {
  g_seed = seed;
  std::mt19937 random(seed);
  SimulatedServer server(random, kTransactions);
  SimulatedReplica replica(random, server);
  const bool crashes = random() % 2 == 0;
  for (int step = 0; step < kSteps && replica.failure().empty(); ++step) {
    if (crashes && random() % 150 == 0) {
      server.Crash();
    } else if (random() % 200 == 0) {
      server.JoinLateTables();
    } else if (random() % 3 == 0) {
      server.Step();
    } else if (random() % 8 == 0) {
      server.Flush();
    } else {
      replica.Step(true);
    }
  }
  server.JoinLateTables();
  server.Drain();
  for (int step = 0; step < kStepsToRest && replica.failure().empty() && !replica.IsSettled();
       ++step) {
    server.Flush();
    server.Drain();
    replica.Step(false);
  }
  coverage.Add(replica.coverage());
  if (!replica.failure().empty()) return replica.failure();
  return replica.IsSettled() ? "" : "it does not come to rest: " + replica.Describe();
}

struct Seeds {
  std::uint32_t first = 1;
  std::uint32_t last = 12'500;
};

Seeds AskedSeeds() {
  Seeds seeds;
  if (const char* asked = std::getenv("SLUICE_SIMULATION_SEEDS"))
    (void)std::sscanf(asked, "%u-%u", &seeds.first, &seeds.last);
  return seeds;
}

TEST(Simulation, EveryScheduleEndsWithWhatTheSourceHolds) {
  std::signal(SIGABRT, SayTheSeed);
  std::signal(SIGALRM, SayTheSeed);
  const Seeds seeds = AskedSeeds();
  Coverage coverage;
  for (std::uint32_t seed = seeds.first; seed <= seeds.last; ++seed) {
    alarm(kSecondsMax);
    ASSERT_EQ(RunSchedule(seed, coverage), "") << "seed " << seed;
  }
  alarm(0);
  std::printf(
      "%u schedules: %lu commits, %lu landings, %lu kills, %lu server crashes, %lu reconnects, "
      "%lu unknown commits, %lu failed stages, %lu refused snapshots, %lu failed copies, "
      "%lu halts, %lu resyncs, %lu sets with streamed transactions, %lu spilled batches, "
      "%lu witnesses, %lu landed ranges, %lu calls by SQL, %lu ended at their limit, "
      "%lu advances lost\n",
      seeds.last - seeds.first + 1, coverage.commits, coverage.landings, coverage.kills,
      coverage.server_crashes, coverage.reconnects, coverage.unknown_commits,
      coverage.failed_stages, coverage.refused_snapshots, coverage.failed_copies, coverage.halts,
      coverage.resyncs, coverage.streamed_transactions, coverage.spilled_batches,
      coverage.witnesses, coverage.range_landings, coverage.calls, coverage.limited_calls,
      coverage.lost_advances);
}

}  // namespace
}  // namespace sluice::simulation
