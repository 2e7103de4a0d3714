#include "postgres/standby.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "postgres/server_facts.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReplayMax = 60s;
constexpr Duration kLookAgain = 5ms;

Error WrongPrimary(std::string message) {
  return Error{.kind = ErrorKind::kConfig,
               .message = std::move(message),
               .code = "SLU-2056",
               .advice = "--primary is the URL of the server that this standby follows"};
}

Status CheckPrimary(Connection& standby, Connection& primary) {
  if (primary.is_standby()) {
    return WrongPrimary("what --primary leads to is a standby itself: " + primary.url().redacted());
  }
  if (primary.url().database() != standby.url().database())
    return WrongPrimary("--primary names another database than the source");
  SLUICE_ASSIGN_OR_RETURN(const std::uint64_t theirs, ReadSystemIdentifier(primary));
  SLUICE_ASSIGN_OR_RETURN(const std::uint64_t ours, ReadSystemIdentifier(standby));
  if (theirs == ours) return {};
  return WrongPrimary("what --primary leads to is another system than the source: " +
                      primary.url().redacted());
}

}  // namespace

Result<Connection*> Connection::ForWriting() {
  if (!is_standby()) return this;
  if (primary_ && primary_->is_alive()) return primary_.get();
  if (url().primary() == nullptr) {
    return Error{.kind = ErrorKind::kUnsupported,
                 .message = "the source is a standby, and its primary is not known",
                 .code = "SLU-2047",
                 .advice = "name its primary with --primary, or use that as source"};
  }
  // A question asked here would be the transaction's first, and take its snapshot.
  if (is_in_transaction()) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "the connection to the primary is broken",
                 .code = "SLU-2007"};
  }
  ConnectOptions wanted = options();
  wanted.is_replication = false;
  SLUICE_ASSIGN_OR_RETURN(Connection opened, Open(*url().primary(), wanted, wanted.stop));
  SLUICE_RETURN_IF_ERROR(CheckPrimary(*this, opened));
  primary_ = std::make_unique<Connection>(std::move(opened));
  return primary_.get();
}

Result<StandbyFacts> ReadStandbyFacts(Connection& connection) {
  StandbyFacts facts;
  SLUICE_ASSIGN_OR_RETURN(
      const QueryResult here,
      connection.Exec("read a setting", "SELECT current_setting('hot_standby_feedback')::boolean"));
  facts.sends_feedback = here.is_true(0, 0);
  const auto ask = [&]() -> Status {
    SLUICE_ASSIGN_OR_RETURN(Connection * primary, connection.ForWriting());
    SLUICE_ASSIGN_OR_RETURN(
        const QueryResult there,
        primary->Exec("read the primary's settings",
                      "SELECT current_setting('wal_level'), "
                      "has_function_privilege('pg_log_standby_snapshot()', 'EXECUTE'), "
                      "has_database_privilege(current_database(), 'CREATE')"));
    facts.primary_wal_level = there.str(0, 0);
    facts.may_log_running = there.is_true(0, 1);
    facts.may_create_in_database = there.is_true(0, 2);
    return {};
  };
  if (Status asked = ask(); !asked) facts.unreachable = std::move(asked).error();
  return facts;
}

Result<Lsn> MarkLog(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(Connection * primary, connection.ForWriting());
  // local: a standby that is named synchronous and down must not hold us up.
  SLUICE_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*primary));
  SLUICE_ASSIGN_OR_RETURN(const QueryResult rows,
                          primary->Exec("mark the log",
                                        "SET LOCAL synchronous_commit = local; "
                                        "SELECT pg_logical_emit_message(true, 'sluice', '')"));
  SLUICE_ASSIGN_OR_RETURN(const Lsn mark, rows.LsnAt(0, 0));
  SLUICE_RETURN_IF_ERROR(transaction.Commit());
  return mark;
}

Status AwaitReplay(Connection& connection, std::stop_token stop) {
  if (!connection.is_standby()) return {};
  const Clock::time_point deadline = Clock::now() + kReplayMax;
  SLUICE_ASSIGN_OR_RETURN(const Lsn mark, MarkLog(connection));
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(const Lsn replayed, ReadFlushLsn(connection));
    if (replayed >= mark) return {};
    if (stop.stop_requested())
      return Error{.kind = ErrorKind::kCancelled, .message = "stopped while waiting for a standby"};
    if (Clock::now() >= deadline) {
      return Error{
          .kind = ErrorKind::kTimeout,
          .message = "the standby has replayed its primary's log up to " + ToString(replayed) +
                     ", and " + ToString(mark) + " is waited for",
          .code = "SLU-2054",
          .advice = "see pg_stat_replication on the primary, and whether replay is paused"};
    }
    std::this_thread::sleep_for(kLookAgain);
  }
}

Error TroubleOfTheLine(Error error) {
  if (error.kind != ErrorKind::kCancelled) error.kind = ErrorKind::kConnection;
  return error;
}

Status LogRunningTransactions(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(Connection * primary, connection.ForWriting());
  auto logged = primary->Exec("log the running transactions", "SELECT pg_log_standby_snapshot()");
  if (logged) return {};
  Error error = std::move(logged).error();
  if (error.sqlstate == "42501") {
    error.code = "SLU-2053";
    error.message = "the role may not call pg_log_standby_snapshot() on the primary";
    error.advice = "GRANT EXECUTE ON FUNCTION pg_log_standby_snapshot() TO the role, there";
  }
  return error;
}

}  // namespace sluice::postgres
