#include "testing/sql_session.h"

#include <libpq-fe.h>

#include "testing/process.h"

namespace sluice::testing {
namespace {

struct ResultCloser {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultHandle = std::unique_ptr<PGresult, ResultCloser>;

Error FailureOf(const PGresult* result) {
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return {.kind = ErrorKind::kInvalidArgument,
          .message = "a statement failed at the server",
          .server_message = PQresultErrorMessage(result),
          .sqlstate = sqlstate == nullptr ? "" : sqlstate};
}

SqlRows RowsOf(const PGresult* result) {
  SqlRows rows;
  for (int row = 0; row < PQntuples(result); ++row) {
    auto& cells = rows.emplace_back();
    for (int column = 0; column < PQnfields(result); ++column) {
      if (PQgetisnull(result, row, column) != 0) {
        cells.emplace_back(std::nullopt);
      } else {
        cells.emplace_back(std::string(PQgetvalue(result, row, column),
                                       static_cast<std::size_t>(PQgetlength(result, row, column))));
      }
    }
  }
  return rows;
}

}  // namespace

void SqlSession::Closer::operator()(pg_conn* connection) const {
  PQfinish(connection);
}

Result<SqlSession> SqlSession::Open(const std::string& conninfo) {
  SqlSession session(PQconnectdb(conninfo.c_str()));
  if (PQstatus(session.connection_.get()) != CONNECTION_OK) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "cannot connect to the test server",
                 .server_message = PQerrorMessage(session.connection_.get())};
  }
  PQsetNoticeProcessor(session.connection_.get(), [](void*, const char*) {}, nullptr);
  return session;
}

Result<SqlRows> SqlSession::Query(const std::string& sql) {
  if (PQsendQuery(connection_.get(), sql.c_str()) != 1) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "cannot send to the test server",
                 .server_message = PQerrorMessage(connection_.get())};
  }
  SqlRows rows;
  std::optional<Error> failure;
  while (const ResultHandle result{PQgetResult(connection_.get())}) {
    switch (PQresultStatus(result.get())) {
      case PGRES_TUPLES_OK:
        rows = RowsOf(result.get());
        break;
      case PGRES_COMMAND_OK:
      case PGRES_EMPTY_QUERY:
        break;
      default:
        if (!failure) failure = FailureOf(result.get());
        if (PQstatus(connection_.get()) != CONNECTION_OK) failure->kind = ErrorKind::kConnection;
    }
  }
  if (failure) return *std::move(failure);
  return rows;
}

Status SqlSession::Exec(const std::string& sql) {
  SLUICE_ASSIGN_OR_RETURN(const SqlRows ignored, Query(sql));
  return {};
}

Result<std::string> SqlSession::Value(const std::string& sql) {
  SLUICE_ASSIGN_OR_RETURN(const SqlRows rows, Query(sql));
  if (rows.size() != 1 || rows[0].empty()) {
    return Error{.kind = ErrorKind::kInvalidArgument, .message = "not exactly one row: " + sql};
  }
  return rows[0][0].value_or("NULL");
}

Status SqlSession::WaitForValue(const std::string& sql, const std::string& expected,
                                Duration timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  while (true) {
    SLUICE_ASSIGN_OR_RETURN(const std::string value, Value(sql));
    if (value == expected) return {};
    if (Clock::now() >= deadline) {
      return Error{.kind = ErrorKind::kTimeout,
                   .message = "still '" + value + "' instead of '" + expected + "': " + sql};
    }
    PollPause();
  }
}

}  // namespace sluice::testing
