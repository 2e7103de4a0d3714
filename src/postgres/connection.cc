#include "postgres/connection.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <map>
#include <optional>
#include <thread>

#include "base/units.h"
#include "postgres/session_settings.h"
#include "postgres/socket_wait.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Duration kCancelWait = 5s;
constexpr std::size_t kNoticesMax = 100;
/// libpq keeps what comes, until it is complete. Of what a server may say before the first
/// statement, and of an answer; a row in rows takes more in memory than on the wire.
constexpr std::size_t kGreetingBytesMax = std::size_t{16} << 20;
constexpr std::size_t kAnswerBytesMax = std::size_t{256} << 20;
constexpr std::size_t kApplicationNameMax = 63;
constexpr int kOldestVersion = 140000;

std::string Field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? std::string() : std::string(text);
}

ServerMessage ReadMessage(const PGresult* result) {
  return {.severity = Field(result, PG_DIAG_SEVERITY_NONLOCALIZED),
          .sqlstate = Field(result, PG_DIAG_SQLSTATE),
          .message = Field(result, PG_DIAG_MESSAGE_PRIMARY),
          .detail = Field(result, PG_DIAG_MESSAGE_DETAIL),
          .hint = Field(result, PG_DIAG_MESSAGE_HINT),
          .context = Field(result, PG_DIAG_CONTEXT),
          .source_function = Field(result, PG_DIAG_SOURCE_FUNCTION)};
}

void KeepNotice(void* notices, const PGresult* result) {
  auto* list = static_cast<std::vector<Notice>*>(notices);
  if (list->size() < kNoticesMax) list->push_back(ReadMessage(result));
}

Error Cancelled(std::string_view doing) {
  return Error{.kind = ErrorKind::kCancelled, .message = "stopped while: " + std::string(doing)};
}

Error TimedOut(std::string_view doing) {
  return Error{.kind = ErrorKind::kTimeout,
               .message = "cannot " + std::string(doing) + " in time",
               .code = "SLU-2008",
               .advice = "see what the server waits for in pg_stat_activity"};
}

Clock::time_point DeadlineAfter(Duration timeout) {
  const Clock::time_point now = Clock::now();
  return timeout >= Clock::time_point::max() - now ? Clock::time_point::max() : now + timeout;
}

std::vector<std::string> SplitList(std::string_view list) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t comma = list.find(',');
    parts.emplace_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

using Keywords = std::map<std::string, std::string>;

// Several hosts are tried here one after the other, each with its own deadline: libpq's
// asynchronous connect knows none.
std::vector<Keywords> Candidates(const SourceUrl& url) {
  std::vector<Keywords> out;
  const std::vector<std::string> hosts = SplitList(url.host());
  const std::vector<std::string> ports = SplitList(url.port());
  if (hosts.size() == 1 || url.keywords().contains("hostaddr")) return {url.keywords()};
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    Keywords one = url.keywords();
    one["host"] = hosts[i];
    one["port"] = i < ports.size() ? ports[i] : ports.front();
    out.push_back(std::move(one));
  }
  return out;
}

Keywords WithSessionKeywords(Keywords keywords, const ConnectOptions& options, bool with_options) {
  // The role is read again by who looks for a session of its own; a long pipeline's name is cut.
  const std::size_t room = kApplicationNameMax - std::string_view("sluice//").size();
  const std::string role = options.role.substr(0, room);
  keywords["application_name"] =
      "sluice/" + options.pipeline.substr(0, room - role.size()) + "/" + role;
  keywords["client_encoding"] = "UTF8";
  if (options.is_replication) keywords["replication"] = "database";
  // A dead peer is noticed within a minute whichever side was to speak next.
  keywords.emplace("keepalives_idle", "30");
  keywords.emplace("keepalives_interval", "10");
  keywords.emplace("keepalives_count", "3");
  keywords.emplace("tcp_user_timeout", "30000");
  if (with_options) keywords["options"] = StartupOptions(keywords["options"]);
  if (keywords["options"].empty()) keywords.erase("options");
  return keywords;
}

Error Endless(std::string_view doing, std::size_t limit) {
  return Error{.kind = ErrorKind::kProtocol,
               .message = "cannot " + std::string(doing) + ": the server's answer has more than " +
                          base::FormatSize(limit),
               .code = "SLU-2019"};
}

Status AwaitConnected(PGconn* connection, const SourceUrl& url, Clock::time_point deadline,
                      const std::stop_token& stop) {
  PostgresPollingStatusType polling = PGRES_POLLING_WRITING;
  std::size_t received = 0;
  while (polling != PGRES_POLLING_OK) {
    if (polling == PGRES_POLLING_FAILED || PQstatus(connection) == CONNECTION_BAD) {
      return ErrorFromConnect(PQerrorMessage(connection),
                              {.redacted_url = url.redacted(),
                               .ssl_mode = url.ssl_mode(),
                               .is_ssl_mode_ours = url.is_ssl_mode_ours()});
    }
    const WaitFor what{.readable = polling == PGRES_POLLING_READING,
                       .writable = polling == PGRES_POLLING_WRITING};
    Readiness ready = WaitSocket(PQsocket(connection), what, deadline, stop);
    if (Clock::now() >= deadline) ready = Readiness::kDeadline;  // whatever goes on coming
    switch (ready) {
      case Readiness::kReady:
        received += WaitingBytes(PQsocket(connection));
        break;
      case Readiness::kStopped:
        return Cancelled("connect to " + url.redacted());
      case Readiness::kDeadline:
        return Error{.kind = ErrorKind::kTimeout,
                     .message = "the source does not answer: " + url.redacted(),
                     .code = "SLU-2002",
                     .advice = "check host and port, and the firewall"};
    }
    if (received > kGreetingBytesMax)
      return Endless("connect to " + url.redacted(), kGreetingBytesMax);
    polling = PQconnectPoll(connection);
  }
  return {};
}

Result<ConnectionHandle> Connect(const SourceUrl& url, const Keywords& keywords,
                                 const ConnectOptions& options, const std::stop_token& stop) {
  std::vector<const char*> keys;
  std::vector<const char*> values;
  for (const auto& [key, value] : keywords) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  // No expand_dbname: a database called "host=..." is a name, not another connection string.
  ConnectionHandle connection(PQconnectStartParams(keys.data(), values.data(), 0));
  if (connection == nullptr) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "out of memory while connecting",
                 .code = "SLU-2002"};
  }
  // The SQLSTATE of a refused connection is only in the verbose text.
  PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
  SLUICE_RETURN_IF_ERROR(
      AwaitConnected(connection.get(), url, DeadlineAfter(options.connect_timeout), stop));
  PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
  if (PQsetnonblocking(connection.get(), 1) != 0) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "cannot make the socket non-blocking",
                 .code = "SLU-2002"};
  }
  return connection;
}

// A server that is not there, or only one of several that is wrong: the next host may do.
bool MayTryNextHost(const Error& error) {
  return error.kind == ErrorKind::kConnection || error.kind == ErrorKind::kTimeout ||
         error.code == "SLU-2003";
}

Result<ConnectionHandle> ConnectAnywhere(const SourceUrl& url, const ConnectOptions& options,
                                         const std::stop_token& stop) {
  std::optional<Error> last;
  for (const Keywords& candidate : Candidates(url)) {
    auto connected = Connect(url, WithSessionKeywords(candidate, options, true), options, stop);
    if (!connected &&
        connected.error().server_message.find("startup parameter") != std::string::npos) {
      // A pooler that takes no options: set and checked after connecting instead.
      connected = Connect(url, WithSessionKeywords(candidate, options, false), options, stop);
    }
    if (connected) return connected;
    const bool go_on = MayTryNextHost(connected.error());
    last = std::move(connected).error();
    if (!go_on) break;
  }
  return *std::move(last);
}

}  // namespace

struct Connection::State {
  State(SourceUrl source, ConnectOptions wanted)
      : url(std::move(source)), options(std::move(wanted)) {}

  SourceUrl url;
  ConnectOptions options;
  std::vector<Notice> notices;  // before `connection`, which writes to it
  ConnectionHandle connection;
  std::string doing;             // of the statement that runs
  std::size_t answer_bytes = 0;  // it had so far
  ResultHandle last_result;      // of its results so far
  std::optional<Error> failure;  // the first of them
};

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::~Connection() = default;
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;

namespace {

// Statements that bring the settings in force to the pinned ones; empty: they are.
std::string Repairs(const QueryResult& in_force, int server_version) {
  std::string sql;
  for (const PinnedSetting& setting : PinnedSettings()) {
    if (server_version < setting.first_version) continue;
    bool is_as_pinned = false;
    for (std::size_t row = 0; row < in_force.row_count(); ++row) {
      if (in_force.text(row, 0) == setting.name) {
        is_as_pinned = IsAsPinned(setting, in_force.text(row, 1));
      }
    }
    if (is_as_pinned) continue;
    const bool is_list = setting.name == "search_path";
    sql.append("SET ").append(setting.name).append(is_list ? " TO " : " TO '");
    sql.append(setting.value).append(is_list ? ";" : "';");
  }
  return sql;
}

Status PinSession(Connection& connection) {
  const std::string query = PinnedSettingsQuery();
  for (int attempt = 0; attempt < 2; ++attempt) {
    SLUICE_ASSIGN_OR_RETURN(const QueryResult in_force,
                            connection.Exec("read the session's settings", query));
    const std::string repairs = Repairs(in_force, connection.server_version());
    if (repairs.empty()) return {};
    SLUICE_RETURN_IF_ERROR(connection.Exec("set the session's settings", repairs));
  }
  SLUICE_ASSIGN_OR_RETURN(const QueryResult in_force,
                          connection.Exec("read the session's settings", query));
  if (Repairs(in_force, connection.server_version()).empty()) return {};
  return Error{.kind = ErrorKind::kConfig,
               .message = "session settings do not stay as set",
               .code = "SLU-2011",
               .advice = "connect to the server itself, not through a pooler"};
}

Status CheckServer(const Connection& connection, const ConnectOptions& options) {
  if (connection.server_version() < kOldestVersion) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "the server is older than PostgreSQL 14: version " +
                            connection.parameter("server_version"),
                 .code = "SLU-2014",
                 .advice = "upgrade the source to PostgreSQL 14 or newer"};
  }
  if (connection.parameter("server_encoding") == "SQL_ASCII" && !options.accept_sql_ascii) {
    return Error{.kind = ErrorKind::kConfig,
                 .message =
                     "the database's encoding is SQL_ASCII, which says nothing about its "
                     "bytes: they cannot be read as text without guessing",
                 .code = "SLU-2012",
                 .advice = "dump it and restore it into a database with ENCODING 'UTF8'"};
  }
  return {};
}

}  // namespace

Result<Connection> Connection::Open(const SourceUrl& url, const ConnectOptions& options,
                                    std::stop_token stop) {
  auto state = std::make_unique<State>(url, options);
  SLUICE_ASSIGN_OR_RETURN(state->connection, ConnectAnywhere(url, options, stop));
  PQsetNoticeReceiver(state->connection.get(), KeepNotice, &state->notices);
  Connection connection(std::move(state));
  SLUICE_RETURN_IF_ERROR(CheckServer(connection, options));
  SLUICE_RETURN_IF_ERROR(PinSession(connection));
  return connection;
}

Result<QueryResult> Connection::Exec(std::string_view doing, std::string_view sql,
                                     const std::vector<std::string>& parameters,
                                     const ExecOptions& options) {
  if (parameters.empty()) {
    SLUICE_RETURN_IF_ERROR(Start(doing, sql));
  } else {
    SLUICE_RETURN_IF_ERROR(CheckStatement(doing, sql));
    std::vector<const char*> values;
    values.reserve(parameters.size());
    for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
    if (PQsendQueryParams(native(), std::string(sql).c_str(), static_cast<int>(values.size()),
                          nullptr, values.data(), nullptr, nullptr, 0) == 0) {
      return LastError(doing);
    }
  }
  const Duration timeout =
      options.timeout == Duration::zero() ? statement_timeout() : options.timeout;
  const std::stop_token& stop = options.stop.stop_possible() ? options.stop : state_->options.stop;
  SLUICE_ASSIGN_OR_RETURN(auto result, Poll(DeadlineAfter(timeout), stop));
  if (result) return *std::move(result);
  const bool is_stopped = stop.stop_requested();
  const Status cancelled = Cancel();
  if (is_stopped) return Cancelled(doing);
  SLUICE_RETURN_IF_ERROR(cancelled);
  return TimedOut(doing);
}

Status Connection::CheckStatement(std::string_view doing, std::string_view sql) {
  if (!is_alive()) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "cannot " + std::string(doing) + ": the connection is broken",
                 .code = "SLU-2007"};
  }
  if (sql.find('\0') != std::string_view::npos) {
    return Error{.kind = ErrorKind::kInvalidArgument,
                 .message = "cannot " + std::string(doing) + ": a name holds a zero byte",
                 .code = "SLU-2013"};
  }
  state_->doing = doing;
  state_->answer_bytes = 0;
  state_->last_result.reset();
  state_->failure.reset();
  return {};
}

Status Connection::Start(std::string_view doing, std::string_view sql) {
  SLUICE_RETURN_IF_ERROR(CheckStatement(doing, sql));
  if (PQsendQuery(native(), std::string(sql).c_str()) == 0) return LastError(doing);
  return {};
}

Result<bool> Connection::AwaitResult(Clock::time_point until, const std::stop_token& stop) {
  while (true) {
    const int unsent = PQflush(native());
    if (unsent < 0) return LastError(state_->doing);
    if (unsent == 0 && PQisBusy(native()) == 0) return true;
    const Readiness ready = WaitSocket(PQsocket(native()), {.writable = unsent > 0}, until, stop);
    if (ready != Readiness::kReady) return false;
    state_->answer_bytes += WaitingBytes(PQsocket(native()));
    if (state_->answer_bytes > kAnswerBytesMax) {
      Break();
      return Endless(state_->doing, kAnswerBytesMax);
    }
    if (PQconsumeInput(native()) == 0) return LastError(state_->doing);
    if (Clock::now() >= until) return PQisBusy(native()) == 0;  // whatever goes on coming
  }
}

Result<std::optional<QueryResult>> Connection::Poll(Clock::time_point until, std::stop_token stop) {
  while (true) {
    SLUICE_ASSIGN_OR_RETURN(const bool is_ready, AwaitResult(until, stop));
    if (!is_ready) return std::optional<QueryResult>();
    ResultHandle result(PQgetResult(native()));
    if (result == nullptr) {
      if (state_->failure) return *std::exchange(state_->failure, std::nullopt);
      return std::optional(QueryResult(std::move(state_->last_result)));
    }
    switch (PQresultStatus(result.get())) {
      case PGRES_COPY_BOTH:
      case PGRES_COPY_OUT:
        return std::optional(QueryResult(std::move(result)));
      case PGRES_COPY_IN:
        return Error{.kind = ErrorKind::kProtocol,
                     .message = "the server waits for rows to copy in",
                     .code = "SLU-2019"};
      case PGRES_BAD_RESPONSE:
      case PGRES_FATAL_ERROR:
        if (!state_->failure) state_->failure = ErrorFrom(ReadMessage(result.get()), state_->doing);
        break;
      default:
        state_->last_result = std::move(result);
        break;
    }
  }
}

// PQcancel() opens a connection of its own and has no deadline: where nothing comes back it would
// wait for ever. Its thread is left behind then, holding a socket; beyond a few of them nobody is
// asked any more, and the server notices the closed connection when it next writes.
void Connection::RequestCancel() {
  constexpr int kLeftBehindMax = 8;
  static std::atomic<int> under_way{0};
  CancelHandle cancel(PQgetCancel(native()));
  if (cancel == nullptr) return;
  if (++under_way > kLeftBehindMax) {
    --under_way;
    return;
  }
  std::promise<void> sent;
  const std::future<void> has_been_sent = sent.get_future();
  std::thread([cancel = std::move(cancel), sent = std::move(sent)]() mutable {
    std::array<char, 256> words{};
    PQcancel(cancel.get(), words.data(), static_cast<int>(words.size()));
    --under_way;
    sent.set_value();
  }).detach();
  (void)has_been_sent.wait_for(kCancelWait);
}

Status Connection::Cancel() {
  if (PQtransactionStatus(native()) != PQTRANS_ACTIVE) return {};
  const Clock::time_point deadline = Clock::now() + kCancelWait;
  RequestCancel();
  while (true) {
    char* row = nullptr;
    int size = 0;
    while ((size = PQgetCopyData(native(), &row, 1)) > 0) PQfreemem(row);
    // 0: inside a COPY, and nothing of it is here yet.
    if (size != 0 && PQisBusy(native()) == 0) {
      const ResultHandle result(PQgetResult(native()));
      if (result == nullptr) return {};
      if (PQresultStatus(result.get()) != PGRES_COPY_IN) continue;
    } else if (Clock::now() < deadline &&
               WaitSocket(PQsocket(native()), {}, deadline, {}) == Readiness::kReady &&
               PQconsumeInput(native()) != 0) {
      continue;
    }
    Break();
    return Error{.kind = ErrorKind::kConnection,
                 .message = "the server did not end a cancelled statement in time",
                 .code = "SLU-2007"};
  }
}

int Connection::server_version() const {
  return PQserverVersion(native());
}
bool Connection::is_replication() const {
  return state_->options.is_replication;
}
bool Connection::is_encrypted() const {
  return PQsslInUse(native()) != 0 || PQgssEncInUse(native()) != 0;
}
int Connection::backend_pid() const {
  return PQbackendPID(native());
}
std::string Connection::parameter(const char* name) const {
  const char* value = PQparameterStatus(native(), name);
  return value == nullptr ? std::string() : std::string(value);
}
bool Connection::is_alive() const {
  return state_ != nullptr && state_->connection != nullptr && PQstatus(native()) == CONNECTION_OK;
}
bool Connection::is_in_transaction() const {
  const PGTransactionStatusType status = PQtransactionStatus(native());
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}
const SourceUrl& Connection::url() const {
  return state_->url;
}
const ConnectOptions& Connection::options() const {
  return state_->options;
}
Duration Connection::statement_timeout() const {
  return state_->options.statement_timeout;
}
std::vector<Notice> Connection::TakeNotices() {
  return std::exchange(state_->notices, {});
}
const std::vector<Notice>& Connection::notices() const {
  return state_->notices;
}

void Connection::AddNotice(Notice notice) {
  if (state_->notices.size() < kNoticesMax) state_->notices.push_back(std::move(notice));
}
PGconn* Connection::native() const {
  return state_->connection.get();
}

Error Connection::LastError(std::string_view doing) const {
  Error error = ErrorFrom({.message = PQerrorMessage(native())}, doing);
  return error;
}

void Connection::Break() {
  state_->connection.reset();
}

Result<Transaction> Transaction::Begin(Connection& connection, std::string_view mode) {
  std::string sql = "BEGIN";
  if (!mode.empty()) sql.append(" ").append(mode);
  SLUICE_RETURN_IF_ERROR(connection.Exec("begin a transaction", sql));
  return Transaction(connection);
}

Transaction::~Transaction() {
  if (connection_ != nullptr && connection_->is_alive()) {
    (void)connection_->Exec("roll back", "ROLLBACK");
  }
}

Transaction::Transaction(Transaction&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)) {}

Status Transaction::Commit() {
  Connection* connection = std::exchange(connection_, nullptr);
  auto result = connection->Exec("commit", "COMMIT");
  if (!result) return std::move(result).error();
  return {};
}

}  // namespace sluice::postgres
