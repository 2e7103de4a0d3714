/// \file
/// `sluice copy`: one consistent copy of the selected tables, without slot and publication.
///
///   lock all, one snapshot S -> N workers import S: COPY -> decode -> shadow -> finished
///   -> the server has flushed what S sees -> one destination transaction lands every table
///
/// Until that last transaction the destination's tables are what they were; a copy that ends early
/// leaves no shadow, and no file that it made. A table with a value that has no exact form is left
/// out and recorded as halted, the others land.
///
/// Thread safety: Run() once, on one thread; CurrentProgress() from any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "sluice/destination.h"
#include "sluice/result.h"

#include "engine/options.h"
#include "engine/status.h"
#include "pipeline/pipeline.h"
#include "telemetry/log.h"

namespace sluice::pipeline {

struct CopyProgressNow {
  std::int64_t rows = 0;
  std::uint64_t bytes = 0;
  std::size_t tables_done = 0;
  std::size_t tables = 0;
};

class CopyOnce {
 public:
  CopyOnce(engine::PipelineOptions options, telemetry::Logger& logger);
  ~CopyOnce();
  CopyOnce(const CopyOnce&) = delete;
  CopyOnce& operator=(const CopyOnce&) = delete;

  /// Called once, before the first byte, from the thread of Run().
  void OnPlan(std::function<void(const Plan&)> callback);
  /// Exit codes: 0; 2 before the first byte; 3 a table is halted, or one that the user named was
  /// left out; 4, 5; 130 after a stop: nothing was landed.
  RunOutcome Run(std::stop_token stop);
  CopyProgressNow CurrentProgress() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// May a copy replace what the destination holds? Pure. Errors: kConfig SLU-1037 (a pipeline's
/// mirror), SLU-1038 (an earlier copy, and not --existing replace).
Status JudgeCopyTarget(const DeliveryState& state, engine::Existing existing);

}  // namespace sluice::pipeline
