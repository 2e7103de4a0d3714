/// \file
/// The only place that calls SQLite: a connection and a statement with owners, and its codes as
/// Errors.
///
/// Thread safety: one object, one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sluice::stores {

/// A statement of a connection, in use: ready for the next one when it is destroyed.
class SqliteStatement {
 public:
  SqliteStatement(sqlite3* db, sqlite3_stmt* statement, const std::string& path);

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
  struct GiveBack {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite3* db_;
  std::unique_ptr<sqlite3_stmt, GiveBack> statement_;
  const std::string* path_;  ///< the connection's
  int next_ = 1;
};

class SqliteConnection {
 public:
  enum class Mode : std::uint8_t { kReadOnly, kCreate };
  static Result<SqliteConnection> Open(const std::string& path, Mode mode);

  /// Runs statements that are needed once.
  Status Exec(const char* sql);
  /// Parsed once and kept: one use at a time. `sql` is a literal. It must not outlive this, nor be
  /// in use while this is moved.
  Result<SqliteStatement> Prepare(std::string_view sql);
  /// The first column of the first row; 0 where there is none.
  Result<std::int64_t> Number(std::string_view sql);

 private:
  struct CloseDb {
    void operator()(sqlite3* db) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  SqliteConnection(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}

  std::unique_ptr<sqlite3, CloseDb> db_;
  std::map<std::string_view, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
  std::string path_;
};

}  // namespace sluice::stores
