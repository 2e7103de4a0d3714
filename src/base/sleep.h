/// \file
/// Waiting that a stop request ends.
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

}  // namespace sluice::base
