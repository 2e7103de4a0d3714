// The raw way of a replication stream: START_REPLICATION goes out as a Query message of ours while
// libpq is idle, what comes is framed in one buffer, and the connection is closed at the end.
//
// Source: PostgreSQL docs, "Streaming Replication Protocol" and "Message Formats":
//   W CopyBothResponse   d CopyData   c CopyDone   C CommandComplete   Z ReadyForQuery
//   E ErrorResponse   N NoticeResponse   S ParameterStatus   A NotificationResponse
#include <string>
#include <utility>

#include "base/byte_reader.h"
#include "postgres/socket_wait.h"
#include "postgres/sql_error.h"
#include "postgres/stream_source.h"

namespace sluice::postgres {
namespace {

// A read takes at least half of it.
constexpr std::size_t kBufferBytes = 2 * WakePolicy::kHighBytes;
// Some hundred status updates: with more of them unsent another one is of no use.
constexpr std::size_t kUnsentMax = 16 * 1024;

void Append(std::vector<std::byte>& out, const std::vector<std::byte>& message) {
  out.insert(out.end(), message.begin(), message.end());
}

}  // namespace

ReplicationStream::RawSource::RawSource(Connection opened)
    : Source(std::move(opened)), buffer_(kBufferBytes) {}

// The descriptor may be somebody else's at once.
void ReplicationStream::RawSource::BreakOff() {
  low_water.Set(1);
  connection.Break();
}

// What is left on the wire is not framed any more: nobody can use this connection.
Error ReplicationStream::RawSource::Broken(ErrorKind kind, std::string_view why) {
  buffer_.Clear();
  BreakOff();
  return Error{.kind = kind,
               .message = "cannot " + std::string(kReadingStream) + ": " + std::string(why),
               .code = kind == ErrorKind::kProtocol ? "SLU-2019" : "SLU-2007",
               .advice = kind == ErrorKind::kConnection ? "Sluice connects again by itself" : ""};
}

Status ReplicationStream::RawSource::Begin(const std::string& sql, Clock::time_point deadline,
                                           const std::stop_token& stop) {
  // libpq must have nothing half read or half sent.
  if (PQtransactionStatus(connection.native()) != PQTRANS_IDLE ||
      PQflush(connection.native()) != 0 || sql.find('\0') != std::string::npos) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "a stream was begun on a connection that is in use",
                 .code = "SLU-9001"};
  }
  unsent_ = EncodeMessage('Q', base::AsBytes(sql + '\0'));
  FrameBuffer::Frame frame;
  while (true) {
    SLUICE_ASSIGN_OR_RETURN(const bool is_sent, Flush());
    FrameBuffer::Found found = buffer_.Next(frame);
    while (found == FrameBuffer::Found::kFrame && (frame.type == 'N' || frame.type == 'S')) {
      found = buffer_.Next(frame);
    }
    if (found == FrameBuffer::Found::kMalformed) return NoStream();
    if (found == FrameBuffer::Found::kFrame) {
      if (frame.type == 'W') return {};
      if (frame.type != 'E') return NoStream();
      return ErrorFrom(ReadServerMessage(frame.body), "start replication");
    }
    const Readiness ready =
        WaitSocket(PQsocket(connection.native()), {.writable = !is_sent}, deadline, stop);
    if (ready != Readiness::kReady) {
      BreakOff();
      return NoStreamInTime(stop);
    }
    SLUICE_RETURN_IF_ERROR(Receive());
  }
}

Result<std::optional<ReplicationStream::Message>> ReplicationStream::RawSource::Take() {
  FrameBuffer::Frame frame;
  while (true) {
    const FrameBuffer::Found found = buffer_.Next(frame);
    if (found == FrameBuffer::Found::kPart) return std::optional<Message>();
    if (found == FrameBuffer::Found::kMalformed) [[unlikely]]
      return Broken(ErrorKind::kProtocol, "a message's length cannot be right");
    if (frame.type == 'd') [[likely]]
      return std::optional(frame.body);
    SLUICE_RETURN_IF_ERROR(TakeOther(frame));
  }
}

Status ReplicationStream::RawSource::TakeOther(const FrameBuffer::Frame& frame) {
  switch (frame.type) {
    case 'N':
      if (auto skipped = SkippedPublication(ReadServerMessage(frame.body))) {
        return *std::move(skipped);
      }
      return {};
    case 'S':
    case 'A':
      return {};
    case 'E':
      BreakOff();
      return StreamEnded(ErrorFrom(ReadServerMessage(frame.body), kReadingStream));
    case 'c':
    case 'C':
    case 'Z':
      BreakOff();
      return StreamEnded(std::nullopt);
    default:
      return Broken(ErrorKind::kProtocol, "the server sent a message that does not belong there");
  }
}

Status ReplicationStream::RawSource::Receive() {
  switch (buffer_.Receive(PQsocket(connection.native()))) {
    case FrameBuffer::Received::kSome:
    case FrameBuffer::Received::kNothing:
      return {};
    case FrameBuffer::Received::kClosed:
      return Broken(ErrorKind::kConnection, "the server closed the connection");
    case FrameBuffer::Received::kBroken:
      break;
  }
  return Broken(ErrorKind::kConnection, "the connection broke");
}

Status ReplicationStream::RawSource::Send(Message update) {
  if (unsent_.size() < kUnsentMax) Append(unsent_, EncodeMessage('d', update));
  return {};
}

// Where it breaks the reader learns why: the server's last words may be there.
Result<bool> ReplicationStream::RawSource::Flush() {
  const Sent sent = SendSome(PQsocket(connection.native()), unsent_);
  if (sent == Sent::kBroken) unsent_.clear();
  return sent != Sent::kPart;
}

void ReplicationStream::RawSource::Close(Clock::time_point deadline) {
  Append(unsent_, EncodeMessage('c', {}));
  while (Clock::now() < deadline) {
    (void)Flush();
    const auto message = Take();
    if (!message) return;
    if (message->has_value()) continue;
    if (WaitSocket(PQsocket(connection.native()), {.writable = !unsent_.empty()}, deadline, {}) !=
            Readiness::kReady ||
        !Receive()) {
      return;
    }
  }
}

}  // namespace sluice::postgres
