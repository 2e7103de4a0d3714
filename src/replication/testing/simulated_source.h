/// \file
/// A PostgreSQL server as far as the copy rule is concerned: transactions, a log, snapshots,
/// crashes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "sluice/lsn.h"

#include "replication/snapshot.h"

namespace sluice::replication::testing {

inline constexpr std::size_t kTables = 3;  ///< the last one joins later
inline constexpr std::size_t kLateTable = 2;

struct Transaction {
  std::uint64_t xid = 0;
  bool touches[kTables] = {};
  bool is_streamed[kTables] = {};
  bool is_committed = false;  ///< its commit record is in the log
  bool is_aborted = false;
  bool has_left = false;  ///< not in the list of running ones any more
  Lsn commit_lsn, end_lsn;

  bool is_done() const { return has_left || is_aborted; }
};

/// A commit takes three steps that come apart: its record is in the log, the log is flushed (the
/// stream delivers it), it leaves the list of running ones (snapshots see it).
class Source {
 public:
  explicit Source(std::mt19937& random) : random_(random) {
    const bool is_near_wrap = random() % 2 == 0;
    next_xid_ = is_near_wrap ? (std::uint64_t{1} << 32) - 5 : 750;
  }

  void Begin() {
    Transaction& added = all.emplace_back();
    added.xid = next_xid_++;
    for (std::size_t table = 0; table < kTables; ++table) {
      added.touches[table] = random_() % 3 != 0;
      added.is_streamed[table] = table != kLateTable || late_table_joined;
    }
  }
  void Step() {
    if (all.empty()) return;
    Transaction& one = all[random_() % all.size()];
    if (one.is_aborted || one.has_left) return;
    if (!one.is_committed) {
      insert.value += 40;
      one.is_aborted = random_() % 8 == 0;
      one.is_committed = !one.is_aborted;
      one.commit_lsn = {insert.value - 32};
      one.end_lsn = insert;
      if (one.is_committed) log.push_back(static_cast<std::size_t>(&one - all.data()));
    } else if (one.end_lsn <= flush || is_async) {
      one.has_left = true;
    }
  }
  void Flush() { flush = insert; }

  Snapshot Take() const {
    Snapshot snapshot;
    for (const Transaction& one : all) {
      if (one.is_done()) snapshot.xmax = std::max(snapshot.xmax, one.xid + 1);
    }
    snapshot.xmax = std::max(snapshot.xmax, xmax_floor_);
    for (const Transaction& one : all) {
      if (!one.is_done() && one.xid < snapshot.xmax) snapshot.xip.push_back(one.xid);
    }
    std::sort(snapshot.xip.begin(), snapshot.xip.end());
    snapshot.xmin = snapshot.xip.empty() ? snapshot.xmax : snapshot.xip.front();
    return snapshot;
  }
  /// What the slot's own snapshot sees: every commit in the log so far.
  Snapshot TakeExported() const {
    Snapshot snapshot;
    for (const std::size_t index : log) snapshot.xmax = std::max(snapshot.xmax, all[index].xid + 1);
    snapshot.xmax = std::max(snapshot.xmax, xmax_floor_);
    for (const Transaction& one : all) {
      if (!one.is_committed && one.xid < snapshot.xmax) snapshot.xip.push_back(one.xid);
    }
    std::sort(snapshot.xip.begin(), snapshot.xip.end());
    snapshot.xmin = snapshot.xip.empty() ? snapshot.xmax : snapshot.xip.front();
    return snapshot;
  }
  /// pg_current_xact_id(), in a transaction that ends at once.
  std::uint64_t TakeXid() {
    Transaction& added = all.emplace_back();
    added.xid = next_xid_++;
    added.is_aborted = true;
    insert.value += 40;
    return added.xid;
  }

  void Crash() {
    std::uint64_t newest = xmax_floor_ - 1;
    for (Transaction& one : all) {
      const bool is_in_log = (one.is_committed || one.is_aborted) && one.end_lsn <= flush;
      if (is_in_log) newest = std::max(newest, one.xid);
      if (one.is_committed && !is_in_log) std::erase(log, static_cast<std::size_t>(&one - &all[0]));
      one.is_aborted = one.is_aborted || !(one.is_committed && is_in_log);
      one.is_committed = one.is_committed && is_in_log;
      one.has_left = one.is_committed;
    }
    insert = flush;
    // Ids that reached no disk are handed out again.
    next_xid_ = newest + 1;
    xmax_floor_ = newest + 1;
    // Those that are gone do not count as completed.
    for (Transaction& one : all) {
      if (one.is_aborted && one.xid > newest) one.xid = 3;
    }
  }
  void Start() { xmax_floor_ = next_xid_; }

  std::vector<Transaction> all;
  std::vector<std::size_t> log;  ///< commits in order
  Lsn insert{1000}, flush{1000};
  bool late_table_joined = false;
  bool is_async = false;

 private:
  std::mt19937& random_;
  std::uint64_t next_xid_ = 0;
  std::uint64_t xmax_floor_ = 1;
};

}  // namespace sluice::replication::testing
