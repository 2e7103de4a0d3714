/// \file
/// One pipeline: one source, one slot, one destination, from birth to graceful end. What `sluice
/// run` runs.
///
/// Run() connects, checks, makes publication and slot at birth, copies, streams, reconnects with
/// backoff, and returns when told to stop, when `until` is reached, or when only a person can go
/// on. Everything else may be called from other threads meanwhile (control socket, HTTP, progress
/// display).
///
/// Thread safety: Run() once, on one thread; the other members from any thread while it runs.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "sluice/destination.h"
#include "sluice/result.h"

#include "engine/options.h"
#include "engine/status.h"
#include "pipeline/repair_request.h"
#include "telemetry/log.h"
#include "verify/comparison_result.h"
#include "verify/repair_result.h"

namespace sluice::pipeline {

/// What `run` prints before the first byte.
struct Plan {
  struct Table {
    TableName name;
    TableState state = TableState::kPending;
    std::string reason;  ///< why skipped
    std::string advice;  ///< the statement that helps
    bool named_by_user = false;
    std::int64_t rows_estimated = 0;
    std::uint64_t bytes_estimated = 0;
  };
  std::string source;       ///< without the password: host, port, database, user, server version
  std::string destination;  ///< absolute path
  std::string slot;
  std::string publication;
  bool is_first_run = false;  ///< slot and publication will be made
  std::vector<Table> tables;
  std::uint64_t bytes_needed = 0;
  std::uint64_t bytes_free = 0;
  std::vector<std::string> warnings;
};

struct RunOutcome {
  /// 0, 3, 4, 5 or 2 as contract; `error` says why where it is not 0 or 3.
  int exit_code = 0;
  std::optional<Error> error;
  engine::PipelineStatus final_status;
  /// A graceful end left a .wal beside the file: the next open finishes it.
  bool left_wal_file = false;
};

class Pipeline {
 public:
  /// Does no I/O.
  Pipeline(engine::PipelineOptions options, telemetry::Logger& logger);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Called once, before the first byte is touched, from the thread of Run().
  void OnPlan(std::function<void(const Plan&)> callback);

  /// `stop`: graceful: finish what can be finished in 8 s, else interrupt and roll back.
  RunOutcome Run(std::stop_token stop);

  engine::PipelineStatus CurrentStatus() const;

  /// Waits, `patience` at most, while the first start is under way: what asks a pipeline that was
  /// started a moment ago gets an answer, not a refusal.
  void WaitForStart(Duration patience, const std::stop_token& stop) const;

  /// Copy these tables again while the others go on. Returns when they are pending.
  Status Resync(const std::vector<std::string>& patterns);

  /// Go on with halted tables from the changes kept. Returns when they are being applied. Errors:
  /// as engine::DeliveryWriter::Resume(); then none of them is.
  Status Resume(const std::vector<std::string>& patterns);

  /// Compare at a fence, table by table. `patterns` empty: all live tables. `progress` gets table
  /// names.
  Result<verify::VerifyResult> Verify(const std::vector<std::string>& patterns,
                                      std::stop_token stop,
                                      const std::function<void(const std::string&)>& progress);

  /// Compare, and bring what differs to what the source has; `progress` as above.
  Result<verify::RepairResult> Repair(const RepairRequest& request, std::stop_token stop,
                                      const std::function<void(const std::string&)>& progress);

  /// For `sluice sql` through the socket; nullptr while the destination is not open.
  std::shared_ptr<Destination> destination();

  /// A thread is stuck: what /healthz reports.
  bool IsStuck() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::pipeline
