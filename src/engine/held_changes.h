/// \file
/// Changes of units that are not live yet, kept until the unit lands: in memory up to a budget,
/// then on disk.
///
///   holding   the snapshot is not taken yet: everything is kept, with the transaction of each run
///   decided   snapshot S is known: what S sees is cut out, what comes later has been judged before
///   it comes here
///
/// A change set may end inside a transaction. What came since the last boundary is taken back by
/// Rollback() when that transaction will come again; Boundary() makes it stay.
///
/// Held changes are not durable and never hold back the acknowledgement: after a crash the unit is
/// copied again.
///
/// Thread safety: the delivery writer's thread only.
/// Limits: memory by `memory_bytes_max` over all units, entries and marks included; then spill
/// files in `spill_dir`, unlinked when opened. What is spilled takes no memory.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/ids.h"
#include "sluice/result.h"

#include "spill/sequential_log.h"

namespace sluice::engine {

class HeldChanges {
 public:
  HeldChanges(std::string spill_dir, std::size_t memory_bytes_max)
      : spill_dir_(std::move(spill_dir)), memory_bytes_max_(memory_bytes_max) {}

  /// The transaction of each change is asked for at the landing: a log names it. Until Drop().
  void KeepMarks(UnitId unit) { units_[unit].keeps_marks = true; }

  /// A batch or a truncate of `unit`'s table. `marks`: for a batch one per run, else exactly one.
  /// Errors: kStateStore from the disk (SLU-61xx): the unit cannot go on, Drop() it.
  Status Append(UnitId unit, ChangeItem item, std::vector<TransactionMark> marks);

  /// S is known now: cut out every transaction for which `is_seen` says true. At a boundary only.
  /// Errors: as Append().
  Status Decide(UnitId unit, const std::function<bool(const TransactionMark&)>& is_seen);

  /// Calls `sink` with the kept items in order until it says false. `marks`: one per run where
  /// they are kept, else the newest in the item. Errors: as Append(), of reading; the sink keeps
  /// its own.
  Status Replay(
      UnitId unit,
      const std::function<bool(ChangeItem item, const std::vector<TransactionMark>& marks)>& sink);

  void Drop(UnitId unit);
  /// What is held for any unit of the table.
  void DropTable(RelationId relation);
  void Boundary();
  void Rollback();

  std::size_t memory_bytes() const { return memory_bytes_; }
  std::uint64_t bytes(RelationId relation) const;
  std::uint64_t total_bytes() const;
  std::uint64_t spilled_bytes() const { return spilled_bytes_; }

 private:
  struct Entry {
    ChangeItem item;
    std::vector<TransactionMark> marks;  ///< per run; one when decided and they are not kept
    std::size_t bytes = 0;
  };
  /// The older part on disk, the newer one in memory.
  struct Unit {
    std::optional<spill::SequentialLog> log;
    std::vector<Entry> tail;
    std::size_t tail_bytes = 0;
    std::uint64_t bytes = 0;
    bool is_decided = false;
    bool keeps_marks = false;
    /// What there was at the last boundary. A log that is longer was spilled to since then.
    spill::LogPlace log_boundary;
    std::size_t tail_boundary = 0;
    std::uint64_t bytes_boundary = 0;

    bool is_at_boundary() const { return bytes == bytes_boundary; }
  };

  static void SetBoundary(Unit& unit);
  Status Keep(UnitId unit, ChangeItem item, const std::vector<TransactionMark>& marks,
              const std::function<bool(const TransactionMark&)>& is_seen);
  Status SpillLargest();
  Status SpillUnit(Unit& unit);

  std::string spill_dir_;
  std::size_t memory_bytes_max_;
  std::size_t memory_bytes_ = 0;
  std::uint64_t spilled_bytes_ = 0;
  std::map<UnitId, Unit> units_;
};

/// Runs of a batch, with the transaction of each.
struct KeptRuns {
  ChangeBatch batch;
  std::vector<TransactionMark> marks;
};
/// The kept runs of a batch as batches of their own. Per run `marks` and `is_dropped`.
std::vector<KeptRuns> KeepRuns(const ChangeBatch& batch, const std::vector<TransactionMark>& marks,
                               const std::vector<bool>& is_dropped);

}  // namespace sluice::engine
