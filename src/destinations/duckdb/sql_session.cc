#include "destinations/duckdb/sql_session.h"

#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "destinations/duckdb/name_lookup.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/sql_session_internal.h"
#include "destinations/duckdb/statement_check.h"
#include "destinations/duckdb/statement_text.h"
#include "destinations/duckdb/streaming_query.h"

namespace sluice::duckdb {
namespace {

Error Refused(std::string message) {
  return {.kind = ErrorKind::kInvalidArgument,
          .message = std::move(message),
          .code = "SLU-5030",
          .advice = "give one SELECT (or WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN)"};
}

/// Interrupts a connection from its deadline on, again and again until it is gone: an interrupt
/// between two steps of a query is forgotten by DuckDB.
class Watchdog {
 public:
  Watchdog(Connection& connection, Clock::time_point deadline, std::atomic<bool>& cancelled)
      : thread_([&connection, deadline, &cancelled, this](std::stop_token stop) {
          Watch(connection, deadline, cancelled, stop);
        }) {}
  ~Watchdog() {
    thread_.request_stop();
    thread_.join();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  bool has_expired() const { return has_expired_; }

 private:
  void Watch(Connection& connection, Clock::time_point deadline, const std::atomic<bool>& cancelled,
             const std::stop_token& stop) {
    constexpr auto kStep = std::chrono::milliseconds(20);
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      const Clock::time_point now = Clock::now();
      if (now >= deadline) has_expired_ = true;
      if (has_expired_ || cancelled) connection.Interrupt();
      wake_.wait_for(lock, stop, kStep, [] { return false; });
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::atomic<bool> has_expired_{false};
  std::jthread thread_;
};

struct Statement {
  PreparedHandle prepared;
  std::string text;  ///< without what ends it
  bool is_select = false;
};

class Session final : public SqlSession {
 public:
  Session(std::unique_ptr<Database::Lease> lease, const SqlLimits& limits)
      : lease_(std::move(lease)), limits_(limits) {}

  Status QueryText(const std::string& sql,
                   const std::function<Status(const std::vector<SqlColumn>&)>& header,
                   const std::function<Status(const SqlTextRow&)>& row) override {
    return Guarded([&]() -> Status {
      SLUICE_ASSIGN_OR_RETURN(Statement statement, Check(sql));
      SLUICE_ASSIGN_OR_RETURN(const std::vector<SqlColumn> columns, Describe(statement));
      if (statement.is_select) {
        SLUICE_ASSIGN_OR_RETURN(statement.prepared, PrepareAsText(statement, columns.size()));
      }
      SqlTextRow cells(columns.size());
      return RunStreaming(
          statement.prepared, [&](duckdb_result*) { return header(columns); },
          [&](duckdb_data_chunk chunk) { return SendText(chunk, cells, row); });
    });
  }

  Status QueryArrow(const std::string& sql,
                    const std::function<Status(const std::shared_ptr<arrow::Schema>&)>& header,
                    const std::function<Status(const RowsPtr&)>& batch) override {
    return Guarded([&]() -> Status {
      SLUICE_ASSIGN_OR_RETURN(const Statement statement, Check(sql));
      ArrowOptionsHandle options;
      std::shared_ptr<arrow::Schema> schema;
      return RunStreaming(
          statement.prepared,
          [&](duckdb_result* result) -> Status {
            options = ArrowOptionsHandle(duckdb_result_get_arrow_options(result));
            SLUICE_ASSIGN_OR_RETURN(schema, ImportSchema(result, options));
            return header(schema);
          },
          [&](duckdb_data_chunk chunk) -> Status {
            SLUICE_ASSIGN_OR_RETURN(const RowsPtr rows, ImportRows(chunk, options, schema));
            SLUICE_RETURN_IF_ERROR(CountRows(static_cast<std::size_t>(rows->num_rows())));
            return batch(rows);
          });
    });
  }

  void Cancel() override { is_cancelled_ = true; }

 private:
  /// Runs `body` in a read-only transaction under the watchdog, and names its end.
  Status Guarded(const std::function<Status()>& body) {
    is_cancelled_ = false;
    row_count_ = 0;
    SLUICE_RETURN_IF_ERROR(connection().Run("BEGIN TRANSACTION READ ONLY", "begin to read"));
    Status status;
    bool has_expired = false;
    {
      const Watchdog watchdog(connection(), Clock::now() + limits_.time_limit, is_cancelled_);
      // The look into the file makes its snapshot; and from here on DuckDB refuses to force a
      // checkpoint, which would end the writer's transaction.
      const Result<NameUse> looked = LookUpName(connection(), {"sluice", "position"});
      if (!looked) status = looked.error();
      if (status) status = body();
      has_expired = watchdog.has_expired();
    }
    (void)connection().Run("ROLLBACK", "end reading");
    if (status || !status.error().code.starts_with("SLU-5014")) {
      if (status || status.error().kind != ErrorKind::kCancelled) return status;
    }
    return Translate(std::move(status).error(), has_expired);
  }

  Error Translate(Error error, bool has_expired) const {
    if (error.kind == ErrorKind::kCancelled && has_expired) {
      return {.kind = ErrorKind::kTimeout,
              .message = "the query ran longer than its time limit",
              .code = "SLU-5031"};
    }
    if (error.kind == ErrorKind::kCancelled) return error;
    error.kind = ErrorKind::kInvalidArgument;
    error.code = "SLU-5033";
    error.message = "the query failed";
    return error;
  }

  Result<Statement> Check(const std::string& sql) {
    Statement out;
    ExtractedHandle extracted;
    const idx_t count = duckdb_extract_statements(connection().get(), sql.c_str(), extracted.out());
    if (count == 0) {
      const char* message = duckdb_extract_statements_error(extracted.get());
      if (message == nullptr) return Refused("there is no statement");
      return MakeError("parse the query", message);
    }
    if (count > 1) return Refused("more than one statement");
    out.text = FirstStatement(sql);
    // Before it is bound, which some functions take for being called.
    SLUICE_RETURN_IF_ERROR(CheckFunctions(out.text));
    if (duckdb_prepare_extracted_statement(connection().get(), extracted.get(), 0,
                                           out.prepared.out()) == DuckDBError)
      return MakeError("prepare the query", duckdb_prepare_error(out.prepared.get()));
    const duckdb_statement_type type = duckdb_prepared_statement_type(out.prepared.get());
    out.is_select = type == DUCKDB_STATEMENT_TYPE_SELECT;
    if (!out.is_select && type != DUCKDB_STATEMENT_TYPE_EXPLAIN)
      return Refused("only statements that read are let through");
    if (duckdb_nparams(out.prepared.get()) != 0) return Refused("the query has parameters");
    return out;
  }

  Result<StatementTree> Parse(std::string_view text) {
    SLUICE_ASSIGN_OR_RETURN(const SmallResult tree,
                            connection().Query("SELECT json_serialize_sql(" +
                                                   QuoteLiteral(std::string(text)) + ")::VARCHAR",
                                               "parse the query"));
    return ReadStatementTree(tree.text(0, 0));
  }

  /// EXPLAIN ANALYZE does what it explains.
  Status CheckFunctions(const std::string& text) {
    std::vector<std::string_view> readings = Explained(text);
    if (readings.empty()) readings.push_back(text);
    for (const std::string_view reading : readings) {
      SLUICE_ASSIGN_OR_RETURN(const StatementTree tree, Parse(reading));
      if (!tree.is_select) continue;
      for (const std::string& name : tree.table_functions) {
        if (!IsHarmlessTableFunction(name))
          return Refused("the function " + name + " is not let through");
      }
      return {};
    }
    return Refused("only statements that read are let through");
  }

  Result<std::vector<SqlColumn>> Describe(const Statement& statement) {
    std::vector<SqlColumn> out(duckdb_prepared_statement_column_count(statement.prepared.get()));
    for (idx_t i = 0; i < out.size(); ++i) {
      const char* name = duckdb_prepared_statement_column_name(statement.prepared.get(), i);
      out[i].name = name;
      duckdb_free(const_cast<char*>(name));
      out[i].type = "VARCHAR";
    }
    if (!statement.is_select) return out;
    SLUICE_ASSIGN_OR_RETURN(const SmallResult types,
                            connection().Query("SELECT column_type FROM (DESCRIBE SELECT * FROM (" +
                                                   statement.text + "\n))",
                                               "describe the query"));
    for (std::size_t i = 0; i < out.size() && i < types.row_count(); ++i)
      out[i].type = types.text(i, 0);
    return out;
  }

  /// The same rows in the same order, every column as DuckDB's text.
  Result<PreparedHandle> PrepareAsText(const Statement& statement, std::size_t column_count) {
    std::string items;
    std::string names;
    for (std::size_t i = 0; i < column_count; ++i) {
      const std::string name = "_c" + std::to_string(i);
      items += (i == 0 ? "" : ", ") + ("CAST(" + name + " AS VARCHAR)");
      names += (i == 0 ? "" : ", ") + name;
    }
    SLUICE_ASSIGN_OR_RETURN(PreparedHandle prepared,
                            Prepare(connection(), "SELECT " + items + " FROM (" + statement.text +
                                                      "\n) AS _q(" + names + ")"));
    if (duckdb_prepared_statement_type(prepared.get()) != DUCKDB_STATEMENT_TYPE_SELECT)
      return Refused("only statements that read are let through");
    return prepared;
  }

  Status CountRows(std::size_t rows) {
    row_count_ += rows;
    if (limits_.rows_max == 0 || row_count_ <= limits_.rows_max) return {};
    return Error{
        .kind = ErrorKind::kInvalidArgument,
        .message = "the query has more rows than the limit of " + std::to_string(limits_.rows_max),
        .code = "SLU-5032",
        .advice = "add a LIMIT"};
  }

  Status SendText(duckdb_data_chunk chunk, SqlTextRow& cells,
                  const std::function<Status(const SqlTextRow&)>& sink) {
    const std::size_t rows = duckdb_data_chunk_get_size(chunk);
    std::vector<std::pair<duckdb_string_t*, std::uint64_t*>> columns;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, i);
      columns.emplace_back(static_cast<duckdb_string_t*>(duckdb_vector_get_data(vector)),
                           duckdb_vector_get_validity(vector));
    }
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t i = 0; i < cells.size(); ++i) {
        auto& [strings, validity] = columns[i];
        cells[i].reset();
        if (validity == nullptr || duckdb_validity_row_is_valid(validity, row)) {
          cells[i] = std::string_view(duckdb_string_t_data(&strings[row]),
                                      duckdb_string_t_length(strings[row]));
        }
      }
      SLUICE_RETURN_IF_ERROR(CountRows(1));
      SLUICE_RETURN_IF_ERROR(sink(cells));
    }
    return {};
  }

  static Error NotArrow(std::string_view message) {
    return {.kind = ErrorKind::kUnsupported,
            .message = "the result has no Arrow form",
            .server_message = std::string(message),
            .code = "SLU-5033"};
  }

  static Result<std::shared_ptr<arrow::Schema>> ImportSchema(duckdb_result* result,
                                                             const ArrowOptionsHandle& options) {
    std::vector<LogicalTypeHandle> types;
    std::vector<duckdb_logical_type> raw;
    std::vector<const char*> names;
    for (idx_t i = 0; i < duckdb_column_count(result); ++i) {
      types.emplace_back(duckdb_column_logical_type(result, i));
      raw.push_back(types.back().get());
      names.push_back(duckdb_column_name(result, i));
    }
    ArrowSchema exported{};
    const ErrorDataHandle error(
        duckdb_to_arrow_schema(options.get(), raw.data(), names.data(), raw.size(), &exported));
    if (error && duckdb_error_data_has_error(error.get()))
      return NotArrow(duckdb_error_data_message(error.get()));
    auto schema = arrow::ImportSchema(&exported);
    if (!schema.ok()) return NotArrow(schema.status().ToString());
    return *std::move(schema);
  }

  static Result<RowsPtr> ImportRows(duckdb_data_chunk chunk, const ArrowOptionsHandle& options,
                                    const std::shared_ptr<arrow::Schema>& schema) {
    ArrowArray exported{};
    const ErrorDataHandle error(duckdb_data_chunk_to_arrow(options.get(), chunk, &exported));
    if (error && duckdb_error_data_has_error(error.get()))
      return NotArrow(duckdb_error_data_message(error.get()));
    auto rows = arrow::ImportRecordBatch(&exported, schema);
    if (!rows.ok()) return NotArrow(rows.status().ToString());
    return *std::move(rows);
  }

  Connection& connection() { return lease_->connection(); }

  std::unique_ptr<Database::Lease> lease_;
  const SqlLimits limits_;
  std::atomic<bool> is_cancelled_{false};
  std::size_t row_count_ = 0;
};

}  // namespace

Result<std::unique_ptr<SqlSession>> NewSqlSession(std::unique_ptr<Database::Lease> lease,
                                                  const SqlLimits& limits) {
  // Names without a catalog are the file's.
  SLUICE_RETURN_IF_ERROR(
      lease->connection().Run("USE " + QuoteIdentifier(kCatalog), "look into the file"));
  return std::unique_ptr<SqlSession>(std::make_unique<Session>(std::move(lease), limits));
}

}  // namespace sluice::duckdb
