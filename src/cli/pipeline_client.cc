#include "cli/pipeline_client.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/status_json.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string Joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

Error Cut() {
  return {.kind = ErrorKind::kConnection,
          .message = "the pipeline ended before it had answered",
          .code = "SLU-1042",
          .advice = "look at its log, and ask again"};
}

/// Does the pipeline of that name write to the destination that is meant?
Result<bool> IsOnDestination(const config::RunOptions& options, const std::string& name) {
  SLUICE_ASSIGN_OR_RETURN(std::optional<telemetry::ControlClient> client,
                          telemetry::ControlClient::Connect(options.pipeline.state_dir, name));
  if (!client) return false;
  SLUICE_ASSIGN_OR_RETURN(const Json status, AskForStatus(*client));
  const auto found = status.find("destination");
  return found == status.end() || *found == options.pipeline.destination;
}

}  // namespace

Result<config::RunOptions> LoadOptionsFor(const Arguments& arguments) {
  config::LoadRequest request = config::ProcessRequest(arguments.options);
  request.needs_source = false;
  request.needs_destination = false;
  return config::LoadOptions(request);
}

Status RequireEnds(const config::RunOptions& options, bool needs_source, bool needs_destination) {
  const bool lacks_source = needs_source && options.pipeline.source.empty();
  const bool lacks_destination = needs_destination && !options.destination;
  if (!lacks_source && !lacks_destination) return {};
  std::string message = lacks_source ? "the source is missing" : "the destination is missing";
  if (lacks_source && lacks_destination) message = "source and destination are missing";
  return Error{.kind = ErrorKind::kConfig,
               .message = std::move(message),
               .code = "SLU-1005",
               .advice =
                   "give SOURCE and DESTINATION, or set SLUICE_SOURCE and "
                   "SLUICE_DESTINATION, or use --config FILE"};
}

Result<std::string> ChoosePipeline(const config::RunOptions& options,
                                   const std::vector<std::string>& running) {
  const std::string& name = options.pipeline.pipeline;
  const bool runs = std::find(running.begin(), running.end(), name) != running.end();
  if (options.is_pipeline_named && runs) return name;
  if (options.is_pipeline_named || running.empty()) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = options.is_pipeline_named
                                ? "pipeline " + name + " does not run, and no destination is named"
                                : "no pipeline runs, and no destination is named",
                 .code = "SLU-1040",
                 .advice =
                     "name the destination: as an argument of commands that take one, else by "
                     "SLUICE_DESTINATION or --config; a pipeline that runs with --state DIR is "
                     "found with the same --state DIR"};
  }
  if (running.size() > 1) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "several pipelines run: " + Joined(running),
                 .code = "SLU-1041",
                 .advice = "choose one with --pipeline NAME"};
  }
  return running.front();
}

Result<std::optional<telemetry::ControlClient>> FindRunning(const config::RunOptions& options) {
  const std::string& state_dir = options.pipeline.state_dir;
  SLUICE_ASSIGN_OR_RETURN(std::vector<std::string> running, telemetry::RunningPipelines(state_dir));
  if (!options.destination) {
    SLUICE_ASSIGN_OR_RETURN(const std::string name, ChoosePipeline(options, running));
    return telemetry::ControlClient::Connect(state_dir, name);
  }
  // The likely one first: another that does not answer is waited for.
  std::stable_partition(running.begin(), running.end(),
                        [&](const std::string& name) { return name == options.pipeline.pipeline; });
  for (const std::string& name : running) {
    const bool has_the_name = name == options.pipeline.pipeline;
    if (options.is_pipeline_named && !has_the_name) continue;
    const Result<bool> is_meant = IsOnDestination(options, name);
    // One of another name that does not answer, or has just ended, is none of our business.
    if (!is_meant && has_the_name) return is_meant.error();
    if (is_meant && *is_meant) return telemetry::ControlClient::Connect(state_dir, name);
  }
  return std::optional<telemetry::ControlClient>();
}

Status Ask(telemetry::ControlClient& client, const Json& request, const LineHandler& on_line,
           Duration patience) {
  SLUICE_RETURN_IF_ERROR(client.Send(PrintJson(request)));
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(const std::optional<std::string> text,
                            client.Receive(Clock::now() + patience));
    if (!text) return Cut();
    const Json line = Json::parse(*text, nullptr, false);
    if (!line.is_object()) return Cut();
    if (const auto error = line.find("error"); error != line.end()) return ErrorFromJson(*error);
    SLUICE_ASSIGN_OR_RETURN(const bool is_last, on_line(line));
    if (is_last) return {};
  }
}

Result<Json> AskFor(telemetry::ControlClient& client, const Json& request, const std::string& name,
                    Duration patience) {
  Json answer;
  const auto take = [&](const Json& line) -> Result<bool> {
    const auto found = line.find(name);
    if (found == line.end()) return false;
    answer = *found;
    return true;
  };
  SLUICE_RETURN_IF_ERROR(Ask(client, request, take, patience));
  return answer;
}

Result<Json> AskForStatus(telemetry::ControlClient& client) {
  Json request = Json::object();
  request["command"] = "status";
  return AskFor(client, request, "status", std::chrono::seconds(5));
}

int ExitCodeOfAnswer(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kInvalidArgument:
    case ErrorKind::kConfig:
    case ErrorKind::kAuth:
    case ErrorKind::kUnsupported:
      return kExitUsage;
    case ErrorKind::kConnection:
    case ErrorKind::kTimeout:
      return kExitRetries;
    case ErrorKind::kCancelled:
      return kExitInterrupted;
    case ErrorKind::kProtocol:
    case ErrorKind::kConversion:
    case ErrorKind::kSchemaConflict:
    case ErrorKind::kDestination:
    case ErrorKind::kStateStore:
    case ErrorKind::kInternal:
      return kExitPerson;
  }
  return kExitPerson;
}

}  // namespace sluice::cli
