// The part of the contract about tables that are copied in ranges: landed ones are kept aside, take
// changes, survive a crash, and are the table with the last of them.
#include <memory>
#include <utility>

#include "destinations/testing/destination_contract.h"

#define SLUICE_NEEDS_RANGES() \
  OpenIt();                   \
  if (!destination_->capabilities().lands_ranges) GTEST_SKIP() << "lands no ranges"

namespace sluice::testing {

void AnchorContractRanges() {}

namespace {

using Rows = std::vector<TextRow>;
using Part = LandUnit::Part;

SchemaPtr Orders() {
  return MakeSchema(16'384, {"public", "orders"},
                    {{"id", Carrier::kInt64, kKey}, {"note", Carrier::kText}});
}

class Ranges {
 public:
  explicit Ranges(std::unique_ptr<Destination>& destination) : destination_(destination) {}

  void Copy(std::uint32_t index, const Rows& rows) {
    std::unique_ptr<CopyWriter> writer;
    Begin(index, rows, writer);
    ASSERT_TRUE(writer->Finish());
  }
  void Begin(std::uint32_t index, const Rows& rows, std::unique_ptr<CopyWriter>& writer) {
    auto opened =
        destination_->OpenCopy({{schema_->relation, index}, schema_, schema_->name, Planned()});
    ASSERT_TRUE(opened) << opened.error().message << " " << opened.error().server_message;
    const Status appended = (*opened)->Append({MakeRows(*schema_, rows)});
    ASSERT_TRUE(appended) << appended.error().message << " " << appended.error().server_message;
    writer = *std::move(opened);
  }
  void Discard(std::uint32_t index) {
    const Status discarded = destination_->DiscardCopy({schema_->relation, index});
    ASSERT_TRUE(discarded) << discarded.error().message << " " << discarded.error().server_message;
  }
  void Land(std::uint32_t index, Part part) {
    const auto staged = destination_->Stage(LandUnit{.unit = {schema_->relation, index},
                                                     .schema = schema_,
                                                     .destination = schema_->name,
                                                     .lsn = Lsn{1},
                                                     .part = part});
    ASSERT_TRUE(staged) << staged.error().message << " " << staged.error().server_message;
    ASSERT_FALSE(staged->table_failed) << staged->table_failed->error.message;
  }
  void Change(NetChange change) {
    change.schema = schema_;
    const auto staged = destination_->Stage(
        NetRows{.change = std::make_shared<const NetChange>(std::move(change)), .of_ranges = true});
    ASSERT_TRUE(staged) << staged.error().message << " " << staged.error().server_message;
    ASSERT_FALSE(staged->table_failed) << staged->table_failed->error.message;
  }
  NetChange Inserts(const Rows& rows) {
    NetChange change;
    change.inserts = MakeRows(*schema_, rows);
    return change;
  }
  NetChange Updates(const Rows& keys, const Rows& rows) {
    NetChange change;
    change.update_origin_keys = MakeRows(*schema_, schema_->key, keys);
    change.update_values = MakeRows(*schema_, rows);
    return change;
  }
  NetChange Deletes(const Rows& keys) {
    NetChange change;
    change.deletes = MakeRows(*schema_, schema_->key, keys);
    return change;
  }
  /// `table` as it is live.
  void Commit(CommitRecord record, TableRecord table, std::vector<bool> landed,
              bool is_new = true) {
    table.state = TableState::kCopying;
    if (is_new) table.schema = nullptr;
    if (!landed.empty()) {
      table.ranges = Planned();
      table.ranges->landed = std::move(landed);
      table.ranges->row_count = 3;
    }
    record.tables = {table};
    const auto outcome = destination_->Commit(record);
    ASSERT_TRUE(outcome) << outcome.error().message << " " << outcome.error().server_message;
  }

 private:
  CopyRanges Planned() const {
    return {.attnum = 1,
            .bounds = {10, 20},
            .landed = {false, false, false},
            .schema = schema_,
            .row_count = 0};
  }

  std::unique_ptr<Destination>& destination_;  // as it is opened again
  const SchemaPtr schema_ = Orders();
};

TEST_P(DestinationContract, LandedRangesTakeChangesAndAreTheTableWithTheLast) {
  SLUICE_NEEDS_RANGES();
  const SchemaPtr schema = Orders();
  Ranges ranges(destination_);
  MakeLive(schema, {{"99", "of before"}});
  ranges.Copy(1, {{"11", "a"}, {"12", "b"}});
  ranges.Copy(0, {{"1", "x"}, {"2", "y"}});
  ranges.Land(1, Part::kRange);
  ranges.Commit(NextRecord(), RecordOf(schema), {false, true, false}, false);
  ranges.Change(ranges.Updates({{"12"}}, {{"12", "changed"}}));
  ranges.Change(ranges.Inserts({{"13", "new"}}));
  ranges.Commit(NextRecord(), RecordOf(schema), {false, true, false}, false);
  ranges.Land(0, Part::kRange);
  ranges.Change(ranges.Deletes({{"2"}}));
  ranges.Commit(NextRecord(), RecordOf(schema), {true, true, false}, false);
  EXPECT_EQ(ReadRows(schema), (Rows{{"99", "of before"}}));
  ranges.Change(ranges.Updates({{"1"}}, {{"14", "moved"}}));
  ranges.Commit(NextRecord(), RecordOf(schema), {true, true, false}, false);
  ranges.Copy(2, {{"21", "z"}});
  ranges.Land(2, Part::kLastRange);
  StageNet([&] {
    NetChange change = ranges.Updates({{"21"}, {"11"}}, {{"21", "held"}, {"11", "applied"}});
    change.schema = schema;
    return change;
  }());
  CommitNow(schema);
  const Rows rows{
      {"11", "applied"}, {"12", "changed"}, {"13", "new"}, {"14", "moved"}, {"21", "held"}};
  EXPECT_EQ(ReadRows(schema), rows);
  CrashAndReopen();
  EXPECT_EQ(ReadRows(schema), rows);
}

TEST_P(DestinationContract, LandedRangesSurviveACrashWithWhatIsKnownOfThem) {
  SLUICE_NEEDS_RANGES();
  const SchemaPtr schema = Orders();
  Ranges ranges(destination_);
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  ranges.Copy(0, {{"1", "x"}});
  ranges.Land(0, Part::kRange);
  ranges.Commit(NextRecord(), RecordOf(schema), {true, false, false});
  ranges.Change(ranges.Updates({{"1"}}, {{"1", "changed"}}));
  ranges.Commit(NextRecord(), RecordOf(schema), {true, false, false});
  ranges.Copy(1, {{"11", "lost"}});
  DeliveryState state = CrashAndReopen();
  ASSERT_EQ(state.tables.size(), 1U);
  ASSERT_TRUE(state.tables[0].ranges);
  const CopyRanges& known = *state.tables[0].ranges;
  EXPECT_EQ(known.attnum, 1);
  EXPECT_EQ(known.bounds, (std::vector<std::int64_t>{10, 20}));
  EXPECT_EQ(known.landed, (std::vector<bool>{true, false, false}));
  ASSERT_NE(known.schema, nullptr);
  EXPECT_EQ(known.schema->columns, schema->columns);
  ranges.Copy(1, {{"12", "again"}});
  ranges.Land(1, Part::kRange);
  ranges.Change(ranges.Inserts({{"2", "later"}}));
  ranges.Commit(NextRecord(), RecordOf(schema), {true, true, false});
  ranges.Copy(2, {});
  ranges.Land(2, Part::kLastRange);
  CommitNow(schema);
  EXPECT_EQ(ReadRows(schema), (Rows{{"1", "changed"}, {"12", "again"}, {"2", "later"}}));
}

TEST_P(DestinationContract, AnAbandonedLandingLeavesTheOtherRangesAndItsCopy) {
  SLUICE_NEEDS_RANGES();
  const SchemaPtr schema = Orders();
  Ranges ranges(destination_);
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  ranges.Copy(0, {{"1", "x"}});
  ranges.Land(0, Part::kRange);
  ranges.Commit(NextRecord(), RecordOf(schema), {true, false, false});
  ranges.Copy(1, {{"11", "a"}});
  ranges.Land(1, Part::kRange);
  ranges.Change(ranges.Deletes({{"11"}}));
  destination_->Abandon();
  ranges.Land(1, Part::kRange);
  ranges.Commit(NextRecord(), RecordOf(schema), {true, true, false});
  ranges.Copy(2, {{"21", "z"}});
  ranges.Land(2, Part::kLastRange);
  destination_->Abandon();
  ranges.Land(2, Part::kLastRange);
  CommitNow(schema);
  EXPECT_EQ(ReadRows(schema), (Rows{{"1", "x"}, {"11", "a"}, {"21", "z"}}));
}

TEST_P(DestinationContract, ARangeThatIsCopiedAgainHasTheRowsOfTheLastTry) {
  SLUICE_NEEDS_RANGES();
  const SchemaPtr schema = Orders();
  Ranges ranges(destination_);
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  ranges.Copy(0, {{"1", "x"}});
  std::unique_ptr<CopyWriter> given_up;
  ranges.Begin(1, {{"11", "not finished"}}, given_up);
  given_up.reset();
  ranges.Discard(1);
  ranges.Copy(1, {{"12", "finished"}});
  ranges.Discard(1);
  ranges.Copy(1, {{"13", "landed"}});
  ranges.Copy(2, {{"21", "z"}});
  ranges.Land(0, Part::kRange);
  ranges.Land(1, Part::kRange);
  ranges.Commit(NextRecord(), RecordOf(schema), {true, true, false});
  ranges.Land(2, Part::kLastRange);
  CommitNow(schema);
  EXPECT_EQ(ReadRows(schema), (Rows{{"1", "x"}, {"13", "landed"}, {"21", "z"}}));
}

TEST_P(DestinationContract, LandedRangesAreForgottenWhenTheRecordHasThemNoMore) {
  SLUICE_NEEDS_RANGES();
  const SchemaPtr schema = Orders();
  Ranges ranges(destination_);
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  ranges.Copy(0, {{"1", "x"}});
  ranges.Land(0, Part::kRange);
  ranges.Commit(NextRecord(), RecordOf(schema), {true, false, false});
  ranges.Commit(NextRecord(), RecordOf(schema), {});
  ranges.Copy(0, {{"5", "again"}});
  ranges.Land(0, Part::kRange);
  ranges.Commit(NextRecord(), RecordOf(schema), {true, false, false});
  CrashAndReopen();
  ranges.Copy(1, {{"11", "a"}});
  ranges.Land(1, Part::kLastRange);
  CommitNow(schema);
  EXPECT_EQ(ReadRows(schema), (Rows{{"11", "a"}, {"5", "again"}}));
}

}  // namespace

}  // namespace sluice::testing
