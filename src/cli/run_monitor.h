/// \file
/// Looks at a running pipeline several times a second: progress for people, samples for metrics.
#pragma once

#include <stop_token>

#include "cli/metrics_feed.h"
#include "cli/screen.h"
#include "engine/status.h"
#include "pipeline/pipeline.h"
#include "telemetry/http_server.h"

namespace sluice::cli {

enum class ProgressStyle : std::uint8_t {
  kNone,
  kBlock,  ///< redrawn in place
  kLines,  ///< a line every few seconds, if there is something to say
};

/// Returns when `stop` is requested; with kLines a last line is written then.
void WatchPipeline(const pipeline::Pipeline& pipeline, MetricsFeed& feed, Screen& screen,
                   ProgressStyle style, const std::stop_token& stop);

/// Connected, streaming, destination open; with `all_tables` no table is pending, copying or
/// halted. Tables that were left out are not counted: they will not come.
telemetry::Readiness ReadinessOf(const engine::PipelineStatus& status, bool all_tables);

}  // namespace sluice::cli
