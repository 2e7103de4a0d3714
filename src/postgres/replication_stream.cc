#include "postgres/replication_stream.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "postgres/quote.h"
#include "postgres/socket_wait.h"
#include "postgres/stream_source.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Duration kStartTimeout = 60s;
constexpr std::string_view kStarting = "start replication";
constexpr std::string_view kSending = "send a status update";

Error RefineStartError(Error error, const std::string& slot) {
  const std::string_view state = error.sqlstate;
  if (state == "55006") {
    error.kind = ErrorKind::kConnection;
    error.code = "SLU-2105";
    error.message = "the slot is in use: " + slot;
    error.advice = "another sluice uses it, or the server has not yet noticed that one ended";
  } else if (state == "42704") {
    // The publications are looked up later, with the first change.
    error.kind = ErrorKind::kConnection;  // who looks again finds out what happened to it
    error.code = "SLU-2102";
    error.message = "there is no slot of that name: " + slot;
  } else if (state == "55000" || state == "58P01") {
    error.kind = ErrorKind::kConnection;
    error.code = "SLU-2108";
    error.message = "the slot can no longer be read from: " + slot;
    error.advice = "WAL it needs was removed, or it belongs to another database: `sluice slots`";
  }
  return error;
}

}  // namespace

std::optional<Error> SkippedPublication(const Notice& notice) {
  // The function's name is not translated, the text is.
  if (notice.severity != "WARNING" || notice.source_function != "LoadPublications") {
    return std::nullopt;
  }
  return Error{.kind = ErrorKind::kProtocol,
               .message =
                   "the publication did not exist at a point of the WAL that is still to be "
                   "read: the server leaves those changes out",
               .server_message = notice.message,
               .sqlstate = notice.sqlstate,
               .code = "SLU-2110",
               .advice = "`sluice run` with --on-lost-slot resync or repair makes it anew"};
}

Error RefineStreamError(Error error) {
  if (error.sqlstate.empty() || error.kind == ErrorKind::kConnection) return error;
  if (error.kind == ErrorKind::kTimeout) {
    error.kind = ErrorKind::kConnection;
    return error;
  }
  if (error.sqlstate == "42704") {
    error.code = "SLU-2037";
    error.message = "the publication does not exist, or did not at that point of the WAL";
    error.advice = "`sluice run` with --on-lost-slot resync or repair makes it anew";
    return error;
  }
  error.kind = ErrorKind::kConfig;
  error.code = "SLU-2111";
  error.message = "the server cannot decode its log: SQLSTATE " + error.sqlstate;
  return error;
}

Error StreamEnded(std::optional<Error> said) {
  if (said) {
    if (said->kind == ErrorKind::kConnection) said->code = "SLU-2109";
    return RefineStreamError(*std::move(said));
  }
  return Error{.kind = ErrorKind::kConnection,
               .message = "the server ended the replication stream",
               .code = "SLU-2109",
               .advice = "it shuts down, most likely; Sluice connects again by itself"};
}

Error NoStreamInTime(const std::stop_token& stop) {
  const bool is_stop = stop.stop_requested();
  return Error{.kind = is_stop ? ErrorKind::kCancelled : ErrorKind::kTimeout,
               .message = "the server did not start the stream in time",
               .code = is_stop ? "" : "SLU-2008"};
}

Error NoStream() {
  return Error{.kind = ErrorKind::kProtocol,
               .message = "the server did not answer START_REPLICATION with a stream",
               .code = "SLU-2019"};
}

std::string StartReplicationSql(const StreamOptions& options) {
  std::string sql = "START_REPLICATION SLOT " + QuoteIdentifier(options.slot) + " LOGICAL " +
                    ToString(options.start_lsn) + " (proto_version '2', publication_names " +
                    QuotePublicationNames(options.publications);
  if (options.is_binary) sql += ", binary 'true'";
  if (options.is_streaming) sql += ", streaming 'on'";
  if (options.with_messages) sql += ", messages 'true'";
  return sql + ")";
}

/// So much of a transaction the server holds before it gives what it has: its first rows come while
/// it is written, and the server needs that memory only. A lower limit of its own stays.
constexpr std::string_view kPiecesSql =
    "SELECT set_config('logical_decoding_work_mem', '24MB', false) "
    "WHERE pg_size_bytes(current_setting('logical_decoding_work_mem')) > 25165824";

ReplicationStream::ReplicationStream(std::unique_ptr<Source> source) : source_(std::move(source)) {}
ReplicationStream::~ReplicationStream() = default;
ReplicationStream::ReplicationStream(ReplicationStream&&) noexcept = default;
ReplicationStream& ReplicationStream::operator=(ReplicationStream&&) noexcept = default;

Result<ReplicationStream> ReplicationStream::Start(Connection connection,
                                                   const StreamOptions& options,
                                                   std::stop_token stop) {
  if (!options.start_lsn.is_valid()) {
    return Error{.kind = ErrorKind::kInvalidArgument,
                 .message = "a stream never starts at 0/0",
                 .code = "SLU-9001"};
  }
  if (options.is_streaming)
    SLUICE_RETURN_IF_ERROR(connection.Exec("set up the stream", kPiecesSql));
  (void)connection.TakeNotices();
  std::unique_ptr<Source> source;
  if (options.may_read_raw && !connection.is_encrypted()) {
    source = std::make_unique<RawSource>(std::move(connection));
  } else {
    source = std::make_unique<LibpqSource>(std::move(connection));
  }
  Status begun = source->Begin(StartReplicationSql(options), Clock::now() + kStartTimeout, stop);
  if (!begun) return RefineStartError(std::move(begun).error(), options.slot);
  return ReplicationStream(std::move(source));
}

// false: the deadline or a stop came first.
Result<bool> ReplicationStream::Wait(Clock::time_point deadline, const std::stop_token& stop) {
  Source& s = *source_;
  const bool is_high = s.policy.mode() == WakePolicy::Mode::kHigh;
  s.low_water.Set(is_high ? static_cast<int>(WakePolicy::kHighBytes) : 1);
  const Clock::time_point until =
      is_high ? std::min(deadline, Clock::now() + s.policy.high_wait()) : deadline;
  const Readiness ready =
      WaitSocket(PQsocket(s.connection.native()),
                 {.readable = !s.policy.naps(), .writable = s.has_unsent}, until, stop);
  ++s.wake_ups;
  if (ready == Readiness::kStopped) return false;
  const bool timed_out = ready == Readiness::kDeadline;
  if (timed_out && !is_high) return false;
  // In high mode something may be there below the mark: read whatever it is. Nobody waits on a
  // raised mark meanwhile: the socket is non-blocking.
  if (s.has_unsent) SLUICE_RETURN_IF_ERROR(Flush());
  SLUICE_RETURN_IF_ERROR(s.Receive());
  s.policy.OnWake(Clock::now(), timed_out, s.bytes_since_wait);
  s.bytes_since_wait = 0;
  return true;
}

Result<std::optional<ReplicationStream::Message>> ReplicationStream::Read(
    Clock::time_point deadline, const std::stop_token& stop) {
  Source& s = *source_;
  const bool may_ask_socket = deadline != Clock::time_point{};
  bool has_waited = false;
  while (true) {
    Result<std::optional<Message>> message = s.Take();
    if (!message) return message;
    if (message->has_value()) {
      s.bytes_since_wait += (*message)->size();
      s.received_bytes += (*message)->size();
      return message;
    }
    if (!may_ask_socket || (has_waited && Clock::now() >= deadline)) return message;
    has_waited = true;
    SLUICE_ASSIGN_OR_RETURN(const bool has_input, Wait(deadline, stop));
    if (stop.stop_requested()) {
      return Error{.kind = ErrorKind::kCancelled, .message = "stopped while reading the stream"};
    }
    if (!has_input) return std::optional<Message>();
  }
}

Status ReplicationStream::Send(Message update) {
  if (!source_->connection.is_alive()) return source_->connection.LastError(kSending);
  SLUICE_RETURN_IF_ERROR(source_->Send(update));
  SLUICE_RETURN_IF_ERROR(Flush());
  return {};
}

Result<bool> ReplicationStream::Flush() {
  SLUICE_ASSIGN_OR_RETURN(const bool is_sent, source_->Flush());
  source_->has_unsent = !is_sent;
  return is_sent;
}

Status ReplicationStream::FlushUntil(Clock::time_point deadline) {
  while (true) {
    SLUICE_ASSIGN_OR_RETURN(const bool is_sent, Flush());
    if (is_sent) return {};
    if (WaitSocket(PQsocket(source_->connection.native()), {.readable = false, .writable = true},
                   deadline, {}) != Readiness::kReady) {
      return Error{.kind = ErrorKind::kTimeout,
                   .message = "the last status update could not be sent in time",
                   .code = "SLU-2008"};
    }
  }
}

void ReplicationStream::Close(Duration timeout) {
  Source& s = *source_;
  s.low_water.Set(1);
  if (!s.connection.is_alive()) return;
  s.Close(Clock::now() + timeout);
  s.connection.Break();
}

const Connection& ReplicationStream::connection() const {
  return source_->connection;
}
std::uint64_t ReplicationStream::received_bytes() const {
  return source_->received_bytes;
}
std::uint64_t ReplicationStream::wake_ups() const {
  return source_->wake_ups;
}

Status ReplicationStream::LibpqSource::Begin(const std::string& sql, Clock::time_point deadline,
                                             const std::stop_token& stop) {
  SLUICE_RETURN_IF_ERROR(connection.Start(kStarting, sql));
  SLUICE_ASSIGN_OR_RETURN(const std::optional<QueryResult> started,
                          connection.Poll(deadline, stop));
  if (!started) {
    connection.Break();
    return NoStreamInTime(stop);
  }
  return started->status() == PGRES_COPY_BOTH ? Status() : Status(NoStream());
}

Status ReplicationStream::LibpqSource::CheckNotices() {
  const std::vector<Notice>& notices = connection.notices();
  for (; notices_seen_ < notices.size(); ++notices_seen_) {
    if (auto skipped = SkippedPublication(notices[notices_seen_])) return *std::move(skipped);
  }
  // Others are not worth keeping for the length of a stream.
  if (notices_seen_ > 0) {
    (void)connection.TakeNotices();
    notices_seen_ = 0;
  }
  return {};
}

// PQgetCopyData said that no more data comes: an error, or the server ended the stream.
Error ReplicationStream::LibpqSource::End() {
  auto result = connection.Poll(Clock::now() + 5s);
  return StreamEnded(result ? std::nullopt : std::optional(std::move(result).error()));
}

Result<std::optional<ReplicationStream::Message>> ReplicationStream::LibpqSource::Take() {
  char* data = nullptr;
  const int size = PQgetCopyData(connection.native(), &data, 1);
  message_.reset(data);
  if (!connection.notices().empty()) [[unlikely]]
    SLUICE_RETURN_IF_ERROR(CheckNotices());
  if (size == -2) return RefineStreamError(connection.LastError(kReadingStream));
  if (size < 0) return End();
  if (size == 0) return std::optional<Message>();
  return std::optional(Message(reinterpret_cast<const std::byte*>(data),  // NOLINT: bytes are chars
                               static_cast<std::size_t>(size)));
}

Status ReplicationStream::LibpqSource::Receive() {
  if (PQconsumeInput(connection.native()) != 0) return {};
  return RefineStreamError(connection.LastError(kReadingStream));
}

Status ReplicationStream::LibpqSource::Send(Message update) {
  const auto* bytes = reinterpret_cast<const char*>(update.data());  // NOLINT: bytes are chars
  // 0: libpq's own buffer cannot grow just now; a status update is never needed that badly.
  if (PQputCopyData(connection.native(), bytes, static_cast<int>(update.size())) >= 0) return {};
  return connection.LastError(kSending);
}

Result<bool> ReplicationStream::LibpqSource::Flush() {
  const int unsent = PQflush(connection.native());
  if (unsent < 0) return connection.LastError(kSending);
  return unsent == 0;
}

void ReplicationStream::LibpqSource::Close(Clock::time_point deadline) {
  PGconn* const native = connection.native();
  if (PQputCopyEnd(native, nullptr) < 0) return;
  do {
    const int unsent = PQflush(native);
    if (unsent < 0) return;
    char* data = nullptr;
    const int size = PQgetCopyData(native, &data, 1);
    message_.reset(data);
    if (size < 0) return;
    if (size > 0) continue;
    if (WaitSocket(PQsocket(native), {.writable = unsent > 0}, deadline, {}) != Readiness::kReady ||
        PQconsumeInput(native) == 0) {
      return;
    }
  } while (Clock::now() < deadline);
}

}  // namespace sluice::postgres
