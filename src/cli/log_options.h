/// \file
/// How the commands that run for long log: as the options say, JSON where stderr is no terminal.
#pragma once

#include "config/options.h"
#include "telemetry/log.h"

namespace sluice::cli {

/// The sink is left to the caller: what draws on the terminal takes the lines itself.
telemetry::LogOptions LogOptionsOf(const config::RunOptions& options);

}  // namespace sluice::cli
