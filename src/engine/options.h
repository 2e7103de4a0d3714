/// \file
/// What a pipeline is told at start. config/ fills it from flags, environment and file; nothing
/// here reads those.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sluice/lsn.h"
#include "sluice/time.h"

#include "types/name_map.h"
#include "types/table_rules.h"

namespace sluice::types {
class TypePolicies;
}

namespace sluice::engine {

/// When `run` ends by itself.
struct UntilNever {};
struct UntilCopied {};
struct UntilCaughtUp {};
using Until = std::variant<UntilNever, UntilCopied, UntilCaughtUp, Lsn>;

/// What to do with destination tables that Sluice did not make.
enum class Existing : std::uint8_t { kRefuse, kAdopt, kReplace };

/// What to do where the stream cannot go on from the position, and the source's content is there.
enum class OnLostSlot : std::uint8_t { kStop, kResync, kRepair };

/// What to do when the slot keeps more WAL than it may.
enum class OnRetainedWal : std::uint8_t { kWarn, kPauseCopy, kDropSlot };
struct WalBudgetOptions {
  std::uint64_t max_bytes = 0;  ///< 0: no limit
  OnRetainedWal policy = OnRetainedWal::kWarn;
};

/// psql's patterns: -t, -T, -n, -N. Empty include lists: every table that can be replicated.
struct TableSelection {
  std::vector<std::string> tables;
  std::vector<std::string> excluded_tables;
  std::vector<std::string> schemas;
  std::vector<std::string> excluded_schemas;
};

struct PipelineOptions {
  /// libpq URL or keyword string. Secret: never logged.
  std::string source;
  /// The primary of a source that is a standby: it writes in its place. Empty: none. Secret.
  std::string primary;
  /// Parsed and opened by pipeline/; "duckdb:/abs/path", "null:".
  std::string destination;
  std::string pipeline;
  TableSelection selection;
  /// Set: use this publication as it is.
  std::optional<std::string> publication;
  /// Default sluice_<pipeline>.
  std::optional<std::string> slot;
  bool copy_existing = true;  ///< --copy all|none
  Until until = UntilNever{};
  Existing existing = Existing::kRefuse;
  OnLostSlot on_lost_slot = OnLostSlot::kStop;
  /// Where the server fails to decode its log at this place, it is passed over (pass_over.h).
  std::optional<Lsn> skip_transaction;
  /// How columns are kept instead of by default; null: nothing was declared.
  std::shared_ptr<const types::TypePolicies> types;
  /// Mode, columns and so on of single tables.
  types::TableRules tables;
  /// What tables are called at the destination.
  types::NameMap names;

  std::string state_dir;
  /// Parallel COPY connections. 1 to 16.
  int copy_workers = 2;
  /// A large table is copied in ranges of its key of about this size, or of up to the second where
  /// its rows are large: see postgres::RangeSize.
  std::size_t copy_range_bytes = std::size_t{256} << 20;
  std::size_t copy_range_bytes_most = std::size_t{1} << 30;
  /// One budget for the process, DuckDB's share included.
  std::size_t memory_bytes = std::size_t{1} << 30;
  /// A change set is sealed when it has this many rows...
  std::size_t batch_rows = 100'000;
  /// ...or holds this much, or, the writer being free, is this old.
  std::size_t batch_bytes = std::size_t{32} << 20;
  Duration batch_age = std::chrono::milliseconds(10);
  /// From so much unread log on it is read by SQL; empty: never. 0: always, for tests.
  std::optional<std::size_t> catch_up_from = std::size_t{512} << 20;
  /// How long to go on trying to reach source and destination; empty: 1 minute before the first
  /// success, then forever.
  std::optional<Duration> retry_for;

  /// Changes of a halted table are kept up to so much (all such tables together; also at most a
  /// tenth of the free disk)...
  std::size_t keep_halted_bytes = std::size_t{4} << 30;
  /// ...and for so long; then only a copy brings it back.
  Duration keep_halted_for = std::chrono::hours(24);

  /// What the slot may keep at the source.
  WalBudgetOptions wal_budget;

  /// Read up to a fence and never tell the slot (verify without a running pipeline).
  bool acknowledges = true;
  /// Commands that only read (verify) make no birth.
  bool may_create = true;
};

}  // namespace sluice::engine
