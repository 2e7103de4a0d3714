/// \file
/// Unix sockets of the control plane: descriptors, and addresses for any length of path.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "sluice/result.h"

namespace sluice::telemetry {

/// Closes what it holds.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd();
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.Release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_ = -1;
};

/// An address for a socket in a directory; a long path goes through the open directory, which must
/// stay open while the address is used.
struct ControlAddress {
  sockaddr_un address{};
  socklen_t length = 0;
  OwnedFd directory;

  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&address);  // NOLINT: the sockets API
  }
};

std::string ControlPath(const std::string& state_dir, const std::string& pipeline);
Result<ControlAddress> ControlAddressOf(const std::string& state_dir, const std::string& pipeline);

/// SLU-1013 with errno's words.
Error ControlError(const std::string& what, int code);

}  // namespace sluice::telemetry
