// Tables coming, changing shape and going: copies, landings, added columns, checkpoints, fencing.
#include <atomic>
#include <thread>

#include "destinations/duckdb/database.h"
#include "destinations/duckdb/duckdb_test_fixture.h"
#include "destinations/duckdb/transaction_writer.h"

namespace sluice::duckdb {
namespace {

namespace fs = std::filesystem;

using TablesTest = DuckDbTest;

SchemaPtr Orders(std::uint32_t relation = 16'384, const std::string& name = "orders") {
  return MakeSchema(relation, {"public", name},
                    {{"id", Carrier::kInt64, kKey}, {"note", Carrier::kText}});
}

SchemaPtr Grown(const SchemaPtr& from, std::vector<Column> more) {
  auto to = std::make_shared<TableSchema>(*from);
  for (Column& column : more) to->columns.push_back(std::move(column));
  return to;
}

Column Added(const std::string& name, Carrier carrier, std::optional<std::string> missing) {
  Column column;
  column.name = name;
  column.type = sluice::testing::TypeOf(carrier);
  column.missing_value = std::move(missing);
  return column;
}

TEST_F(TablesTest, DefaultsOfAddedColumnsAreExactForEveryType) {
  const SchemaPtr orders = Orders();
  OpenFile();
  MakeLive(orders, {{"1", "a"}, {"2", "b"}});
  const SchemaPtr grown =
      Grown(orders, {Added("n", Carrier::kInt32, "42"), Added("e", Carrier::kText, std::nullopt),
                     Added("t", Carrier::kText, "tab\there \\ 'it'"),
                     Added("b", Carrier::kBytes, "\\x00ff"),
                     Added("j", Carrier::kJson, "{\"a\": \"\\ud800\"}"),
                     Added("d", Carrier::kDate, "0044-03-15 BC"),
                     Added("i", Carrier::kInterval, "1 mon 30 days")});
  Stage(AlterTable{orders, grown, Lsn{5}});
  Stage(Inserts(grown, {{"3", "c", "7", "x", "y", "\\x01", "1", "0", "0 mon 0 d 1 us"}}));
  Stage(Deletes(grown, {{"1"}}));
  Commit(grown);
  const Rows want = {{"2", "b", "42", kNull, "tab\there \\ 'it'", "\\x00ff", "{\"a\": \"\\ud800\"}",
                      "-735160", "1 mon 30 d 0 us"},
                     {"3", "c", "7", "x", "y", "\\x01", "1", "0", "0 mon 0 d 1 us"}};
  EXPECT_EQ(ReadRows(grown), want);
  // Again: it has that shape already.
  Stage(AlterTable{orders, grown, Lsn{5}});
  Commit();
  CloseFile();
  OpenFile();
  EXPECT_EQ(ReadRows(grown), want);
}

TEST_F(TablesTest, ADefaultIsFilledInAlsoWhereNoRowFollows) {
  const SchemaPtr orders = Orders();
  OpenFile();
  MakeLive(orders, {{"1", "a"}});
  const SchemaPtr once = Grown(orders, {Added("n", Carrier::kInt32, "1")});
  const SchemaPtr twice = Grown(once, {Added("m", Carrier::kInt32, "2")});
  Stage(AlterTable{orders, once, Lsn{5}});
  Stage(AlterTable{once, twice, Lsn{6}});
  Commit(twice);
  EXPECT_EQ(ReadRows(twice), (Rows{{"1", "a", "1", "2"}}));
}

TEST_F(TablesTest, ALandedCopyOfAnOlderShapeIsBroughtToTheNewOne) {
  const SchemaPtr orders = Orders();
  const SchemaPtr grown = Grown(orders, {Added("n", Carrier::kInt32, "42")});
  OpenFile();
  MakeLive(orders, {{"1", "old"}});
  CopyRows(orders, {{"5", "copied"}});
  Land(orders);
  Stage(AlterTable{orders, grown, Lsn{5}});
  Stage(Inserts(grown, {{"6", "held", "1"}}));
  Stage(Updates(grown, {{"5"}}, {{"7", "moved", "43"}}));
  Commit(grown);
  EXPECT_EQ(ReadRows(grown), (Rows{{"6", "held", "1"}, {"7", "moved", "43"}}));
}

TEST_F(TablesTest, AChangeOfShapeAfterRowsHaltsTheTable) {
  const SchemaPtr orders = Orders();
  OpenFile();
  MakeLive(orders, {});
  Stage(Inserts(orders, {{"1", "a"}}));
  const auto staged = destination_->Stage(
      AlterTable{orders, Grown(orders, {Added("n", Carrier::kInt32, "42")}), Lsn{5}});
  ASSERT_TRUE(staged && staged->table_failed);
  EXPECT_EQ(staged->table_failed->error.code, "SLU-5028");
  destination_->Abandon();
  Commit();
}

/// `schema` under another name.
SchemaPtr Called(const SchemaPtr& schema, const std::string& name) {
  auto called = std::make_shared<TableSchema>(*schema);
  called->name.table = name;
  return called;
}

TEST_F(TablesTest, ExchangeTheirNamesOverAThirdOne) {
  const SchemaPtr a = MakeSchema(1, {"public", "a"}, {{"id", Carrier::kInt64, kKey}});
  const SchemaPtr b = MakeSchema(2, {"public", "b"}, {{"id", Carrier::kInt64, kKey}});
  OpenFile();
  MakeLive(a, {{"1"}});
  MakeLive(b, {{"2"}, {"3"}});
  Stage(AlterTable{a, Called(a, "third"), Lsn{5}});
  Stage(AlterTable{b, Called(b, "a"), Lsn{5}});
  Stage(AlterTable{Called(a, "third"), Called(a, "b"), Lsn{5}});
  Stage(Inserts(Called(a, "b"), {{"7"}}));
  Commit(Called(a, "b"));
  Stage(Deletes(Called(b, "a"), {{"2"}}));
  Commit(Called(b, "a"));
  EXPECT_EQ(Sql("SELECT id FROM public.b ORDER BY id"), "1\n7");
  EXPECT_EQ(Sql("SELECT id FROM public.a"), "3");
  CloseFile();
  OpenFile();
  EXPECT_EQ(Sql("SELECT id FROM public.b ORDER BY id"), "1\n7");
}

TEST_F(TablesTest, MoveToAnotherSchemaWithTheirRowsAndBack) {
  const SchemaPtr a =
      MakeSchema(1, {"public", "a"},
                 {{"id", Carrier::kInt64, kKey}, {"j", Carrier::kJson}, {"l", Carrier::kList}});
  const SchemaPtr b = MakeSchema(2, {"other", "a"}, {{"id", Carrier::kInt64, kKey}});
  const auto at = [&](const SchemaPtr& table, const char* schema, const char* name) {
    auto moved = std::make_shared<TableSchema>(*table);
    moved->name = {schema, name};
    return SchemaPtr(moved);
  };
  OpenFile();
  MakeLive(a, {{"1", "{}", "[\"x\"]"}});
  MakeLive(b, {{"2"}, {"3"}});
  CloseFile();
  {
    auto database = Database::Open({.path = file_}, false);
    ASSERT_TRUE(database) << Why(database);
    ASSERT_TRUE((*database)->Connect()->Run(
        "USE _sluice_file; CREATE VIEW public.seen AS SELECT id FROM other.a", "test"));
  }
  OpenFile();
  Stage(AlterTable{b, at(b, "other", "third"), Lsn{5}});
  Stage(AlterTable{a, at(a, "other", "a"), Lsn{5}});
  Stage(AlterTable{at(b, "other", "third"), at(b, "public", "a"), Lsn{5}});
  Stage(Inserts(at(a, "other", "a"), {{"7", "[]", "[]"}}));
  Commit(at(a, "other", "a"));
  Stage(Deletes(at(b, "public", "a"), {{"2"}}));
  Commit(at(b, "public", "a"));
  EXPECT_EQ(Sql("SELECT id, j, l FROM other.a ORDER BY id"), "1|{}|[x]\n7|[]|[]");
  EXPECT_EQ(Sql("SELECT id FROM public.a"), "3");
  EXPECT_EQ(Sql("SELECT id FROM public.seen ORDER BY id"), "1\n7");
  CloseFile();
  OpenFile();
  EXPECT_EQ(Sql("SELECT id FROM other.a ORDER BY id"), "1\n7");
  const auto taken =
      destination_->Stage(AlterTable{at(a, "other", "a"), at(a, "public", "seen"), Lsn{6}});
  ASSERT_TRUE(taken && taken->table_failed);
  EXPECT_EQ(taken->table_failed->error.code, "SLU-5027");
  destination_->Abandon();
}

TEST_F(TablesTest, TooLargeToMoveStayWhereTheyAre) {
  const SchemaPtr a = MakeSchema(1, {"public", "a"}, {{"id", Carrier::kInt64, kKey}});
  OpenFile();
  MakeLive(a, {{"1"}});
  CloseFile();
  {
    auto database = Database::Open({.path = file_}, false);
    ASSERT_TRUE(database) << Why(database);
    ASSERT_TRUE((*database)->Connect()->Run(
        "INSERT INTO _sluice_file.public.a SELECT * FROM range(10, 10000010)", "test"));
  }
  OpenFile();
  auto moved = std::make_shared<TableSchema>(*a);
  moved->name = {"other", "a"};
  const auto refused = destination_->Stage(AlterTable{a, SchemaPtr(moved), Lsn{5}});
  ASSERT_TRUE(refused && refused->table_failed);
  EXPECT_EQ(refused->table_failed->error.code, "SLU-5027");
  destination_->Abandon();
  EXPECT_EQ(Sql("SELECT count(*) FROM public.a"), "10000001");
}

TEST_F(TablesTest, AreNotRenamedToATakenNameNorBehindRows) {
  const SchemaPtr a = MakeSchema(1, {"public", "a"}, {{"id", Carrier::kInt64, kKey}});
  const SchemaPtr b = MakeSchema(2, {"public", "b"}, {{"id", Carrier::kInt64, kKey}});
  OpenFile();
  MakeLive(a, {{"1"}});
  MakeLive(b, {{"2"}});
  const auto taken = destination_->Stage(AlterTable{a, Called(a, "b"), Lsn{5}});
  ASSERT_TRUE(taken && taken->table_failed);
  EXPECT_EQ(taken->table_failed->error.code, "SLU-5027");
  destination_->Abandon();
  Stage(Inserts(b, {{"3"}}));
  const auto late = destination_->Stage(AlterTable{b, Called(b, "c"), Lsn{5}});
  ASSERT_TRUE(late && late->table_failed);
  EXPECT_EQ(late->table_failed->error.code, "SLU-5028");
  destination_->Abandon();
  EXPECT_EQ(Sql("SELECT id FROM public.b"), "2");
}

TEST_F(TablesTest, RenamedOnesThatWaitForTheirCopyHoldNoName) {
  const SchemaPtr a = MakeSchema(1, {"public", "a"}, {{"id", Carrier::kInt64, kKey}});
  OpenFile();
  MakeLive(a, {{"1"}});
  const SchemaPtr other = MakeSchema(2, {"public", "a"}, {{"id", Carrier::kInt64, kKey}});
  TableRecord renamed = RecordOf(a);
  renamed.source = {"public", "b"};
  renamed.state = TableState::kPending;
  CommitRecord record{.sequence = ++sequence_};
  record.tables.push_back(renamed);
  ASSERT_TRUE(destination_->Commit(record));
  const auto checked = destination_->CheckTable(*other, other->name, TableMode::kMirror, false);
  ASSERT_TRUE(checked) << Why(checked);
  EXPECT_FALSE(*checked);
}

TEST_F(TablesTest, ColumnsAreDroppedRenamedAndAddedBeforeRows) {
  const SchemaPtr orders = Orders();  // id, note
  OpenFile();
  MakeLive(orders, {{"1", "a"}, {"2", "b"}});
  auto number = Added("n", Carrier::kInt32, "42");
  number.attnum = 3;
  const SchemaPtr grown = Grown(orders, {number});
  Stage(AlterTable{orders, grown, Lsn{5}});
  auto less = std::make_shared<TableSchema>(*grown);
  less->columns.erase(less->columns.begin() + 1);
  less->columns[0].name = "N";  // the key gets a name that another column has
  less->columns[1].name = "id";
  Stage(AlterTable{grown, less, Lsn{6}});
  Stage(Inserts(less, {{"3", "7"}}));
  Stage(Deletes(less, {{"1"}}));
  Commit(less);
  EXPECT_EQ(ReadRows(less), (Rows{{"2", "42"}, {"3", "7"}}));
  CloseFile();
  OpenFile();
  EXPECT_EQ(ReadRows(less), (Rows{{"2", "42"}, {"3", "7"}}));
}

TEST_F(TablesTest, NamesThatFoldToOneHaltTheTable) {
  const SchemaPtr orders = Orders();
  OpenFile();
  MakeLive(orders, {});
  const auto staged = destination_->Stage(
      AlterTable{orders, Grown(orders, {Added("ID", Carrier::kInt32, std::nullopt)}), Lsn{5}});
  ASSERT_TRUE(staged && staged->table_failed);
  EXPECT_EQ(staged->table_failed->error.code, "SLU-5023");
}

TEST_F(TablesTest, AnotherTypeTakesACopy) {
  const SchemaPtr orders = Orders();
  OpenFile();
  MakeLive(orders, {});
  auto other = std::make_shared<TableSchema>(*orders);
  other->columns.back().type = sluice::testing::TypeOf(Carrier::kInt32);
  const auto staged = destination_->Stage(AlterTable{orders, other, Lsn{5}});
  ASSERT_TRUE(staged && staged->table_failed);
  EXPECT_EQ(staged->table_failed->error.code, "SLU-5027");
}

TEST_F(TablesTest, NothingLandsThatWasNotFinished) {
  const SchemaPtr orders = Orders();
  OpenFile();
  auto writer = destination_->OpenCopy({{orders->relation, 0}, orders, orders->name});
  ASSERT_TRUE(writer) << Why(writer);
  ASSERT_TRUE((*writer)->Append({MakeRows(*orders, {{"1", "a"}})}));
  const auto staged =
      destination_->Stage(LandUnit{{orders->relation, 0}, orders, orders->name, Lsn{1}});
  ASSERT_TRUE(staged && staged->table_failed);
  EXPECT_EQ(staged->table_failed->error.code, "SLU-5114");
}

TEST_F(TablesTest, ACopyThatEndsAfterTheTransactionBeganDoesNotLandInIt) {
  OpenFile();
  MakeLive(Orders(), {});
  Stage(Inserts(Orders(), {{"1", "a"}}));
  const SchemaPtr late = Orders(17'000, "late");
  CopyRows(late, {{"1", "a"}});
  const auto staged = destination_->Stage(LandUnit{{late->relation, 0}, late, late->name, Lsn{1}});
  ASSERT_TRUE(staged && staged->table_failed) << Why(staged);
  EXPECT_EQ(staged->table_failed->error.code, "SLU-5114");
  Commit();
  Land(late);
  Commit(late);
  EXPECT_EQ(ReadRows(late), (Rows{{"1", "a"}}));
}

TEST_F(TablesTest, CopiesOfAnEarlierProcessAreGone) {
  const SchemaPtr orders = Orders();
  OpenFile();
  CopyRows(orders, {{"1", "a"}});
  destination_.reset();  // as by a kill
  OpenFile();
  EXPECT_EQ(Sql("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%copy%'"), "0");
  EXPECT_EQ(Sql("SELECT count(*) FROM sluice._units"), "0");
}

TEST_F(TablesTest, ATableThatIsCopiedAgainReplacesTheOldOneUnderAViewOfTheUsers) {
  const SchemaPtr orders = Orders();
  OpenFile();
  MakeLive(orders, {{"1", "old"}});
  CloseFile();
  {
    auto database = Database::Open({.path = file_}, false);
    ASSERT_TRUE(database) << Why(database);
    auto connection = (*database)->Connect();
    ASSERT_TRUE(
        connection->Run("USE _sluice_file; CREATE VIEW main.v AS SELECT * FROM "
                        "public.orders",
                        "test"));
  }
  OpenFile();
  MakeLive(orders, {{"2", "new"}});
  EXPECT_EQ(Sql("SELECT * FROM v"), "2|new");
  CloseFile();
  OpenFile();
  EXPECT_EQ(Sql("SELECT * FROM v"), "2|new");
}

TEST_F(TablesTest, ATableAlteredByHandHalts) {
  const SchemaPtr orders = Orders();
  OpenFile();
  MakeLive(orders, {{"1", "old"}});
  CloseFile();
  {
    auto database = Database::Open({.path = file_}, false);
    ASSERT_TRUE(database) << Why(database);
    auto connection = (*database)->Connect();
    ASSERT_TRUE(connection->Run(
        "ALTER TABLE _sluice_file.public.orders ALTER note TYPE INTEGER USING 1", "test"));
  }
  OpenFile();
  const auto staged = destination_->Stage(
      NetRows{std::make_shared<const NetChange>(Inserts(orders, {{"2", "b"}}))});
  ASSERT_TRUE(staged && staged->table_failed);
  EXPECT_EQ(staged->table_failed->error.code, "SLU-5025");
}

TEST_F(TablesTest, AnEpochThatIsNotTheFilesMayNotCommit) {
  OpenFile();
  CloseFile();
  auto database = Database::Open({.path = file_}, false);
  ASSERT_TRUE(database) << Why(database);
  auto connection = (*database)->Connect();
  ASSERT_TRUE(connection);
  DeliveryState state;
  state.epoch = 99;
  TransactionWriter writer(*std::move(connection), state, {}, {}, 32U << 20, 1U << 20);
  const auto outcome = writer.Commit({.sequence = 1, .position = Position{Lsn{5}, {}}}, 0);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, "SLU-5004");
  EXPECT_EQ(outcome.error().kind, ErrorKind::kStateStore);
}

TEST_F(TablesTest, CopiesByManyThreadsAndCommitsByTheWriterDoNotDisturbEachOther) {
  constexpr std::uint32_t kTables = 4;
  constexpr int kBatches = 12;
  constexpr int kBatchRows = 10'000;
  OpenFile({.copy_transaction_rows = 50'000});
  MakeLive(Orders(), {{"0", "a"}});
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (std::uint32_t table = 1; table <= kTables; ++table) {
    threads.emplace_back([&, table] {
      const SchemaPtr schema = Orders(17'000 + table, "t" + std::to_string(table));
      auto writer = destination_->OpenCopy({{schema->relation, 0}, schema, schema->name});
      for (int batch = 0; writer && batch < kBatches; ++batch) {
        Rows rows;
        for (int i = 0; i < kBatchRows; ++i)
          rows.push_back({std::to_string(batch * kBatchRows + i), "some text that is not inlined"});
        if (!(*writer)->Append({MakeRows(*schema, rows)})) ++failures;
      }
      if (!writer || !(*writer)->Finish()) ++failures;
    });
  }
  for (int i = 1; i <= 15; ++i) {
    Stage(Inserts(Orders(), {{std::to_string(i), "b"}}));
    Stage(Updates(Orders(), {{"0"}}, {{"0", std::to_string(i)}}));
    Commit();
    ASSERT_TRUE(destination_->Maintain(Soon()));
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(failures, 0);
  CommitRecord record{.sequence = 1000, .position = Position{Lsn{0x100'000}, {}}};
  for (std::uint32_t table = 1; table <= kTables; ++table) {
    const SchemaPtr schema = Orders(17'000 + table, "t" + std::to_string(table));
    Land(schema);
    Stage(Inserts(schema, {{"-1", "held"}}));
    record.tables.push_back(RecordOf(schema));
  }
  const auto outcome = destination_->Commit(record);
  ASSERT_TRUE(outcome) << Why(outcome);
  EXPECT_EQ(Sql("SELECT count(*), count(DISTINCT id) FROM public.t3"), "120001|120001");
  EXPECT_EQ(Sql("SELECT count(*) FROM public.orders"), "16");
  CloseFile();
  EXPECT_FALSE(fs::exists(file_ + ".wal"));
  OpenFile();
  EXPECT_EQ(Sql("SELECT count(*) FROM public.t4"), "120001");
}

std::uintmax_t SizeOrZero(const std::string& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

TEST_F(TablesTest, AReaderHoldsBackCheckpointsOnlyWhileItLives) {
  OpenFile({.wal_bytes_min = 4'096});
  MakeLive(Orders(), {{"0", "a"}});
  auto reader = destination_->OpenReader();
  ASSERT_TRUE(reader) << Why(reader);
  for (int i = 1; i <= 20; ++i) {
    Stage(Inserts(Orders(), {{std::to_string(i), std::string(500, 'x')}}));
    Stage(Deletes(Orders(), {{std::to_string(i - 1)}}));
    Commit();
  }
  std::size_t rows = 0;
  ASSERT_TRUE((*reader)->Scan(RecordOf(Orders()), {0, 1}, [&](const RowsPtr& batch) -> Status {
    rows += sluice::testing::TextOf(*Orders(), batch).size();
    return {};
  }));
  EXPECT_EQ(rows, 1U);
  reader->reset();
  for (const auto until = Soon(); SizeOrZero(file_ + ".wal") > 0 && Clock::now() < until;)
    ASSERT_TRUE(destination_->Maintain(Soon()));
  Stage(Inserts(Orders(), {{"100", "x"}}));
  Commit();
  EXPECT_LT(SizeOrZero(file_ + ".wal"), 4'096U);
}

TEST_F(TablesTest, AQueryThatStaysDoesNotKeepTheFileFromClosing) {
  OpenFile();
  MakeLive(Orders(), {{"0", "a"}});
  std::string result;
  std::thread query([&] {
    result =
        Sql("SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range > b.range");
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const Status closed = destination_->Close(Clock::now() + std::chrono::milliseconds(100));
  query.join();
  EXPECT_TRUE(closed) << Why(closed);
  EXPECT_NE(result.find("NTERRUPT"), std::string::npos) << result;
}

}  // namespace
}  // namespace sluice::duckdb
