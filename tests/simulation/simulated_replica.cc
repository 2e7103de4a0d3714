#include "simulation/simulated_replica.h"

#include <algorithm>
#include <utility>

#include "base/byte_reader.h"
#include "columnar/copy_decoder.h"
#include "columnar/testing/schemas.h"
#include "replication/connect_checks.h"
#include "replication/key_ranges.h"

namespace sluice::simulation {
namespace {

constexpr UnixMicros kNow{1};
constexpr std::uint64_t kSystem = 7;
const char* const kGeneration = "00000000-0000-4000-8000-000000000001";

telemetry::LogOptions Silent() {
  telemetry::LogOptions options;
  options.sink = [](std::string_view) {};
  return options;
}

Birth TheBirth() {
  return {.pipeline = "sim",
          .slot = "sluice_sim",
          .publication = "sluice_sim",
          .generation = kGeneration,
          .system_identifier = kSystem,
          .timeline = 1};
}

TableRecord RecordOf(std::size_t table) {
  TableRecord record;
  record.relation = Tables()[table].relation;
  record.source = {"public", Tables()[table].name};
  record.destination = record.source;
  return record;
}

std::string Print(const std::vector<TextRow>& rows) {
  std::string out;
  for (const TextRow& row : rows) {
    out += "(";
    for (const memory::Cell& cell : row) out += cell.value_or("NULL") + ",";
    out += ") ";
  }
  return out;
}

}  // namespace

void Coverage::Add(const Coverage& other) {
  commits += other.commits;
  kills += other.kills;
  server_crashes += other.server_crashes;
  reconnects += other.reconnects;
  unknown_commits += other.unknown_commits;
  failed_stages += other.failed_stages;
  landings += other.landings;
  refused_snapshots += other.refused_snapshots;
  failed_copies += other.failed_copies;
  resyncs += other.resyncs;
  halts += other.halts;
  streamed_transactions += other.streamed_transactions;
  spilled_batches += other.spilled_batches;
  witnesses += other.witnesses;
  range_checks += other.range_checks;
  range_landings += other.range_landings;
  calls += other.calls;
  limited_calls += other.limited_calls;
  lost_advances += other.lost_advances;
}

/// Knows every version of every table, as the catalog does.
class SimulatedReplica::Resolver final : public replication::RelationResolver {
 public:
  explicit Resolver(const SimulatedServer& server) : server_(server) {}

  Result<replication::Resolution> Resolve(const pgoutput::Relation& relation,
                                          const replication::RelationContext&) override {
    for (std::size_t table = 0; table < Tables().size(); ++table) {
      if (Tables()[table].relation == relation.id)
        return replication::Resolution::Use(server_.Schema(table, relation.columns.size()));
    }
    return replication::Resolution::Ignore();
  }
  void OnType(const pgoutput::Type&, const replication::RelationContext&) override {}

 private:
  const SimulatedServer& server_;
};

/// Connections to it break, in the middle of everything.
class SimulatedReplica::FlakyDestination final : public doubles::Decorator {
 public:
  FlakyDestination(std::unique_ptr<Destination> inner, SimulatedReplica& replica)
      : Decorator(std::move(inner)), replica_(replica) {}

  Result<StageOutcome> Stage(const SequenceItem& item) override {
    if (replica_.has_faults_ && replica_.Chance(150)) {
      ++replica_.coverage_.failed_stages;
      return Error{.kind = ErrorKind::kConnection, .message = "simulated"};
    }
    if (replica_.has_faults_ && replica_.Chance(200)) {
      const auto* rows = std::get_if<NetRows>(&item);
      if (rows != nullptr) {
        ++replica_.coverage_.halts;
        return StageOutcome{TableFailed{rows->change->schema->relation,
                                        {.kind = ErrorKind::kConversion, .message = "simulated"}}};
      }
    }
    if (const auto* land = std::get_if<LandUnit>(&item)) {
      ++replica_.coverage_.landings;
      if (land->part == LandUnit::Part::kRange) ++replica_.coverage_.range_landings;
    }
    return Decorator::Stage(item);
  }
  Result<CommitOutcome> Commit(const CommitRecord& record) override {
    ++replica_.coverage_.commits;
    if (replica_.has_faults_ && replica_.Chance(40)) {
      ++replica_.coverage_.unknown_commits;
      if (replica_.Chance(2)) SLUICE_RETURN_IF_ERROR(Decorator::Commit(record));
      return CommitOutcome::kUnknown;
    }
    return Decorator::Commit(record);
  }

 private:
  SimulatedReplica& replica_;
};

SimulatedReplica::SimulatedReplica(std::mt19937& random, SimulatedServer& server)
    : random_(random), server_(server), defers_(random() % 3 == 0), logger_(Silent()) {
  GiveBirth();
  Open();
}

SimulatedReplica::~SimulatedReplica() {
  copies_.clear();
  if (writer_) writer_->inbox().Stop();
  writer_.reset();
}

void SimulatedReplica::Fail(std::string what) {
  if (failure_.empty()) failure_ = std::move(what);
}

// Lives
// ----------------------------------------------------------------------------------------------

void SimulatedReplica::GiveBirth() {
  for (int i = 0; i < 12; ++i) server_.Step();
  server_.Flush();
  for (int i = 0; i < 4; ++i) server_.Step();
  server_.Flush();
  memory::MemoryDestination destination(storage_);
  (void)destination.Open({.pipeline = "sim", .system_identifier = kSystem});
  (void)destination.StoreBirth(TheBirth());
  confirmed_flush_ = saved_flush_ = server_.flush_lsn();
  CommitRecord first;
  first.sequence = 1;
  first.position = Position{confirmed_flush_, std::nullopt};
  first.passed = replication::BirthList(server_.TakeExportedSnapshot(), server_.TakeSnapshot());
  for (std::size_t table = 0; table < Tables().size(); ++table) {
    if (Tables()[table].joins_late) continue;
    first.tables.push_back(RecordOf(table));
    first.tables.back().older_writers_done = true;
  }
  if (!destination.Commit(first)) Fail("the birth failed");
  checked_position_ = confirmed_flush_;
}

void SimulatedReplica::Open() {
  std::unique_ptr<Destination> made = std::make_unique<memory::MemoryDestination>(storage_);
  deferred_ = nullptr;
  if (defers_) {
    auto deferred = std::make_unique<doubles::Deferred>(
        std::move(made), doubles::DeferredOptions{.durable_behind = 3, .visible_behind = 2});
    deferred->LoseOnClose(true);
    deferred_ = deferred.get();
    made = std::move(deferred);
  }
  destination_ = std::make_unique<FlakyDestination>(std::move(made), *this);
  Result<DeliveryState> state =
      destination_->Open({.pipeline = "sim", .system_identifier = kSystem});
  if (!state) return Fail("open: " + state.error().message);
  engine::WriterOptions options;
  options.spill_dir = "/nonexistent";  // nothing here is large enough for a file
  options.landing_bytes = 1 + random_() % 4096;
  options.copies_again_max = 1000;
  writer_ = std::make_unique<engine::DeliveryWriter>(*destination_, *std::move(state), options,
                                                     progress_, latency_, logger_);
  for (std::size_t table = 0; table < Tables().size(); ++table) {
    const bool is_missing = !writer_->machine().has_table(Tables()[table].relation);
    if (is_missing && server_.is_published(table)) writer_->Join(RecordOf(table));
  }
}

void SimulatedReplica::Close() {
  walsender_.reset();
  call_.reset();
  result_.clear();
  assembler_.reset();
  tracker_.reset();
  spilled_.clear();
  set_.reset();
  look_.reset();
  for (auto& [unit, copy] : copies_) EndCopy(copy);
  copies_.clear();
  writer_->inbox().Stop();
  writer_.reset();
  (void)destination_->Close(Clock::time_point::max());
  destination_.reset();
  Check();
}

void SimulatedReplica::Connect() {
  Position durable{progress_.durable.Load(), std::nullopt};
  if (progress_.durable.Load() == progress_.processed.Load())
    durable.last_transaction = writer_->last_transaction();
  replication::SourceFacts facts;
  facts.server = {.system_identifier = kSystem,
                  .timeline = 1,
                  .flush_lsn = server_.flush_lsn(),
                  .database = "app"};
  replication::SlotRow slot;
  slot.name = "sluice_sim";
  slot.plugin = "pgoutput";
  slot.slot_type = "logical";
  slot.database = "app";
  slot.confirmed_flush = confirmed_flush_;
  slot.restart_lsn = confirmed_flush_;
  slot.wal_status = "reserved";
  facts.slot = slot;
  facts.generation = kGeneration;
  const Result<replication::StartPoint> start =
      replication::CheckConnect(TheBirth(), durable, facts, durable.last_transaction.has_value());
  if (!start) return Fail("connect: " + start.error().code + " " + start.error().message);
  reads_by_sql_ = Chance(3);
  // The server begins no earlier than what was confirmed to it.
  if (!reads_by_sql_)
    walsender_.emplace(server_, random_, std::max(start->start_lsn, confirmed_flush_));
  resolver_ = std::make_unique<Resolver>(server_);
  replication::AssemblerOptions options;
  options.batch_rows = 1 + random_() % 12;
  options.staging_bytes = Chance(2) ? 1 + random_() % 1024 : std::size_t{64} << 20;
  options.knows_past = start->knows_past;
  if (reads_by_sql_) options.asked_from = start->start_lsn;
  begin_ = std::max(durable.lsn, progress_.processed.Load());
  assembler_.emplace(options, begin_, start->witness, *resolver_);
  tracker_.emplace(durable.lsn, Duration{}, Clock::time_point{});
  tracker_->OnReceived(begin_);
  expects_witness_ = start->witness.has_value();
  has_proven_past_ = !start->witness && !start->knows_past;
  may_forget_ = {};
}

void SimulatedReplica::BreakStream() {
  ++coverage_.reconnects;
  walsender_.reset();
  call_.reset();
  result_.clear();
  assembler_.reset();
  tracker_.reset();
  spilled_.clear();
  set_.reset();
  std::future<void> handled = writer_->inbox().PushStreamLost();
  while (writer_ && handled.wait_for(Duration{}) != std::future_status::ready) TurnWriter();
}

void SimulatedReplica::EndCopy(Copy& copy) {
  if (copy.is_locked) server_.Unlock(copy.table);
  copy.is_locked = false;
  copy.shadow.reset();
}

void SimulatedReplica::FailCopies() {
  while (!copies_.empty()) {
    Copy copy = std::move(copies_.begin()->second);
    copies_.erase(copies_.begin());
    EndCopy(copy);
    ++coverage_.failed_copies;
    (void)writer_->CopyFailed(copy.ticket);
    (void)destination_->DiscardCopy(copy.ticket.unit);
  }
}

void SimulatedReplica::NoteServerCrash() {
  if (crashes_seen_ == server_.crash_count()) return;
  crashes_seen_ = server_.crash_count();
  ++coverage_.server_crashes;
  for (auto& [unit, copy] : copies_) copy.is_locked = false;
  if (saved_flush_ < confirmed_flush_) ++coverage_.lost_advances;
  confirmed_flush_ = saved_flush_;
  BreakStream();
  if (writer_ && !writer_->at_boundary()) return Fail("not at a boundary");
  if (writer_) FailCopies();
}

// Steps
// ----------------------------------------------------------------------------------------------

void SimulatedReplica::Step(bool with_faults) {
  has_faults_ = with_faults;
  if (!writer_) Open();
  if (!failure_.empty()) return;
  NoteServerCrash();
  if (!writer_) return;
  if (with_faults && Chance(120)) {
    ++coverage_.kills;
    return Close();
  }
  if (with_faults && assembler_ && Chance(80)) return BreakStream();
  if (with_faults && Chance(100)) return DisturbTable();
  if (writer_->inbox().is_refusing()) return BreakStream();
  switch (random_() % 12) {
    case 0:
    case 1:
    case 2:
    case 3:
      return Receive();
    case 4:
    case 5:
      return Seal();
    case 6:
    case 7:
      return TurnWriter();
    case 8:
      return FeedMachine();
    case 9:
      BeginUnits();
      return StepCopy();
    case 10:
      return StepCopy();
    default:
      return SendFeedback();
  }
}

void SimulatedReplica::Receive() {
  if (!assembler_) return Connect();
  if (set_ || assembler_->is_busy()) return;
  if (reads_by_sql_) return ReceiveBySql();
  const std::optional<Frame> frame = walsender_->Next();
  if (frame) return Take(*frame);
  const Lsn reached = walsender_->Keepalive().wal_end;
  ProvePast(reached);
  assembler_->Keepalive(reached);
}

void SimulatedReplica::ReceiveBySql() {
  if (!call_) return BeginCall();
  if (result_.empty()) return EndCall();
  const Frame frame = std::move(result_.front());
  result_.pop_front();
  ++changes_;
  Take(frame);
}

/// As CatchUpFeed does: the slot is advanced between two calls, and each begins where it stands.
void SimulatedReplica::BeginCall() {
  if (may_forget_ > confirmed_flush_) {
    confirmed_flush_ = may_forget_;
    if (Chance(2)) saved_flush_ = confirmed_flush_;
  }
  const Lsn from = std::max(confirmed_flush_, assembler_->end());
  if (server_.flush_lsn() <= assembler_->end()) return;
  const std::size_t most = (std::size_t{1} + random_() % 16) << std::min(barren_calls_, 12);
  call_ = {.upto = std::min(server_.flush_lsn(), Lsn{from.value + 1 + random_() % 1000}),
           .changes_max = static_cast<int>(most)};
  result_ = Walsender::Peek(server_, random_, confirmed_flush_, call_->upto, most);
  changes_ = 0;
  transactions_before_ = assembler_->counters().transactions;
  if (has_proven_past_) assembler_->ReadAgain();
  ++coverage_.calls;
}

void SimulatedReplica::EndCall() {
  if (!assembler_->at_boundary()) return Fail("a call ended inside a transaction");
  const bool is_whole = replication::HasReachedItsEnd(*call_, changes_);
  if (is_whole) {
    ProvePast(call_->upto);
    assembler_->Keepalive(call_->upto);
  } else {
    ++coverage_.limited_calls;
  }
  const bool is_barren = !is_whole && assembler_->counters().transactions == transactions_before_;
  barren_calls_ = is_barren ? barren_calls_ + 1 : 0;
  call_.reset();
}

void SimulatedReplica::Take(const Frame& frame) {
  const Status consumed = assembler_->Consume(frame.wal_start, base::AsBytes(frame.message));
  if (!consumed) return Fail("consume: " + consumed.error().code + " " + consumed.error().message);
  while (assembler_->is_busy() && !set_) {
    for (replication::Action& action : assembler_->TakeActions()) CarryOut(std::move(action));
    if (assembler_->has_ready()) {
      set_ = assembler_->Seal();
      Push();
    }
  }
  ProvePast({});
}

void SimulatedReplica::ProvePast(Lsn reached) {
  if (has_proven_past_) return;
  if (expects_witness_ && assembler_->has_seen_witness()) {
    ++coverage_.witnesses;
    expects_witness_ = false;
  }
  if (assembler_->counters().transactions == 0 && reached < begin_) return;
  if (expects_witness_) return Fail("another transaction stands where the last durable one was");
  has_proven_past_ = true;
}

void SimulatedReplica::CarryOut(replication::Action action) {
  if (auto* spill = std::get_if<replication::SpillBatch>(&action)) {
    ++coverage_.spilled_batches;
    spilled_[spill->xid].push_back(std::move(spill->batch));
  } else if (const auto* truncate = std::get_if<replication::TruncateSpill>(&action)) {
    spilled_[truncate->xid].resize(truncate->count);
  } else if (const auto* restore = std::get_if<replication::RestoreBatch>(&action)) {
    assembler_->Restore(restore->xid, restore->index, spilled_[restore->xid].at(restore->index));
  } else {
    spilled_.erase(std::get<replication::DropSpill>(action).xid);
  }
}

void SimulatedReplica::Seal() {
  if (!assembler_) return;
  if (set_) return Push();
  while (assembler_->is_busy() && !set_) {
    for (replication::Action& action : assembler_->TakeActions()) CarryOut(std::move(action));
    if (!assembler_->has_ready()) continue;
    set_ = assembler_->Seal();
    Push();
  }
  if (set_ || !assembler_->has_sealable() || !assembler_->at_boundary()) return;
  if (assembler_->counters().streamed_transactions > 0) ++coverage_.streamed_transactions;
  set_ = assembler_->Seal();
  if (set_) Push();
}

void SimulatedReplica::Push() {
  const Lsn end = set_->end;
  if (writer_->inbox().used_bytes() > 0 && Chance(2)) return;  // the inbox is full
  if (!writer_->inbox().PushUntil(*set_, Clock::time_point{}, {})) return;
  set_.reset();
  if (!end.is_valid()) return;
  tracker_->OnReceived(end);
  progress_.received.Store(end);
}

void SimulatedReplica::TurnWriter() {
  const Result<bool> turned = writer_->Turn(Clock::time_point{});
  if (!turned) {
    if (turned.error().kind != ErrorKind::kConnection)
      Fail("the writer ended: " + turned.error().code + " " + turned.error().message);
    return Close();  // opened again, and replayed from its position
  }
  Check();
}

void SimulatedReplica::SendFeedback() {
  if (deferred_ != nullptr && Chance(2)) deferred_->AdvanceDurable(1);
  if (deferred_ != nullptr && Chance(2)) deferred_->AdvanceVisible(1);
  if (!tracker_) return;
  tracker_->OnDurable(std::min(progress_.durable.Load(), tracker_->received()));
  tracker_->OnVisible(std::min(progress_.visible.Load(), tracker_->received()));
  const replication::Feedback feedback = tracker_->TakeFeedback(Clock::time_point{});
  if (feedback.flushed > server_.flush_lsn()) return Fail("acknowledged what was never sent");
  if (!has_proven_past_) return;
  may_forget_ = std::max(may_forget_, feedback.flushed);
  if (reads_by_sql_ || may_forget_ <= confirmed_flush_) return;
  confirmed_flush_ = may_forget_;
  if (Chance(2)) saved_flush_ = confirmed_flush_;
}

void SimulatedReplica::FeedMachine() {
  replication::TableMachine& machine = writer_->machine();
  if (!writer_->at_boundary()) return;
  for (std::size_t table = 0; table < Tables().size(); ++table) {
    if (server_.is_published(table) && !machine.has_table(Tables()[table].relation))
      writer_->Join(RecordOf(table));
  }
  if (machine.needs_floor()) {
    const std::uint64_t generation = machine.floor_generation();
    machine.SetFloor(generation, server_.TakeXid());
  }
  for (const RelationId relation : machine.NeedMembershipFloor())
    machine.WaitFor(relation, server_.TakeXid());
  if (!look_) {
    look_ = {server_.TakeSnapshot(), server_.flush_lsn(), machine.incarnation()};
  } else if (Chance(2)) {
    if (look_->incarnation == machine.incarnation())
      machine.OnServerSnapshot(look_->snapshot, look_->flushed);
    look_.reset();
  }
}

/// A user asks for a new copy, or a table cannot go on.
void SimulatedReplica::DisturbTable() {
  if (!writer_->at_boundary()) return;
  const std::vector<RelationId> tables = writer_->machine().tables();
  const RelationId relation = tables[random_() % tables.size()];
  if (Chance(2)) {
    ++coverage_.halts;
    (void)writer_->HaltTable(relation, {.kind = ErrorKind::kConversion, .message = "simulated"});
  } else {
    ++coverage_.resyncs;
    (void)writer_->Resync(relation);
  }
}

// Copies
// ----------------------------------------------------------------------------------------------

void SimulatedReplica::BeginUnits() {
  replication::TableMachine& machine = writer_->machine();
  if (!writer_->at_boundary()) return;
  for (const RelationId relation : machine.tables()) {
    if (!has_faults_ && machine.record(relation).state == TableState::kHalted)
      (void)writer_->Resync(relation);
  }
  for (UnitId unit : machine.Startable()) {
    if (Chance(2)) continue;
    PlanRanges(unit.relation);
    const Result<replication::CopyStart> start = writer_->BeginUnit(unit);
    if (!start) return Fail("begin: " + start.error().message);
    const auto old = copies_.find(unit);
    if (old != copies_.end()) EndCopy(old->second);
    Copy& copy = copies_[unit] = {};
    copy.ticket = start->ticket;
    copy.table = unit.relation.value - Tables()[0].relation.value;
  }
}

/// Some tables are copied in ranges, with bounds anywhere.
void SimulatedReplica::PlanRanges(RelationId relation) {
  const TableKind& kind = Tables()[relation.value - Tables()[0].relation.value];
  if (!kind.has_key || kind.identity != ReplicaIdentity::kDefault) return;
  if (!writer_->MayCopyInRanges(relation) || writer_->machine().ranges(relation) != nullptr) return;
  if (Chance(3)) return;
  std::set<std::int64_t> bounds;
  for (unsigned i = 0; i < 1 + random_() % 4; ++i)
    bounds.insert(static_cast<std::int64_t>(random_() % kKeyMax));
  CopyRanges ranges;
  ranges.attnum = 1;
  ranges.bounds.assign(bounds.begin(), bounds.end());
  writer_->machine().SetRanges(relation, std::move(ranges));
}

void SimulatedReplica::StepCopy() {
  if (copies_.empty() || !writer_->at_boundary()) return;
  auto found = copies_.begin();
  std::advance(found, static_cast<std::ptrdiff_t>(random_() % copies_.size()));
  Copy& copy = found->second;
  const auto end = [&](bool failed) {
    EndCopy(copy);
    if (failed) {
      ++coverage_.failed_copies;
      (void)writer_->CopyFailed(copy.ticket);
    }
    copies_.erase(found);
  };
  if (has_faults_ && Chance(30)) {
    const UnitId unit = copy.ticket.unit;
    end(true);
    (void)destination_->DiscardCopy(unit);
    return;
  }
  if (!copy.is_usable) {
    if (!TakeSnapshot(copy)) end(false);
    return;
  }
  if (!copy.shadow) {
    auto opened = destination_->OpenCopy({copy.ticket.unit, copy.schema, copy.schema->name});
    if (!opened) return Fail("open copy: " + opened.error().message);
    copy.shadow = *std::move(opened);
    return;
  }
  if (copy.written < copy.rows.size()) return WriteRows(copy, std::size_t{1} + random_() % 4);
  if (copy.is_locked) {
    if (server_.flush_lsn() < copy.insert_lsn) return;
    server_.Unlock(copy.table);
    copy.is_locked = false;
    return;
  }
  if (!copy.shadow->Finish()) return Fail("finish");
  const auto row_count = static_cast<std::int64_t>(copy.rows.size());
  const UnitId unit = copy.ticket.unit;
  const Result<bool> is_current = writer_->CopyFinished(copy.ticket, row_count, copy.insert_lsn);
  end(false);
  if (is_current && !*is_current) (void)destination_->DiscardCopy(unit);
}

/// False: the copy was given up meanwhile.
bool SimulatedReplica::TakeSnapshot(Copy& copy) {
  if (!server_.TryLock(copy.table)) return true;
  copy.is_locked = true;
  copy.insert_lsn = server_.insert_lsn();
  copy.schema = server_.Schema(copy.table, server_.width(copy.table));
  copy.rows = server_.VisibleRows(copy.table);
  const RelationId relation = copy.ticket.unit.relation;
  const CopyRanges* const ranges =
      writer_->machine().has_table(relation) ? writer_->machine().ranges(relation) : nullptr;
  if (ranges != nullptr) {
    std::erase_if(copy.rows, [&](const TextRow& row) {
      return replication::RangeOf(*ranges, std::stoi(*row[0])) != copy.ticket.unit.index;
    });
  }
  const auto verdict =
      writer_->OfferSnapshot(copy.ticket, {server_.TakeSnapshot(), copy.insert_lsn, copy.schema});
  copy.is_usable = verdict && verdict->usable();
  if (copy.is_usable) return true;
  ++coverage_.refused_snapshots;
  server_.Unlock(copy.table);
  copy.is_locked = false;
  return verdict && verdict->kind == replication::SnapshotVerdict::Kind::kRetake;
}

void SimulatedReplica::WriteRows(Copy& copy, std::size_t count) {
  columnar::CopyDecoder decoder(copy.schema, columnar::CopyFormat::kBinary);
  using columnar::testing::WireBytes;
  WireBytes header;
  header.Text(std::string_view("PGCOPY\n\xff\r\n\0", 11)).I32(0).I32(0);
  bool is_right = decoder.Append(header.bytes()).has_value();
  for (; count > 0 && copy.written < copy.rows.size(); --count, ++copy.written) {
    const TextRow& row = copy.rows[copy.written];
    WireBytes bytes;
    bytes.I16(static_cast<std::int16_t>(row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (!row[i]) {
        bytes.I32(-1);
      } else if (i == 0) {
        bytes.I32(4).I32(std::stoi(*row[i]));
      } else {
        bytes.Item(*row[i]);
      }
    }
    is_right = is_right && decoder.Append(bytes.bytes()).has_value();
  }
  if (!is_right) return Fail("a copied row was refused");
  const Status appended = copy.shadow->Append(decoder.Finish());
  if (!appended)
    Fail("a copied row was refused: " + appended.error().message + ": " + Print(copy.rows));
}

// Checks
// ----------------------------------------------------------------------------------------------

void SimulatedReplica::Check() {
  const DeliveryState state = storage_->State();
  const Lsn position = state.position->lsn;
  if (position < checked_position_) return Fail("the position went back");
  checked_position_ = position;
  for (const TableRecord& record : state.tables) {
    if (record.ranges) CheckRanges(record, position);
    if (record.state != TableState::kLive) continue;
    const std::size_t table = record.relation.value - Tables()[0].relation.value;
    const std::size_t width = record.schema->columns.size();
    const auto expected = server_.RowsAt(table, position, width);
    if (!expected) return Fail(Tables()[table].name + " lacks a column that has values");
    const std::vector<TextRow> actual = storage_->Rows(record.destination);
    if (actual == *expected) continue;
    return Fail(Tables()[table].name + " at " + ToString(position) + " holds " + Print(actual) +
                "instead of " + Print(*expected));
  }
  const std::size_t held = progress_.held_bytes.load();
  if (held > (std::size_t{1} << 20)) Fail("held changes grow without bound");
}

/// Landed ranges of a table that is not whole hold what a live table would, and nothing else.
void SimulatedReplica::CheckRanges(const TableRecord& record, Lsn position) {
  ++coverage_.range_checks;
  const std::size_t table = record.relation.value - Tables()[0].relation.value;
  const CopyRanges& ranges = *record.ranges;
  const auto expected =
      server_.RowsAt(table, position, ranges.schema->columns.size(), [&](const TextRow& row) {
        return ranges.landed[replication::RangeOf(ranges, std::stoi(*row[0]))];
      });
  if (!expected) return Fail(Tables()[table].name + ": its ranges lack a column that has values");
  const std::vector<TextRow> actual = storage_->RangeRows(record.relation);
  if (actual == *expected) return;
  Fail("ranges of " + Tables()[table].name + " at " + ToString(position) + " hold " +
       Print(actual) + "instead of " + Print(*expected));
}

std::string SimulatedReplica::Describe() const {
  const DeliveryState state = storage_->State();
  std::string out = "at " + ToString(state.position->lsn) + " of " + ToString(server_.flush_lsn()) +
                    (walsender_      ? ", streaming"
                     : reads_by_sql_ ? ", by SQL"
                                     : "") +
                    (set_ ? ", a set waits" : "");
  for (const TableRecord& record : state.tables) {
    out += ", " + record.source.table + " " + sluice::ToString(record.state);
    if (!writer_) continue;
    out += std::string(" (") +
           replication::ToString(writer_->machine().unit_state({record.relation, 0})) + ")";
    for (const auto& [unit, copy] : copies_) {
      if (unit.relation != record.relation) continue;
      out += copy.is_usable ? " reads " : " wants a snapshot of ";
      out += std::to_string(unit.index);
      if (copy.is_locked) out += " under a lock";
    }
  }
  return out;
}

bool SimulatedReplica::IsSettled() const {
  const DeliveryState state = storage_->State();
  return writer_ && state.position->lsn >= server_.flush_lsn() &&
         state.tables.size() == Tables().size() &&
         std::all_of(state.tables.begin(), state.tables.end(),
                     [](const TableRecord& record) { return record.state == TableState::kLive; });
}

}  // namespace sluice::simulation
