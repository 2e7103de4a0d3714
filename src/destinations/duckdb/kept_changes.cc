#include "destinations/duckdb/kept_changes.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "destinations/duckdb/chunk_reader.h"
#include "destinations/duckdb/chunk_writer.h"
#include "destinations/duckdb/name_lookup.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/streaming_query.h"

namespace sluice::duckdb {
namespace {

/// What a kept change takes beside its message, about; the engine counts the same.
constexpr std::uint64_t kKeptChangeBytes = 40;

std::string Kept() {
  return QualifiedSchema("sluice") + "._kept";
}
std::string Number(std::uint64_t value) {
  return std::to_string(value);
}
std::string OfTable(RelationId relation) {
  return Kept() + " WHERE relation = " + Number(relation.value);
}

/// relation, sequence, kind, commit_lsn, xid, committed_at, ordinal, message, bytes of it
const std::vector<Column>& Columns() {
  static const auto* const kColumns = [] {
    constexpr std::array kCarriers = {Carrier::kUInt32, Carrier::kInt64,  Carrier::kText,
                                      Carrier::kInt64,  Carrier::kUInt32, Carrier::kInt64,
                                      Carrier::kUInt32, Carrier::kBytes,  Carrier::kUInt32};
    auto* columns = new std::vector<Column>(kCarriers.size());
    for (std::size_t i = 0; i < kCarriers.size(); ++i) (*columns)[i].type.carrier = kCarriers[i];
    return columns;
  }();
  return *kColumns;
}

Error FromArrow(const arrow::Status& status) {
  return Error{.kind = ErrorKind::kInternal,
               .message = "kept changes cannot be written: " + status.ToString(),
               .code = "SLU-9001"};
}

/// The columns of a batch, by builders that only fail for lack of memory.
class Builders {
 public:
  arrow::Status Add(RelationId relation, const KeptChange& change) {
    ARROW_RETURN_NOT_OK(relation_.Append(relation.value));
    ARROW_RETURN_NOT_OK(sequence_.Append(static_cast<std::int64_t>(change.sequence)));
    ARROW_RETURN_NOT_OK(kind_.Append(std::string(1, static_cast<char>(change.kind))));
    ARROW_RETURN_NOT_OK(commit_lsn_.Append(static_cast<std::int64_t>(change.commit_lsn.value)));
    ARROW_RETURN_NOT_OK(xid_.Append(change.xid.value));
    ARROW_RETURN_NOT_OK(committed_at_.Append(change.committed_at.value));
    ARROW_RETURN_NOT_OK(ordinal_.Append(change.ordinal));
    ARROW_RETURN_NOT_OK(message_.Append(change.message));
    return bytes_.Append(static_cast<std::uint32_t>(change.message.size()));
  }
  arrow::Result<arrow::ArrayVector> Finish() {
    arrow::ArrayVector out;
    for (arrow::ArrayBuilder* builder : std::initializer_list<arrow::ArrayBuilder*>{
             &relation_, &sequence_, &kind_, &commit_lsn_, &xid_, &committed_at_, &ordinal_,
             &message_, &bytes_}) {
      ARROW_ASSIGN_OR_RAISE(out.emplace_back(), builder->Finish());
    }
    return out;
  }

 private:
  arrow::UInt32Builder relation_;
  arrow::Int64Builder sequence_;
  arrow::StringBuilder kind_;
  arrow::Int64Builder commit_lsn_;
  arrow::UInt32Builder xid_;
  arrow::Int64Builder committed_at_;
  arrow::UInt32Builder ordinal_;
  arrow::BinaryBuilder message_;
  arrow::UInt32Builder bytes_;
};

KeptChange ChangeAt(const arrow::RecordBatch& rows, std::int64_t row) {
  const auto i64 = [&](int column) {
    return static_cast<const arrow::Int64Array&>(*rows.column(column)).Value(row);
  };
  const auto u32 = [&](int column) {
    return static_cast<const arrow::UInt32Array&>(*rows.column(column)).Value(row);
  };
  const auto bytes = [&](int column) {
    return static_cast<const arrow::BinaryArray&>(*rows.column(column)).GetString(row);
  };
  KeptChange change;
  change.sequence = static_cast<std::uint64_t>(i64(1));
  change.kind = static_cast<KeptChange::Kind>(bytes(2).front());
  change.commit_lsn = Lsn{static_cast<std::uint64_t>(i64(3))};
  change.xid = TransactionId{u32(4)};
  change.committed_at = UnixMicros{i64(5)};
  change.ordinal = u32(6);
  change.message = bytes(7);
  return change;
}

/// The last of the first changes behind `after` that are at most so many and so large; the first
/// one at least. 0: there are none. Looks at no message.
Result<std::uint64_t> LastOfPiece(Connection& connection, RelationId relation, std::uint64_t after,
                                  std::size_t count_max, std::size_t bytes_max) {
  const std::string behind = OfTable(relation) + " AND sequence > " + Number(after);
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult first,
      connection.Query("SELECT coalesce(min(sequence), 0)::UBIGINT FROM " + behind,
                       "look for kept changes"));
  if (first.u64(0, 0) == 0) return 0;
  // A range, as there are statistics to skip the rest by.
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult last,
      connection.Query("SELECT max(sequence)::UBIGINT FROM (SELECT sequence, sum(bytes + " +
                           Number(kKeptChangeBytes) + ") OVER (ORDER BY sequence) AS total FROM " +
                           behind + " AND sequence < " + Number(first.u64(0, 0) + count_max) +
                           ") WHERE total <= " + Number(bytes_max) +
                           " OR sequence = " + Number(first.u64(0, 0)),
                       "measure kept changes"));
  return last.u64(0, 0);
}

}  // namespace

std::string CreateKeptSql() {
  // Beside the changes, of kind: 'M' is there as long as anything is to be kept, 'G' as long as it
  // is being applied. `bytes`: of the message; files of earlier versions lack it.
  return "CREATE TABLE IF NOT EXISTS " + Kept() +
         "(relation UINTEGER, sequence BIGINT, kind VARCHAR, commit_lsn BIGINT, xid UINTEGER,"
         " committed_at BIGINT, ordinal UINTEGER, message BLOB, bytes UINTEGER); ALTER TABLE " +
         Kept() + " ADD COLUMN IF NOT EXISTS bytes UINTEGER; UPDATE " + Kept() +
         " SET bytes = octet_length(message) WHERE bytes IS NULL; ";
}

Status ReadKeptSums(Connection& connection, DeliveryState& state) {
  SLUICE_ASSIGN_OR_RETURN(const NameUse use, LookUpName(connection, {"sluice", "_kept"}));
  if (use == NameUse::kFree) return {};  // of an earlier version, opened for reading
  SLUICE_ASSIGN_OR_RETURN(const SmallResult found,
                          connection.Query("SELECT count(*)::BIGINT FROM (DESCRIBE " + Kept() +
                                               ") WHERE column_name = 'bytes'",
                                           "look at sluice._kept"));
  if (found.i64(0, 0) == 0) return {};  // the same
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult rows,
      connection.Query("SELECT relation::UBIGINT, max(sequence)::UBIGINT, sum(bytes + " +
                           Number(kKeptChangeBytes) + ")::UBIGINT, bool_or(kind = 'G') FROM " +
                           Kept() + " GROUP BY relation",
                       "read sluice._kept"));
  for (std::size_t row = 0; row < rows.row_count(); ++row) {
    for (TableRecord& table : state.tables) {
      if (table.relation.value != rows.u64(row, 0) || table.state != TableState::kHalted) continue;
      table.kept = KeptChanges{
          .last = rows.u64(row, 1), .bytes = rows.u64(row, 2), .is_resuming = rows.boolean(row, 3)};
    }
  }
  return {};
}

Status WriteKept(Connection& connection, RelationId relation,
                 const std::optional<KeptChanges>& before,
                 const std::optional<KeptChanges>& after) {
  const std::string of_table = "DELETE FROM " + OfTable(relation);
  if (!after) return before ? connection.Run(of_table, "drop kept changes") : Status();
  const auto add = [&](const char* kind) {
    return connection.Run("INSERT INTO " + Kept() + " VALUES (" + Number(relation.value) +
                              ", 0, '" + kind + "', 0, 0, 0, 0, ''::BLOB, 0)",
                          "write sluice._kept");
  };
  if (!before) SLUICE_RETURN_IF_ERROR(add("M"));
  const bool was_resuming = before && before->is_resuming;
  if (after->is_resuming == was_resuming) return {};
  if (after->is_resuming) return add("G");
  return connection.Run(of_table + " AND kind = 'G'", "write sluice._kept");
}

Status DropKept(Connection& connection, RelationId relation, std::uint64_t through) {
  const std::string range =
      OfTable(relation) + " AND sequence <= " + Number(through) + " AND kind NOT IN ('M', 'G')";
  return connection.Run("DELETE FROM " + range +
                            " AND sequence <> (SELECT coalesce(max(sequence), 0) FROM " + range +
                            " AND kind = 'V')",
                        "drop kept changes");
}

Status AppendKept(Connection& connection, RelationId relation,
                  const std::vector<KeptChange>& changes) {
  Builders builders;
  for (const KeptChange& change : changes) {
    if (const auto added = builders.Add(relation, change); !added.ok()) return FromArrow(added);
  }
  const auto arrays = builders.Finish();
  if (!arrays.ok()) return FromArrow(arrays.status());
  std::vector<const ColumnType*> types;
  std::vector<ColumnSource> sources;
  for (std::size_t i = 0; i < Columns().size(); ++i) {
    types.push_back(&Columns()[i].type);
    sources.push_back({.type = types.back(), .data = (*arrays)[i]->data().get()});
  }
  SLUICE_ASSIGN_OR_RETURN(ChunkWriter writer, ChunkWriter::Open(connection, std::string(kCatalog),
                                                                "sluice", "_kept", types));
  SLUICE_RETURN_IF_ERROR(writer.Append(sources, changes.size()));
  return writer.Close();
}

Result<std::vector<KeptChange>> ReadKept(Connection& connection, RelationId relation,
                                         std::uint64_t after, std::size_t count_max,
                                         std::size_t bytes_max) {
  SLUICE_ASSIGN_OR_RETURN(const std::uint64_t last,
                          LastOfPiece(connection, relation, after, count_max, bytes_max));
  if (last == 0) return std::vector<KeptChange>{};
  std::vector<const Column*> columns;
  for (const Column& column : Columns()) columns.push_back(&column);
  const auto schema = ArrowSchema(columns);
  SLUICE_ASSIGN_OR_RETURN(
      const PreparedHandle prepared,
      Prepare(connection,
              "SELECT relation, sequence, kind, commit_lsn, xid, committed_at, ordinal, message,"
              " bytes FROM " +
                  OfTable(relation) + " AND sequence > " + Number(after) +
                  " AND sequence <= " + Number(last) + " ORDER BY sequence"));
  std::vector<KeptChange> out;
  SLUICE_RETURN_IF_ERROR(RunStreaming(
      prepared, [](duckdb_result*) { return Status(); },
      [&](duckdb_data_chunk chunk) -> Status {
        SLUICE_ASSIGN_OR_RETURN(const RowsPtr rows, ReadChunk(chunk, columns, schema));
        for (std::int64_t row = 0; row < rows->num_rows(); ++row)
          out.push_back(ChangeAt(*rows, row));
        return {};
      }));
  return out;
}

}  // namespace sluice::duckdb
