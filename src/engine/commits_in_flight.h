/// \file
/// Commits that the destination has accepted and that are not durable, or not visible, yet. What
/// the destination says of them moves the positions that everybody else reads (Progress).
///
/// Thread safety: OnWatermarks() and Interrupt() from any thread, Add() and WaitForRoom() by the
/// delivery writer, the rest from any thread. Limits: as many as WaitForRoom() lets in.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "sluice/destination.h"
#include "sluice/lsn.h"
#include "sluice/result.h"
#include "sluice/time.h"

#include "base/mutex.h"
#include "engine/progress.h"

namespace sluice::engine {

class CommitsInFlight {
 public:
  /// \param progress its positions are those of what was restored. \param last that one's sequence.
  CommitsInFlight(Progress& progress, std::uint64_t last);

  /// Until fewer than `most` are in flight. Errors: kCancelled after Interrupt(), kTimeout SLU-5006
  /// after 10 minutes.
  Status WaitForRoom(std::size_t most);
  /// Before the destination is told: it may answer from inside its Commit().
  void Add(std::uint64_t sequence, Lsn end, UnixMicros committed_at);
  void OnWatermarks(const Watermarks& marks);
  /// Who waits for room ends, now and later.
  void Interrupt();

  std::uint64_t durable_sequence() const;
  std::uint64_t visible_sequence() const;

 private:
  struct Commit {
    std::uint64_t sequence;
    Lsn end;
    UnixMicros committed_at;
  };

  Progress& progress_;
  mutable base::Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Commit> not_durable_ SLUICE_GUARDED_BY(mutex_);
  std::deque<Commit> not_visible_ SLUICE_GUARDED_BY(mutex_);
  std::uint64_t durable_sequence_ SLUICE_GUARDED_BY(mutex_);
  std::uint64_t visible_sequence_ SLUICE_GUARDED_BY(mutex_);
  bool is_interrupted_ SLUICE_GUARDED_BY(mutex_) = false;
};

}  // namespace sluice::engine
