// sluice check, slots, drop: they look at source and destination themselves.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/check_text.h"
#include "cli/commands.h"
#include "cli/pipeline_client.h"
#include "cli/screen.h"
#include "cli/status_json.h"
#include "pipeline/ddl_trigger.h"

namespace sluice::cli {
namespace {

/// A person says yes.
bool Confirms(const std::string& question) {
  PrintOut(question);
  std::string answer;
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar()) {
    if (answer.size() < 16) answer += static_cast<char>(c);
  }
  return answer == "y" || answer == "Y" || answer == "yes";
}

Status CheckStopped(const config::RunOptions& options) {
  SLUICE_ASSIGN_OR_RETURN(const std::optional<telemetry::ControlClient> client,
                          FindRunning(options));
  if (!client) return {};
  return Error{.kind = ErrorKind::kConfig,
               .message = "pipeline " + options.pipeline.pipeline + " is running",
               .code = "SLU-1043",
               .advice = "stop it first"};
}

int ChangeTrigger(const Arguments& arguments, pipeline::DdlTriggerStep step) {
  const auto options = LoadOptionsFor(arguments);
  if (!options) return ReportError(options.error(), kExitUsage);
  if (const Status status = RequireEnds(*options, true, false); !status) {
    return ReportError(status.error(), kExitUsage);
  }
  const std::string& source = options->pipeline.source;
  if (arguments.has("sql")) {
    const auto script = pipeline::DdlTriggerScript(source, step);
    if (!script) return ReportError(script.error(), ExitCodeBeforeStart(script.error()));
    PrintOut(*script);
    return kExitDone;
  }
  const Status done = pipeline::ChangeDdlTrigger(source, options->pipeline.primary, step);
  if (!done) return ReportError(done.error(), ExitCodeBeforeStart(done.error()));
  PrintOut(step == pipeline::DdlTriggerStep::kInstall
               ? "made: event triggers sluice_ddl_end and sluice_ddl_drop, function "
                 "sluice.tell_ddl(); a pipeline that runs uses them within 10 s\n"
               : "removed: event triggers sluice_ddl_end and sluice_ddl_drop\n");
  return kExitDone;
}

/// A file that this very pipeline holds is as it should be.
void ExcuseRunning(const config::RunOptions& options, pipeline::CheckReport& report) {
  const auto held =
      std::find_if(report.findings.begin(), report.findings.end(),
                   [](const postgres::Finding& finding) { return finding.code == "SLU-5001"; });
  if (held == report.findings.end()) return;
  const auto running = FindRunning(options);
  if (!running || !*running) return;
  held->severity = postgres::Severity::kWarning;
  held->code = "SLU-1012";
  held->message = "its pipeline is running, and holds the destination";
  held->advice = "see it with: sluice status";
}

}  // namespace

int RunCheck(const Arguments& arguments) {
  const bool installs = arguments.has("install-ddl-trigger");
  const bool removes = arguments.has("uninstall-ddl-trigger");
  if (arguments.has("sql") && arguments.has("json")) {
    return ReportUsage("check", "--sql and --json exclude each other");
  }
  if ((installs && removes) || ((installs || removes) && arguments.has("json"))) {
    return ReportUsage("check",
                       "--install-ddl-trigger, --uninstall-ddl-trigger and --json exclude each "
                       "other");
  }
  if (installs || removes) {
    return ChangeTrigger(arguments, installs ? pipeline::DdlTriggerStep::kInstall
                                             : pipeline::DdlTriggerStep::kRemove);
  }
  const auto options = config::LoadOptions(config::ProcessRequest(arguments.options));
  if (!options) return ReportError(options.error(), kExitUsage);
  pipeline::CheckReport report = pipeline::Check(options->pipeline);
  ExcuseRunning(*options, report);
  if (arguments.has("sql")) {
    PrintOut(report.script);
    // Nobody takes an empty script for a clean bill of health.
    if (report.script.empty()) ReportError({.message = CheckText(report)}, kExitDifferent);
  } else if (arguments.has("json")) {
    PrintOut(PrintJson(CheckJson(report), 2) + '\n');
  } else {
    PrintOut(CheckText(report));
  }
  return report.has_problem() ? kExitDifferent : kExitDone;
}

int RunSlots(const Arguments& arguments) {
  const auto options = LoadOptionsFor(arguments);
  if (!options) return ReportError(options.error(), kExitUsage);
  if (const Status status = RequireEnds(*options, true, false); !status) {
    return ReportError(status.error(), kExitUsage);
  }
  const auto slots = pipeline::ReadSlots(options->pipeline.source);
  if (!slots) return ReportError(slots.error(), ExitCodeBeforeStart(slots.error()));
  PrintOut(arguments.has("json") ? PrintJson(SlotsJson(*slots), 2) + '\n' : SlotsText(*slots));
  return kExitDone;
}

int RunDrop(const Arguments& arguments) {
  const auto options = config::LoadOptions(config::ProcessRequest(arguments.options));
  if (!options) return ReportError(options.error(), kExitUsage);
  const bool is_sure = arguments.has("yes");
  if (!is_sure && !IsTerminal(stdin)) {
    return ReportUsage("drop", "there is no terminal to ask at: --yes removes without asking");
  }
  if (const Status stopped = CheckStopped(*options); !stopped) {
    return ReportError(stopped.error(), kExitUsage);
  }
  const auto plan = pipeline::PlanDrop(options->pipeline);
  if (!plan) return ReportError(plan.error(), ExitCodeBeforeStart(plan.error()));
  PrintOut(DropPlanText(*plan));
  if (plan->is_empty()) {
    PrintOut("nothing to remove\n");
    return kExitDone;
  }
  if (!is_sure && !Confirms("remove it? [y/N] ")) {
    PrintOut("nothing was removed\n");
    return kExitUsage;
  }
  const Status done = pipeline::Drop(options->pipeline, *plan, [](const std::string& what) {
    PrintOut("removed: " + what + '\n');
  });
  return done ? kExitDone : ReportError(done.error(), ExitCodeOfAnswer(done.error()));
}

}  // namespace sluice::cli
