/// \file
/// The commands' side of the control protocol: which running pipeline is meant, and one question to
/// it.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "sluice/result.h"
#include "sluice/time.h"

#include "base/sleep.h"
#include "cli/command.h"
#include "config/options.h"
#include "telemetry/control_socket.h"

namespace sluice::cli {

/// Options of a command that looks for its pipeline: neither end is needed yet.
Result<config::RunOptions> LoadOptionsFor(const Arguments& arguments);
/// What the command needs where no pipeline runs. Errors: SLU-1005.
Status RequireEnds(const config::RunOptions& options, bool needs_source, bool needs_destination);

/// Which pipeline is asked for where no destination is named: by --pipeline, else the only one
/// running. Pure. Errors: kConfig SLU-1041 (several run), SLU-1040 (none runs, and no destination
/// is named).
Result<std::string> ChoosePipeline(const config::RunOptions& options,
                                   const std::vector<std::string>& running);

/// A client of the pipeline that is meant: the one that writes to the destination where one is
/// named (of the given name, where that is too), else ChoosePipeline(). nullopt: it does not run,
/// and `options` names a destination. Errors: SLU-1040, SLU-1041, SLU-1013.
Result<std::optional<telemetry::ControlClient>> FindRunning(const config::RunOptions& options);

/// One line of the answer. True: it was the last one.
using LineHandler = std::function<Result<bool>(const nlohmann::ordered_json& line)>;
/// A comparison of a large table says nothing for hours: the connection ends when the pipeline
/// does.
inline constexpr Duration kWithoutEnd = std::chrono::hours(24 * 30);
/// Sends `request` and gives every line to `on_line`. Errors: the one that the pipeline answers;
/// kConnection SLU-1042 where the answer was cut; kTimeout SLU-1013 where no line came for
/// `patience`.
Status Ask(telemetry::ControlClient& client, const nlohmann::ordered_json& request,
           const LineHandler& on_line, Duration patience = kWithoutEnd);
/// For an answer of one line: its member `name`.
Result<nlohmann::ordered_json> AskFor(telemetry::ControlClient& client,
                                      const nlohmann::ordered_json& request,
                                      const std::string& name, Duration patience = kWithoutEnd);
/// What takes a moment in a pipeline that is well: waited for five seconds.
Result<nlohmann::ordered_json> AskForStatus(telemetry::ControlClient& client);

/// Tries `attempt`, a function of Result or Status, again while another process holds the file, for
/// three seconds: a pipeline that has just opened it is found at its socket by the next attempt,
/// and one that has just ended has let go of it.
template <typename Attempt>
auto WithPatience(const Attempt& attempt) {
  const Clock::time_point give_up = Clock::now() + std::chrono::seconds(3);
  auto result = attempt();
  while (!result && result.error().code == "SLU-5001" && Clock::now() < give_up) {
    base::SleepFor(std::chrono::milliseconds(50), {});
    result = attempt();
  }
  return result;
}

/// The exit code of an error of a command that only asks.
int ExitCodeOfAnswer(const Error& error);

}  // namespace sluice::cli
