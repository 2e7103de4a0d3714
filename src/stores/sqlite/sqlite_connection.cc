#include "stores/sqlite/sqlite_connection.h"

#include <sqlite3.h>

#include <cstring>
#include <utility>

namespace sluice::stores {
namespace {

constexpr int kBusyTimeoutMs = 5000;

/// What the operator can do depends on the primary code only.
Error FromSqlite(sqlite3* db, int code, const std::string& path) {
  Error error{.kind = ErrorKind::kStateStore, .message = "state file " + path};
  error.server_message = db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      error.kind = ErrorKind::kConfig;
      error.code = "SLU-5101";
      error.message += " is not a database or is damaged";
      error.advice = "choose another --state directory, or put the file aside and copy again";
      break;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      error.kind = ErrorKind::kConfig;
      error.code = "SLU-5102";
      error.message += " cannot be opened or written";
      error.advice = "make its directory writable for this user, or use --state DIR";
      break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      error.code = "SLU-5104";
      error.message += " is locked by another process";
      error.advice = "find it with fuser or lsof, and let it end";
      break;
    case SQLITE_FULL:
      error.code = "SLU-5106";
      error.message += " cannot grow: the disk is full";
      error.advice = "free space, then start again; nothing is lost";
      break;
    default:
      error.code = "SLU-5108";
      error.message += " was refused by SQLite: code " + std::to_string(code);
      if ((code & 0xff) == SQLITE_IOERR) error.message += ", input or output failed";
  }
  return error;
}

}  // namespace

SqliteStatement::SqliteStatement(sqlite3* db, sqlite3_stmt* statement, const std::string& path)
    : db_(db), statement_(statement), path_(&path) {}

void SqliteStatement::GiveBack::operator()(sqlite3_stmt* statement) const {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

SqliteStatement& SqliteStatement::Bind(std::string_view text) {
  // A failed bind (out of memory) leaves NULL, which the NOT NULL columns refuse.
  sqlite3_bind_text64(statement_.get(), next_++, text.data(), text.size(), SQLITE_TRANSIENT,
                      SQLITE_UTF8);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(std::int64_t number) {
  sqlite3_bind_int64(statement_.get(), next_++, number);
  return *this;
}

Result<bool> SqliteStatement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  Error error = FromSqlite(db_, sqlite3_extended_errcode(db_), *path_);
  Reset();
  return error;
}

Status SqliteStatement::Run() {
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(const bool has_row, Step());
    if (!has_row) break;
  }
  Reset();
  return {};
}

void SqliteStatement::Reset() {
  sqlite3_reset(statement_.get());
  next_ = 1;
}

std::string SqliteStatement::Text(int column) const {
  const auto* text = sqlite3_column_text(statement_.get(), column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text),  // NOLINT: SQLite's text is unsigned char
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::int64_t SqliteStatement::Number(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

void SqliteConnection::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

void SqliteConnection::CloseDb::operator()(sqlite3* db) const {
  sqlite3_close_v2(db);
}

Result<SqliteConnection> SqliteConnection::Open(const std::string& path, Mode mode) {
  const int flags =
      mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &db,
                                   flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  SqliteConnection connection(db, path);
  if (code != SQLITE_OK) return FromSqlite(db, code, path);
  sqlite3_busy_timeout(db, kBusyTimeoutMs);
  return connection;
}

Status SqliteConnection::Exec(const char* sql) {
  const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return FromSqlite(db_.get(), code, path_);
  return {};
}

Result<SqliteStatement> SqliteConnection::Prepare(std::string_view sql) {
  if (const auto found = statements_.find(sql); found != statements_.end()) {
    return SqliteStatement(db_.get(), found->second.get(), path_);
  }
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(db_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return FromSqlite(db_.get(), code, path_);
  statements_.emplace(sql, statement);
  return SqliteStatement(db_.get(), statement, path_);
}

Result<std::int64_t> SqliteConnection::Number(std::string_view sql) {
  SLUICE_ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  SLUICE_ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  return has_row ? statement.Number(0) : 0;
}

}  // namespace sluice::stores
