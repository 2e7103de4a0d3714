#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "destinations/memory/change_internal.h"

namespace sluice::memory {
namespace {

Error Conflict(const TableName& table, std::string_view what) {
  return Error{.kind = ErrorKind::kSchemaConflict,
               .message = fmt::format("table {}: {}", ToString(table), what),
               .code = "SLU-5112",
               .advice = "copy the table again: sluice resync " + ToString(table)};
}

TextRow Pick(const TextRow& row, const std::vector<std::int32_t>& columns) {
  TextRow out;
  out.reserve(columns.size());
  for (const std::int32_t column : columns) out.push_back(row[static_cast<std::size_t>(column)]);
  return out;
}

}  // namespace

std::string KeyOf(const TableSchema& schema, const TextRow& row,
                  const QuarantinedCells& quarantined) {
  if (!schema.is_keyless()) return EncodeCells(Pick(row, schema.key));
  if (quarantined.empty()) return EncodeCells(row);
  TextRow cells = row;
  for (const auto& [column, text] : quarantined) {
    cells.emplace_back(std::to_string(column));
    cells.emplace_back(text);
  }
  return EncodeCells(cells);
}

std::vector<QuarantinedCells> QuarantinedIn(const TableSchema& schema, std::size_t row_count,
                                            const std::vector<Misfit>& misfits) {
  std::vector<QuarantinedCells> out(row_count);
  for (const Misfit& misfit : misfits) {
    if (schema.columns.at(misfit.column).on_misfit != OnMisfit::kQuarantine) continue;
    out.at(misfit.row).emplace(misfit.column, misfit.text);
  }
  return out;
}

Result<std::vector<TextRow>> RowsOf(const TableSchema& schema,
                                    const std::vector<std::int32_t>& columns, const RowsPtr& rows) {
  if (rows == nullptr) return std::vector<TextRow>{};
  const std::size_t width = columns.empty() ? schema.columns.size() : columns.size();
  if (static_cast<std::size_t>(rows->num_columns()) != width) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = fmt::format("rows of {} have {} columns, not {}", ToString(schema.name),
                                        rows->num_columns(), width),
                 .code = "SLU-9001"};
  }
  std::vector<TextRow> out(static_cast<std::size_t>(rows->num_rows()), TextRow(width));
  for (std::size_t i = 0; i < width; ++i) {
    const std::size_t index = columns.empty() ? i : static_cast<std::size_t>(columns[i]);
    const ColumnType& type = schema.columns.at(index).type;
    const auto& array = *rows->column(static_cast<int>(i));
    if (!array.type()->Equals(*ArrowTypeOf(type))) {
      return Error{.kind = ErrorKind::kInternal,
                   .message = fmt::format("column {} of {} is {}, not {}",
                                          schema.columns[index].name, ToString(schema.name),
                                          array.type()->ToString(), ArrowTypeOf(type)->ToString()),
                   .code = "SLU-9001"};
    }
    for (std::size_t row = 0; row < out.size(); ++row) {
      SLUICE_ASSIGN_OR_RETURN(out[row][i], CellText(array, static_cast<std::int64_t>(row), type));
    }
  }
  return out;
}

namespace {

/// Changes of one item, taken back as a whole where one of them fails.
template <class Change>
class Edit {
 public:
  Edit(Change& change, bool strict) : change_(change), strict_(strict) {}
  ~Edit() {
    if (is_kept_) return;
    if (hid_base_) {
      change_.overlay = std::move(before_);
      change_.hides_base = hid_before_;
      return;
    }
    for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) {
      if (undo->second) {
        change_.overlay[undo->first] = *std::move(undo->second);
      } else {
        change_.overlay.erase(undo->first);
      }
    }
  }
  Edit(const Edit&) = delete;
  Edit& operator=(const Edit&) = delete;

  void Keep() { is_kept_ = true; }

  /// Only as the first edit.
  void Truncate() {
    SLUICE_CHECK(undo_.empty());
    hid_base_ = true;
    hid_before_ = change_.hides_base;
    before_ = std::move(change_.overlay);
    change_.HideBase();
  }
  void RemoveAny(const std::string& key) {
    const Entry entry = change_.Find(key);
    if (entry.count > 0) Set(key, {entry.row, entry.quarantined, 0});
  }
  /// Takes out one row; what it was, or without a row where strictness is off and it is not there.
  Result<Entry> Remove(const std::string& key) {
    const Entry entry = change_.Find(key);
    if (entry.count <= 0) {
      if (strict_) return Conflict(change_.name, "a changed or deleted row is not there");
      return Entry();
    }
    Set(key, {entry.row, entry.quarantined, entry.count - 1});
    return entry;
  }
  Status Insert(TextRow row, QuarantinedCells quarantined) {
    const std::string key = KeyOf(*change_.schema, row, quarantined);
    const Entry entry = change_.Find(key);
    const bool is_keyless = change_.schema->is_keyless();
    if (entry.count > 0 && !is_keyless && strict_) {
      return Conflict(change_.name, "an inserted row is there already");
    }
    Set(key, {std::make_shared<const TextRow>(std::move(row)), std::move(quarantined),
              is_keyless ? entry.count + 1 : 1});
    return {};
  }

 private:
  void Set(const std::string& key, Entry entry) {
    if (!hid_base_) {
      const auto found = change_.overlay.find(key);
      undo_.emplace_back(
          key, found == change_.overlay.end() ? std::nullopt : std::optional<Entry>(found->second));
    }
    change_.overlay[key] = std::move(entry);
  }

  Change& change_;
  const bool strict_;
  bool is_kept_ = false;
  bool hid_base_ = false;
  bool hid_before_ = false;
  std::map<std::string, Entry> before_;
  std::vector<std::pair<std::string, std::optional<Entry>>> undo_;
};

template <class Change>
Status InsertRows(Edit<Change>& edit, std::vector<TextRow> rows,
                  std::vector<QuarantinedCells> quarantined) {
  for (std::size_t row = 0; row < rows.size(); ++row)
    SLUICE_RETURN_IF_ERROR(edit.Insert(std::move(rows[row]), std::move(quarantined[row])));
  return {};
}

template <class Change>
Status Update(Edit<Change>& edit, const NetChange& net) {
  const TableSchema& schema = *net.schema;
  SLUICE_ASSIGN_OR_RETURN(const auto origins, RowsOf(schema, schema.key, net.update_origin_keys));
  SLUICE_ASSIGN_OR_RETURN(auto values, RowsOf(schema, {}, net.update_values));
  if (origins.size() != values.size() || (!origins.empty() && schema.is_keyless())) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "updates without one key each",
                 .code = "SLU-9001"};
  }
  auto quarantined = QuarantinedIn(schema, values.size(), net.update_misfits);
  // All origins go before the first new row comes: keys may swap.
  for (std::size_t row = 0; row < origins.size(); ++row) {
    SLUICE_ASSIGN_OR_RETURN(const Entry old, edit.Remove(EncodeCells(origins[row])));
    for (std::size_t column = 0; column < net.update_unchanged.size(); ++column) {
      if (!net.update_unchanged[column][row]) continue;
      values[row][column] = old.row == nullptr ? Cell() : (*old.row)[column];
      const auto kept = old.quarantined.find(static_cast<std::uint32_t>(column));
      if (kept != old.quarantined.end()) quarantined[row].insert(*kept);
    }
  }
  return InsertRows(edit, std::move(values), std::move(quarantined));
}

LogRow::Op OpOf(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kInsert:
      return LogRow::Op::kInsert;
    case ChangeKind::kUpdate:
      return LogRow::Op::kUpdate;
    case ChangeKind::kDelete:
      return LogRow::Op::kDelete;
  }
  return LogRow::Op::kInsert;
}

/// What older rows read as in a column added to them. The server's text; only types whose canonical
/// text is the same are taken.
Result<Cell> MissingValue(const TableName& table, const Column& column) {
  if (!column.missing_value) return Cell();
  const auto array = ArrayFromText(column.type, {column.missing_value});
  if (!array) {
    return Error{
        .kind = ErrorKind::kUnsupported,
        .message = fmt::format("table {}: the default of added column {} is not understood",
                               ToString(table), column.name),
        .code = "SLU-5113",
        .advice = "copy the table again: sluice resync " + ToString(table)};
  }
  return CellText(**array, 0, column.type);
}

}  // namespace

namespace {

/// The rows that were logged get the columns of a newer version; those that are gone go here.
void LiftLog(MemoryDestination::Change& change, const std::shared_ptr<const Table>& base,
             const std::vector<std::optional<std::size_t>>& origins, const TextRow& added) {
  if (!change.replaces_log && base != nullptr)
    change.log.insert(change.log.begin(), base->log.begin(), base->log.end());
  change.replaces_log = true;
  for (LogRow& log : change.log) {
    const bool has_row = log.op != LogOp::kDelete && log.op != LogOp::kTruncate;
    TextRow values = has_row ? added : TextRow(added.size());
    std::vector<std::int32_t> unchanged;
    for (std::size_t i = 0; i < origins.size(); ++i) {
      if (!origins[i]) continue;
      if (*origins[i] < log.values.size()) values[i] = std::move(log.values[*origins[i]]);
      const auto before = static_cast<std::int32_t>(*origins[i]);
      if (std::find(log.unchanged.begin(), log.unchanged.end(), before) != log.unchanged.end())
        unchanged.push_back(static_cast<std::int32_t>(i));
    }
    log.values = std::move(values);
    log.unchanged = std::move(unchanged);
  }
}

}  // namespace

Result<MemoryDestination::Change*> MemoryDestination::ChangeOf(RelationId relation) {
  if (const auto found = changes_.find(relation); found != changes_.end()) {
    return found->second.get();
  }
  const base::MutexLock lock(storage_->mutex_);
  auto change = std::make_unique<Change>();
  change->relation = relation;
  if (const auto named = storage_->names_.find(relation); named != storage_->names_.end()) {
    change->name = named->second;
  } else {
    for (const TableRecord& record : storage_->state_.tables) {
      if (record.relation == relation) change->name = record.destination;
    }
  }
  const auto table = storage_->tables_.find(change->name);
  if (table == storage_->tables_.end()) {
    return Error{.kind = ErrorKind::kSchemaConflict,
                 .message = fmt::format("no table for relation {}", relation.value),
                 .code = "SLU-5110"};
  }
  change->base = table->second;
  change->schema = table->second->schema;
  change->mode = table->second->mode;
  return changes_.emplace(relation, std::move(change)).first->second.get();
}

Result<MemoryDestination::Change*> MemoryDestination::ChangeOf(const TableSchema& schema) {
  SLUICE_ASSIGN_OR_RETURN(Change * change, ChangeOf(schema.relation));
  if (!SameShape(*change->schema, schema)) {
    return Conflict(change->name, "rows have another shape than the table");
  }
  return change;
}

Status MemoryDestination::StageItem(const NetRows& item) {
  const NetChange& net = *item.change;
  Change* change = nullptr;
  if (item.of_ranges) {
    const base::MutexLock lock(storage_->mutex_);
    change = RangesOf(net.schema->relation, net.schema);
    if (!SameShape(*change->schema, *net.schema))
      return Conflict(net.schema->name, "rows have another shape than its ranges");
  } else {
    SLUICE_ASSIGN_OR_RETURN(change, ChangeOf(*net.schema));
  }
  if (!HasState(change->mode)) return {};  // only for those who keep texts in quarantine
  Edit<Change> edit(*change, options_.strict);
  if (net.truncate) edit.Truncate();
  SLUICE_ASSIGN_OR_RETURN(const auto row_deletes, RowsOf(*net.schema, {}, net.row_deletes));
  const auto gone = QuarantinedIn(*net.schema, row_deletes.size(), net.row_delete_misfits);
  for (std::size_t row = 0; row < row_deletes.size(); ++row) {
    SLUICE_RETURN_IF_ERROR(edit.Remove(KeyOf(*net.schema, row_deletes[row], gone[row])));
  }
  SLUICE_ASSIGN_OR_RETURN(const auto deletes, RowsOf(*net.schema, net.schema->key, net.deletes));
  for (const TextRow& key : deletes) {
    if (net.deletes_any) {
      edit.RemoveAny(EncodeCells(key));
    } else {
      SLUICE_RETURN_IF_ERROR(edit.Remove(EncodeCells(key)));
    }
  }
  SLUICE_RETURN_IF_ERROR(Update(edit, net));
  SLUICE_ASSIGN_OR_RETURN(auto inserts, RowsOf(*net.schema, {}, net.inserts));
  auto quarantined = QuarantinedIn(*net.schema, inserts.size(), net.insert_misfits);
  SLUICE_RETURN_IF_ERROR(InsertRows(edit, std::move(inserts), std::move(quarantined)));
  edit.Keep();
  return {};
}

Status MemoryDestination::StageItem(const LogRows& item) {
  const ChangeBatch& batch = *item.batch;
  SLUICE_ASSIGN_OR_RETURN(Change * change, ChangeOf(*batch.schema));
  SLUICE_ASSIGN_OR_RETURN(auto values, RowsOf(*batch.schema, {}, batch.values));
  SLUICE_ASSIGN_OR_RETURN(auto old,
                          RowsOf(*batch.schema, batch.schema->identity_columns, batch.old));
  std::size_t run = 0;
  for (std::size_t row = 0; row < batch.row_count(); ++row) {
    while (run + 1 < batch.runs.size() && batch.runs[run + 1].first_row <= row) ++run;
    const TransactionMark& mark = item.transactions->at(batch.runs.at(run).transaction);
    LogRow log;
    log.op = OpOf(batch.kind(row));
    log.commit_lsn = mark.commit_lsn;
    log.xid = mark.xid;
    log.ordinal = batch.ordinals[row];
    if (log.op != LogRow::Op::kDelete) log.values = std::move(values.at(row));
    if (batch.old != nullptr && batch.has_old[row]) log.old = std::move(old.at(row));
    for (std::size_t column = 0; column < batch.unchanged.size(); ++column) {
      if (batch.unchanged[column][row]) log.unchanged.push_back(static_cast<std::int32_t>(column));
    }
    change->log.push_back(std::move(log));
  }
  return {};
}

Status MemoryDestination::StageItem(const HistoryRows& item) {
  const HistoryChange& history = *item.change;
  SLUICE_ASSIGN_OR_RETURN(Change * change, ChangeOf(history.schema->relation));
  SLUICE_ASSIGN_OR_RETURN(auto values, RowsOf(*history.schema, {}, history.rows));
  for (std::size_t row = 0; row < history.row_count(); ++row) {
    LogRow log;
    log.op = history.ops[row];
    log.commit_lsn = history.commit_lsns[row];
    log.xid = history.xids[row];
    log.ordinal = history.ordinals[row];
    log.committed_at = history.committed_at[row];
    log.key_only = history.key_only[row];
    log.values = std::move(values.at(row));
    for (std::size_t column = 0; column < history.unchanged.size(); ++column) {
      if (history.unchanged[column][row])
        log.unchanged.push_back(static_cast<std::int32_t>(column));
    }
    change->log.push_back(std::move(log));
  }
  return {};
}

Status MemoryDestination::StageItem(const TruncateTable& item) {
  SLUICE_ASSIGN_OR_RETURN(Change * change, ChangeOf(item.relation));
  if (options_.wants == Capabilities::Rows::kNet) {
    change->HideBase();
    return {};
  }
  LogRow log;
  log.op = LogRow::Op::kTruncate;
  log.commit_lsn = item.transaction.commit_lsn;
  log.xid = item.transaction.xid;
  log.ordinal = item.ordinal;
  change->log.push_back(std::move(log));
  return {};
}

Status MemoryDestination::StageItem(const AlterTable& item) {
  SLUICE_ASSIGN_OR_RETURN(Change * change, ChangeOf(item.to->relation));
  if (item.from->name != item.to->name) {
    return Conflict(change->name, "a table has one name here until it is copied again");
  }
  if (SameShape(*change->schema, *item.to)) return {};
  if (!SameShape(*change->schema, *item.from)) {
    return Conflict(change->name, "the table has another shape than the change begins with");
  }
  const auto origins = ColumnOrigins(*item.from, *item.to);
  TextRow added(origins.size());
  for (std::size_t i = 0; i < origins.size(); ++i) {
    if (origins[i]) continue;
    SLUICE_ASSIGN_OR_RETURN(added[i], MissingValue(change->name, item.to->columns[i]));
  }
  if (HasLog(change->mode)) LiftLog(*change, change->base, origins, added);
  std::map<std::string, Entry> entries;
  if (change->base != nullptr && !change->hides_base) entries = change->base->rows;
  for (const auto& [key, entry] : change->overlay) entries[key] = entry;
  change->HideBase();
  change->schema = item.to;
  for (const auto& [key, entry] : entries) {
    if (entry.count == 0) continue;
    TextRow row = added;
    for (std::size_t i = 0; i < origins.size(); ++i) {
      if (origins[i]) row[i] = entry.row->at(*origins[i]);
    }
    QuarantinedCells quarantined;
    for (std::size_t i = 0; i < origins.size(); ++i) {
      if (!origins[i]) continue;
      const auto kept = entry.quarantined.find(static_cast<std::uint32_t>(*origins[i]));
      if (kept != entry.quarantined.end())
        quarantined.emplace(static_cast<std::uint32_t>(i), kept->second);
    }
    Entry& to = change->overlay[KeyOf(*item.to, row, quarantined)];
    to.row = std::make_shared<const TextRow>(std::move(row));
    to.quarantined = std::move(quarantined);
    to.count += entry.count;
  }
  return {};
}

/// The copied rows in the log of the table; one that is there goes on.
void MemoryDestination::LogCopied(Change& change, const LandUnit& item, const Shadow& shadow) {
  const auto named = storage_->names_.find(item.unit.relation);
  const TableName& name = named == storage_->names_.end() ? item.destination : named->second;
  const auto known = storage_->tables_.find(name);
  LogRow log;
  log.commit_lsn = item.log_lsn;
  if (known != storage_->tables_.end() && HasLog(known->second->mode)) {
    const auto origins = ColumnOrigins(*known->second->schema, *item.schema);
    LiftLog(change, known->second, origins, TextRow(origins.size()));
    for (const LogRow& before : change.log) {
      if (before.commit_lsn == log.commit_lsn)
        log.ordinal = std::max(log.ordinal, before.ordinal + 1);
    }
    log.op = LogOp::kTruncate;
    log.values.resize(item.schema->columns.size());
    change.log.push_back(log);
  }
  log.op = LogOp::kCopy;
  for (const auto& [key, entry] : shadow.rows) {
    log.values = *entry.row;
    for (std::int64_t i = 0; i < entry.count; ++i) {
      ++log.ordinal;
      change.log.push_back(log);
    }
  }
}

MemoryDestination::Change* MemoryDestination::RangesOf(RelationId relation,
                                                       const SchemaPtr& schema) {
  std::unique_ptr<Change>& change = range_changes_[relation];
  if (change != nullptr) return change.get();
  change = std::make_unique<Change>();
  change->relation = relation;
  change->name = schema->name;
  change->schema = schema;
  change->of_ranges = true;
  if (const auto known = storage_->ranges_.find(relation); known != storage_->ranges_.end()) {
    change->base = known->second;
    change->schema = known->second->schema;
  }
  return change.get();
}

Status MemoryDestination::LandRange(const LandUnit& item, const Shadow& shadow) {
  Change* const change = RangesOf(item.unit.relation, item.schema);
  if (!SameShape(*change->schema, *item.schema))
    return Conflict(item.destination, "a range has another shape than those before it");
  Edit<Change> edit(*change, true);
  for (const auto& [key, entry] : shadow.rows)
    SLUICE_RETURN_IF_ERROR(edit.Insert(*entry.row, entry.quarantined));
  edit.Keep();
  change->landed = item.unit;
  return {};
}

Status MemoryDestination::StageItem(const LandUnit& item) {
  const base::MutexLock lock(storage_->mutex_);
  const auto shadow = storage_->shadows_.find(item.unit);
  if (shadow == storage_->shadows_.end() || !SameShape(*shadow->second.schema, *item.schema)) {
    return Error{.kind = ErrorKind::kSchemaConflict,
                 .message = "nothing was copied for table " + ToString(item.destination),
                 .code = "SLU-5114"};
  }
  if (item.part == LandUnit::Part::kRange) return LandRange(item, shadow->second);
  auto change = std::make_unique<Change>();
  change->relation = item.unit.relation;
  change->name = item.destination;
  change->schema = item.schema;
  change->hides_base = true;
  change->landed = item.unit;
  change->mode = item.mode;
  if (HasState(item.mode)) change->overlay = shadow->second.rows;
  if (item.part == LandUnit::Part::kLastRange) {
    const auto ranges = storage_->ranges_.find(item.unit.relation);
    if (ranges == storage_->ranges_.end())
      return Conflict(item.destination, "its other ranges are not there");
    for (const auto& [key, entry] : ranges->second->rows) {
      if (!change->overlay.emplace(key, entry).second)
        return Conflict(item.destination, "a copied row is in two ranges");
    }
  }
  if (HasLog(item.mode)) LogCopied(*change, item, shadow->second);
  if (options_.wants == Capabilities::Rows::kLog) {
    for (const auto& [key, entry] : shadow->second.rows) {
      LogRow log;
      log.op = LogRow::Op::kCopy;
      log.commit_lsn = item.lsn;
      log.values = *entry.row;
      change->log.insert(change->log.end(), static_cast<std::size_t>(entry.count), log);
    }
  }
  changes_[item.unit.relation] = std::move(change);
  return {};
}

Status MemoryDestination::StageItem(const DropTable& item) {
  changes_.erase(item.relation);
  dropped_.push_back(item);
  return {};
}

}  // namespace sluice::memory
