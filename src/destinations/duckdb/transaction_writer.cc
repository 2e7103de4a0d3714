#include "destinations/duckdb/transaction_writer.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <span>
#include <utility>

#include "columnar/copy_decoder.h"
#include "destinations/duckdb/bookkeeping.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/row_applier.h"
#include "destinations/duckdb/type_map.h"
#include "destinations/duckdb/value_check.h"

namespace sluice::duckdb {
namespace {

StageOutcome Failed(RelationId relation, Error error) {
  return {.table_failed = TableFailed{.relation = relation, .error = std::move(error)}};
}

Error OutOfOrder(const TableName& name) {
  return {.kind = ErrorKind::kSchemaConflict,
          .message = "table " + ToString(name) + " changed its shape after rows in one transaction",
          .code = "SLU-5028",
          .advice = "sluice resync " + ToString(name)};
}

/// The text of one cell as COPY's text format has it.
std::string CopyLine(const std::optional<std::string>& text) {
  if (!text) return "\\N\n";
  std::string out;
  for (const char c : *text) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += c;
    }
  }
  return out + '\n';
}

/// PostgreSQL's text of a column's default as a batch of one row and one column, through the
/// decoder that reads every other text.
Result<RowsPtr> DefaultRow(const TableSchema& table, const Column& column) {
  auto schema = std::make_shared<TableSchema>();
  schema->relation = table.relation;
  schema->name = table.name;
  schema->columns = {column};
  columnar::CopyDecoder decoder(schema, columnar::CopyFormat::kText);
  const std::string line = CopyLine(column.missing_value);
  Status status = decoder.Append(std::as_bytes(std::span(line)));
  RowsPtr row = decoder.Finish();
  if (status) status = CheckValues(column, *row->column_data(0));
  if (!status) {
    Error error = std::move(status).error();
    return Error{.kind = ErrorKind::kSchemaConflict,
                 .message = "the default of added column " + column.name +
                            " is not understood: " + error.message,
                 .code = "SLU-5113",
                 .advice = "sluice resync " + ToString(table.name)};
  }
  return row;
}

bool IsGrown(const TableSchema& from, const TableSchema& to) {
  if (to.columns.size() < from.columns.size()) return false;
  for (std::size_t i = 0; i < from.columns.size(); ++i) {
    if (from.columns[i].name != to.columns[i].name ||
        SqlType(from.columns[i].type) != SqlType(to.columns[i].type))
      return false;
  }
  return true;
}

bool HasSameColumns(const TableSchema& a, const TableSchema& b) {
  return a.columns.size() == b.columns.size() && IsGrown(a, b);
}

bool SameInternals(const TableRecord& a, const TableRecord& b) {
  if (a.publication_entry != b.publication_entry || a.destination != b.destination ||
      a.source != b.source || a.older_writers_done != b.older_writers_done)
    return false;
  if (a.schema == b.schema) return true;
  return a.schema != nullptr && b.schema != nullptr && a.schema->columns == b.schema->columns &&
         a.schema->key == b.schema->key && a.schema->identity == b.schema->identity &&
         a.schema->identity_columns == b.schema->identity_columns &&
         a.schema->name == b.schema->name && a.schema->since == b.schema->since;
}

}  // namespace

TransactionWriter::TransactionWriter(Connection connection, const DeliveryState& state)
    : connection_(std::move(connection)), epoch_(state.epoch) {
  if (state.position) position_ = state.position->lsn;
  for (const TableRecord& record : state.tables) {
    records_[record.relation] = record;
    if (record.schema != nullptr)
      tables_[record.relation] = {.name = record.destination, .shape = record.schema};
  }
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

bool TransactionWriter::HasName(const TableName& name, RelationId but) const {
  const std::string key = FoldKey(name);
  for (const auto& [relation, staged] : staged_) {
    if (relation != but && FoldKey(staged.table.name) == key) return true;
  }
  // Where one landed under a new name, the old one is not its any more.
  return std::any_of(tables_.begin(), tables_.end(), [&](const auto& known) {
    return known.first != but && !staged_.contains(known.first) &&
           FoldKey(known.second.name) == key;
  });
}

TransactionWriter::Staged& TransactionWriter::StageTable(const TableSchema& schema) {
  if (Staged* found = Find(schema.relation)) return *found;
  // Never landed here: rows go on from a table that was there (--copy none).
  Staged& staged = staged_[schema.relation];
  const auto record = records_.find(schema.relation);
  staged.table.name = record == records_.end() ? schema.name : record->second.destination;
  staged.table.shape = std::make_shared<const TableSchema>(schema);
  return staged;
}

Result<std::optional<Error>> TransactionWriter::MakeRoom(const TableName& name) {
  const std::string where = " WHERE database_name = " + QuoteLiteral(kCatalog) +
                            " AND lower(schema_name) = lower(" + QuoteLiteral(name.schema) + ")";
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult found,
      connection_.Query("SELECT schema_name, table_name, false FROM duckdb_tables()" + where +
                            " AND lower(table_name) = lower(" + QuoteLiteral(name.table) +
                            ") UNION ALL SELECT schema_name, view_name, true FROM duckdb_views()" +
                            where + " AND lower(view_name) = lower(" + QuoteLiteral(name.table) +
                            ")",
                        "look for a table"));
  for (std::size_t row = 0; row < found.row_count(); ++row) {
    const TableName there{found.text(row, 0), found.text(row, 1)};
    if (FoldKey(there) != FoldKey(name)) continue;
    if (found.boolean(row, 2)) {
      return std::optional(Error{.kind = ErrorKind::kSchemaConflict,
                                 .message = "a view has the name of table " + ToString(name),
                                 .code = "SLU-5116",
                                 .advice = "rename the view"});
    }
    SLUICE_RETURN_IF_ERROR(
        connection_.Run("DROP TABLE " + QualifiedName(there), "drop the old table"));
  }
  return std::optional<Error>();
}

Result<StageOutcome> TransactionWriter::Land(const LandUnit& item, const TableName& shadow) {
  Staged* before = Find(item.unit.relation);
  if (before != nullptr && before->has_rows)
    return Failed(item.unit.relation, OutOfOrder(item.destination));
  SLUICE_RETURN_IF_ERROR(Begin());
  SLUICE_ASSIGN_OR_RETURN(std::optional<Error> unseen,
                          CompareShape(connection_, shadow, *item.schema));
  if (unseen) {
    return Failed(item.unit.relation,
                  {.kind = ErrorKind::kSchemaConflict,
                   .message = "the copy of " + ToString(item.destination) +
                              " ended after the transaction that lands it began",
                   .code = "SLU-5114",
                   .advice = "sluice resync " + ToString(item.destination)});
  }
  has_ddl_ = true;
  SLUICE_ASSIGN_OR_RETURN(std::optional<Error> refused, MakeRoom(item.destination));
  if (refused) return Failed(item.unit.relation, std::move(*refused));
  // Another table may have got the name this one had.
  const bool leaves_name = before != nullptr &&
                           FoldKey(before->table.name) != FoldKey(item.destination) &&
                           !HasName(before->table.name, item.unit.relation);
  if (leaves_name) {
    SLUICE_RETURN_IF_ERROR(connection_.Run(
        "DROP TABLE IF EXISTS " + QualifiedName(before->table.name), "drop the old table"));
  }
  SLUICE_RETURN_IF_ERROR(connection_.Run("ALTER TABLE " + QualifiedName(shadow) + " RENAME TO " +
                                             QuoteIdentifier(item.destination.table),
                                         "land a copy"));
  SLUICE_RETURN_IF_ERROR(RemoveUnit(connection_, item.unit));
  Staged staged;
  staged.table = {.name = item.destination, .shape = item.schema, .is_verified = true};
  staged_[item.unit.relation] = std::move(staged);
  return StageOutcome{};
}

Result<StageOutcome> TransactionWriter::Alter(const AlterTable& item) {
  Staged& staged = StageTable(*item.from);
  const TableName& name = staged.table.name;
  if (HasSameColumns(*staged.table.shape, *item.to)) {
    staged.table.shape = item.to;  // again, or only its key is another
    return StageOutcome{};
  }
  if (staged.has_rows) return Failed(item.to->relation, OutOfOrder(name));
  if (!IsGrown(*staged.table.shape, *item.to)) {
    return Failed(item.to->relation,
                  {.kind = ErrorKind::kSchemaConflict,
                   .message = "table " + ToString(name) +
                              " changed in another way than by columns added at its end",
                   .code = "SLU-5027",
                   .advice = "sluice resync " + ToString(name)});
  }
  if (!staged.table.is_verified) {
    SLUICE_ASSIGN_OR_RETURN(std::optional<Error> altered,
                            CompareShape(connection_, name, *staged.table.shape));
    if (altered) return Failed(item.to->relation, std::move(*altered));
    staged.table.is_verified = true;
  }
  std::vector<std::pair<Column, RowsPtr>> to_fill;
  for (std::size_t i = staged.table.shape->columns.size(); i < item.to->columns.size(); ++i) {
    const Column& column = item.to->columns[i];
    if (!column.missing_value) continue;
    auto row = DefaultRow(*item.to, column);
    if (!row) return Failed(item.to->relation, std::move(row).error());
    to_fill.emplace_back(column, *std::move(row));
  }
  SLUICE_RETURN_IF_ERROR(AddColumns(staged, *item.to));
  for (auto& fill : to_fill) staged.to_fill.push_back(std::move(fill));
  staged.table.shape = item.to;
  return StageOutcome{};
}

Status TransactionWriter::AddColumns(Staged& staged, const TableSchema& to) {
  SLUICE_RETURN_IF_ERROR(Begin());
  for (std::size_t i = staged.table.shape->columns.size(); i < to.columns.size(); ++i) {
    const Column& column = to.columns[i];
    has_ddl_ = true;
    SLUICE_RETURN_IF_ERROR(connection_.Run("ALTER TABLE " + QualifiedName(staged.table.name) +
                                               " ADD COLUMN " + QuoteIdentifier(column.name) + " " +
                                               SqlType(column.type),
                                           "add a column"));
  }
  return {};
}

Status TransactionWriter::Fill(Staged& staged) {
  // From the first statement on the table has rows in this transaction.
  staged.has_rows = true;
  for (const auto& [column, row] : std::exchange(staged.to_fill, {}))
    SLUICE_RETURN_IF_ERROR(FillColumns(connection_, staged.table.name, {&column}, row));
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
  SLUICE_RETURN_IF_ERROR(Begin());
  Staged& staged = StageTable(*change.schema);
  SLUICE_ASSIGN_OR_RETURN(std::optional<Error> failed, Prepare(staged, *change.schema));
  if (!failed) {
    SLUICE_ASSIGN_OR_RETURN(failed, ApplyChange(connection_, staged.table.name, change));
  }
  if (failed) return Failed(relation, std::move(*failed));
  return StageOutcome{};
}

Status TransactionWriter::FillRest() {
  for (auto& [relation, staged] : staged_) {
    if (!staged.to_fill.empty()) SLUICE_RETURN_IF_ERROR(Fill(staged));
  }
  return {};
}

Status TransactionWriter::WriteRecords(const CommitRecord& record) {
  if (record.position && record.position->lsn < position_) {
    return Error{.kind = ErrorKind::kStateStore,
                 .message = "position " + ToString(record.position->lsn) +
                            " is before the stored one, " + ToString(position_),
                 .code = "SLU-5105"};
  }
  for (const TableRecord& table : record.tables) {
    const auto known = records_.find(table.relation);
    const bool is_changed = known == records_.end() || !SameInternals(known->second, table);
    SLUICE_RETURN_IF_ERROR(WriteTable(connection_, table, is_changed));
  }
  SLUICE_ASSIGN_OR_RETURN(const bool is_mine, WritePosition(connection_, record, epoch_));
  if (is_mine) return {};
  return Error{.kind = ErrorKind::kStateStore,
               .message = "a newer writer has taken over",
               .code = "SLU-5004"};
}

Result<CommitOutcome> TransactionWriter::Commit(const CommitRecord& record) {
  Status status = Begin();
  if (status) status = FillRest();
  if (status) status = WriteRecords(record);
  if (!status) {
    Abandon();
    return std::move(status).error();
  }
  status = connection_.Run("COMMIT", "commit");
  is_open_ = false;
  if (!status) {
    commit_error_ = status.error();
    Abandon();
    // A full disk is known not to have taken it, and somebody has to make room.
    if (status.error().code == "SLU-5012") return std::move(status).error();
    return CommitOutcome::kUnknown;
  }
  had_ddl_ = std::exchange(has_ddl_, false);
  for (auto& [relation, staged] : staged_) tables_[relation] = std::move(staged.table);
  staged_.clear();
  for (const TableRecord& table : record.tables) {
    if (table.was_removed) {
      records_.erase(table.relation);
      tables_.erase(table.relation);
    } else {
      records_[table.relation] = table;
    }
  }
  if (record.position) position_ = record.position->lsn;
  return CommitOutcome::kAccepted;
}

void TransactionWriter::Abandon() {
  staged_.clear();
  has_ddl_ = false;
  if (is_open_) (void)connection_.Run("ROLLBACK", "roll back");
  is_open_ = false;
}

void TransactionWriter::Clear() {
  tables_.clear();
  records_.clear();
  staged_.clear();
  position_ = {};
}

}  // namespace sluice::duckdb
