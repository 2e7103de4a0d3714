#include "destinations/duckdb/streaming_query.h"

namespace sluice::duckdb {

Result<PreparedHandle> Prepare(Connection& connection, const std::string& sql) {
  PreparedHandle prepared;
  if (duckdb_prepare(connection.get(), sql.c_str(), prepared.out()) == DuckDBError)
    return MakeError("prepare a query", duckdb_prepare_error(prepared.get()));
  return prepared;
}

Status RunStreaming(const PreparedHandle& prepared,
                    const std::function<Status(duckdb_result*)>& start,
                    const std::function<Status(duckdb_data_chunk)>& chunk) {
  // The one call that does not collect the whole result first; deprecated without a successor.
  PendingHandle pending;
  if (duckdb_pending_prepared_streaming(prepared.get(), pending.out()) == DuckDBError)
    return MakeError("run a query", duckdb_pending_error(pending.get()));
  ResultHandle result;
  if (duckdb_execute_pending(pending.get(), result.get()) == DuckDBError)
    return MakeError("run a query", duckdb_result_error(result.get()));
  SLUICE_RETURN_IF_ERROR(start(result.get()));
  for (;;) {
    const ChunkHandle rows(duckdb_fetch_chunk(*result.get()));
    if (!rows) break;
    if (duckdb_data_chunk_get_size(rows.get()) == 0) break;
    SLUICE_RETURN_IF_ERROR(chunk(rows.get()));
  }
  if (const char* message = duckdb_result_error(result.get());
      message != nullptr && *message != '\0')
    return MakeError("run a query", message);
  return {};
}

}  // namespace sluice::duckdb
