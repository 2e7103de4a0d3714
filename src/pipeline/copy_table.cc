#include "pipeline/copy_table.h"

#include <pthread.h>

#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "base/bounded_queue.h"
#include "columnar/copy_decoder.h"
#include "postgres/copy_reader.h"

namespace sluice::pipeline {
namespace {

/// The second thread. A batch weighs one: they are of one size.
class BatchWriter {
 public:
  explicit BatchWriter(CopyWriter& shadow)
      : thread_([this, &shadow] {
          pthread_setname_np(pthread_self(), "copy-write");
          while (std::optional<CopiedRows> rows = queue_.Pop({})) {
            if (has_failed_.load()) continue;  // drained, so that nobody waits for room
            status_ = shadow.Append(*rows);
            has_failed_.store(!status_.has_value());
          }
        }) {}
  ~BatchWriter() { (void)Finish(); }
  BatchWriter(const BatchWriter&) = delete;
  BatchWriter& operator=(const BatchWriter&) = delete;

  /// False: writing has failed, which Finish() gives back, or a stop.
  bool Write(CopiedRows rows, const std::stop_token& stop) {
    constexpr Duration kLook = std::chrono::milliseconds(200);
    while (!has_failed_.load() && !stop.stop_requested()) {
      if (queue_.PushUntil(rows, 1, Clock::now() + kLook, stop)) return true;
    }
    return false;
  }
  Status Finish() {
    queue_.Close();
    if (thread_.joinable()) thread_.join();
    return status_;
  }

 private:
  base::BoundedQueue<CopiedRows> queue_{2};
  std::atomic<bool> has_failed_{false};
  Status status_;
  std::thread thread_;
};

std::string StatementFor(const TableCopy& copy, columnar::CopyFormat format) {
  const TableSchema& schema = *copy.loaded.schema;
  postgres::CopyStatement statement;
  statement.table = schema.name;
  statement.is_only = !copy.loaded.is_partitioned;
  statement.row_filter = copy.loaded.row_filter;
  statement.is_binary = format == columnar::CopyFormat::kBinary;
  for (const Column& column : schema.columns) statement.columns.push_back(column.name);
  return postgres::CopySql(statement);
}

Result<CopiedTableCounts> Read(const TableCopy& copy, postgres::Connection& connection,
                               BatchWriter& writer, CopyCounters& counters,
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
    copied.rows += rows;
    counters.rows += rows;
    return {};
  };
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(const auto messages, reader.NextRows(stop));
    if (messages.empty()) break;
    for (const postgres::CopyReader::Message& message : messages) {
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
  BatchWriter writer(*shadow);
  auto read = Read(copy, connection, writer, counters, stop);
  const Status written = writer.Finish();
  SLUICE_RETURN_IF_ERROR(written);  // first: reading ended because of it
  if (!read) return read;
  SLUICE_RETURN_IF_ERROR(shadow->Finish());
  return read;
}

}  // namespace sluice::pipeline
