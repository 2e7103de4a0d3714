#include "engine/copy_pool.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/backoff.h"
#include "base/failpoint.h"
#include "base/sleep.h"
#include "columnar/copy_decoder.h"
#include "engine/unit_reader.h"
#include "postgres/catalog.h"
#include "postgres/key_ranges.h"
#include "postgres/snapshot_export.h"
#include "postgres/table_facts.h"
#include "replication/key_ranges.h"

namespace sluice::engine {
namespace {

constexpr Duration kPlanPause = std::chrono::seconds(1);
constexpr Duration kIdleLook = std::chrono::milliseconds(500);
constexpr Duration kRetakeAlarm = std::chrono::seconds(10);
constexpr Duration kFlushTimeout = std::chrono::minutes(5);
constexpr Duration kSessionRestMax = std::chrono::seconds(10);
/// After so many units a worker's sessions are opened anew.
constexpr int kUnitsPerSession = 500;
/// A range of so many times the largest size that is planned is none: a kill would cost all of it.
constexpr std::uint64_t kRangeExcessMax = 8;
/// What a worker reads at once of a table that several read: at most so much of its file.
constexpr std::uint64_t kShareBytesMax = 32ULL << 20;
constexpr std::uint64_t kPageBytes = 8192;

/// What is the unit's own trouble; everything else is the line's or the destination's.
bool HaltsTable(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kConversion:
    case ErrorKind::kUnsupported:
    case ErrorKind::kSchemaConflict:
    case ErrorKind::kAuth:
    case ErrorKind::kConfig:
    case ErrorKind::kProtocol:
      return true;
    case ErrorKind::kInvalidArgument:
    case ErrorKind::kConnection:
    case ErrorKind::kTimeout:
    case ErrorKind::kDestination:
    case ErrorKind::kStateStore:
    case ErrorKind::kCancelled:
    case ErrorKind::kInternal:
      return false;
  }
  return false;
}

bool HasTypesOfUsers(const TableSchema& schema) {
  constexpr std::uint32_t kFirst = 16'384;
  const auto is_of_user = [](const auto& self, const ColumnType& type) -> bool {
    return type.oid.value >= kFirst ||
           std::any_of(type.children.begin(), type.children.end(),
                       [&](const ColumnType& child) { return self(self, child); });
  };
  return std::any_of(schema.columns.begin(), schema.columns.end(),
                     [&](const Column& column) { return is_of_user(is_of_user, column.type); });
}

}  // namespace

/// One try to copy one unit: from the lock to the flushed insert LSN.
class CopyPool::Attempt {
 public:
  Attempt(CopyPool& pool, const Claimed& claimed, Sessions& sessions, std::stop_token stop)
      : pool_(pool),
        claimed_(claimed),
        sessions_(sessions),
        stop_(std::move(stop)),
        exporter_(*std::move(sessions.copy)) {
    sessions_.copy.reset();
  }

  /// False: the ticket is stale, the copy was given up by someone else.
  Result<bool> Run() {
    SLUICE_ASSIGN_OR_RETURN(const bool is_current, TakeSnapshot());
    if (!is_current) return false;
    SLUICE_FAILPOINT("copy.snapshot");
    if (pool_.IsCompared(record())) {
      SLUICE_ASSIGN_OR_RETURN(
          std::optional<ComparedRows> compared,
          pool_.options_.compare({.record = record(),
                                  .table = table_,
                                  .destination = pool_.writer_.DestinationOf(record().source),
                                  .mode = pool_.writer_.ModeOf(record().source),
                                  .source = exporter_.connection()},
                                 stop_));
      if (compared) return FinishCompared(*std::move(compared));
    }
    if (claimed_.ranges) {
      SLUICE_ASSIGN_OR_RETURN(range_, RangeCondition());
    }
    SLUICE_ASSIGN_OR_RETURN(
        std::unique_ptr<CopyWriter> shadow,
        pool_.destination_.OpenCopy({claimed_.start.ticket.unit, table_.schema,
                                     pool_.writer_.DestinationOf(claimed_.record.source),
                                     claimed_.ranges}));
    {
      ShadowWriter writer(*shadow);
      const Status read = Read(writer);
      if (!read) writer.GiveUp();
      const Status written = writer.Finish();
      SLUICE_RETURN_IF_ERROR(written);
      SLUICE_RETURN_IF_ERROR(read);
    }
    SLUICE_FAILPOINT("copy.read");
    SLUICE_RETURN_IF_ERROR(WaitUntilFlushed());
    SLUICE_FAILPOINT("copy.flushed");
    SLUICE_RETURN_IF_ERROR(shadow->Finish());
    SLUICE_FAILPOINT("copy.shadow_finished");
    return pool_.writer_.inbox().CallAndWait([this]() -> Result<bool> {
      return pool_.writer_.CopyFinished(claimed_.start.ticket, rows_, insert_lsn_, misfits_);
    });
  }

 private:
  const TableRecord& record() const { return claimed_.record; }

  Result<bool> TakeSnapshot() {
    base::Backoff backoff(std::chrono::milliseconds(1), std::chrono::milliseconds(100));
    const Clock::time_point alarm_at = Clock::now() + kRetakeAlarm;
    bool has_alarmed = false;
    while (!stop_.stop_requested()) {
      SLUICE_ASSIGN_OR_RETURN(const replication::SnapshotVerdict::Kind verdict, OfferOne());
      if (verdict == replication::SnapshotVerdict::Kind::kUsable) return true;
      if (verdict == replication::SnapshotVerdict::Kind::kStale) return false;
      SLUICE_RETURN_IF_ERROR(exporter_.Release());
      if (!has_alarmed && Clock::now() > alarm_at) {
        has_alarmed = true;
        pool_.logger_.Warn(
            "table {} waits for a transaction that has committed and is not visible yet; is a "
            "synchronous "
            "standby down?",
            ToString(record().source));
      }
      base::SleepFor(backoff.Next(0), stop_);
    }
    return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
  }

  Result<replication::SnapshotVerdict::Kind> OfferOne() {
    const postgres::LockTarget target{record().relation, record().source, is_partitioned_};
    SLUICE_ASSIGN_OR_RETURN(
        snapshot_, exporter_.Take(std::span(&target, 1), pool_.options_.lock_timeout, stop_));
    SLUICE_ASSIGN_OR_RETURN(replication::Snapshot snapshot,
                            replication::ParseSnapshot(snapshot_.text));
    insert_lsn_ =
        replication::InsertLsnFloor(snapshot_.insert_lsn, pool_.options_.wal_segment_bytes);
    const replication::SnapshotVerdict judged = claimed_.start.suspects.Judge(snapshot);
    if (!judged.usable()) return judged.kind;
    SLUICE_ASSIGN_OR_RETURN(
        table_, postgres::LoadTableSchema(exporter_.connection(), *pool_.registry_.types(),
                                          record().relation, pool_.options_.publication,
                                          pool_.registry_.HiddenOf(record().relation)));
    if (HasTypesOfUsers(*table_.schema)) {
      // They may have been altered since they were read.
      SLUICE_RETURN_IF_ERROR(pool_.registry_.ReloadTypes(exporter_.connection()));
      SLUICE_ASSIGN_OR_RETURN(
          table_, postgres::LoadTableSchema(exporter_.connection(), *pool_.registry_.types(),
                                            record().relation, pool_.options_.publication,
                                            pool_.registry_.HiddenOf(record().relation)));
    }
    if (table_.is_partitioned && !is_partitioned_) {
      is_partitioned_ = true;  // its leaves were not locked: again, with them
      return replication::SnapshotVerdict::Kind::kRetake;
    }
    auto schema = std::make_shared<TableSchema>(*table_.schema);
    schema->since = insert_lsn_;
    table_.schema = std::move(schema);
    SLUICE_ASSIGN_OR_RETURN(
        const replication::SnapshotVerdict verdict,
        pool_.writer_.inbox().CallAndWait([&]() -> Result<replication::SnapshotVerdict> {
          return pool_.writer_.OfferSnapshot(claimed_.start.ticket,
                                             {snapshot, insert_lsn_, table_.schema});
        }));
    if (verdict.usable()) pool_.registry_.SetKnown(record().relation, table_.schema);
    return verdict.kind;
  }

  Status Read(ShadowWriter& writer) {
    postgres::CopyStatement statement{
        .table = record().source,
        .relation = record().relation,
        .is_only = !table_.is_partitioned,
        .columns = {},
        .row_filter = table_.row_filter,
        .range = {},
        .is_binary = columnar::FormatFor(*table_.schema) == columnar::CopyFormat::kBinary};
    for (const Column& column : table_.schema->columns) statement.columns.push_back(column.name);
    const UnitId unit = claimed_.start.ticket.unit;
    UnitReader reader(
        {.schema = table_.schema,
         .statement = std::move(statement),
         .batch_rows = pool_.options_.batch_rows,
         .batch_bytes = pool_.options_.batch_bytes,
         .read_bytes_max = claimed_.ranges ? pool_.options_.range.bytes_most * kRangeExcessMax : 0,
         .is_at_work = [this](int backend) { return pool_.IsAtWork(backend); },
         .report = [this, unit](std::int64_t rows,
                                std::uint64_t bytes) { pool_.Report(unit, rows, bytes); }},
        writer, pool_.progress_);
    SLUICE_RETURN_IF_ERROR(claimed_.ranges ? ReadRange(reader) : ReadTable(reader));
    rows_ = reader.row_count();
    misfits_ = reader.misfits();
    return {};
  }

  Status ReadRange(UnitReader& reader) {
    // A range is read along the index, whatever the planner thinks of that.
    SLUICE_RETURN_IF_ERROR(
        exporter_.connection().Exec("read a range", "SET LOCAL enable_seqscan = off"));
    return reader.Read(exporter_.connection(), range_, stop_);
  }

  /// A large one with whatever workers have nothing else to do.
  Status ReadTable(UnitReader& reader) {
    postgres::Connection& connection = exporter_.connection();
    const std::uint64_t share_pages = std::max<std::uint64_t>(
        1, std::min(kShareBytesMax, pool_.options_.range.bytes / 8) / kPageBytes);
    std::uint64_t page_count = 0;
    if (pool_.options_.workers > 1 && !table_.is_partitioned) {
      SLUICE_ASSIGN_OR_RETURN(page_count, postgres::ReadHeapPages(connection, record().relation));
    }
    if (page_count < 2 * share_pages) return reader.Read(connection, {}, stop_);
    SLUICE_RETURN_IF_ERROR(connection.Exec("read by pages", postgres::kReadByPagesSql));
    PageShares pages(page_count, share_pages);
    const auto shared = std::make_shared<SharedRead>(
        reader, snapshot_, postgres::LockTarget{record().relation, record().source, false}, pages);
    pool_.Share(shared);
    const Status read = shared->ReadAll(connection, stop_);
    pool_.Unshare(shared);
    return read;
  }

  Result<std::string> RangeCondition() const {
    for (const Column& column : table_.schema->columns) {
      if (column.attnum == claimed_.ranges->attnum) {
        return postgres::RangeSql(column.name, *claimed_.ranges, claimed_.start.ticket.unit.index);
      }
    }
    return replication::RangesAgainError("its key changed while it was copied in ranges");
  }

  Result<bool> FinishCompared(ComparedRows compared) {
    SLUICE_RETURN_IF_ERROR(WaitUntilFlushed());
    return pool_.writer_.inbox().CallAndWait([&]() -> Result<bool> {
      return pool_.writer_.CopyFinished(claimed_.start.ticket, compared.row_count, insert_lsn_, {},
                                        std::move(compared.patch));
    });
  }

  /// G2, with the exporter's transaction still open: from here on no transaction that S saw can be
  /// undone by a crash.
  Status WaitUntilFlushed() {
    SLUICE_RETURN_IF_ERROR(exporter_.CheckAlive());
    // One that was idle for long may be lost by now.
    if (Clock::now() - sessions_.used_at > kSessionRestMax) sessions_.control.reset();
    if (!sessions_.control) {
      SLUICE_ASSIGN_OR_RETURN(postgres::Connection opened, pool_.connect_("copy-control"));
      sessions_.control.emplace(std::move(opened));
    }
    SLUICE_RETURN_IF_ERROR(
        postgres::WaitForFlush(*sessions_.control, insert_lsn_, kFlushTimeout, stop_));
    sessions_.used_at = Clock::now();
    SLUICE_RETURN_IF_ERROR(exporter_.CheckAlive());
    SLUICE_RETURN_IF_ERROR(exporter_.Release());
    sessions_.copy.emplace(std::move(exporter_.connection()));
    return {};
  }

  CopyPool& pool_;
  const Claimed& claimed_;
  Sessions& sessions_;
  std::stop_token stop_;
  postgres::SnapshotExporter exporter_;
  postgres::ExportedSnapshot snapshot_;
  postgres::LoadedTable table_;
  bool is_partitioned_ = false;
  std::string range_;  ///< a condition; empty: all of the table
  Lsn insert_lsn_;
  std::int64_t rows_ = 0;
  MisfitCounts misfits_;
};

CopyPool::CopyPool(CopyPoolOptions options, Connect connect, DeliveryWriter& writer,
                   Destination& destination, RelationRegistry& registry, Progress& progress,
                   telemetry::Logger& logger)
    : options_(std::move(options)),
      connect_(std::move(connect)),
      writer_(writer),
      destination_(destination),
      registry_(registry),
      progress_(progress),
      logger_(logger) {}

CopyPool::~CopyPool() {
  Stop();
  (void)Join();
}

void CopyPool::Start() {
  for (int i = 0; i < options_.workers; ++i) {
    threads_.emplace_back([this, i](std::stop_token stop) {
      pthread_setname_np(pthread_self(), ("copy-" + std::to_string(i + 1)).c_str());
      const Status ended = WorkerLoop(stop);
      if (!ended && ended.error().kind != ErrorKind::kCancelled) {
        const std::scoped_lock lock(mutex_);
        if (!failure_) failure_ = ended.error();
        has_failed_.store(true);
      }
    });
  }
}

void CopyPool::Stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

Status CopyPool::Join() {
  for (std::jthread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  threads_.clear();
  const std::scoped_lock lock(mutex_);
  return failure_ ? Status(*failure_) : Status{};
}

void CopyPool::Wake() {
  {
    const std::scoped_lock lock(mutex_);
    ++wakes_;
    not_before_.clear();
  }
  wake_.notify_all();
}

void CopyPool::Share(const std::shared_ptr<SharedRead>& read) {
  {
    const std::scoped_lock lock(mutex_);
    shared_.push_back(read);
    ++wakes_;
  }
  wake_.notify_all();
}

void CopyPool::Unshare(const std::shared_ptr<SharedRead>& read) {
  const std::scoped_lock lock(mutex_);
  std::erase(shared_, read);
}

bool CopyPool::Help(const std::stop_token& stop) {
  if (progress_.copies_pause.load()) return false;
  std::shared_ptr<SharedRead> joined;
  {
    const std::scoped_lock lock(mutex_);
    for (const std::shared_ptr<SharedRead>& read : shared_) {
      if (joined == nullptr && read->TryJoin()) joined = read;
    }
  }
  if (joined == nullptr) return false;
  joined->Help([this] { return connect_("copy"); }, options_.lock_timeout, stop);
  return true;
}

/// Nothing came for a while: asked by another connection. A session that waits to send, while
/// nothing arrives here, has lost us on the way.
bool CopyPool::IsAtWork(int backend) {
  Result<postgres::Connection> control = connect_("copy-control");
  if (!control) return false;
  const Result<postgres::QueryResult> found =
      control->Exec("look at the copy's session",
                    "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'active' "
                    "AND wait_event IS DISTINCT FROM 'ClientWrite'",
                    {std::to_string(backend)});
  return found && found->row_count() > 0;
}

void CopyPool::SetEstimate(RelationId relation, std::int64_t bytes) {
  const std::scoped_lock lock(mutex_);
  estimates_[relation] = bytes;
}

CopyProgress CopyPool::ProgressOf(const TableRecord& record) const {
  CopyProgress sum;
  if (record.ranges) sum.rows = record.ranges->row_count;
  const std::scoped_lock lock(mutex_);
  for (auto unit = running_.lower_bound({record.relation, 0});
       unit != running_.end() && unit->first.relation == record.relation; ++unit) {
    sum.bytes += unit->second.bytes;
    const bool is_counted = record.ranges && unit->first.index < record.ranges->landed.size() &&
                            record.ranges->landed[unit->first.index];
    if (!is_counted) sum.rows += unit->second.rows;
  }
  return sum;
}

void CopyPool::Report(UnitId unit, std::int64_t rows, std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  running_[unit] = {rows, bytes};
}

void CopyPool::ForgetProgress(RelationId relation) {
  auto unit = running_.lower_bound({relation, 0});
  while (unit != running_.end() && unit->first.relation == relation) unit = running_.erase(unit);
}

Status CopyPool::WorkerLoop(std::stop_token stop) {
  Sessions sessions;
  while (!stop.stop_requested()) {
    SLUICE_ASSIGN_OR_RETURN(Work work, Claim());
    if (work.to_plan) {
      Result<std::optional<Claimed>> planned = PlanAndBegin(*work.to_plan);
      if (!planned) return std::move(planned).error();
      work.claimed = *std::move(planned);
      if (!work.claimed) continue;
    }
    if (work.claimed) {
      SLUICE_RETURN_IF_ERROR(CopyOrHandle(*work.claimed, sessions, stop));
      continue;
    }
    sessions = {};
    if (Help(stop)) continue;
    std::unique_lock lock(mutex_);
    const std::uint64_t seen = wakes_;
    (void)wake_.wait_for(lock, stop, kIdleLook, [&] { return wakes_ != seen; });
  }
  return {};
}

Status CopyPool::CopyOrHandle(const Claimed& claimed, Sessions& sessions, std::stop_token stop) {
  const Status copied = Copy(claimed, sessions, stop);
  if (!copied || ++sessions.unit_count >= kUnitsPerSession) sessions = {};
  const Status handled = copied ? copied : HandleFailure(claimed, copied.error(), stop);
  const std::scoped_lock lock(mutex_);
  busy_.erase(claimed.start.ticket.unit);
  return handled;
}

bool CopyPool::IsCompared(const TableRecord& record) const {
  return options_.compare && options_.is_compared && record.schema && options_.is_compared(record);
}

/// The largest table that has a unit that may begin: begun in the same step, so that no other
/// worker takes it.
Result<CopyPool::Work> CopyPool::Claim() {
  if (progress_.copies_pause.load()) return Work{};
  return writer_.inbox().CallAndWait([this]() -> Result<Work> {
    std::optional<UnitId> best;
    std::int64_t best_bytes = -1;
    {
      const std::scoped_lock lock(mutex_);
      const Clock::time_point now = Clock::now();
      for (const UnitId unit : writer_.machine().Startable()) {
        const auto estimate = estimates_.find(unit.relation);
        const std::int64_t bytes = estimate == estimates_.end() ? 0 : estimate->second;
        if (bytes <= best_bytes) continue;
        const auto wait = not_before_.find(unit.relation);
        if (wait != not_before_.end() && wait->second > now) continue;
        if (IsBusy(unit) || !writer_.MayCopy(unit.relation)) continue;
        if (WaitsForLandings(unit.relation)) continue;
        best = unit;
        best_bytes = bytes;
      }
    }
    if (!best) return Work{};
    const RelationId relation = best->relation;
    const bool is_large = static_cast<std::uint64_t>(std::max<std::int64_t>(0, best_bytes)) / 2 >=
                          options_.range.bytes;
    if (is_large && writer_.machine().ranges(relation) == nullptr &&
        writer_.MayCopyInRanges(relation) && !IsCompared(writer_.machine().record(relation))) {
      const std::scoped_lock lock(mutex_);
      busy_.insert(*best);
      return Work{.claimed = {}, .to_plan = writer_.machine().record(relation)};
    }
    SLUICE_ASSIGN_OR_RETURN(Claimed claimed, Begin(*best));
    return Work{.claimed = std::move(claimed), .to_plan = {}};
  });
}

/// After a resync workers of the copy that was given up may still be at its shadow: units of
/// another plan begin when all of them are gone. On the writer's thread, under mutex_.
bool CopyPool::IsBusy(UnitId unit) const {
  if (writer_.machine().ranges(unit.relation) != nullptr) return busy_.contains(unit);
  const auto first = busy_.lower_bound({unit.relation, 0});
  return first != busy_.end() && first->relation == unit.relation;
}

/// More of it would only lie there, while changes are held for it. On the writer's thread.
bool CopyPool::WaitsForLandings(RelationId relation) const {
  const replication::TableMachine& machine = writer_.machine();
  int copied = 0;
  for (std::uint32_t index = 0; index < machine.unit_count(relation); ++index) {
    if (machine.unit_state({relation, index}) == replication::UnitState::kCopied) ++copied;
  }
  return copied > 2 * options_.workers;
}

/// On the writer's thread.
Result<CopyPool::Claimed> CopyPool::Begin(UnitId unit) {
  SLUICE_ASSIGN_OR_RETURN(replication::CopyStart start, writer_.BeginUnit(unit));
  const CopyRanges* const ranges = writer_.machine().ranges(unit.relation);
  const std::scoped_lock lock(mutex_);
  if (ranges == nullptr) ForgetProgress(unit.relation);
  busy_.insert(unit);
  return Claimed{std::move(start), writer_.machine().record(unit.relation),
                 ranges == nullptr ? std::nullopt : std::optional(*ranges)};
}

Result<std::optional<CopyPool::Claimed>> CopyPool::PlanAndBegin(const TableRecord& record) {
  const UnitId first{record.relation, 0};
  Result<std::optional<CopyRanges>> plan = Plan(record);
  if (!plan) {
    const bool comes_again = base::IsRetryable(plan.error().kind);
    logger_.Warn("the copy of {} cannot be planned, {}: {} ({})", ToString(record.source),
                 comes_again ? "again in a moment" : "it is read as a whole", plan.error().message,
                 plan.error().code);
    if (comes_again) {
      const std::scoped_lock lock(mutex_);
      busy_.erase(first);
      not_before_[record.relation] = Clock::now() + kPlanPause;
      return std::optional<Claimed>();
    }
  }
  Result<std::optional<Claimed>> begun =
      writer_.inbox().CallAndWait([&]() -> Result<std::optional<Claimed>> {
        {
          const std::scoped_lock lock(mutex_);
          busy_.erase(first);
        }
        const std::vector<UnitId> startable = writer_.machine().Startable();
        const bool waits = std::find(startable.begin(), startable.end(), first) != startable.end();
        if (!waits) return std::optional<Claimed>();
        if (plan && *plan && writer_.MayCopyInRanges(record.relation)) {
          logger_.Info("table {} is copied in {} ranges", ToString(record.source),
                       (*plan)->bounds.size() + 1);
          {
            const std::scoped_lock lock(mutex_);
            ForgetProgress(record.relation);
          }
          writer_.machine().SetRanges(record.relation, *std::move(*plan));
        }
        SLUICE_ASSIGN_OR_RETURN(Claimed claimed, Begin(first));
        return std::optional(std::move(claimed));
      });
  return begun;
}

Result<std::optional<CopyRanges>> CopyPool::Plan(const TableRecord& record) {
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection connection, connect_("copy"));
  SLUICE_ASSIGN_OR_RETURN(
      const postgres::LoadedTable table,
      postgres::LoadTableSchema(connection, *registry_.types(), record.relation,
                                options_.publication, registry_.HiddenOf(record.relation)));
  // Values in quarantine are found by whole tables.
  const bool has_quarantine =
      std::any_of(table.schema->columns.begin(), table.schema->columns.end(),
                  [](const Column& column) { return column.on_misfit == OnMisfit::kQuarantine; });
  if (has_quarantine) return std::optional<CopyRanges>();
  return postgres::PlanKeyRanges(connection, record.relation, options_.range);
}

Status CopyPool::Copy(const Claimed& claimed, Sessions& sessions, std::stop_token stop) {
  Report(claimed.start.ticket.unit, 0, 0);
  if (!sessions.copy) {
    Result<postgres::Connection> connection = connect_("copy");
    if (!connection) {
      // Whatever keeps us out keeps everybody out; it is not this table's fault.
      Error error = std::move(connection).error();
      error.kind = ErrorKind::kConnection;
      return error;
    }
    sessions.copy.emplace(*std::move(connection));
  }
  SLUICE_ASSIGN_OR_RETURN(const bool is_current, Attempt(*this, claimed, sessions, stop).Run());
  if (!is_current) return destination_.DiscardCopy(claimed.start.ticket.unit);
  SLUICE_FAILPOINT("copy.finished");
  const std::scoped_lock lock(mutex_);
  failures_.erase(claimed.record.relation);
  return {};
}

Status CopyPool::HandleFailure(const Claimed& claimed, const Error& error, std::stop_token stop) {
  const UnitId unit = claimed.start.ticket.unit;
  const Status discarded = destination_.DiscardCopy(unit);
  const std::string name = ToString(claimed.record.source);
  const bool is_missing = error.code == "SLU-2103" && options_.on_missing;
  if (is_missing) options_.on_missing();
  if (HaltsTable(error) && !is_missing) {
    return writer_.inbox().CallAndWait([&]() -> Status {
      SLUICE_ASSIGN_OR_RETURN(const bool is_current, writer_.CopyFailed(claimed.start.ticket));
      return is_current ? writer_.HaltTable(unit.relation, error) : Status{};
    });
  }
  const Result<bool> given_back = writer_.inbox().CallAndWait(
      [&]() -> Result<bool> { return writer_.CopyFailed(claimed.start.ticket); });
  if (!given_back || stop.stop_requested()) {
    return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
  }
  // What a copy that somebody else gave up met is no trouble of the next one: its shadow is gone.
  if (!*given_back) return {};
  if (!is_missing && !base::IsRetryable(error.kind)) return error;
  if (!discarded) return discarded;
  const std::scoped_lock lock(mutex_);
  const int count = std::min(++failures_[unit.relation], 6);
  const Duration wait = std::chrono::milliseconds(500) * (1 << count);
  not_before_[unit.relation] = Clock::now() + wait;
  logger_.Warn("the copy of {} begins again in {} ms: {} ({}){}{}", name,
               std::chrono::duration_cast<std::chrono::milliseconds>(wait).count(), error.message,
               error.code, error.advice.empty() ? "" : "; to do: ", error.advice);
  return {};
}

}  // namespace sluice::engine
