#include "destinations/duckdb/duckdb_destination.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/failpoint.h"
#include "base/mutex.h"
#include "destinations/duckdb/bookkeeping.h"
#include "destinations/duckdb/copied_ranges.h"
#include "destinations/duckdb/copy_writer.h"
#include "destinations/duckdb/database.h"
#include "destinations/duckdb/kept_changes.h"
#include "destinations/duckdb/name_lookup.h"
#include "destinations/duckdb/names.h"
#include "destinations/duckdb/quarantine.h"
#include "destinations/duckdb/reader.h"
#include "destinations/duckdb/row_applier.h"
#include "destinations/duckdb/shadows.h"
#include "destinations/duckdb/sql_session_internal.h"
#include "destinations/duckdb/table_width.h"
#include "destinations/duckdb/transaction_writer.h"

namespace sluice::duckdb {
namespace {

/// A checkpoint that others hold back is asked for again after this long.
constexpr auto kCheckpointPause = std::chrono::milliseconds(500);
/// A checkpoint writes the whole catalog. Those behind changes of table shape leave so many times
/// what they take to everything else, but wait no longer than the other: a log with such changes is
/// kept short.
constexpr int kShapeCheckpointRest = 9;
constexpr Duration kShapeCheckpointWaitMax = std::chrono::seconds(5);
/// A log smaller than this is not worth a checkpoint when idle.
constexpr std::uint64_t kIdleWalBytes = 256U << 10;

Error NotOpen() {
  return {.kind = ErrorKind::kInternal,
          .message = "the destination is not open for writing",
          .code = "SLU-9001"};
}

Status CheckOwner(const StoredState& state, const OpenRequest& request) {
  const bool is_other_pipeline =
      !request.pipeline.empty() && !state.pipeline.empty() && state.pipeline != request.pipeline;
  if (is_other_pipeline) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "the file belongs to pipeline " + state.pipeline,
                 .code = "SLU-5007",
                 .advice = "use --pipeline " + state.pipeline + ", or another file"};
  }
  if (request.system_identifier != 0 && state.system_identifier != 0 &&
      state.system_identifier != request.system_identifier) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "the file holds a copy of another source, system identifier " +
                            std::to_string(state.system_identifier),
                 .code = "SLU-5008",
                 .advice = "use that source, or another file"};
  }
  return {};
}

/// Runs `body` as one transaction.
template <class Body>
Status Transaction(Connection& connection, Body body) {
  SLUICE_RETURN_IF_ERROR(connection.Run("BEGIN", "begin"));
  Status status = body();
  if (status) status = connection.Run("COMMIT", "commit");
  if (!status) (void)connection.Run("ROLLBACK", "roll back");
  return status;
}

class DuckDb final : public DuckDbDestination {
 public:
  explicit DuckDb(DuckDbOptions options) : options_(std::move(options)) {
    capabilities_.wants = Capabilities::Rows::kNet;
    capabilities_.fencing = Capabilities::Fencing::kCompareAndSet;
    capabilities_.keeps_changes = true;
    capabilities_.lands_ranges = true;
  }
  ~DuckDb() override {
    // Without Close() it ends like a kill: what was committed is in the log.
    if (database_ != nullptr) database_->SkipCheckpointAtEnd();
  }

  const Capabilities& capabilities() const override { return capabilities_; }

  Result<DeliveryState> Open(const OpenRequest& request) override {
    if (writer_ != nullptr || database() != nullptr) return NotOpen();
    SLUICE_ASSIGN_OR_RETURN(const std::shared_ptr<Database> opened,
                            Database::Open(options_, request.read_only));
    auto state = request.read_only ? ReadOnly(*opened, request) : TakeOver(opened, request);
    if (!state) {
      writer_.reset();
      opened->RemoveFileAtEnd();
      opened->SkipCheckpointAtEnd();
      return std::move(state).error();
    }
    const base::MutexLock lock(mutex_);
    database_ = opened;
    return state;
  }

  Status StoreBirth(const Birth& birth) override {
    if (writer_ == nullptr) return NotOpen();
    writer_->Abandon();
    const std::map<UnitId, Shadow> dropped = shadows_->RemoveAll();
    Connection& connection = writer_->connection();
    Status status = Transaction(connection, [&]() -> Status {
      for (const auto& [unit, shadow] : dropped) {
        SLUICE_RETURN_IF_ERROR(
            connection.Run("DROP TABLE IF EXISTS " + QualifiedName(shadow.name), "drop a copy"));
        SLUICE_RETURN_IF_ERROR(RemoveUnit(connection, unit));
      }
      SLUICE_ASSIGN_OR_RETURN(const std::vector<TableName> aside, FindAside(connection));
      SLUICE_RETURN_IF_ERROR(DropAside(connection, aside));
      return WriteBirth(connection, birth, epoch_);
    });
    if (!status) return status;
    writer_->Clear();
    return {};
  }

  Result<std::optional<Error>> CheckTable(const TableSchema& schema, const TableName& destination,
                                          TableMode mode, bool adopt) override;

  Result<std::unique_ptr<CopyWriter>> OpenCopy(const CopyTarget& target) override {
    const auto db = database();
    if (db == nullptr || db->read_only()) return NotOpen();
    // Altered since it was checked at the start: this table's own trouble.
    if (std::optional<Error> bad = CheckNames(*target.schema, target.destination)) return *bad;
    if (std::optional<Error> wide = CheckWidth(*target.schema, options_.memory_bytes_max))
      return *wide;
    SLUICE_ASSIGN_OR_RETURN(std::unique_ptr<Database::Lease> lease, db->NewLease());
    const RelationId relation = target.unit.relation;
    ShadowTarget shadow{.target = target,
                        .shadow = {target.destination.schema,
                                   target.ranges ? RangesName(relation) : ShadowName(relation)},
                        .transaction_rows = options_.copy_transaction_rows};
    SLUICE_RETURN_IF_ERROR(target.ranges ? MakeRange(lease->connection(), shadow)
                                         : MakeWhole(lease->connection(), shadow));
    auto on_finish = [shadows = shadows_, unit = target.unit] { shadows->Finish(unit); };
    return NewCopyWriter(std::move(lease), std::move(shadow), std::move(on_finish));
  }

  Status DiscardCopy(UnitId unit) override {
    const auto db = database();
    if (db == nullptr || db->read_only()) return NotOpen();
    const std::optional<Shadow> shadow = shadows_->Find(unit);
    if (!shadow) return {};
    SLUICE_ASSIGN_OR_RETURN(std::unique_ptr<Database::Lease> lease, db->NewLease());
    if (!shadow->is_range) {
      shadows_->Remove(unit);
      return DropShadow(lease->connection(), unit, shadow->name, false);
    }
    const base::MutexLock lock(shadows_->ranges_mutex());
    shadows_->Remove(unit);
    return DropShadow(lease->connection(), unit, shadow->name,
                      shadows_->IsShared(shadow->name, unit));
  }

  Result<StageOutcome> Stage(const SequenceItem& item) override {
    if (writer_ == nullptr) return NotOpen();
    if (const auto* rows = std::get_if<NetRows>(&item)) return writer_->Apply(*rows);
    if (const auto* rows = std::get_if<HistoryRows>(&item)) return writer_->Log(*rows);
    if (const auto* alter = std::get_if<AlterTable>(&item)) return writer_->Alter(*alter);
    if (const auto* land = std::get_if<LandUnit>(&item)) return Land(*land);
    if (const auto* drop = std::get_if<DropTable>(&item)) return writer_->Drop(*drop);
    return Error{
        .kind = ErrorKind::kInternal, .message = "DuckDB was given log rows", .code = "SLU-9001"};
  }

  Status Keep(RelationId relation, const std::vector<KeptChange>& changes) override {
    return writer_ == nullptr ? NotOpen() : writer_->Keep(relation, changes);
  }
  Status DropKept(RelationId relation, std::uint64_t through) override {
    return writer_ == nullptr ? NotOpen() : writer_->DropKept(relation, through);
  }
  Result<std::vector<KeptChange>> ReadKept(RelationId relation, std::uint64_t after,
                                           std::size_t count_max, std::size_t bytes_max) override {
    if (writer_ == nullptr) return NotOpen();
    return writer_->ReadKept(relation, after, count_max, bytes_max);
  }

  Result<CommitOutcome> Commit(const CommitRecord& record) override {
    if (writer_ == nullptr) return NotOpen();
    SLUICE_ASSIGN_OR_RETURN(const CommitOutcome outcome,
                            writer_->Commit(record, database_->checkpoints()));
    if (outcome == CommitOutcome::kUnknown) return outcome;
    shadows_->SetLanded(std::exchange(landed_, {}), writer_->ranges());
    // What is stored speaks for itself from here on.
    for (const TableRecord& table : record.tables) {
      promised_.erase(FoldKey(table.destination));
      promised_.erase(FoldKey(LogOf(table.destination)));
    }
    if (options_.after_commit) SLUICE_RETURN_IF_ERROR(options_.after_commit());
    if (listener_)
      listener_({.durable_sequence = record.sequence, .visible_sequence = record.sequence});
    if (writer_->had_ddl() || writer_->strings().is_spent()) wants_checkpoint_ = true;
    if (IsShapeCheckpointDue() || database_->wal_bytes() > WalBound()) TryCheckpoint();
    return outcome;
  }

  void Abandon() override {
    landed_.clear();
    if (writer_ != nullptr) writer_->Abandon();
  }

  void Interrupt() override {
    const base::MutexLock lock(mutex_);
    if (interruptible_ != nullptr) duckdb_interrupt(interruptible_);
    if (database_ != nullptr) database_->InterruptLeases();
  }

  void OnWatermark(std::function<void(const Watermarks&)> listener) override {
    listener_ = std::move(listener);
  }

  Status Maintain(Clock::time_point deadline) override {
    if (writer_ == nullptr) return NotOpen();
    const bool is_worth_it =
        IsShapeCheckpointDue() ||
        database_->wal_bytes() >= std::min<std::uint64_t>(kIdleWalBytes, options_.wal_bytes_min);
    if (is_worth_it && Clock::now() < deadline) TryCheckpoint();
    return {};
  }

  Result<std::unique_ptr<DestinationReader>> OpenReader() override {
    const auto db = database();
    if (db == nullptr) return NotOpen();
    SLUICE_ASSIGN_OR_RETURN(std::unique_ptr<Database::Lease> lease, db->NewLease());
    return NewReader(std::move(lease));
  }

  Result<std::unique_ptr<SqlSession>> Sql(const SqlLimits& limits) override {
    const auto db = database();
    if (db == nullptr) return NotOpen();
    SLUICE_ASSIGN_OR_RETURN(std::unique_ptr<Database::Lease> lease, db->NewLease());
    return NewSqlSession(std::move(lease), limits);
  }

  Status Forget() override {
    if (writer_ == nullptr) return NotOpen();
    writer_->Abandon();
    Connection& connection = writer_->connection();
    Status status = Transaction(connection, [&]() -> Status {
      SLUICE_ASSIGN_OR_RETURN(const std::vector<TableName> aside, FindAside(connection));
      SLUICE_RETURN_IF_ERROR(DropAside(connection, aside));
      return DropState(connection);
    });
    if (!status) return status;
    writer_->Clear();
    return database_->Checkpoint(connection);
  }

  Status Close(Clock::time_point deadline) override;

 private:
  std::shared_ptr<Database> database() {
    const base::MutexLock lock(mutex_);
    return database_;
  }

  static Result<DeliveryState> ReadOnly(Database& opened, const OpenRequest& request) {
    SLUICE_ASSIGN_OR_RETURN(Connection connection, opened.Connect());
    SLUICE_ASSIGN_OR_RETURN(StoredState state, ReadState(connection));
    SLUICE_RETURN_IF_ERROR(CheckOwner(state, request));
    if (state.exists) {
      SLUICE_RETURN_IF_ERROR(ReadKeptSums(connection, state.delivery));
      SLUICE_RETURN_IF_ERROR(ReadRanges(connection, state.delivery));
    }
    return std::move(state.delivery);
  }

  Result<DeliveryState> TakeOver(const std::shared_ptr<Database>& opened,
                                 const OpenRequest& request);
  /// Tables of ours that are not replicated ones: what copies left behind, and landed ranges.
  static Result<std::vector<TableName>> FindAside(Connection& connection);
  static Status DropAside(Connection& connection, const std::vector<TableName>& aside);
  Status MakeWhole(Connection& connection, const ShadowTarget& target) {
    SLUICE_RETURN_IF_ERROR(MakeShadow(connection, target));
    shadows_->Add(target.target.unit, {.name = target.shadow,
                                       .schema = target.target.schema,
                                       .is_range = target.target.ranges.has_value()});
    return {};
  }
  Status MakeRange(Connection& connection, ShadowTarget& target) {
    const base::MutexLock lock(shadows_->ranges_mutex());
    target.is_shared = shadows_->IsShared(target.shadow, target.target.unit);
    return MakeWhole(connection, target);
  }
  Result<StageOutcome> Land(const LandUnit& item);
  std::optional<Error> CheckOtherTables(const TableSchema& schema, const TableName& name);
  /// Whether the table may have a table of this name made.
  Result<std::optional<Error>> CheckName(const TableSchema& schema, const TableName& name,
                                         bool adopt);

  std::uint64_t WalBound() const {
    return std::clamp<std::uint64_t>(database_->file_bytes() / 8, options_.wal_bytes_min,
                                     std::max(options_.wal_bytes_min, options_.wal_bytes_limit));
  }

  bool IsShapeCheckpointDue() const {
    return wants_checkpoint_ && Clock::now() >= next_shape_checkpoint_;
  }

  /// A log that stays is asked for again later: readers and copies hold it back.
  void TryCheckpoint() {
    const Clock::time_point began = Clock::now();
    if (began < next_checkpoint_) return;
    const Status status = database_->Checkpoint(writer_->connection());
    const Clock::time_point now = Clock::now();
    const bool is_done = status && database_->wal_bytes() == 0;
    wants_checkpoint_ = !is_done && wants_checkpoint_;
    if (is_done) writer_->strings().Renew();
    next_checkpoint_ = is_done ? Clock::time_point() : now + kCheckpointPause;
    next_shape_checkpoint_ =
        now + std::min<Duration>(kShapeCheckpointRest * (now - began), kShapeCheckpointWaitMax);
  }

  const DuckDbOptions options_;
  Capabilities capabilities_;
  std::function<void(const Watermarks&)> listener_;
  std::uint64_t epoch_ = 0;
  std::unique_ptr<TransactionWriter> writer_;
  std::vector<UnitId> landed_;  ///< in the open transaction
  bool wants_checkpoint_ = false;
  Clock::time_point next_checkpoint_;
  Clock::time_point next_shape_checkpoint_;
  const std::shared_ptr<Shadows> shadows_ = std::make_shared<Shadows>();
  /// Folded names this process said yes to, and for which source table, until that is stored.
  std::map<std::string, TableName> promised_;

  base::Mutex mutex_;
  std::shared_ptr<Database> database_;  ///< written under mutex_ and by the writer's thread only
  duckdb_connection interruptible_ SLUICE_GUARDED_BY(mutex_) = nullptr;
};

Result<DeliveryState> DuckDb::TakeOver(const std::shared_ptr<Database>& opened,
                                       const OpenRequest& request) {
  SLUICE_ASSIGN_OR_RETURN(Connection connection, opened->Connect());
  SLUICE_ASSIGN_OR_RETURN(StoredState state, ReadState(connection));
  SLUICE_RETURN_IF_ERROR(CheckOwner(state, request));
  std::map<RelationId, TableName> ranges;
  Status status = Transaction(connection, [&]() -> Status {
    if (state.exists) SLUICE_RETURN_IF_ERROR(ReadRanges(connection, state.delivery));
    // A copy lives no longer than the process that made it.
    SLUICE_ASSIGN_OR_RETURN(std::vector<TableName> aside, FindAside(connection));
    ranges = PickRanges(aside, state.delivery.tables);
    SLUICE_RETURN_IF_ERROR(DropAside(connection, aside));
    if (!state.exists) SLUICE_RETURN_IF_ERROR(CreateState(connection, request));
    SLUICE_ASSIGN_OR_RETURN(state.delivery.epoch,
                            TakeEpoch(connection, request, opened->checkpoints()));
    for (const StoredUnit& unit : state.units)
      SLUICE_RETURN_IF_ERROR(RemoveUnit(connection, unit.unit));
    SLUICE_RETURN_IF_ERROR(TakeOverRanges(connection, state.delivery, ranges));
    return ReadKeptSums(connection, state.delivery);
  });
  if (!status) return std::move(status).error();
  SLUICE_FAILPOINT("open.taken_over");
  epoch_ = state.delivery.epoch;
  promised_.clear();
  // The first commit after this checkpoints: this one had DDL.
  wants_checkpoint_ = true;
  SLUICE_ASSIGN_OR_RETURN(std::set<RelationId> quarantined, ReadQuarantined(connection));
  writer_ = std::make_unique<TransactionWriter>(
      std::move(connection), state.delivery, std::move(quarantined), ranges,
      options_.memory_bytes_max,
      options_.spares_memory ? 0 : options_.memory_bytes_max / kStringShare);
  shadows_->RemoveAll();
  shadows_->SetLanded({}, writer_->ranges());
  const base::MutexLock lock(mutex_);
  interruptible_ = writer_->connection().get();
  return std::move(state.delivery);
}

Result<std::vector<TableName>> DuckDb::FindAside(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(
      const SmallResult found,
      connection.Query(
          "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = " +
              QuoteLiteral(kCatalog) + " AND (starts_with(table_name, " +
              QuoteLiteral(kShadowPrefix) + ") OR starts_with(table_name, " +
              QuoteLiteral(kRangesPrefix) + "))",
          "look for copies left behind"));
  std::vector<TableName> names;
  for (std::size_t row = 0; row < found.row_count(); ++row)
    names.push_back({found.text(row, 0), found.text(row, 1)});
  return names;
}

Status DuckDb::DropAside(Connection& connection, const std::vector<TableName>& aside) {
  for (const TableName& name : aside)
    SLUICE_RETURN_IF_ERROR(connection.Run("DROP TABLE " + QualifiedName(name), "drop a copy"));
  return {};
}

Result<StageOutcome> DuckDb::Land(const LandUnit& item) {
  const std::optional<Shadow> shadow = shadows_->Find(item.unit);
  const bool is_whole = item.part == LandUnit::Part::kWhole;
  const bool is_there = shadow && shadow->is_finished && shadow->is_range != is_whole &&
                        FoldName(shadow->name.schema) == FoldName(item.destination.schema) &&
                        SameShape(*shadow->schema, *item.schema);
  if (!is_there) {
    return StageOutcome{
        TableFailed{item.unit.relation,
                    {.kind = ErrorKind::kSchemaConflict,
                     .message = "no finished copy of " + ToString(item.destination) + " to land",
                     .code = "SLU-5114",
                     .advice = "sluice resync " + ToString(item.destination)}}};
  }
  SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome, is_whole ? writer_->Land(item, shadow->name)
                                                         : writer_->LandRange(item, shadow->name));
  if (!outcome.table_failed) landed_.push_back(item.unit);
  return outcome;
}

std::optional<Error> DuckDb::CheckOtherTables(const TableSchema& schema, const TableName& name) {
  const std::string key = FoldKey(name);
  const TableName* other = nullptr;
  bool is_log = false;
  for (const auto& [relation, record] : writer_->records()) {
    const bool is_other = relation != schema.relation && record.source != schema.name &&
                          record.state != TableState::kSkipped;
    // One that has left (dropped, renamed out of the selection) only keeps rows, which are
    // replaced, as does one that was renamed and waits for its copy under its new name.
    const bool leaves_name = FoldKey(record.source) != FoldKey(record.destination);
    if (is_other && !leaves_name && HasState(record.mode) && FoldKey(record.destination) == key)
      other = &record.source;
    // A log is never replaced by another table.
    if (relation == schema.relation || !HasLog(record.mode)) continue;
    if (FoldKey(LogOf(record.destination)) != key || record.source == schema.name) continue;
    other = &record.source;
    is_log = true;
  }
  if (const auto it = promised_.find(key); it != promised_.end() && it->second != schema.name) {
    other = &it->second;
    is_log = false;
  }
  if (other == nullptr) return std::nullopt;
  return Error{
      .kind = ErrorKind::kUnsupported,
      .message = is_log ? "the log of source table " + ToString(*other) + " is called " +
                              ToString(name) + ", which source table " + ToString(schema.name) +
                              " needs"
                        : "source tables " + ToString(*other) + " and " + ToString(schema.name) +
                              " have one name at the destination: " + ToString(name),
      .code = "SLU-5115",
      .advice =
          "leave one of them out with -T, or give one another name by `names` in the config file"};
}

Result<std::optional<Error>> DuckDb::CheckTable(const TableSchema& schema,
                                                const TableName& destination, TableMode mode,
                                                bool adopt) {
  if (writer_ == nullptr) return NotOpen();
  if (auto error = CheckNames(schema, destination)) return error;
  if (auto wide = CheckWidth(schema, options_.memory_bytes_max)) return wide;
  std::vector<TableName> names;
  if (HasState(mode)) names.push_back(destination);
  if (HasLog(mode)) names.push_back(LogOf(destination));
  for (const TableName& name : names) {
    SLUICE_ASSIGN_OR_RETURN(std::optional<Error> refused, CheckName(schema, name, adopt));
    if (refused) return refused;
  }
  for (const TableName& name : names) promised_[FoldKey(name)] = schema.name;
  return std::optional<Error>();
}

Result<std::optional<Error>> DuckDb::CheckName(const TableSchema& schema, const TableName& name,
                                               bool adopt) {
  if (auto error = CheckOtherTables(schema, name)) return error;
  SLUICE_ASSIGN_OR_RETURN(const std::unique_ptr<Database::Lease> lease, database_->NewLease());
  SLUICE_ASSIGN_OR_RETURN(const NameUse use, LookUpName(lease->connection(), name));
  if (use == NameUse::kFree) return std::optional<Error>();
  // Its own, or that of a table which had the name before it at the source.
  const bool is_ours =
      std::any_of(writer_->records().begin(), writer_->records().end(), [&](const auto& known) {
        const TableRecord& record = known.second;
        const bool is_state = HasState(record.mode) && FoldKey(record.destination) == FoldKey(name);
        const bool is_log =
            HasLog(record.mode) && FoldKey(LogOf(record.destination)) == FoldKey(name);
        return record.schema != nullptr && (is_state || is_log);
      });
  const bool is_view = use == NameUse::kView;
  if (!is_view && (adopt || is_ours)) return std::optional<Error>();
  return std::optional(
      Error{.kind = ErrorKind::kSchemaConflict,
            .message = std::string(is_view ? "a view" : "a table that Sluice did not make") +
                       " is there already: " + ToString(name),
            .code = "SLU-5116",
            .advice = is_view ? "rename the view" : "--existing replace, or --existing adopt"});
}

Status DuckDb::Close(Clock::time_point deadline) {
  const std::shared_ptr<Database> db = database();
  if (db == nullptr) return {};
  Abandon();
  Status status;
  const bool is_alone = db->WaitForLeases(deadline);
  SLUICE_FAILPOINT("stop.checkpoint");
  if (writer_ != nullptr && Clock::now() < deadline) {
    status = db->Checkpoint(writer_->connection());
  } else {
    db->SkipCheckpointAtEnd();
  }
  {
    const base::MutexLock lock(mutex_);
    interruptible_ = nullptr;
    database_.reset();
  }
  writer_.reset();
  if (!is_alone && status) {
    return Error{.kind = ErrorKind::kTimeout,
                 .message = "a reader or a copy is still at the file",
                 .code = "SLU-5029"};
  }
  return status;
}

}  // namespace

std::unique_ptr<DuckDbDestination> MakeDuckDbDestination(DuckDbOptions options) {
  return std::make_unique<DuckDb>(std::move(options));
}

}  // namespace sluice::duckdb
