/// \file
/// What a pipeline is doing, as one value: for the progress display, the control socket, HTTP and
/// the report.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/ids.h"
#include "sluice/lsn.h"
#include "sluice/time.h"

#include "engine/misfit_counts.h"

namespace sluice::engine {

enum class Phase : std::uint8_t {
  kConnecting,
  kCreatingSlot,
  kRunning,
  kRetrying,
  kStopping,
  kStopped
};
const char* ToString(Phase phase);

struct TableStatus {
  TableRecord record;               ///< without its schema
  bool holds_rows = false;          ///< it was copied once
  std::int64_t rows_estimated = 0;  ///< pg_class.reltuples at the start of the copy
  std::int64_t rows_copied = 0;     ///< by the current or last copy
  std::uint64_t bytes_copied = 0;
  std::int64_t rows_inserted = 0;  ///< streamed since start
  std::int64_t rows_updated = 0;
  std::int64_t rows_deleted = 0;
  std::int64_t truncates = 0;
  std::int64_t changes_dropped = 0;  ///< arrived while halted, and not kept
  std::uint64_t held_bytes = 0;
  MisfitCounts misfits;  ///< values let go since start, copied and streamed
};

struct PipelineStatus {
  std::string pipeline;
  std::string source;  ///< without the password
  std::string destination;
  Phase phase = Phase::kConnecting;
  std::string last_error;   ///< why the phase is kRetrying; empty else
  std::string waiting_for;  ///< whom slot creation waits for; empty else
  bool source_connected = false;
  bool reads_by_sql = false;  ///< far behind: not as a stream
  Birth birth;
  std::uint64_t epoch = 0;

  Lsn received;  ///< end of what the stream has decoded
  Lsn durable;
  Lsn visible;
  Lsn acknowledged;        ///< told to the slot
  Lsn server_flush;        ///< what the server last said
  double lag_seconds = 0;  ///< contract: 0 when durable reached what the server last said
  std::uint64_t lag_bytes = 0;
  UnixMicros last_commit;  ///< of the last durable transaction
  /// Return of the destination's commit minus the commit timestamp, the last 1,024 commits,
  /// milliseconds.
  double latency_p50_ms = 0;
  double latency_p99_ms = 0;

  std::uint64_t slot_retained_bytes = 0;
  std::string slot_wal_status;
  bool is_over_wal_budget = false;  ///< the slot keeps more than --max-retained-wal
  bool are_copies_paused = false;   ///< ... and copies wait for it to keep less

  std::int64_t transactions = 0;  ///< streamed and durable
  std::int64_t rows_streamed = 0;
  std::int64_t rows_copied = 0;
  std::uint64_t bytes_received = 0;
  std::int64_t commits = 0;  ///< destination transactions
  std::int64_t retries_source = 0;
  std::int64_t retries_destination = 0;
  /// The last destination transaction with streamed changes: its rows, the age of its oldest commit
  /// when the writer took it over, and how long staging and committing took from there.
  double last_batch_rows = 0;
  double last_batch_age_seconds = 0;
  double last_apply_seconds = 0;
  std::uint64_t held_bytes = 0;
  std::uint64_t spilled_bytes = 0;
  std::uint64_t staged_bytes =
      0;  ///< decoded, not yet committed: streamed transactions, open batch, queue
  std::uint64_t memory_limit_bytes = 0;

  std::vector<TableStatus> tables;
};

}  // namespace sluice::engine
