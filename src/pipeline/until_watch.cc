#include "pipeline/until_watch.h"

#include <algorithm>
#include <variant>

#include "base/backoff.h"
#include "postgres/server_facts.h"
#include "replication/snapshot.h"

namespace sluice::pipeline {

Result<bool> UntilWatch::IsReached(const std::vector<engine::TableStatus>& tables,
                                   const engine::Progress& progress,
                                   std::uint64_t wal_segment_bytes,
                                   const std::function<Result<postgres::Connection>()>& connect) {
  if (std::holds_alternative<engine::UntilNever>(until_)) return false;
  if (const auto* lsn = std::get_if<Lsn>(&until_)) {
    lsn_ = *lsn;
    return progress.visible.Load() >= *lsn;
  }
  const bool is_settled =
      std::none_of(tables.begin(), tables.end(), [](const engine::TableStatus& table) {
        return table.record.state == TableState::kPending ||
               table.record.state == TableState::kCopying;
      });
  if (!is_settled) return false;
  if (std::holds_alternative<engine::UntilCopied>(until_)) return true;
  if (!lsn_) {
    Result<postgres::Connection> control = connect();
    if (!control) {
      if (base::IsRetryable(control.error().kind)) return false;
      return control.error();
    }
    const Result<postgres::WalPositions> positions = postgres::ReadWalPositions(*control);
    if (!positions) return false;
    lsn_ = replication::InsertLsnFloor(positions->insert_lsn, wal_segment_bytes);
  }
  return progress.visible.Load() >= *lsn_;
}

}  // namespace sluice::pipeline
