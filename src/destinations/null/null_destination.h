/// \file
/// `null:`: takes everything, keeps nothing. Its state belongs into a StateStore
/// (stores/stateful_destination.h), so that it goes on where it stopped.
///
/// Items go the same way as at a destination that writes, are counted, and gone. Thread safety: as
/// Destination; counts() from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "sluice/destination.h"

namespace sluice::null {

/// What was committed since construction.
struct Counts {
  std::uint64_t commits = 0;
  std::uint64_t rows = 0;
  std::uint64_t copied_rows = 0;
};

class NullDestination final : public Destination {
 public:
  NullDestination();

  const Capabilities& capabilities() const override { return capabilities_; }
  /// Always an empty state with epoch 0: it holds none.
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
  /// nullptr: there is no read side.
  Result<std::unique_ptr<DestinationReader>> OpenReader() override;
  Status Forget() override;
  Status Close(Clock::time_point deadline) override;

  Counts counts() const;

 private:
  Capabilities capabilities_;
  std::uint64_t staged_rows_ = 0;
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> rows_{0};
  /// Shared with copy writers, which may outlive a re-open.
  std::shared_ptr<std::atomic<std::uint64_t>> copied_rows_;
  std::function<void(const Watermarks&)> listener_;
};

}  // namespace sluice::null
