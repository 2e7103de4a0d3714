#include "pipeline/until_watch.h"

#include <variant>

#include "base/backoff.h"
#include "postgres/server_facts.h"
#include "replication/snapshot.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kAskAgain = std::chrono::seconds(1);

}  // namespace

Result<bool> UntilWatch::IsReached(bool are_copies_visible, const engine::Progress& progress,
                                   std::uint64_t wal_segment_bytes,
                                   const std::function<Result<postgres::Connection>()>& connect) {
  if (std::holds_alternative<engine::UntilNever>(until_)) return false;
  if (const auto* lsn = std::get_if<Lsn>(&until_)) {
    lsn_ = *lsn;
    return progress.visible.Load() >= *lsn;
  }
  if (!are_copies_visible) return false;
  if (std::holds_alternative<engine::UntilCopied>(until_)) return true;
  if (!lsn_) {
    const Clock::time_point now = Clock::now();
    if (now - asked_at_ < kAskAgain) return false;
    asked_at_ = now;
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
