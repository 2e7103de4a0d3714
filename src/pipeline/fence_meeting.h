/// \file
/// Brings both sides of one table to one point while the pipeline runs, for `verify` and `repair`
/// (docs/positions.md, "fence").
///
///   fence opens at the writer -> lock, S, I at the source -> the writer commits exactly what S
///   sees and stands -> the caller does what it came for -> the writer goes on
///
/// Thread safety: one object, one thread; the session's threads go on. Connections: one a meeting,
/// which lives as long as the AtFence. Limits: a lock that is not had at once, and a fence that is
/// spoiled, are tried again for five minutes; a table that is no longer there by its name, for half
/// a minute, until the pipeline has seen what became of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "sluice/destination.h"

#include "engine/progress.h"
#include "pipeline/session.h"
#include "postgres/snapshot_export.h"

namespace sluice::pipeline {

/// Both sides at one point. The source's connection is in a transaction under S.
struct AtFence {
  std::unique_ptr<postgres::SnapshotExporter> source;
  std::unique_ptr<DestinationReader> destination;  ///< where the caller opened one
  std::uint64_t ticket = 0;
  Lsn lsn;
  TableRecord record;  ///< of the writer, at the fence; live, or there is nothing to be done
  std::string row_filter;
  bool is_partitioned = false;
  Duration stood{};  ///< how long nothing was applied

  bool is_live() const { return record.state == TableState::kLive && record.schema != nullptr; }
};

class FenceMeeting {
 public:
  using Connect = std::function<Result<postgres::Connection>(const std::string& role)>;
  /// Called while the writer stands. A kTimeout takes the fence once more.
  using Standing = std::function<Status(AtFence& fence)>;

  FenceMeeting(Session& session, Connect connect, std::uint64_t wal_segment_bytes,
               engine::Progress& progress);

  /// \param record the last one known. What is met is the table as it is called by then; where it
  /// is not live any more, AtFence has no more than its record.
  /// Errors: kTimeout SLU-3081 (no fence could be had), kConfig SLU-2103 (the source has no table
  /// of that name, and the pipeline does not know why yet), kConnection, kCancelled, of `standing`.
  Result<AtFence> Meet(TableRecord record, const Standing& standing, std::stop_token stop);

 private:
  /// kTimeout SLU-3080: spoiled, again.
  Result<AtFence> Try(const TableRecord& record, const Standing& standing, std::stop_token stop);
  Status Stand(AtFence& fence, const Standing& standing, std::stop_token stop);
  /// The writer's record; where it has none, `known`, but dropped.
  Result<TableRecord> RecordNow(const TableRecord& known);
  /// RecordNow(). kTimeout: the writer does not stand at the fence any more.
  Result<TableRecord> RecordAt(const AtFence& fence);

  Session& session_;
  Connect connect_;
  const std::uint64_t wal_segment_bytes_;
  engine::Progress& progress_;
};

}  // namespace sluice::pipeline
