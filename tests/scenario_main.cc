// Registers every file of tests/scenarios as a test AREA.CASE and runs them on one scratch server
// of version SLUICE_SCENARIO_PG (17). With SLUICE_SCENARIO_PART=1/2 every other one, and all that
// are for certain versions only; 2/2 the rest, and those. With SLUICE_SCENARIO_SOURCE_ONLY=1 only
// the steps at the source run: a check of the scenarios themselves, without sluice.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scenario_file.h"
#include "scenario_runner.h"

namespace sluice::tests {
namespace {

namespace fs = std::filesystem;
using sluice::testing::ScratchPostgres;

std::string Setting(const char* name, const char* unless_set) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value != nullptr && *value != '\0' ? value : unless_set;
}

std::string ServerVersion() {
  return Setting("SLUICE_SCENARIO_PG", "17");
}

bool Runs(const ScenarioStep& step) {
  static const bool source_only =
      std::getenv("SLUICE_SCENARIO_SOURCE_ONLY") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  return !source_only || step.verb.starts_with("source") || step.verb.starts_with("writer") ||
         step.verb == "postgres";
}

// Every transaction over 64 kB is streamed while it is in progress; a dead connection is noticed
// within 10 s.
Result<ScratchPostgres> StartServer(std::span<const std::string> more) {
  sluice::testing::ScratchPostgresOptions options{
      .version = ServerVersion(),
      .settings = {{"logical_decoding_work_mem", "64kB"},
                   {"wal_sender_timeout", "10s"},
                   {"lock_timeout", "30s"}}};
  for (auto& setting : SettingsOf(more)) options.settings.push_back(std::move(setting));
  return ScratchPostgres::Start(std::move(options));
}

// One server for all scenarios of this process that ask for none of their own, started when the
// first needs it.
Result<ScratchPostgres*> Server() {
  static std::optional<ScratchPostgres> server;
  if (!server) {
    SLUICE_ASSIGN_OR_RETURN(ScratchPostgres started, StartServer({}));
    server.emplace(std::move(started));
  }
  return &*server;
}

Result<bool> HasExtension(const ScratchPostgres& server, const std::string& name) {
  SLUICE_ASSIGN_OR_RETURN(auto session, sluice::testing::SqlSession::Open(server.Url()));
  SLUICE_ASSIGN_OR_RETURN(
      const auto rows,
      session.Query("SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name = '" + name +
                    "'"));
  return !rows.empty();
}

class ScenarioTest : public ::testing::Test {
 public:
  ScenarioTest(std::string path, std::string name)
      : path_(std::move(path)), name_(std::move(name)) {}

  void TestBody() override {
    const auto steps = ParseScenario(sluice::testing::ReadWholeFile(path_));
    ASSERT_TRUE(steps.has_value()) << path_ << ": " << steps.error().message;
    for (const ScenarioStep& step : *steps) {
      if (step.verb != "requires" || step.arguments[0] == "extension") continue;
      const std::string& versions = step.arguments[0];
      const std::size_t dash = versions.find('-');
      const int version = std::stoi(ServerVersion());
      const bool is_too_new =
          dash != std::string::npos && version > std::stoi(versions.substr(dash + 1));
      if (version < std::stoi(versions) || is_too_new)
        GTEST_SKIP() << "needs PostgreSQL " << versions;
    }
    std::optional<ScratchPostgres> own;
    for (const ScenarioStep& step : *steps) {
      if (step.verb != "own-server") continue;
      auto started = StartServer(step.arguments);
      ASSERT_TRUE(started.has_value()) << started.error().message << started.error().server_message;
      own.emplace(*std::move(started));
    }
    const Result<ScratchPostgres*> server = own ? &*own : Server();
    ASSERT_TRUE(server.has_value()) << server.error().message << server.error().server_message;
    for (const ScenarioStep& step : *steps) {
      if (step.verb != "requires" || step.arguments[0] != "extension") continue;
      const auto has_it = HasExtension(**server, step.arguments.at(1));
      ASSERT_TRUE(has_it.has_value()) << has_it.error().message;
      if (!*has_it) GTEST_SKIP() << "the server lacks extension " << step.arguments[1];
    }
    const auto runner = ScenarioRunner::Create(**server, name_);
    ASSERT_TRUE(runner.has_value()) << runner.error().message << runner.error().server_message;
    for (const ScenarioStep& step : *steps) {
      if (!Runs(step)) continue;
      const Status done = (*runner)->RunStep(step);
      if (done) continue;
      ADD_FAILURE_AT(path_.c_str(), step.line)
          << "-- " << step.verb << ": " << done.error().message << "\n"
          << done.error().server_message << "\nbackground run:\n"
          << sluice::testing::LastLines((*runner)->RunLog(), 40);
      return;
    }
  }

 private:
  std::string path_;
  std::string name_;
};

void RegisterScenarios() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(SLUICE_SCENARIO_DIR)) {
    if (entry.path().extension() == ".test") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  const std::string part = Setting("SLUICE_SCENARIO_PART", "1/1");
  const std::size_t parts = std::stoul(part.substr(part.find('/') + 1));
  std::size_t index = std::stoul(part);
  std::erase_if(files, [&](const fs::path& file) {
    return index++ % parts != 0 &&
           sluice::testing::ReadWholeFile(file).find("\n-- requires 1") == std::string::npos;
  });
  for (const fs::path& file : files) {
    const std::string area = file.parent_path().filename().string();
    const std::string name = file.stem().string();
    ::testing::RegisterTest(area.c_str(), name.c_str(), nullptr, nullptr, file.c_str(), 1,
                            [path = file.string(), full = area + "_" + name]() -> ::testing::Test* {
                              return new ScenarioTest(path, full);
                            });
  }
}

}  // namespace
}  // namespace sluice::tests

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  sluice::tests::RegisterScenarios();
  return RUN_ALL_TESTS();
}
