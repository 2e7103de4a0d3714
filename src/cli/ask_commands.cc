// sluice status, tables, resync: asked of the running pipeline, else of what is stored.
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

/// The names that were marked, or "" where a running pipeline did it.
Result<std::string> Resync(const Arguments& arguments) {
  SLUICE_ASSIGN_OR_RETURN(const config::RunOptions options, LoadOptionsFor(arguments));
  SLUICE_ASSIGN_OR_RETURN(std::optional<telemetry::ControlClient> client, FindRunning(options));
  if (client) {
    Json request = Json::object();
    request["command"] = "resync";
    request["tables"] = arguments.words;
    SLUICE_RETURN_IF_ERROR(AskFor(*client, request, "done"));
    return std::string("the pipeline copies them again; sluice tables shows how far it is\n");
  }
  SLUICE_RETURN_IF_ERROR(RequireEnds(options, false, true));
  SLUICE_ASSIGN_OR_RETURN(const std::vector<TableName> names,
                          pipeline::MarkForResync(options.pipeline, arguments.words));
  std::string out;
  for (const TableName& name : names) {
    out += fmt::format("{}: the next run copies it again\n", ToString(name));
  }
  return out;
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
  if (arguments.words.empty()) return ReportUsage("resync", "no table is named");
  const auto said = WithPatience([&] { return Resync(arguments); });
  if (!said) return ReportError(said.error(), ExitCodeOfAnswer(said.error()));
  PrintOut(*said);
  return kExitDone;
}

}  // namespace sluice::cli
