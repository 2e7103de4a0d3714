/// \file
/// The program's pure core and its real machines between a simulated server and a destination:
/// assembler, delivery writer (table machine, stager, fold, held changes), position tracker and
/// connect checks are the product's own; connections, threads and the clock are this class, which
/// takes one random step at a time.
///
/// Every step may be the last: the process is killed, the server crashes, the stream breaks, a
/// commit's outcome stays unknown. What is checked, after every destination commit:
///   - a live table holds exactly the transactions up to the destination's position, and so do the
///     landed ranges of one that is not whole;
///   - the position never goes back, and what was acknowledged is durable;
/// and at every connect what docs/positions.md says of one. As soon as faults stop, all comes to
/// rest: every table live, everything delivered.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "destinations/doubles/doubles.h"
#include "destinations/memory/memory_destination.h"
#include "engine/delivery_writer.h"
#include "replication/catch_up.h"
#include "replication/position_tracker.h"
#include "replication/snapshot.h"
#include "replication/transaction_assembler.h"
#include "simulation/simulated_server.h"

namespace sluice::simulation {

/// What a run met, so that a test can say that it meets everything.
struct Coverage {
  std::uint64_t commits = 0;
  std::uint64_t kills = 0;
  std::uint64_t server_crashes = 0;
  std::uint64_t reconnects = 0;
  std::uint64_t unknown_commits = 0;
  std::uint64_t failed_stages = 0;
  std::uint64_t landings = 0;
  std::uint64_t refused_snapshots = 0;
  std::uint64_t failed_copies = 0;
  std::uint64_t resyncs = 0;
  std::uint64_t halts = 0;
  std::uint64_t streamed_transactions = 0;
  std::uint64_t spilled_batches = 0;
  std::uint64_t witnesses = 0;
  std::uint64_t range_checks = 0;
  std::uint64_t range_landings = 0;
  std::uint64_t calls = 0;  ///< by SQL
  std::uint64_t limited_calls = 0;
  std::uint64_t lost_advances = 0;

  void Add(const Coverage& other);
};

class SimulatedReplica {
 public:
  /// \param random, server must outlive this.
  SimulatedReplica(std::mt19937& random, SimulatedServer& server);
  ~SimulatedReplica();

  /// One random step of ours; with faults off nothing breaks any more.
  void Step(bool with_faults);
  /// Every table is live and everything is delivered and durable.
  bool IsSettled() const;
  /// Empty: all was right so far.
  const std::string& failure() const { return failure_; }
  /// Where everything stands, for whoever looks into a run that does not end.
  std::string Describe() const;
  const Coverage& coverage() const { return coverage_; }

 private:
  class Resolver;
  class FlakyDestination;

  /// One try to copy a table.
  struct Copy {
    replication::CopyTicket ticket;
    std::size_t table = 0;
    bool is_locked = false;
    bool is_usable = false;
    SchemaPtr schema;
    Lsn insert_lsn;
    std::vector<TextRow> rows;
    std::unique_ptr<CopyWriter> shadow;
    std::size_t written = 0;
  };

  void GiveBirth();
  void Open();
  /// The process ends without a word, or the destination has to be opened again.
  void Close();
  void Connect();
  void BreakStream();
  void FailCopies();
  void EndCopy(Copy& copy);

  void Receive();
  void ReceiveBySql();
  void BeginCall();
  void EndCall();
  void Take(const Frame& frame);
  void ProvePast(Lsn reached);
  void CarryOut(replication::Action action);
  void Seal();
  void Push();
  void TurnWriter();
  void SendFeedback();
  void FeedMachine();
  void BeginUnits();
  void PlanRanges(RelationId relation);
  void StepCopy();
  bool TakeSnapshot(Copy& copy);
  void WriteRows(Copy& copy, std::size_t count);
  void DisturbTable();
  void NoteServerCrash();

  void Fail(std::string what);
  void Check();
  void CheckRanges(const TableRecord& record, Lsn position);
  bool Chance(unsigned one_in) { return random_() % one_in == 0; }

  std::mt19937& random_;
  SimulatedServer& server_;
  bool has_faults_ = true;
  std::string failure_;
  Coverage coverage_;

  // What survives us.
  std::shared_ptr<memory::MemoryStorage> storage_ = std::make_shared<memory::MemoryStorage>();
  Lsn confirmed_flush_;
  Lsn saved_flush_;  ///< the same after a crash of the server
  const bool defers_;
  std::size_t crashes_seen_ = 0;
  Lsn checked_position_;

  // One life of the destination.
  std::unique_ptr<Destination> destination_;
  doubles::Deferred* deferred_ = nullptr;
  engine::Progress progress_;
  engine::LatencyWindow latency_;
  telemetry::Logger logger_;
  std::unique_ptr<engine::DeliveryWriter> writer_;
  std::map<UnitId, Copy> copies_;

  /// What the server said of itself, on its way to the table machine.
  struct Look {
    replication::Snapshot snapshot;
    Lsn flushed;
    std::uint64_t incarnation = 0;
  };
  std::optional<Look> look_;

  // One life of the stream.
  std::optional<Walsender> walsender_;
  std::unique_ptr<Resolver> resolver_;
  std::optional<replication::TransactionAssembler> assembler_;
  std::optional<replication::PositionTracker> tracker_;
  std::map<TransactionId, std::vector<ChangeBatch>> spilled_;
  std::optional<ChangeSet> set_;  ///< waits for room in the inbox
  bool expects_witness_ = false;
  bool has_proven_past_ = false;
  Lsn begin_;  ///< what ends there or before is skipped
  // By SQL; else by walsender_.
  bool reads_by_sql_ = false;
  std::optional<replication::NextCall> call_;
  std::deque<Frame> result_;
  std::uint64_t changes_ = 0;
  std::uint64_t transactions_before_ = 0;
  int barren_calls_ = 0;
  Lsn may_forget_;
};

}  // namespace sluice::simulation
