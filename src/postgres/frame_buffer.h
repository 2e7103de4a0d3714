/// \file
/// The server's messages as they come over a plain socket, past libpq: received into one buffer and
/// framed in place.
///
/// Source: PostgreSQL docs, "Message Formats": Byte1 type, Int32 length (with itself), body.
/// Limits: grows with the bytes of one message that have come, never with the length it claims;
/// gives the memory back behind it. Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "postgres/sql_error.h"

namespace sluice::postgres {

class FrameBuffer {
 public:
  struct Frame {
    char type = '\0';
    std::span<const std::byte> body;
    std::size_t wire_bytes() const { return kHead + body.size(); }
  };
  enum class Found : std::uint8_t { kFrame, kPart, kMalformed };
  enum class Received : std::uint8_t { kSome, kNothing, kClosed, kBroken };

  /// \param usual_bytes what it holds unless a message is larger. At least half of it is asked of
  /// the socket at once.
  explicit FrameBuffer(std::size_t usual_bytes);

  /// The next whole message. It lives until Receive().
  Found Next(Frame& frame) {
    need_ = 0;
    if (end_ - begin_ < kHead) return Found::kPart;
    const std::byte* at = buffer_.get() + begin_;
    const char type = static_cast<char>(at[0]);
    std::uint32_t length = 0;
    std::memcpy(&length, at + 1, sizeof(length));
    length = __builtin_bswap32(length);
    if (length < 4 || length > (type == 'd' ? kDataMax : kOtherMax)) [[unlikely]]
      return Found::kMalformed;
    const std::size_t size = 1 + static_cast<std::size_t>(length);
    if (end_ - begin_ < size) {
      need_ = size;
      return Found::kPart;
    }
    frame = {type, {at + kHead, length - 4}};
    begin_ += size;
    return Found::kFrame;
  }
  /// Reads once, without waiting.
  Received Receive(int socket);
  /// Nothing is left, not even of a message that was cut off.
  bool is_empty() const { return begin_ == end_; }
  void Clear() { begin_ = end_ = 0; }

 private:
  static constexpr std::size_t kHead = 5;
  // A row is at most 1 GB; what else the server says is short.
  static constexpr std::size_t kDataMax = 0x7FFFFFFF;
  static constexpr std::size_t kOtherMax = 1U << 20;

  void MakeRoom();

  std::size_t usual_bytes_;
  std::size_t capacity_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t begin_ = 0;  // of what is not framed yet
  std::size_t end_ = 0;    // of what was received
  std::size_t need_ = 0;   // size of the message at begin_, where its head is there
};

/// What an ErrorResponse or a NoticeResponse says.
ServerMessage ReadServerMessage(std::span<const std::byte> body);

/// A message to the server.
std::vector<std::byte> EncodeMessage(char type, std::span<const std::byte> body);

enum class Sent : std::uint8_t { kAll, kPart, kBroken };
/// Sends what goes without waiting, and takes it off the front.
Sent SendSome(int socket, std::vector<std::byte>& bytes);

}  // namespace sluice::postgres
