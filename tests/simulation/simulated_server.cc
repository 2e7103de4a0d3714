#include "simulation/simulated_server.h"

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "columnar/testing/schemas.h"
#include "pgoutput/testing/message_writer.h"

namespace sluice::simulation {
namespace {

constexpr std::size_t kWidthMax = kFirstColumns + 3;
constexpr std::size_t kOpenMax = 4;
constexpr std::size_t kInlineMax = 6;

/// An update that leaves it alone does not send it.
bool IsStoredOutOfLine(const memory::Cell& cell) {
  return cell && cell->size() > kInlineMax;
}

std::string AddedColumn(std::size_t index) {
  return "added" + std::to_string(index);
}
std::string DefaultOf(std::size_t index) {
  return "default" + std::to_string(index);
}

std::string LockKey(const TableKind& table, const TextRow& row) {
  return table.has_key ? *row[0] : memory::EncodeCells(row);
}

}  // namespace

const std::vector<TableKind>& Tables() {
  static const std::vector<TableKind> kTables{
      {.relation = {100}, .name = "keyed"},
      {.relation = {101}, .name = "keyless", .identity = ReplicaIdentity::kFull, .has_key = false},
      {.relation = {102}, .name = "full", .identity = ReplicaIdentity::kFull},
      {.relation = {103}, .name = "late", .joins_late = true},
  };
  return kTables;
}

SimulatedServer::SimulatedServer(std::mt19937& random, std::size_t transactions_max)
    : random_(random),
      transactions_max_(transactions_max),
      is_async_(random() % 2 == 0),
      skips_empty_transactions_(random() % 2 == 0),
      widths_(Tables().size(), kFirstColumns),
      writers_(Tables().size()),
      exclusive_(Tables().size()),
      readers_(Tables().size()) {
  next_xid_ = Chance(2) ? (std::uint64_t{1} << 32) - 5 : 750;
  xmax_floor_ = next_xid_;
}

// Work
// ----------------------------------------------------------------------------------------------

void SimulatedServer::Step() {
  const auto is_open = [](const Transaction& one) { return !one.is_over(); };
  const auto open = std::count_if(all_.begin(), all_.end(), is_open);
  if (begun_count_ < transactions_max_ && open < static_cast<std::ptrdiff_t>(kOpenMax) &&
      (open == 0 || Chance(6))) {
    return Begin();
  }
  std::vector<std::size_t> candidates;
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (!all_[i].is_done()) candidates.push_back(i);
  }
  if (candidates.empty()) return;
  const std::size_t index = candidates[random_() % candidates.size()];
  Transaction& one = all_[index];
  if (one.is_committed) {
    if (one.end_lsn > flush_ && !is_async_) return;
    one.has_left = true;
    return ReleaseLocks(index);
  }
  if (one.is_prepared) return Chance(4) ? End(index, !Chance(4)) : void();
  switch (random_() % 12) {
    case 0:
      one.savepoints.push_back(NextXid());
      return;
    case 1:
      return RollBackToSavepoint(index);
    case 2:
      one.is_prepared = Chance(4);
      if (one.is_prepared) Write({.kind = Record::Kind::kPrepare, .transaction = index}, 40);
      return;
    case 3:
    case 4:
      return End(index, !Chance(6));
    default:
      return ChangeSomething(index);
  }
}

void SimulatedServer::Drain() {
  begun_count_ = transactions_max_;
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (!all_[i].is_over()) End(i, true);
  }
  Flush();
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (!all_[i].is_committed || all_[i].has_left) continue;
    all_[i].has_left = true;
    ReleaseLocks(i);
  }
}

bool SimulatedServer::is_quiet() const {
  return begun_count_ >= transactions_max_ &&
         std::all_of(all_.begin(), all_.end(),
                     [](const Transaction& one) { return one.is_done(); });
}

void SimulatedServer::Begin() {
  all_.emplace_back().xid = NextXid();
  ++begun_count_;
}

/// 0, 1 and 2 are no transactions, in any epoch.
std::uint64_t SimulatedServer::NextXid() {
  while ((next_xid_ & 0xFFFFFFFFU) < 3) ++next_xid_;
  return next_xid_++;
}

void SimulatedServer::ChangeSomething(std::size_t index) {
  const std::size_t table = random_() % Tables().size();
  if (exclusive_[table] && *exclusive_[table] != index) return;
  if (Chance(12)) return ChangeTable(index, table);
  return Chance(2) ? InsertRow(index, table) : ChangeRow(index, table);
}

std::string SimulatedServer::NewNote() {
  // Few different ones, so that rows of a keyless table may be equal.
  return "n" + std::to_string(random_() % 5);
}

std::string SimulatedServer::NewLarge() {
  return Chance(2) ? "s" : "large value " + std::to_string(next_text_++);
}

void SimulatedServer::InsertRow(std::size_t index, std::size_t table) {
  TextRow row;
  row.emplace_back(std::to_string(random_() % kKeyMax));
  row.emplace_back(NewNote());
  row.emplace_back(NewLarge());
  if (Chance(8)) row[1].reset();
  for (std::size_t i = kFirstColumns; i < widths_[table]; ++i) {
    row.emplace_back(Chance(3) ? memory::Cell() : memory::Cell(NewNote()));
  }
  if (Tables()[table].has_key) {
    if (!LockRow(index, table, row)) return;
    const Rows rows = Fold(table, [](const Transaction& one) { return one.has_left; }, index);
    const bool is_there = std::any_of(rows.begin(), rows.end(),
                                      [&](const TextRow& other) { return other[0] == row[0]; });
    if (is_there) return;
  }
  Add(index,
      {.kind = Change::Kind::kInsert, .table = table, .before = {}, .after = std::move(row)});
}

void SimulatedServer::ChangeRow(std::size_t index, std::size_t table) {
  const Rows rows = Fold(table, [](const Transaction& one) { return one.has_left; }, index);
  if (rows.empty()) return;
  const TextRow before =
      *std::next(rows.begin(), static_cast<std::ptrdiff_t>(random_() % rows.size()));
  if (!LockRow(index, table, before)) return;
  if (Chance(3)) {
    Add(index, {.kind = Change::Kind::kDelete, .table = table, .before = before, .after = {}});
    return;
  }
  TextRow after = before;
  if (Chance(2)) after[1] = NewNote();
  if (Chance(3)) after[kLargeColumn] = NewLarge();
  for (std::size_t i = kFirstColumns; i < after.size(); ++i) {
    if (Chance(3)) after[i] = NewNote();
  }
  if (Chance(4)) {
    after[0] = std::to_string(random_() % kKeyMax);
    if (Tables()[table].has_key && after[0] != before[0]) {
      if (!LockRow(index, table, after)) return;
      const bool is_there = std::any_of(rows.begin(), rows.end(),
                                        [&](const TextRow& other) { return other[0] == after[0]; });
      if (is_there) return;
    }
  }
  Add(index, {.kind = Change::Kind::kUpdate, .table = table, .before = before, .after = after});
}

/// TRUNCATE and ALTER TABLE wait for everybody, and everybody waits for them.
void SimulatedServer::ChangeTable(std::size_t index, std::size_t table) {
  if (readers_[table] > 0) return;
  for (const std::size_t writer : writers_[table]) {
    if (writer != index) return;
  }
  const bool adds = Chance(2) && widths_[table] < kWidthMax && all_[index].savepoints.empty();
  exclusive_[table] = index;
  if (adds) {
    ++widths_[table];
    return Add(index,
               {.kind = Change::Kind::kAddColumn, .table = table, .before = {}, .after = {}});
  }
  Add(index, {.kind = Change::Kind::kTruncate, .table = table, .before = {}, .after = {}});
}

void SimulatedServer::Add(std::size_t index, Change change) {
  Transaction& one = all_[index];
  change.width = widths_[change.table];
  change.subxid = one.savepoints.empty() ? one.xid : one.savepoints.back();
  change.is_published = is_published(change.table);
  writers_[change.table].insert(index);
  one.changes.push_back(std::move(change));
  Write({.kind = Record::Kind::kChange, .transaction = index, .change = one.changes.size() - 1},
        48);
}

/// Also of those inside it. An ALTER is not made inside one here: a width only grows.
void SimulatedServer::RollBackToSavepoint(std::size_t index) {
  Transaction& one = all_[index];
  if (one.savepoints.empty()) return;
  const std::size_t depth = random_() % one.savepoints.size();
  Record record{.kind = Record::Kind::kSubAbort, .transaction = index};
  while (one.savepoints.size() > depth) {
    record.subxids.push_back(one.savepoints.back());
    one.savepoints.pop_back();
  }
  for (Change& change : one.changes) {
    if (std::count(record.subxids.begin(), record.subxids.end(), change.subxid) > 0)
      change.is_rolled_back = true;
  }
  Write(std::move(record), 40);
}

void SimulatedServer::End(std::size_t index, bool commits) {
  Transaction& one = all_[index];
  const bool alters = std::any_of(one.changes.begin(), one.changes.end(), [](const Change& change) {
    return change.kind == Change::Kind::kAddColumn;
  });
  Record record{.kind = commits || alters ? Record::Kind::kCommit : Record::Kind::kAbort,
                .transaction = index};
  one.commit_lsn = insert_;
  one.end_lsn = Write(record, 32);
  if (record.kind == Record::Kind::kAbort) {
    one.is_aborted = true;
    return ReleaseLocks(index);
  }
  one.is_committed = true;
  commits_.push_back(index);
}

void SimulatedServer::ReleaseLocks(std::size_t index) {
  std::erase_if(row_locks_, [&](const auto& lock) { return lock.second == index; });
  for (std::set<std::size_t>& writers : writers_) writers.erase(index);
  for (std::optional<std::size_t>& holder : exclusive_) {
    if (holder == index) holder.reset();
  }
}

/// Of a prepared transaction, in recovery.
void SimulatedServer::TakeLocksAgain(std::size_t index) {
  for (const Change& change : all_[index].changes) {
    writers_[change.table].insert(index);
    if (!change.before.empty()) LockRow(index, change.table, change.before);
    if (!change.after.empty()) LockRow(index, change.table, change.after);
    if (change.kind == Change::Kind::kTruncate || change.kind == Change::Kind::kAddColumn)
      exclusive_[change.table] = index;
  }
}

bool SimulatedServer::LockRow(std::size_t index, std::size_t table, const TextRow& row) {
  const auto [lock, is_new] = row_locks_.try_emplace({table, LockKey(Tables()[table], row)}, index);
  return is_new || lock->second == index;
}

Lsn SimulatedServer::Write(Record record, std::uint64_t bytes) {
  record.begin = insert_;
  insert_.value += bytes;
  record.end = insert_;
  log_.push_back(std::move(record));
  return insert_;
}

void SimulatedServer::Crash() {
  ++crash_count_;
  std::erase_if(log_, [&](const Record& record) { return record.end > flush_; });
  std::uint64_t newest = xmax_floor_ - 1;
  std::set<std::size_t> prepared;
  std::set<std::size_t> committed;
  std::set<std::size_t> known;
  std::set<std::size_t> ended;
  for (const Record& record : log_) {
    const Transaction& one = all_[record.transaction];
    if (record.kind != Record::Kind::kOther) known.insert(record.transaction);
    if (record.kind == Record::Kind::kAbort) ended.insert(record.transaction);
    if (record.kind == Record::Kind::kPrepare) prepared.insert(record.transaction);
    if (record.kind == Record::Kind::kCommit) committed.insert(record.transaction);
    for (const std::uint64_t xid : record.subxids) newest = std::max(newest, xid);
    newest = std::max(
        newest, record.kind == Record::Kind::kChange ? one.changes[record.change].subxid : one.xid);
    newest = std::max(newest, one.xid);
  }
  insert_ = flush_;
  std::erase_if(commits_, [&](std::size_t index) { return !committed.contains(index); });
  for (std::size_t i = 0; i < all_.size(); ++i) {
    Transaction& one = all_[i];
    const bool is_undone = one.is_aborted && !ended.contains(i) && prepared.contains(i);
    if (is_undone || !one.is_aborted) {
      one.is_committed = committed.contains(i);
      one.has_left = one.is_committed;
      one.is_prepared = !one.is_committed && prepared.contains(i);
      one.is_aborted = !one.is_committed && !one.is_prepared;
      for (const Change& change : one.changes) {
        if (one.is_aborted && change.kind == Change::Kind::kAddColumn)
          widths_[change.table] = std::min(widths_[change.table], change.width - 1);
      }
    }
    if (one.is_done()) ReleaseLocks(i);
    // Recovery tells the decoder that they are gone.
    if (one.is_aborted && known.contains(i) && !ended.contains(i))
      Write({.kind = Record::Kind::kAbort, .transaction = i}, 24);
  }
  // What was undone may have to take them from one that was behind it, and is gone.
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (all_[i].is_prepared && !all_[i].is_over()) TakeLocksAgain(i);
  }
  // Ids that reached no disk are handed out again; those that are gone do not count as completed.
  next_xid_ = newest + 1;
  xmax_floor_ = newest + 1;
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (all_[i].is_aborted && !known.contains(i)) all_[i].xid = 3;
  }
  std::fill(readers_.begin(), readers_.end(), 0);
  Flush();
}

// Snapshots
// ----------------------------------------------------------------------------------------------

replication::Snapshot SimulatedServer::Snapshot(
    const std::function<bool(const Transaction&)>& is_over) const {
  replication::Snapshot snapshot;
  snapshot.xmax = xmax_floor_;
  for (const Transaction& one : all_) {
    if (is_over(one)) snapshot.xmax = std::max(snapshot.xmax, one.xid + 1);
  }
  for (const Transaction& one : all_) {
    if (!is_over(one) && one.xid < snapshot.xmax) snapshot.xip.push_back(one.xid);
  }
  std::sort(snapshot.xip.begin(), snapshot.xip.end());
  snapshot.xmin = snapshot.xip.empty() ? snapshot.xmax : snapshot.xip.front();
  return snapshot;
}

replication::Snapshot SimulatedServer::TakeSnapshot() const {
  return Snapshot([](const Transaction& one) { return one.is_done(); });
}

replication::Snapshot SimulatedServer::TakeExportedSnapshot() const {
  return Snapshot([](const Transaction& one) { return one.is_over(); });
}

std::uint64_t SimulatedServer::TakeXid() {
  Transaction& one = all_.emplace_back();
  one.xid = NextXid();
  one.is_aborted = true;
  Write({.kind = Record::Kind::kAbort, .transaction = all_.size() - 1}, 24);
  return one.xid;
}

bool SimulatedServer::TryLock(std::size_t table) {
  if (exclusive_[table]) return false;
  ++readers_[table];
  return true;
}

void SimulatedServer::Unlock(std::size_t table) {
  if (readers_[table] > 0) --readers_[table];
}

// Rows
// ----------------------------------------------------------------------------------------------

TextRow SimulatedServer::Widened(TextRow row, std::size_t width) const {
  for (std::size_t i = row.size(); i < width; ++i) row.emplace_back(DefaultOf(i));
  return row;
}

void SimulatedServer::Apply(Rows& rows, const Change& change) const {
  switch (change.kind) {
    case Change::Kind::kTruncate:
      rows.clear();
      return;
    case Change::Kind::kAddColumn: {
      Rows wider;
      for (const TextRow& row : rows) wider.insert(Widened(row, change.width));
      rows.swap(wider);
      return;
    }
    default:
      break;
  }
  if (!change.before.empty()) {
    const auto found = rows.find(change.before);
    SLUICE_CHECK(found != rows.end());
    rows.erase(found);
  }
  if (!change.after.empty()) rows.insert(change.after);
}

SimulatedServer::Rows SimulatedServer::Fold(std::size_t table,
                                            const std::function<bool(const Transaction&)>& counts,
                                            std::optional<std::size_t> also) const {
  Rows rows;
  const auto apply = [&](const Transaction& one) {
    for (const Change& change : one.changes) {
      if (change.table == table && !change.is_rolled_back) Apply(rows, change);
    }
  };
  for (const std::size_t index : commits_) {
    if (counts(all_[index])) apply(all_[index]);
  }
  if (also) apply(all_[*also]);
  return rows;
}

std::vector<TextRow> SimulatedServer::VisibleRows(std::size_t table) const {
  const Rows rows = Fold(table, [](const Transaction& one) { return one.has_left; });
  std::vector<TextRow> out;
  for (const TextRow& row : rows) out.push_back(Widened(row, widths_[table]));
  return out;
}

std::optional<std::vector<TextRow>> SimulatedServer::RowsAt(
    std::size_t table, Lsn position, std::size_t width,
    const std::function<bool(const TextRow&)>& is_asked) const {
  const Rows rows = Fold(table, [&](const Transaction& one) { return one.end_lsn <= position; });
  std::vector<TextRow> out;
  for (const TextRow& row : rows) {
    if (!is_asked(row)) continue;
    for (std::size_t i = width; i < row.size(); ++i) {
      if (row[i] != DefaultOf(i)) return std::nullopt;
    }
    TextRow cut = Widened(row, width);
    cut.resize(width);
    out.push_back(std::move(cut));
  }
  std::sort(out.begin(), out.end());
  return out;
}

SchemaPtr SimulatedServer::Schema(std::size_t table, std::size_t width) const {
  static const std::map<std::pair<std::size_t, std::size_t>, SchemaPtr> kSchemas = [] {
    std::map<std::pair<std::size_t, std::size_t>, SchemaPtr> schemas;
    for (std::size_t t = 0; t < Tables().size(); ++t) {
      const TableKind& kind = Tables()[t];
      for (std::size_t w = kFirstColumns; w <= kWidthMax; ++w) {
        auto schema = std::make_shared<TableSchema>();
        schema->relation = kind.relation;
        schema->name = {"public", kind.name};
        schema->identity = kind.identity;
        for (std::size_t i = 0; i < w; ++i) {
          Column column;
          column.name = i == 0 ? "id" : i == 1 ? "note" : i == 2 ? "large" : AddedColumn(i);
          column.type = columnar::testing::Builtin(i == 0 ? 23 : 25);
          column.attnum = static_cast<std::int16_t>(i + 1);
          column.is_nullable = i > 0;
          const bool is_full = kind.identity == ReplicaIdentity::kFull;
          column.is_identity = is_full || i == 0;
          if (column.is_identity) schema->identity_columns.push_back(static_cast<std::int32_t>(i));
          if (i >= kFirstColumns) column.missing_value = DefaultOf(i);
          schema->columns.push_back(std::move(column));
        }
        if (kind.has_key) schema->key = {0};
        schema->since = Lsn{w};
        schemas[{t, w}] = std::move(schema);
      }
    }
    return schemas;
  }();
  return kSchemas.at({table, width});
}

// Decoding
// ----------------------------------------------------------------------------------------------

namespace {

using namespace pgoutput::testing;  // NOLINT: the message writer's words

TransactionId Short(std::uint64_t xid) {
  return {static_cast<std::uint32_t>(xid)};
}

UnixMicros TimeOf(const Record& commit) {
  return {static_cast<std::int64_t>(commit.end.value)};
}

Cell CellOf(std::size_t column, const memory::Cell& value) {
  if (!value) return Null();
  return column == 0 ? Int4(std::stoi(*value)) : Binary(*value);
}

Cells TupleOf(const TextRow& row) {
  Cells cells;
  for (std::size_t i = 0; i < row.size(); ++i) cells.push_back(CellOf(i, row[i]));
  return cells;
}

Cells KeyOf(const TextRow& row) {
  Cells cells;
  for (std::size_t i = 0; i < row.size(); ++i) cells.push_back(i == 0 ? CellOf(0, row[0]) : Null());
  return cells;
}

}  // namespace

Walsender::Walsender(const SimulatedServer& server, std::mt19937& random, Lsn start)
    : server_(server), random_(random), start_(start), streams_(random() % 4 != 0) {}

std::optional<Frame> Walsender::Next() {
  const std::vector<Record>& log = server_.log();
  while (out_.empty() && next_record_ < log.size() &&
         log[next_record_].end <= server_.flush_lsn()) {
    Decode(log[next_record_]);
    decoded_ = log[next_record_].end;
    ++next_record_;
  }
  if (out_.empty()) return std::nullopt;
  Frame frame = std::move(out_.front());
  out_.pop_front();
  return frame;
}

std::deque<Frame> Walsender::Peek(const SimulatedServer& server, std::mt19937& random, Lsn start,
                                  Lsn upto, std::size_t messages_max) {
  Walsender decoder(server, random, start);
  decoder.streams_ = false;
  for (const Record& record : server.log()) {
    if (record.end > server.flush_lsn()) break;
    decoder.Decode(record);
    if (record.end >= upto || decoder.out_.size() >= messages_max) break;
  }
  return std::move(decoder.out_);
}

Frame Walsender::Keepalive() const {
  return {decoded_, out_.empty() ? std::max(decoded_, start_) : start_, {}};
}

void Walsender::Decode(const Record& record) {
  const Transaction& one = server_.transaction(record.transaction);
  if (record.kind == Record::Kind::kChange) {
    Open& open = open_[record.transaction];
    open.waiting.push_back(record.change);
    // What a reconnect skips is not streamed: it was committed before.
    if (streams_ && record.begin >= start_ && random_() % 5 == 0) StreamPiece(record, open);
    return;
  }
  const auto found = open_.find(record.transaction);
  if (found == open_.end()) return;
  Open& open = found->second;
  if (record.kind == Record::Kind::kSubAbort) {
    for (const std::uint64_t subxid : record.subxids) {
      std::erase_if(open.waiting,
                    [&](std::size_t change) { return one.changes[change].subxid == subxid; });
      if (open.streamed_subxids.erase(subxid) == 0) continue;
      Send(record, WriteStreamAbort(Short(one.xid), Short(subxid)));
      open.described.clear();  // pgoutput describes again what this transaction goes on with
    }
    return;
  }
  if (record.kind == Record::Kind::kPrepare) return;
  if (record.kind == Record::Kind::kAbort) {
    if (open.is_streamed) Send(record, WriteStreamAbort(Short(one.xid), Short(one.xid)));
  } else if (record.begin >= start_) {
    SendCommitted(record, open);
  }
  open_.erase(found);
}

void Walsender::SendCommitted(const Record& commit, Open& open) {
  const Transaction& one = server_.transaction(commit.transaction);
  if (open.is_streamed) {
    if (!open.waiting.empty()) StreamPiece(commit, open);
    Send(commit, WriteStreamCommit({Short(one.xid), commit.begin, commit.end, TimeOf(commit)}));
    for (const auto& [table, width] : open.described) described_[table] = width;
    return;
  }
  const bool is_empty =
      std::none_of(open.waiting.begin(), open.waiting.end(),
                   [&](std::size_t change) { return IsSent(one.changes[change]); });
  if (is_empty && server_.skips_empty_transactions()) return;
  Send(commit, WriteBegin({commit.begin, TimeOf(commit), Short(one.xid)}));
  for (const std::size_t change : open.waiting)
    SendChange(commit, one.changes[change], described_, false);
  Send(commit, WriteCommit({commit.begin, commit.end, TimeOf(commit)}));
}

void Walsender::StreamPiece(const Record& at, Open& open) {
  const Transaction& one = server_.transaction(at.transaction);
  Send(at, WriteStreamStart(Short(one.xid), !open.is_streamed));
  open.is_streamed = true;
  for (const std::size_t change : open.waiting) {
    if (one.changes[change].subxid != one.xid)
      open.streamed_subxids.insert(one.changes[change].subxid);
    SendChange(at, one.changes[change], open.described, true);
  }
  open.waiting.clear();
  Send(at, WriteStreamStop());
}

bool Walsender::IsSent(const Change& change) {
  return change.is_published && change.kind != Change::Kind::kAddColumn;
}

void Walsender::SendChange(const Record& at, const Change& change,
                           std::map<std::size_t, std::size_t>& described, bool in_block) {
  if (!IsSent(change)) return;
  const auto send = [&](std::string message) {
    Send(at, in_block ? InBlock(Short(change.subxid), message) : std::move(message));
  };
  std::size_t& width = described[change.table];
  if (width != change.width) {
    width = change.width;
    const SchemaPtr schema = server_.Schema(change.table, width);
    pgoutput::Relation relation;
    relation.id = schema->relation;
    relation.name = schema->name;
    relation.identity = schema->identity;
    for (const Column& column : schema->columns)
      relation.columns.push_back({column.name, column.type.oid, -1, column.is_identity});
    send(WriteRelation(relation));
  }
  send(MessageOf(change));
}

std::string Walsender::MessageOf(const Change& change) {
  const TableKind& table = Tables()[change.table];
  const bool is_full = table.identity == ReplicaIdentity::kFull;
  const auto old_kind = is_full ? pgoutput::OldTuple::kFull : pgoutput::OldTuple::kKey;
  const Cells old = change.before.empty() ? Cells{}
                    : is_full             ? TupleOf(change.before)
                                          : KeyOf(change.before);
  switch (change.kind) {
    case Change::Kind::kInsert:
      return WriteInsert(table.relation, TupleOf(change.after));
    case Change::Kind::kDelete:
      return WriteDelete(table.relation, old, old_kind);
    case Change::Kind::kTruncate:
      return WriteTruncate({table.relation});
    default:
      break;
  }
  Cells row = TupleOf(change.after);
  const memory::Cell& large = change.after[kLargeColumn];
  if (IsStoredOutOfLine(large) && large == change.before[kLargeColumn])
    row[kLargeColumn] = Unchanged();
  const bool sends_old = is_full || change.before[0] != change.after[0];
  return sends_old ? WriteUpdate(table.relation, row, old, old_kind)
                   : WriteUpdate(table.relation, row);
}

void Walsender::Send(const Record& at, std::string message) {
  out_.push_back({at.begin, at.end, std::move(message)});
}

}  // namespace sluice::simulation
