#include "destinations/doubles/doubles.h"

#include <gtest/gtest.h>

#include <utility>

#include "destinations/memory/memory_destination.h"
#include "destinations/testing/destination_contract.h"

namespace sluice {
namespace doubles {
namespace {

using memory::MemoryDestination;
using memory::MemoryStorage;
using testing::kKey;
using testing::MakeRows;
using testing::MakeSchema;
using testing::TextRow;

using Wrap = std::function<std::unique_ptr<Destination>(std::unique_ptr<Destination>)>;

/// A double that, left alone, behaves must pass the whole contract.
class Place final : public testing::DestinationPlace {
 public:
  Place(Wrap wrap, bool strict) : wrap_(std::move(wrap)), strict_(strict) {}
  std::unique_ptr<Destination> Make() override {
    return wrap_(
        std::make_unique<MemoryDestination>(storage_, memory::MemoryOptions{.strict = strict_}));
  }

 private:
  Wrap wrap_;
  bool strict_;
  std::shared_ptr<MemoryStorage> storage_ = std::make_shared<MemoryStorage>();
};

testing::ContractParam Param(const char* name, Wrap wrap, bool strict = true) {
  return {name, [wrap, strict] { return std::make_unique<Place>(wrap, strict); }};
}

class DoublesTest : public ::testing::Test {
 protected:
  std::unique_ptr<Destination> Memory(bool strict = true) {
    return std::make_unique<MemoryDestination>(storage_, memory::MemoryOptions{.strict = strict});
  }
  void Copy(Destination& destination, const std::vector<TextRow>& rows) {
    auto writer = destination.OpenCopy({{schema_->relation, 0}, schema_, schema_->name});
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->Append({MakeRows(*schema_, rows)}));
    ASSERT_TRUE((*writer)->Finish());
  }
  SequenceItem Land() { return LandUnit{{schema_->relation, 0}, schema_, schema_->name, Lsn{1}}; }
  SequenceItem Insert(const std::string& id) {
    auto change = std::make_shared<NetChange>();
    change->schema = schema_;
    change->inserts = MakeRows(*schema_, {{id}});
    return NetRows{std::move(change)};
  }
  static CommitRecord Record(std::uint64_t n) {
    CommitRecord record;
    record.sequence = n;
    record.position = Position{Lsn{n * 100}, {}};
    return record;
  }

  std::shared_ptr<MemoryStorage> storage_ = std::make_shared<MemoryStorage>();
  SchemaPtr schema_ = MakeSchema(1, {"public", "t"}, {{"id", Carrier::kInt32, kKey}});
};

TEST_F(DoublesTest, DeferredMovesDurableAndVisibleOnlyWhenTold) {
  Deferred destination(Memory());
  Watermarks marks;
  destination.OnWatermark([&](const Watermarks& m) { marks = m; });
  ASSERT_TRUE(destination.Open({.pipeline = "p"}));
  Copy(destination, {{"1"}});
  ASSERT_TRUE(destination.Stage(Land()));
  ASSERT_TRUE(destination.Commit(Record(1)));
  ASSERT_TRUE(destination.Stage(Insert("2")));
  ASSERT_TRUE(destination.Commit(Record(2)));
  EXPECT_EQ(marks.durable_sequence, 0U);
  EXPECT_EQ(destination.AdvanceVisible(1), 0U) << "nothing is durable yet";
  EXPECT_EQ(destination.AdvanceDurable(2), 2U);
  EXPECT_EQ(marks.durable_sequence, 2U);
  EXPECT_EQ(marks.visible_sequence, 0U);
  EXPECT_EQ(destination.AdvanceVisible(1), 1U);
  EXPECT_EQ(marks.visible_sequence, 1U);
  EXPECT_EQ(storage_->Rows(schema_->name), (std::vector<TextRow>{{"1"}}));
}

TEST_F(DoublesTest, DeferredLosesWhatIsNotDurableAndKeepsWhatIs) {
  {
    Deferred destination(Memory());
    ASSERT_TRUE(destination.Open({.pipeline = "p"}));
    Copy(destination, {{"1"}});
    ASSERT_TRUE(destination.Stage(Land()));
    ASSERT_TRUE(destination.Commit(Record(1)));
    ASSERT_TRUE(destination.Stage(Insert("2")));
    ASSERT_TRUE(destination.Commit(Record(2)));
    destination.AdvanceDurable(1);
    destination.LoseOnClose(true);
    ASSERT_TRUE(destination.Close(Clock::now()));
  }
  EXPECT_EQ(storage_->Rows(schema_->name), (std::vector<TextRow>{{"1"}}));
  Deferred destination(Memory());
  const auto state = destination.Open({.pipeline = "p"});
  ASSERT_TRUE(state);
  EXPECT_EQ(state->position->lsn, Lsn{100});
}

TEST_F(DoublesTest, DeferredFollowsByItselfWhereAsked) {
  Deferred destination(Memory(), {.durable_behind = 2, .visible_behind = 1});
  Watermarks marks;
  destination.OnWatermark([&](const Watermarks& m) { marks = m; });
  ASSERT_TRUE(destination.Open({.pipeline = "p"}));
  for (std::uint64_t n = 1; n <= 5; ++n) ASSERT_TRUE(destination.Commit(Record(n)));
  EXPECT_EQ(marks.durable_sequence, 4U);
  EXPECT_EQ(marks.visible_sequence, 4U);
}

TEST_F(DoublesTest, DeferredRefusesMoreCommitsInFlightThanAgreed) {
  Deferred destination(Memory(), {.commits_in_flight_max = 2});
  ASSERT_TRUE(destination.Open({.pipeline = "p"}));
  ASSERT_TRUE(destination.Commit(Record(1)));
  ASSERT_TRUE(destination.Commit(Record(2)));
  EXPECT_FALSE(destination.Commit(Record(3)));
}

TEST_F(DoublesTest, IntervalIsVisibleAtEveryThirdCommit) {
  const auto destination = MakeInterval(Memory(), 3);
  Watermarks marks;
  destination->OnWatermark([&](const Watermarks& m) { marks = m; });
  ASSERT_TRUE(destination->Open({.pipeline = "p"}));
  for (std::uint64_t n = 1; n <= 4; ++n) {
    ASSERT_TRUE(destination->Commit(Record(n)));
    EXPECT_EQ(marks.durable_sequence, n);
    EXPECT_EQ(marks.visible_sequence, n < 3 ? 0U : 3U);
  }
}

TEST_F(DoublesTest, AtLeastOnceRepeatsTheCommitBefore) {
  // A keyless table shows repeats.
  schema_ = MakeSchema(1, {"public", "t"}, {{"id", Carrier::kInt32}}, ReplicaIdentity::kFull);
  const auto destination = MakeAtLeastOnce(Memory(), 1);
  ASSERT_TRUE(destination->Open({.pipeline = "p"}));
  Copy(*destination, {});
  ASSERT_TRUE(destination->Stage(Land()));
  ASSERT_TRUE(destination->Commit(Record(1)));
  ASSERT_TRUE(destination->Stage(Insert("7")));
  ASSERT_TRUE(destination->Commit(Record(2)));
  ASSERT_TRUE(destination->Commit(Record(3)));
  EXPECT_EQ(storage_->Rows(schema_->name), (std::vector<TextRow>{{"7"}, {"7"}}));
}

TEST_F(DoublesTest, FailingFailsTheCallItWasToldAndNoOther) {
  const auto destination =
      MakeFailing(Memory(), {.method = Method::kCommit,
                             .call = 2,
                             .error = {.kind = ErrorKind::kConnection, .message = "gone"}});
  ASSERT_TRUE(destination->Open({.pipeline = "p"}));
  EXPECT_TRUE(destination->Commit(Record(1)));
  const auto failed = destination->Commit(Record(2));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::kConnection);
  EXPECT_TRUE(destination->Commit(Record(2)));
}

TEST_F(DoublesTest, AnUnknownCommitMayOrMayNotBeIn) {
  for (const bool applied : {false, true}) {
    storage_ = std::make_shared<MemoryStorage>();
    const auto destination =
        MakeFailing(Memory(), {.method = Method::kCommit, .unknown = true, .applied = applied});
    ASSERT_TRUE(destination->Open({.pipeline = "p"}));
    const auto outcome = destination->Commit(Record(1));
    ASSERT_TRUE(outcome);
    EXPECT_EQ(*outcome, CommitOutcome::kUnknown);
    EXPECT_EQ(storage_->State().position.has_value(), applied);
  }
}

TEST_F(DoublesTest, FailingFailsOneTableOrACopy) {
  auto destination = MakeFailing(
      Memory(), {.method = Method::kStage, .error = {.message = "x"}, .table_only = true});
  ASSERT_TRUE(destination->Open({.pipeline = "p"}));
  const auto staged = destination->Stage(Insert("1"));
  ASSERT_TRUE(staged);
  ASSERT_TRUE(staged->table_failed);
  EXPECT_EQ(staged->table_failed->relation, schema_->relation);

  destination = MakeFailing(Memory(), {.method = Method::kAppend, .error = {.message = "x"}});
  ASSERT_TRUE(destination->Open({.pipeline = "p"}));
  auto writer = destination->OpenCopy({{schema_->relation, 0}, schema_, schema_->name});
  ASSERT_TRUE(writer);
  EXPECT_FALSE((*writer)->Append({MakeRows(*schema_, {{"1"}})}));
  EXPECT_TRUE((*writer)->Append({MakeRows(*schema_, {{"1"}})}));
}

TEST_F(DoublesTest, SlowWaitsBeforeItsMethodOnly) {
  int waits = 0;
  const auto destination = MakeSlow(Memory(), Method::kCommit, [&] { ++waits; });
  ASSERT_TRUE(destination->Open({.pipeline = "p"}));
  EXPECT_EQ(waits, 0);
  ASSERT_TRUE(destination->Commit(Record(1)));
  ASSERT_TRUE(destination->Commit(Record(2)));
  EXPECT_EQ(waits, 2);
}

}  // namespace
}  // namespace doubles

namespace testing {
using Inner = std::unique_ptr<Destination>;
INSTANTIATE_TEST_SUITE_P(
    Doubles, DestinationContract,
    ::testing::Values(
        doubles::Param("deferred_that_follows",
                       [](Inner inner) {
                         return std::make_unique<doubles::Deferred>(
                             std::move(inner),
                             doubles::DeferredOptions{.durable_behind = 1, .visible_behind = 1});
                       }),
        doubles::Param("interval_of_one",
                       [](Inner inner) { return doubles::MakeInterval(std::move(inner), 1); }),
        doubles::Param(
            "at_least_once",
            [](Inner inner) { return doubles::MakeAtLeastOnce(std::move(inner), 7); }, false),
        doubles::Param("slow",
                       [](Inner inner) {
                         return doubles::MakeSlow(std::move(inner), doubles::Method::kCommit,
                                                  [] {});
                       })),
    [](const auto& param) { return param.param.name; });
}  // namespace testing
}  // namespace sluice
