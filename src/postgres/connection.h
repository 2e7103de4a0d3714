/// \file
/// One session with the source: connecting with a deadline, statements with a deadline, errors with
/// a code.
///
/// The session is pinned against what a role, a database or the environment sets: client_encoding
/// UTF8, datestyle ISO, intervalstyle postgres, extra_float_digits 3, bytea_output hex, timezone
/// UTC, search_path pg_catalog, row_security off, lc_monetary C, read-write, and no server-side
/// timeouts. It is read back after connecting; what a pooler swallowed is set again, and refused
/// where it does not stay.
///
/// Thread safety: one object, one thread. A moved-from object may only be destroyed or assigned.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"
#include "sluice/time.h"

#include "postgres/query_result.h"
#include "postgres/source_url.h"
#include "postgres/sql_error.h"

namespace sluice::postgres {

struct ConnectOptions {
  /// application_name is sluice/<pipeline>/<role>, cut to 63 bytes.
  std::string pipeline;
  std::string role = "control";
  /// A walsender on the database: replication commands, and SQL by the simple protocol only.
  bool is_replication = false;
  Duration connect_timeout = std::chrono::seconds(10);
  /// Default deadline of Exec().
  Duration statement_timeout = std::chrono::seconds(60);
  /// Ends a statement that is given no stop of its own: kCancelled, and nothing more is run.
  std::stop_token stop = {};
  /// SQL_ASCII databases cannot be read as UTF-8; `check` looks at them all the same.
  bool accept_sql_ascii = false;
};

struct ExecOptions {
  /// 0: the connection's statement_timeout. Duration::max(): none.
  Duration timeout = Duration::zero();
  std::stop_token stop = {};
};

/// A NOTICE or WARNING.
using Notice = ServerMessage;

class Connection {
 public:
  /// Connects, authenticates, pins and checks the session.
  ///
  /// Errors: kConfig (URL, host name, database, TLS, encoding), kAuth, kConnection (refused, no
  /// connection free, starting up), kTimeout, kCancelled.
  static Result<Connection> Open(const SourceUrl& url, const ConnectOptions& options,
                                 std::stop_token stop = {});

  ~Connection();
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;

  /// Runs one statement and waits for its rows (text form).
  ///
  /// With parameters by the extended protocol ($1..., text form; not on replication connections),
  /// else by the simple one. On deadline or stop the statement is cancelled and the session stays
  /// usable; where the server does not answer the cancel within 5 s the connection is broken.
  ///
  /// \param doing what it is for, lower case, for the error: "read the catalog".
  /// Errors: by SQLSTATE (sql_error.h); kTimeout SLU-2008; kCancelled; kConnection SLU-2007.
  Result<QueryResult> Exec(std::string_view doing, std::string_view sql,
                           const std::vector<std::string>& parameters = {},
                           const ExecOptions& options = {});

  /// Starts a statement by the simple protocol and returns at once; Poll() tells when it is done.
  Status Start(std::string_view doing, std::string_view sql);
  /// nullopt: still running at `until`.
  Result<std::optional<QueryResult>> Poll(Clock::time_point until, std::stop_token stop = {});
  /// Asks the server to stop what runs, and waits up to 5 s until it has. Not an error when nothing
  /// runs. Errors: kConnection: the session is broken.
  Status Cancel();
  /// Sends the request alone, and waits at most 5 s for it to arrive; Cancel()'s first half.
  void RequestCancel();

  /// Where to write: this session, or, of a server in recovery, a session with its primary, which
  /// is opened at the first call (not within a transaction) and kept.
  /// Errors: kUnsupported SLU-2047 (no primary is known), kConfig SLU-2056 (it is no primary, or
  /// another system's), of Open().
  Result<Connection*> ForWriting();
  /// The server was in recovery when it last said.
  bool is_standby() const { return parameter("in_hot_standby") == "on"; }

  /// server_version_num: 140023, 170010.
  int server_version() const;
  bool is_replication() const;
  bool is_encrypted() const;
  int backend_pid() const;
  /// Of ParameterStatus: "server_encoding", "in_hot_standby", ...; empty: not reported.
  std::string parameter(const char* name) const;
  /// The transport works as far as known.
  bool is_alive() const;
  bool is_in_transaction() const;
  const SourceUrl& url() const;
  const ConnectOptions& options() const;
  Duration statement_timeout() const;

  /// Notices since the last call, at most 100 are kept.
  std::vector<Notice> TakeNotices();

  const std::vector<Notice>& notices() const;
  /// For who reads the socket in libpq's place.
  void AddNotice(Notice notice);

  /// For the files of this folder only. nullptr: broken.
  PGconn* native() const;
  /// Closes the socket at once; is_alive() is false from here on.
  void Break();
  /// The error of what libpq did last.
  Error LastError(std::string_view doing) const;

 private:
  struct State;
  explicit Connection(std::unique_ptr<State> state);
  Status CheckStatement(std::string_view doing, std::string_view sql);
  /// false: not before `until` or the stop.
  Result<bool> AwaitResult(Clock::time_point until, const std::stop_token& stop);
  std::unique_ptr<State> state_;
  std::unique_ptr<Connection> primary_;  ///< of ForWriting()
};

/// BEGIN ... and ROLLBACK at the end of the scope unless Commit() was called.
class Transaction {
 public:
  /// \param mode e.g. "ISOLATION LEVEL REPEATABLE READ READ ONLY"; may be empty.
  static Result<Transaction> Begin(Connection& connection, std::string_view mode = "");
  ~Transaction();
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;

  Status Commit();
  /// After this the destructor does nothing.
  void Release() { connection_ = nullptr; }

 private:
  explicit Transaction(Connection& connection) : connection_(&connection) {}
  Connection* connection_;  // Must outlive this.
};

}  // namespace sluice::postgres
