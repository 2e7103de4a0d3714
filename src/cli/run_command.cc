// sluice run: everything around a pipeline that a person or a machine watches.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>

#include <nlohmann/json.hpp>

#include "base/units.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/control_protocol.h"
#include "cli/log_options.h"
#include "cli/metrics_feed.h"
#include "cli/passwords.h"
#include "cli/plan_text.h"
#include "cli/progress_text.h"
#include "cli/run_monitor.h"
#include "cli/run_report.h"
#include "cli/screen.h"
#include "cli/signals.h"
#include "cli/status_json.h"
#include "pipeline/pipeline.h"
#include "telemetry/control_socket.h"
#include "telemetry/http_server.h"
#include "telemetry/log.h"

namespace sluice::cli {
namespace {

/// Where lines for people go: standard output, unless the report goes there.
std::FILE* PeopleFile(const config::RunOptions& options) {
  return options.report == "-" ? stderr : stdout;
}

bool Draws(const config::RunOptions& options) {
  return options.progress == config::Progress::kAuto && !options.quiet &&
         IsTerminal(PeopleFile(options));
}

telemetry::LogOptions ScreenLog(const config::RunOptions& options, Screen& screen) {
  telemetry::LogOptions log = LogOptionsOf(options);
  if (IsTerminal(stderr) && Draws(options)) {
    log.sink = [&screen](std::string_view line) { screen.PrintError(line); };
  }
  return log;
}

/// "/abs/shop.duckdb", "null:".
std::string DestinationText(const config::RunOptions& options) {
  const auto& destination = options.destination;
  if (destination && destination->kind == config::DestinationUrl::Kind::kDuckDb) {
    return destination->path;
  }
  return options.pipeline.destination;
}

/// Which slot stays, how much WAL it keeps, how to go on and how to remove it; "" where nothing was
/// made.
std::string ClosingLine(const config::RunOptions& options, const engine::PipelineStatus& status) {
  if (status.birth.slot.empty()) return {};
  const std::string ends = "SOURCE " + options.pipeline.destination +
                           (options.is_pipeline_named ? " --pipeline " + status.pipeline : "");
  return fmt::format(
      "slot {} stays on the source and keeps {} of WAL\n"
      "  go on:     sluice run {}\n"
      "  remove it: sluice drop {}\n",
      status.birth.slot, base::FormatSize(status.slot_retained_bytes), ends, ends);
}

/// One run, from the options to the exit code.
class Runner {
 public:
  explicit Runner(const config::RunOptions& options)
      : options_(options),
        screen_(PeopleFile(options), Draws(options)),
        signals_([this](int signal) { OnSignal(signal); }, [this] { OnSecondSignal(); }),
        logger_(ScreenLog(options, screen_)),
        pipeline_(options.pipeline, logger_),
        feed_(options.pipeline.pipeline, base::kVersion) {}

  int Run() {
    const UnixMicros started_at = WallClock();
    Say(fmt::format("destination: {}\n", DestinationText(options_)));
    pipeline::RunOutcome outcome;
    if (const auto status = Listen(); !status) {
      outcome.exit_code = kExitUsage;
      outcome.error = status.error();
    } else {
      outcome = RunWatched();
    }
    return Finish(outcome, started_at);
  }

 private:
  void Say(std::string_view lines) {
    if (!options_.quiet) screen_.Print(lines);
  }

  void OnSignal(int signal) {
    Say(fmt::format("stopping ({}; once more ends it at once)\n", signal == SIGINT   ? "SIGINT"
                                                                  : signal == SIGHUP ? "SIGHUP"
                                                                                     : "SIGTERM"));
    stop_.request_stop();
  }

  void OnSecondSignal() { screen_.EraseBlock(); }

  /// Socket and port, before anything is touched.
  Status Listen() {
    const engine::PipelineOptions& options = options_.pipeline;
    SLUICE_ASSIGN_OR_RETURN(control_,
                            telemetry::ControlServer::Start(options.state_dir, options.pipeline,
                                                            ControlHandler(pipeline_)));
    if (!options_.http.is_enabled) return {};
    const telemetry::HttpAddress address{.host = options_.http.host,
                                         .port = options_.http.port,
                                         .may_move = !options_.http.is_named_by_user};
    SLUICE_ASSIGN_OR_RETURN(http_, telemetry::HttpServer::Start(address, Handlers()));
    Say(fmt::format("http: {}:{}, /metrics /healthz /readyz /status\n", options_.http.host,
                    http_->port()));
    return {};
  }

  telemetry::HttpHandlers Handlers() {
    return {
        .metrics =
            [this] {
              feed_.Update(pipeline_.CurrentStatus(), ReadProcessMemory());
              return feed_.Serialize();
            },
        .status =
            [this] { return PrintJson(StatusJsonForHttp(pipeline_.CurrentStatus()), 2) + '\n'; },
        .is_healthy = [this] { return !pipeline_.IsStuck(); },
        .readiness =
            [this](bool all_tables) { return ReadinessOf(pipeline_.CurrentStatus(), all_tables); },
    };
  }

  pipeline::RunOutcome RunWatched() {
    pipeline_.OnPlan([this](const pipeline::Plan& plan) { Say(PlanText(plan)); });
    const bool shows = !options_.quiet && options_.progress != config::Progress::kOff;
    std::jthread monitor([this, shows](const std::stop_token& stop) {
      WatchPipeline(pipeline_, feed_, screen_,
                    !shows            ? ProgressStyle::kNone
                    : Draws(options_) ? ProgressStyle::kBlock
                                      : ProgressStyle::kLines,
                    stop);
    });
    pipeline::RunOutcome outcome = pipeline_.Run(stop_.get_token());
    monitor.request_stop();
    monitor.join();
    return outcome;
  }

  int Finish(const pipeline::RunOutcome& outcome, UnixMicros started_at) {
    control_.reset();  // waits for handlers, which use the pipeline
    http_.reset();
    logger_.Flush();
    screen_.EraseBlock();
    int exit_code = outcome.exit_code;
    if (exit_code == kExitTables) {
      screen_.PrintError(WithoutPasswords(NotLiveText(outcome.final_status)));
    }
    if (outcome.error) ReportError(*outcome.error, exit_code);
    Say(ClosingLine(options_, outcome.final_status));
    if (outcome.left_wal_file) {
      Say(outcome.error ? "a .wal file stays beside the destination: keep both, the next open "
                          "finishes it\n"
                        : "the time to stop was too short for the checkpoint: a .wal file stays "
                          "beside the destination, the next open finishes it\n");
    }
    if (!options_.report) return exit_code;
    RunReport report{.exit_code = exit_code,
                     .error = outcome.error,
                     .status = outcome.final_status,
                     .started_at = started_at,
                     .ended_at = WallClock(),
                     .peak_memory_bytes = ReadProcessMemory().peak_bytes};
    report.status.pipeline = options_.pipeline.pipeline;  // also where nothing was begun
    report.status.destination = DestinationText(options_);
    const auto written = WriteReport(*options_.report, ReportJson(report));
    if (!written) return ReportError(written.error(), exit_code == 0 ? kExitPerson : exit_code);
    return exit_code;
  }

  const config::RunOptions& options_;
  std::stop_source stop_;
  Screen screen_;
  SignalWaiter signals_;  // before everything that starts threads
  telemetry::Logger logger_;
  pipeline::Pipeline pipeline_;
  MetricsFeed feed_;
  std::unique_ptr<telemetry::ControlServer> control_;
  std::unique_ptr<telemetry::HttpServer> http_;
};

}  // namespace

int RunRun(const Arguments& arguments) {
  const auto options = config::LoadOptions(config::ProcessRequest(arguments.options));
  if (!options) return ReportError(options.error(), kExitUsage);
  if (options->report) {
    if (const auto status = CheckReportPath(*options->report); !status) {
      return ReportError(status.error(), kExitUsage);
    }
  }
  std::signal(SIGPIPE, SIG_IGN);  // NOLINT: a reader of our output that goes away is no reason
  return Runner(*options).Run();
}

}  // namespace sluice::cli
