#include "destinations/duckdb/bookkeeping.h"

#include <charconv>
#include <limits>
#include <map>
#include <optional>

#include "base/version.h"
#include "destinations/duckdb/copied_ranges.h"
#include "destinations/duckdb/kept_changes.h"
#include "destinations/duckdb/name_lookup.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/quarantine.h"
#include "destinations/duckdb/schema_json.h"
#include "destinations/duckdb/type_map.h"
#include "types/type_policies.h"

namespace sluice::duckdb {
namespace {

constexpr std::string_view kSchema = "sluice";

std::string In(std::string_view table) {
  return QualifiedSchema(kSchema) + "." + QuoteIdentifier(table);
}

std::string Number(std::uint64_t value) {
  return std::to_string(value);
}
std::string Flag(bool value) {
  return value ? "true" : "false";
}

/// NULL where it was never set.
std::string Time(UnixMicros time) {
  return time.value == 0 ? "NULL" : "make_timestamptz(" + std::to_string(time.value) + ")";
}
std::string Position64(Lsn lsn) {
  return lsn.is_valid() ? Number(lsn.value) : "NULL";
}

Error Unreadable(std::string message) {
  return {.kind = ErrorKind::kStateStore,
          .message = std::move(message),
          .code = "SLU-5016",
          .advice = "the file was changed by something else: restore it, or copy again"};
}

std::string CreateSql() {
  return "CREATE SCHEMA " + QualifiedSchema(kSchema) +
         ";"
         "CREATE TABLE " +
         In("position") +
         "(pipeline VARCHAR, system_identifier UBIGINT, timeline UINTEGER, slot VARCHAR,"
         " generation UUID, epoch UBIGINT, lsn UBIGINT, committed_at TIMESTAMPTZ,"
         " applied_at TIMESTAMPTZ, format INTEGER);"
         "CREATE TABLE " +
         In("tables") +
         "(source_schema VARCHAR, source_table VARCHAR, table_oid UINTEGER, \"schema\" VARCHAR,"
         " \"table\" VARCHAR, mode VARCHAR, state VARCHAR, since TIMESTAMPTZ, \"rows\" BIGINT,"
         " lsn UBIGINT, committed_at TIMESTAMPTZ, applied_at TIMESTAMPTZ, reason VARCHAR,"
         " advice VARCHAR);"
         "CREATE TABLE " +
         In("columns") +
         "(source_schema VARCHAR, source_table VARCHAR, table_oid UINTEGER, \"schema\" VARCHAR,"
         " \"table\" VARCHAR, \"column\" VARCHAR, \"position\" INTEGER, source_type VARCHAR,"
         " \"type\" VARCHAR, policy VARCHAR, on_misfit VARCHAR);"
         "CREATE TABLE " +
         In("schema_changes") +
         "(source_schema VARCHAR, source_table VARCHAR, table_oid UINTEGER, lsn UBIGINT,"
         " applied_at TIMESTAMPTZ, change VARCHAR, \"schema\" VARCHAR, \"table\" VARCHAR,"
         " before VARCHAR, after VARCHAR);"
         "CREATE TABLE " +
         In("_birth") +
         "(pipeline VARCHAR, slot VARCHAR, publication VARCHAR, owns_publication BOOLEAN,"
         " generation VARCHAR, system_identifier UBIGINT, timeline UINTEGER);"
         "CREATE TABLE " +
         In("_passed") +
         "(is_unknown BOOLEAN, floor UBIGINT, xids VARCHAR, witness_lsn UBIGINT,"
         " witness_xid UINTEGER, witness_committed_at BIGINT);"
         "CREATE TABLE " +
         In("_units") +
         "(relation UINTEGER, unit UINTEGER, \"schema\" VARCHAR, \"table\" VARCHAR);"
         "CREATE TABLE " +
         In("_schemas") +
         "(relation UINTEGER, publication_entry UINTEGER, older_writers_done BOOLEAN,"
         " \"schema\" VARCHAR);" +
         CreateKeptSql() + CreateRangesSql() + "CREATE MACRO " + In("lsn") +
         "(u) AS printf('%X/%X', u::UBIGINT >> 32, u::UBIGINT & 4294967295);";
}

Result<std::vector<TransactionId>> ParseXids(const std::string& text) {
  std::vector<TransactionId> out;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    TransactionId xid;
    const auto [next, error] = std::from_chars(at, end, xid.value);
    if (error != std::errc() || (next != end && *next != ','))
      return Unreadable("the list of passed transactions cannot be read");
    out.push_back(xid);
    at = next == end ? end : next + 1;
  }
  return out;
}

std::string FormatXids(const std::vector<TransactionId>& xids) {
  std::string out;
  for (const TransactionId xid : xids) {
    if (!out.empty()) out += ',';
    out += std::to_string(xid.value);
  }
  return out;
}

/// Whatever a later format changes, the comment on sluice.position names its writer.
std::string NoteWriterSql() {
  return "COMMENT ON TABLE " + In("position") + " IS 'written by sluice " + base::kVersion + "'; ";
}

Error OfLaterFormat(Connection& connection, std::int64_t format) {
  const auto comment = connection.Query(
      "SELECT comment FROM duckdb_tables() WHERE schema_name = 'sluice' AND table_name = "
      "'position'",
      "read who wrote the file");
  const bool is_named = comment && comment->row_count() == 1 && !comment->is_null(0, 0);
  return Error{.kind = ErrorKind::kConfig,
               .message = "the file has format " + std::to_string(format) + " of schema sluice, " +
                          (is_named ? comment->text(0, 0) : "of a later version") +
                          "; this is sluice " + base::kVersion,
               .code = "SLU-5009",
               .advice = "install that version or a later one"};
}

Status ReadPosition(Connection& connection, StoredState* out) {
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult rows,
      connection.Query(
          "SELECT pipeline, system_identifier, epoch, lsn, format::BIGINT FROM " + In("position"),
          "read sluice.position"));
  if (rows.row_count() != 1) return Unreadable("sluice.position does not have one row");
  if (rows.i64(0, 4) > kFormat) return OfLaterFormat(connection, rows.i64(0, 4));
  out->pipeline = rows.text(0, 0);
  out->system_identifier = rows.u64(0, 1);
  out->delivery.epoch = rows.u64(0, 2);
  if (!rows.is_null(0, 3))
    out->delivery.position = Position{.lsn = {rows.u64(0, 3)}, .last_transaction = {}};
  return {};
}

Status ReadPassed(Connection& connection, StoredState* out) {
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult rows,
      connection.Query("SELECT is_unknown, floor, xids, witness_lsn, witness_xid::UBIGINT,"
                       " witness_committed_at FROM " +
                           In("_passed"),
                       "read sluice._passed"));
  if (rows.row_count() != 1) return Unreadable("sluice._passed does not have one row");
  PassedList& passed = out->delivery.passed;
  passed.is_unknown = rows.boolean(0, 0);
  passed.floor = rows.u64(0, 1);
  SLUICE_ASSIGN_OR_RETURN(passed.xids, ParseXids(rows.text(0, 2)));
  if (out->delivery.position && !rows.is_null(0, 3)) {
    out->delivery.position->last_transaction =
        Witness{.commit_lsn = {rows.u64(0, 3)},
                .xid = {static_cast<std::uint32_t>(rows.u64(0, 4))},
                .committed_at = {rows.i64(0, 5)}};
  }
  return {};
}

Status ReadBirth(Connection& connection, StoredState* out) {
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult rows,
      connection.Query("SELECT pipeline, slot, publication, owns_publication, generation,"
                       " system_identifier, timeline::UBIGINT FROM " +
                           In("_birth"),
                       "read sluice._birth"));
  if (rows.row_count() > 1) return Unreadable("sluice._birth has more than one row");
  if (rows.row_count() == 1) {
    out->delivery.birth = Birth{.pipeline = rows.text(0, 0),
                                .slot = rows.text(0, 1),
                                .publication = rows.text(0, 2),
                                .owns_publication = rows.boolean(0, 3),
                                .generation = rows.text(0, 4),
                                .system_identifier = rows.u64(0, 5),
                                .timeline = static_cast<std::uint32_t>(rows.u64(0, 6))};
  }
  return {};
}

std::optional<TableState> ParseState(const std::string& text) {
  for (const TableState state : {TableState::kPending, TableState::kCopying, TableState::kLive,
                                 TableState::kHalted, TableState::kSkipped}) {
    if (text == ToString(state)) return state;
  }
  return std::nullopt;
}

Status ReadTables(Connection& connection, StoredState* out) {
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult rows,
      connection.Query(
          "SELECT t.table_oid::UBIGINT, t.source_schema, t.source_table, t.\"schema\","
          " t.\"table\", t.state, epoch_us(t.since), t.\"rows\", t.lsn,"
          " epoch_us(t.committed_at), t.reason, t.advice,"
          " s.publication_entry::UBIGINT, s.\"schema\", s.older_writers_done, t.mode FROM " +
              In("tables") + " t LEFT JOIN " + In("_schemas") +
              " s ON s.relation = t.table_oid ORDER BY t.table_oid",
          "read sluice.tables"));
  for (std::size_t row = 0; row < rows.row_count(); ++row) {
    TableRecord record;
    record.relation.value = static_cast<std::uint32_t>(rows.u64(row, 0));
    record.source = {rows.text(row, 1), rows.text(row, 2)};
    record.destination = {rows.text(row, 3), rows.text(row, 4)};
    const auto state = ParseState(rows.text(row, 5));
    if (!state) return Unreadable("sluice.tables has a state that does not exist");
    record.state = *state;
    record.since.value = rows.i64(row, 6);
    record.row_count = rows.i64(row, 7);
    record.lsn.value = rows.u64(row, 8);
    record.committed_at.value = rows.i64(row, 9);
    record.reason = rows.text(row, 10);
    record.advice = rows.text(row, 11);
    record.publication_entry = static_cast<std::uint32_t>(rows.u64(row, 12));
    record.older_writers_done = rows.boolean(row, 14);
    const auto mode = ParseTableMode(rows.text(row, 15));
    if (!mode) return Unreadable("sluice.tables has a mode that does not exist");
    record.mode = *mode;
    if (!rows.is_null(row, 13)) {
      SLUICE_ASSIGN_OR_RETURN(record.schema, SchemaFromJson(rows.text(row, 13)));
    }
    out->delivery.tables.push_back(std::move(record));
  }
  return {};
}

Status ReadUnits(Connection& connection, StoredState* out) {
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult rows,
      connection.Query(
          "SELECT relation::UBIGINT, unit::UBIGINT, \"schema\", \"table\" FROM " + In("_units"),
          "read sluice._units"));
  for (std::size_t row = 0; row < rows.row_count(); ++row) {
    out->units.push_back({.unit = {.relation = {static_cast<std::uint32_t>(rows.u64(row, 0))},
                                   .index = static_cast<std::uint32_t>(rows.u64(row, 1))},
                          .shadow = {rows.text(row, 2), rows.text(row, 3)}});
  }
  return {};
}

Status WriteShape(Connection& connection, const TableRecord& record) {
  const std::string oid = Number(record.relation.value);
  SLUICE_RETURN_IF_ERROR(connection.Run(
      "DELETE FROM " + In("columns") + " WHERE table_oid = " + oid, "write sluice.columns"));
  if (record.schema == nullptr || record.was_removed) return {};
  std::string values;
  for (std::size_t i = 0; i < record.schema->columns.size(); ++i) {
    const Column& column = record.schema->columns[i];
    const std::string policy = types::DeclaredPolicy(column.type);
    if (!values.empty()) values += ", ";
    values += "(" + QuoteLiteral(record.source.schema) + ", " + QuoteLiteral(record.source.table) +
              ", " + oid + ", " + QuoteLiteral(record.destination.schema) + ", " +
              QuoteLiteral(record.destination.table) + ", " + QuoteLiteral(column.name) + ", " +
              std::to_string(i + 1) + ", " + QuoteLiteral(column.type.name) + ", " +
              QuoteLiteral(SqlType(column.type)) + ", " +
              QuoteLiteral(policy.empty() ? "default" : policy) + ", " +
              QuoteLiteral(ToString(column.on_misfit)) + ")";
  }
  return connection.Run("INSERT INTO " + In("columns") + " VALUES " + values,
                        "write sluice.columns");
}

Status WriteSchema(Connection& connection, const TableRecord& record) {
  const std::string oid = Number(record.relation.value);
  const std::string schema =
      record.schema == nullptr ? std::string("NULL") : QuoteLiteral(SchemaToJson(*record.schema));
  SLUICE_ASSIGN_OR_RETURN(
      const std::uint64_t changed,
      connection.RunCounted("UPDATE " + In("_schemas") +
                                " SET publication_entry = " + Number(record.publication_entry) +
                                ", older_writers_done = " + Flag(record.older_writers_done) +
                                ", \"schema\" = " + schema + " WHERE relation = " + oid,
                            "write sluice._schemas"));
  if (changed != 0) return {};
  return connection.Run("INSERT INTO " + In("_schemas") + " VALUES (" + oid + ", " +
                            Number(record.publication_entry) + ", " +
                            Flag(record.older_writers_done) + ", " + schema + ")",
                        "write sluice._schemas");
}

Status RemoveTable(Connection& connection, RelationId relation) {
  const std::string oid = Number(relation.value);
  return connection.Run("DELETE FROM " + In("tables") + " WHERE table_oid = " + oid +
                            "; DELETE FROM " + In("columns") + " WHERE table_oid = " + oid +
                            "; DELETE FROM " + In("_schemas") + " WHERE relation = " + oid +
                            "; DELETE FROM " + In("_kept") + " WHERE relation = " + oid +
                            "; DELETE FROM " + In("_ranges") + " WHERE relation = " + oid + "; " +
                            ForgetQuarantineSql(relation),
                        "forget a table");
}

}  // namespace

Result<StoredState> ReadState(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(const NameUse use,
                          LookUpName(connection, {std::string(kSchema), "position"}));
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult schema,
      connection.Query("SELECT count(*)::BIGINT FROM duckdb_schemas() WHERE schema_name = 'sluice'"
                       " AND database_name = " +
                           QuoteLiteral(kCatalog),
                       "look for schema sluice"));
  StoredState out;
  if (schema.i64(0, 0) == 0) return out;
  if (use != NameUse::kTable) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "the file has a schema sluice that is not ours",
                 .code = "SLU-5013",
                 .advice = "rename that schema, or name another file"};
  }
  out.exists = true;
  SLUICE_RETURN_IF_ERROR(ReadPosition(connection, &out));
  SLUICE_RETURN_IF_ERROR(ReadPassed(connection, &out));
  SLUICE_RETURN_IF_ERROR(ReadBirth(connection, &out));
  SLUICE_RETURN_IF_ERROR(ReadTables(connection, &out));
  SLUICE_RETURN_IF_ERROR(ReadUnits(connection, &out));
  return out;
}

Status LookAtState(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(const NameUse use,
                          LookUpName(connection, {std::string(kSchema), "position"}));
  if (use != NameUse::kTable) return {};
  SLUICE_ASSIGN_OR_RETURN(const SmallResult epoch,
                          connection.Query("SELECT epoch FROM " + In("position"), "begin to read"));
  (void)epoch;
  return {};
}

Status CreateState(Connection& connection, const OpenRequest& request) {
  SLUICE_RETURN_IF_ERROR(connection.Run(CreateSql(), "make schema sluice"));
  const std::string position =
      "INSERT INTO " + In("position") + "(pipeline, system_identifier, epoch, format) VALUES (" +
      QuoteLiteral(request.pipeline) + ", " + Number(request.system_identifier) + ", 0, " +
      std::to_string(kFormat) + ")";
  const std::string passed =
      "INSERT INTO " + In("_passed") + "(is_unknown, floor, xids) VALUES (false, 0, '')";
  return connection.Run(position + "; " + passed, "make schema sluice");
}

Result<std::uint64_t> TakeEpoch(Connection& connection, const OpenRequest& request,
                                std::uint64_t checkpoints) {
  // Files of earlier versions have fewer tables and columns. What a copy left behind is of no use.
  std::string sql = NoteWriterSql() + CreateQuarantineSql() + "DELETE FROM " +
                    In("_copied_misfits") + "; ALTER TABLE " + In("columns") +
                    " ADD COLUMN IF NOT EXISTS on_misfit VARCHAR; ";
  for (const char* column : {"\"schema\"", "\"table\"", "before", "after"}) {
    sql += "ALTER TABLE " + In("schema_changes") + " ADD COLUMN IF NOT EXISTS " + column +
           " VARCHAR; ";
  }
  sql += CreateKeptSql() + CreateRangesSql() + "CREATE TABLE IF NOT EXISTS " + In("_log") +
         "(checkpoints UBIGINT); DELETE FROM " + In("_log") + "; INSERT INTO " + In("_log") +
         " VALUES (" + Number(checkpoints) + "); UPDATE " + In("position") +
         " SET epoch = epoch + 1";
  if (request.system_identifier != 0)
    sql += ", system_identifier = " + Number(request.system_identifier);
  SLUICE_RETURN_IF_ERROR(connection.Run(sql, "take the next epoch"));
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult rows,
      connection.Query("SELECT epoch FROM " + In("position"), "take the next epoch"));
  if (rows.row_count() != 1) return Unreadable("sluice.position does not have one row");
  return rows.u64(0, 0);
}

Status WriteCheckpoints(Connection& connection, std::uint64_t checkpoints) {
  return connection.Run("UPDATE " + In("_log") + " SET checkpoints = " + Number(checkpoints),
                        "write sluice._log");
}

Result<std::uint64_t> ReadCheckpoints(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(const NameUse use,
                          LookUpName(connection, {std::string(kSchema), "_log"}));
  if (use != NameUse::kTable) return 0;
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult rows,
      connection.Query("SELECT coalesce(max(checkpoints), 0)::UBIGINT FROM " + In("_log"),
                       "read sluice._log"));
  return rows.u64(0, 0);
}

Status ReplaceBirth(Connection& connection, const Birth& birth, std::uint64_t epoch) {
  const std::string clear = "DELETE FROM " + In("_birth") + ";UPDATE " + In("_passed") +
                            " SET is_unknown = false, floor = 0, xids = '', witness_lsn = NULL,"
                            " witness_xid = NULL, witness_committed_at = NULL";
  SLUICE_RETURN_IF_ERROR(connection.Run(clear, "forget an earlier birth"));
  SLUICE_RETURN_IF_ERROR(connection.Run(
      "INSERT INTO " + In("_birth") + " VALUES (" + QuoteLiteral(birth.pipeline) + ", " +
          QuoteLiteral(birth.slot) + ", " + QuoteLiteral(birth.publication) + ", " +
          Flag(birth.owns_publication) + ", " + QuoteLiteral(birth.generation) + ", " +
          Number(birth.system_identifier) + ", " + Number(birth.timeline) + ")",
      "write sluice._birth"));
  const std::string generation = birth.generation.empty()
                                     ? "NULL"
                                     : "TRY_CAST(" + QuoteLiteral(birth.generation) + " AS UUID)";
  SLUICE_ASSIGN_OR_RETURN(
      const std::uint64_t changed,
      connection.RunCounted(
          "UPDATE " + In("position") + " SET pipeline = " + QuoteLiteral(birth.pipeline) +
              ", system_identifier = " + Number(birth.system_identifier) +
              ", timeline = " + Number(birth.timeline) + ", slot = " + QuoteLiteral(birth.slot) +
              ", generation = " + generation +
              ", lsn = NULL, committed_at = NULL, applied_at = now()"
              " WHERE epoch = " +
              Number(epoch),
          "write sluice.position"));
  if (changed == 1) return {};
  return Error{.kind = ErrorKind::kStateStore,
               .message = "a newer writer has taken over",
               .code = "SLU-5004"};
}

Status WriteBirth(Connection& connection, const Birth& birth, std::uint64_t epoch) {
  std::string clear;
  for (const char* table : {"tables", "columns", "_schemas", "_kept", "_ranges", "quarantine"})
    clear += "DELETE FROM " + In(table) + ";";
  SLUICE_RETURN_IF_ERROR(connection.Run(clear, "forget the tables of an earlier birth"));
  return ReplaceBirth(connection, birth, epoch);
}

Status WriteTable(Connection& connection, const TableRecord& record, bool shape_changed) {
  if (record.was_removed) return RemoveTable(connection, record.relation);
  const std::string oid = Number(record.relation.value);
  const std::map<std::string, std::string> values = {
      {"source_schema", QuoteLiteral(record.source.schema)},
      {"source_table", QuoteLiteral(record.source.table)},
      {"\"schema\"", QuoteLiteral(record.destination.schema)},
      {"\"table\"", QuoteLiteral(record.destination.table)},
      {"mode", QuoteLiteral(ToString(record.mode))},
      {"state", QuoteLiteral(ToString(record.state))},
      {"since", Time(record.since)},
      {"\"rows\"", std::to_string(record.row_count)},
      {"lsn", Position64(record.lsn)},
      {"committed_at", Time(record.committed_at)},
      {"applied_at", "now()"},
      {"reason", record.reason.empty() ? "NULL" : QuoteLiteral(record.reason)},
      {"advice", record.advice.empty() ? "NULL" : QuoteLiteral(record.advice)}};
  std::string sets;
  std::string names = "table_oid";
  std::string items = oid;
  for (const auto& [name, value] : values) {
    sets += (sets.empty() ? "" : ", ") + name + " = " + value;
    names += ", " + name;
    items += ", " + value;
  }
  SLUICE_ASSIGN_OR_RETURN(
      const std::uint64_t changed,
      connection.RunCounted("UPDATE " + In("tables") + " SET " + sets + " WHERE table_oid = " + oid,
                            "write sluice.tables"));
  if (changed == 0) {
    SLUICE_RETURN_IF_ERROR(
        connection.Run("INSERT INTO " + In("tables") + "(" + names + ") VALUES (" + items + ")",
                       "write sluice.tables"));
  }
  if (!shape_changed) return {};
  SLUICE_RETURN_IF_ERROR(WriteShape(connection, record));
  return WriteSchema(connection, record);
}

Status WriteSchemaChange(Connection& connection, RelationId relation, const TableName& source,
                         const TableName& table, const ShapeChange& change, Lsn lsn) {
  const auto text = [](const std::string& value) {
    return value.empty() ? std::string("NULL") : QuoteLiteral(value);
  };
  return connection.Run(
      "INSERT INTO " + In("schema_changes") +
          "(source_schema, source_table, table_oid, lsn, applied_at, change, \"schema\","
          " \"table\", before, after) VALUES (" +
          QuoteLiteral(source.schema) + ", " + QuoteLiteral(source.table) + ", " +
          Number(relation.value) + ", " + Position64(lsn) + ", now(), " + text(change.kind) + ", " +
          QuoteLiteral(table.schema) + ", " + QuoteLiteral(table.table) + ", " +
          text(change.before) + ", " + text(change.after) + ")",
      "write sluice.schema_changes");
}

Result<bool> WritePosition(Connection& connection, const CommitRecord& record,
                           std::uint64_t epoch) {
  std::string passed;
  if (record.passed) {
    passed = "is_unknown = " + Flag(record.passed->is_unknown) +
             ", floor = " + Number(record.passed->floor) +
             ", xids = " + QuoteLiteral(FormatXids(record.passed->xids));
  }
  if (record.position && record.position->last_transaction) {
    const Witness& witness = *record.position->last_transaction;
    passed += std::string(passed.empty() ? "" : ", ") +
              "witness_lsn = " + Number(witness.commit_lsn.value) +
              ", witness_xid = " + Number(witness.xid.value) +
              ", witness_committed_at = " + std::to_string(witness.committed_at.value);
  }
  if (!passed.empty()) {
    SLUICE_RETURN_IF_ERROR(
        connection.Run("UPDATE " + In("_passed") + " SET " + passed, "write sluice._passed"));
  }
  std::string sets = "applied_at = now()";
  if (record.position) sets += ", lsn = " + Number(record.position->lsn.value);
  if (record.committed_at.value != 0) sets += ", committed_at = " + Time(record.committed_at);
  SLUICE_ASSIGN_OR_RETURN(const std::uint64_t changed,
                          connection.RunCounted("UPDATE " + In("position") + " SET " + sets +
                                                    " WHERE epoch = " + Number(epoch),
                                                "write sluice.position"));
  return changed == 1;
}

Status AddUnit(Connection& connection, const StoredUnit& unit) {
  return connection.Run("INSERT INTO " + In("_units") + " VALUES (" +
                            Number(unit.unit.relation.value) + ", " + Number(unit.unit.index) +
                            ", " + QuoteLiteral(unit.shadow.schema) + ", " +
                            QuoteLiteral(unit.shadow.table) + ")",
                        "write sluice._units");
}

Status RemoveUnit(Connection& connection, UnitId unit) {
  return connection.Run("DELETE FROM " + In("_units") +
                            " WHERE relation = " + Number(unit.relation.value) +
                            " AND unit = " + Number(unit.index) + "; " + ForgetCopiedSql(unit),
                        "write sluice._units");
}

Result<bool> HasUnit(Connection& connection, UnitId unit) {
  SLUICE_ASSIGN_OR_RETURN(const SmallResult rows,
                          connection.Query("SELECT count(*) > 0 FROM " + In("_units") +
                                               " WHERE relation = " + Number(unit.relation.value) +
                                               " AND unit = " + Number(unit.index),
                                           "read sluice._units"));
  return rows.boolean(0, 0);
}

Status DropState(Connection& connection) {
  return connection.Run("DROP SCHEMA IF EXISTS " + QualifiedSchema(kSchema) + " CASCADE",
                        "drop schema sluice");
}

}  // namespace sluice::duckdb
