/// \file
/// SO_RCVLOWAT of a TCP socket for a while: below so many bytes poll() does not wake.
///
/// Never without a deadline on the wait, and back to 1 before anyone else polls the socket: else
/// the tail of a stream is never seen. Does nothing on sockets of another family.
#pragma once

namespace sluice::postgres {

class ReceiveLowWater {
 public:
  explicit ReceiveLowWater(int socket);
  ~ReceiveLowWater() { Set(1); }
  ReceiveLowWater(const ReceiveLowWater&) = delete;
  ReceiveLowWater& operator=(const ReceiveLowWater&) = delete;

  void Set(int bytes);
  /// A TCP socket that took the last Set().
  bool is_effective() const { return is_tcp_; }

 private:
  int socket_;
  int current_ = 1;
  bool is_tcp_ = false;
};

}  // namespace sluice::postgres
