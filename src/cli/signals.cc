#include "cli/signals.h"

#include <pthread.h>
#include <unistd.h>

#include <utility>

#include "cli/command.h"

namespace sluice::cli {
namespace {

/// Tells the waiter's thread to end; sent to that thread alone.
constexpr int kEndSignal = SIGUSR1;

/// Started by nohup: a terminal that goes away is none of our business.
bool IsIgnored(int signal) {
  struct sigaction action{};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;  // NOLINT
}

}  // namespace

SignalWaiter::SignalWaiter(std::function<void(int signal)> on_first,
                           std::function<void()> on_second)
    : on_first_(std::move(on_first)), on_second_(std::move(on_second)) {
  sigemptyset(&waited_);
  sigaddset(&waited_, kEndSignal);
  sigaddset(&waited_, SIGINT);
  sigaddset(&waited_, SIGTERM);
  if (!IsIgnored(SIGHUP)) sigaddset(&waited_, SIGHUP);
  ::pthread_sigmask(SIG_BLOCK, &waited_, &before_);
  thread_ = std::thread([this] { Wait(); });
}

SignalWaiter::~SignalWaiter() {
  ::pthread_kill(thread_.native_handle(), kEndSignal);
  thread_.join();
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void SignalWaiter::Wait() {
  bool has_asked = false;
  while (true) {
    int signal = 0;
    if (::sigwait(&waited_, &signal) != 0) continue;
    if (signal == kEndSignal) return;
    if (has_asked) {
      on_second_();
      ::_exit(kExitInterrupted);
    }
    has_asked = true;
    on_first_(signal);
  }
}

}  // namespace sluice::cli
