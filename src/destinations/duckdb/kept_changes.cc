#include "destinations/duckdb/kept_changes.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "destinations/duckdb/bookkeeping.h"
#include "destinations/duckdb/chunk_reader.h"
#include "destinations/duckdb/chunk_writer.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/streaming_query.h"

namespace sluice::duckdb {
namespace {

/// relation, sequence, kind, commit_lsn, xid, committed_at, ordinal, message
const std::vector<Column>& Columns() {
  static const auto* const kColumns = [] {
    constexpr std::array kCarriers = {Carrier::kUInt32, Carrier::kInt64,  Carrier::kText,
                                      Carrier::kInt64,  Carrier::kUInt32, Carrier::kInt64,
                                      Carrier::kUInt32, Carrier::kBytes};
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
    return message_.Append(change.message);
  }
  arrow::Result<arrow::ArrayVector> Finish() {
    arrow::ArrayVector out;
    for (arrow::ArrayBuilder* builder :
         std::initializer_list<arrow::ArrayBuilder*>{&relation_, &sequence_, &kind_, &commit_lsn_,
                                                     &xid_, &committed_at_, &ordinal_, &message_}) {
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

}  // namespace

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
                                         std::uint64_t after, std::size_t count_max) {
  std::vector<const Column*> columns;
  for (const Column& column : Columns()) columns.push_back(&column);
  const auto schema = ArrowSchema(columns);
  SLUICE_ASSIGN_OR_RETURN(const std::string sql,
                          SelectKept(connection, relation, after, count_max));
  SLUICE_ASSIGN_OR_RETURN(const PreparedHandle prepared, Prepare(connection, sql));
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
