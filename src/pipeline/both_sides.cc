#include "pipeline/both_sides.h"

#include <arrow/record_batch.h>

#include <thread>
#include <utility>

#include "postgres/copy_reader.h"

namespace sluice::pipeline {

Status ReadBothSides(verify::TableComparison& comparison, const TableRecord& record,
                     DestinationReader& destination, postgres::Connection& source,
                     const std::string& select, std::stop_token stop) {
  verify::TableScan source_scan = comparison.NewScan(verify::Side::kSource);
  verify::TableScan destination_scan = comparison.NewScan(verify::Side::kDestination);
  Status scanned;
  std::thread destination_thread([&] {
    scanned =
        destination.Scan(record, comparison.table().columns, [&](const RowsPtr& rows) -> Status {
          if (stop.stop_requested())
            return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
          return destination_scan.AppendRows(*rows);
        });
  });
  const auto read_source = [&]() -> Status {
    SLUICE_ASSIGN_OR_RETURN(postgres::CopyReader reader,
                            postgres::CopyReader::Start(source, select));
    for (;;) {
      SLUICE_ASSIGN_OR_RETURN(const auto messages, reader.NextRows(stop));
      if (messages.empty()) return {};
      for (const postgres::CopyReader::Message& message : messages) {
        SLUICE_RETURN_IF_ERROR(source_scan.AppendCopy(message));
      }
    }
  };
  const Status read = read_source();
  destination_thread.join();
  SLUICE_RETURN_IF_ERROR(scanned);
  SLUICE_RETURN_IF_ERROR(read);
  SLUICE_RETURN_IF_ERROR(comparison.Absorb(std::move(source_scan)));
  return comparison.Absorb(std::move(destination_scan));
}

}  // namespace sluice::pipeline
