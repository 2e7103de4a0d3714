#include "postgres/replication_stream.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "postgres/quote.h"
#include "postgres/receive_low_water.h"
#include "postgres/socket_wait.h"
#include "postgres/wake_policy.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Duration kStartTimeout = 60s;
constexpr std::string_view kDoing = "read the replication stream";

// 18 goes on without a publication that is not there at that point of the WAL, and says so only in
// a warning. The function's name is not translated, the text is.
bool IsSkippedPublication(const Notice& notice) {
  return notice.severity == "WARNING" && notice.source_function == "LoadPublications";
}

Error SkippedPublication(const Notice& notice) {
  return Error{.kind = ErrorKind::kProtocol,
               .message =
                   "the publication did not exist at a point of the WAL that is still to be "
                   "read: the server leaves those changes out",
               .server_message = notice.message,
               .sqlstate = notice.sqlstate,
               .code = "SLU-2110",
               .advice = "`sluice run` with --on-lost-slot resync or repair makes it anew"};
}

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

}  // namespace

std::string StartReplicationSql(const StreamOptions& options) {
  std::string sql = "START_REPLICATION SLOT " + QuoteIdentifier(options.slot) + " LOGICAL " +
                    ToString(options.start_lsn) + " (proto_version '2', publication_names " +
                    QuotePublicationNames(options.publications);
  if (options.is_binary) sql += ", binary 'true'";
  if (options.is_streaming) sql += ", streaming 'on'";
  if (options.with_messages) sql += ", messages 'true'";
  return sql + ")";
}

struct ReplicationStream::State {
  explicit State(Connection opened)
      : connection(std::move(opened)), low_water(PQsocket(connection.native())) {}

  Connection connection;
  ReceiveLowWater low_water;
  WakePolicy policy;
  MemoryHandle message;
  std::size_t notices_seen = 0;
  std::size_t bytes_since_wait = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t wake_ups = 0;
  bool has_unsent = false;

  PGconn* native() const { return connection.native(); }
  Status CheckNotices();
  Error End();
  Result<bool> Wait(Clock::time_point deadline, const std::stop_token& stop);
};

ReplicationStream::ReplicationStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
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
  (void)connection.TakeNotices();
  SLUICE_RETURN_IF_ERROR(connection.Start("start replication", StartReplicationSql(options)));
  auto started = connection.Poll(Clock::now() + kStartTimeout, stop);
  if (!started) return RefineStartError(std::move(started).error(), options.slot);
  if (!*started) {
    connection.Break();
    const bool is_stop = stop.stop_requested();
    return Error{.kind = is_stop ? ErrorKind::kCancelled : ErrorKind::kTimeout,
                 .message = "the server did not start the stream in time",
                 .code = is_stop ? "" : "SLU-2008"};
  }
  if ((*started)->status() != PGRES_COPY_BOTH) {
    return Error{.kind = ErrorKind::kProtocol,
                 .message = "the server did not answer START_REPLICATION with a stream",
                 .code = "SLU-2019"};
  }
  return ReplicationStream(std::make_unique<State>(std::move(connection)));
}

Status ReplicationStream::State::CheckNotices() {
  const std::vector<Notice>& notices = connection.notices();
  for (; notices_seen < notices.size(); ++notices_seen) {
    if (IsSkippedPublication(notices[notices_seen])) {
      return SkippedPublication(notices[notices_seen]);
    }
  }
  // Others are not worth keeping for the length of a stream.
  if (notices_seen > 0) {
    (void)connection.TakeNotices();
    notices_seen = 0;
  }
  return {};
}

// PQgetCopyData said that no more data comes: an error, or the server ended the stream.
Error ReplicationStream::State::End() {
  const auto result = connection.Poll(Clock::now() + 5s);
  if (!result) {
    Error error = result.error();
    if (error.kind == ErrorKind::kConnection) error.code = "SLU-2109";
    return RefineStreamError(std::move(error));
  }
  return Error{.kind = ErrorKind::kConnection,
               .message = "the server ended the replication stream",
               .code = "SLU-2109",
               .advice = "it shuts down, most likely; Sluice connects again by itself"};
}

// false: the deadline or a stop came first.
Result<bool> ReplicationStream::State::Wait(Clock::time_point deadline,
                                            const std::stop_token& stop) {
  const bool is_high = policy.mode() == WakePolicy::Mode::kHigh && low_water.is_effective();
  low_water.Set(is_high ? static_cast<int>(WakePolicy::kHighBytes) : 1);
  const Clock::time_point until =
      is_high ? std::min(deadline, Clock::now() + WakePolicy::kHighWait) : deadline;
  const Readiness ready = WaitSocket(PQsocket(native()), {.writable = has_unsent}, until, stop);
  ++wake_ups;
  if (ready == Readiness::kStopped) return false;
  const bool timed_out = ready == Readiness::kDeadline;
  if (timed_out && !is_high) return false;
  // In high mode something may be there below the mark: read whatever it is. libpq must not wait
  // on a raised mark, and it does not: the socket is non-blocking.
  if (has_unsent) {
    const int unsent = PQflush(native());
    if (unsent < 0) return connection.LastError(kDoing);
    has_unsent = unsent > 0;
  }
  if (PQconsumeInput(native()) == 0) {
    return RefineStreamError(connection.LastError(kDoing));
  }
  policy.OnWake(Clock::now(), timed_out, bytes_since_wait);
  bytes_since_wait = 0;
  return true;
}

Result<std::optional<ReplicationStream::Message>> ReplicationStream::Read(
    Clock::time_point deadline, const std::stop_token& stop) {
  State& s = *state_;
  s.message.reset();
  const bool may_ask_socket = deadline != Clock::time_point{};
  bool has_waited = false;
  while (true) {
    char* data = nullptr;
    const int size = PQgetCopyData(s.native(), &data, 1);
    if (!s.connection.notices().empty()) [[unlikely]] {
      s.message.reset(data);
      SLUICE_RETURN_IF_ERROR(s.CheckNotices());
    }
    if (size > 0) {
      if (s.message.get() != data) s.message.reset(data);
      const auto bytes = static_cast<std::size_t>(size);
      s.bytes_since_wait += bytes;
      s.received_bytes += bytes;
      return std::optional(
          Message(reinterpret_cast<const std::byte*>(data), bytes));  // NOLINT: bytes are chars
    }
    if (size == -2) return RefineStreamError(s.connection.LastError(kDoing));
    if (size < 0) return s.End();
    if (!may_ask_socket || (has_waited && Clock::now() >= deadline))
      return std::optional<Message>();
    has_waited = true;
    SLUICE_ASSIGN_OR_RETURN(const bool has_input, s.Wait(deadline, stop));
    if (stop.stop_requested()) {
      return Error{.kind = ErrorKind::kCancelled, .message = "stopped while reading the stream"};
    }
    if (!has_input) return std::optional<Message>();
  }
}

Status ReplicationStream::Send(Message update) {
  State& s = *state_;
  if (!s.connection.is_alive()) return s.connection.LastError("send a status update");
  const auto* bytes = reinterpret_cast<const char*>(update.data());  // NOLINT: bytes are chars
  const int queued = PQputCopyData(s.native(), bytes, static_cast<int>(update.size()));
  if (queued < 0) return s.connection.LastError("send a status update");
  // 0: libpq's own buffer cannot grow just now; a status update is never needed that badly.
  const auto flushed = Flush();
  if (!flushed) return flushed.error();
  return {};
}

Result<bool> ReplicationStream::Flush() {
  State& s = *state_;
  const int unsent = PQflush(s.native());
  if (unsent < 0) return s.connection.LastError("send a status update");
  s.has_unsent = unsent > 0;
  return !s.has_unsent;
}

Status ReplicationStream::FlushUntil(Clock::time_point deadline) {
  while (true) {
    SLUICE_ASSIGN_OR_RETURN(const bool is_sent, Flush());
    if (is_sent) return {};
    if (WaitSocket(PQsocket(state_->native()), {.readable = false, .writable = true}, deadline,
                   {}) != Readiness::kReady) {
      return Error{.kind = ErrorKind::kTimeout,
                   .message = "the last status update could not be sent in time",
                   .code = "SLU-2008"};
    }
  }
}

void ReplicationStream::Close(Duration timeout) {
  State& s = *state_;
  s.low_water.Set(1);
  if (!s.connection.is_alive()) return;
  const Clock::time_point deadline = Clock::now() + timeout;
  if (PQputCopyEnd(s.native(), nullptr) < 0) return;
  while (true) {
    const int unsent = PQflush(s.native());
    if (unsent < 0) break;
    char* data = nullptr;
    const int size = PQgetCopyData(s.native(), &data, 1);
    if (size > 0) PQfreemem(data);
    if (size < 0) break;
    if (size == 0) {
      if (WaitSocket(PQsocket(s.native()), {.writable = unsent > 0}, deadline, {}) !=
              Readiness::kReady ||
          PQconsumeInput(s.native()) == 0) {
        break;
      }
    }
    if (Clock::now() >= deadline) break;
  }
  s.connection.Break();
}

const Connection& ReplicationStream::connection() const {
  return state_->connection;
}
std::uint64_t ReplicationStream::received_bytes() const {
  return state_->received_bytes;
}
std::uint64_t ReplicationStream::wake_ups() const {
  return state_->wake_ups;
}

}  // namespace sluice::postgres
