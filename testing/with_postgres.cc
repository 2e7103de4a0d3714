// with_postgres VERSION [NAME=VALUE ...] -- COMMAND...
// Starts a scratch PostgreSQL with the settings, runs the command with SLUICE_TEST_PG set to the
// server's URL (and SLUICE_TEST_PG_VERSION to VERSION), ends the server, and exits as the command
// did.

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "testing/process.h"
#include "testing/scratch_postgres.h"

namespace {

using sluice::testing::ProcessExit;
using sluice::testing::ProcessOptions;
using sluice::testing::ScratchPostgres;
using sluice::testing::ScratchPostgresOptions;

void Print(const sluice::Error& error) {
  std::fprintf(stderr, "with_postgres: %s\n%s%s%s\n", error.message.c_str(),
               error.server_message.c_str(), error.advice.empty() ? "" : "\n",
               error.advice.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  ScratchPostgresOptions server_options;
  std::size_t at = 0;
  for (; at < arguments.size() && arguments[at] != "--"; ++at) {
    const std::size_t equals = arguments[at].find('=');
    if (equals == std::string::npos) {
      server_options.version = arguments[at];
    } else {
      server_options.settings.emplace_back(arguments[at].substr(0, equals),
                                           arguments[at].substr(equals + 1));
    }
  }
  if (at + 1 >= arguments.size()) {
    std::fputs("usage: with_postgres VERSION [NAME=VALUE ...] -- COMMAND...\n", stderr);
    return 2;
  }
  const std::string version = server_options.version;
  const auto server = ScratchPostgres::Start(std::move(server_options));
  if (!server) {
    Print(server.error());
    return 2;
  }
  ProcessOptions options;
  options.arguments.assign(arguments.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                           arguments.end());
  options.environment = {{"SLUICE_TEST_PG", server->Url()}, {"SLUICE_TEST_PG_VERSION", version}};
  const auto exit = sluice::testing::RunToEnd(std::move(options), std::chrono::hours(4));
  if (!exit) {
    Print(exit.error());
    return 2;
  }
  return exit->code;
}
