#include "destinations/null/null_destination.h"

#include <gtest/gtest.h>

#include <utility>

#include "destinations/testing/destination_contract.h"
#include "stores/memory_state_store.h"
#include "stores/stateful_destination.h"

namespace sluice {
namespace null {
namespace {

using testing::kKey;
using testing::MakeRows;
using testing::MakeSchema;

/// As the program uses it: with a store beside it.
class Place final : public testing::DestinationPlace {
 public:
  std::unique_ptr<Destination> Make() override {
    return stores::MakeStatefulDestination(std::make_unique<NullDestination>(),
                                           std::make_unique<stores::MemoryStateStore>(memory_));
  }

 private:
  std::shared_ptr<stores::MemoryState> memory_ = std::make_shared<stores::MemoryState>();
};

std::unique_ptr<testing::DestinationPlace> MakePlace() {
  return std::make_unique<Place>();
}

TEST(NullDestination, CountsWhatWasCommittedAndNotWhatWasAbandoned) {
  const SchemaPtr schema = MakeSchema(1, {"public", "t"}, {{"id", Carrier::kInt32, kKey}});
  NullDestination destination;
  ASSERT_TRUE(destination.Open({.pipeline = "p"}));
  auto writer = destination.OpenCopy({{schema->relation, 0}, schema, schema->name});
  ASSERT_TRUE(writer);
  ASSERT_TRUE((*writer)->Append({MakeRows(*schema, {{"1"}, {"2"}})}));
  EXPECT_EQ(destination.counts().copied_rows, 0U);
  ASSERT_TRUE((*writer)->Finish());

  auto batch = std::make_shared<ChangeBatch>();
  batch->schema = schema;
  batch->values = MakeRows(*schema, {{"3"}});
  batch->ordinals = {0};
  const LogRows rows{batch, std::make_shared<std::vector<TransactionMark>>(1)};
  ASSERT_TRUE(destination.Stage(rows));
  destination.Abandon();
  ASSERT_TRUE(destination.Stage(rows));
  ASSERT_TRUE(destination.Stage(rows));
  ASSERT_TRUE(destination.Commit({.sequence = 1}));
  EXPECT_EQ(destination.counts().copied_rows, 2U);
  EXPECT_EQ(destination.counts().rows, 2U);
  EXPECT_EQ(destination.counts().commits, 1U);
  const auto reader = destination.OpenReader();
  ASSERT_TRUE(reader);
  EXPECT_EQ(*reader, nullptr);
}

}  // namespace
}  // namespace null

namespace testing {
INSTANTIATE_TEST_SUITE_P(Null, DestinationContract,
                         ::testing::Values(ContractParam{"with_store", null::MakePlace}),
                         [](const auto& param) { return param.param.name; });
}  // namespace testing
}  // namespace sluice
