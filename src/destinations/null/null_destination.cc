#include "destinations/null/null_destination.h"

#include <arrow/record_batch.h>

#include <utility>

namespace sluice::null {
namespace {

using Counter = std::shared_ptr<std::atomic<std::uint64_t>>;

std::uint64_t RowsIn(const RowsPtr& rows) {
  return rows == nullptr ? 0 : static_cast<std::uint64_t>(rows->num_rows());
}

std::uint64_t RowsIn(const SequenceItem& item) {
  if (const auto* log = std::get_if<LogRows>(&item)) return log->batch->row_count();
  if (const auto* net = std::get_if<NetRows>(&item)) {
    const NetChange& change = *net->change;
    return RowsIn(change.deletes) + RowsIn(change.update_values) + RowsIn(change.inserts) +
           RowsIn(change.row_deletes);
  }
  return 0;  // it wants log rows: no HistoryRows come
}

class CountingWriter final : public CopyWriter {
 public:
  explicit CountingWriter(Counter total) : total_(std::move(total)) {}

  Status Append(const CopiedRows& copied) override {
    rows_ += RowsIn(copied.rows);
    return {};
  }
  Status Finish() override {
    total_->fetch_add(std::exchange(rows_, 0));
    return {};
  }

 private:
  Counter total_;
  std::uint64_t rows_ = 0;
};

}  // namespace

NullDestination::NullDestination() : copied_rows_(std::make_shared<std::atomic<std::uint64_t>>(0)) {
  capabilities_.wants = Capabilities::Rows::kLog;
  capabilities_.fencing = Capabilities::Fencing::kNone;
  capabilities_.holds_state = false;
  capabilities_.keeps_rows = false;
}

Result<DeliveryState> NullDestination::Open(const OpenRequest& /*request*/) {
  Abandon();
  return DeliveryState{};
}

Status NullDestination::StoreBirth(const Birth& /*birth*/) {
  return {};
}

Result<std::optional<Error>> NullDestination::CheckTable(const TableSchema& /*schema*/,
                                                         const TableName& /*destination*/,
                                                         TableMode /*mode*/, bool /*adopt*/) {
  return std::optional<Error>();
}

Result<std::unique_ptr<CopyWriter>> NullDestination::OpenCopy(const CopyTarget& /*target*/) {
  return std::unique_ptr<CopyWriter>(std::make_unique<CountingWriter>(copied_rows_));
}

Status NullDestination::DiscardCopy(UnitId /*unit*/) {
  return {};
}

Result<StageOutcome> NullDestination::Stage(const SequenceItem& item) {
  staged_rows_ += RowsIn(item);
  return StageOutcome{};
}

Result<CommitOutcome> NullDestination::Commit(const CommitRecord& record) {
  rows_.fetch_add(staged_rows_);
  commits_.fetch_add(1);
  Abandon();
  if (listener_) listener_(Watermarks{record.sequence, record.sequence});
  return CommitOutcome::kAccepted;
}

void NullDestination::Abandon() {
  staged_rows_ = 0;
}

void NullDestination::OnWatermark(std::function<void(const Watermarks&)> listener) {
  listener_ = std::move(listener);
}

Status NullDestination::Maintain(Clock::time_point /*deadline*/) {
  return {};
}

Result<std::unique_ptr<DestinationReader>> NullDestination::OpenReader() {
  return std::unique_ptr<DestinationReader>();
}

Status NullDestination::Forget() {
  return {};
}

Status NullDestination::Close(Clock::time_point /*deadline*/) {
  Abandon();
  return {};
}

Counts NullDestination::counts() const {
  return {commits_.load(), rows_.load(), copied_rows_->load()};
}

}  // namespace sluice::null
