/// \file
/// The meeting of a WAL prefix and a snapshot, for `verify` (docs/positions.md, "fence").
///
///   Open()     the writer takes calls only; the caller gets a copy of P as suspects and takes S
///   and I under the table's lock Arm(S, I)  the writer goes on up to the last commit <= I, and
///   stops there; a commit <= I that S does not see spoils it reached    the destination holds
///   exactly what S sees: the caller opens its read transaction Release()  the writer goes on
///
/// Thread safety: the writer's thread; callers go through its inbox, except for Reached(), which
/// any thread may wait on. Limits: a fence that is not released within its deadline is released by
/// the writer.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <optional>

#include "sluice/change_set.h"
#include "sluice/lsn.h"
#include "sluice/result.h"
#include "sluice/time.h"

#include "replication/snapshot.h"

namespace sluice::engine {

class Fence {
 public:
  bool is_open() const { return state_ != State::kNone; }
  /// The writer takes no change sets now.
  bool blocks_sets() const { return state_ == State::kOpen || state_ == State::kReached; }

  /// \return the ticket of this fence: what is said with another one is late.
  Result<std::uint64_t> Open(Clock::time_point deadline);
  /// The future is fulfilled when the writer stands at the fence: ok, or kTimeout/kCancelled; code
  /// SLU-3080 when spoiled.
  Result<std::shared_future<Status>> Arm(std::uint64_t ticket, replication::Snapshot snapshot,
                                         Lsn insert_lsn);
  /// The writer stands at this fence, and has since it was reached.
  bool StandsAt(std::uint64_t ticket) const {
    return state_ == State::kReached && ticket == ticket_;
  }
  void Release(std::uint64_t ticket);
  /// Whosever it is: the writer ends.
  void Close();

  /// Splits `set` where the fence stands: what is returned comes after it. Spoils the fence if S
  /// misses a transaction.
  std::optional<ChangeSet> CutBehind(ChangeSet& set);
  /// Called after each commit, and when nothing came: `processed` is what is committed.
  void OnProcessed(Lsn processed);
  /// The next transaction lies behind the fence: everything before it is committed.
  void OnPassed() { OnProcessed(insert_lsn_); }
  void CheckDeadline(Clock::time_point now);

 private:
  enum class State : std::uint8_t { kNone, kOpen, kArmed, kReached };
  void Fulfil(Status status);

  State state_ = State::kNone;
  std::uint64_t ticket_ = 0;
  Clock::time_point deadline_{};
  replication::Snapshot snapshot_{};
  Lsn insert_lsn_;
  std::optional<std::promise<Status>> reached_;
};

/// Transactions [0, count) of the set, and the rest. `count` must not be all of them.
std::pair<ChangeSet, ChangeSet> SplitSet(ChangeSet set, std::size_t count);

}  // namespace sluice::engine
