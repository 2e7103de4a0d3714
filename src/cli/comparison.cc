#include "cli/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <thread>
#include <utility>

#include "cli/pipeline_client.h"
#include "cli/screen.h"
#include "cli/signals.h"
#include "telemetry/log.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr Duration kLook = std::chrono::milliseconds(50);

/// "comparing public.orders" on stderr, one line that is replaced.
class ProgressLine {
 public:
  ProgressLine() : screen_(stderr, IsTerminal(stderr)) {}
  void Show(const std::string& text) { screen_.Draw({text}); }
  void Erase() { screen_.EraseBlock(); }

 private:
  Screen screen_;
};

Compared Failed(Error error) {
  const int exit_code = ExitCodeOfAnswer(error);
  return {.report = {}, .error = std::move(error), .exit_code = exit_code};
}

Compared AskRunning(telemetry::ControlClient& client, const ComparisonRequest& request,
                    const std::vector<std::string>& patterns, ProgressLine& progress) {
  Json question = request.members;
  question["command"] = request.command;
  question["tables"] = patterns;
  Compared out;
  const Status asked = Ask(client, question, [&](const Json& line) -> Result<bool> {
    if (const auto table = line.find("progress"); table != line.end() && table->is_string()) {
      progress.Show(request.doing + " " + table->get<std::string>());
    }
    const auto report = line.find("report");
    if (report == line.end()) return false;
    out.report = *report;
    return true;
  });
  return asked ? out : Failed(asked.error());
}

bool IsSettled(const engine::PipelineStatus& status) {
  return std::none_of(status.tables.begin(), status.tables.end(), [](const auto& table) {
    return table.record.state == TableState::kPending || table.record.state == TableState::kCopying;
  });
}

/// Waits until the pipeline has come to where the server was when it was first heard.
/// \return false: the run ended, or it is to stop.
bool WaitUntilCaughtUp(const pipeline::Pipeline& pipeline, const std::atomic<bool>& has_ended,
                       const std::stop_token& stop, ProgressLine& progress) {
  std::optional<Lsn> goal;
  while (!has_ended.load() && !stop.stop_requested()) {
    const engine::PipelineStatus status = pipeline.CurrentStatus();
    const bool is_running = status.phase == engine::Phase::kRunning && status.source_connected;
    if (is_running && !goal && status.server_flush.is_valid()) goal = status.server_flush;
    if (is_running && goal && status.visible >= *goal && IsSettled(status)) return true;
    progress.Show(
        goal ? fmt::format("catching up: {} of {}", ToString(status.visible), ToString(*goal))
             : "connecting");
    std::this_thread::sleep_for(kLook);
  }
  return false;
}

Compared RunOwn(config::RunOptions options, const ComparisonRequest& request,
                const std::vector<std::string>& patterns, ProgressLine& progress) {
  options.pipeline.acknowledges = false;
  options.pipeline.may_create = false;
  options.pipeline.until = engine::UntilNever{};
  std::stop_source stop;
  const SignalWaiter signals([&](int) { stop.request_stop(); }, [] {});
  telemetry::LogOptions log;
  log.level = telemetry::LogLevel::kError;
  log.pipeline = options.pipeline.pipeline;
  telemetry::Logger logger(std::move(log));
  pipeline::Pipeline pipeline(options.pipeline, logger);
  pipeline::RunOutcome outcome;
  std::atomic<bool> has_ended{false};
  std::stop_source end_of_run;
  std::jthread runner([&] {
    outcome = pipeline.Run(end_of_run.get_token());
    has_ended.store(true);
  });
  Compared out;
  if (WaitUntilCaughtUp(pipeline, has_ended, stop.get_token(), progress)) {
    const auto result =
        request.run(pipeline, patterns, stop.get_token(),
                    [&](const std::string& table) { progress.Show(request.doing + " " + table); });
    if (result) {
      out.report = Json(*result);
    } else {
      out = Failed(result.error());
    }
  }
  end_of_run.request_stop();
  runner.join();
  if (out.report || out.error) return out;
  if (stop.stop_requested()) {
    return Failed({.kind = ErrorKind::kCancelled, .message = "it was stopped"});
  }
  out.error = outcome.error.value_or(
      Error{.kind = ErrorKind::kInternal, .message = "the pipeline ended", .code = "SLU-9001"});
  out.exit_code = outcome.exit_code == kExitDone ? kExitPerson : outcome.exit_code;
  return out;
}

Compared Answer(const Arguments& arguments, const ComparisonRequest& request,
                ProgressLine& progress) {
  auto options = LoadOptionsFor(arguments);
  if (!options) return Failed(options.error());
  const std::vector<std::string> patterns = options->pipeline.selection.tables;
  // Which tables are compared is another matter than which are replicated.
  const bool is_named = arguments.options.find("table") != arguments.options.end();
  auto client = FindRunning(*options);
  if (!client) return Failed(client.error());
  if (*client) {
    return AskRunning(**client, request, is_named ? patterns : std::vector<std::string>{},
                      progress);
  }
  if (const Status status = RequireEnds(*options, true, true); !status) {
    return Failed(status.error());
  }
  if (is_named) {
    // The pipeline itself keeps the selection of the configuration.
    Arguments without = arguments;
    without.options.erase("table");
    options = LoadOptionsFor(without);
    if (!options) return Failed(options.error());
  }
  return RunOwn(*std::move(options), request, is_named ? patterns : std::vector<std::string>{},
                progress);
}

}  // namespace

Compared RunComparison(const Arguments& arguments, const ComparisonRequest& request) {
  ProgressLine progress;
  Compared compared = Answer(arguments, request, progress);
  progress.Erase();
  return compared;
}

}  // namespace sluice::cli
