#include "postgres/receive_low_water.h"

#include <sys/socket.h>

namespace sluice::postgres {

ReceiveLowWater::ReceiveLowWater(int socket) : socket_(socket) {
  int domain = 0;
  socklen_t size = sizeof(domain);
  is_tcp_ = getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
            (domain == AF_INET || domain == AF_INET6);
}

void ReceiveLowWater::Set(int bytes) {
  if (!is_tcp_ || bytes == current_) return;
  if (setsockopt(socket_, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)) != 0) {
    is_tcp_ = bytes == 1 ? is_tcp_ : false;
    return;
  }
  current_ = bytes;
}

}  // namespace sluice::postgres
