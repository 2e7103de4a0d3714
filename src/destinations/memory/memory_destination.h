/// \file
/// `memory:`: a complete destination without a file, for the library and for tests.
///
/// Strict: an update or delete of a row that is not there, or an insert of one that is, fails its
/// table. So it is also an oracle for what the engine stages. A commit is atomic and durable at
/// return (in its MemoryStorage).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "sluice/destination.h"

#include "destinations/memory/memory_storage.h"

namespace sluice::memory {

struct MemoryOptions {
  /// kNet keeps the current rows. kLog keeps every change in Table::log; rows are those of the
  /// copy.
  Capabilities::Rows wants = Capabilities::Rows::kNet;
  /// False: repeats are absorbed (an insert of a key overwrites, a delete of nothing is nothing,
  /// an update of nothing inserts), as an idempotent sink does.
  bool strict = true;
  bool wants_change_ids = false;
};

class MemoryDestination final : public Destination {
 public:
  explicit MemoryDestination(std::shared_ptr<MemoryStorage> storage, MemoryOptions options = {});
  ~MemoryDestination() override;

  const Capabilities& capabilities() const override { return capabilities_; }
  Result<DeliveryState> Open(const OpenRequest& request) override;
  Status StoreBirth(const Birth& birth) override;
  Result<std::optional<Error>> CheckTable(const TableSchema& schema, const TableName& destination,
                                          TableMode mode, bool adopt) override;
  Result<std::unique_ptr<CopyWriter>> OpenCopy(const CopyTarget& target) override;
  Status DiscardCopy(UnitId unit) override;
  Result<StageOutcome> Stage(const SequenceItem& item) override;
  Result<CommitOutcome> Commit(const CommitRecord& record) override;
  void Abandon() override;
  void OnWatermark(std::function<void(const Watermarks&)> listener) override;
  Status Maintain(Clock::time_point deadline) override;
  Result<std::unique_ptr<DestinationReader>> OpenReader() override;
  Status Forget() override;
  Status Close(Clock::time_point deadline) override;

  /// What the open transaction makes of one table.
  struct Change;

 private:
  Status StageItem(const LogRows& item);
  Status StageItem(const NetRows& item);
  Status StageItem(const HistoryRows& item);
  Status StageItem(const TruncateTable& item);
  Status StageItem(const AlterTable& item);
  Status StageItem(const LandUnit& item);
  Status StageItem(const DropTable& item);
  void LogCopied(Change& change, const LandUnit& item, const Shadow& shadow)
      SLUICE_REQUIRES(storage_->mutex_);
  /// The change of a table that exists, or is landed in this transaction.
  Result<Change*> ChangeOf(const TableSchema& schema);
  Result<Change*> ChangeOf(RelationId relation);
  /// The change of the landed ranges of a table, which begin with `schema` where there are none.
  Change* RangesOf(RelationId relation, const SchemaPtr& schema) SLUICE_REQUIRES(storage_->mutex_);
  Status LandRange(const LandUnit& item, const Shadow& shadow) SLUICE_REQUIRES(storage_->mutex_);
  Status CheckFence(const CommitRecord& record) const SLUICE_REQUIRES(storage_->mutex_);
  void Apply(Change& change) SLUICE_REQUIRES(storage_->mutex_);

  std::shared_ptr<MemoryStorage> storage_;
  const MemoryOptions options_;
  Capabilities capabilities_;
  bool is_open_ = false;
  bool is_read_only_ = false;
  std::uint64_t epoch_ = 0;
  std::map<RelationId, std::unique_ptr<Change>> changes_;
  std::map<RelationId, std::unique_ptr<Change>> range_changes_;
  std::vector<DropTable> dropped_;  ///< by the open transaction
  std::function<void(const Watermarks&)> listener_;
};

}  // namespace sluice::memory
