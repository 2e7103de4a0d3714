// The raw way of reading a COPY: the statement goes out as a Query message of ours while libpq is
// idle, the answer is framed in one buffer, and after ReadyForQuery libpq finds the connection as
// it left it.
//
// Source: PostgreSQL docs, "Message Formats": Byte1 type, Int32 length (with itself), body.
//   H CopyOutResponse   d CopyData   c CopyDone   C CommandComplete   Z ReadyForQuery
//   E ErrorResponse   N NoticeResponse   S ParameterStatus   A NotificationResponse
#include <algorithm>
#include <string>
#include <utility>

#include "base/byte_reader.h"
#include "postgres/copy_source.h"
#include "postgres/socket_wait.h"
#include "postgres/sql_error.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kDoing = "copy a table";
constexpr int kLowWater = 128 * 1024;
constexpr Duration kHighWait = 2ms;
constexpr Duration kSendTimeout = 30s;
constexpr Duration kStopTimeout = 5s;

}  // namespace

CopyReader::RawSource::~RawSource() {
  if (is_running_) (void)Stop();
}

// What is left on the wire is not framed any more: nobody can use this connection.
Error CopyReader::RawSource::Broken(ErrorKind kind, std::string_view why) {
  is_running_ = false;
  buffer_.Clear();
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
  is_running_ = true;
  return SendAll(EncodeMessage('Q', base::AsBytes(std::string(sql) + '\0')));
}

Status CopyReader::RawSource::SendAll(std::vector<std::byte> bytes) {
  const Clock::time_point deadline = Clock::now() + kSendTimeout;
  const int socket = PQsocket(connection_.native());
  while (true) {
    const Sent sent = SendSome(socket, bytes);
    if (sent == Sent::kAll) return {};
    if (sent == Sent::kBroken) return Broken(ErrorKind::kConnection, "the connection broke");
    if (WaitSocket(socket, {.readable = false, .writable = true}, deadline, {}) !=
        Readiness::kReady) {
      return Broken(ErrorKind::kConnection, "the statement could not be sent in time");
    }
  }
}

Result<bool> CopyReader::RawSource::ReceiveSome() {
  switch (buffer_.Receive(PQsocket(connection_.native()))) {
    case FrameBuffer::Received::kSome:
      return true;
    case FrameBuffer::Received::kNothing:
      return false;
    case FrameBuffer::Received::kClosed:
      return Broken(ErrorKind::kConnection, "the server closed the connection");
    case FrameBuffer::Received::kBroken:
      break;
  }
  return Broken(ErrorKind::kConnection, "the connection broke");
}

// Waits until enough is there to be worth waking for, and reads once.
Status CopyReader::RawSource::Receive(const std::stop_token& stop) {
  const int socket = PQsocket(connection_.native());
  const Clock::time_point now = Clock::now();
  Clock::time_point idle = options_.idle_timeout >= Clock::time_point::max() - now
                               ? Clock::time_point::max()
                               : now + options_.idle_timeout;
  low_water_.Set(kLowWater);
  Clock::time_point until = low_water_.is_effective() ? std::min(idle, now + kHighWait) : idle;
  while (true) {
    const Readiness ready = WaitSocket(socket, {}, until, stop);
    if (ready == Readiness::kStopped) {
      SLUICE_RETURN_IF_ERROR(Stop());
      return Error{.kind = ErrorKind::kCancelled, .message = "stopped while copying"};
    }
    SLUICE_ASSIGN_OR_RETURN(const bool has_received, ReceiveSome());
    if (has_received) return {};
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

Status CopyReader::RawSource::TakeOther(const FrameBuffer::Frame& frame) {
  switch (frame.type) {
    case 'E': {
      const ServerMessage message = ReadServerMessage(frame.body);
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
    case 'N':
      connection_.AddNotice(ReadServerMessage(frame.body));
      return {};
    case 'H':
    case 'c':
    case 'S':
    case 'A':
      return {};
    default:
      return Broken(ErrorKind::kProtocol, "the server sent a message that does not belong there");
  }
}

// Whole messages of the buffer become `messages_`. After ReadyForQuery come only the ones a server
// sends by itself (docs, "Asynchronous Operations"): a notice, a changed setting, or the FATAL of a
// server that shuts down.
Status CopyReader::RawSource::Frame() {
  const std::size_t before = received_bytes;
  FrameBuffer::Frame frame;
  while (received_bytes - before < options_.batch_bytes_max) {
    if (!is_running_ && !messages_.empty()) return {};  // the rows first
    const FrameBuffer::Found found = buffer_.Next(frame);
    if (found == FrameBuffer::Found::kPart) return {};
    if (found == FrameBuffer::Found::kMalformed) {
      return Broken(ErrorKind::kProtocol, "a message's length cannot be right");
    }
    const char type = frame.type;
    if (!is_running_ && type != 'N' && type != 'S' && type != 'A' && type != 'E') {
      return Broken(ErrorKind::kProtocol, "the server went on after the end of the COPY");
    }
    if (type == 'd') [[likely]] {
      messages_.push_back(frame.body);
      received_bytes += frame.wire_bytes();
    } else {
      SLUICE_RETURN_IF_ERROR(TakeOther(frame));
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
    if (is_at_end()) break;
    // A server that did not hear of it goes on sending rows.
    const bool is_late = Clock::now() >= deadline;
    if (!is_late && !messages_.empty()) continue;
    if (is_late || WaitSocket(socket, {}, deadline, {}) != Readiness::kReady) {
      return Broken(ErrorKind::kConnection, "the server did not end a cancelled COPY in time");
    }
    SLUICE_RETURN_IF_ERROR(ReceiveSome());
  }
  failure_.reset();
  messages_.clear();
  return {};
}

}  // namespace sluice::postgres
