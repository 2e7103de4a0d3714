// What the writer's transaction does to the logs of tables.
#include <string>
#include <utility>

#include "destinations/duckdb/history_log.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/transaction_writer.h"
#include "destinations/duckdb/type_map.h"

namespace sluice::duckdb {

const TransactionWriter::Table* TransactionWriter::FindLog(const TableName& log) const {
  const std::string key = FoldKey(log);
  for (const auto& [relation, staged] : staged_) {
    if (HasLog(staged.table.mode) && FoldKey(LogOf(staged.table.name)) == key) return &staged.table;
  }
  for (const auto& [relation, table] : tables_) {
    if (staged_.contains(relation) || !HasLog(table.mode)) continue;
    if (FoldKey(LogOf(table.name)) == key) return &table;
  }
  return nullptr;
}

Error TransactionWriter::NameIsTaken(const TableName& name) {
  return {.kind = ErrorKind::kSchemaConflict,
          .message = "the name " + ToString(name) + " is taken at the destination",
          .code = "SLU-5116",
          .advice =
              "rename that table, or give the source's another name by `names` in the config"
              " file; then sluice resync"};
}

/// What was logged before stays, whichever table of the source it was of: it had the same name.
Result<std::optional<Error>> TransactionWriter::LandLog(const LandUnit& item, const Table* before,
                                                        const TableName& rows, Staged& staged) {
  const TableName log = LogOf(item.destination);
  const TableSchema* from = nullptr;
  bool is_kept = before != nullptr && HasLog(before->mode);
  if (is_kept) {
    from = before->shape.get();
    const TableName old = LogOf(before->name);
    if (FoldKey(old) != FoldKey(log)) {
      SLUICE_ASSIGN_OR_RETURN(const auto in_the_way, ReadColumns(connection_, log));
      if (!in_the_way.empty()) return std::optional(NameIsTaken(log));
      const std::string to = QualifiedName(log);
      SLUICE_RETURN_IF_ERROR(connection_.Run(
          old.schema == log.schema
              ? "ALTER TABLE " + QualifiedName(old) + " RENAME TO " + QuoteIdentifier(log.table)
              : "CREATE TABLE " + to + " AS FROM " + QualifiedName(old) + "; DROP TABLE " +
                    QualifiedName(old),
          "rename a log"));
    }
  } else if (FindLog(log) != nullptr) {
    is_kept = true;
  } else {
    SLUICE_ASSIGN_OR_RETURN(const auto in_the_way, ReadColumns(connection_, log));
    const auto record = records_.find(item.unit.relation);
    // Whoever let the table join was asked about this name.
    const bool may_replace = record == records_.end() ||
                             (record->second.schema == nullptr && HasLog(record->second.mode));
    if (!in_the_way.empty() && (!may_replace || HasName(log, item.unit.relation)))
      return std::optional(NameIsTaken(log));
    SLUICE_ASSIGN_OR_RETURN(std::optional<Error> refused, MakeRoom(log));
    if (refused) return refused;
    SLUICE_RETURN_IF_ERROR(CreateLog(connection_, log, *item.schema));
  }
  if (is_kept) {
    const Status altered = AlterLog(log, from, *item.schema, staged);
    if (!altered && altered.error().kind == ErrorKind::kSchemaConflict)
      return std::optional(altered.error());
    SLUICE_RETURN_IF_ERROR(altered);
  }
  SLUICE_RETURN_IF_ERROR(LogCopied(connection_, log, *item.schema, rows, item.log_lsn, is_kept));
  return std::optional<Error>();
}

Status TransactionWriter::AlterLog(const TableName& log, const TableSchema* from,
                                   const TableSchema& to, Staged& staged) {
  SLUICE_ASSIGN_OR_RETURN(const std::vector<FoundColumn> found, ReadColumns(connection_, log));
  const std::optional<LogPlan> plan = PlanLog(from, to, found);
  if (!plan) {
    return Error{.kind = ErrorKind::kSchemaConflict,
                 .message = "log " + ToString(log) + " at the destination was altered, or is gone",
                 .code = "SLU-5025",
                 .advice = "rename it, then: sluice resync " + ToString(to.name)};
  }
  for (const auto& [before, after] : plan->renames) {
    SLUICE_RETURN_IF_ERROR(
        RunDdl(log, "RENAME COLUMN " + QuoteIdentifier(before) + " TO " + QuoteIdentifier(after),
               "rename a column"));
  }
  for (const auto& [name, type] : plan->widened) {
    SLUICE_RETURN_IF_ERROR(RunDdl(
        log, "ALTER COLUMN " + QuoteIdentifier(name) + " SET DATA TYPE " + type, "widen a column"));
  }
  for (const std::size_t index : plan->added) {
    const Column& column = to.columns[index];
    SLUICE_RETURN_IF_ERROR(
        RunDdl(log, "ADD COLUMN " + QuoteIdentifier(column.name) + " " + SqlType(column.type),
               "add a column"));
  }
  staged.to_retell.insert(staged.to_retell.end(), plan->retold.begin(), plan->retold.end());
  return {};
}

}  // namespace sluice::duckdb
