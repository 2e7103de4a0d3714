/// \file
/// Whether a run has come to where it was to end (`--until`).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "sluice/lsn.h"
#include "sluice/result.h"

#include "engine/options.h"
#include "engine/progress.h"
#include "engine/status.h"
#include "postgres/connection.h"

namespace sluice::pipeline {

/// Thread safety: one thread. Lives as long as the run: the goal stays when the destination is
/// opened again.
class UntilWatch {
 public:
  explicit UntilWatch(engine::Until until) : until_(std::move(until)) {}

  /// \param connect opens a connection to the source; asked once, when every table has settled.
  /// Errors: of `connect`, where trying again does not help.
  Result<bool> IsReached(const std::vector<engine::TableStatus>& tables,
                         const engine::Progress& progress, std::uint64_t wal_segment_bytes,
                         const std::function<Result<postgres::Connection>()>& connect);

  /// The position that ends the run, once it is known.
  std::optional<Lsn> lsn() const { return lsn_; }

 private:
  engine::Until until_;
  std::optional<Lsn> lsn_;
};

}  // namespace sluice::pipeline
