#include "duckdb_file.h"

#include <duckdb.h>

#include <utility>

namespace sluice::tests {
namespace {

class Handles {
 public:
  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() {
    duckdb_disconnect(&connection_);
    duckdb_close(&database_);
  }

  Status Open(const std::string& path, bool read_only) {
    if (duckdb_open(nullptr, &database_) != DuckDBSuccess ||
        duckdb_connect(database_, &connection_) != DuckDBSuccess) {
      return Error{.kind = ErrorKind::kInternal, .message = "DuckDB does not open"};
    }
    std::string quoted;
    for (const char c : path) quoted.append(c == '\'' ? 2 : 1, c);
    return Run("SET TimeZone = 'UTC'; SET threads = 1; ATTACH '" + quoted + "' AS mirror" +
                   (read_only ? " (READ_ONLY)" : "") + "; USE mirror",
               nullptr);
  }

  Status Run(const std::string& sql, std::vector<std::string>* rows) {
    duckdb_result result;
    Status status;
    if (duckdb_query(connection_, sql.c_str(), &result) != DuckDBSuccess) {
      status = Error{.kind = ErrorKind::kInvalidArgument,
                     .message = "DuckDB refused a statement",
                     .server_message = duckdb_result_error(&result)};
    } else if (rows != nullptr) {
      Append(result, *rows);
    }
    duckdb_destroy_result(&result);
    return status;
  }

 private:
  static void Append(duckdb_result& result, std::vector<std::string>& rows) {
    for (idx_t row = 0; row < duckdb_row_count(&result); ++row) {
      std::string line;
      for (idx_t column = 0; column < duckdb_column_count(&result); ++column) {
        char* cell = duckdb_value_varchar(&result, column, row);
        if (column > 0) line += '|';
        for (const char* c = cell == nullptr ? "NULL" : cell; *c != '\0'; ++c) {
          if (*c == '\n') {
            line += "\\n";
          } else {
            line += *c;
          }
        }
        duckdb_free(cell);
      }
      rows.push_back(std::move(line));
    }
  }

  duckdb_database database_ = nullptr;
  duckdb_connection connection_ = nullptr;
};

}  // namespace

std::string AsTextQuery(const std::string& sql) {
  const std::size_t end = sql.find_last_not_of(" \n;");
  return "SELECT coalesce(COLUMNS(*)::VARCHAR, 'NULL') FROM (" +
         sql.substr(0, end == std::string::npos ? 0 : end + 1) + ")";
}

Result<std::vector<std::string>> QueryDuckDbFile(const std::string& path, const std::string& sql) {
  Handles handles;
  SLUICE_RETURN_IF_ERROR(handles.Open(path, /*read_only=*/true));
  std::vector<std::string> rows;
  SLUICE_RETURN_IF_ERROR(handles.Run(AsTextQuery(sql), &rows));
  return rows;
}

Status ChangeDuckDbFile(const std::string& path, const std::string& sql) {
  Handles handles;
  SLUICE_RETURN_IF_ERROR(handles.Open(path, /*read_only=*/false));
  SLUICE_RETURN_IF_ERROR(handles.Run(sql, nullptr));
  return handles.Run("CHECKPOINT mirror", nullptr);
}

}  // namespace sluice::tests
