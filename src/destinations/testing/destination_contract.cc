#include "destinations/testing/destination_contract.h"

#include <algorithm>
#include <utility>

namespace sluice::testing {

void AnchorContractRows();     // contract_rows.cc: links its tests
void AnchorContractHistory();  // contract_history.cc
void AnchorContractRanges();   // contract_ranges.cc

namespace {

constexpr std::uint64_t kSystem = 7'000'000'000'000'000'001;

OpenRequest Request() {
  return {.pipeline = "shop", .system_identifier = kSystem};
}

Clock::time_point Soon() {
  return Clock::now() + std::chrono::seconds(30);
}

SchemaPtr Orders() {
  return MakeSchema(16'384, {"public", "orders"},
                    {{"id", Carrier::kInt64, kKey}, {"note", Carrier::kText}});
}

}  // namespace

Birth MakeBirth() {
  Birth birth;
  birth.pipeline = "shop";
  birth.slot = "sluice_shop";
  birth.publication = "sluice_shop";
  birth.generation = "6f1c2e5a-0d3b-4c7e-9a51-3f2b8c4d6e70";
  birth.system_identifier = kSystem;
  birth.timeline = 3;
  return birth;
}

void PrintTo(const ContractParam& param, std::ostream* out) {
  *out << param.name;
}

void DestinationContract::SetUp() {
  AnchorContractRows();
  AnchorContractHistory();
  AnchorContractRanges();
  place_ = GetParam().make_place();
  ASSERT_NE(place_, nullptr);
}

void DestinationContract::TearDown() {
  if (destination_ != nullptr) {
    EXPECT_TRUE(destination_->Close(Soon()));
  }
  destination_.reset();
}

bool DestinationContract::keeps_net_rows() const {
  return destination_->capabilities().keeps_rows &&
         destination_->capabilities().wants == Capabilities::Rows::kNet;
}

DeliveryState DestinationContract::OpenIt() {
  destination_ = place_->Make();
  destination_->OnWatermark([this](const Watermarks& marks) { watermarks_ = marks; });
  auto state = destination_->Open(Request());
  if (!state) {
    ADD_FAILURE() << state.error().code << " " << state.error().message << " "
                  << state.error().server_message;
    return {};
  }
  return *std::move(state);
}

DeliveryState DestinationContract::Reopen() {
  const Status closed = destination_->Close(Soon());
  EXPECT_TRUE(closed) << closed.error().message;
  destination_.reset();
  return OpenIt();
}

DeliveryState DestinationContract::CrashAndReopen() {
  destination_.reset();
  return OpenIt();
}

void DestinationContract::CopyRows(const SchemaPtr& schema, const std::vector<TextRow>& rows) {
  auto writer = destination_->OpenCopy({{schema->relation, 0}, schema, schema->name});
  ASSERT_TRUE(writer) << writer.error().message << " " << writer.error().server_message;
  const Status appended = (*writer)->Append({MakeRows(*schema, rows)});
  ASSERT_TRUE(appended) << appended.error().message << " " << appended.error().server_message;
  const Status finished = (*writer)->Finish();
  ASSERT_TRUE(finished) << finished.error().message << " " << finished.error().server_message;
}

void DestinationContract::StageLand(const SchemaPtr& schema) {
  const auto staged = destination_->Stage(
      LandUnit{{schema->relation, 0}, schema, schema->name, Lsn{lsn_}, mode_, Lsn{lsn_}});
  ASSERT_TRUE(staged) << staged.error().message << " " << staged.error().server_message;
  ASSERT_FALSE(staged->table_failed) << staged->table_failed->error.message;
}

void DestinationContract::MakeLive(const SchemaPtr& schema, const std::vector<TextRow>& rows) {
  if (sequence_ == 0) {
    const Status stored = destination_->StoreBirth(MakeBirth());
    ASSERT_TRUE(stored) << stored.error().message;
  }
  CopyRows(schema, rows);
  StageLand(schema);
  CommitNow(schema);
}

Result<StageOutcome> DestinationContract::TryStageNet(NetChange change) {
  return destination_->Stage(NetRows{std::make_shared<const NetChange>(std::move(change))});
}

void DestinationContract::StageNet(NetChange change) {
  const auto staged = TryStageNet(std::move(change));
  ASSERT_TRUE(staged) << staged.error().message << " " << staged.error().server_message;
  ASSERT_FALSE(staged->table_failed)
      << staged->table_failed->error.message << " " << staged->table_failed->error.server_message;
}

CommitRecord DestinationContract::NextRecord() {
  lsn_ += 0x100;
  CommitRecord record;
  record.sequence = ++sequence_;
  record.position = Position{
      Lsn{lsn_}, Witness{Lsn{lsn_ - 8}, TransactionId{700}, UnixMicros{1'700'000'000'000'000}}};
  record.passed = PassedList{};
  record.committed_at = UnixMicros{1'700'000'000'000'000};
  return record;
}

TableRecord DestinationContract::RecordOf(const SchemaPtr& schema) const {
  TableRecord table;
  table.relation = schema->relation;
  table.source = schema->name;
  table.destination = schema->name;
  table.mode = mode_;
  table.state = TableState::kLive;
  table.since = UnixMicros{1'700'000'000'000'000};
  table.row_count = 17;
  table.lsn = Lsn{lsn_};
  table.committed_at = UnixMicros{1'700'000'000'000'001};
  table.schema = schema;
  table.publication_entry = 4711;
  return table;
}

void DestinationContract::CommitNow(const SchemaPtr& schema) {
  CommitRecord record = NextRecord();
  if (schema != nullptr) record.tables.push_back(RecordOf(schema));
  const auto outcome = destination_->Commit(record);
  ASSERT_TRUE(outcome) << outcome.error().message << " " << outcome.error().server_message;
  ASSERT_EQ(*outcome, CommitOutcome::kAccepted);
}

std::vector<TextRow> DestinationContract::ReadRows(const SchemaPtr& schema) {
  return Read(schema, mode_);
}

std::vector<TextRow> DestinationContract::ReadLog(const SchemaPtr& schema) {
  return Read(schema, TableMode::kHistory);
}

std::vector<TextRow> DestinationContract::Read(const SchemaPtr& schema, TableMode mode) {
  std::vector<TextRow> out;
  auto reader = destination_->OpenReader();
  if (!reader || *reader == nullptr) {
    ADD_FAILURE() << "no reader";
    return out;
  }
  std::vector<std::int32_t> columns;
  for (std::size_t i = 0; i < schema->columns.size(); ++i) {
    columns.push_back(static_cast<std::int32_t>(i));
  }
  TableRecord record = RecordOf(schema);
  record.mode = mode;
  const Status scanned = (*reader)->Scan(record, columns, [&](const RowsPtr& rows) -> Status {
    for (TextRow& row : TextOf(*schema, rows)) out.push_back(std::move(row));
    return {};
  });
  EXPECT_TRUE(scanned) << scanned.error().message << " " << scanned.error().server_message;
  std::sort(out.begin(), out.end());
  return out;
}

TEST_P(DestinationContract, ReadsAsEmptyWhenNew) {
  const DeliveryState state = OpenIt();
  EXPECT_FALSE(state.birth);
  EXPECT_FALSE(state.position);
  EXPECT_TRUE(state.tables.empty());
  EXPECT_TRUE(state.passed.xids.empty());
  EXPECT_FALSE(state.passed.is_unknown);
}

TEST_P(DestinationContract, GivesBackTheBirthAndNoPositionAfterAnIntent) {
  OpenIt();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  const DeliveryState state = CrashAndReopen();
  ASSERT_TRUE(state.birth);
  const Birth want = MakeBirth();
  EXPECT_EQ(state.birth->pipeline, want.pipeline);
  EXPECT_EQ(state.birth->slot, want.slot);
  EXPECT_EQ(state.birth->publication, want.publication);
  EXPECT_EQ(state.birth->owns_publication, want.owns_publication);
  EXPECT_EQ(state.birth->generation, want.generation);
  EXPECT_EQ(state.birth->system_identifier, want.system_identifier);
  EXPECT_EQ(state.birth->timeline, want.timeline);
  EXPECT_FALSE(state.position);
}

TEST_P(DestinationContract, TakesANewEpochAtEachOpen) {
  const std::uint64_t first = OpenIt().epoch;
  EXPECT_GT(Reopen().epoch, first);
}

TEST_P(DestinationContract, GivesBackPositionPassedListAndTables) {
  OpenIt();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  CommitRecord record = NextRecord();
  record.passed = PassedList{false, 0, {TransactionId{701}, TransactionId{4'294'967'295}}};
  TableRecord halted = RecordOf(Orders());
  halted.state = TableState::kHalted;
  halted.reason = "column total: out of range";
  halted.advice = "sluice resync public.orders";
  record.tables = {halted};
  ASSERT_TRUE(destination_->Commit(record));

  const DeliveryState state = Reopen();
  ASSERT_TRUE(state.position);
  EXPECT_EQ(state.position->lsn, record.position->lsn);
  ASSERT_TRUE(state.position->last_transaction);
  EXPECT_EQ(state.position->last_transaction->commit_lsn,
            record.position->last_transaction->commit_lsn);
  EXPECT_EQ(state.position->last_transaction->xid, record.position->last_transaction->xid);
  EXPECT_EQ(state.position->last_transaction->committed_at,
            record.position->last_transaction->committed_at);
  EXPECT_EQ(state.passed.xids, record.passed->xids);
  EXPECT_FALSE(state.passed.is_unknown);
  ASSERT_EQ(state.tables.size(), 1U);
  const TableRecord& table = state.tables[0];
  EXPECT_EQ(table.relation, halted.relation);
  EXPECT_EQ(table.source, halted.source);
  EXPECT_EQ(table.destination, halted.destination);
  EXPECT_EQ(table.state, halted.state);
  EXPECT_EQ(table.reason, halted.reason);
  EXPECT_EQ(table.advice, halted.advice);
  EXPECT_EQ(table.since, halted.since);
  EXPECT_EQ(table.row_count, halted.row_count);
  EXPECT_EQ(table.lsn, halted.lsn);
  EXPECT_EQ(table.committed_at, halted.committed_at);
  EXPECT_EQ(table.publication_entry, halted.publication_entry);
  ASSERT_NE(table.schema, nullptr);
  EXPECT_EQ(table.schema->name, halted.schema->name);
  EXPECT_EQ(table.schema->columns, halted.schema->columns);
  EXPECT_EQ(table.schema->key, halted.schema->key);
  EXPECT_EQ(table.schema->identity_columns, halted.schema->identity_columns);
  EXPECT_EQ(table.schema->identity, halted.schema->identity);
}

TEST_P(DestinationContract, RemembersThatThePassedListWasLost) {
  OpenIt();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  CommitRecord record = NextRecord();
  record.passed = PassedList{true, 5'000'000'000, {}};
  ASSERT_TRUE(destination_->Commit(record));
  const DeliveryState state = Reopen();
  EXPECT_TRUE(state.passed.is_unknown);
  EXPECT_EQ(state.passed.floor, 5'000'000'000U);
}

TEST_P(DestinationContract, KeepsWhatACommitDoesNotMention) {
  OpenIt();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  CommitNow(Orders());
  CommitRecord only_tables;
  only_tables.sequence = ++sequence_;
  ASSERT_TRUE(destination_->Commit(only_tables));
  const DeliveryState state = Reopen();
  ASSERT_TRUE(state.position);
  EXPECT_EQ(state.position->lsn, Lsn{lsn_});
  EXPECT_EQ(state.tables.size(), 1U);
}

TEST_P(DestinationContract, ForgetsATableThatWasRemoved) {
  OpenIt();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  CommitNow(Orders());
  CommitRecord record = NextRecord();
  record.tables.push_back(RecordOf(Orders()));
  record.tables.back().was_removed = true;
  ASSERT_TRUE(destination_->Commit(record));
  EXPECT_TRUE(Reopen().tables.empty());
}

TEST_P(DestinationContract, RefusesAPositionThatGoesBackAndKeepsTheOldOne) {
  OpenIt();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  CommitNow();
  const std::uint64_t stored = lsn_;
  CommitRecord record = NextRecord();
  record.position->lsn = Lsn{stored - 1};
  EXPECT_FALSE(destination_->Commit(record));
  destination_->Abandon();
  const DeliveryState state = Reopen();
  ASSERT_TRUE(state.position);
  EXPECT_EQ(state.position->lsn, Lsn{stored});
}

TEST_P(DestinationContract, ANewBirthForgetsTheEarlierOne) {
  OpenIt();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  CommitNow(Orders());
  Birth again = MakeBirth();
  again.generation = "11111111-2222-4333-8444-555555555555";
  ASSERT_TRUE(destination_->StoreBirth(again));
  const DeliveryState state = Reopen();
  ASSERT_TRUE(state.birth);
  EXPECT_EQ(state.birth->generation, again.generation);
  EXPECT_FALSE(state.position);
  EXPECT_TRUE(state.tables.empty());
}

TEST_P(DestinationContract, ABirthInACommitKeepsTheTablesAndForgetsThePosition) {
  OpenIt();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  CommitNow(Orders());
  Birth again = MakeBirth();
  again.generation = "11111111-2222-4333-8444-555555555555";
  CommitRecord record = NextRecord();
  record.birth = again;
  record.position.reset();
  record.passed.reset();
  ASSERT_TRUE(destination_->Commit(record));
  DeliveryState state = Reopen();
  ASSERT_TRUE(state.birth);
  EXPECT_EQ(state.birth->generation, again.generation);
  EXPECT_FALSE(state.position);
  EXPECT_EQ(state.tables.size(), 1U);
  // The next position may be lower; the witness of before is not that of it.
  record = NextRecord();
  record.position = Position{Lsn{16}, std::nullopt};
  ASSERT_TRUE(destination_->Commit(record));
  state = Reopen();
  ASSERT_TRUE(state.position);
  EXPECT_EQ(state.position->lsn, Lsn{16});
  EXPECT_FALSE(state.position->last_transaction);
}

TEST_P(DestinationContract, RefusesAnotherPipelineAndAnotherSource) {
  OpenIt();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  CommitNow();
  ASSERT_TRUE(destination_->Close(Soon()));
  destination_.reset();
  auto other = place_->Make();
  const auto pipeline = other->Open({.pipeline = "other", .system_identifier = kSystem});
  ASSERT_FALSE(pipeline);
  EXPECT_EQ(pipeline.error().kind, ErrorKind::kConfig);
  EXPECT_FALSE(pipeline.error().code.empty());
  other = nullptr;
  other = place_->Make();
  const auto source = other->Open({.pipeline = "shop", .system_identifier = kSystem + 1});
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().kind, ErrorKind::kConfig);
}

TEST_P(DestinationContract, ReadOnlyTakesNoEpochAndStillReadsTheState) {
  const std::uint64_t first = OpenIt().epoch;
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  CommitNow();
  ASSERT_TRUE(destination_->Close(Soon()));
  destination_ = place_->Make();
  auto state = destination_->Open({.pipeline = "shop", .system_identifier = 0, .read_only = true});
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_TRUE(state->position);
  EXPECT_EQ(Reopen().epoch, first + 1);
}

TEST_P(DestinationContract, SaysWhenACommitIsDurableAndVisible) {
  OpenIt();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  CommitNow();
  CommitNow();
  if (destination_->capabilities().commits_in_flight_max > 1) GTEST_SKIP() << "later, by itself";
  EXPECT_EQ(watermarks_.durable_sequence, sequence_);
}

TEST_P(DestinationContract, ForgetLeavesNoState) {
  OpenIt();
  ASSERT_TRUE(destination_->StoreBirth(MakeBirth()));
  CommitNow(Orders());
  ASSERT_TRUE(destination_->Forget());
  const DeliveryState state = Reopen();
  EXPECT_FALSE(state.birth);
  EXPECT_FALSE(state.position);
  EXPECT_TRUE(state.tables.empty());
}

TEST_P(DestinationContract, ClosesTwice) {
  OpenIt();
  EXPECT_TRUE(destination_->Close(Soon()));
  EXPECT_TRUE(destination_->Close(Soon()));
}

}  // namespace sluice::testing
