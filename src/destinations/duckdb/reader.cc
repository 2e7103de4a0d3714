#include "destinations/duckdb/reader.h"

#include <string>
#include <utility>
#include <vector>

#include "destinations/duckdb/bookkeeping.h"
#include "destinations/duckdb/chunk_reader.h"
#include "destinations/duckdb/copied_ranges.h"
#include "destinations/duckdb/history_log.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/row_applier.h"
#include "destinations/duckdb/streaming_query.h"

namespace sluice::duckdb {
namespace {

class Reader final : public DestinationReader {
 public:
  explicit Reader(std::unique_ptr<Database::Lease> lease) : lease_(std::move(lease)) {}

  Status Scan(const TableRecord& table, const std::vector<std::int32_t>& columns,
              const std::function<Status(const RowsPtr&)>& sink) override {
    if (table.schema == nullptr) {
      return Error{.kind = ErrorKind::kInvalidArgument,
                   .message = "table has no shape yet: " + ToString(table.destination)};
    }
    Connection& connection = lease_->connection();
    const TableName log = LogOf(table.destination);
    SLUICE_ASSIGN_OR_RETURN(std::optional<Error> altered,
                            HasState(table.mode)
                                ? CompareShape(connection, table.destination, *table.schema)
                                : CompareLog(connection, log, *table.schema));
    if (altered) return std::move(*altered);
    std::vector<const Column*> wanted;
    std::string names;
    for (const std::int32_t index : columns) {
      const auto at = static_cast<std::size_t>(index);
      if (index < 0 || at >= table.schema->columns.size())
        return Error{.kind = ErrorKind::kInvalidArgument, .message = "no such column"};
      wanted.push_back(&table.schema->columns[at]);
      names += (names.empty() ? "" : ", ") + QuoteIdentifier(wanted.back()->name);
    }
    if (wanted.empty())
      return Error{.kind = ErrorKind::kInvalidArgument, .message = "no columns to scan"};
    std::string sql = "SELECT " + names + " FROM " + QualifiedName(table.destination);
    if (!HasState(table.mode)) {
      SLUICE_ASSIGN_OR_RETURN(sql, StateOfLogSql(connection, log, *table.schema, wanted));
    }
    SLUICE_ASSIGN_OR_RETURN(const PreparedHandle prepared, Prepare(connection, sql));
    const auto schema = ArrowSchema(wanted);
    return RunStreaming(
        prepared, [](duckdb_result*) { return Status(); },
        [&](duckdb_data_chunk chunk) -> Status {
          SLUICE_ASSIGN_OR_RETURN(const RowsPtr rows, ReadChunk(chunk, wanted, schema));
          return sink(rows);
        });
  }

  Result<DeliveryState> State() override {
    SLUICE_ASSIGN_OR_RETURN(StoredState state, ReadState(lease_->connection()));
    SLUICE_RETURN_IF_ERROR(ReadRanges(lease_->connection(), state.delivery));
    return std::move(state.delivery);
  }

 private:
  std::unique_ptr<Database::Lease> lease_;
};

}  // namespace

Result<std::unique_ptr<DestinationReader>> NewReader(std::unique_ptr<Database::Lease> lease) {
  Connection& connection = lease->connection();
  SLUICE_RETURN_IF_ERROR(connection.Run("BEGIN TRANSACTION READ ONLY", "begin to read"));
  // A transaction takes its snapshot of a file at the first look into it.
  SLUICE_RETURN_IF_ERROR(LookAtState(connection));
  return std::unique_ptr<DestinationReader>(std::make_unique<Reader>(std::move(lease)));
}

}  // namespace sluice::duckdb
