#include "postgres/socket_wait.h"

#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;

// How long a stop may go unseen; and the longest single sleep.
constexpr Duration kStopSlice = 50ms;
constexpr Duration kLongestSlice = 60s;

}  // namespace

Readiness WaitSocket(int socket, WaitFor what, Clock::time_point deadline, std::stop_token stop) {
  pollfd waiting{};
  waiting.fd = socket;
  waiting.events = static_cast<short>((what.readable ? POLLIN : 0) | (what.writable ? POLLOUT : 0));
  while (true) {
    if (stop.stop_requested()) return Readiness::kStopped;
    const Clock::time_point now = Clock::now();
    const Duration slice = stop.stop_possible() ? kStopSlice : kLongestSlice;
    const Duration wait =
        deadline <= now ? Duration::zero() : (deadline - now > slice ? slice : deadline - now);
    const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(wait).count();
    timespec timeout{};
    timeout.tv_sec = nanos / 1'000'000'000;
    timeout.tv_nsec = nanos % 1'000'000'000;
    const int ready = ppoll(&waiting, 1, &timeout, nullptr);
    // An error of poll itself other than EINTR shows as "ready": the next read reports it.
    if (ready > 0 || (ready < 0 && errno != EINTR)) return Readiness::kReady;
    if (ready == 0 && Clock::now() >= deadline) return Readiness::kDeadline;
  }
}

std::size_t WaitingBytes(int socket) {
  int bytes = 0;
  return ::ioctl(socket, FIONREAD, &bytes) == 0 ? static_cast<std::size_t>(std::max(bytes, 0)) : 0;
}

}  // namespace sluice::postgres
