#include "destinations/duckdb/history_log.h"

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <string_view>

#include "destinations/duckdb/chunk_writer.h"
#include "destinations/duckdb/handles.h"
#include "destinations/duckdb/name_lookup.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/row_applier.h"
#include "destinations/duckdb/type_map.h"
#include "destinations/duckdb/value_check.h"

namespace sluice::duckdb {
namespace {

struct OwnColumn {
  const char* name;
  const char* type;
};
constexpr auto kOwnColumns = std::to_array<OwnColumn>({
    {"_sluice_op", "VARCHAR"},
    {"_sluice_lsn", "UBIGINT"},
    {"_sluice_ordinal", "UBIGINT"},
    {"_sluice_committed_at", "TIMESTAMP WITH TIME ZONE"},
    {"_sluice_xid", "UINTEGER"},
    {"_sluice_unchanged", "VARCHAR[]"},
    {"_sluice_key_only", "BOOLEAN"},
});

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string OwnNames() {
  std::string out;
  for (const OwnColumn& own : kOwnColumns) {
    if (!out.empty()) out += ", ";
    out += own.name;
  }
  return out;
}

std::string NamesOf(const TableSchema& schema) {
  std::string out;
  for (const Column& column : schema.columns) {
    if (!out.empty()) out += ", ";
    out += QuoteIdentifier(column.name);
  }
  return out;
}

ColumnType TypeOf(Carrier carrier) {
  ColumnType type{};
  type.carrier = carrier;
  return type;
}

/// Numbers to which every number of the older type belongs, or what the mirror widens, too.
bool Widens(const ColumnType& from, const ColumnType& to) {
  const auto rank = [](Carrier carrier) {
    if (carrier == Carrier::kInt16) return 1;
    if (carrier == Carrier::kInt32) return 2;
    return carrier == Carrier::kInt64 ? 3 : 0;
  };
  if (rank(from.carrier) != 0 && rank(from.carrier) <= rank(to.carrier)) return true;
  if (LosesLength(from, to)) return true;
  return from.carrier == Carrier::kDecimal && to.carrier == Carrier::kDecimal &&
         from.scale == to.scale && from.precision <= to.precision;
}

/// The names of a log while it is planned, folded.
class LogNames {
 public:
  explicit LogNames(const std::vector<FoundColumn>& found) {
    for (const FoundColumn& column : found) names_[FoldName(column.name)] = column.name;
  }
  const std::string* Find(const std::string& name) const {
    const auto at = names_.find(FoldName(name));
    return at == names_.end() ? nullptr : &at->second;
  }
  void Rename(const std::string& before, const std::string& after, LogPlan& plan) {
    plan.renames.emplace_back(before, after);
    names_.erase(FoldName(before));
    names_[FoldName(after)] = after;
  }
  std::string FreeName(const std::string& head, const std::string& tail) const {
    for (int n = 1;; ++n) {
      std::string name = head + std::to_string(n) + tail;
      if (Find(name) == nullptr) return name;
    }
  }

 private:
  std::map<std::string, std::string> names_;
};

/// Per column of `to`, what its values are called in the log; empty: they begin now.
std::optional<std::vector<std::string>> KeptColumns(const TableSchema* from, const TableSchema& to,
                                                    const std::vector<FoundColumn>& found,
                                                    const LogNames& names) {
  std::vector<std::string> kept(to.columns.size());
  if (from != nullptr) {
    for (const Column& column : from->columns) {
      if (names.Find(column.name) == nullptr) return std::nullopt;
    }
    const auto origins = ColumnOrigins(*from, to);
    for (std::size_t i = 0; i < origins.size(); ++i) {
      if (!origins[i]) continue;
      const Column& before = from->columns[*origins[i]];
      const ColumnType& type = to.columns[i].type;
      const bool goes_on = SqlType(before.type) == SqlType(type) || Widens(before.type, type);
      if (goes_on) kept[i] = *names.Find(before.name);
    }
    return kept;
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    for (const FoundColumn& column : found) {
      const bool is_same = FoldName(column.name) == FoldName(to.columns[i].name) &&
                           column.type == SqlType(to.columns[i].type);
      if (is_same) kept[i] = column.name;
    }
  }
  return kept;
}

std::shared_ptr<arrow::ArrayData> Wrap(const std::shared_ptr<arrow::DataType>& type,
                                       const void* values, std::size_t count, std::size_t width) {
  auto buffer = std::make_shared<arrow::Buffer>(static_cast<const std::uint8_t*>(values),
                                                static_cast<std::int64_t>(count * width));
  return arrow::ArrayData::Make(type, static_cast<std::int64_t>(count), {nullptr, buffer}, 0);
}

Error OutOfMemory() {
  return {.kind = ErrorKind::kInternal,
          .message = "out of memory while a log was written",
          .code = "SLU-6020",
          .advice = "lower --memory or --batch-bytes"};
}

Result<std::shared_ptr<arrow::ArrayData>> OpsOf(const HistoryChange& change) {
  arrow::StringBuilder ops;
  for (const LogOp op : change.ops) {
    if (!ops.Append(ToString(op)).ok()) return OutOfMemory();
  }
  std::shared_ptr<arrow::Array> out;
  if (!ops.Finish(&out).ok()) return OutOfMemory();
  return out->data();
}

/// Per row the names of the columns that were not sent.
Result<std::shared_ptr<arrow::ArrayData>> UnchangedOf(const HistoryChange& change) {
  auto names = std::make_shared<arrow::StringBuilder>();
  arrow::ListBuilder lists(arrow::default_memory_pool(), names);
  for (std::size_t row = 0; row < change.row_count(); ++row) {
    if (!lists.Append().ok()) return OutOfMemory();
    for (std::size_t column = 0; column < change.unchanged.size(); ++column) {
      if (!change.unchanged[column][row]) continue;
      if (!names->Append(change.schema->columns[column].name).ok()) return OutOfMemory();
    }
  }
  std::shared_ptr<arrow::Array> out;
  if (!lists.Finish(&out).ok()) return OutOfMemory();
  return out->data();
}

}  // namespace

Result<std::vector<FoundColumn>> ReadColumns(Connection& connection, const TableName& table) {
  std::vector<FoundColumn> out;
  SLUICE_ASSIGN_OR_RETURN(const NameUse use, LookUpName(connection, table));
  if (use == NameUse::kFree) return out;
  SLUICE_ASSIGN_OR_RETURN(const SmallResult found,
                          connection.Query("SELECT column_name, column_type FROM (DESCRIBE " +
                                               QualifiedName(table) + ")",
                                           "look at a log"));
  for (std::size_t row = 0; row < found.row_count(); ++row)
    out.push_back({found.text(row, 0), found.text(row, 1)});
  return out;
}

std::optional<LogPlan> PlanLog(const TableSchema* from, const TableSchema& to,
                               const std::vector<FoundColumn>& found) {
  LogPlan plan;
  LogNames names(found);
  for (const OwnColumn& own : kOwnColumns) {
    if (names.Find(own.name) == nullptr) return std::nullopt;
  }
  auto kept = KeptColumns(from, to, found, names);
  if (!kept) return std::nullopt;
  // Whose name another column gets stays under one of ours.
  for (const Column& column : to.columns) {
    const std::string* taken = names.Find(column.name);
    if (taken == nullptr || std::find(kept->begin(), kept->end(), *taken) != kept->end()) continue;
    const std::string before = *taken;
    const std::string after = names.FreeName("_sluice_dropped_", "_" + before);
    names.Rename(before, after, plan);
    plan.retold.emplace_back(before, after);
  }
  // Columns that are called otherwise now go over a third name: they may exchange theirs.
  Pairs last;
  for (std::size_t i = 0; i < kept->size(); ++i) {
    const std::string before = (*kept)[i];
    const std::string& after = to.columns[i].name;
    if (before.empty() || before == after) continue;
    const std::string third = names.FreeName("_sluice_rename_", "");
    names.Rename(before, third, plan);
    plan.retold.emplace_back(before, after);
    last.emplace_back(third, after);
  }
  for (const auto& [before, after] : last) names.Rename(before, after, plan);
  for (std::size_t i = 0; i < kept->size(); ++i) {
    const std::string type = SqlType(to.columns[i].type);
    if ((*kept)[i].empty()) {
      plan.added.push_back(i);
      continue;
    }
    const auto at = std::find_if(found.begin(), found.end(), [&](const FoundColumn& column) {
      return column.name == (*kept)[i];
    });
    if (at != found.end() && from != nullptr) {
      const auto origin = ColumnOrigins(*from, to)[i];
      if (SqlType(from->columns[*origin].type) != type)
        plan.widened.emplace_back(to.columns[i].name, type);
    }
  }
  return plan;
}

Status CreateLog(Connection& connection, const TableName& log, const TableSchema& schema) {
  std::string columns;
  for (const Column& column : schema.columns)
    columns += QuoteIdentifier(column.name) + " " + SqlType(column.type) + ", ";
  for (std::size_t i = 0; i < kOwnColumns.size(); ++i) {
    if (i != 0) columns += ", ";
    columns += std::string(kOwnColumns[i].name) + " " + kOwnColumns[i].type;
  }
  return connection.Run("CREATE SCHEMA IF NOT EXISTS " + QualifiedSchema(log.schema) +
                            "; CREATE TABLE IF NOT EXISTS " + QualifiedName(log) + "(" + columns +
                            ")",
                        "make a log");
}

Status LogCopied(Connection& connection, const TableName& log, const TableSchema& schema,
                 const TableName& rows, Lsn lsn, bool is_again) {
  const std::string place = std::to_string(lsn.value) + "::UBIGINT";
  std::string first = "0";
  if (is_again) {
    // Nothing happened at the source since an earlier copy: this one comes behind its rows.
    SLUICE_ASSIGN_OR_RETURN(
        const SmallResult last,
        connection.Query("SELECT coalesce(max(_sluice_ordinal) + 1, 0)::UBIGINT FROM " +
                             QualifiedName(log) + " WHERE _sluice_lsn = " + place,
                         "log a copy"));
    first = std::to_string(last.u64(0, 0));
    SLUICE_RETURN_IF_ERROR(connection.Run("INSERT INTO " + QualifiedName(log) + "(" + OwnNames() +
                                              ") VALUES ('truncate', " + place + ", " + first +
                                              ", NULL, NULL, [], false)",
                                          "log a copy"));
  }
  return connection.Run(
      "INSERT INTO " + QualifiedName(log) + "(" + NamesOf(schema) + ", " + OwnNames() +
          ") SELECT " + NamesOf(schema) + ", 'copy', " + place +
          (HasRowIdColumn(schema) ? ", row_number() OVER () + " : ", rowid + 1 + ") + first +
          ", NULL, NULL, []::VARCHAR[], false FROM " + QualifiedName(rows),
      "log a copy");
}

std::optional<Error> CheckHistory(const HistoryChange& change) {
  const TableSchema& schema = *change.schema;
  if (static_cast<std::size_t>(change.rows->num_columns()) != schema.columns.size()) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "rows of a log do not fit their schema",
                 .code = "SLU-9001"};
  }
  for (std::size_t i = 0; i < schema.columns.size(); ++i) {
    Status fits = CheckValues(schema.columns[i], *change.rows->column_data(static_cast<int>(i)));
    if (!fits) return std::move(fits).error();
  }
  return std::nullopt;
}

Status AppendHistory(Connection& connection, const TableName& log, const HistoryChange& change) {
  const std::size_t count = change.row_count();
  static const ColumnType kText = TypeOf(Carrier::kText);
  static const ColumnType kNumber = TypeOf(Carrier::kInt64);
  static const ColumnType kId = TypeOf(Carrier::kUInt32);
  static const ColumnType kTime = TypeOf(Carrier::kTimestampTz);
  static const ColumnType kTexts = [] {
    ColumnType type = TypeOf(Carrier::kList);
    type.children.push_back(TypeOf(Carrier::kText));
    return type;
  }();
  static_assert(sizeof(Lsn) == 8 && sizeof(UnixMicros) == 8 && sizeof(TransactionId) == 4);
  SLUICE_ASSIGN_OR_RETURN(const auto ops, OpsOf(change));
  SLUICE_ASSIGN_OR_RETURN(const auto unchanged, UnchangedOf(change));
  const std::vector<std::int64_t> numbers(change.ordinals.begin(), change.ordinals.end());
  const auto lsns = Wrap(arrow::int64(), change.commit_lsns.data(), count, 8);
  const auto ordinals = Wrap(arrow::int64(), numbers.data(), count, 8);
  const auto times = Wrap(arrow::int64(), change.committed_at.data(), count, 8);
  const auto xids = Wrap(arrow::uint32(), change.xids.data(), count, 4);

  std::vector<const ColumnType*> types;
  std::vector<std::string> names;
  for (const Column& column : change.schema->columns) {
    types.push_back(&column.type);
    names.push_back(column.name);
  }
  std::vector<ColumnSource> sources = SourcesOf(*change.rows, types);
  sources.push_back({.type = &kText, .data = ops.get()});
  sources.push_back({.type = &kNumber, .data = lsns.get()});
  sources.push_back({.type = &kNumber, .data = ordinals.get()});
  sources.push_back({.type = &kTime, .data = times.get()});
  sources.push_back({.type = &kId, .data = xids.get()});
  sources.push_back({.type = &kTexts, .data = unchanged.get()});
  sources.push_back({.bits = &change.key_only});
  for (std::size_t i = 0; i < kOwnColumns.size(); ++i) {
    const ColumnSource& source = sources[change.schema->columns.size() + i];
    types.push_back(source.data == nullptr ? nullptr : source.type);
    names.emplace_back(kOwnColumns[i].name);
  }
  SLUICE_ASSIGN_OR_RETURN(
      ChunkWriter writer,
      ChunkWriter::Open(connection, std::string(kCatalog), log.schema, log.table, types, names));
  SLUICE_RETURN_IF_ERROR(writer.Append(sources, count));
  return writer.Close();
}

Status FillLog(Connection& connection, const TableName& log, const Column& column,
               const RowsPtr& row) {
  SLUICE_RETURN_IF_ERROR(StageRows(connection, SourcesOf(*row, {&column.type}), 1));
  SLUICE_RETURN_IF_ERROR(connection.Run(
      "UPDATE " + QualifiedName(log) + " SET " + QuoteIdentifier(column.name) + " = s.c0 FROM " +
          std::string(kStage) + " AS s WHERE _sluice_op IN ('copy', 'insert', 'update')",
      "fill an added column of a log"));
  DropStage(connection);
  return {};
}

Status RetellUnchanged(Connection& connection, const TableName& log, const Pairs& retold) {
  if (retold.empty()) return {};
  std::string cases;
  std::string any;
  for (const auto& [before, after] : retold) {
    cases += " WHEN " + QuoteLiteral(before) + " THEN " + QuoteLiteral(after);
    any += (any.empty() ? "" : ", ") + QuoteLiteral(before);
  }
  return connection.Run("UPDATE " + QualifiedName(log) + " SET _sluice_unchanged = [CASE name" +
                            cases +
                            " ELSE name END FOR name IN _sluice_unchanged]"
                            " WHERE list_has_any(_sluice_unchanged, [" +
                            any + "])",
                        "rename columns in a log");
}

Result<std::optional<Error>> CompareLog(Connection& connection, const TableName& log,
                                        const TableSchema& schema) {
  const auto altered = [&](const std::string& how) {
    return std::optional(Error{.kind = ErrorKind::kSchemaConflict,
                               .message = "log " + ToString(log) + " at the destination " + how,
                               .code = "SLU-5025",
                               .advice = "sluice resync " + ToString(schema.name)});
  };
  SLUICE_ASSIGN_OR_RETURN(const std::vector<FoundColumn> found, ReadColumns(connection, log));
  if (found.empty()) return altered("is gone");
  const auto at = [&](const std::string& name) {
    return std::find_if(found.begin(), found.end(), [&](const FoundColumn& column) {
      return FoldName(column.name) == FoldName(name);
    });
  };
  for (const OwnColumn& own : kOwnColumns) {
    if (at(own.name) == found.end() || at(own.name)->type != own.type)
      return altered(std::string("has no column ") + own.name + " of its type");
  }
  PreparedHandle prepared;
  const std::string sql = "SELECT " + NamesOf(schema) + " FROM " + QualifiedName(log);
  if (duckdb_prepare(connection.get(), sql.c_str(), prepared.out()) == DuckDBError)
    return altered("lacks a column, or is no table");
  for (std::size_t i = 0; i < schema.columns.size(); ++i) {
    const LogicalTypeHandle type(duckdb_prepared_statement_column_logical_type(prepared.get(), i));
    if (!IsSameType(schema.columns[i].type, type.get()))
      return altered("has another type for column " + schema.columns[i].name);
  }
  return std::optional<Error>();
}

namespace {

/// Rows behind the last truncate, with their place `_sluice_n`: an update follows the delete of the
/// row that it moved, by one.
std::string ValidRows(const TableName& log) {
  const std::string place =
      "(_sluice_lsn::HUGEINT << 40) + (_sluice_ordinal::HUGEINT << 1) +"
      " (_sluice_op <> 'delete')::HUGEINT";
  return "_sluice_r AS (SELECT *, " + place + " AS _sluice_n FROM " + QualifiedName(log) +
         " WHERE _sluice_op <> 'truncate' AND " + place + " > coalesce((SELECT max(" + place +
         ") FROM " + QualifiedName(log) + " WHERE _sluice_op = 'truncate'), -1))";
}

std::string StateWithoutKey(const TableName& log, const TableSchema& schema,
                            const std::string& names) {
  // Values that are equal for `=` and not the same are told apart.
  std::string group = NamesOf(schema);
  for (const Column& column : schema.columns) {
    const std::string beyond = BeyondEquality(column.type, QuoteIdentifier(column.name));
    if (!beyond.empty()) group += ", " + beyond;
  }
  return "WITH " + ValidRows(log) + ", _sluice_g AS (SELECT " + NamesOf(schema) +
         ", sum(CASE WHEN _sluice_op = 'delete' THEN -1 ELSE 1 END)::BIGINT AS _sluice_rows"
         " FROM _sluice_r GROUP BY " +
         group +
         "), _sluice_s AS (SELECT *, unnest(range(_sluice_rows)) FROM _sluice_g"
         " WHERE _sluice_rows > 0) SELECT " +
         names + " FROM _sluice_s";
}

/// The last value of each column that was sent.
std::string LastValues(const std::vector<const Column*>& columns) {
  std::string out;
  for (const Column* column : columns) {
    const std::string name = QuoteIdentifier(column->name);
    if (!out.empty()) out += ", ";
    out += "(arg_max({'v': " + name +
           "}, _sluice_n) FILTER (WHERE _sluice_op <> 'delete'"
           " AND NOT list_contains(_sluice_unchanged, " +
           QuoteLiteral(column->name) + "))).v AS " + name;
  }
  return out;
}

std::string KeyNames(const TableSchema& schema) {
  std::string out;
  for (const std::int32_t index : schema.key) {
    if (!out.empty()) out += ", ";
    out += QuoteIdentifier(schema.columns[static_cast<std::size_t>(index)].name);
  }
  return out;
}

}  // namespace

Result<std::string> StateOfLogSql(Connection& connection, const TableName& log,
                                  const TableSchema& schema,
                                  const std::vector<const Column*>& columns) {
  std::string names;
  for (const Column* column : columns)
    names += (names.empty() ? "" : ", ") + QuoteIdentifier(column->name);
  if (schema.is_keyless()) return StateWithoutKey(log, schema, names);
  const std::string key = KeyNames(schema);
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult moves,
      connection.Query("WITH " + ValidRows(log) +
                           " SELECT count(*)::BIGINT FROM _sluice_r AS u JOIN _sluice_r AS d"
                           " ON d._sluice_n = u._sluice_n - 1 WHERE u._sluice_op = 'update'"
                           " AND d._sluice_op = 'delete' AND len(u._sluice_unchanged) > 0",
                       "look into a log"));
  const std::string alive = " HAVING arg_max(_sluice_op, _sluice_n) <> 'delete'";
  if (moves.i64(0, 0) == 0) {
    return "WITH " + ValidRows(log) + " SELECT " + LastValues(columns) +
           " FROM _sluice_r GROUP BY " + key + alive;
  }
  // A row that was moved brings along what was not sent. A life is what happened under one key from
  // a row's coming to its going; one that began by a move goes on from another.
  return "WITH RECURSIVE " + ValidRows(log) +
         ", _sluice_b AS (SELECT *, _sluice_op IN ('copy', 'insert') OR (_sluice_op = 'update' AND"
         " _sluice_n - 1 IN (SELECT _sluice_n FROM _sluice_r WHERE _sluice_op = 'delete'))"
         " AS _sluice_born FROM _sluice_r), _sluice_l AS (SELECT *, max(CASE WHEN _sluice_born"
         " THEN _sluice_n END) OVER (PARTITION BY " +
         key +
         " ORDER BY _sluice_n) AS _sluice_life FROM _sluice_b),"
         " _sluice_a AS (SELECT arg_max(_sluice_life, _sluice_n) AS life FROM _sluice_l GROUP BY " +
         key + alive +
         "), _sluice_p AS (SELECT u._sluice_n AS life, d._sluice_life AS parent FROM _sluice_l AS u"
         " JOIN _sluice_l AS d ON d._sluice_n = u._sluice_n - 1 WHERE u._sluice_op = 'update' AND"
         " d._sluice_op = 'delete'), _sluice_c(life, part) AS (SELECT life, life FROM _sluice_a"
         " UNION ALL SELECT c.life, p.parent FROM _sluice_c AS c JOIN _sluice_p AS p"
         " ON p.life = c.part) SELECT " +
         LastValues(columns) +
         " FROM _sluice_c AS c JOIN _sluice_l AS l ON l._sluice_life = c.part GROUP BY c.life";
}

}  // namespace sluice::duckdb
