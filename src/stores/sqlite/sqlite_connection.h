/// \file
/// The only place that calls SQLite: a connection and a statement with owners, and its codes as
/// Errors.
///
/// Thread safety: one object, one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sluice::stores {

class SqliteStatement {
 public:
  SqliteStatement(sqlite3* db, sqlite3_stmt* statement, std::string path);

  /// Binds in order, from 1. Text is copied.
  SqliteStatement& Bind(std::string_view text);
  SqliteStatement& Bind(std::int64_t number);
  /// True: a row is there.
  Result<bool> Step();
  /// Steps to the end, then is ready to be bound again.
  Status Run();
  void Reset();

  std::string Text(int column) const;
  std::int64_t Number(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite3* db_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string path_;
  int next_ = 1;
};

class SqliteConnection {
 public:
  enum class Mode : std::uint8_t { kReadOnly, kCreate };
  static Result<SqliteConnection> Open(const std::string& path, Mode mode);

  Status Exec(const char* sql);
  Result<SqliteStatement> Prepare(std::string_view sql);
  /// The first column of the first row; 0 where there is none.
  Result<std::int64_t> Number(std::string_view sql);

 private:
  struct CloseDb {
    void operator()(sqlite3* db) const;
  };
  SqliteConnection(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}

  std::unique_ptr<sqlite3, CloseDb> db_;
  std::string path_;
};

}  // namespace sluice::stores
