// A simulated source (committers that hang between log and visibility, unflushed commits, crashes,
// tables that join), a simulated destination, and the table machine between them, driven as the
// engine drives it. Every commit is checked: a live table holds exactly the transactions up to the
// position, each once. Any failure replays from its seed.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "replication/table_machine.h"
#include "replication/testing/simulated_source.h"

namespace sluice::replication {
namespace {

using testing::kLateTable;
using testing::kTables;
using testing::Source;
using testing::Transaction;

constexpr std::size_t kTransactions = 14;
constexpr int kSteps = 260;
constexpr UnixMicros kNow{1};

RelationId Relation(std::size_t table) {
  return {static_cast<std::uint32_t>(100 + table)};
}

/// Ways to drive the machine wrongly. Each must be found.
enum class Mutant {
  kNone,
  kNoSideCondition,
  kNoStoredList,
  kSnapshotBeforeHold,
  kNoBirthList,
  kNoFlushGuard,
  kNoMembershipGuard,
  kHeldNotFiltered,
  kHeldKeptOverReconnect,
};

// A transaction is two rows, so that one can be cut in the middle.
struct Row {
  std::size_t transaction = 0;
  int half = 0;
  auto operator<=>(const Row&) const = default;
};
using Rows = std::multiset<Row>;

struct Held {
  Row row;
  TransactionMark mark;
};

struct Copy {
  CopyTicket ticket;
  std::optional<CopySnapshot> taken;
  Rows rows;
  bool is_usable = false;
  bool is_finished = false;
};

class Simulation {
 public:
  Simulation(std::uint32_t seed, Mutant mutant) : random_(seed), mutant_(mutant), source_(random_) {
    source_.Start();
    source_.is_async = random_() % 2 == 0;
  }

  /// Empty: all was right.
  std::string Run() {
    Prehistory();
    Birth();
    for (int step = 0; step < kSteps && failure_.empty(); ++step) Step();
    for (int step = 0; step < 4000 && failure_.empty() && !IsSettled(); ++step) Settle();
    if (failure_.empty() && !IsSettled()) failure_ = "did not settle";
    return failure_;
  }

 private:
  bool Is(Mutant mutant) const { return mutant_ == mutant; }
  bool Chance(unsigned one_in) { return random_() % one_in == 0; }

  void Prehistory() {
    for (int i = 0; i < 3; ++i) source_.Begin();
    for (int i = 0; i < 6; ++i) source_.Step();
    source_.Flush();
  }

  void Birth() {
    stored_.position = Position{.lsn = source_.flush, .last_transaction = {}};
    stored_.passed = BirthList(source_.TakeExported(), source_.Take());
    if (Is(Mutant::kNoBirthList)) stored_.passed = {};
    for (std::size_t table = 0; table < kLateTable; ++table)
      stored_.tables.push_back(Record(table));
    for (TableRecord& record : stored_.tables) record.older_writers_done = true;
    Restart();
  }

  static TableRecord Record(std::size_t table) {
    TableRecord record;
    record.relation = Relation(table);
    return record;
  }

  void Step() {
    if (source_.all.size() < kTransactions && Chance(6)) source_.Begin();
    if (!source_.late_table_joined && Chance(60)) Join();
    if (source_.is_async && Chance(60)) return ServerCrash();
    if (Chance(70)) return Restart();
    if (Chance(50)) return Reconnect(Chance(2));
    Progress();
  }

  void Progress() {
    switch (random_() % 9) {
      case 0:
      case 1:
        return source_.Step();
      case 2:
        return source_.Flush();
      case 3:
      case 4:
        return Receive();
      case 5:
        return BeginUnits();
      case 6:
      case 7:
        return StepCopies();
      default:
        return CommitOrFail();
    }
  }

  void Settle() {
    is_settling_ = true;
    if (!source_.late_table_joined) Join();
    source_.Step();
    source_.Flush();
    Progress();
  }

  bool IsSettled() const {
    const auto is_done = [](const Transaction& one) { return one.is_done(); };
    if (!std::all_of(source_.all.begin(), source_.all.end(), is_done)) return false;
    if (stored_.position->lsn < source_.flush || !staged_.empty()) return false;
    return source_.late_table_joined && stored_.tables.size() == kTables &&
           std::all_of(stored_.tables.begin(), stored_.tables.end(),
                       [](const TableRecord& record) { return record.state == TableState::kLive; });
  }

  void Join() {
    if (!machine_->at_boundary()) return;
    source_.late_table_joined = true;
    machine_->AddTable(Record(kLateTable));
  }

  void Restart() {
    machine_ = std::make_unique<TableMachine>(stored_);
    if (source_.late_table_joined && !machine_->has_table(Relation(kLateTable))) {
      machine_->AddTable(Record(kLateTable));
    }
    copies_.clear();
    held_.clear();
    Rewind();
  }

  void Rewind() {
    staged_.clear();
    landing_.clear();
    half_done_.reset();
    received_ = stored_.position->lsn;
  }

  void Reconnect(bool copies_survive) {
    machine_->OnReconnect(stored_.position->lsn);
    Rewind();
    for (auto& [table, held] : held_) {
      if (Is(Mutant::kHeldKeptOverReconnect)) break;
      std::erase_if(held, [&](const Held& one) {
        return !TableMachine::HeldSurvives(one.mark, stored_.position->lsn);
      });
    }
    if (!copies_survive) FailRunningCopies();
  }

  void FailRunningCopies() {
    for (const CopyTicket& ticket : machine_->Running()) {
      machine_->CopyFailed(ticket, kNow);
      held_.erase(ticket.unit.relation);
      copies_.erase(ticket.unit.relation);
    }
  }

  void ServerCrash() {
    source_.Crash();
    Reconnect(false);
  }

  // One transaction, or one half of it.
  void Receive() {
    const auto next = std::find_if(source_.log.begin(), source_.log.end(), [&](std::size_t index) {
      return source_.all[index].end_lsn > received_ && source_.all[index].end_lsn <= source_.flush;
    });
    if (next == source_.log.end()) {
      machine_->OnPosition(source_.flush);
      return;
    }
    const Transaction& one = source_.all[*next];
    TransactionMark mark{.xid = {static_cast<std::uint32_t>(one.xid)},
                         .commit_lsn = one.commit_lsn,
                         .end_lsn = one.end_lsn,
                         .committed_at = {}};
    const bool stops_half_way = !half_done_ && Chance(4);
    TransactionMark seen = mark;
    if (stops_half_way) seen.end_lsn = {};
    if (!half_done_) ReceiveHalf(*next, 0, seen, mark);
    if (!stops_half_way) ReceiveHalf(*next, 1, seen, mark);
    if (!machine_->OnProcessed(std::vector{seen})) failure_ = "refused in order";
    half_done_ = stops_half_way ? std::optional(*next) : std::nullopt;
    if (!stops_half_way) received_ = one.end_lsn;
  }

  void ReceiveHalf(std::size_t index, int half, const TransactionMark& seen,
                   const TransactionMark& whole) {
    for (std::size_t table = 0; table < kTables; ++table) {
      const Transaction& one = source_.all[index];
      if (!one.touches[table] || !one.is_streamed[table]) continue;
      const Row row{index, half};
      switch (machine_->Decide(Relation(table), seen)) {
        case Decision::kApply:
          staged_[Relation(table)].insert(row);
          break;
        case Decision::kHold:
          held_[Relation(table)].push_back({row, whole});
          break;
        case Decision::kDrop:
          break;
      }
    }
  }

  void BeginUnits() {
    for (const RelationId relation : machine_->NeedMembershipFloor()) {
      if (Is(Mutant::kNoMembershipGuard)) {
        machine_->OlderWritersDone(relation);
      } else {
        machine_->WaitFor(relation, source_.TakeXid());
      }
    }
    if (machine_->needs_floor()) {
      machine_->SetFloor(machine_->floor_generation(), source_.TakeXid());
    }
    if (Chance(2)) machine_->OnServerSnapshot(source_.Take(), source_.flush);
    for (const UnitId unit : machine_->Startable()) {
      if (Chance(2)) continue;
      if (Is(Mutant::kNoSideCondition)) {
        machine_->OnServerSnapshot({.xmin = ~0ULL, .xmax = ~0ULL, .xip = {}});
      }
      Copy& copy = copies_[unit.relation] = {};
      if (Is(Mutant::kSnapshotBeforeHold)) TakeSnapshot(unit.relation, copy);
      if (Is(Mutant::kSnapshotBeforeHold)) {
        for (int i = 0; i < 4; ++i) source_.Step();
        source_.Flush();
        Receive();
        machine_->OnServerSnapshot(source_.Take());
      }
      if (!machine_->at_boundary()) return;
      held_.erase(unit.relation);
      copy.ticket = machine_->BeginUnit(unit).ticket;
    }
  }

  void TakeSnapshot(RelationId relation, Copy& copy) {
    static const auto schema = std::make_shared<const TableSchema>();
    copy.taken = CopySnapshot{source_.Take(), source_.insert, schema};
    copy.rows.clear();
    const std::size_t table = relation.value - 100;
    for (std::size_t index = 0; index < source_.all.size(); ++index) {
      const Transaction& one = source_.all[index];
      if (!one.has_left || !one.is_committed || !one.touches[table]) continue;
      copy.rows.insert({index, 0});
      copy.rows.insert({index, 1});
    }
  }

  void StepCopies() {
    for (auto& [relation, copy] : copies_) {
      if (copy.is_finished || copy.ticket.attempt == 0 || Chance(2)) continue;
      if (!copy.taken) {
        TakeSnapshot(relation, copy);
      } else if (!copy.is_usable) {
        copy.is_usable = machine_->OfferSnapshot(copy.ticket, *copy.taken, kNow).usable();
        if (!copy.is_usable) copy.taken.reset();
      } else if (Is(Mutant::kNoFlushGuard) || source_.flush >= copy.taken->insert_lsn) {
        machine_->CopyFinished(copy.ticket, 0, copy.taken->insert_lsn);
        copy.is_finished = true;
      }
    }
  }

  void CommitOrFail() {
    if (!machine_->at_boundary()) return;
    for (const UnitId unit : machine_->Landable()) {
      Rows& rows = landing_[unit.relation];
      rows = copies_[unit.relation].rows;
      for (const Held& one : held_[unit.relation]) {
        const bool drops = machine_->DropsHeld(unit, one.mark) && !Is(Mutant::kHeldNotFiltered);
        if (!drops) rows.insert(one.row);
      }
      machine_->Land(unit, kNow);
    }
    const auto records = machine_->TakeChangedRecords(++sequence_);
    if (!is_settling_ && Chance(6)) return Reconnect(true);  // it came to nothing
    for (const TableRecord& record : records) Store(record);
    for (auto& [relation, rows] : landing_) {
      content_[relation] = std::move(rows);
      held_.erase(relation);
      copies_.erase(relation);
    }
    for (const auto& [relation, rows] : staged_)
      content_[relation].insert(rows.begin(), rows.end());
    landing_.clear();
    staged_.clear();
    stored_.position->lsn = machine_->processed();
    received_ = std::max(received_, machine_->processed());
    stored_.passed = machine_->PassedAt(machine_->processed());
    if (Chance(10)) stored_.passed = UnknownList(0);  // less is known: never wrong
    if (Is(Mutant::kNoStoredList)) stored_.passed = {};
    machine_->OnDurable(sequence_);
    Check();
  }

  void Store(const TableRecord& record) {
    const auto found =
        std::find_if(stored_.tables.begin(), stored_.tables.end(),
                     [&](const TableRecord& one) { return one.relation == record.relation; });
    if (found == stored_.tables.end()) {
      stored_.tables.push_back(record);
    } else {
      *found = record;
    }
  }

  void Check() {
    for (const TableRecord& record : stored_.tables) {
      if (record.state != TableState::kLive) continue;
      Rows expected;
      for (const std::size_t index : source_.log) {
        const Transaction& one = source_.all[index];
        if (one.end_lsn > stored_.position->lsn) continue;
        if (!one.touches[record.relation.value - 100]) continue;
        expected.insert({index, 0});
        expected.insert({index, 1});
      }
      if (content_[record.relation] != expected) failure_ = "content differs";
    }
  }

  std::mt19937 random_;
  Mutant mutant_;
  Source source_;
  DeliveryState stored_;
  std::map<RelationId, Rows> content_;
  std::unique_ptr<TableMachine> machine_;
  std::map<RelationId, Copy> copies_;
  std::map<RelationId, std::vector<Held>> held_;
  std::map<RelationId, Rows> staged_;
  std::map<RelationId, Rows> landing_;
  std::optional<std::size_t> half_done_;
  Lsn received_;
  std::uint64_t sequence_ = 0;
  bool is_settling_ = false;
  std::string failure_;
};

TEST(TableMachineSimulation, BringsEveryTransactionExactlyOnce) {
  for (std::uint32_t seed = 1; seed <= 15000; ++seed) {
    ASSERT_EQ(Simulation(seed, Mutant::kNone).Run(), "") << "seed " << seed;
  }
}

class Mutants : public ::testing::TestWithParam<Mutant> {};

TEST_P(Mutants, AreFound) {
  for (std::uint32_t seed = 1; seed <= 20000; ++seed) {
    if (!Simulation(seed, GetParam()).Run().empty()) return;
  }
  FAIL() << "no seed found it";
}

INSTANTIATE_TEST_SUITE_P(TableMachineSimulation, Mutants,
                         ::testing::Values(Mutant::kNoSideCondition, Mutant::kNoStoredList,
                                           Mutant::kSnapshotBeforeHold, Mutant::kNoBirthList,
                                           Mutant::kNoFlushGuard, Mutant::kNoMembershipGuard,
                                           Mutant::kHeldNotFiltered,
                                           Mutant::kHeldKeptOverReconnect));

}  // namespace
}  // namespace sluice::replication
