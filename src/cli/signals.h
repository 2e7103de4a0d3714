/// \file
/// SIGINT, SIGTERM and SIGHUP of a process that ends gracefully: the first asks, the second ends.
#pragma once

#include <csignal>
#include <functional>
#include <thread>

namespace sluice::cli {

/// While it lives, the signals are blocked in this thread and those it starts, and waited for on a
/// thread of its own. Make it before any other thread. One at a time.
class SignalWaiter {
 public:
  /// `on_first` is called once, on the waiter's thread. `on_second` too, right before the process
  /// ends with 130.
  SignalWaiter(std::function<void(int signal)> on_first, std::function<void()> on_second);
  ~SignalWaiter();
  SignalWaiter(const SignalWaiter&) = delete;
  SignalWaiter& operator=(const SignalWaiter&) = delete;

 private:
  void Wait();

  std::function<void(int signal)> on_first_;
  std::function<void()> on_second_;
  sigset_t waited_{};
  sigset_t before_{};
  std::thread thread_;
};

}  // namespace sluice::cli
