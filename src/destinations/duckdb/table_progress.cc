#include "destinations/duckdb/table_progress.h"

#include <string>

#include "destinations/duckdb/names.h"

namespace sluice::duckdb {

bool IsProgressOnly(const TableRecord& from, const TableRecord& to) {
  return !to.was_removed && to.lsn.is_valid() && to.committed_at.value != 0 &&
         from.source == to.source && from.destination == to.destination && from.mode == to.mode &&
         from.state == to.state && from.since == to.since && from.reason == to.reason &&
         from.advice == to.advice;
}

Result<bool> WriteProgress(Connection& connection, const std::vector<const TableRecord*>& records) {
  if (records.empty()) return true;
  std::string values;
  for (const TableRecord* record : records) {
    values += (values.empty() ? "(" : ", (") + std::to_string(record->relation.value) + ", " +
              std::to_string(record->row_count) + ", " + std::to_string(record->lsn.value) + ", " +
              std::to_string(record->committed_at.value) + ")";
  }
  SLUICE_ASSIGN_OR_RETURN(
      const std::uint64_t changed,
      connection.RunCounted(
          "UPDATE " + QualifiedName({"sluice", "tables"}) +
              " AS t SET \"rows\" = v.row_count, lsn = v.lsn, committed_at ="
              " make_timestamptz(v.committed_at), applied_at = now() FROM (VALUES " +
              values + ") AS v(oid, row_count, lsn, committed_at) WHERE t.table_oid = v.oid",
          "write sluice.tables"));
  return changed == records.size();
}

}  // namespace sluice::duckdb
