// sluice verify and sluice repair.
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/comparison.h"
#include "cli/state_text.h"
#include "cli/status_json.h"

namespace sluice::cli {
namespace {

using Patterns = std::vector<std::string>;
using Progress = std::function<void(const std::string&)>;

}  // namespace

int RunVerify(const Arguments& arguments) {
  ComparisonRequest request{.command = "verify", .doing = "comparing"};
  request.run = [](pipeline::Pipeline& pipeline, const Patterns& patterns, std::stop_token stop,
                   const Progress& progress) -> Result<nlohmann::json> {
    SLUICE_ASSIGN_OR_RETURN(const verify::VerifyResult result,
                            pipeline.Verify(patterns, std::move(stop), progress));
    return verify::ToJson(result);
  };
  const Compared compared = RunComparison(arguments, request);
  if (compared.error) return ReportError(*compared.error, compared.exit_code);
  PrintOut(arguments.has("json") ? PrintJson(*compared.report, 2) + '\n'
                                 : VerifyText(*compared.report));
  return VerifyExitCode(*compared.report);
}

int RunRepair(const Arguments& arguments) {
  const bool is_dry_run = arguments.has("dry-run");
  ComparisonRequest request{.command = "repair", .doing = is_dry_run ? "comparing" : "repairing"};
  request.members["dry_run"] = is_dry_run;
  request.run = [is_dry_run](pipeline::Pipeline& pipeline, const Patterns& patterns,
                             std::stop_token stop,
                             const Progress& progress) -> Result<nlohmann::json> {
    SLUICE_ASSIGN_OR_RETURN(const verify::RepairResult result,
                            pipeline.Repair({.patterns = patterns, .is_dry_run = is_dry_run},
                                            std::move(stop), progress));
    return verify::ToJson(result);
  };
  const Compared compared = RunComparison(arguments, request);
  if (compared.error) return ReportError(*compared.error, compared.exit_code);
  PrintOut(arguments.has("json") ? PrintJson(*compared.report, 2) + '\n'
                                 : RepairText(*compared.report));
  return RepairExitCode(*compared.report);
}

}  // namespace sluice::cli
