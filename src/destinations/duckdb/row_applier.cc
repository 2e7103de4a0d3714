#include "destinations/duckdb/row_applier.h"

#include <arrow/array/array_base.h>
#include <arrow/array/data.h>
#include <arrow/compare.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <vector>

#include "destinations/duckdb/name_lookup.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/type_map.h"
#include "destinations/duckdb/value_check.h"

namespace sluice::duckdb {
namespace {

using Types = std::vector<const ColumnType*>;

std::size_t RowCount(const RowsPtr& rows) {
  return rows == nullptr ? 0 : static_cast<std::size_t>(rows->num_rows());
}

std::vector<const Column*> KeyColumns(const TableSchema& schema) {
  std::vector<const Column*> out;
  for (const std::int32_t index : schema.key)
    out.push_back(&schema.columns[static_cast<std::size_t>(index)]);
  return out;
}

std::vector<const Column*> AllColumns(const TableSchema& schema) {
  std::vector<const Column*> out;
  for (const Column& column : schema.columns) out.push_back(&column);
  return out;
}

Types TypesOf(const std::vector<const Column*>& columns) {
  Types out;
  for (const Column* column : columns) out.push_back(&column->type);
  return out;
}

Status CheckRows(const RowsPtr& rows, const std::vector<const Column*>& columns) {
  if (RowCount(rows) == 0) return {};
  if (static_cast<std::size_t>(rows->num_columns()) != columns.size()) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "a batch has " + std::to_string(rows->num_columns()) +
                            " columns, its schema " + std::to_string(columns.size()),
                 .code = "SLU-9001"};
  }
  for (std::size_t i = 0; i < columns.size(); ++i)
    SLUICE_RETURN_IF_ERROR(CheckValues(*columns[i], *rows->column_data(static_cast<int>(i))));
  return {};
}

std::string KeyCondition(const std::vector<const Column*>& key, std::string_view equals = " = ") {
  std::string out;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (i != 0) out += " AND ";
    out.append("t.").append(QuoteIdentifier(key[i]->name)).append(equals);
    out += "s.c" + std::to_string(i);
  }
  return out;
}

std::optional<Error> CheckCount(const TableName& table, std::string_view what,
                                std::uint64_t changed, std::size_t expected) {
  if (changed == expected) return std::nullopt;
  return Error{.kind = ErrorKind::kSchemaConflict,
               .message = "table " + ToString(table) + ": " + std::string(what) + " of " +
                          std::to_string(expected) + " rows met " + std::to_string(changed) +
                          " at the destination",
               .code = "SLU-5112",
               .advice = "sluice resync " + ToString(table)};
}

Result<std::optional<Error>> ApplyDeletes(Connection& connection, const TableName& table,
                                          const NetChange& change) {
  const auto key = KeyColumns(*change.schema);
  const std::size_t count = RowCount(change.deletes);
  SLUICE_RETURN_IF_ERROR(StageRows(connection, SourcesOf(*change.deletes, TypesOf(key)), count));
  const std::string condition =
      KeyCondition(key, change.deletes_any ? " IS NOT DISTINCT FROM " : " = ");
  SLUICE_ASSIGN_OR_RETURN(
      const std::uint64_t changed,
      connection.RunCounted("DELETE FROM " + QualifiedName(table) + " AS t USING " +
                                std::string(kStage) + " AS s WHERE " + condition,
                            "delete rows"));
  DropStage(connection);
  if (change.deletes_any) return std::optional<Error>();
  return CheckCount(table, "a delete", changed, count);
}

bool ComparesLoosely(const ColumnType& type) {
  if (type.carrier == Carrier::kFloat32 || type.carrier == Carrier::kFloat64 ||
      type.carrier == Carrier::kInterval)
    return true;
  for (const ColumnType& child : type.children) {
    if (ComparesLoosely(child)) return true;
  }
  return false;
}

enum class Sent { kAll, kSome, kNone };

/// Which rows of an update bring a value for this column.
Sent SentValues(const NetChange& change, std::size_t column, std::size_t row_count) {
  if (change.update_unchanged.empty() || !change.update_unchanged[column].any()) return Sent::kAll;
  const RowBits& unchanged = change.update_unchanged[column];
  for (std::size_t row = 0; row < row_count; ++row) {
    if (!unchanged[row]) return Sent::kSome;
  }
  return Sent::kNone;
}

/// A key column that no row of the update moves need not be written.
bool IsSameKey(const NetChange& change, std::size_t column) {
  for (std::size_t i = 0; i < change.schema->key.size(); ++i) {
    if (static_cast<std::size_t>(change.schema->key[i]) != column) continue;
    const auto origin = change.update_origin_keys->column(static_cast<int>(i));
    const auto value = change.update_values->column(static_cast<int>(column));
    return origin->Equals(*value, arrow::EqualOptions::Defaults().signed_zeros_equal(false));
  }
  return false;
}

/// Staged: origin keys, then each written column's values, followed by its flags where it has any.
struct UpdatePlan {
  std::vector<ColumnSource> sources;
  std::string assignments;
  std::string row;   ///< every column as it will be, in order
  std::string same;  ///< condition: a column gets a value that is equal, and not the same; or empty
  std::size_t string_bytes = 0;  ///< what an UPDATE keeps in memory
};

/// Shorter strings lie in the column itself.
constexpr std::int32_t kInlinedLength = 12;

std::size_t StringBytes(const ColumnType& type, const arrow::ArrayData& data) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < type.children.size() && type.carrier == Carrier::kStruct; ++i)
    bytes += StringBytes(type.children[i], *data.child_data[i]);
  const bool is_string = type.carrier == Carrier::kText || type.carrier == Carrier::kJson ||
                         type.carrier == Carrier::kBytes;
  if (!is_string) return bytes;
  const auto* offsets = data.GetValues<std::int32_t>(1);
  for (std::int64_t row = 0; row < data.length; ++row) {
    const std::int32_t length = offsets[row + 1] - offsets[row];
    if (length > kInlinedLength) bytes += static_cast<std::size_t>(length);
  }
  return bytes;
}

/// A column of numbers without a zero has no equal values that are not the same.
bool MayBeEqualNotSame(const ColumnType& type, const arrow::Array& values) {
  if (!ComparesLoosely(type)) return false;
  const auto has_zero = [&](auto zero) {
    const auto* at = values.data()->GetValues<decltype(zero)>(1);
    return std::any_of(at, at + values.length(), [](auto value) { return value == 0; });
  };
  if (type.carrier == Carrier::kFloat32) return has_zero(float{});
  if (type.carrier == Carrier::kFloat64) return has_zero(double{});
  return true;
}

UpdatePlan PlanUpdate(const NetChange& change) {
  UpdatePlan plan;
  const TableSchema& schema = *change.schema;
  bool is_rewritten = false;  // by DuckDB itself, whatever is asked of it
  plan.sources = SourcesOf(*change.update_origin_keys, TypesOf(KeyColumns(schema)));
  for (std::size_t i = 0; i < schema.columns.size(); ++i) {
    const ColumnType& type = schema.columns[i].type;
    const Sent sent = SentValues(change, i, RowCount(change.update_values));
    const std::string name = QuoteIdentifier(schema.columns[i].name);
    const std::string comma = i == 0 ? "" : ", ";
    if (sent == Sent::kNone || (sent == Sent::kAll && IsSameKey(change, i))) {
      plan.row += comma + "t." + name;
      continue;
    }
    const auto values = change.update_values->column(static_cast<int>(i));
    is_rewritten |= type.carrier == Carrier::kList || type.carrier == Carrier::kMap;
    plan.string_bytes += StringBytes(type, *values->data());
    std::string value = "s.c" + std::to_string(plan.sources.size());
    plan.sources.push_back({.type = &type, .data = values->data().get()});
    if (sent == Sent::kSome) {
      ++plan.string_bytes;  // strings of a length that is not known are written again
      value = "CASE WHEN s.c" + std::to_string(plan.sources.size()) + " THEN t." + name + " ELSE " +
              value + " END";
      plan.sources.push_back({.bits = &change.update_unchanged[i]});
    }
    plan.assignments += (plan.assignments.empty() ? "" : ", ") + name + " = " + value;
    plan.row += comma + value;
    if (!MayBeEqualNotSame(type, *values)) continue;
    plan.same += (plan.same.empty() ? "(" : " OR (") + ("t." + name) + " IS NOT DISTINCT FROM " +
                 value + " AND " + BeyondEquality(type, "t." + name) + " IS DISTINCT FROM " +
                 BeyondEquality(type, value) + ")";
  }
  if (is_rewritten) plan.string_bytes = 0;
  return plan;
}

/// Staged rows get their values as new rows, and the old ones go: DuckDB leaves a cell alone where
/// an UPDATE gives it an equal value (0.0 stays when it becomes -0.0, and 1 month when it becomes
/// 30 days), and it keeps the strings of an UPDATE in memory. Returns how many.
Result<std::uint64_t> Rewrite(Connection& connection, const TableName& table,
                              const std::string& row, const std::string& which) {
  const std::string name = QualifiedName(table);
  const std::string stage(kStage);
  SLUICE_ASSIGN_OR_RETURN(
      const std::uint64_t added,
      connection.RunCounted("INSERT INTO " + name + " SELECT " + row + " FROM " + name +
                                " AS t JOIN " + stage + " AS s ON " + which,
                            "write rows anew"));
  if (added == 0) return added;
  SLUICE_RETURN_IF_ERROR(connection.Run(
      "DELETE FROM " + name + " AS t USING " + stage + " AS s WHERE " + which, "take out rows"));
  return added;
}

/// Rows that are added from here on have greater ones.
Result<std::int64_t> LastRowId(Connection& connection, const TableName& table) {
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult last,
      connection.Query("SELECT max(rowid)::BIGINT FROM " + QualifiedName(table), "find the end"));
  return last.is_null(0, 0) ? -1 : last.i64(0, 0);
}

/// So many rows at a time are written anew: the values of all of a batch need not fit into memory.
constexpr std::size_t kRewrittenRows = 2048;

/// All of them written anew.
Result<std::uint64_t> RewriteAll(Connection& connection, const TableName& table,
                                 const UpdatePlan& plan, const std::string& which,
                                 std::size_t count) {
  std::uint64_t changed = 0;
  for (std::size_t begin = 0; begin < count; begin += kRewrittenRows) {
    const std::size_t end = std::min(count, begin + kRewrittenRows);
    SLUICE_RETURN_IF_ERROR(StageRows(connection, plan.sources, end, begin));
    SLUICE_ASSIGN_OR_RETURN(const std::uint64_t some, Rewrite(connection, table, plan.row, which));
    changed += some;
  }
  return changed;
}

Result<std::uint64_t> UpdateInPlace(Connection& connection, const TableName& table,
                                    const UpdatePlan& plan, const std::string& which,
                                    std::size_t count) {
  SLUICE_RETURN_IF_ERROR(StageRows(connection, plan.sources, count));
  std::uint64_t rewritten = 0;
  if (!plan.same.empty()) {
    SLUICE_ASSIGN_OR_RETURN(
        rewritten, Rewrite(connection, table, plan.row, which + " AND (" + plan.same + ")"));
  }
  SLUICE_ASSIGN_OR_RETURN(
      const std::uint64_t updated,
      connection.RunCounted("UPDATE " + QualifiedName(table) + " AS t SET " + plan.assignments +
                                " FROM " + std::string(kStage) + " AS s WHERE " + which,
                            "update rows"));
  return rewritten + updated;
}

/// RewriteAll() of a table in which old and new rows cannot be told apart by DuckDB's number of a
/// row, as a column of its own has that name: all at once, over a table beside it.
Result<std::uint64_t> RewriteAside(Connection& connection, const TableName& table,
                                   const UpdatePlan& plan, const std::string& which,
                                   std::size_t count) {
  const std::string name = QualifiedName(table);
  const std::string stage(kStage);
  SLUICE_RETURN_IF_ERROR(StageRows(connection, plan.sources, count));
  SLUICE_RETURN_IF_ERROR(connection.Run("CREATE TEMP TABLE _sluice_rewritten AS SELECT " +
                                            plan.row + " FROM " + name + " AS t JOIN " + stage +
                                            " AS s ON " + which,
                                        "write rows anew"));
  SLUICE_ASSIGN_OR_RETURN(
      const std::uint64_t changed,
      connection.RunCounted("DELETE FROM " + name + " AS t USING " + stage + " AS s WHERE " + which,
                            "take out rows"));
  SLUICE_RETURN_IF_ERROR(connection.Run("INSERT INTO " + name +
                                            " SELECT * FROM temp._sluice_rewritten;"
                                            " DROP TABLE temp._sluice_rewritten",
                                        "write rows anew"));
  return changed;
}

Result<std::optional<Error>> ApplyUpdates(Connection& connection, const TableName& table,
                                          const NetChange& change, StringBudget& strings) {
  const UpdatePlan plan = PlanUpdate(change);
  if (plan.assignments.empty()) return std::optional<Error>();
  const std::size_t count = RowCount(change.update_values);
  const bool is_in_place = strings.Takes(plan.string_bytes);
  std::string which = KeyCondition(KeyColumns(*change.schema));
  const bool may_write_anew = !is_in_place || !plan.same.empty();
  if (may_write_anew && HasRowIdColumn(*change.schema)) {
    SLUICE_ASSIGN_OR_RETURN(const std::uint64_t changed,
                            RewriteAside(connection, table, plan, which, count));
    DropStage(connection);
    return CheckCount(table, "an update", changed, count);
  }
  if (may_write_anew) {
    SLUICE_ASSIGN_OR_RETURN(const std::int64_t last, LastRowId(connection, table));
    which += " AND t.rowid <= " + std::to_string(last);
  }
  SLUICE_ASSIGN_OR_RETURN(const std::uint64_t changed,
                          is_in_place ? UpdateInPlace(connection, table, plan, which, count)
                                      : RewriteAll(connection, table, plan, which, count));
  DropStage(connection);
  return CheckCount(table, "an update", changed, count);
}

/// Of rows with the same bytes as many go as were staged, whichever they are.
std::string RowDeleteSql(const TableName& table, const TableSchema& schema) {
  std::string select;
  std::string join;
  for (std::size_t i = 0; i < schema.columns.size(); ++i) {
    const std::string c = "c" + std::to_string(i);
    const std::string mine = "t." + QuoteIdentifier(schema.columns[i].name);
    if (i != 0) join += " AND ";
    select += c + ", ";
    join += mine + " IS NOT DISTINCT FROM w." + c;
    const std::string beyond = BeyondEquality(schema.columns[i].type, c);
    if (beyond.empty()) continue;
    select += beyond + " AS e" + std::to_string(i) + ", ";
    join += " AND " + BeyondEquality(schema.columns[i].type, mine) + " IS NOT DISTINCT FROM w.e" +
            std::to_string(i);
  }
  return "WITH wanted AS (SELECT " + select + "count(*) AS wanted_rows FROM " +
         std::string(kStage) +
         " GROUP BY ALL), numbered AS (SELECT *, row_number() OVER () AS wanted_id FROM wanted),"
         " found AS (SELECT t.rowid AS found_row, w.wanted_rows, row_number() OVER"
         " (PARTITION BY w.wanted_id ORDER BY t.rowid) AS found_index FROM " +
         QualifiedName(table) + " AS t JOIN numbered AS w ON " + join + ") DELETE FROM " +
         QualifiedName(table) +
         " WHERE rowid IN (SELECT found_row FROM found WHERE found_index <= wanted_rows)";
}

Result<std::optional<Error>> ApplyRowDeletes(Connection& connection, const TableName& table,
                                             const NetChange& change) {
  const std::size_t count = RowCount(change.row_deletes);
  SLUICE_RETURN_IF_ERROR(StageRows(
      connection, SourcesOf(*change.row_deletes, TypesOf(AllColumns(*change.schema))), count));
  SLUICE_ASSIGN_OR_RETURN(
      const std::uint64_t changed,
      connection.RunCounted(RowDeleteSql(table, *change.schema), "delete whole rows"));
  DropStage(connection);
  return CheckCount(table, "a delete", changed, count);
}

Status ApplyInserts(Connection& connection, const TableName& table, const NetChange& change) {
  const Types types = TypesOf(AllColumns(*change.schema));
  SLUICE_ASSIGN_OR_RETURN(ChunkWriter writer, ChunkWriter::Open(connection, std::string(kCatalog),
                                                                table.schema, table.table, types));
  SLUICE_RETURN_IF_ERROR(
      writer.Append(SourcesOf(*change.inserts, types), RowCount(change.inserts)));
  return writer.Close();
}

Error Altered(const TableName& table, const std::string& how) {
  return {.kind = ErrorKind::kSchemaConflict,
          .message = "table " + ToString(table) + " at the destination " + how,
          .code = "SLU-5025",
          .advice = "sluice resync " + ToString(table)};
}

}  // namespace

std::string BeyondEquality(const ColumnType& type, const std::string& value) {
  if (!ComparesLoosely(type)) return {};
  if (type.carrier == Carrier::kFloat32 || type.carrier == Carrier::kFloat64)
    return "(" + value + " = 0 AND signbit(" + value + "))";
  return "CAST(" + value + " AS VARCHAR)";
}

Status StageRows(Connection& connection, const std::vector<ColumnSource>& columns, std::size_t end,
                 std::size_t begin) {
  return connection.staged().Set(connection.get(), columns, begin, end);
}

void DropStage(Connection& connection) {
  connection.staged().Clear(connection.get());
}

std::optional<Error> CheckChange(const NetChange& change) {
  const auto all = AllColumns(*change.schema);
  const auto key = KeyColumns(*change.schema);
  for (const auto& [rows, columns] :
       {std::pair(&change.deletes, &key), std::pair(&change.update_origin_keys, &key),
        std::pair(&change.update_values, &all), std::pair(&change.inserts, &all),
        std::pair(&change.row_deletes, &all)}) {
    if (auto status = CheckRows(*rows, *columns); !status) return std::move(status).error();
  }
  const bool has_keyed = RowCount(change.deletes) + RowCount(change.update_values) != 0;
  const bool fits =
      RowCount(change.update_origin_keys) == RowCount(change.update_values) &&
      (change.update_unchanged.empty() || change.update_unchanged.size() == all.size());
  if ((has_keyed && key.empty()) || !fits) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "updates and deletes do not fit their schema",
                 .code = "SLU-9001"};
  }
  return std::nullopt;
}

Result<std::optional<Error>> ApplyChange(Connection& connection, const TableName& table,
                                         const NetChange& change, StringBudget& strings) {
  if (change.truncate) {
    SLUICE_RETURN_IF_ERROR(connection.Run("DELETE FROM " + QualifiedName(table), "truncate"));
  }
  std::optional<Error> failed;
  if (RowCount(change.row_deletes) != 0) {
    SLUICE_ASSIGN_OR_RETURN(failed, ApplyRowDeletes(connection, table, change));
  }
  if (!failed && RowCount(change.deletes) != 0) {
    SLUICE_ASSIGN_OR_RETURN(failed, ApplyDeletes(connection, table, change));
  }
  if (!failed && RowCount(change.update_values) != 0) {
    SLUICE_ASSIGN_OR_RETURN(failed, ApplyUpdates(connection, table, change, strings));
  }
  if (failed) return failed;
  if (RowCount(change.inserts) != 0)
    SLUICE_RETURN_IF_ERROR(ApplyInserts(connection, table, change));
  return std::optional<Error>();
}

Status FillColumns(Connection& connection, const TableName& table,
                   const std::vector<const Column*>& columns, const RowsPtr& row) {
  SLUICE_RETURN_IF_ERROR(CheckRows(row, columns));
  SLUICE_RETURN_IF_ERROR(StageRows(connection, SourcesOf(*row, TypesOf(columns)), 1));
  std::string sets;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    sets += (sets.empty() ? "" : ", ") + QuoteIdentifier(columns[i]->name) + " = s.c" +
            std::to_string(i);
  }
  SLUICE_RETURN_IF_ERROR(connection.Run(
      "UPDATE " + QualifiedName(table) + " SET " + sets + " FROM " + std::string(kStage) + " AS s",
      "fill added columns"));
  DropStage(connection);
  return {};
}

Result<std::optional<Error>> CompareShape(Connection& connection, const TableName& table,
                                          const TableSchema& schema) {
  SLUICE_ASSIGN_OR_RETURN(const NameUse use, LookUpName(connection, table));
  if (use != NameUse::kTable) return std::optional(Altered(table, "is gone"));
  PreparedHandle prepared;
  const std::string sql = "SELECT * FROM " + QualifiedName(table);
  if (duckdb_prepare(connection.get(), sql.c_str(), prepared.out()) == DuckDBError)
    return MakeError("look at a table", duckdb_prepare_error(prepared.get()));
  const idx_t count = duckdb_prepared_statement_column_count(prepared.get());
  if (count != schema.columns.size())
    return std::optional(Altered(table, "has another number of columns than it was given"));
  for (idx_t i = 0; i < count; ++i) {
    const char* name = duckdb_prepared_statement_column_name(prepared.get(), i);
    const LogicalTypeHandle type(duckdb_prepared_statement_column_logical_type(prepared.get(), i));
    const bool is_same_name = FoldName(name) == FoldName(schema.columns[i].name);
    duckdb_free(const_cast<char*>(name));
    if (!is_same_name || !IsSameType(schema.columns[i].type, type.get()))
      return std::optional(
          Altered(table, "has another column in place of " + schema.columns[i].name));
  }
  return std::optional<Error>();
}

}  // namespace sluice::duckdb
