#include "destinations/memory/memory_destination.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "destinations/memory/change_internal.h"
#include "destinations/memory/memory_reader.h"

namespace sluice::memory {
namespace {

Error NotOpen() {
  return Error{.kind = ErrorKind::kInternal,
               .message = "the memory destination is not open for writing",
               .code = "SLU-9001"};
}

void StoreTables(std::vector<TableRecord>& tables, const std::vector<TableRecord>& changed) {
  for (const TableRecord& record : changed) {
    std::erase_if(tables, [&](const TableRecord& t) { return t.relation == record.relation; });
    if (!record.was_removed) tables.push_back(record);
  }
}

/// Failures of one table come back as outcome, others as error.
bool IsOfTable(ErrorKind kind) {
  return kind == ErrorKind::kSchemaConflict || kind == ErrorKind::kConversion ||
         kind == ErrorKind::kUnsupported;
}

RelationId RelationOf(const SequenceItem& item) {
  struct Visitor {
    RelationId operator()(const LogRows& rows) const { return rows.batch->schema->relation; }
    RelationId operator()(const NetRows& rows) const { return rows.change->schema->relation; }
    RelationId operator()(const HistoryRows& rows) const { return rows.change->schema->relation; }
    RelationId operator()(const TruncateTable& truncate) const { return truncate.relation; }
    RelationId operator()(const AlterTable& alter) const { return alter.to->relation; }
    RelationId operator()(const LandUnit& land) const { return land.unit.relation; }
    RelationId operator()(const DropTable& drop) const { return drop.relation; }
  };
  return std::visit(Visitor{}, item);
}

}  // namespace

MemoryDestination::MemoryDestination(std::shared_ptr<MemoryStorage> storage, MemoryOptions options)
    : storage_(std::move(storage)), options_(options) {
  capabilities_.wants = options.wants;
  capabilities_.wants_change_ids = options.wants_change_ids;
  capabilities_.lands_ranges = options.wants == Capabilities::Rows::kNet;
}

MemoryDestination::~MemoryDestination() = default;

Result<DeliveryState> MemoryDestination::Open(const OpenRequest& request) {
  const base::MutexLock lock(storage_->mutex_);
  DeliveryState& state = storage_->state_;
  if (state.birth && !request.pipeline.empty() && state.birth->pipeline != request.pipeline) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = fmt::format("the destination belongs to pipeline {}, not {}",
                                        state.birth->pipeline, request.pipeline),
                 .code = "SLU-5107",
                 .advice = "use --pipeline " + state.birth->pipeline + " or another destination"};
  }
  if (state.birth && request.system_identifier != 0 && state.birth->system_identifier != 0 &&
      state.birth->system_identifier != request.system_identifier) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = fmt::format("the destination was filled from another source: system "
                                        "identifier {}, not {}",
                                        state.birth->system_identifier, request.system_identifier),
                 .code = "SLU-5107",
                 .advice = "use the source it was filled from, or another destination"};
  }
  is_open_ = true;
  is_read_only_ = request.read_only;
  changes_.clear();
  range_changes_.clear();
  if (!is_read_only_) {
    ++state.epoch;
    storage_->shadows_.clear();
  }
  epoch_ = state.epoch;
  return state;
}

Status MemoryDestination::StoreBirth(const Birth& birth) {
  if (!is_open_ || is_read_only_) return NotOpen();
  const base::MutexLock lock(storage_->mutex_);
  const std::uint64_t epoch = storage_->state_.epoch;
  storage_->state_ = DeliveryState{};
  storage_->state_.birth = birth;
  storage_->state_.epoch = epoch;
  storage_->names_.clear();
  storage_->shadows_.clear();
  storage_->ranges_.clear();
  return {};
}

Result<std::optional<Error>> MemoryDestination::CheckTable(const TableSchema& schema,
                                                           const TableName& destination,
                                                           TableMode /*mode*/, bool adopt) {
  const base::MutexLock lock(storage_->mutex_);
  if (!storage_->tables_.contains(destination)) return std::optional<Error>();
  const auto& tables = storage_->state_.tables;
  const bool is_ours = std::any_of(tables.begin(), tables.end(), [&](const TableRecord& t) {
    return t.destination == destination;
  });
  const auto owner = std::find_if(tables.begin(), tables.end(), [&](const TableRecord& t) {
    return t.destination == destination && t.source != schema.name;
  });
  if (owner != tables.end()) {
    return std::optional<Error>(
        Error{.kind = ErrorKind::kConfig,
              .message = fmt::format("{} is already the copy of {}", ToString(destination),
                                     ToString(owner->source)),
              .code = "SLU-5115"});
  }
  if (is_ours || adopt) return std::optional<Error>();
  return std::optional<Error>(
      Error{.kind = ErrorKind::kConfig,
            .message = ToString(destination) + " is there already and was not made by Sluice",
            .code = "SLU-5116",
            .advice = "--existing replace drops it, --existing adopt goes on with it"});
}

Result<std::unique_ptr<CopyWriter>> MemoryDestination::OpenCopy(const CopyTarget& target) {
  if (!is_open_ || is_read_only_) return NotOpen();
  SLUICE_RETURN_IF_ERROR(DiscardCopy(target.unit));
  return std::unique_ptr<CopyWriter>(
      std::make_unique<MemoryCopyWriter>(storage_, target, options_.strict));
}

Status MemoryDestination::DiscardCopy(UnitId unit) {
  const base::MutexLock lock(storage_->mutex_);
  storage_->shadows_.erase(unit);
  return {};
}

Result<StageOutcome> MemoryDestination::Stage(const SequenceItem& item) {
  if (!is_open_ || is_read_only_) return NotOpen();
  Status staged = std::visit([this](const auto& it) { return StageItem(it); }, item);
  if (staged) return StageOutcome{};
  if (!IsOfTable(staged.error().kind)) return std::move(staged).error();
  return StageOutcome{TableFailed{RelationOf(item), std::move(staged).error()}};
}

Status MemoryDestination::CheckFence(const CommitRecord& record) const {
  const DeliveryState& state = storage_->state_;
  if (state.epoch != epoch_) {
    return Error{.kind = ErrorKind::kStateStore,
                 .message = fmt::format("epoch {} has taken over from {}", state.epoch, epoch_),
                 .code = "SLU-5004"};
  }
  if (record.position && state.position && record.position->lsn < state.position->lsn) {
    return Error{
        .kind = ErrorKind::kStateStore,
        .message = fmt::format("position would go back from {} to {}",
                               ToString(state.position->lsn), ToString(record.position->lsn)),
        .code = "SLU-5105"};
  }
  return {};
}

void MemoryDestination::Apply(Change& change) {
  std::shared_ptr<Table>& table =
      change.of_ranges ? storage_->ranges_[change.relation] : storage_->tables_[change.name];
  change.base.reset();
  if (table == nullptr) {
    table = std::make_shared<Table>();
  } else if (table.use_count() > 1) {
    table = std::make_shared<Table>(*table);  // a reader holds the old one
  }
  table->schema = change.schema;
  if (change.hides_base) table->rows.clear();
  for (auto& [key, entry] : change.overlay) {
    if (entry.count == 0) {
      table->rows.erase(key);
    } else {
      table->rows[key] = std::move(entry);
    }
  }
  if (change.replaces_log) table->log.clear();
  table->log.insert(table->log.end(), change.log.begin(), change.log.end());
  table->mode = change.mode;
  if (!change.of_ranges) storage_->names_[change.relation] = change.name;
  if (change.landed) storage_->shadows_.erase(*change.landed);
}

Result<CommitOutcome> MemoryDestination::Commit(const CommitRecord& record) {
  if (!is_open_ || is_read_only_) return NotOpen();
  {
    const base::MutexLock lock(storage_->mutex_);
    SLUICE_RETURN_IF_ERROR(CheckFence(record));
    for (const DropTable& drop : std::exchange(dropped_, {})) {
      storage_->names_.erase(drop.relation);
      const bool is_taken =
          std::any_of(storage_->names_.begin(), storage_->names_.end(),
                      [&](const auto& named) { return named.second == drop.destination; });
      if (!is_taken) storage_->tables_.erase(drop.destination);
    }
    for (const auto& [relation, change] : changes_) Apply(*change);
    changes_.clear();
    for (const auto& [relation, change] : range_changes_) Apply(*change);
    range_changes_.clear();
    for (const TableRecord& table : record.tables) {
      if (!table.ranges) storage_->ranges_.erase(table.relation);
    }
    DeliveryState& state = storage_->state_;
    if (record.birth) {
      state.birth = record.birth;
      state.position.reset();
      state.passed = {};
    }
    if (record.position) state.position = record.position;
    if (record.passed) state.passed = *record.passed;
    StoreTables(state.tables, record.tables);
  }
  if (listener_) listener_(Watermarks{record.sequence, record.sequence});
  return CommitOutcome::kAccepted;
}

void MemoryDestination::Abandon() {
  changes_.clear();
  range_changes_.clear();
  dropped_.clear();
}

void MemoryDestination::OnWatermark(std::function<void(const Watermarks&)> listener) {
  listener_ = std::move(listener);
}

Status MemoryDestination::Maintain(Clock::time_point /*deadline*/) {
  return {};
}

Result<std::unique_ptr<DestinationReader>> MemoryDestination::OpenReader() {
  return std::unique_ptr<DestinationReader>(std::make_unique<MemoryReader>(*storage_));
}

Status MemoryDestination::Forget() {
  if (!is_open_) return NotOpen();
  const base::MutexLock lock(storage_->mutex_);
  storage_->state_ = DeliveryState{};
  storage_->state_.epoch = epoch_;
  storage_->names_.clear();
  storage_->shadows_.clear();
  storage_->ranges_.clear();
  return {};
}

Status MemoryDestination::Close(Clock::time_point /*deadline*/) {
  is_open_ = false;
  changes_.clear();
  range_changes_.clear();
  return {};
}

}  // namespace sluice::memory
