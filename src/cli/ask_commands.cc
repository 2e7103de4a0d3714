// sluice status, tables, resync, resume: asked of the running pipeline, else of what is stored.
#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/pipeline_client.h"
#include "cli/state_text.h"
#include "cli/status_json.h"
#include "pipeline/stored_state.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

/// StatusJson(), from wherever it is.
Result<Json> ReadStatus(const Arguments& arguments) {
  SLUICE_ASSIGN_OR_RETURN(const config::RunOptions options, LoadOptionsFor(arguments));
  SLUICE_ASSIGN_OR_RETURN(std::optional<telemetry::ControlClient> client, FindRunning(options));
  if (client) return AskForStatus(*client);
  SLUICE_RETURN_IF_ERROR(RequireEnds(options, false, true));
  SLUICE_ASSIGN_OR_RETURN(const engine::PipelineStatus status,
                          pipeline::ReadStoredStatus(options.pipeline));
  return StatusJson(status);
}

/// Of resync and resume.
struct Marking {
  const char* command;
  pipeline::Mark mark;
  const char* done;     ///< what a running pipeline does now
  const char* to_come;  ///< what the next run does
};

/// What is printed about it.
Result<std::string> MarkTables(const Arguments& arguments, const Marking& marking) {
  SLUICE_ASSIGN_OR_RETURN(const config::RunOptions options, LoadOptionsFor(arguments));
  SLUICE_ASSIGN_OR_RETURN(std::optional<telemetry::ControlClient> client, FindRunning(options));
  if (client) {
    Json request = Json::object();
    request["command"] = marking.command;
    request["tables"] = arguments.words;
    SLUICE_RETURN_IF_ERROR(AskFor(*client, request, "done"));
    return fmt::format("{}; sluice tables shows how far it is\n", marking.done);
  }
  SLUICE_RETURN_IF_ERROR(RequireEnds(options, false, true));
  SLUICE_ASSIGN_OR_RETURN(const std::vector<TableName> names,
                          pipeline::MarkTables(options.pipeline, arguments.words, marking.mark));
  std::string out;
  for (const TableName& name : names) {
    out += fmt::format("{}: the next run {}\n", ToString(name), marking.to_come);
  }
  return out;
}

int RunMarking(const Arguments& arguments, const Marking& marking) {
  if (arguments.words.empty()) return ReportUsage(marking.command, "no table is named");
  const auto said = WithPatience([&] { return MarkTables(arguments, marking); });
  if (!said) return ReportError(said.error(), ExitCodeOfAnswer(said.error()));
  PrintOut(*said);
  return kExitDone;
}

}  // namespace

int RunStatus(const Arguments& arguments) {
  const auto status = WithPatience([&] { return ReadStatus(arguments); });
  if (!status) return ReportError(status.error(), ExitCodeOfAnswer(status.error()));
  PrintOut(arguments.has("json") ? PrintJson(*status, 2) + '\n' : StatusText(*status));
  return kExitDone;
}

int RunTables(const Arguments& arguments) {
  const auto status = WithPatience([&] { return ReadStatus(arguments); });
  if (!status) return ReportError(status.error(), ExitCodeOfAnswer(status.error()));
  const Json tables = status->value("tables", Json::array());
  PrintOut(arguments.has("json") ? PrintJson(tables, 2) + '\n' : TablesText(tables));
  return kExitDone;
}

int RunResync(const Arguments& arguments) {
  return RunMarking(arguments, {.command = "resync",
                                .mark = pipeline::Mark::kResync,
                                .done = "the pipeline copies them again",
                                .to_come = "copies it again"});
}

int RunResume(const Arguments& arguments) {
  return RunMarking(arguments, {.command = "resume",
                                .mark = pipeline::Mark::kResume,
                                .done = "the pipeline applies what was kept",
                                .to_come = "applies what was kept"});
}

}  // namespace sluice::cli
