/// \file
/// One SQL session of a test with a PostgreSQL server: statements in, text out.
///
/// Thread safety: distinct objects: safe; one object: one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sluice/result.h"
#include "sluice/time.h"

// libpq's handle, declared here so that tests need no libpq header.
struct pg_conn;

namespace sluice::testing {

/// Rows of a query as the server prints them; nullopt is NULL.
using SqlRows = std::vector<std::vector<std::optional<std::string>>>;

class SqlSession {
 public:
  /// Errors: kConnection with the server's words.
  static Result<SqlSession> Open(const std::string& conninfo);

  /// One or more statements; the rows of the last one that returns any. An error carries the
  /// SQLSTATE; a transaction block it was in stays open and failed, as in psql.
  Result<SqlRows> Query(const std::string& sql);
  Status Exec(const std::string& sql);
  /// The first column of the only row; kInvalidArgument when there is not exactly one row.
  Result<std::string> Value(const std::string& sql);
  /// Repeats `sql` until its value is `expected`. kTimeout, with the last value.
  Status WaitForValue(const std::string& sql, const std::string& expected, Duration timeout);

 private:
  struct Closer {
    void operator()(pg_conn* connection) const;
  };
  explicit SqlSession(pg_conn* connection) : connection_(connection) {}

  std::unique_ptr<pg_conn, Closer> connection_;
};

}  // namespace sluice::testing
