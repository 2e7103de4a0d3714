#include "destinations/duckdb/transaction_writer.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <span>
#include <utility>

#include "base/failpoint.h"
#include "columnar/copy_decoder.h"
#include "destinations/duckdb/bookkeeping.h"
#include "destinations/duckdb/history_log.h"
#include "destinations/duckdb/kept_changes.h"
#include "destinations/duckdb/name_lookup.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/row_applier.h"
#include "destinations/duckdb/table_progress.h"
#include "destinations/duckdb/table_width.h"
#include "destinations/duckdb/type_map.h"
#include "destinations/duckdb/value_check.h"

namespace sluice::duckdb {
namespace {

StageOutcome Failed(RelationId relation, Error error) {
  return {.table_failed = TableFailed{.relation = relation, .error = std::move(error)}};
}

Error RowsNotFound(const TableName& name) {
  return {.kind = ErrorKind::kSchemaConflict,
          .message =
              "what finds a row of " + ToString(name) + " changed, and it has quarantined values",
          .code = "SLU-5027",
          .advice = "sluice resync " + ToString(name)};
}

/// PostgreSQL's text of a column's default as a batch of one row and one column, through the
/// decoder that reads every other text.
Result<RowsPtr> DefaultRow(const TableSchema& table, const Column& column) {
  auto schema = std::make_shared<TableSchema>();
  schema->relation = table.relation;
  schema->name = table.name;
  schema->columns = {column};
  columnar::CopyDecoder decoder(schema, columnar::CopyFormat::kText);
  std::string line;
  columnar::AppendCopyText(column.missing_value, line);
  line.push_back('\n');
  Status status = decoder.Append(std::as_bytes(std::span(line)));
  CopiedRows row = decoder.Finish();
  if (status && !row.misfits.empty()) {
    status = Error{.kind = ErrorKind::kConversion, .message = row.misfits.front().reason};
  }
  if (status) status = CheckValues(column, *row.rows->column_data(0));
  if (!status) {
    Error error = std::move(status).error();
    return Error{.kind = ErrorKind::kSchemaConflict,
                 .message = "the default of added column " + column.name +
                            " is not understood: " + error.message,
                 .code = "SLU-5113",
                 .advice = "sluice resync " + ToString(table.name)};
  }
  return std::move(row.rows);
}

bool HasSameColumns(const TableSchema& a, const TableSchema& b) {
  if (a.columns.size() != b.columns.size()) return false;
  const auto origins = ColumnOrigins(a, b);
  for (std::size_t i = 0; i < b.columns.size(); ++i) {
    if (origins[i] != i || a.columns[i].name != b.columns[i].name ||
        SqlType(a.columns[i].type) != SqlType(b.columns[i].type))
      return false;
  }
  return true;
}

/// Kept columns stand in their old order, added ones behind them: DuckDB has no other way.
bool KeepsOrder(const std::vector<std::optional<std::size_t>>& origins) {
  std::optional<std::size_t> last;
  bool has_added = false;
  for (const auto& origin : origins) {
    if (!origin) {
      has_added = true;
      continue;
    }
    if (has_added || (last && *origin < *last)) return false;
    last = origin;
  }
  return true;
}

/// CAST gives every value of `from` back exactly.
bool IsWidened(const ColumnType& from, const ColumnType& to) {
  if (SqlType(from) == SqlType(to) || LosesLength(from, to)) return true;
  return from.carrier == Carrier::kDecimal && to.carrier == Carrier::kDecimal &&
         from.scale == to.scale && from.precision <= to.precision;
}

// Of tables that move to another schema in one transaction: 5 million rows of six columns, 166 MiB,
// took 4 s. What is more is copied again, beside all other tables.
constexpr std::uint64_t kMovedRowsMax = 10'000'000;
constexpr std::uint64_t kMovedBlocksMax = 1024;  // of 256 KiB each

Error CannotRename(const TableName& before, const TableName& name, const std::string& reason) {
  return {.kind = ErrorKind::kSchemaConflict,
          .message = "table " + ToString(before) + " cannot become " + ToString(name) +
                     " where it lies: " + reason,
          .code = "SLU-5027",
          .advice = "sluice resync " + ToString(name)};
}

bool SameInternals(const TableRecord& a, const TableRecord& b) {
  if (a.publication_entry != b.publication_entry || a.destination != b.destination ||
      a.source != b.source || a.older_writers_done != b.older_writers_done)
    return false;
  if (a.schema == b.schema) return true;
  return a.schema != nullptr && b.schema != nullptr && a.schema->columns == b.schema->columns &&
         a.schema->hidden == b.schema->hidden && a.schema->key == b.schema->key &&
         a.schema->identity == b.schema->identity &&
         a.schema->identity_columns == b.schema->identity_columns &&
         a.schema->name == b.schema->name && a.schema->since == b.schema->since;
}

}  // namespace

TransactionWriter::TransactionWriter(Connection connection, const DeliveryState& state,
                                     std::set<RelationId> quarantined,
                                     const std::map<RelationId, TableName>& ranges,
                                     std::size_t memory_bytes, std::size_t string_bytes_max)
    : connection_(std::move(connection)),
      memory_bytes_(memory_bytes),
      strings_(string_bytes_max),
      epoch_(state.epoch),
      quarantined_(std::move(quarantined)) {
  if (state.position) position_ = state.position->lsn;
  for (const TableRecord& record : state.tables) {
    records_[record.relation] = record;
    if (record.schema != nullptr)
      tables_[record.relation] = {
          .name = record.destination, .shape = record.schema, .mode = record.mode};
    // Not always in the schema where the table lies: that may be one that it has left.
    if (record.ranges)
      ranges_[record.relation] = {.name = ranges.at(record.relation),
                                  .shape = record.ranges->schema};
  }
}

Error TransactionWriter::OutOfOrder(const TableName& name) {
  return {.kind = ErrorKind::kSchemaConflict,
          .message = "table " + ToString(name) + " changed its shape after rows in one transaction",
          .code = "SLU-5028",
          .advice = "sluice resync " + ToString(name)};
}

Status TransactionWriter::Begin() {
  if (is_open_) return {};
  SLUICE_RETURN_IF_ERROR(connection_.Run("BEGIN", "begin"));
  is_open_ = true;
  return {};
}

TransactionWriter::Staged* TransactionWriter::Find(RelationId relation) {
  if (const auto it = staged_.find(relation); it != staged_.end()) return &it->second;
  const auto known = tables_.find(relation);
  if (known == tables_.end()) return nullptr;
  Staged& staged = staged_[relation];
  staged.table = known->second;
  return &staged;
}

bool TransactionWriter::IsSpeltOtherwise(const LandUnit& item) const {
  return std::any_of(tables_.begin(), tables_.end(), [&](const auto& known) {
    const auto& [relation, table] = known;
    const auto record = records_.find(relation);
    const bool gets_rows = record != records_.end() &&
                           (record->second.state == TableState::kLive || record->second.kept);
    return gets_rows && relation != item.unit.relation && !staged_.contains(relation) &&
           HasState(table.mode) && table.name != item.destination &&
           FoldKey(table.name) == FoldKey(item.destination);
  });
}

bool TransactionWriter::HasName(const TableName& name, RelationId but) const {
  const std::string key = FoldKey(name);
  const auto has_it = [&](const Table& table) {
    return (HasState(table.mode) && FoldKey(table.name) == key) ||
           (HasLog(table.mode) && FoldKey(LogOf(table.name)) == key);
  };
  for (const auto& [relation, staged] : staged_) {
    if (relation != but && has_it(staged.table)) return true;
  }
  // Where one landed under a new name, the old one is not its any more.
  return std::any_of(tables_.begin(), tables_.end(), [&](const auto& known) {
    return known.first != but && !staged_.contains(known.first) && has_it(known.second);
  });
}

Result<TransactionWriter::Staged*> TransactionWriter::StageTable(const TableSchema& schema) {
  if (Staged* found = Find(schema.relation)) return found;
  // Never landed here: rows go on from a table that was there (--copy none).
  Staged& staged = staged_[schema.relation];
  const auto record = records_.find(schema.relation);
  staged.table.name = record == records_.end() ? schema.name : record->second.destination;
  staged.table.shape = std::make_shared<const TableSchema>(schema);
  if (record != records_.end()) staged.table.mode = record->second.mode;
  if (HasLog(staged.table.mode)) {
    SLUICE_RETURN_IF_ERROR(Begin());
    has_ddl_ = true;
    SLUICE_RETURN_IF_ERROR(CreateLog(connection_, LogOf(staged.table.name), schema));
  }
  return &staged;
}

Result<std::optional<Error>> TransactionWriter::MakeRoom(const TableName& name) {
  SLUICE_ASSIGN_OR_RETURN(const NameUse use, LookUpName(connection_, name));
  if (use == NameUse::kView) {
    return std::optional(Error{.kind = ErrorKind::kSchemaConflict,
                               .message = "a view has the name of table " + ToString(name),
                               .code = "SLU-5116",
                               .advice = "rename the view"});
  }
  if (use == NameUse::kTable) {
    SLUICE_RETURN_IF_ERROR(
        connection_.Run("DROP TABLE " + QualifiedName(name), "drop the old table"));
  }
  return std::optional<Error>();
}

Result<std::optional<Error>> TransactionWriter::LandRows(const LandUnit& item,
                                                         const TableName& shadow,
                                                         const Table* before, Staged& staged) {
  const bool has_state = HasState(item.mode);
  if (has_state) {
    if (FindLog(item.destination) != nullptr || IsSpeltOtherwise(item))
      return std::optional(NameIsTaken(item.destination));
    SLUICE_ASSIGN_OR_RETURN(std::optional<Error> refused, MakeRoom(item.destination));
    if (refused) return refused;
    SLUICE_RETURN_IF_ERROR(connection_.Run("ALTER TABLE " + QualifiedName(shadow) + " RENAME TO " +
                                               QuoteIdentifier(item.destination.table),
                                           "land a copy"));
  }
  // Another table may have got the name this one had.
  const bool leaves_name = before != nullptr && HasState(before->mode) &&
                           (!has_state || FoldKey(before->name) != FoldKey(item.destination)) &&
                           !HasName(before->name, item.unit.relation);
  if (leaves_name) {
    SLUICE_RETURN_IF_ERROR(connection_.Run("DROP TABLE IF EXISTS " + QualifiedName(before->name),
                                           "drop the old table"));
  }
  if (HasLog(item.mode)) {
    SLUICE_ASSIGN_OR_RETURN(std::optional<Error> refused,
                            LandLog(item, before, has_state ? item.destination : shadow, staged));
    if (refused) return refused;
  }
  if (has_state) return std::optional<Error>();
  SLUICE_RETURN_IF_ERROR(connection_.Run("DROP TABLE " + QualifiedName(shadow), "drop a copy"));
  return std::optional<Error>();
}

Result<StageOutcome> TransactionWriter::Land(const LandUnit& item, const TableName& shadow) {
  Staged* before = Find(item.unit.relation);
  if (before != nullptr && before->has_rows)
    return Failed(item.unit.relation, OutOfOrder(item.destination));
  SLUICE_ASSIGN_OR_RETURN(std::optional<Error> unseen, CheckShadow(item, shadow));
  if (unseen) return Failed(item.unit.relation, *std::move(unseen));
  has_ddl_ = true;
  std::optional<Table> known;
  if (before != nullptr) known = before->table;
  Staged staged;
  staged.table = {.name = item.destination,
                  .shape = item.schema,
                  .mode = item.mode,
                  .is_verified = true,
                  .is_log_verified = true};
  SLUICE_ASSIGN_OR_RETURN(std::optional<Error> refused,
                          LandRows(item, shadow, known ? &*known : nullptr, staged));
  if (refused) return Failed(item.unit.relation, std::move(*refused));
  SLUICE_ASSIGN_OR_RETURN(
      const bool has_entries,
      LandQuarantine(connection_, item.unit, OwnerOf(item.unit.relation, staged.table),
                     item.schema->since));
  if (has_entries) quarantined_.insert(item.unit.relation);
  SLUICE_RETURN_IF_ERROR(RemoveUnit(connection_, item.unit));
  if (known) {
    std::vector<ShapeChange> changes = ChangesBetween(*known->shape, *item.schema);
    if (!changes.empty()) staged.changes.push_back({{"copy again", "", ""}, item.lsn});
    for (ShapeChange& change : changes) staged.changes.push_back({std::move(change), item.lsn});
  }
  staged_[item.unit.relation] = std::move(staged);
  return StageOutcome{};
}

Result<StageOutcome> TransactionWriter::Alter(const AlterTable& item) {
  SLUICE_ASSIGN_OR_RETURN(Staged* const found, StageTable(*item.from));
  Staged& staged = *found;
  const RelationId relation = item.to->relation;
  const SchemaPtr before = staged.table.shape;
  if (item.from->name != item.to->name) return Rename(staged, item);
  SLUICE_ASSIGN_OR_RETURN(std::optional<Error> lost, AlterQuarantined(*before, *item.to));
  if (lost) return Failed(relation, std::move(*lost));
  if (!HasSameColumns(*before, *item.to)) {
    SLUICE_ASSIGN_OR_RETURN(std::optional<Error> refused, CheckAlter(staged, *item.to));
    if (refused) return Failed(relation, std::move(*refused));
    const auto origins = ColumnOrigins(*before, *item.to);
    std::vector<std::pair<Column, RowsPtr>> to_fill;
    for (auto& [column, row] : staged.to_fill) {
      const auto kept = std::find_if(
          item.to->columns.begin(), item.to->columns.end(),
          [&, number = column.attnum](const Column& now) { return now.attnum == number; });
      if (kept == item.to->columns.end()) continue;  // added and dropped again
      auto again = DefaultRow(*item.to, *kept);
      if (!again) return Failed(relation, std::move(again).error());
      to_fill.emplace_back(*kept, *std::move(again));
    }
    for (std::size_t i = 0; i < item.to->columns.size(); ++i) {
      const Column& column = item.to->columns[i];
      if (origins[i] || !column.missing_value) continue;
      auto row = DefaultRow(*item.to, column);
      if (!row) return Failed(relation, std::move(row).error());
      to_fill.emplace_back(column, *std::move(row));
    }
    SLUICE_FAILPOINT("schema.alter");
    Status altered = HasState(staged.table.mode) ? AlterColumns(staged, *item.to) : Status();
    if (altered && HasLog(staged.table.mode))
      altered = AlterLog(LogOf(staged.table.name), before.get(), *item.to, staged);
    if (!altered && altered.error().kind == ErrorKind::kSchemaConflict)
      return Failed(relation, altered.error());
    SLUICE_RETURN_IF_ERROR(altered);
    SLUICE_FAILPOINT("schema.altered");
    staged.to_fill = std::move(to_fill);
  }
  for (ShapeChange& change : ChangesBetween(*before, *item.to))
    staged.changes.push_back({std::move(change), item.lsn});
  staged.table.shape = item.to;
  return StageOutcome{};
}

/// Before any row of the transaction: DuckDB loses changes that its log holds before a rename.
Result<StageOutcome> TransactionWriter::Rename(Staged& staged, const AlterTable& item) {
  const TableName before = staged.table.name;
  const TableName& name = item.to->name;
  if (before == name) return StageOutcome{};
  const RelationId relation = item.to->relation;
  const bool has_rows = std::any_of(staged_.begin(), staged_.end(),
                                    [](const auto& entry) { return entry.second.has_rows; });
  if (has_rows) return Failed(relation, OutOfOrder(before));
  const bool is_taken = (HasState(staged.table.mode) && HasName(name, relation)) ||
                        (HasLog(staged.table.mode) && HasName(LogOf(name), relation));
  if (is_taken || FoldKey(before) == FoldKey(name))
    return Failed(relation, CannotRename(before, name, "the name is taken"));
  Status renamed;
  if (HasState(staged.table.mode)) renamed = RenameOne(before, name);
  if (renamed && HasLog(staged.table.mode)) renamed = RenameOne(LogOf(before), LogOf(name));
  // Something of the user's has the name, or holds the table. No room is no reason to copy it.
  const auto is_ours = [](const Error& error) {
    return error.kind == ErrorKind::kConnection || error.kind == ErrorKind::kCancelled ||
           error.code == "SLU-5012" || error.code == "SLU-5018";
  };
  if (!renamed && !is_ours(renamed.error())) return Failed(relation, renamed.error());
  SLUICE_RETURN_IF_ERROR(renamed);
  staged.table.name = name;
  staged.table.shape = item.to;
  staged.changes.push_back({{"rename table", ToString(before), ToString(name)}, item.lsn});
  return StageOutcome{};
}

Status TransactionWriter::RenameOne(const TableName& before, const TableName& name) {
  if (before.schema != name.schema) return Move(before, name);
  return RunDdl(before, "RENAME TO " + QuoteIdentifier(name.table), "rename a table");
}

/// DuckDB moves no table to another schema: it is made there from its own rows, while all other
/// tables wait. Without the indexes that the user put on it.
Status TransactionWriter::Move(const TableName& before, const TableName& name) {
  SLUICE_RETURN_IF_ERROR(Begin());
  SLUICE_ASSIGN_OR_RETURN(const NameUse use, LookUpName(connection_, name));
  if (use != NameUse::kFree) return CannotRename(before, name, "the name is taken");
  const std::string from = QualifiedName(before);
  const std::string to = QualifiedName(name);
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult size,
      connection_.Query("SELECT (SELECT count(*) FROM " + from +
                            ")::UBIGINT, (count(DISTINCT block_id) FILTER (persistent) + "
                            "coalesce(sum(len(additional_block_ids)), 0))::UBIGINT "
                            "FROM pragma_storage_info(" +
                            QuoteLiteral(from) + ")",
                        "size up a table"));
  moved_rows_ += size.u64(0, 0);
  moved_blocks_ += size.u64(0, 1);
  if (moved_rows_ > kMovedRowsMax || moved_blocks_ > kMovedBlocksMax)
    return CannotRename(before, name, "too much would have to be written anew at once");
  has_ddl_ = true;
  SLUICE_FAILPOINT("schema.move");
  return connection_.Run("CREATE SCHEMA IF NOT EXISTS " + QualifiedSchema(name.schema) +
                             "; CREATE TABLE " + to + " AS FROM " + from + "; DROP TABLE " + from,
                         "move a table");
}

Result<StageOutcome> TransactionWriter::Drop(const DropTable& item) {
  const Staged* before = Find(item.relation);
  if (before != nullptr && before->has_rows)
    return Failed(item.relation, OutOfOrder(item.destination));
  const TableMode mode = before == nullptr ? TableMode::kMirror : before->table.mode;
  staged_.erase(item.relation);
  std::vector<TableName> names;
  if (HasState(mode)) names.push_back(item.destination);
  if (HasLog(mode)) names.push_back(LogOf(item.destination));
  for (const TableName& name : names) {
    if (HasName(name, item.relation)) continue;
    SLUICE_RETURN_IF_ERROR(Begin());
    has_ddl_ = true;
    SLUICE_RETURN_IF_ERROR(
        connection_.Run("DROP TABLE IF EXISTS " + QualifiedName(name), "drop a table"));
  }
  return StageOutcome{};
}

Result<std::optional<Error>> TransactionWriter::CheckAlter(Staged& staged, const TableSchema& to) {
  const TableName& name = staged.table.name;
  if (staged.has_rows) return std::optional(OutOfOrder(name));
  if (std::optional<Error> bad = CheckNames(to, name)) return bad;
  if (std::optional<Error> wide = CheckWidth(to, memory_bytes_)) return wide;
  const auto origins = ColumnOrigins(*staged.table.shape, to);
  bool can_follow = KeepsOrder(origins);
  for (std::size_t i = 0; can_follow && i < origins.size(); ++i) {
    can_follow =
        !origins[i] || IsWidened(staged.table.shape->columns[*origins[i]].type, to.columns[i].type);
  }
  if (!can_follow) {
    return std::optional(
        Error{.kind = ErrorKind::kSchemaConflict,
              .message = "table " + ToString(name) + " changed in a way that only a copy follows",
              .code = "SLU-5027",
              .advice = "sluice resync " + ToString(name)});
  }
  // The log says itself whether it can follow.
  if (staged.table.is_verified || !HasState(staged.table.mode)) return std::optional<Error>();
  SLUICE_ASSIGN_OR_RETURN(std::optional<Error> altered,
                          CompareShape(connection_, name, *staged.table.shape));
  staged.table.is_verified = !altered.has_value();
  return altered;
}

/// What DuckDB refuses (an index of the user on the table) is no trouble of the whole destination.
Status TransactionWriter::RunDdl(const TableName& table, const std::string& action,
                                 const char* doing) {
  SLUICE_RETURN_IF_ERROR(Begin());
  has_ddl_ = true;
  Status done = connection_.Run("ALTER TABLE " + QualifiedName(table) + " " + action, doing);
  if (done || done.error().server_message.find("Dependency") == std::string::npos) return done;
  Error error = std::move(done).error();
  error.kind = ErrorKind::kSchemaConflict;
  error.code = "SLU-5027";
  error.advice = "sluice resync " + ToString(table);
  return error;
}

Status TransactionWriter::AlterColumns(const Staged& staged, const TableSchema& to) {
  const TableSchema& from = *staged.table.shape;
  const TableName& table = staged.table.name;
  const auto origins = ColumnOrigins(from, to);
  const bool keeps_any = std::any_of(origins.begin(), origins.end(),
                                     [](const auto& origin) { return origin.has_value(); });
  // A table must have a column at any time.
  if (!keeps_any) {
    return Error{.kind = ErrorKind::kSchemaConflict,
                 .message = "no column of table " + ToString(table) + " is left",
                 .code = "SLU-5027",
                 .advice = "sluice resync " + ToString(table)};
  }
  for (std::size_t i = 0; i < from.columns.size(); ++i) {
    if (std::find(origins.begin(), origins.end(), i) != origins.end()) continue;
    SLUICE_RETURN_IF_ERROR(
        RunDdl(table, "DROP COLUMN " + QuoteIdentifier(from.columns[i].name), "drop a column"));
  }
  SLUICE_RETURN_IF_ERROR(RenameColumns(staged, to));
  for (std::size_t i = 0; i < to.columns.size(); ++i) {
    if (!origins[i]) continue;
    const std::string type = SqlType(to.columns[i].type);
    if (SqlType(from.columns[*origins[i]].type) == type) continue;
    SLUICE_RETURN_IF_ERROR(RunDdl(
        table, "ALTER COLUMN " + QuoteIdentifier(to.columns[i].name) + " SET DATA TYPE " + type,
        "widen a column"));
  }
  for (std::size_t i = 0; i < to.columns.size(); ++i) {
    if (origins[i]) continue;
    SLUICE_RETURN_IF_ERROR(RunDdl(
        table,
        "ADD COLUMN " + QuoteIdentifier(to.columns[i].name) + " " + SqlType(to.columns[i].type),
        "add a column"));
  }
  return {};
}

Status TransactionWriter::RenameColumns(const Staged& staged, const TableSchema& to) {
  const TableSchema& from = *staged.table.shape;
  const auto origins = ColumnOrigins(from, to);
  std::vector<std::pair<std::string, std::string>> renames;
  for (std::size_t i = 0; i < to.columns.size(); ++i) {
    if (!origins[i] || from.columns[*origins[i]].name == to.columns[i].name) continue;
    renames.emplace_back(from.columns[*origins[i]].name, to.columns[i].name);
  }
  const auto rename = [&](const std::string& before, const std::string& after) {
    return RunDdl(staged.table.name,
                  "RENAME COLUMN " + QuoteIdentifier(before) + " TO " + QuoteIdentifier(after),
                  "rename a column");
  };
  if (renames.size() == 1 && FoldName(renames[0].first) != FoldName(renames[0].second))
    return rename(renames[0].first, renames[0].second);
  for (std::size_t i = 0; i < renames.size(); ++i)
    SLUICE_RETURN_IF_ERROR(rename(renames[i].first, "_sluice_rename_" + std::to_string(i)));
  for (std::size_t i = 0; i < renames.size(); ++i)
    SLUICE_RETURN_IF_ERROR(rename("_sluice_rename_" + std::to_string(i), renames[i].second));
  return {};
}

Status TransactionWriter::Fill(Staged& staged) {
  // From the first statement on the table has rows in this transaction.
  staged.has_rows = true;
  const TableMode mode = staged.table.mode;
  const TableName log = LogOf(staged.table.name);
  SLUICE_RETURN_IF_ERROR(RetellUnchanged(connection_, log, std::exchange(staged.to_retell, {})));
  for (const auto& [column, row] : std::exchange(staged.to_fill, {})) {
    if (HasState(mode))
      SLUICE_RETURN_IF_ERROR(FillColumns(connection_, staged.table.name, {&column}, row));
    if (HasLog(mode)) SLUICE_RETURN_IF_ERROR(FillLog(connection_, log, column, row));
  }
  return {};
}

Result<std::optional<Error>> TransactionWriter::Prepare(Staged& staged, const TableSchema& schema) {
  if (!HasSameColumns(*staged.table.shape, schema)) {
    return std::optional(Error{
        .kind = ErrorKind::kSchemaConflict,
        .message = "rows of another shape than the destination's " + ToString(staged.table.name),
        .code = "SLU-5027",
        .advice = "sluice resync " + ToString(staged.table.name)});
  }
  if (!staged.table.is_verified) {
    // Its share may have been larger when it came.
    if (std::optional<Error> wide = CheckWidth(schema, memory_bytes_)) return wide;
    SLUICE_ASSIGN_OR_RETURN(std::optional<Error> altered,
                            CompareShape(connection_, staged.table.name, schema));
    if (altered) return altered;
    staged.table.is_verified = true;
  }
  SLUICE_RETURN_IF_ERROR(Fill(staged));
  return std::optional<Error>();
}

Result<StageOutcome> TransactionWriter::Apply(const NetRows& item) {
  const NetChange& change = *item.change;
  const RelationId relation = change.schema->relation;
  if (auto misfit = CheckChange(change)) {
    if (misfit->kind == ErrorKind::kInternal) return std::move(*misfit);
    return Failed(relation, std::move(*misfit));
  }
  if (item.of_ranges) return ApplyToRanges(change);
  SLUICE_RETURN_IF_ERROR(Begin());
  SLUICE_ASSIGN_OR_RETURN(Staged* const table, StageTable(*change.schema));
  Staged& staged = *table;
  // Of a table without rows of its own only what is in quarantine follows.
  const bool has_rows = HasState(staged.table.mode);
  std::optional<Error> failed;
  if (has_rows) {
    SLUICE_ASSIGN_OR_RETURN(failed, Prepare(staged, *change.schema));
  }
  if (has_rows && !failed) {
    SLUICE_ASSIGN_OR_RETURN(failed, ApplyChange(connection_, staged.table.name, change, strings_));
  }
  if (!failed) {
    SLUICE_ASSIGN_OR_RETURN(failed, Quarantine(staged, change));
  }
  if (failed) return Failed(relation, std::move(*failed));
  return StageOutcome{};
}

Result<std::optional<Error>> TransactionWriter::PrepareLog(Staged& staged,
                                                           const TableSchema& schema) {
  if (!HasSameColumns(*staged.table.shape, schema)) {
    return std::optional(
        Error{.kind = ErrorKind::kSchemaConflict,
              .message = "rows of another shape than the log of " + ToString(staged.table.name),
              .code = "SLU-5027",
              .advice = "sluice resync " + ToString(staged.table.name)});
  }
  if (!staged.table.is_log_verified) {
    if (std::optional<Error> wide = CheckWidth(schema, memory_bytes_)) return wide;
    SLUICE_ASSIGN_OR_RETURN(std::optional<Error> altered,
                            CompareLog(connection_, LogOf(staged.table.name), schema));
    if (altered) return altered;
    staged.table.is_log_verified = true;
  }
  SLUICE_RETURN_IF_ERROR(Fill(staged));
  return std::optional<Error>();
}

Result<StageOutcome> TransactionWriter::Log(const HistoryRows& item) {
  const HistoryChange& change = *item.change;
  const RelationId relation = change.schema->relation;
  if (auto misfit = CheckHistory(change)) {
    if (misfit->kind == ErrorKind::kInternal) return std::move(*misfit);
    return Failed(relation, std::move(*misfit));
  }
  SLUICE_RETURN_IF_ERROR(Begin());
  SLUICE_ASSIGN_OR_RETURN(Staged* const staged, StageTable(*change.schema));
  SLUICE_ASSIGN_OR_RETURN(std::optional<Error> failed, PrepareLog(*staged, *change.schema));
  if (failed) return Failed(relation, std::move(*failed));
  SLUICE_RETURN_IF_ERROR(AppendHistory(connection_, LogOf(staged->table.name), change));
  return StageOutcome{};
}

Status TransactionWriter::Keep(RelationId relation, const std::vector<KeptChange>& changes) {
  SLUICE_RETURN_IF_ERROR(Begin());
  return AppendKept(connection_, relation, changes);
}

Status TransactionWriter::DropKept(RelationId relation, std::uint64_t through) {
  SLUICE_RETURN_IF_ERROR(Begin());
  return duckdb::DropKept(connection_, relation, through);
}

Result<std::vector<KeptChange>> TransactionWriter::ReadKept(RelationId relation,
                                                            std::uint64_t after,
                                                            std::size_t count_max,
                                                            std::size_t bytes_max) {
  return duckdb::ReadKept(connection_, relation, after, count_max, bytes_max);
}

QuarantineOwner TransactionWriter::OwnerOf(RelationId relation, const Table& table) const {
  return {.relation = relation, .source = table.shape->name, .destination = table.name};
}

/// Renames and drops reach the entries; a row that they cannot name any more is copied again.
Result<std::optional<Error>> TransactionWriter::AlterQuarantined(const TableSchema& from,
                                                                 const TableSchema& to) {
  if (!quarantined_.contains(from.relation)) return std::optional<Error>();
  SLUICE_RETURN_IF_ERROR(Begin());
  SLUICE_ASSIGN_OR_RETURN(const std::set<RelationId> now, ReadQuarantined(connection_));
  if (!now.contains(from.relation)) return std::optional<Error>();
  if (!FindsRowsAlike(from, to)) return std::optional(RowsNotFound(to.name));
  SLUICE_RETURN_IF_ERROR(AlterQuarantine(connection_, from, to));
  return std::optional<Error>();
}

Result<std::optional<Error>> TransactionWriter::Quarantine(const Staged& staged,
                                                           const NetChange& change) {
  const RelationId relation = change.schema->relation;
  const bool has_misfits = !change.update_misfits.empty() || !change.insert_misfits.empty() ||
                           !change.row_delete_misfits.empty();
  const bool has_entries = quarantined_.contains(relation);
  if (!has_misfits && !has_entries) return std::optional<Error>();
  // Rows that were sent before the key changed.
  if (!FindsRowsAlike(*staged.table.shape, *change.schema))
    return std::optional(RowsNotFound(staged.table.name));
  SLUICE_RETURN_IF_ERROR(
      ApplyQuarantine(connection_, OwnerOf(relation, staged.table), change, has_entries));
  if (has_misfits) quarantined_.insert(relation);
  return std::optional<Error>();
}

Status TransactionWriter::FillRest() {
  for (auto& [relation, staged] : staged_) {
    if (!staged.to_fill.empty() || !staged.to_retell.empty()) SLUICE_RETURN_IF_ERROR(Fill(staged));
  }
  return {};
}

Status TransactionWriter::WriteChanges(const CommitRecord& record) {
  for (const auto& [relation, staged] : staged_) {
    if (staged.changes.empty()) continue;
    TableName source = staged.table.shape->name;
    for (const TableRecord& table : record.tables) {
      if (table.relation == relation) source = table.source;
    }
    for (const LoggedChange& logged : staged.changes) {
      SLUICE_RETURN_IF_ERROR(WriteSchemaChange(connection_, relation, source, staged.table.name,
                                               logged.change, logged.lsn));
    }
  }
  return {};
}

Status TransactionWriter::WriteTables(const CommitRecord& record) {
  std::vector<const TableRecord*> ahead;
  for (const TableRecord& table : record.tables) {
    const auto known = records_.find(table.relation);
    const bool is_known = known != records_.end();
    const bool is_changed = !is_known || !SameInternals(known->second, table);
    SLUICE_RETURN_IF_ERROR(WriteKept(connection_, table.relation,
                                     is_known ? known->second.kept : std::nullopt, table.kept));
    if (is_changed || !IsProgressOnly(known->second, table)) {
      SLUICE_RETURN_IF_ERROR(WriteTable(connection_, table, is_changed));
    } else {
      ahead.push_back(&table);
    }
    SLUICE_RETURN_IF_ERROR(WriteRangesOf(table));
  }
  SLUICE_ASSIGN_OR_RETURN(const bool is_written, WriteProgress(connection_, ahead));
  if (is_written) return {};
  for (const TableRecord* table : ahead)
    SLUICE_RETURN_IF_ERROR(WriteTable(connection_, *table, false));
  return {};
}

Status TransactionWriter::WriteRecords(const CommitRecord& record) {
  if (record.birth) SLUICE_RETURN_IF_ERROR(ReplaceBirth(connection_, *record.birth, epoch_));
  if (record.position && record.position->lsn < position_) {
    return Error{.kind = ErrorKind::kStateStore,
                 .message = "position " + ToString(record.position->lsn) +
                            " is before the stored one, " + ToString(position_),
                 .code = "SLU-5105"};
  }
  SLUICE_RETURN_IF_ERROR(WriteChanges(record));
  SLUICE_RETURN_IF_ERROR(WriteTables(record));
  SLUICE_ASSIGN_OR_RETURN(const bool is_mine, WritePosition(connection_, record, epoch_));
  if (is_mine) return {};
  return Error{.kind = ErrorKind::kStateStore,
               .message = "a newer writer has taken over",
               .code = "SLU-5004"};
}

Result<CommitOutcome> TransactionWriter::Commit(const CommitRecord& record,
                                                std::uint64_t checkpoints) {
  Status status = Begin();
  if (status) status = FillRest();
  if (status) status = WriteRecords(record);
  if (status && checkpoints != checkpoints_) status = WriteCheckpoints(connection_, checkpoints);
  if (!status) {
    Abandon();
    return std::move(status).error();
  }
  SLUICE_FAILPOINT("duckdb.commit");
  status = connection_.Run("COMMIT", "commit");
  SLUICE_FAILPOINT("duckdb.committed");
  is_open_ = false;
  if (!status) {
    Abandon();
    // A full disk is known not to have taken it, and somebody has to make room; with too little
    // memory the file is opened again, and says then what it has.
    const std::string& code = status.error().code;
    if (code == "SLU-5012" || code == "SLU-5018") return std::move(status).error();
    return CommitOutcome::kUnknown;
  }
  checkpoints_ = checkpoints;
  had_ddl_ = std::exchange(has_ddl_, false);
  for (auto& [relation, staged] : staged_) tables_[relation] = std::move(staged.table);
  staged_.clear();
  changed_ranges_.clear();
  moved_rows_ = 0;
  moved_blocks_ = 0;
  for (auto& [relation, ranges] : std::exchange(staged_ranges_, {})) {
    if (ranges) {
      ranges_[relation] = std::move(*ranges);
    } else {
      ranges_.erase(relation);
    }
  }
  for (const TableRecord& table : record.tables) {
    if (table.was_removed) {
      records_.erase(table.relation);
      tables_.erase(table.relation);
    } else {
      records_[table.relation] = table;
    }
  }
  if (record.position || record.birth) position_ = record.position.value_or(Position{}).lsn;
  return CommitOutcome::kAccepted;
}

void TransactionWriter::Abandon() {
  staged_.clear();
  changed_ranges_.clear();
  moved_rows_ = 0;
  moved_blocks_ = 0;
  staged_ranges_.clear();
  has_ddl_ = false;
  if (is_open_) (void)connection_.Run("ROLLBACK", "roll back");
  is_open_ = false;
}

void TransactionWriter::Clear() {
  tables_.clear();
  ranges_.clear();
  staged_ranges_.clear();
  records_.clear();
  staged_.clear();
  changed_ranges_.clear();
  moved_rows_ = 0;
  moved_blocks_ = 0;
  quarantined_.clear();
  position_ = {};
}

}  // namespace sluice::duckdb
