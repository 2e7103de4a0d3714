#include "destinations/duckdb/quarantine.h"

#include <arrow/array/array_base.h>
#include <arrow/array/data.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/byte_reader.h"
#include "columnar/column_builder.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/row_applier.h"
#include "types/arrow_type.h"
#include "types/canonical.h"

namespace sluice::duckdb {
namespace {

constexpr std::string_view kTable = "sluice.quarantine";
constexpr std::string_view kCopied = "sluice._copied_misfits";
/// Longer than any value.
constexpr std::size_t kCellBytesMax = std::size_t{1} << 31;

std::string In(std::string_view table) {
  return std::string(kCatalog) + "." + std::string(table);
}

std::string OfTable(RelationId relation) {
  return "table_oid = " + std::to_string(relation.value);
}

std::string OfUnit(UnitId unit) {
  return "relation = " + std::to_string(unit.relation.value) +
         " AND unit = " + std::to_string(unit.index);
}

// Keys as JSON
// -------------------------------------------------------------------------------------------------

std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool IsNumberOrBool(Carrier carrier) {
  return carrier == Carrier::kBool || carrier == Carrier::kInt16 || carrier == Carrier::kInt32 ||
         carrier == Carrier::kInt64 || carrier == Carrier::kUInt32;
}

/// The next of some canonical cells (types/canonical.h). Every value has a text of its own, only
/// the two zeros have one: DuckDB finds rows that way.
std::string CellJson(const ColumnType& type, std::string_view& cells) {
  base::ByteReader head(base::AsBytes(cells));
  const std::uint32_t length = head.ReadU32();
  const bool is_container = type.carrier == Carrier::kList || type.carrier == Carrier::kStruct ||
                            type.carrier == Carrier::kMap;
  if (length == types::kNullCell || !is_container) {
    std::string text = types::DescribeCell(type, cells, kCellBytesMax).value_or("");
    if (length == types::kNullCell) return "null";
    if (IsNumberOrBool(type.carrier)) return text;
    const bool is_float = type.carrier == Carrier::kFloat32 || type.carrier == Carrier::kFloat64;
    return Quoted(is_float && text == "-0" ? "0" : text);
  }
  static const ColumnType text_type{};
  std::string_view parts = cells.substr(8, length - 4);  // behind its length and its count
  cells.remove_prefix(4 + std::size_t{length});
  std::string out = "[";
  for (std::size_t i = 0; !parts.empty(); ++i) {
    const ColumnType& part = type.carrier == Carrier::kMap    ? text_type
                             : type.carrier == Carrier::kList ? type.children[0]
                                                              : type.children[i];
    out += (i == 0 ? "" : ",") + CellJson(part, parts);
  }
  return out + "]";
}

/// Prints rows of some columns of a table.
class KeyPrinter {
 public:
  /// `columns`: indexes into schema.columns; `places`: theirs in `rows`.
  static Result<KeyPrinter> Make(const TableSchema& schema,
                                 const std::vector<std::int32_t>& columns,
                                 const std::vector<int>& places, const RowsPtr& rows) {
    KeyPrinter printer;
    std::vector<std::shared_ptr<arrow::Array>> arrays;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const Column& column = schema.columns[static_cast<std::size_t>(columns[i])];
      printer.names_.push_back(Quoted(column.name));
      printer.types_.push_back(column.type);
      arrays.push_back(rows->column(places[i]));
    }
    SLUICE_ASSIGN_OR_RETURN(auto encoder, types::ArrowCellEncoder::Make(printer.types_, arrays));
    printer.encoder_.emplace(std::move(encoder));
    return printer;
  }
  /// Rows that hold the key columns only, as deletes and origin keys do.
  static Result<KeyPrinter> OfKeys(const TableSchema& schema, const RowsPtr& rows) {
    std::vector<int> places(schema.key.size());
    std::iota(places.begin(), places.end(), 0);
    return Make(schema, schema.key, places, rows);
  }
  /// Whole rows, by their key or, without one, by all they have.
  static Result<KeyPrinter> OfRows(const TableSchema& schema, const RowsPtr& rows) {
    std::vector<std::int32_t> columns = schema.key;
    if (schema.is_keyless()) {
      columns.resize(schema.columns.size());
      std::iota(columns.begin(), columns.end(), 0);
    }
    return Make(schema, columns, {columns.begin(), columns.end()}, rows);
  }

  /// [begin, end): misfits of this row; their texts stand for the NULLs of a row without a key.
  std::string Print(std::size_t row, const Misfit* begin = nullptr, const Misfit* end = nullptr) {
    std::string out = "{";
    for (std::size_t i = 0; i < types_.size(); ++i) {
      out += (i == 0 ? "" : ", ") + names_[i] + ": ";
      const Misfit* misfit =
          std::find_if(begin, end, [&](const Misfit& candidate) { return candidate.column == i; });
      if (misfit != end) {
        out += Quoted(misfit->text);
        continue;
      }
      cells_.clear();
      encoder_->Append(i, static_cast<std::int64_t>(row), cells_);
      std::string_view cells = cells_;
      out += CellJson(types_[i], cells);
    }
    return out + "}";
  }

 private:
  std::vector<std::string> names_;
  std::vector<ColumnType> types_;
  std::optional<types::ArrowCellEncoder> encoder_;
  std::string cells_;
};

// Texts as staged rows
// -------------------------------------------------------------------------------------------------

const ColumnType& TextType() {
  static const ColumnType made = [] {
    ColumnType type;
    type.oid = Oid{25};
    type.name = "text";
    type.codec = "text";
    return type;
  }();
  return made;
}

/// Rows of texts, staged as columns c0, c1, ...; to be kept until the stage is dropped.
class TextRows {
 public:
  explicit TextRows(std::size_t width) {
    for (std::size_t i = 0; i < width; ++i)
      columns_.emplace_back(TextType(), types::ArrowType(TextType()));
  }
  Status Add(const std::vector<std::string_view>& texts) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].AppendText(texts[i]) == types::ValueFault::kNone) continue;
      return Error{.kind = ErrorKind::kDestination,
                   .message = "the texts of quarantined values are too large for one batch",
                   .code = "SLU-4110",
                   .advice = "lower --batch-bytes"};
    }
    ++row_count_;
    return {};
  }
  std::size_t row_count() const { return row_count_; }
  Status Stage(Connection& connection) {
    std::vector<ColumnSource> sources;
    for (columnar::ColumnBuilder& column : columns_) {
      staged_.push_back(column.Finish());
      sources.push_back({.type = &TextType(), .data = staged_.back().get()});
    }
    return StageRows(connection, sources, row_count_);
  }

 private:
  std::vector<columnar::ColumnBuilder> columns_;
  std::vector<std::shared_ptr<arrow::ArrayData>> staged_;
  std::size_t row_count_ = 0;
};

bool IsKept(const TableSchema& schema, const Misfit& misfit) {
  return schema.columns[misfit.column].on_misfit == OnMisfit::kQuarantine;
}

/// key, column, value, reason, lsn, committed_at of what is to be kept of these rows.
Result<TextRows> EntriesOf(const TableSchema& schema, const RowsPtr& rows,
                           const std::vector<Misfit>& misfits) {
  TextRows out(6);
  SLUICE_ASSIGN_OR_RETURN(KeyPrinter printer, KeyPrinter::OfRows(schema, rows));
  for (auto at = misfits.begin(); at != misfits.end();) {
    const auto end = std::find_if(at, misfits.end(),
                                  [&](const Misfit& misfit) { return misfit.row != at->row; });
    std::string key;
    for (auto misfit = at; misfit != end; ++misfit) {
      if (!IsKept(schema, *misfit)) continue;
      if (key.empty()) {
        const bool by_row = schema.is_keyless();
        key = printer.Print(at->row, by_row ? &*at : nullptr, by_row ? &*at + (end - at) : nullptr);
      }
      SLUICE_RETURN_IF_ERROR(out.Add({key, schema.columns[misfit->column].name, misfit->text,
                                      misfit->reason, std::to_string(misfit->commit_lsn.value),
                                      std::to_string(misfit->committed_at.value)}));
    }
    at = end;
  }
  return out;
}

// Changes
// -------------------------------------------------------------------------------------------------

/// Rows whose entries go or move: the key they had, the one they have, "" where the row is gone.
Status AddTouched(const NetChange& change, TextRows& out) {
  const TableSchema& schema = *change.schema;
  if (change.deletes != nullptr) {
    SLUICE_ASSIGN_OR_RETURN(KeyPrinter keys, KeyPrinter::OfKeys(schema, change.deletes));
    for (std::int64_t row = 0; row < change.deletes->num_rows(); ++row)
      SLUICE_RETURN_IF_ERROR(out.Add({keys.Print(static_cast<std::size_t>(row)), ""}));
  }
  if (change.update_values == nullptr) return {};
  SLUICE_ASSIGN_OR_RETURN(KeyPrinter before, KeyPrinter::OfKeys(schema, change.update_origin_keys));
  SLUICE_ASSIGN_OR_RETURN(KeyPrinter now, KeyPrinter::OfRows(schema, change.update_values));
  for (std::int64_t i = 0; i < change.update_values->num_rows(); ++i) {
    const auto row = static_cast<std::size_t>(i);
    SLUICE_RETURN_IF_ERROR(out.Add({before.Print(row), now.Print(row)}));
  }
  return {};
}

/// Cells that an update leaves as they are keep their entries.
Result<TextRows> UnchangedCells(const NetChange& change) {
  TextRows out(2);
  if (change.update_unchanged.empty()) return out;
  const TableSchema& schema = *change.schema;
  SLUICE_ASSIGN_OR_RETURN(KeyPrinter before, KeyPrinter::OfKeys(schema, change.update_origin_keys));
  for (std::size_t column = 0; column < change.update_unchanged.size(); ++column) {
    if (schema.columns[column].on_misfit == OnMisfit::kHalt) continue;
    for (std::int64_t i = 0; i < change.update_values->num_rows(); ++i) {
      const auto row = static_cast<std::size_t>(i);
      if (!change.update_unchanged[column][row]) continue;
      SLUICE_RETURN_IF_ERROR(out.Add({before.Print(row), schema.columns[column].name}));
    }
  }
  return out;
}

Status RemoveTouched(Connection& connection, RelationId relation, const NetChange& change) {
  TextRows touched(2);
  SLUICE_RETURN_IF_ERROR(AddTouched(change, touched));
  if (touched.row_count() == 0) return {};
  SLUICE_ASSIGN_OR_RETURN(TextRows unchanged, UnchangedCells(change));
  std::string kept;
  if (unchanged.row_count() != 0) {
    SLUICE_RETURN_IF_ERROR(unchanged.Stage(connection));
    SLUICE_RETURN_IF_ERROR(connection.Run(
        "CREATE OR REPLACE TEMP TABLE _sluice_kept AS SELECT * FROM " + std::string(kStage),
        "stage unchanged cells"));
    kept =
        " AND NOT EXISTS (SELECT 1 FROM temp.main._sluice_kept AS u"
        " WHERE u.c0 = q.\"key\" AND u.c1 = q.\"column\")";
  }
  SLUICE_RETURN_IF_ERROR(touched.Stage(connection));
  const std::string stage(kStage);
  SLUICE_RETURN_IF_ERROR(
      connection.Run("DELETE FROM " + In(kTable) + " WHERE rowid IN (SELECT q.rowid FROM " +
                         In(kTable) + " AS q JOIN " + stage + " AS s ON q.\"key\" = s.c0 WHERE q." +
                         OfTable(relation) + kept + ")",
                     "remove from sluice.quarantine"));
  if (!kept.empty()) {
    // What is left of these rows are cells that were not sent: they go where the row went.
    SLUICE_RETURN_IF_ERROR(
        connection.Run("UPDATE " + In(kTable) + " AS q SET \"key\" = s.c1 FROM " + stage +
                           " AS s WHERE q.\"key\" = s.c0 AND s.c0 <> s.c1 AND q." +
                           OfTable(relation) + "; DROP TABLE temp.main._sluice_kept",
                       "move in sluice.quarantine"));
  }
  DropStage(connection);
  return {};
}

/// Of equal rows as many entries go as rows, whichever they are.
Status RemoveRows(Connection& connection, RelationId relation, const NetChange& change) {
  SLUICE_ASSIGN_OR_RETURN(TextRows gone,
                          EntriesOf(*change.schema, change.row_deletes, change.row_delete_misfits));
  if (gone.row_count() == 0) return {};
  SLUICE_RETURN_IF_ERROR(gone.Stage(connection));
  SLUICE_RETURN_IF_ERROR(connection.Run(
      "DELETE FROM " + In(kTable) +
          " WHERE rowid IN (SELECT entry FROM (SELECT q.rowid AS entry, w.wanted, row_number()"
          " OVER (PARTITION BY q.\"key\", q.\"column\" ORDER BY q.rowid) AS place FROM " +
          In(kTable) + " AS q JOIN (SELECT c0, c1, count(*) AS wanted FROM " + std::string(kStage) +
          " GROUP BY c0, c1) AS w ON q.\"key\" = w.c0 AND q.\"column\" = w.c1"
          " WHERE q." +
          OfTable(relation) + ") WHERE place <= wanted)",
      "remove from sluice.quarantine"));
  DropStage(connection);
  return {};
}

Status AddEntries(Connection& connection, const QuarantineOwner& owner, const TableSchema& schema,
                  const RowsPtr& rows, const std::vector<Misfit>& misfits) {
  if (misfits.empty()) return {};
  SLUICE_ASSIGN_OR_RETURN(TextRows entries, EntriesOf(schema, rows, misfits));
  if (entries.row_count() == 0) return {};
  SLUICE_RETURN_IF_ERROR(entries.Stage(connection));
  SLUICE_RETURN_IF_ERROR(connection.Run(
      "INSERT INTO " + In(kTable) + " SELECT " + QuoteLiteral(owner.source.schema) + ", " +
          QuoteLiteral(owner.source.table) + ", " + std::to_string(owner.relation.value) + ", " +
          QuoteLiteral(owner.destination.schema) + ", " + QuoteLiteral(owner.destination.table) +
          ", c0, c1, c2, c3, CAST(c4 AS UBIGINT), make_timestamptz(CAST(c5 AS BIGINT)), now()"
          " FROM " +
          std::string(kStage),
      "write sluice.quarantine"));
  DropStage(connection);
  return {};
}

std::vector<std::string> KeyNames(const TableSchema& schema) {
  std::vector<std::string> out;
  for (const std::int32_t index : schema.key)
    out.push_back(schema.columns[static_cast<std::size_t>(index)].name);
  return out;
}

std::vector<std::string> Names(const TableSchema& schema) {
  std::vector<std::string> out;
  for (const Column& column : schema.columns) out.push_back(column.name);
  return out;
}

}  // namespace

std::string CreateQuarantineSql() {
  return "CREATE TABLE IF NOT EXISTS " + In(kTable) +
         "(source_schema VARCHAR, source_table VARCHAR, table_oid UINTEGER, \"schema\" VARCHAR,"
         " \"table\" VARCHAR, \"key\" VARCHAR, \"column\" VARCHAR, \"value\" VARCHAR,"
         " reason VARCHAR, lsn UBIGINT, committed_at TIMESTAMPTZ, quarantined_at TIMESTAMPTZ);"
         "CREATE TABLE IF NOT EXISTS " +
         In(kCopied) +
         "(relation UINTEGER, unit UINTEGER, \"key\" VARCHAR, \"column\" VARCHAR,"
         " \"value\" VARCHAR, reason VARCHAR);";
}

Result<std::set<RelationId>> ReadQuarantined(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(const SmallResult rows,
                          connection.Query("SELECT DISTINCT table_oid::UBIGINT FROM " + In(kTable),
                                           "read sluice.quarantine"));
  std::set<RelationId> out;
  for (std::size_t row = 0; row < rows.row_count(); ++row)
    out.insert(RelationId{static_cast<std::uint32_t>(rows.u64(row, 0))});
  return out;
}

Status ApplyQuarantine(Connection& connection, const QuarantineOwner& owner,
                       const NetChange& change, bool has_entries) {
  if (has_entries) {
    if (change.truncate)
      SLUICE_RETURN_IF_ERROR(
          connection.Run(ForgetQuarantineSql(owner.relation), "empty sluice.quarantine"));
    if (!change.row_delete_misfits.empty())
      SLUICE_RETURN_IF_ERROR(RemoveRows(connection, owner.relation, change));
    SLUICE_RETURN_IF_ERROR(RemoveTouched(connection, owner.relation, change));
  }
  SLUICE_RETURN_IF_ERROR(
      AddEntries(connection, owner, *change.schema, change.update_values, change.update_misfits));
  return AddEntries(connection, owner, *change.schema, change.inserts, change.insert_misfits);
}

Status AlterQuarantine(Connection& connection, const TableSchema& from, const TableSchema& to) {
  const auto origins = ColumnOrigins(from, to);
  std::string names;
  std::string cases;
  for (std::size_t i = 0; i < from.columns.size(); ++i) {
    const std::string name = QuoteLiteral(from.columns[i].name);
    const auto now = std::find(origins.begin(), origins.end(), i);
    if (now == origins.end()) {
      SLUICE_RETURN_IF_ERROR(connection.Run("DELETE FROM " + In(kTable) + " WHERE " +
                                                OfTable(from.relation) +
                                                " AND \"column\" = " + name,
                                            "remove from sluice.quarantine"));
      continue;
    }
    const Column& column = to.columns[static_cast<std::size_t>(now - origins.begin())];
    if (column.name == from.columns[i].name) continue;
    names += (names.empty() ? "" : ", ") + name;
    cases += " WHEN " + name + " THEN " + QuoteLiteral(column.name);
  }
  if (cases.empty()) return {};
  return connection.Run("UPDATE " + In(kTable) + " SET \"column\" = CASE \"column\"" + cases +
                            " END WHERE " + OfTable(from.relation) + " AND \"column\" IN (" +
                            names + ")",
                        "rename in sluice.quarantine");
}

bool FindsRowsAlike(const TableSchema& a, const TableSchema& b) {
  if (a.is_keyless() != b.is_keyless()) return false;
  return a.is_keyless() ? Names(a) == Names(b) : KeyNames(a) == KeyNames(b);
}

Status QuarantineCopied(Connection& connection, UnitId unit, const TableSchema& schema,
                        const CopiedRows& copied) {
  if (copied.misfits.empty()) return {};
  SLUICE_ASSIGN_OR_RETURN(TextRows entries, EntriesOf(schema, copied.rows, copied.misfits));
  if (entries.row_count() == 0) return {};
  SLUICE_RETURN_IF_ERROR(entries.Stage(connection));
  SLUICE_RETURN_IF_ERROR(connection.Run(
      "INSERT INTO " + In(kCopied) + " SELECT " + std::to_string(unit.relation.value) + ", " +
          std::to_string(unit.index) + ", c0, c1, c2, c3 FROM " + std::string(kStage),
      "write copied values"));
  DropStage(connection);
  return {};
}

Result<bool> LandQuarantine(Connection& connection, UnitId unit, const QuarantineOwner& owner,
                            Lsn copied_at) {
  SLUICE_RETURN_IF_ERROR(
      connection.Run(ForgetQuarantineSql(owner.relation), "empty sluice.quarantine"));
  SLUICE_ASSIGN_OR_RETURN(
      const std::uint64_t count,
      connection.RunCounted(
          "INSERT INTO " + In(kTable) + " SELECT " + QuoteLiteral(owner.source.schema) + ", " +
              QuoteLiteral(owner.source.table) + ", " + std::to_string(owner.relation.value) +
              ", " + QuoteLiteral(owner.destination.schema) + ", " +
              QuoteLiteral(owner.destination.table) + ", \"key\", \"column\", \"value\", reason, " +
              std::to_string(copied_at.value) + ", NULL, now() FROM " + In(kCopied) + " WHERE " +
              OfUnit(unit),
          "write sluice.quarantine"));
  return count != 0;
}

std::string ForgetCopiedSql(UnitId unit) {
  return "DELETE FROM " + In(kCopied) + " WHERE " + OfUnit(unit);
}

std::string ForgetQuarantineSql(RelationId relation) {
  return "DELETE FROM " + In(kTable) + " WHERE " + OfTable(relation);
}

}  // namespace sluice::duckdb
