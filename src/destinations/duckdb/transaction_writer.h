/// \file
/// The writer's side of the file: what one destination transaction takes in, table by table, and
/// its end.
///
/// Order, enforced (SLU-5028): of one table first LandUnit and AlterTable, then rows. A file whose
/// log holds UPDATE or DELETE before a rename of that table loses them in a replay; so defaults of
/// added columns, too, are filled in only when the first row of the table comes, or at the end.
///
/// Thread safety: the writer's. After an error outside StageOutcome only Abandon() may follow.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/destination.h"
#include "sluice/result.h"

#include "destinations/duckdb/connection.h"
#include "destinations/duckdb/quarantine.h"
#include "destinations/duckdb/row_applier.h"

namespace sluice::duckdb {

class TransactionWriter {
 public:
  /// \param quarantined tables with entries in sluice.quarantine
  /// \param ranges where landed ranges lie, of each record that has some
  /// \param memory_bytes DuckDB's
  /// \param string_bytes_max what UPDATEs may keep in memory between two checkpoints
  TransactionWriter(Connection connection, const DeliveryState& state,
                    std::set<RelationId> quarantined, const std::map<RelationId, TableName>& ranges,
                    std::size_t memory_bytes, std::size_t string_bytes_max);

  /// The unit's shadow becomes the table. Any table in its place is dropped. A transaction begins
  /// with its first item and sees what was committed then: the copy must have ended before.
  Result<StageOutcome> Land(const LandUnit& item, const TableName& shadow);
  /// The unit's rows are in a table with those of other ranges, which becomes the table with the
  /// last.
  Result<StageOutcome> LandRange(const LandUnit& item, const TableName& ranges);
  Result<StageOutcome> Alter(const AlterTable& item);
  Result<StageOutcome> Drop(const DropTable& item);
  Result<StageOutcome> Apply(const NetRows& item);
  Result<StageOutcome> Log(const HistoryRows& item);
  /// As of Destination.
  Status Keep(RelationId relation, const std::vector<KeptChange>& changes);
  Status DropKept(RelationId relation, std::uint64_t through);
  Result<std::vector<KeptChange>> ReadKept(RelationId relation, std::uint64_t after,
                                           std::size_t count_max, std::size_t bytes_max);

  /// Errors: SLU-5004, SLU-5105, and whatever DuckDB says; the transaction is rolled back then.
  /// kUnknown: COMMIT itself failed. `checkpoints`: that the file has had by now.
  Result<CommitOutcome> Commit(const CommitRecord& record, std::uint64_t checkpoints);
  void Abandon();

  /// The last commit changed a table's shape.
  bool had_ddl() const { return had_ddl_; }
  /// Why the last commit was kUnknown.
  const std::map<RelationId, TableRecord>& records() const { return records_; }
  /// Where landed ranges lie, as of the last commit.
  std::vector<TableName> ranges() const;
  Connection& connection() { return connection_; }
  StringBudget& strings() { return strings_; }
  /// After Birth: nothing is known any more.
  void Clear();

 private:
  struct Table {
    TableName name;
    SchemaPtr shape;
    TableMode mode = TableMode::kMirror;
    bool is_verified = false;  ///< is as it was given, looked at since this was opened
    bool is_log_verified = false;
  };
  struct LoggedChange {
    ShapeChange change;
    Lsn lsn;
  };
  /// What this transaction did to a table.
  struct Staged {
    Table table;
    bool has_rows = false;
    /// Added columns and what older rows read as there: batches of one row.
    std::vector<std::pair<Column, RowsPtr>> to_fill;
    std::vector<LoggedChange> changes;  ///< rows for sluice.schema_changes
    /// What columns were called in older rows of the log, and are called now.
    std::vector<std::pair<std::string, std::string>> to_retell;
  };

  Status Begin();
  /// The table as this transaction has it; null: never seen.
  Staged* Find(RelationId relation);
  /// Another table of ours than `but` lies under this name.
  bool HasName(const TableName& name, RelationId but) const;
  /// A table that gets rows has the name that `item` is to land under, in other letters only.
  bool IsSpeltOtherwise(const LandUnit& item) const;
  Result<Staged*> StageTable(const TableSchema& schema);
  Result<std::optional<Error>> MakeRoom(const TableName& name);
  Result<StageOutcome> Rename(Staged& staged, const AlterTable& item);
  Status RenameOne(const TableName& before, const TableName& name);
  Status Move(const TableName& before, const TableName& name);
  /// Names that wait for others to become free go over a third one.
  Status RenameColumns(const Staged& staged, const TableSchema& to);
  /// Drops, renames, widenings, then additions, in this order.
  Status AlterColumns(const Staged& staged, const TableSchema& to);
  Result<std::optional<Error>> CheckAlter(Staged& staged, const TableSchema& to);
  /// What the log needs to have the columns of `to`.
  Status AlterLog(const TableName& log, const TableSchema* from, const TableSchema& to,
                  Staged& staged);
  /// The copied rows become the table, the log, or both. `before`: what the table was; null: new.
  Result<std::optional<Error>> LandRows(const LandUnit& item, const TableName& shadow,
                                        const Table* before, Staged& staged);
  /// Landed ranges of a table that is not whole, as this transaction has them; null: none.
  const Table* FindRanges(RelationId relation) const;
  Result<StageOutcome> ApplyToRanges(const NetChange& change);
  /// Forgets those that no record has any more.
  Status WriteRangesOf(const TableRecord& table);
  Result<std::optional<Error>> CheckShadow(const LandUnit& item, const TableName& shadow);
  static Error NameIsTaken(const TableName& name);
  static Error OutOfOrder(const TableName& name);
  /// The log of a table that lands: kept, made, or in the way of another.
  Result<std::optional<Error>> LandLog(const LandUnit& item, const Table* before,
                                       const TableName& rows, Staged& staged);
  /// Whose log has this name, in a table of ours; null: nobody's.
  const Table* FindLog(const TableName& log) const;
  Result<std::optional<Error>> PrepareLog(Staged& staged, const TableSchema& schema);
  Status RunDdl(const TableName& table, const std::string& action, const char* doing);
  Status Fill(Staged& staged);
  Result<std::optional<Error>> Prepare(Staged& staged, const TableSchema& schema);
  /// Whose quarantined values those of a table are.
  QuarantineOwner OwnerOf(RelationId relation, const Table& table) const;
  Result<std::optional<Error>> AlterQuarantined(const TableSchema& from, const TableSchema& to);
  Result<std::optional<Error>> Quarantine(const Staged& staged, const NetChange& change);
  Status WriteTables(const CommitRecord& record);
  Status WriteRecords(const CommitRecord& record);
  Status FillRest();
  Status WriteChanges(const CommitRecord& record);

  Connection connection_;
  const std::size_t memory_bytes_;
  StringBudget strings_;
  const std::uint64_t epoch_;
  std::uint64_t checkpoints_ = 0;  ///< as last written by this
  Lsn position_;
  std::map<RelationId, Table> tables_;
  std::map<RelationId, Table> ranges_;         ///< landed ones of tables that are not whole
  std::map<RelationId, TableRecord> records_;  ///< as stored
  std::map<RelationId, Staged> staged_;
  std::map<RelationId, std::optional<Table>> staged_ranges_;  ///< empty: they became the table
  std::set<RelationId> changed_ranges_;                       ///< in this transaction
  /// Tables that had entries in sluice.quarantine at some time since this was opened.
  std::set<RelationId> quarantined_;
  std::uint64_t moved_rows_ = 0;  ///< of tables that moved to another schema in this transaction
  std::uint64_t moved_blocks_ = 0;
  bool is_open_ = false;
  bool has_ddl_ = false;
  bool had_ddl_ = false;
};

}  // namespace sluice::duckdb
