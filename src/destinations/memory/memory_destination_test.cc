#include "destinations/memory/memory_destination.h"

#include <gtest/gtest.h>

#include <utility>

#include "destinations/testing/destination_contract.h"

namespace sluice {
namespace memory {
namespace {

using testing::kKey;
using testing::kNull;
using testing::MakeRows;
using testing::MakeSchema;

class Place final : public testing::DestinationPlace {
 public:
  explicit Place(MemoryOptions options) : options_(options) {}
  std::unique_ptr<Destination> Make() override {
    return std::make_unique<MemoryDestination>(storage_, options_);
  }

 private:
  MemoryOptions options_;
  std::shared_ptr<MemoryStorage> storage_ = std::make_shared<MemoryStorage>();
};

std::unique_ptr<testing::DestinationPlace> NetPlace() {
  return std::make_unique<Place>(MemoryOptions{});
}
std::unique_ptr<testing::DestinationPlace> LogPlace() {
  return std::make_unique<Place>(MemoryOptions{.wants = Capabilities::Rows::kLog});
}

class MemoryDestinationTest : public ::testing::Test {
 protected:
  void Live(Destination& destination, const std::vector<TextRow>& rows) {
    auto writer = destination.OpenCopy({{schema_->relation, 0}, schema_, schema_->name});
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->Append({MakeRows(*schema_, rows)}));
    ASSERT_TRUE((*writer)->Finish());
    const auto staged =
        destination.Stage(LandUnit{{schema_->relation, 0}, schema_, schema_->name, Lsn{1}});
    ASSERT_TRUE(staged && !staged->table_failed);
    ASSERT_TRUE(destination.Commit({.sequence = 1}));
  }
  NetRows Net(const std::vector<TextRow>& inserts, const std::vector<TextRow>& deletes) {
    auto change = std::make_shared<NetChange>();
    change->schema = schema_;
    if (!inserts.empty()) change->inserts = MakeRows(*schema_, inserts);
    if (!deletes.empty()) change->deletes = MakeRows(*schema_, schema_->key, deletes);
    return {std::move(change)};
  }

  std::shared_ptr<MemoryStorage> storage_ = std::make_shared<MemoryStorage>();
  SchemaPtr schema_ = MakeSchema(16'384, {"public", "orders"},
                                 {{"id", Carrier::kInt64, kKey}, {"note", Carrier::kText}});
};

TEST_F(MemoryDestinationTest, KeepsTextsOfWhatWasLetGoWhileItIsSo) {
  auto schema = std::make_shared<TableSchema>(*schema_);
  schema->columns[1].on_misfit = OnMisfit::kQuarantine;
  schema_ = schema;
  MemoryDestination destination(storage_);
  ASSERT_TRUE(destination.Open({}));
  auto writer = destination.OpenCopy({{schema_->relation, 0}, schema_, schema_->name});
  ASSERT_TRUE(writer);
  const auto misfit = [](std::uint32_t row, const char* text) {
    return Misfit{.row = row,
                  .column = 1,
                  .reason = "why",
                  .text = text,
                  .commit_lsn = {},
                  .committed_at = {}};
  };
  ASSERT_TRUE((*writer)->Append({MakeRows(*schema_, {{"1", kNull}, {"2", kNull}, {"3", "c"}}),
                                 {misfit(0, "a"), misfit(1, "b")}}));
  ASSERT_TRUE((*writer)->Finish());
  ASSERT_TRUE(destination.Stage(LandUnit{{schema_->relation, 0}, schema_, schema_->name, Lsn{1}}));
  ASSERT_TRUE(destination.Commit({.sequence = 1}));
  using Kept = std::vector<MemoryStorage::Quarantined>;
  EXPECT_EQ(storage_->Quarantine(schema_->name),
            (Kept{{{"1"}, "note", "a"}, {{"2"}, "note", "b"}}));
  // 1 heals, 2 moves to 5 without its value, 3 is let go.
  auto change = std::make_shared<NetChange>();
  change->schema = schema_;
  change->update_origin_keys = MakeRows(*schema_, schema_->key, {{"1"}, {"2"}, {"3"}});
  change->update_values = MakeRows(*schema_, {{"1", "A"}, {"5", kNull}, {"3", kNull}});
  change->update_unchanged.resize(2);
  change->update_unchanged[1].Set(1);
  change->update_misfits = {misfit(2, "c")};
  const auto staged = destination.Stage(NetRows{change});
  ASSERT_TRUE(staged && !staged->table_failed);
  ASSERT_TRUE(destination.Commit({.sequence = 2}));
  EXPECT_EQ(storage_->Quarantine(schema_->name),
            (Kept{{{"3"}, "note", "c"}, {{"5"}, "note", "b"}}));
}

TEST_F(MemoryDestinationTest, AnOlderEpochMayNotCommit) {
  MemoryDestination first(storage_);
  MemoryDestination second(storage_);
  ASSERT_TRUE(first.Open({.pipeline = "shop"}));
  ASSERT_TRUE(second.Open({.pipeline = "shop"}));
  const auto outcome = first.Commit({.sequence = 1});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kStateStore);
  EXPECT_EQ(outcome.error().code, "SLU-5004");
  EXPECT_TRUE(second.Commit({.sequence = 1}));
}

TEST_F(MemoryDestinationTest, ADeleteOfNothingFailsTheTableAndTakesBackItsItemOnly) {
  MemoryDestination destination(storage_);
  ASSERT_TRUE(destination.Open({.pipeline = "shop"}));
  Live(destination, {{"1", "a"}});
  ASSERT_FALSE(destination.Stage(Net({{"2", "b"}}, {}))->table_failed);
  const auto failed = destination.Stage(Net({{"3", "c"}}, {{"1"}, {"9"}}));
  ASSERT_TRUE(failed);
  ASSERT_TRUE(failed->table_failed);
  EXPECT_EQ(failed->table_failed->relation, schema_->relation);
  EXPECT_EQ(failed->table_failed->error.code, "SLU-5112");
  ASSERT_TRUE(destination.Commit({.sequence = 2}));
  EXPECT_EQ(storage_->Rows(schema_->name), (std::vector<TextRow>{{"1", "a"}, {"2", "b"}}));
}

TEST_F(MemoryDestinationTest, AFailedItemThatBeganWithTruncateIsTakenBack) {
  MemoryDestination destination(storage_);
  ASSERT_TRUE(destination.Open({.pipeline = "shop"}));
  Live(destination, {{"1", "a"}});
  ASSERT_FALSE(destination.Stage(Net({{"2", "b"}}, {}))->table_failed);
  auto change = std::make_shared<NetChange>();
  change->schema = schema_;
  change->truncate = true;
  change->inserts = MakeRows(*schema_, {{"5", "x"}, {"5", "y"}});
  ASSERT_TRUE(destination.Stage(NetRows{change})->table_failed);
  ASSERT_TRUE(destination.Commit({.sequence = 2}));
  EXPECT_EQ(storage_->Rows(schema_->name), (std::vector<TextRow>{{"1", "a"}, {"2", "b"}}));
}

TEST_F(MemoryDestinationTest, RepeatsAreAbsorbedWhereStrictnessIsOff) {
  MemoryDestination destination(storage_, {.strict = false});
  ASSERT_TRUE(destination.Open({.pipeline = "shop"}));
  Live(destination, {{"1", "a"}});
  for (int times = 0; times < 2; ++times) {
    ASSERT_FALSE(destination.Stage(Net({{"2", "b"}}, {{"1"}}))->table_failed);
  }
  ASSERT_TRUE(destination.Commit({.sequence = 2}));
  EXPECT_EQ(storage_->Rows(schema_->name), (std::vector<TextRow>{{"2", "b"}}));
}

TEST_F(MemoryDestinationTest, RowsOfAnotherShapeFailTheTable) {
  MemoryDestination destination(storage_);
  ASSERT_TRUE(destination.Open({.pipeline = "shop"}));
  Live(destination, {});
  auto change = std::make_shared<NetChange>();
  change->schema = MakeSchema(16'384, {"public", "orders"}, {{"id", Carrier::kInt64, kKey}});
  change->inserts = MakeRows(*change->schema, {{"1"}});
  const auto staged = destination.Stage(NetRows{change});
  ASSERT_TRUE(staged);
  EXPECT_TRUE(staged->table_failed);
}

TEST_F(MemoryDestinationTest, AForeignTableIsRefusedUnlessAdopted) {
  MemoryDestination destination(storage_);
  ASSERT_TRUE(destination.Open({.pipeline = "shop"}));
  storage_->PutForeignTable(schema_->name, schema_);
  const auto refused = destination.CheckTable(*schema_, schema_->name, TableMode::kMirror, false);
  ASSERT_TRUE(refused);
  ASSERT_TRUE(*refused);
  EXPECT_EQ((*refused)->code, "SLU-5116");
  const auto adopted = destination.CheckTable(*schema_, schema_->name, TableMode::kMirror, true);
  ASSERT_TRUE(adopted);
  EXPECT_FALSE(*adopted);
}

TEST_F(MemoryDestinationTest, KeepsTheLogWhereLogRowsAreWanted) {
  MemoryDestination destination(storage_, {.wants = Capabilities::Rows::kLog});
  ASSERT_TRUE(destination.Open({.pipeline = "shop"}));
  Live(destination, {{"1", "a"}});
  auto batch = std::make_shared<ChangeBatch>();
  batch->schema = schema_;
  batch->values = MakeRows(*schema_, {{"2", "b"}, {"3", kNull}, {kNull, kNull}});
  batch->old = MakeRows(*schema_, schema_->identity_columns, {{kNull}, {"1"}, {"2"}});
  batch->has_old.Set(1);
  batch->has_old.Set(2);
  batch->kinds = {ChangeKind::kInsert, ChangeKind::kUpdate, ChangeKind::kDelete};
  batch->unchanged.resize(2);
  batch->unchanged[1].Set(1);
  batch->ordinals = {0, 1, 0};
  batch->runs = {{0, 0}, {1, 2}};
  auto marks = std::make_shared<std::vector<TransactionMark>>();
  marks->push_back({TransactionId{10}, Lsn{100}, Lsn{108}, {}});
  marks->push_back({TransactionId{11}, Lsn{200}, Lsn{208}, {}});
  ASSERT_FALSE(destination.Stage(LogRows{batch, marks})->table_failed);
  ASSERT_FALSE(destination.Stage(TruncateTable{schema_->relation, marks->at(1), 1})->table_failed);
  ASSERT_TRUE(destination.Commit({.sequence = 2}));
  const auto log = storage_->Log(schema_->name);
  ASSERT_EQ(log.size(), 5U);
  using Op = LogRow::Op;
  EXPECT_EQ(log[0].op, Op::kCopy);
  EXPECT_EQ(log[1], (LogRow{Op::kInsert, Lsn{100}, TransactionId{10}, 0, {"2", "b"}, {}, {}}));
  EXPECT_EQ(log[2],
            (LogRow{Op::kUpdate, Lsn{100}, TransactionId{10}, 1, {"3", kNull}, {"1"}, {1}}));
  EXPECT_EQ(log[3], (LogRow{Op::kDelete, Lsn{200}, TransactionId{11}, 0, {}, {"2"}, {}}));
  EXPECT_EQ(log[4], (LogRow{Op::kTruncate, Lsn{200}, TransactionId{11}, 1, {}, {}, {}}));
}

}  // namespace
}  // namespace memory

namespace testing {
INSTANTIATE_TEST_SUITE_P(Memory, DestinationContract,
                         ::testing::Values(ContractParam{"net", memory::NetPlace},
                                           ContractParam{"log", memory::LogPlace}),
                         [](const auto& param) { return param.param.name; });
}  // namespace testing
}  // namespace sluice
