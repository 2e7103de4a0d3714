/// \file
/// What `verify` and `repair` have in common: the running pipeline is asked, else one of the
/// command's own catches up and is asked, which tells the slot nothing.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "pipeline/pipeline.h"

namespace sluice::cli {

/// A report, or the error that says why there is none, with its exit code.
struct Compared {
  std::optional<nlohmann::ordered_json> report;
  std::optional<Error> error;
  int exit_code = kExitDone;
};

struct ComparisonRequest {
  std::string command = {};  ///< of the control protocol
  std::string doing = {};    ///< for the progress line: "comparing"
  /// Members of the request beside command and tables.
  nlohmann::ordered_json members = nlohmann::ordered_json::object();
  /// The same in a pipeline of the command's own.
  std::function<Result<nlohmann::json>(
      pipeline::Pipeline& pipeline, const std::vector<std::string>& patterns, std::stop_token stop,
      const std::function<void(const std::string&)>& progress)>
      run = {};
};

/// Shows progress on a terminal, gone when it returns.
Compared RunComparison(const Arguments& arguments, const ComparisonRequest& request);

}  // namespace sluice::cli
