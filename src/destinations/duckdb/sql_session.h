/// \file
/// `sluice sql`: one SELECT on the mirror, read-only, bounded.
///
/// Anything that is not a single statement that only reads is refused (SLU-5030): SELECT, WITH,
/// FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN are let through. No access to files, to the
/// network, to extensions, to settings: the instance has them switched off and locked. A query ends
/// with SLU-5031 at its time limit.
///
/// Rows are streamed: a result is never in memory as a whole. Memory is that of the instance.
///
/// Thread safety: one object, one thread; Cancel() from any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/time.h"

namespace arrow {
class Schema;
}

namespace sluice::duckdb {

struct SqlLimits {
  Duration time_limit = std::chrono::seconds(60);
  std::size_t rows_max = 0;  ///< 0: no limit. One more row ends the query with SLU-5032
};

struct SqlColumn {
  std::string name;
  std::string type;  ///< DuckDB's name of it: "DECIMAL(10,2)"
};

/// One row as text; nullopt is NULL. Valid during the call only.
using SqlTextRow = std::vector<std::optional<std::string_view>>;

class SqlSession {
 public:
  virtual ~SqlSession() = default;
  SqlSession(const SqlSession&) = delete;
  SqlSession& operator=(const SqlSession&) = delete;

  /// `header` is called once, before the first row; an error of a callback ends the query with it.
  virtual Status QueryText(const std::string& sql,
                           const std::function<Status(const std::vector<SqlColumn>&)>& header,
                           const std::function<Status(const SqlTextRow&)>& row) = 0;
  /// The same in DuckDB's own Arrow types.
  virtual Status QueryArrow(
      const std::string& sql,
      const std::function<Status(const std::shared_ptr<arrow::Schema>&)>& header,
      const std::function<Status(const RowsPtr&)>& batch) = 0;
  /// Ends the running query, if any, with kCancelled.
  virtual void Cancel() = 0;

 protected:
  SqlSession() = default;
};

}  // namespace sluice::duckdb
