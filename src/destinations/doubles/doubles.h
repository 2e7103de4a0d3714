/// \file
/// Destinations that behave as the hard ones do: decorators over any destination, for tests.
///
///   Deferred     accepted now, durable later, visible later still; what is not durable is lost in
///   a
///                crash; several commits in flight
///   Interval     visible at every n-th commit (durable at once), as with a commit a minute
///   AtLeastOnce  commits repeat the items of the commit before, and items of different tables
///                change places
///   Failing      fails the k-th call of a method with a given error
///   Slow         waits before chosen calls
///
/// Thread safety: as Destination; the members that tests call, from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "sluice/destination.h"

namespace sluice::doubles {

/// Passes every call on. The base of the others.
class Decorator : public Destination {
 public:
  explicit Decorator(std::unique_ptr<Destination> inner);
  ~Decorator() override;

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
  void Interrupt() override;
  void OnWatermark(std::function<void(const Watermarks&)> listener) override;
  Status Maintain(Clock::time_point deadline) override;
  Result<std::unique_ptr<DestinationReader>> OpenReader() override;
  Status Forget() override;
  Status Close(Clock::time_point deadline) override;

 protected:
  Destination& inner() { return *inner_; }
  Capabilities capabilities_;

 private:
  std::unique_ptr<Destination> inner_;
};

struct DeferredOptions {
  /// Commits become durable by themselves when this many are behind; 0: only by AdvanceDurable().
  std::size_t durable_behind = 0;
  /// ... and visible when this many durable ones are behind; 0: only by AdvanceVisible().
  std::size_t visible_behind = 0;
  std::size_t commits_in_flight_max = 8;
};

class Deferred final : public Decorator {
 public:
  explicit Deferred(std::unique_ptr<Destination> inner, DeferredOptions options = {});
  ~Deferred() override;

  /// The oldest `count` accepted commits become durable; returns how many did.
  std::size_t AdvanceDurable(std::size_t count);
  /// The oldest `count` durable commits become visible; returns how many did. An error of the
  /// destination below comes back from the next Commit() or Close().
  std::size_t AdvanceVisible(std::size_t count);
  /// Close() drops what is accepted and not durable, as a crash does. Default: Close() makes
  /// everything durable and visible.
  void LoseOnClose(bool lose);
  std::size_t accepted_count() const;
  std::size_t durable_count() const;

  /// What is durable becomes visible first: a landing among it needs the shadow there is.
  Result<std::unique_ptr<CopyWriter>> OpenCopy(const CopyTarget& target) override;
  Status DiscardCopy(UnitId unit) override;
  Result<StageOutcome> Stage(const SequenceItem& item) override;
  Result<CommitOutcome> Commit(const CommitRecord& record) override;
  void Abandon() override;
  void OnWatermark(std::function<void(const Watermarks&)> listener) override;
  Result<DeliveryState> Open(const OpenRequest& request) override;
  Status Close(Clock::time_point deadline) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Visible at every `every`-th commit and at Close().
std::unique_ptr<Destination> MakeInterval(std::unique_ptr<Destination> inner, std::size_t every);

/// `seed` decides the new order of items. The destination below must absorb repeats
/// (memory::MemoryOptions::strict = false).
std::unique_ptr<Destination> MakeAtLeastOnce(std::unique_ptr<Destination> inner,
                                             std::uint64_t seed);

enum class Method : std::uint8_t {
  kOpen,
  kStoreBirth,
  kOpenCopy,
  kAppend,
  kFinishCopy,
  kStage,
  kCommit,
  kOpenReader,
  kClose,
};

struct Failure {
  Method method = Method::kCommit;
  /// 1: the first call of that method.
  std::uint64_t call = 1;
  /// How many calls in a row fail.
  std::uint64_t times = 1;
  Error error = {};
  /// For kStage: fail this table only (StageOutcome::table_failed).
  bool table_only = false;
  /// For kCommit: CommitOutcome::kUnknown instead of `error`; `applied` says which of the two it
  /// really was.
  bool unknown = false;
  bool applied = false;
};

std::unique_ptr<Destination> MakeFailing(std::unique_ptr<Destination> inner, Failure failure);

/// Calls `wait` before each call of `method`; a test gives a function that blocks or counts.
std::unique_ptr<Destination> MakeSlow(std::unique_ptr<Destination> inner, Method method,
                                      std::function<void()> wait);

}  // namespace sluice::doubles
