/// \file
/// What `status`, `tables`, `verify` and `repair` print for people, from the same JSON that --json
/// prints, so that a running pipeline and a stored state read alike. Pure; what is missing is left
/// out.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace sluice::cli {

/// \param status StatusJson().
std::string StatusText(const nlohmann::ordered_json& status);
/// \param tables TablesJson().
std::string TablesText(const nlohmann::ordered_json& tables);
/// \param report verify::ToJson().
std::string VerifyText(const nlohmann::ordered_json& report);
/// \param report verify::ToJson() of a RepairResult.
std::string RepairText(const nlohmann::ordered_json& report);
/// As VerifyExitCode(), of what the tables were after the repair.
int RepairExitCode(const nlohmann::ordered_json& report);
/// 1 where something differs; 3 where a halted or skipped table could not be compared; else 0.
int VerifyExitCode(const nlohmann::ordered_json& report);

}  // namespace sluice::cli
