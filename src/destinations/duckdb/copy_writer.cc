#include "destinations/duckdb/copy_writer.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "destinations/duckdb/bookkeeping.h"
#include "destinations/duckdb/chunk_writer.h"
#include "destinations/duckdb/copied_ranges.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/quarantine.h"
#include "destinations/duckdb/type_map.h"
#include "destinations/duckdb/value_check.h"

namespace sluice::duckdb {
namespace {

bool IsConflict(const Error& error) {
  return error.server_message.find("onflict") != std::string::npos ||
         error.server_message.find("Failed to commit") != std::string::npos;
}

/// Longer than a table takes that moves to another schema; see TransactionWriter::Move().
constexpr Duration kConflictMax = std::chrono::seconds(20);

/// Short changes of the catalog by several threads meet now and then; the loser tries again.
template <class Body>
Status InTransaction(Connection& connection, Body body) {
  const Clock::time_point give_up_at = Clock::now() + kConflictMax;
  for (int attempt = 1;; ++attempt) {
    SLUICE_RETURN_IF_ERROR(connection.Run("BEGIN", "begin"));
    Status status = body();
    if (status) status = connection.Run("COMMIT", "commit");
    if (status) return status;
    (void)connection.Run("ROLLBACK", "roll back");  // after a failed COMMIT there is none: fine
    if (Clock::now() >= give_up_at || !IsConflict(status.error())) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min(attempt, 50)));
  }
}

class Writer final : public CopyWriter {
 public:
  Writer(std::unique_ptr<Database::Lease> lease, ShadowTarget target,
         std::function<void()> on_finish)
      : lease_(std::move(lease)), target_(std::move(target)), on_finish_(std::move(on_finish)) {
    for (const Column& column : target_.target.schema->columns) types_.push_back(&column.type);
  }
  ~Writer() override {
    appender_.reset();
    if (is_open_) (void)lease_->connection().Run("ROLLBACK", "roll back");
  }

  Status Append(const CopiedRows& copied) override {
    const RowsPtr& rows = copied.rows;
    if (is_finished_) return Misuse("a finished copy was appended to");
    const auto& columns = target_.target.schema->columns;
    if (static_cast<std::size_t>(rows->num_columns()) != columns.size())
      return Misuse("copied rows have other columns than their unit");
    for (std::size_t i = 0; i < columns.size(); ++i)
      SLUICE_RETURN_IF_ERROR(CheckValues(columns[i], *rows->column_data(static_cast<int>(i))));
    SLUICE_RETURN_IF_ERROR(Begin());
    const auto count = static_cast<std::size_t>(rows->num_rows());
    SLUICE_RETURN_IF_ERROR(appender_->Append(SourcesOf(*rows, types_), count));
    SLUICE_RETURN_IF_ERROR(appender_->Flush());
    SLUICE_RETURN_IF_ERROR(QuarantineCopied(lease_->connection(), target_.target.unit,
                                            *target_.target.schema, copied));
    row_count_ += count;
    return row_count_ >= target_.transaction_rows ? End() : Status();
  }

  Status Finish() override {
    if (is_finished_) return Misuse("a copy was finished twice");
    if (target_.target.ranges) {
      // By this a landing sees that all of the range is there.
      SLUICE_RETURN_IF_ERROR(Begin());
      SLUICE_RETURN_IF_ERROR(
          AddUnit(lease_->connection(), {.unit = target_.target.unit, .shadow = target_.shadow}));
    }
    SLUICE_RETURN_IF_ERROR(End());
    is_finished_ = true;
    on_finish_();
    return {};
  }

 private:
  static Error Misuse(std::string message) {
    return {.kind = ErrorKind::kInternal, .message = std::move(message), .code = "SLU-9001"};
  }

  Status Begin() {
    if (is_open_) return {};
    SLUICE_RETURN_IF_ERROR(lease_->connection().Run("BEGIN", "begin"));
    is_open_ = true;
    SLUICE_ASSIGN_OR_RETURN(ChunkWriter appender,
                            ChunkWriter::Open(lease_->connection(), std::string(kCatalog),
                                              target_.shadow.schema, target_.shadow.table, types_));
    appender_.emplace(std::move(appender));
    return {};
  }

  Status End() {
    row_count_ = 0;
    if (!is_open_) return {};
    SLUICE_RETURN_IF_ERROR(appender_->Close());
    appender_.reset();
    SLUICE_RETURN_IF_ERROR(lease_->connection().Run("COMMIT", "commit copied rows"));
    is_open_ = false;
    return {};
  }

  std::unique_ptr<Database::Lease> lease_;
  const ShadowTarget target_;
  const std::function<void()> on_finish_;
  std::vector<const ColumnType*> types_;
  std::optional<ChunkWriter> appender_;
  bool is_open_ = false;
  bool is_finished_ = false;
  std::size_t row_count_ = 0;
};

}  // namespace

Status MakeShadow(Connection& connection, const ShadowTarget& target) {
  const std::string shadow = QualifiedName(target.shadow);
  const UnitId unit = target.target.unit;
  if (target.is_shared) {
    const std::string range = RangeSql(*target.target.schema, *target.target.ranges, unit.index);
    return InTransaction(connection, [&]() -> Status {
      SLUICE_RETURN_IF_ERROR(
          connection.Run("DELETE FROM " + shadow + " WHERE " + range, "empty a range"));
      return RemoveUnit(connection, unit);
    });
  }
  std::string columns;
  for (const Column& column : target.target.schema->columns) {
    columns +=
        (columns.empty() ? "" : ", ") + QuoteIdentifier(column.name) + " " + SqlType(column.type);
  }
  return InTransaction(connection, [&]() -> Status {
    SLUICE_RETURN_IF_ERROR(connection.Run(
        "CREATE SCHEMA IF NOT EXISTS " + QualifiedSchema(target.shadow.schema), "make a schema"));
    SLUICE_RETURN_IF_ERROR(
        connection.Run("DROP TABLE IF EXISTS " + shadow, "drop an earlier copy"));
    SLUICE_RETURN_IF_ERROR(
        connection.Run("CREATE TABLE " + shadow + "(" + columns + ")", "make a copy"));
    SLUICE_RETURN_IF_ERROR(RemoveUnit(connection, unit));
    if (target.target.ranges) return {};
    return AddUnit(connection, {.unit = unit, .shadow = target.shadow});
  });
}

Status DropShadow(Connection& connection, UnitId unit, const TableName& shadow, bool is_shared) {
  return InTransaction(connection, [&]() -> Status {
    if (!is_shared) {
      SLUICE_RETURN_IF_ERROR(
          connection.Run("DROP TABLE IF EXISTS " + QualifiedName(shadow), "drop a copy"));
    }
    return RemoveUnit(connection, unit);
  });
}

std::unique_ptr<CopyWriter> NewCopyWriter(std::unique_ptr<Database::Lease> lease,
                                          ShadowTarget target, std::function<void()> on_finish) {
  return std::make_unique<Writer>(std::move(lease), std::move(target), std::move(on_finish));
}

}  // namespace sluice::duckdb
