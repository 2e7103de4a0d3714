/// \file
/// `verify` in a running pipeline: for each live table one fence, both sides read once and hashed
/// here, and what differs again.
///
///   fence opens at the writer -> lock, S, I at the source -> the writer commits exactly what S
///   sees and stands
///   -> the destination's read transaction opens -> the writer goes on -> COPY under S and scan,
///   side by side
///
/// The source's bytes are taken from the wire, not through the stream's decoder. Between the fence
/// and the release the writer stands still: milliseconds when the stream is caught up.
///
/// Thread safety: one object, one thread; the session's threads go on. Connections: one, plus the
/// exporter's.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "sluice/destination.h"

#include "engine/progress.h"
#include "pipeline/session.h"
#include "postgres/copy_reader.h"
#include "postgres/snapshot_export.h"
#include "telemetry/log.h"
#include "verify/table_comparison.h"

namespace sluice::pipeline {

class VerifyRunner {
 public:
  using Connect = std::function<Result<postgres::Connection>(const std::string& role)>;

  VerifyRunner(Session& session, Destination& destination, Connect connect,
               std::uint64_t wal_segment_bytes, engine::Progress& progress,
               telemetry::Logger& logger);

  /// Errors: kInvalidArgument (a pattern matches nothing), kUnsupported SLU-5050 (no read side),
  /// kConnection, kTimeout SLU-3081 (no fence could be had), kCancelled.
  Result<verify::VerifyResult> Run(const std::vector<std::string>& patterns, std::stop_token stop,
                                   const std::function<void(const std::string&)>& progress);

 private:
  /// Both sides pinned at one point.
  struct AtFence {
    std::unique_ptr<postgres::SnapshotExporter> source;
    std::unique_ptr<DestinationReader> destination;
    Lsn lsn;
    TableRecord record;
    std::string row_filter;
    bool is_partitioned = false;
  };
  Result<verify::TableResult> CompareTable(const TableRecord& record, std::stop_token stop);
  Result<AtFence> StandAtFence(const TableRecord& record, std::stop_token stop);
  /// kTimeout SLU-3080: spoiled, again.
  Result<AtFence> TryFence(const TableRecord& record, std::stop_token stop);
  Result<AtFence> PinBothSides(const TableRecord& record, std::uint64_t ticket, AtFence fence,
                               std::stop_token stop);
  Status ReadBothSides(verify::TableComparison& comparison, AtFence& fence,
                       const std::string& select, std::stop_token stop);

  Session& session_;
  Destination& destination_;
  Connect connect_;
  const std::uint64_t wal_segment_bytes_;
  engine::Progress& progress_;
  telemetry::Logger& logger_;
};

}  // namespace sluice::pipeline
