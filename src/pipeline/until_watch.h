/// \file
/// Whether a run has come to where it was to end (`--until`).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <variant>

#include "sluice/lsn.h"
#include "sluice/result.h"

#include "engine/options.h"
#include "engine/progress.h"
#include "postgres/connection.h"

namespace sluice::pipeline {

/// Thread safety: one thread. Lives as long as the run: the goal stays when the destination is
/// opened again.
class UntilWatch {
 public:
  explicit UntilWatch(engine::Until until) : until_(std::move(until)) {}

  /// \param are_copies_visible DeliveryWriter's word. \param connect opens a connection to the
  /// source; asked once, when the copies are visible, and again after a second where it fails.
  /// Errors: of `connect`, where trying again does not help.
  Result<bool> IsReached(bool are_copies_visible, const engine::Progress& progress,
                         std::uint64_t wal_segment_bytes,
                         const std::function<Result<postgres::Connection>()>& connect);

  /// The run is to end by itself: who waits for that waits for each look.
  bool is_bounded() const { return !std::holds_alternative<engine::UntilNever>(until_); }
  /// The position that ends the run, once it is known.
  std::optional<Lsn> lsn() const { return lsn_; }
  /// The source's positions begin anew.
  void Forget() { lsn_.reset(); }

 private:
  engine::Until until_;
  std::optional<Lsn> lsn_;
  Clock::time_point asked_at_{};
};

}  // namespace sluice::pipeline
