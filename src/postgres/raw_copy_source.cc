// The raw way of reading a COPY: the statement goes out as a Query message of ours while libpq is
// idle, the answer is framed in one buffer, and after ReadyForQuery libpq finds the connection as
// it left it.
//
// Source: PostgreSQL docs, "Message Formats": Byte1 type, Int32 length (with itself), body.
//   H CopyOutResponse   d CopyData   c CopyDone   C CommandComplete   Z ReadyForQuery
//   E ErrorResponse   N NoticeResponse   S ParameterStatus   A NotificationResponse
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/byte_reader.h"
#include "postgres/copy_source.h"
#include "postgres/socket_wait.h"
#include "postgres/sql_error.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kDoing = "copy a table";
constexpr std::size_t kBufferBytes = 1U << 20;
constexpr std::size_t kCompactBelow = 256 * 1024;
constexpr std::size_t kHead = 5;
// A row is at most 1 GB; what else the server says is short.
constexpr std::size_t kDataMax = 0x7FFFFFFF;
constexpr std::size_t kOtherMax = 1U << 20;
constexpr int kLowWater = 128 * 1024;
constexpr Duration kHighWait = 2ms;
constexpr Duration kSendTimeout = 30s;
constexpr Duration kStopTimeout = 5s;

ServerMessage ReadErrorFields(std::span<const std::byte> body) {
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
      case 'R':
        out.source_function = text;
        break;
      default:
        break;
    }
  }
  return out;
}

}  // namespace

CopyReader::RawSource::~RawSource() {
  if (is_running_) (void)Stop();
}

// What is left on the wire is not framed any more: nobody can use this connection.
Error CopyReader::RawSource::Broken(ErrorKind kind, std::string_view why) {
  is_running_ = false;
  begin_ = end_;
  low_water_.Set(1);
  connection_.Break();
  return Error{.kind = kind,
               .message = "cannot " + std::string(kDoing) + ": " + std::string(why),
               .code = kind == ErrorKind::kProtocol ? "SLU-2019" : "SLU-2007",
               .advice = kind == ErrorKind::kConnection ? "Sluice connects again by itself" : ""};
}

Status CopyReader::RawSource::Begin(std::string_view sql) {
  // libpq must have nothing half read or half sent.
  if (PQtransactionStatus(connection_.native()) == PQTRANS_ACTIVE ||
      PQflush(connection_.native()) != 0 || sql.find('\0') != std::string_view::npos) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "a COPY was begun on a connection that is in use",
                 .code = "SLU-9001"};
  }
  const auto length = static_cast<std::uint32_t>(4 + sql.size() + 1);
  std::vector<std::byte> query(1 + length);
  query[0] = std::byte{'Q'};
  for (unsigned i = 0; i < 4; ++i) {
    query[1 + i] = static_cast<std::byte>(length >> (24U - 8U * i) & 0xFFU);
  }
  std::memcpy(query.data() + kHead, sql.data(), sql.size());
  buffer_ = std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
  capacity_ = kBufferBytes;
  is_running_ = true;
  return SendAll(query);
}

Status CopyReader::RawSource::SendAll(std::span<const std::byte> bytes) {
  const Clock::time_point deadline = Clock::now() + kSendTimeout;
  const int socket = PQsocket(connection_.native());
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (WaitSocket(socket, {.readable = false, .writable = true}, deadline, {}) !=
          Readiness::kReady) {
        return Broken(ErrorKind::kConnection, "the statement could not be sent in time");
      }
    } else if (errno != EINTR) {
      return Broken(ErrorKind::kConnection, "the connection broke");
    }
  }
  return {};
}

// Moves the tail to the front, or to a larger buffer where one message needs it.
void CopyReader::RawSource::MakeRoom() {
  const std::size_t held = end_ - begin_;
  if (need_ > capacity_) {
    const std::size_t larger = std::max(need_, capacity_ * 2);
    auto moved = std::make_unique_for_overwrite<std::byte[]>(larger);
    std::memcpy(moved.get(), buffer_.get() + begin_, held);
    buffer_ = std::move(moved);
    capacity_ = larger;
  } else if (capacity_ - end_ < kCompactBelow || capacity_ - begin_ < need_) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, held);
    if (capacity_ > kBufferBytes && need_ <= kBufferBytes && held < kBufferBytes) {
      // A huge row has passed: give its memory back.
      auto smaller = std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
      std::memcpy(smaller.get(), buffer_.get(), held);
      buffer_ = std::move(smaller);
      capacity_ = kBufferBytes;
    }
  } else {
    return;
  }
  begin_ = 0;
  end_ = held;
}

// Waits until enough is there to be worth waking for, and reads once.
Status CopyReader::RawSource::Receive(const std::stop_token& stop) {
  const int socket = PQsocket(connection_.native());
  const std::size_t room = capacity_ - end_;
  const Clock::time_point now = Clock::now();
  Clock::time_point idle = options_.idle_timeout >= Clock::time_point::max() - now
                               ? Clock::time_point::max()
                               : now + options_.idle_timeout;
  low_water_.Set(std::min(kLowWater, static_cast<int>(std::min(room, std::size_t{kLowWater}))));
  Clock::time_point until = low_water_.is_effective() ? std::min(idle, now + kHighWait) : idle;
  while (true) {
    const Readiness ready = WaitSocket(socket, {}, until, stop);
    if (ready == Readiness::kStopped) {
      SLUICE_RETURN_IF_ERROR(Stop());
      return Error{.kind = ErrorKind::kCancelled, .message = "stopped while copying"};
    }
    const ssize_t got = recv(socket, buffer_.get() + end_, room, MSG_DONTWAIT);
    if (got > 0) {
      end_ += static_cast<std::size_t>(got);
      return {};
    }
    if (got == 0) return Broken(ErrorKind::kConnection, "the server closed the connection");
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      return Broken(ErrorKind::kConnection, "the connection broke");
    }
    const bool is_idle = ready == Readiness::kDeadline && Clock::now() >= idle;
    if (is_idle && options_.is_at_work) {
      if (!options_.is_at_work()) return Broken(ErrorKind::kConnection, kSilent);
      idle = Clock::now() + options_.idle_timeout;
    } else if (is_idle) {
      SLUICE_RETURN_IF_ERROR(Stop());
      return Error{
          .kind = ErrorKind::kTimeout, .message = "no row came for too long", .code = "SLU-2008"};
    }
    // Nothing at all in high mode: wait for the first byte.
    low_water_.Set(1);
    until = idle;
  }
}

Status CopyReader::RawSource::TakeOther(char type, Message body) {
  switch (type) {
    case 'E': {
      const ServerMessage message = ReadErrorFields(body);
      if (!failure_) failure_ = ErrorFrom(message, kDoing);
      // After a FATAL no ReadyForQuery comes.
      if (message.severity == "FATAL" || message.severity == "PANIC") {
        Error error = *std::exchange(failure_, std::nullopt);
        (void)Broken(ErrorKind::kConnection, "the server ended the session");
        return error;
      }
      return {};
    }
    case 'C':
      has_command_completed_ = true;
      return {};
    case 'Z':
      is_running_ = false;
      low_water_.Set(1);
      return {};
    case 'H':
    case 'c':
    case 'N':
    case 'S':
    case 'A':
      return {};
    default:
      return Broken(ErrorKind::kProtocol, "the server sent a message that does not belong there");
  }
}

// Whole messages of the buffer become `messages_`; need_ is what the one cut off will measure.
// After ReadyForQuery come only the ones a server sends by itself (docs, "Asynchronous
// Operations"): a notice, a changed setting, or the FATAL of a server that shuts down.
Status CopyReader::RawSource::Frame() {
  need_ = 0;
  const std::size_t before = received_bytes;
  while (end_ - begin_ >= kHead && received_bytes - before < options_.batch_bytes_max) {
    if (!is_running_ && !messages_.empty()) return {};  // the rows first
    const std::byte* at = buffer_.get() + begin_;
    const char type = static_cast<char>(at[0]);
    std::uint32_t length = 0;
    std::memcpy(&length, at + 1, sizeof(length));
    length = __builtin_bswap32(length);
    const std::size_t most = type == 'd' ? kDataMax : kOtherMax;
    if (length < 4 || length > most) {
      return Broken(ErrorKind::kProtocol, "a message's length cannot be right");
    }
    const std::size_t size = 1 + static_cast<std::size_t>(length);
    if (end_ - begin_ < size) {
      need_ = size;
      return {};
    }
    const Message body(at + kHead, length - 4);
    begin_ += size;
    if (!is_running_ && type != 'N' && type != 'S' && type != 'A' && type != 'E') {
      return Broken(ErrorKind::kProtocol, "the server went on after the end of the COPY");
    }
    if (type == 'd') [[likely]] {
      messages_.push_back(body);
      received_bytes += size;
    } else {
      SLUICE_RETURN_IF_ERROR(TakeOther(type, body));
    }
  }
  return {};
}

Result<std::span<const CopyReader::Message>> CopyReader::RawSource::Next(std::stop_token stop) {
  messages_.clear();
  while (!is_at_end()) {
    if (stop.stop_requested()) {
      SLUICE_RETURN_IF_ERROR(Stop());
      return Error{.kind = ErrorKind::kCancelled, .message = "stopped while copying"};
    }
    SLUICE_RETURN_IF_ERROR(Frame());
    if (!messages_.empty()) return std::span<const Message>(messages_);
    if (is_at_end()) break;
    MakeRoom();
    SLUICE_RETURN_IF_ERROR(Receive(stop));
  }
  if (failure_) return *std::exchange(failure_, std::nullopt);
  if (!has_command_completed_ && received_bytes > 0) {
    return Broken(ErrorKind::kProtocol, "the COPY ended without its completion");
  }
  return std::span<const Message>();
}

// Asks the server to stop and reads up to ReadyForQuery, so that libpq can go on.
Status CopyReader::RawSource::Stop() {
  connection_.RequestCancel();
  low_water_.Set(1);
  return DrainToReady(Clock::now() + kStopTimeout);
}

Status CopyReader::RawSource::DrainToReady(Clock::time_point deadline) {
  const int socket = PQsocket(connection_.native());
  while (!is_at_end()) {
    messages_.clear();
    SLUICE_RETURN_IF_ERROR(Frame());
    if (!messages_.empty()) continue;
    if (is_at_end()) break;
    MakeRoom();
    if (WaitSocket(socket, {}, deadline, {}) != Readiness::kReady) {
      return Broken(ErrorKind::kConnection, "the server did not end a cancelled COPY in time");
    }
    const ssize_t got = recv(socket, buffer_.get() + end_, capacity_ - end_, MSG_DONTWAIT);
    if (got > 0) end_ += static_cast<std::size_t>(got);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
      return Broken(ErrorKind::kConnection, "the connection broke");
    }
  }
  failure_.reset();
  messages_.clear();
  return {};
}

}  // namespace sluice::postgres
