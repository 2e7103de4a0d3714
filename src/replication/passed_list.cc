#include "replication/passed_list.h"

#include <algorithm>
#include <utility>

namespace sluice::replication {
namespace {

constexpr std::size_t kUnseenShown = 16;

TransactionId Narrow(std::uint64_t xid) {
  return {static_cast<std::uint32_t>(xid)};
}

}  // namespace

SnapshotVerdict Suspects::Judge(const Snapshot& snapshot) const {
  SnapshotVerdict verdict{.kind = SnapshotVerdict::Kind::kUsable};
  if (list_.is_unknown && (list_.floor == 0 || snapshot.xmin < list_.floor)) {
    verdict.kind = SnapshotVerdict::Kind::kRetake;
    verdict.floor = list_.floor;
  }
  for (const TransactionId xid : list_.xids) {
    if (snapshot.Sees(xid)) continue;
    verdict.kind = SnapshotVerdict::Kind::kRetake;
    if (verdict.unseen.size() == kUnseenShown) break;
    verdict.unseen.push_back(xid);
  }
  return verdict;
}

PassedTransactions::PassedTransactions(const PassedList& stored, Lsn durable)
    : is_unknown_(stored.is_unknown), floor_(stored.is_unknown ? stored.floor : 0) {
  entries_.reserve(stored.xids.size());
  for (const TransactionId xid : stored.xids) entries_.push_back({durable, xid});
  if (entries_.size() > kPassedMax) Forget();
}

void PassedTransactions::Prune(const Snapshot& snapshot) {
  std::erase_if(entries_, [&](const Entry& entry) { return snapshot.Sees(entry.xid); });
  if (is_unknown_ && floor_ != 0 && snapshot.xmin >= floor_) {
    is_unknown_ = false;
    floor_ = 0;
  }
}

void PassedTransactions::Expect(Snapshot snapshot, Lsn flushed) {
  snapshot_ = std::move(snapshot);
  flushed_ = flushed;
}

void PassedTransactions::RewindTo(Lsn durable) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.end_lsn > durable; });
  flushed_ = {};
}

PassedList PassedTransactions::At(Lsn position) const {
  PassedList list{.is_unknown = is_unknown_, .floor = floor_, .xids = {}};
  list.xids.reserve(entries_.size());
  for (const Entry& entry : entries_) {
    if (entry.end_lsn <= position) list.xids.push_back(entry.xid);
  }
  return list.xids.size() > kPassedStoredMax ? UnknownList(0) : list;
}

Suspects PassedTransactions::TakeSuspects() const {
  PassedList list{.is_unknown = is_unknown_, .floor = floor_, .xids = {}};
  list.xids.reserve(entries_.size());
  for (const Entry& entry : entries_) list.xids.push_back(entry.xid);
  return Suspects(std::move(list));
}

void PassedTransactions::SetFloor(std::uint64_t generation, std::uint64_t floor) {
  if (generation == generation_ && needs_floor()) floor_ = floor;
}

// What is added from now on is kept again: N is read later than this, so it is above all that is
// forgotten here, and what passes in between is on the list.
void PassedTransactions::Forget() {
  entries_.clear();
  flushed_ = {};  // so far behind its ids may be nearest to the wrong ones
  is_unknown_ = true;
  floor_ = 0;
  ++generation_;
}

PassedList BirthList(const Snapshot& exported, const Snapshot& current) {
  PassedList list;
  const auto add = [&](std::uint64_t xid) {
    if (exported.SeesWide(xid)) list.xids.push_back(Narrow(xid));
    return list.xids.size() <= kPassedStoredMax;
  };
  for (const std::uint64_t xid : current.xip) {
    if (!add(xid)) return UnknownList(0);
  }
  for (std::uint64_t xid = current.xmax; xid < exported.xmax; ++xid) {
    if (!add(xid)) return UnknownList(0);
  }
  return list;
}

PassedList UnknownList(std::uint64_t floor) {
  return {.is_unknown = true, .floor = floor, .xids = {}};
}

}  // namespace sluice::replication
