/// \file
/// P of the copy rule: transactions whose commit was processed and that are not yet known to be
/// visible to a new snapshot.
///
/// A transaction is in the WAL before snapshots see it, for as long as a synchronous standby takes.
/// A snapshot taken in that window misses a transaction that the stream has already passed: neither
/// copy nor stream would bring it. So a snapshot is used only if it sees all of P as it was when
/// the unit began to hold.
///
/// Pruned with a recent snapshot it holds, as a rule, what committed since then: once visible,
/// always visible, so that what a snapshot saw before it came is not taken up at all. It is
/// bounded: a list of more than kPassedStoredMax ids is stored as *unknown*, and above kPassedMax
/// in memory it forgets them and is unknown itself. An unknown list wants a floor instead, an id N
/// taken from pg_current_xact_id() afterwards: a snapshot with xmin >= N sees everything forgotten.
///
/// Pure; one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/delivery_state.h"
#include "sluice/ids.h"
#include "sluice/lsn.h"

#include "replication/snapshot.h"

namespace sluice::replication {

inline constexpr std::size_t kPassedStoredMax = 65'536;
inline constexpr std::size_t kPassedMax = 1'048'576;

/// May a copy read under this snapshot?
struct SnapshotVerdict {
  enum class Kind : std::uint8_t {
    kUsable,
    kRetake,  ///< roll back, wait 1 ms (doubling to 100), take another one; nothing held is lost
    kStale,   ///< of a copy that was given up meanwhile: end it
  };
  Kind kind = Kind::kRetake;
  /// Some (at most 16) transactions it does not see, for the alarm: usually wait_event = SyncRep.
  std::vector<TransactionId> unseen{};
  /// Not 0: the snapshot's xmin must reach this first.
  std::uint64_t floor = 0;

  bool usable() const { return kind == Kind::kUsable; }
};

/// P as it was when a unit began to hold. A value: a copy worker may keep one and judge snapshots
/// itself before it offers one.
class Suspects {
 public:
  Suspects() = default;
  explicit Suspects(PassedList list) : list_(std::move(list)) {}

  /// kUsable iff `snapshot` sees every suspect and reaches the floor.
  SnapshotVerdict Judge(const Snapshot& snapshot) const;
  const PassedList& list() const { return list_; }

 private:
  PassedList list_;
};

class PassedTransactions {
 public:
  PassedTransactions() = default;
  /// What was stored with the position `durable`.
  PassedTransactions(const PassedList& stored, Lsn durable);

  /// Rule 1: every commit processed, whether or not a syncing table was in it.
  void Add(const TransactionMark& mark) {
    if (mark.end_lsn <= flushed_ && snapshot_.Sees(mark.xid)) return;
    entries_.push_back({mark.end_lsn, mark.xid});
    if (entries_.size() > kPassedMax) [[unlikely]]
      Forget();
  }

  /// Drops what `snapshot` sees. Any snapshot at hand will do.
  void Prune(const Snapshot& snapshot);
  /// The same for what comes from here on, as far as it ends before `flushed`, where the server's
  /// log was on disk up to before the snapshot was taken: behind that a crash hands ids out again.
  void Expect(Snapshot snapshot, Lsn flushed);

  /// A new incarnation starts at `durable`: what ends later comes again, perhaps from a server that
  /// the last snapshot is not of.
  void RewindTo(Lsn durable);

  /// What to store with the position `position`.
  PassedList At(Lsn position) const;
  /// Everything passed so far.
  Suspects TakeSuspects() const;

  /// The list is unknown and N was not read yet: no unit may begin.
  bool needs_floor() const { return is_unknown_ && floor_ == 0; }
  /// Read this, then N := pg_current_xact_id() on the server, then SetFloor() with both: the list
  /// may have been forgotten once more meanwhile, and then that N proves too little.
  std::uint64_t floor_generation() const { return generation_; }
  void SetFloor(std::uint64_t generation, std::uint64_t floor);

  /// An N that is on its way is refused.
  void ForgetFloor() {
    floor_ = 0;
    ++generation_;
  }
  std::size_t size() const { return entries_.size(); }
  bool is_unknown() const { return is_unknown_; }

 private:
  struct Entry {
    Lsn end_lsn;
    TransactionId xid;
  };

  void Forget();

  std::vector<Entry> entries_;
  Snapshot snapshot_;
  Lsn flushed_;  ///< 0: nothing is expected
  bool is_unknown_ = false;
  std::uint64_t floor_ = 0;
  std::uint64_t generation_ = 0;
};

/// Rule 9. What lies before the slot's start and a snapshot may not see yet: visible to the slot's
/// own snapshot `exported`, not to `current`, taken at once after the slot was made. Store it with
/// the first position.
PassedList BirthList(const Snapshot& exported, const Snapshot& current);

/// For a slot found without a list: nothing is known but `floor`, pg_current_xact_id() read now.
PassedList UnknownList(std::uint64_t floor);

}  // namespace sluice::replication
