#include "postgres/frame_buffer.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/byte_reader.h"

namespace sluice::postgres {

FrameBuffer::FrameBuffer(std::size_t usual_bytes)
    : usual_bytes_(usual_bytes),
      capacity_(usual_bytes),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(usual_bytes)) {}

// What was cut off goes to the front, or to another buffer.
void FrameBuffer::MakeRoom() {
  const std::size_t held = end_ - begin_;
  std::size_t capacity = capacity_;
  if (need_ <= usual_bytes_ / 2 && held <= usual_bytes_ / 2) {
    capacity = usual_bytes_;
  } else if (capacity_ - held < usual_bytes_ / 2) {
    capacity = capacity_ * 2;
  }
  if (capacity != capacity_) {
    auto other = std::make_unique_for_overwrite<std::byte[]>(capacity);
    std::memcpy(other.get(), buffer_.get() + begin_, held);
    buffer_ = std::move(other);
    capacity_ = capacity;
  } else if (begin_ != 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, held);
  }
  begin_ = 0;
  end_ = held;
}

FrameBuffer::Received FrameBuffer::Receive(int socket) {
  MakeRoom();
  while (true) {
    const ssize_t got = recv(socket, buffer_.get() + end_, capacity_ - end_, MSG_DONTWAIT);
    if (got > 0) {
      end_ += static_cast<std::size_t>(got);
      return Received::kSome;
    }
    if (got == 0) return Received::kClosed;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Received::kNothing;
    if (errno != EINTR) return Received::kBroken;
  }
}

ServerMessage ReadServerMessage(std::span<const std::byte> body) {
  base::ByteReader in(body);
  ServerMessage out;
  while (in.ok()) {
    const char field = static_cast<char>(in.ReadU8());
    if (field == '\0') break;
    const std::string_view text = in.ReadCString();
    switch (field) {
      case 'V':
        out.severity = text;
        break;
      case 'C':
        out.sqlstate = text;
        break;
      case 'M':
        out.message = text;
        break;
      case 'D':
        out.detail = text;
        break;
      case 'H':
        out.hint = text;
        break;
      case 'W':
        out.context = text;
        break;
      case 'R':
        out.source_function = text;
        break;
      default:
        break;
    }
  }
  return out;
}

std::vector<std::byte> EncodeMessage(char type, std::span<const std::byte> body) {
  const auto length = static_cast<std::uint32_t>(4 + body.size());
  std::vector<std::byte> message{static_cast<std::byte>(type)};
  for (int shift = 24; shift >= 0; shift -= 8) {
    message.push_back(static_cast<std::byte>(length >> static_cast<unsigned>(shift) & 0xFFU));
  }
  message.insert(message.end(), body.begin(), body.end());
  return message;
}

Sent SendSome(int socket, std::vector<std::byte>& bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.erase(bytes.begin(), bytes.begin() + sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return Sent::kPart;
    } else if (errno != EINTR) {
      return Sent::kBroken;
    }
  }
  return Sent::kAll;
}

}  // namespace sluice::postgres
