#include "columnar/raw_rows.h"

#include <arrow/array/array_binary.h>
#include <arrow/record_batch.h>

#include <utility>

#include "base/byte_reader.h"

namespace sluice::columnar {
namespace {

void AppendBigEndian(std::uint32_t value, int bytes, std::string& out) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(value >> shift & 0xFF));
}

/// TupleData, as pgoutput/decoder.cc has it.
void AppendTuple(pgoutput::TupleView tuple, std::string& out) {
  AppendBigEndian(static_cast<std::uint32_t>(tuple.size()), 2, out);
  for (const pgoutput::TupleCell& cell : tuple) {
    out.push_back(static_cast<char>(cell.kind));
    const bool has_value = cell.kind == pgoutput::TupleCell::Kind::kText ||
                           cell.kind == pgoutput::TupleCell::Kind::kBinary;
    if (!has_value) continue;
    AppendBigEndian(static_cast<std::uint32_t>(cell.bytes.size()), 4, out);
    out.append(base::AsText(cell.bytes));
  }
}

}  // namespace

SchemaPtr RawSchema(SchemaPtr version) {
  auto raw = std::make_shared<TableSchema>();
  raw->relation = version->relation;
  raw->name = version->name;
  raw->since = version->since;
  Column column;
  column.name = "message";
  column.type.oid = Oid{17};
  column.type.name = "bytea";
  column.type.carrier = Carrier::kBytes;
  column.type.codec = "bytea";
  raw->columns.push_back(std::move(column));
  raw->raw_of = std::move(version);
  return raw;
}

void AppendRawCell(pgoutput::MessageKind kind, const pgoutput::RowTuples& tuples,
                   std::string& out) {
  out.push_back(static_cast<char>(kind));
  if (tuples.old_kind != pgoutput::OldTuple::kNone) {
    out.push_back(tuples.old_kind == pgoutput::OldTuple::kKey ? 'K' : 'O');
    AppendTuple(tuples.old, out);
  }
  if (kind == pgoutput::MessageKind::kDelete) return;
  out.push_back('N');
  AppendTuple(tuples.row, out);
}

std::string_view RawCell(const ChangeBatch& batch, std::size_t row) {
  const auto& cells = static_cast<const arrow::BinaryArray&>(*batch.values->column(0));
  return cells.GetView(static_cast<std::int64_t>(row));
}

Status RawRowDecoder::Append(std::string_view cell, std::uint32_t ordinal) {
  base::ByteReader in(base::AsBytes(cell));
  const auto kind = static_cast<pgoutput::MessageKind>(in.ReadU8());
  const bool is_row = kind == pgoutput::MessageKind::kInsert ||
                      kind == pgoutput::MessageKind::kUpdate ||
                      kind == pgoutput::MessageKind::kDelete;
  if (!is_row) {
    return Error{.kind = ErrorKind::kProtocol,
                 .message = "what was kept of a row change is not one",
                 .code = "SLU-3101"};
  }
  SLUICE_ASSIGN_OR_RETURN(const pgoutput::RowTuples tuples,
                          pgoutput::DecodeRowTuples(in, kind, cells_));
  if (kind == pgoutput::MessageKind::kInsert) return builder_.AppendInsert(tuples.row, ordinal);
  if (kind == pgoutput::MessageKind::kDelete) return builder_.AppendDelete(tuples.old, ordinal);
  return builder_.AppendUpdate(tuples.row, tuples.old, ordinal);
}

Result<ChangeBatch> DecodeRaw(const ChangeBatch& batch, const SchemaPtr& version) {
  RawRowDecoder decoder(version);
  std::size_t run = 0;
  for (std::size_t row = 0; row < batch.row_count(); ++row) {
    if (run < batch.runs.size() && batch.runs[run].first_row == row)
      decoder.BeginTransaction(batch.runs[run++].transaction);
    SLUICE_RETURN_IF_ERROR(decoder.Append(RawCell(batch, row), batch.ordinals[row]));
  }
  return decoder.Finish();
}

}  // namespace sluice::columnar
