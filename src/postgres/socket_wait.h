/// \file
/// Waiting for a socket with a deadline and a stop token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stop_token>

#include "sluice/time.h"

namespace sluice::postgres {

enum class Readiness : std::uint8_t { kReady, kDeadline, kStopped };

struct WaitFor {
  bool readable = true;
  bool writable = false;
};

/// ppoll() until the socket is as asked (an error or hang-up counts), `deadline`, or a stop; a stop
/// is seen within 50 ms. Deadlines are kept to the microsecond, not to the timer tick.
Readiness WaitSocket(int socket, WaitFor what, Clock::time_point deadline, std::stop_token stop);

/// What has come and was not read yet; of a TLS connection as it is on the wire.
std::size_t WaitingBytes(int socket);

}  // namespace sluice::postgres
