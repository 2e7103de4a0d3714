/// \file
/// `sluice check --install-ddl-trigger` and `--uninstall-ddl-trigger`: the only command that makes
/// something at the source beside `run` (postgres/ddl_trigger.h).
#pragma once

#include <cstdint>
#include <string>

#include "sluice/result.h"

namespace sluice::pipeline {

enum class DdlTriggerStep : std::uint8_t { kInstall, kRemove };

/// \param source, primary as of PipelineOptions. Errors: of the connection; kAuth SLU-2116.
Status ChangeDdlTrigger(const std::string& source, const std::string& primary, DdlTriggerStep step);
/// The same as statements for an administrator; asks the server for its version.
Result<std::string> DdlTriggerScript(const std::string& source, DdlTriggerStep step);

}  // namespace sluice::pipeline
