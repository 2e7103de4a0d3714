#include "cli/pipeline_client.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include <nlohmann/json.hpp>

namespace sluice::cli {
namespace {

using telemetry::ControlReply;
using telemetry::ControlServer;

std::atomic<bool> was_stuck_asked{false};

void SayNothing(const std::string& /*request*/, ControlReply& reply) {
  was_stuck_asked.store(true);
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait(lock, reply.stop_token(), [] { return false; });
}

void SayStatus(const std::string& /*request*/, ControlReply& reply) {
  static_cast<void>(reply.Send(R"({"status": {"destination": "duckdb:/srv/shop.duckdb"}})"));
}

TEST(FindRunning, AsksTheLikelyPipelineAheadOfOneThatDoesNotAnswer) {
  std::string folder = (std::filesystem::temp_directory_path() / "sluice-client-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  {
    auto stuck = ControlServer::Start(folder, "another", SayNothing);
    auto shop = ControlServer::Start(folder, "shop", SayStatus);
    ASSERT_TRUE(stuck.has_value());
    ASSERT_TRUE(shop.has_value());
    config::RunOptions options;
    options.pipeline.state_dir = folder;
    options.pipeline.pipeline = "shop";
    options.pipeline.destination = "duckdb:/srv/shop.duckdb";
    options.destination.emplace();
    const auto client = FindRunning(options);
    ASSERT_TRUE(client.has_value());
    EXPECT_TRUE(client->has_value());
    EXPECT_FALSE(was_stuck_asked.load());
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace sluice::cli
