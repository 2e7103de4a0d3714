#include "cli/log_options.h"

#include <cstdio>

#include "cli/screen.h"

namespace sluice::cli {

telemetry::LogOptions LogOptionsOf(const config::RunOptions& options) {
  telemetry::LogOptions log;
  const bool is_json = options.log_format == config::LogFormat::kAuto
                           ? !IsTerminal(stderr)
                           : options.log_format == config::LogFormat::kJson;
  log.style = is_json ? telemetry::LogStyle::kJson : telemetry::LogStyle::kText;
  log.level =
      options.quiet
          ? telemetry::LogLevel::kError
          : telemetry::ParseLogLevel(options.log_level).value_or(telemetry::LogLevel::kInfo);
  log.pipeline = options.pipeline.pipeline;
  return log;
}

}  // namespace sluice::cli
