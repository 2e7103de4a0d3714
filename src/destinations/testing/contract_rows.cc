// The part of the contract about rows: needs a destination that takes net rows and gives rows back.
#include <algorithm>
#include <utility>

#include "destinations/testing/destination_contract.h"

#define SLUICE_NEEDS_ROWS() \
  OpenIt();                 \
  if (!keeps_net_rows()) GTEST_SKIP() << "keeps no net rows"

namespace sluice::testing {

void AnchorContractRows() {}

namespace {

using Rows = std::vector<TextRow>;

SchemaPtr Orders() {
  return MakeSchema(
      16'384, {"public", "orders"},
      {{"id", Carrier::kInt64, kKey}, {"note", Carrier::kText}, {"big", Carrier::kText}});
}

SchemaPtr Keyless() {
  return MakeSchema(
      16'390, {"public", "events"},
      {{"at", Carrier::kTimestampTz}, {"what", Carrier::kText}, {"weight", Carrier::kFloat64}},
      ReplicaIdentity::kFull);
}

NetChange Inserts(const SchemaPtr& schema, const Rows& rows) {
  NetChange change;
  change.schema = schema;
  change.inserts = MakeRows(*schema, rows);
  return change;
}

NetChange Updates(const SchemaPtr& schema, const Rows& origin_keys, const Rows& values) {
  NetChange change;
  change.schema = schema;
  change.update_origin_keys = MakeRows(*schema, schema->key, origin_keys);
  change.update_values = MakeRows(*schema, values);
  return change;
}

NetChange Deletes(const SchemaPtr& schema, const Rows& keys) {
  NetChange change;
  change.schema = schema;
  change.deletes = MakeRows(*schema, schema->key, keys);
  return change;
}

}  // namespace

TEST_P(DestinationContract, CopiedRowsBecomeTheTableWhenTheyLand) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  const Rows rows{{"1", "a", kNull}, {"2", kNull, "x"}, {"9223372036854775807", "", "y"}};
  MakeLive(orders, rows);
  EXPECT_EQ(ReadRows(orders), rows);
  const DeliveryState state = Reopen();
  ASSERT_EQ(state.tables.size(), 1U);
  EXPECT_TRUE(SameShape(*state.tables[0].schema, *orders));
  EXPECT_EQ(ReadRows(orders), rows);
}

TEST_P(DestinationContract, AnEmptyTableLandsToo) {
  SLUICE_NEEDS_ROWS();
  MakeLive(Orders(), {});
  EXPECT_TRUE(ReadRows(Orders()).empty());
}

TEST_P(DestinationContract, AnUnlandedCopyDoesNotShowAndGoesWithACrash) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", kNull}});
  CopyRows(orders, {{"5", "new", kNull}});
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "a", kNull}}));
  CrashAndReopen();
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "a", kNull}}));
  // Such a destination finds out after the commit.
  if (destination_->capabilities().commits_in_flight_max > 1) return;
  const auto staged =
      destination_->Stage(LandUnit{{orders->relation, 0}, orders, orders->name, Lsn{lsn_}});
  const bool is_refused = !staged || staged->table_failed || !destination_->Commit(NextRecord());
  EXPECT_TRUE(is_refused) << "the shadow is still there";
  destination_->Abandon();
}

TEST_P(DestinationContract, ACopyBegunAgainHasOnlyTheNewRows) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  ASSERT_NO_FATAL_FAILURE(MakeLive(orders, {{"1", "a", kNull}}));
  CopyRows(orders, {{"5", "first", kNull}});
  ASSERT_TRUE(destination_->DiscardCopy({orders->relation, 0}));
  CopyRows(orders, {{"6", "dropped", kNull}});
  CopyRows(orders, {{"7", "second", kNull}});
  StageLand(orders);
  CommitNow(orders);
  EXPECT_EQ(ReadRows(orders), (Rows{{"7", "second", kNull}}));
}

TEST_P(DestinationContract, LandingReplacesTheTableAndTakesRowsInTheSameCommit) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "old", kNull}, {"2", "old", kNull}});
  CopyRows(orders, {{"1", "copied", kNull}, {"3", "copied", "z"}});
  StageLand(orders);
  NetChange change = Inserts(orders, {{"4", "held", kNull}});
  change.deletes = MakeRows(*orders, orders->key, {{"1"}});
  StageNet(std::move(change));
  CommitNow(orders);
  EXPECT_EQ(ReadRows(orders), (Rows{{"3", "copied", "z"}, {"4", "held", kNull}}));
}

TEST_P(DestinationContract, InsertsUpdatesAndDeletesApply) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", kNull}, {"2", "b", "x"}, {"3", "c", "y"}});
  StageNet(Inserts(orders, {{"4", "d", kNull}}));
  StageNet(Updates(orders, {{"2"}}, {{"2", "B", kNull}}));
  StageNet(Deletes(orders, {{"1"}}));
  CommitNow(orders);
  const Rows want{{"2", "B", kNull}, {"3", "c", "y"}, {"4", "d", kNull}};
  EXPECT_EQ(ReadRows(orders), want);
  Reopen();
  EXPECT_EQ(ReadRows(orders), want);
}

TEST_P(DestinationContract, ARepairTakesWhatIsUnderItsKeysAndMissesNothing) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", kNull}, {"2", "b", "x"}});
  NetChange change = Inserts(orders, {{"2", "B", kNull}, {"3", "c", "y"}});
  change.deletes_any = true;
  change.deletes = MakeRows(*orders, orders->key, {{"2"}, {"3"}, {"4"}});
  StageNet(std::move(change));
  CommitNow(orders);
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "a", kNull}, {"2", "B", kNull}, {"3", "c", "y"}}));
}

TEST_P(DestinationContract, NothingOfAnAbandonedTransactionStays) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", kNull}});
  StageNet(Inserts(orders, {{"2", "b", kNull}}));
  StageNet(Deletes(orders, {{"1"}}));
  destination_->Abandon();
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "a", kNull}}));
  StageNet(Inserts(orders, {{"2", "c", kNull}}));
  CommitNow(orders);
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "a", kNull}, {"2", "c", kNull}}));
}

TEST_P(DestinationContract, StagedRowsDoNotShowAndAreGoneAfterACrash) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", kNull}});
  const std::uint64_t stored = lsn_;
  StageNet(Inserts(orders, {{"2", "b", kNull}}));
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "a", kNull}}));
  const DeliveryState state = CrashAndReopen();
  EXPECT_EQ(state.position->lsn, Lsn{stored});
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "a", kNull}}));
}

TEST_P(DestinationContract, UnchangedCellsKeepWhatIsThere) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", "toast1"}, {"2", "b", "toast2"}, {"3", "c", "toast3"}});
  NetChange change = Updates(orders, {{"1"}, {"2"}, {"3"}},
                             {{"1", "A", kNull}, {"2", "B", kNull}, {"30", "C", kNull}});
  change.update_unchanged.resize(3);
  change.update_unchanged[2].Set(0);
  change.update_unchanged[2].Set(2);
  StageNet(std::move(change));
  CommitNow(orders);
  EXPECT_EQ(ReadRows(orders),
            (Rows{{"1", "A", "toast1"}, {"2", "B", kNull}, {"30", "C", "toast3"}}));
}

TEST_P(DestinationContract, KeysMoveSwapAndChain) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "one", "t1"}, {"2", "two", "t2"}, {"3", "three", "t3"}});
  NetChange change = Updates(orders, {{"1"}, {"2"}, {"3"}},
                             {{"2", "one", kNull}, {"1", "two", kNull}, {"4", "three", kNull}});
  change.update_unchanged.resize(3);
  for (std::size_t row = 0; row < 3; ++row) change.update_unchanged[2].Set(row);
  StageNet(std::move(change));
  CommitNow(orders);
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "two", "t2"}, {"2", "one", "t1"}, {"4", "three", "t3"}}));
}

TEST_P(DestinationContract, TruncateComesBeforeTheRowsOfItsItem) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", kNull}, {"2", "b", kNull}});
  StageNet(Inserts(orders, {{"3", "before", kNull}}));
  NetChange change = Inserts(orders, {{"1", "after", kNull}});
  change.truncate = true;
  StageNet(std::move(change));
  CommitNow(orders);
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "after", kNull}}));
}

TEST_P(DestinationContract, ItemsOfOneCommitSeeEachOther) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  MakeLive(orders, {});
  StageNet(Inserts(orders, {{"1", "a", "t"}}));
  StageNet(Updates(orders, {{"1"}}, {{"2", "b", "t"}}));
  StageNet(Inserts(orders, {{"1", "c", kNull}}));
  StageNet(Deletes(orders, {{"2"}}));
  CommitNow(orders);
  EXPECT_EQ(ReadRows(orders), (Rows{{"1", "c", kNull}}));
}

TEST_P(DestinationContract, OfEqualKeylessRowsOneGoes) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr events = Keyless();
  MakeLive(events, {{"5", "x", "1"}, {"5", "x", "1"}, {"5", kNull, "0"}, {"5", kNull, "-0"}});
  NetChange change;
  change.schema = events;
  change.row_deletes = MakeRows(*events, {{"5", "x", "1"}, {"5", kNull, "-0"}});
  change.inserts = MakeRows(*events, {{"6", "y", "NaN"}, {"6", "y", "NaN"}});
  StageNet(std::move(change));
  CommitNow(events);
  EXPECT_EQ(ReadRows(events),
            (Rows{{"5", kNull, "0"}, {"5", "x", "1"}, {"6", "y", "NaN"}, {"6", "y", "NaN"}}));
}

TEST_P(DestinationContract, BothOfTwoEqualKeylessRowsGoWhenBothAreDeleted) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr events = Keyless();
  MakeLive(events, {{"5", "x", kNull}, {"5", "x", kNull}, {"5", "x", kNull}});
  NetChange change;
  change.schema = events;
  change.row_deletes = MakeRows(*events, {{"5", "x", kNull}, {"5", "x", kNull}});
  StageNet(std::move(change));
  CommitNow(events);
  EXPECT_EQ(ReadRows(events), (Rows{{"5", "x", kNull}}));
}

TEST_P(DestinationContract, AnAddedColumnGivesOlderRowsItsMissingValue) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr from = Orders();
  auto to = std::make_shared<TableSchema>(*from);
  Column with_default;
  with_default.name = "state";
  with_default.type = TypeOf(Carrier::kText);
  with_default.attnum = 4;
  with_default.missing_value = "it's new";
  Column number = with_default;
  number.name = "amount";
  number.type = TypeOf(Carrier::kInt32);
  number.attnum = 5;
  number.missing_value = std::nullopt;
  to->columns.push_back(with_default);
  to->columns.push_back(number);
  MakeLive(from, {{"1", "a", kNull}});

  for (int times = 0; times < 2; ++times) {
    const auto staged = destination_->Stage(AlterTable{from, to, Lsn{lsn_}});
    ASSERT_TRUE(staged) << staged.error().message << " " << staged.error().server_message;
    ASSERT_FALSE(staged->table_failed)
        << staged->table_failed->error.message << " " << staged->table_failed->error.server_message;
    StageNet(Inserts(to, {{times == 0 ? "2" : "3", "b", kNull, kNull, "7"}}));
    CommitNow(to);
  }
  EXPECT_EQ(ReadRows(to), (Rows{{"1", "a", kNull, "it's new", kNull},
                                {"2", "b", kNull, kNull, "7"},
                                {"3", "b", kNull, kNull, "7"}}));
  const DeliveryState state = Reopen();
  ASSERT_EQ(state.tables.size(), 1U);
  EXPECT_EQ(state.tables[0].schema->columns.size(), 5U);
}

TEST_P(DestinationContract, EveryCarrierComesBackAsItWasGiven) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr wide =
      MakeSchema(16'400, {"public", "wide"},
                 {{"id", Carrier::kInt32, kKey},      {"c_bool", Carrier::kBool},
                  {"c_int16", Carrier::kInt16},       {"c_int64", Carrier::kInt64},
                  {"c_oid", Carrier::kUInt32},        {"c_float4", Carrier::kFloat32},
                  {"c_float8", Carrier::kFloat64},    {"c_numeric", Carrier::kDecimal},
                  {"c_text", Carrier::kText},         {"c_bytea", Carrier::kBytes},
                  {"c_date", Carrier::kDate},         {"c_timestamp", Carrier::kTimestamp},
                  {"c_tstz", Carrier::kTimestampTz},  {"c_time", Carrier::kTime},
                  {"c_interval", Carrier::kInterval}, {"c_uuid", Carrier::kUuid},
                  {"c_json", Carrier::kJson},         {"c_list", Carrier::kList},
                  {"c_struct", Carrier::kStruct},     {"c_map", Carrier::kMap}});
  TextRow nulls(wide->columns.size());
  nulls[0] = "1";
  const TextRow low{"2",
                    "f",
                    "-32768",
                    "-9223372036854775808",
                    "0",
                    "-0",
                    "-inf",
                    "-1234567890123456.7890",
                    "",
                    "\\x",
                    "-2147483647",
                    "-9223372036854775807",
                    "-9223372036854775807",
                    "0",
                    "-13 mon -40 d -86400000001 us",
                    "00000000-0000-0000-0000-000000000000",
                    "null",
                    "[]",
                    "(null,null)",
                    "[]"};
  const TextRow high{"3",
                     "t",
                     "32767",
                     "9223372036854775807",
                     "4294967295",
                     "3.4028235e+38",
                     "NaN",
                     "1234567890123456.7890",
                     "caf\u00e9 \U0001F418 longer than twelve bytes",
                     "\\x00ff10",
                     "2147483647",
                     "9223372036854775807",
                     "9223372036854775807",
                     "86399999999",
                     "13 mon 40 d 86400000001 us",
                     "ffffffff-ffff-ffff-ffff-ffffffffffff",
                     "{\"a\": \"\\ud800\"}",
                     "[\"a\",null,\"a text of more than twelve bytes\"]",
                     "(\"-7\",\"b\")",
                     "[(\"k\",\"v\"),(\"k2\",null)]"};
  MakeLive(wide, {nulls, low});
  StageNet(Inserts(wide, {high}));
  CommitNow(wide);
  EXPECT_EQ(ReadRows(wide), (Rows{nulls, low, high}));

  TextRow updated = high;
  updated[0] = "2";
  StageNet(Updates(wide, {{"2"}}, {updated}));
  CommitNow(wide);
  Reopen();
  EXPECT_EQ(ReadRows(wide), (Rows{nulls, updated, high}));
}

TEST_P(DestinationContract, ManyRowsCopyAndChangeAtOnce) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  constexpr int kRows = 10'000;
  Rows rows;
  Rows updated_keys;
  Rows updated;
  Rows deleted;
  for (int i = 0; i < kRows; ++i) {
    const std::string id = std::to_string(i);
    rows.push_back({id, "note " + id, i % 3 == 0 ? Cell() : Cell(std::string(40, 'x'))});
    if (i % 4 == 1) {
      updated_keys.push_back({id});
      updated.push_back({id, "changed", kNull});
    }
    if (i % 4 == 2) deleted.push_back({id});
  }
  MakeLive(orders, rows);
  NetChange change = Updates(orders, updated_keys, updated);
  change.deletes = MakeRows(*orders, orders->key, deleted);
  StageNet(std::move(change));
  CommitNow(orders);
  Rows want;
  for (int i = 0; i < kRows; ++i) {
    if (i % 4 == 2) continue;
    const auto at = static_cast<std::size_t>(i);
    want.push_back(i % 4 == 1 ? TextRow{rows[at][0], "changed", kNull} : rows[at]);
  }
  std::sort(want.begin(), want.end());
  EXPECT_EQ(ReadRows(orders), want);
}

TEST_P(DestinationContract, AReaderKeepsItsSnapshot) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr orders = Orders();
  MakeLive(orders, {{"1", "a", kNull}});
  const std::uint64_t before = lsn_;
  auto reader = destination_->OpenReader();
  ASSERT_TRUE(reader);
  auto state = (*reader)->State();
  ASSERT_TRUE(state);
  StageNet(Deletes(orders, {{"1"}}));
  CommitNow(orders);
  Rows seen;
  const Status scanned = (*reader)->Scan(RecordOf(orders), {1, 0}, [&](const RowsPtr& rows) {
    for (TextRow& row : TextOf(*orders, {1, 0}, rows)) seen.push_back(std::move(row));
    return Status();
  });
  ASSERT_TRUE(scanned) << scanned.error().message;
  EXPECT_EQ(seen, (Rows{{"a", "1"}}));
  state = (*reader)->State();
  ASSERT_TRUE(state);
  EXPECT_EQ(state->position->lsn, Lsn{before});
  reader->reset();
  EXPECT_TRUE(ReadRows(orders).empty());
}

TEST_P(DestinationContract, AScanEndsWithTheErrorOfItsSink) {
  SLUICE_NEEDS_ROWS();
  MakeLive(Orders(), {{"1", "a", kNull}});
  auto reader = destination_->OpenReader();
  ASSERT_TRUE(reader);
  const Status scanned = (*reader)->Scan(RecordOf(Orders()), {0}, [](const RowsPtr&) {
    return Status(Error{.kind = ErrorKind::kCancelled, .message = "enough"});
  });
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().kind, ErrorKind::kCancelled);
}

TEST_P(DestinationContract, NamesOfAnyKindWork) {
  SLUICE_NEEDS_ROWS();
  const SchemaPtr odd =
      MakeSchema(16'410, {"Sch\u00e9ma \"x\"", "ta'ble; --"},
                 {{"select", Carrier::kInt32, kKey}, {"a \"b\" 'c'", Carrier::kText}});
  MakeLive(odd, {{"1", "x"}});
  StageNet(Updates(odd, {{"1"}}, {{"1", "y"}}));
  CommitNow(odd);
  EXPECT_EQ(ReadRows(odd), (Rows{{"1", "y"}}));
}

TEST_P(DestinationContract, SeveralTablesCommitTogether) {
  SLUICE_NEEDS_ROWS();
  MakeLive(Orders(), {{"1", "a", kNull}});
  MakeLive(Keyless(), {{"5", "x", "1"}});
  StageNet(Inserts(Orders(), {{"2", "b", kNull}}));
  NetChange change;
  change.schema = Keyless();
  change.truncate = true;
  StageNet(std::move(change));
  CommitNow();
  EXPECT_EQ(Reopen().tables.size(), 2U);
  EXPECT_EQ(ReadRows(Orders()).size(), 2U);
  EXPECT_TRUE(ReadRows(Keyless()).empty());
}

}  // namespace sluice::testing
