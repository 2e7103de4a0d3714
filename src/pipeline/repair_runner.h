/// \file
/// `repair` in a running pipeline: compares as `verify` does, and brings what differs to what the
/// source has, while everything else goes on.
///
///   compare -> equal: done
///           -> keys known: in chunks, while the writer stands at a fence: read these keys' rows
///              under S; delete and insert them in one commit at the position where it stands
///           -> keyless, altered by hand, too many keys: the whole table is copied again
///   then compare again
///
/// At a fence the destination holds exactly what S sees, so rows read under S fit in between any
/// two transactions of the stream, and there is nothing to remember: killed at any point, a second
/// repair finds what is left.
///
/// Thread safety: one object, one thread. Limits: kKeysMax keys a table; the writer stands for
/// about kPauseWanted a chunk, whose size follows that.
#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "sluice/destination.h"

#include "pipeline/fence_meeting.h"
#include "pipeline/repair_request.h"
#include "pipeline/session.h"
#include "pipeline/verify_runner.h"
#include "telemetry/log.h"
#include "verify/repair_result.h"

namespace sluice::pipeline {

class RepairRunner {
 public:
  /// Makes a table pending, to be copied by the session.
  using CopyAgain = std::function<Status(RelationId)>;

  RepairRunner(Session& session, Destination& destination, FenceMeeting& meeting,
               CopyAgain copy_again, const engine::PipelineOptions& options,
               telemetry::Logger& logger);

  /// Errors: as VerifyRunner::Run(); kConfig SLU-1049 (a table would be copied otherwise than it is
  /// kept). What was repaired until then stays.
  Result<verify::RepairResult> Run(const RepairRequest& request, std::stop_token stop,
                                   const std::function<void(const std::string&)>& progress);

 private:
  Result<verify::TableRepair> RepairTable(const TableRecord& record, bool is_dry_run,
                                          std::stop_token stop);
  /// Why the table must be copied as a whole; empty: its keys will do.
  std::string WhyCopy(const VerifyRunner::Comparison& comparison) const;
  /// A reason to copy the table after all, or empty.
  Result<std::string> RepairKeys(const TableRecord& record,
                                 const std::vector<verify::KeyText>& keys,
                                 verify::TableRepair& repair, std::stop_token stop);
  /// False: too much for the time that the writer may stand.
  Result<bool> RepairChunk(AtFence& fence, std::span<const verify::KeyText> keys,
                           const std::stop_token& stop);
  Status CopyTableAgain(const TableRecord& record, std::stop_token stop);
  Status WriteRows(const AtFence& fence, RowsPtr keys, CopiedRows rows);

  Session& session_;
  Destination& destination_;
  FenceMeeting& meeting_;
  VerifyRunner verify_;
  CopyAgain copy_again_;
  const engine::PipelineOptions& options_;
  telemetry::Logger& logger_;
};

}  // namespace sluice::pipeline
