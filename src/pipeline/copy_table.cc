#include "pipeline/copy_table.h"

#include <memory>
#include <utility>

#include "base/failpoint.h"
#include "columnar/copy_decoder.h"
#include "engine/unit_reader.h"
#include "postgres/copy_reader.h"

namespace sluice::pipeline {
namespace {

std::string StatementFor(const TableCopy& copy, columnar::CopyFormat format) {
  const TableSchema& schema = *copy.loaded.schema;
  postgres::CopyStatement statement;
  statement.table = schema.name;
  statement.relation = schema.relation;
  statement.is_only = !copy.loaded.is_partitioned;
  statement.row_filter = copy.loaded.row_filter;
  statement.is_binary = format == columnar::CopyFormat::kBinary;
  for (const Column& column : schema.columns) statement.columns.push_back(column.name);
  return postgres::CopySql(statement);
}

Result<CopiedTableCounts> Read(const TableCopy& copy, postgres::Connection& connection,
                               engine::ShadowWriter& writer, CopyCounters& counters,
                               const std::stop_token& stop) {
  const columnar::CopyFormat format = columnar::FormatFor(*copy.loaded.schema);
  SLUICE_ASSIGN_OR_RETURN(postgres::CopyReader reader,
                          postgres::CopyReader::Start(connection, StatementFor(copy, format)));
  columnar::CopyDecoder decoder(copy.loaded.schema, format);
  CopiedTableCounts copied;
  std::size_t seen_bytes = 0;
  const auto hand_on = [&]() -> Status {
    const auto rows = static_cast<std::int64_t>(decoder.row_count());
    CopiedRows batch = decoder.Finish();
    engine::CountMisfits(*copy.loaded.schema, batch.misfits, copied.misfits);
    if (!writer.Write(std::move(batch), stop)) {
      return Error{.kind = ErrorKind::kCancelled, .message = "the copy was stopped"};
    }
    SLUICE_FAILPOINT("copy.loaded");
    copied.rows += rows;
    counters.rows += rows;
    return {};
  };
  for (;;) {
    const auto messages = reader.NextRows(stop);
    if (!messages) return postgres::RefineCopyError(messages.error(), copy.loaded.schema->name);
    if (messages->empty()) break;
    for (const postgres::CopyReader::Message& message : *messages) {
      SLUICE_RETURN_IF_ERROR(decoder.Append(message));
    }
    counters.bytes += reader.received_bytes() - seen_bytes;
    seen_bytes = reader.received_bytes();
    if (decoder.row_count() >= copy.batch_rows || decoder.bytes() >= copy.batch_bytes) {
      SLUICE_RETURN_IF_ERROR(hand_on());
    }
  }
  SLUICE_RETURN_IF_ERROR(decoder.CheckComplete());
  if (decoder.row_count() > 0) SLUICE_RETURN_IF_ERROR(hand_on());
  return copied;
}

}  // namespace

Result<CopiedTableCounts> CopyTable(const TableCopy& copy, postgres::Connection& connection,
                                    Destination& destination, CopyCounters& counters,
                                    std::stop_token stop) {
  SLUICE_ASSIGN_OR_RETURN(const std::unique_ptr<CopyWriter> shadow,
                          destination.OpenCopy(copy.target));
  engine::ShadowWriter writer(*shadow);
  auto read = Read(copy, connection, writer, counters, stop);
  const Status written = writer.Finish();
  SLUICE_RETURN_IF_ERROR(written);  // first: reading ended because of it
  if (!read) return read;
  SLUICE_RETURN_IF_ERROR(shadow->Finish());
  return read;
}

}  // namespace sluice::pipeline
