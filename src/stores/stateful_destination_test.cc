#include "stores/stateful_destination.h"

#include <gtest/gtest.h>

#include "destinations/null/null_destination.h"
#include "stores/memory_state_store.h"

namespace sluice::stores {
namespace {

/// Says when commits are durable only when told to.
class LateDestination final : public Destination {
 public:
  explicit LateDestination(std::function<void(const Watermarks&)>* listener) : listener_(listener) {
    capabilities_.holds_state = false;
    capabilities_.commits_in_flight_max = 4;
  }
  const Capabilities& capabilities() const override { return capabilities_; }
  Result<DeliveryState> Open(const OpenRequest& r) override { return null_.Open(r); }
  Status StoreBirth(const Birth& b) override { return null_.StoreBirth(b); }
  Result<std::optional<Error>> CheckTable(const TableSchema& s, const TableName& n, TableMode m,
                                          bool a) override {
    return null_.CheckTable(s, n, m, a);
  }
  Result<std::unique_ptr<CopyWriter>> OpenCopy(const CopyTarget& t) override {
    return null_.OpenCopy(t);
  }
  Status DiscardCopy(UnitId u) override { return null_.DiscardCopy(u); }
  Result<StageOutcome> Stage(const SequenceItem& i) override { return null_.Stage(i); }
  Result<CommitOutcome> Commit(const CommitRecord& r) override { return null_.Commit(r); }
  void Abandon() override { null_.Abandon(); }
  void Interrupt() override { (*listener_)({.durable_sequence = 99}); }  // so that a test sees it
  void OnWatermark(std::function<void(const Watermarks&)> l) override { *listener_ = std::move(l); }
  Status Maintain(Clock::time_point d) override { return null_.Maintain(d); }
  Result<std::unique_ptr<DestinationReader>> OpenReader() override { return null_.OpenReader(); }
  Status Forget() override { return null_.Forget(); }
  Status Close(Clock::time_point d) override { return null_.Close(d); }

 private:
  Capabilities capabilities_;
  null::NullDestination null_;
  std::function<void(const Watermarks&)>* listener_;
};

TEST(StatefulDestination, PassesAnInterruptOn) {
  std::function<void(const Watermarks&)> inner;
  auto destination =
      MakeStatefulDestination(std::make_unique<LateDestination>(&inner),
                              std::make_unique<MemoryStateStore>(std::make_shared<MemoryState>()));
  bool was_interrupted = false;
  inner = [&](const Watermarks&) { was_interrupted = true; };
  destination->Interrupt();
  EXPECT_TRUE(was_interrupted);
}

TEST(StatefulDestination, StoresAPositionOnlyWhenItsRowsAreDurable) {
  std::function<void(const Watermarks&)> inner;
  auto memory = std::make_shared<MemoryState>();
  auto destination = MakeStatefulDestination(std::make_unique<LateDestination>(&inner),
                                             std::make_unique<MemoryStateStore>(memory));
  Watermarks seen;
  destination->OnWatermark([&](const Watermarks& marks) { seen = marks; });
  EXPECT_TRUE(destination->capabilities().holds_state);
  EXPECT_FALSE(destination->capabilities().commits_atomically);
  ASSERT_TRUE(destination->Open({.pipeline = "shop"}));
  ASSERT_TRUE(destination->Commit({.sequence = 1, .position = Position{Lsn{10}, {}}}));
  ASSERT_TRUE(destination->Commit({.sequence = 2, .position = Position{Lsn{20}, {}}}));
  EXPECT_FALSE(memory->state.position);
  inner({.durable_sequence = 1, .visible_sequence = 2});
  ASSERT_TRUE(memory->state.position);
  EXPECT_EQ(memory->state.position->lsn, Lsn{10});
  EXPECT_EQ(seen.durable_sequence, 1U);
  EXPECT_EQ(seen.visible_sequence, 2U);
  inner({.durable_sequence = 2, .visible_sequence = 2});
  EXPECT_EQ(memory->state.position->lsn, Lsn{20});
  EXPECT_EQ(seen.durable_sequence, 2U);
}

TEST(StatefulDestination, AFailedStoreStopsLaterCommitsAndTheWatermark) {
  std::function<void(const Watermarks&)> inner;
  auto memory = std::make_shared<MemoryState>();
  auto destination = MakeStatefulDestination(std::make_unique<LateDestination>(&inner),
                                             std::make_unique<MemoryStateStore>(memory));
  Watermarks seen;
  destination->OnWatermark([&](const Watermarks& marks) { seen = marks; });
  ASSERT_TRUE(destination->Open({.pipeline = "shop"}));
  ASSERT_TRUE(destination->Commit({.sequence = 1, .position = Position{Lsn{10}, {}}}));
  memory->state.epoch = 99;  // another writer
  inner({.durable_sequence = 1, .visible_sequence = 1});
  EXPECT_EQ(seen.durable_sequence, 0U);
  const auto refused = destination->Commit({.sequence = 2, .position = Position{Lsn{20}, {}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "SLU-5004");
}

}  // namespace
}  // namespace sluice::stores
