/// \file
/// Copies one table under an imported snapshot into its shadow: COPY and decoding on the caller's
/// thread, writing on a second one, two batches apart.
///
/// Thread safety: one call, one thread; several calls for different tables at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>

#include "sluice/destination.h"
#include "sluice/result.h"

#include "engine/misfit_counts.h"
#include "postgres/catalog.h"
#include "postgres/connection.h"

namespace sluice::pipeline {

struct TableCopy {
  postgres::LoadedTable loaded;
  CopyTarget target;
  std::size_t batch_rows = 122'880;  ///< DuckDB's row group
  std::size_t batch_bytes = std::size_t{16} << 20;
};

/// What is shared by all workers, for display.
struct CopyCounters {
  std::atomic<std::int64_t> rows{0};
  std::atomic<std::uint64_t> bytes{0};
};

struct CopiedTableCounts {
  std::int64_t rows = 0;
  engine::MisfitCounts misfits = {};
};

/// \param connection in a transaction with the snapshot. \return what was copied; the shadow is
/// finished. Errors: kConversion, kUnsupported and the like are the table's own trouble;
/// kConnection, kTimeout, kCancelled; of the destination. The shadow is then to be discarded.
Result<CopiedTableCounts> CopyTable(const TableCopy& copy, postgres::Connection& connection,
                                    Destination& destination, CopyCounters& counters,
                                    std::stop_token stop);

}  // namespace sluice::pipeline
