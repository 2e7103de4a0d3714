/// \file
/// Waiting that a stop request, or somebody who has news, ends.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "sluice/time.h"

namespace sluice::base {

/// Waits for `duration`, or until `stop` is requested. Never for less: the clock is the steady one.
inline void SleepFor(Duration duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  static_cast<void>(never.wait_for(lock, stop, duration, [] { return false; }));
}

/// The pause of a loop that others may cut short. Thread safety: SleepFor() by one thread, Wake()
/// by any.
class WakeableSleep {
 public:
  /// The pause of now or the next one ends at once.
  void Wake() {
    {
      const std::scoped_lock lock(mutex_);
      is_woken_ = true;
    }
    changed_.notify_all();
  }

  void SleepFor(Duration duration, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    static_cast<void>(changed_.wait_for(lock, stop, duration, [this] { return is_woken_; }));
    is_woken_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool is_woken_ = false;
};

}  // namespace sluice::base
