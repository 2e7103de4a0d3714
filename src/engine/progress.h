/// \file
/// What the threads of a pipeline tell each other besides batches: positions and wishes, one named
/// atomic each.
///
/// Thread safety: every member from any thread. Written by the thread named beside it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "sluice/lsn.h"
#include "sluice/time.h"

#include "base/mutex.h"

namespace sluice::engine {

/// A position that only rises within one incarnation; relaxed is enough for a display,
/// release/acquire orders what it stands for.
class AtomicLsn {
 public:
  Lsn Load() const { return Lsn{value_.load(std::memory_order_acquire)}; }
  void Store(Lsn lsn) { value_.store(lsn.value, std::memory_order_release); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Of the source's log, what is known to be unread and since when: the walsender only tells what it
/// has read itself. Any thread.
class UnreadLog {
 public:
  /// The log ended at `end` when it was looked at. \param reached what is durable
  void OnLook(Lsn end, Lsn reached, UnixMicros now);
  /// Another past, or none.
  void Forget();
  /// Since when something is known to be there behind `reached`; 0: nothing is.
  UnixMicros Since(Lsn reached) const;
  Lsn end() const;

 private:
  mutable base::Mutex mutex_;
  Lsn end_ SLUICE_GUARDED_BY(mutex_);
  Lsn looked_for_ SLUICE_GUARDED_BY(mutex_);       ///< an end that was not reached yet...
  UnixMicros since_ SLUICE_GUARDED_BY(mutex_){0};  ///< ...and when it was seen
};

struct Progress {
  UnreadLog unread;        ///< control
  AtomicLsn received;      ///< stream: end of what was decoded and handed on
  AtomicLsn server_flush;  ///< stream: what the server last said
  AtomicLsn acknowledged;  ///< stream: flush position of the last status update
  AtomicLsn processed;     ///< writer: committed at the destination, perhaps not durable yet
  AtomicLsn durable;       ///< writer, from the destination's watermark
  AtomicLsn visible;       ///< the same

  /// Somebody waits for the stream to pass a position (a copy to land, a fence, --until): ask the
  /// server for it.
  std::atomic<int> position_wishes{0};
  /// The run is to end by itself, and somebody waits for that: no thread sleeps long.
  std::atomic<bool> is_bounded{false};
  /// writer: copied units that wait for the stream to pass their insert LSN.
  std::atomic<int> units_to_land{0};
  /// control: the slot keeps more WAL than it may; copies wait.
  std::atomic<bool> copies_pause{false};
  std::atomic<bool> source_connected{false};
  /// control: the stream is to let go of the source at once, whatever is not stored yet.
  std::atomic<bool> lets_go{false};
  std::atomic<bool> reads_by_sql{false};              ///< stream: connected, and far behind
  std::atomic<std::int64_t> last_contact_unix_us{0};  ///< stream
  std::atomic<std::int64_t> oldest_pending_commit_us{
      0};  ///< stream/writer: commit time not durable yet; 0: none
  std::atomic<std::int64_t> last_commit_unix_us{0};  ///< writer: newest durable commit time

  std::atomic<std::int64_t> transactions{0};
  std::atomic<std::int64_t> rows_streamed{0};
  std::atomic<std::int64_t> rows_copied{0};
  std::atomic<std::uint64_t> bytes_received{0};
  std::atomic<std::int64_t> commits{0};
  /// writer: of the last destination transaction that had source transactions.
  std::atomic<std::int64_t> last_batch_rows{0};
  std::atomic<std::int64_t> last_batch_age_us{0};  ///< of its oldest commit when it was taken over
  std::atomic<std::int64_t> last_apply_us{0};      ///< from there to the commit's return
  std::atomic<std::int64_t> retries_source{0};
  std::atomic<std::int64_t> retries_destination{0};
  std::atomic<std::uint64_t> staged_bytes{0};
  std::atomic<std::uint64_t> spilled_bytes{0};
  std::atomic<std::uint64_t> held_bytes{0};

  /// Liveness for /healthz: each loop writes its clock.
  std::atomic<std::int64_t> stream_beat_us{0};
  std::atomic<std::int64_t> writer_beat_us{0};
};

/// The last 1,024 commit-to-visible times.
class LatencyWindow {
 public:
  void Add(double milliseconds);
  struct Percentiles {
    double p50 = 0;
    double p99 = 0;
  };
  Percentiles Read() const;

 private:
  mutable base::Mutex mutex_;
  std::array<float, 1024> samples_ SLUICE_GUARDED_BY(mutex_){};
  std::size_t count_ SLUICE_GUARDED_BY(mutex_) = 0;
};

/// The wall clock, for lag against commit timestamps only.
UnixMicros WallClock();

/// Holds a wish for the stream's position while it lives.
class PositionWish {
 public:
  explicit PositionWish(Progress& progress) : progress_(progress) { ++progress_.position_wishes; }
  ~PositionWish() { --progress_.position_wishes; }
  PositionWish(const PositionWish&) = delete;
  PositionWish& operator=(const PositionWish&) = delete;

 private:
  Progress& progress_;
};

}  // namespace sluice::engine
