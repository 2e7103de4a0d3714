// sluice copy: one consistent copy, and what a person sees of it.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/commands.h"
#include "cli/log_options.h"
#include "cli/metrics_feed.h"
#include "cli/passwords.h"
#include "cli/pipeline_client.h"
#include "cli/plan_text.h"
#include "cli/run_report.h"
#include "cli/screen.h"
#include "cli/signals.h"
#include "pipeline/copy_once.h"
#include "telemetry/log.h"

namespace sluice::cli {
namespace {

constexpr Duration kRedraw = std::chrono::milliseconds(200);
constexpr Duration kPlainLine = std::chrono::seconds(5);

std::string ProgressText(const pipeline::CopyProgressNow& now) {
  return fmt::format("{} of {} tables, {} rows, {}", now.tables_done, now.tables,
                     base::FormatCount(now.rows),
                     base::FormatSize(static_cast<std::size_t>(now.bytes)));
}

telemetry::LogOptions ScreenLog(const config::RunOptions& options, Screen& screen) {
  telemetry::LogOptions log = LogOptionsOf(options);
  log.sink = [&screen](std::string_view line) { screen.PrintError(line); };
  return log;
}

std::string ClosingLine(const engine::PipelineStatus& status) {
  const auto live =
      std::count_if(status.tables.begin(), status.tables.end(),
                    [](const auto& table) { return table.record.state == TableState::kLive; });
  return fmt::format("{} {} of {} {} are in {}; nothing stays at the source\n",
                     base::FormatCount(status.rows_copied),
                     status.rows_copied == 1 ? "row" : "rows", live, live == 1 ? "table" : "tables",
                     status.destination);
}

class Copier {
 public:
  explicit Copier(const config::RunOptions& options)
      : options_(options),
        is_drawn_(options.progress == config::Progress::kAuto && !options.quiet &&
                  IsTerminal(PeopleFile())),
        screen_(PeopleFile(), is_drawn_),
        signals_([this](int) { stop_.request_stop(); }, [this] { screen_.EraseBlock(); }),
        logger_(ScreenLog(options, screen_)),
        copy_(options.pipeline, logger_) {}

  int Run() {
    const UnixMicros started_at = WallClock();
    Say(fmt::format("destination: {}\n", options_.destination->path.empty()
                                             ? options_.pipeline.destination
                                             : options_.destination->path));
    copy_.OnPlan([this](const pipeline::Plan& plan) { Say(PlanText(plan)); });
    std::jthread monitor([this](const std::stop_token& stop) { Watch(stop); });
    const pipeline::RunOutcome outcome = copy_.Run(stop_.get_token());
    monitor.request_stop();
    monitor.join();
    return Finish(outcome, started_at);
  }

 private:
  /// Standard output, unless the report goes there.
  std::FILE* PeopleFile() const { return options_.report == "-" ? stderr : stdout; }

  void Say(std::string_view lines) {
    if (!options_.quiet) screen_.Print(lines);
  }

  void Watch(const std::stop_token& stop) {
    if (options_.quiet || options_.progress == config::Progress::kOff) return;
    Clock::time_point next_line = Clock::now() + kPlainLine;
    while (!stop.stop_requested()) {
      std::this_thread::sleep_for(kRedraw);
      const pipeline::CopyProgressNow now = copy_.CurrentProgress();
      if (now.tables == 0) continue;
      if (is_drawn_) {
        screen_.Draw({ProgressText(now)});
      } else if (Clock::now() >= next_line) {
        next_line = Clock::now() + kPlainLine;
        screen_.Print(ProgressText(now) + '\n');
      }
    }
  }

  int Finish(const pipeline::RunOutcome& outcome, UnixMicros started_at) {
    logger_.Flush();
    screen_.EraseBlock();
    if (outcome.exit_code == kExitTables) {
      screen_.PrintError(WithoutPasswords(NotLiveText(outcome.final_status)));
    }
    if (outcome.error) ReportError(*outcome.error, outcome.exit_code);
    if (!outcome.error) Say(ClosingLine(outcome.final_status));
    if (!options_.report) return outcome.exit_code;
    const RunReport report{.exit_code = outcome.exit_code,
                           .error = outcome.error,
                           .status = outcome.final_status,
                           .started_at = started_at,
                           .ended_at = WallClock(),
                           .peak_memory_bytes = ReadProcessMemory().peak_bytes};
    const Status written = WriteReport(*options_.report, ReportJson(report));
    if (written) return outcome.exit_code;
    return ReportError(written.error(), outcome.exit_code == 0 ? kExitPerson : outcome.exit_code);
  }

  const config::RunOptions& options_;
  const bool is_drawn_;
  std::stop_source stop_;
  Screen screen_;
  SignalWaiter signals_;  // before everything that starts threads
  telemetry::Logger logger_;
  pipeline::CopyOnce copy_;
};

}  // namespace

int RunCopy(const Arguments& arguments) {
  const auto options = config::LoadOptions(config::ProcessRequest(arguments.options));
  if (!options) return ReportError(options.error(), kExitUsage);
  auto running = FindRunning(*options);
  if (running && *running) {
    return ReportError(
        {.kind = ErrorKind::kConfig,
         .message = "pipeline " + options->pipeline.pipeline + " is running on this destination",
         .code = "SLU-1043",
         .advice = "copy to another file"},
        kExitUsage);
  }
  if (options->report) {
    if (const Status status = CheckReportPath(*options->report); !status) {
      return ReportError(status.error(), kExitUsage);
    }
  }
  return Copier(*options).Run();
}

}  // namespace sluice::cli
