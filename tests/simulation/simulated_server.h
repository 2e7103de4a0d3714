/// \file
/// A PostgreSQL server as far as replication is concerned, with rows: transactions with savepoints,
/// row and table locks, a log that is flushed later, snapshots by visibility, logical decoding with
/// streamed transactions, crashes that lose what was not flushed.
///
/// A commit takes three steps that come apart: its record is in the log, the log is flushed (the
/// stream delivers it), the transaction leaves the list of running ones (snapshots see it, its
/// locks go). With asynchronous commits the third may come before the second.
///
/// Everything is decided by the one generator that is passed in: the same seed, the same history.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sluice/lsn.h"
#include "sluice/schema.h"

#include "destinations/memory/cell_text.h"
#include "replication/snapshot.h"

namespace sluice::simulation {

using memory::TextRow;

/// Columns of every table: id int4, note text, large text (stored out of line), then text columns
/// that were added with a default.
inline constexpr std::size_t kFirstColumns = 3;
inline constexpr std::size_t kLargeColumn = 2;
/// Ids are below it.
inline constexpr std::uint64_t kKeyMax = 12;

struct TableKind {
  RelationId relation;
  std::string name;
  ReplicaIdentity identity = ReplicaIdentity::kDefault;
  bool has_key = true;
  bool joins_late = false;
};
const std::vector<TableKind>& Tables();

struct Change {
  enum class Kind : std::uint8_t { kInsert, kUpdate, kDelete, kTruncate, kAddColumn };
  Kind kind = Kind::kInsert;
  std::size_t table = 0;
  TextRow before;
  TextRow after;
  std::size_t width = kFirstColumns;  ///< columns of the table when it was made
  std::uint64_t subxid = 0;           ///< of the transaction or the savepoint it was made in
  bool is_published = true;
  bool is_rolled_back = false;
};

struct Transaction {
  std::uint64_t xid = 0;
  std::vector<Change> changes;
  std::vector<std::uint64_t> savepoints;  ///< open ones, innermost last
  bool is_prepared = false;
  bool is_committed = false;  ///< its commit record is in the log
  bool is_aborted = false;
  bool has_left = false;  ///< not in the list of running ones any more
  Lsn commit_lsn, end_lsn;

  bool is_over() const { return is_committed || is_aborted; }
  bool is_done() const { return has_left || is_aborted; }
};

/// A record of the log.
struct Record {
  enum class Kind : std::uint8_t { kChange, kSubAbort, kAbort, kPrepare, kCommit, kOther };
  Kind kind = Kind::kOther;
  std::size_t transaction = 0;
  std::size_t change = 0;                   ///< kChange
  std::vector<std::uint64_t> subxids = {};  ///< kSubAbort: innermost first
  Lsn begin = {}, end = {};
};

class SimulatedServer {
 public:
  SimulatedServer(std::mt19937& random, std::size_t transactions_max);

  /// One step of the users' work: a transaction begins, changes rows, ends, leaves.
  void Step();
  /// Ends what is open; no new transactions. For the end of a run.
  void Drain();
  void Flush() { flush_ = insert_; }
  /// Power fails. What was not flushed never happened, and its ids are handed out again.
  void Crash();
  void JoinLateTables() { late_tables_joined_ = true; }

  Lsn insert_lsn() const { return insert_; }
  Lsn flush_lsn() const { return flush_; }
  bool is_quiet() const;
  bool is_published(std::size_t table) const {
    return late_tables_joined_ || !Tables()[table].joins_late;
  }
  std::size_t crash_count() const { return crash_count_; }
  /// From 15 on.
  bool skips_empty_transactions() const { return skips_empty_transactions_; }

  replication::Snapshot TakeSnapshot() const;
  /// What a slot's own snapshot sees: every commit in the log so far.
  replication::Snapshot TakeExportedSnapshot() const;
  /// pg_current_xact_id(), in a transaction that ends at once.
  std::uint64_t TakeXid();

  /// LOCK TABLE ... IN ACCESS SHARE MODE. False: somebody alters or truncates it.
  bool TryLock(std::size_t table);
  void Unlock(std::size_t table);
  /// The rows that a snapshot taken now sees, as the table is now.
  std::vector<TextRow> VisibleRows(std::size_t table) const;
  std::size_t width(std::size_t table) const { return widths_[table]; }
  SchemaPtr Schema(std::size_t table, std::size_t width) const;

  /// The rows once every transaction that ends at `position` or before is in, sorted, as wide as
  /// asked. nullopt: some row has more columns with something in them. Only those that `is_asked`.
  std::optional<std::vector<TextRow>> RowsAt(
      std::size_t table, Lsn position, std::size_t width,
      const std::function<bool(const TextRow&)>& is_asked = [](const TextRow&) {
        return true;
      }) const;

  const std::vector<Record>& log() const { return log_; }
  const Transaction& transaction(std::size_t index) const { return all_[index]; }

 private:
  using Rows = std::multiset<TextRow>;

  bool Chance(unsigned one_in) { return random_() % one_in == 0; }
  Transaction* PickOpen();
  void Begin();
  std::uint64_t NextXid();
  void ChangeSomething(std::size_t index);
  void InsertRow(std::size_t index, std::size_t table);
  void ChangeRow(std::size_t index, std::size_t table);
  void ChangeTable(std::size_t index, std::size_t table);
  void Add(std::size_t index, Change change);
  void RollBackToSavepoint(std::size_t index);
  void End(std::size_t index, bool commits);
  void ReleaseLocks(std::size_t index);
  void TakeLocksAgain(std::size_t index);
  bool LockRow(std::size_t index, std::size_t table, const TextRow& row);
  std::string NewNote();
  std::string NewLarge();
  TextRow Widened(TextRow row, std::size_t width) const;
  Lsn Write(Record record, std::uint64_t bytes);
  Rows Fold(std::size_t table, const std::function<bool(const Transaction&)>& counts,
            std::optional<std::size_t> also = std::nullopt) const;
  void Apply(Rows& rows, const Change& change) const;
  replication::Snapshot Snapshot(const std::function<bool(const Transaction&)>& is_over) const;

  std::mt19937& random_;
  const std::size_t transactions_max_;
  std::size_t begun_count_ = 0;
  std::vector<Transaction> all_;
  std::vector<std::size_t> commits_;  ///< in the log's order
  std::vector<Record> log_;
  Lsn insert_{1000}, flush_{1000};
  std::uint64_t next_xid_ = 0;
  std::uint64_t xmax_floor_ = 0;
  std::uint64_t next_text_ = 0;
  bool late_tables_joined_ = false;
  const bool is_async_;
  const bool skips_empty_transactions_;
  std::size_t crash_count_ = 0;
  std::vector<std::size_t> widths_;
  std::map<std::pair<std::size_t, std::string>, std::size_t> row_locks_;
  std::vector<std::set<std::size_t>> writers_;
  std::vector<std::optional<std::size_t>> exclusive_;
  std::vector<int> readers_;
};

/// A message of the stream.
struct Frame {
  Lsn wal_start;
  Lsn wal_end;          ///< what is decoded with it
  std::string message;  ///< empty: a keepalive
};

/// One connection of the stream: decodes the log from a position, in commit order, and streams
/// transactions in pieces now and then.
class Walsender {
 public:
  Walsender(const SimulatedServer& server, std::mt19937& random, Lsn start);

  /// pg_logical_slot_peek_binary_changes(): what commits at `start` or later, transaction by
  /// transaction. Ends with the record that reaches `upto` or with which there are so many
  /// messages.
  static std::deque<Frame> Peek(const SimulatedServer& server, std::mt19937& random, Lsn start,
                                Lsn upto, std::size_t messages_max);

  /// The next message of what is flushed; nullopt: all of it was sent.
  std::optional<Frame> Next();
  /// How far the log was decoded and sent.
  Frame Keepalive() const;

 private:
  struct Open {
    std::deque<std::size_t> waiting;  ///< changes that were not sent
    std::set<std::uint64_t> streamed_subxids;
    bool is_streamed = false;
    std::map<std::size_t, std::size_t> described;  ///< width by table, inside this transaction
  };

  void Decode(const Record& record);
  void SendCommitted(const Record& commit, Open& open);
  void StreamPiece(const Record& at, Open& open);
  void SendChange(const Record& at, const Change& change,
                  std::map<std::size_t, std::size_t>& described, bool in_block);
  static bool IsSent(const Change& change);
  static std::string MessageOf(const Change& change);
  void Send(const Record& at, std::string message);

  const SimulatedServer& server_;
  std::mt19937& random_;
  const Lsn start_;
  bool streams_;
  std::size_t next_record_ = 0;
  std::map<std::size_t, Open> open_;
  std::map<std::size_t, std::size_t> described_;
  std::deque<Frame> out_;
  Lsn decoded_;
};

}  // namespace sluice::simulation
