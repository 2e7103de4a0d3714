/// \file
/// What `run` says before the first byte, and about tables that are not live at the end. Pure.
#pragma once

#include <string>

#include "engine/status.h"
#include "pipeline/pipeline.h"

namespace sluice::cli {

/// Source, slot, tables with estimated rows and size, disk needed and free; tables left out with
/// the statement that helps; warnings. Lines, each with its newline.
std::string PlanText(const pipeline::Plan& plan);

/// One line for each halted or skipped table, with what continues it; empty: there is none.
std::string NotLiveText(const engine::PipelineStatus& status);

}  // namespace sluice::cli
