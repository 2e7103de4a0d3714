/// \file
/// The one way data crosses threads: a FIFO bounded by weight, not by count.
///
/// Weight is in bytes, so that one queue limit is one memory limit whatever the rows look like.
/// A single item heavier than the limit is let in when the queue is empty; it would never fit else.
///
/// Ending is two different acts, and mixing them up loses data:
///   Close()      no more items come; consumers drain what is there, then get nullopt.
///   stop token   give up now; whatever is queued is dropped with the queue.
///
/// Thread safety: every member may be called from any thread. Close() may be called twice.
/// Lifetime: must outlive every thread that uses it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "sluice/time.h"

namespace sluice::base {

template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  /// Waits for room until `deadline`. On true the item is moved from; on false (no room in time,
  /// stopped, or closed) it is untouched and the caller still owns it. The replication reader uses
  /// a short deadline: it owes the server a status update even while the consumer is stuck.
  bool PushUntil(T& item, std::size_t weight_bytes, Clock::time_point deadline,
                 std::stop_token stop) {
    std::unique_lock lock(mutex_);
    const auto has_room = [&] {
      return closed_ || items_.empty() || used_bytes_ + weight_bytes <= limit_bytes_;
    };
    if (!not_full_.wait_until(lock, stop, deadline, has_room) || closed_) return false;
    used_bytes_ += weight_bytes;
    items_.emplace_back(std::move(item), weight_bytes);
    lock.unlock();
    not_empty_.notify_one();
    return true;
  }

  /// Waits for an item. nullopt: closed and drained, or stopped.
  std::optional<T> Pop(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    if (!not_empty_.wait(lock, stop, [&] { return closed_ || !items_.empty(); }) ||
        items_.empty()) {
      return std::nullopt;
    }
    auto [item, weight_bytes] = std::move(items_.front());
    items_.pop_front();
    used_bytes_ -= weight_bytes;
    lock.unlock();
    not_full_.notify_all();
    return std::move(item);
  }

  void Close() {
    {
      const std::scoped_lock lock(mutex_);
      closed_ = true;
    }
    not_full_.notify_all();
    not_empty_.notify_all();
  }

 private:
  const std::size_t limit_bytes_;
  std::mutex mutex_;
  std::condition_variable_any not_full_;
  std::condition_variable_any not_empty_;
  std::deque<std::pair<T, std::size_t>> items_;
  std::size_t used_bytes_ = 0;
  bool closed_ = false;
};

}  // namespace sluice::base
