// What is left after SIGKILL and after a disk that does not take more.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <random>
#include <thread>

#include "destinations/duckdb/connection.h"
#include "destinations/duckdb/duckdb_test_fixture.h"

namespace sluice::duckdb {
namespace {

constexpr std::int64_t kCounters = 5;

SchemaPtr Log() {
  return MakeSchema(1, {"public", "log"},
                    {{"id", Carrier::kInt64, kKey}, {"text", Carrier::kText}});
}
SchemaPtr Counters() {
  return MakeSchema(2, {"public", "counters"},
                    {{"id", Carrier::kInt64, kKey}, {"n", Carrier::kInt64}});
}

/// Commit `n` at position `n`: row n into log and, from 10 on, row n - 10 out of it; every counter
/// becomes n. Every seventh commit counters comes anew from a copy that is one behind.
class Workload {
 public:
  Workload(Destination& destination, std::string text)
      : destination_(destination), text_(std::move(text)) {}

  Status Begin() {
    for (const SchemaPtr& schema : {Log(), Counters()}) SLUICE_RETURN_IF_ERROR(Copy(schema, 0));
    for (const SchemaPtr& schema : {Log(), Counters()}) SLUICE_RETURN_IF_ERROR(Land(schema));
    return End(0);
  }
  Status Step(std::int64_t n) {
    if (n % 7 == 0) {
      SLUICE_RETURN_IF_ERROR(Copy(Counters(), n - 1));
      SLUICE_RETURN_IF_ERROR(Land(Counters()));
    }
    NetChange log = Inserts(Log(), {{std::to_string(n), text_}});
    if (n > 10) log.deletes = MakeRows(*Log(), Log()->key, {{std::to_string(n - 10)}});
    SLUICE_RETURN_IF_ERROR(Stage(NetRows{std::make_shared<const NetChange>(std::move(log))}));
    Rows keys;
    Rows values;
    for (std::int64_t id = 0; id < kCounters; ++id) {
      keys.push_back({std::to_string(id)});
      values.push_back({std::to_string(id), std::to_string(n)});
    }
    SLUICE_RETURN_IF_ERROR(
        Stage(NetRows{std::make_shared<const NetChange>(Updates(Counters(), keys, values))}));
    return End(n);
  }

 private:
  Status Stage(const SequenceItem& item) {
    SLUICE_ASSIGN_OR_RETURN(const StageOutcome outcome, destination_.Stage(item));
    if (outcome.table_failed) return outcome.table_failed->error;
    return {};
  }
  Status Copy(const SchemaPtr& schema, std::int64_t n) {
    SLUICE_ASSIGN_OR_RETURN(const auto writer,
                            destination_.OpenCopy({{schema->relation, 0}, schema, schema->name}));
    Rows rows;
    for (std::int64_t id = 0; schema->relation.value == 2 && id < kCounters; ++id)
      rows.push_back({std::to_string(id), std::to_string(n)});
    SLUICE_RETURN_IF_ERROR(writer->Append({MakeRows(*schema, rows)}));
    return writer->Finish();
  }
  Status Land(const SchemaPtr& schema) {
    return Stage(LandUnit{{schema->relation, 0}, schema, schema->name, Lsn{1}});
  }
  Status End(std::int64_t n) {
    CommitRecord record{.sequence = static_cast<std::uint64_t>(n) + 1};
    record.position = Position{Lsn{static_cast<std::uint64_t>(n) + 1}, {}};
    record.passed = PassedList{};
    for (const SchemaPtr& schema : {Log(), Counters()}) {
      TableRecord table;
      table.relation = schema->relation;
      table.source = table.destination = schema->name;
      table.state = TableState::kLive;
      table.schema = schema;
      record.tables.push_back(table);
    }
    SLUICE_ASSIGN_OR_RETURN(const CommitOutcome outcome, destination_.Commit(record));
    if (outcome == CommitOutcome::kUnknown) return Error{.code = "unknown"};
    return {};
  }

  Destination& destination_;
  const std::string text_;
};

constexpr std::uint32_t kRanges = 4;
constexpr std::int64_t kRangeKeys = 1'000'000;
constexpr std::int64_t kRangeRows = 130'000;  // more than one of DuckDB's row groups
const std::vector<std::int64_t> kChanged = {0, 1, 70'000, kRangeRows - 1};

SchemaPtr Big() {
  return MakeSchema(3, {"public", "big"}, {{"id", Carrier::kInt64, kKey}, {"n", Carrier::kInt64}});
}
CopyRanges BigRanges() {
  return {.attnum = 1,
          .bounds = {kRangeKeys - 1, 2 * kRangeKeys - 1, 3 * kRangeKeys - 1},
          .landed = std::vector<bool>(kRanges),
          .schema = Big(),
          .row_count = 0};
}

/// Two threads copy the ranges of a table, each of them in more than one try. Commit `n` lands what
/// is finished, and changes what has landed: `n` is in the rows of kChanged, the rows 1000 to
/// 1000 + n are gone, as many are there behind the copied ones.
class RangesWorkload {
 public:
  RangesWorkload(Destination& destination, const DeliveryState& state) : destination_(destination) {
    if (state.position) n_ = static_cast<std::int64_t>(state.position->lsn.value) - 1;
    if (!state.tables.empty() && state.tables[0].ranges) ranges_ = *state.tables[0].ranges;
    has_landed_ = ranges_.landed != std::vector<bool>(kRanges);
    ranges_at_start_ = ranges_;
  }

  /// Until the last one has landed.
  Status Run() {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i)
      threads.emplace_back([this](const std::stop_token& stop) { CopyAll(stop); });
    while (std::find(ranges_.landed.begin(), ranges_.landed.end(), false) != ranges_.landed.end())
      SLUICE_RETURN_IF_ERROR(Step());
    return {};
  }

 private:
  void CopyAll(const std::stop_token& stop) {
    std::uint32_t index = 0;
    while (!stop.stop_requested() && (index = next_++) < kRanges) {
      if (ranges_at_start_.landed[index]) continue;
      if (!Copy(index, kRangeRows / 2) || !destination_.DiscardCopy(UnitOf(index)) ||
          !Copy(index, kRangeRows))
        _exit(5);
      finished_[index] = true;
    }
  }
  Status Copy(std::uint32_t index, std::int64_t count) {
    SLUICE_ASSIGN_OR_RETURN(
        const auto writer,
        destination_.OpenCopy({UnitOf(index), schema_, schema_->name, ranges_at_start_}));
    constexpr std::int64_t kBatch = kRangeRows / 10;
    for (std::int64_t first = 0; first < count; first += kBatch) {
      Rows rows;
      for (std::int64_t row = first; row < first + kBatch; ++row)
        rows.push_back(Row(index, row, 0));
      SLUICE_RETURN_IF_ERROR(writer->Append({MakeRows(*schema_, rows)}));
    }
    return count < kRangeRows ? Status() : writer->Finish();
  }
  Status Step() {
    ++n_;
    const std::vector<bool> before = ranges_.landed;
    // One at a time, and first: a transaction sees what was finished before it.
    for (std::uint32_t index = 0; index < kRanges && ranges_.landed == before; ++index) {
      if (finished_[index] && !before[index]) SLUICE_RETURN_IF_ERROR(Land(index));
    }
    for (std::uint32_t index = 0; index < kRanges; ++index) {
      if (ranges_.landed[index]) SLUICE_RETURN_IF_ERROR(Change(index, before[index] ? n_ : 0));
    }
    CommitRecord record{.sequence = static_cast<std::uint64_t>(n_)};
    record.position = Position{Lsn{static_cast<std::uint64_t>(n_) + 1}, {}};
    record.passed = PassedList{};
    TableRecord& table = record.tables.emplace_back();
    table.relation = schema_->relation;
    table.source = table.destination = schema_->name;
    table.state = is_live_ ? TableState::kLive : TableState::kCopying;
    if (is_live_) table.schema = schema_;
    if (!is_live_ && has_landed_) table.ranges = ranges_;
    SLUICE_ASSIGN_OR_RETURN(const CommitOutcome outcome, destination_.Commit(record));
    if (outcome == CommitOutcome::kUnknown) return Error{.code = "unknown"};
    return destination_.Maintain(Soon());
  }
  Status Land(std::uint32_t index) {
    ranges_.landed[index] = true;
    has_landed_ = true;
    is_live_ =
        std::find(ranges_.landed.begin(), ranges_.landed.end(), false) == ranges_.landed.end();
    return Stage(LandUnit{.unit = UnitOf(index),
                          .schema = schema_,
                          .destination = schema_->name,
                          .lsn = Lsn{1},
                          .part = is_live_ ? LandUnit::Part::kLastRange : LandUnit::Part::kRange});
  }
  /// All from the `from`th on.
  Status Change(std::uint32_t index, std::int64_t from) {
    NetChange change;
    change.schema = schema_;
    Rows keys;
    Rows values;
    for (const std::int64_t row : kChanged) {
      keys.push_back({Row(index, row, 0)[0]});
      values.push_back(Row(index, row, n_));
    }
    change.update_origin_keys = MakeRows(*schema_, schema_->key, keys);
    change.update_values = MakeRows(*schema_, values);
    keys.clear();
    values.clear();
    for (std::int64_t i = from; i <= n_; ++i) {
      keys.push_back({Row(index, 1000 + i, 0)[0]});
      values.push_back(Row(index, kRangeRows + i, i));
    }
    change.deletes = MakeRows(*schema_, schema_->key, keys);
    change.inserts = MakeRows(*schema_, values);
    return Stage(NetRows{.change = std::make_shared<const NetChange>(std::move(change)),
                         .of_ranges = !is_live_});
  }
  Status Stage(const SequenceItem& item) {
    SLUICE_ASSIGN_OR_RETURN(const StageOutcome outcome, destination_.Stage(item));
    if (outcome.table_failed) return outcome.table_failed->error;
    return {};
  }
  UnitId UnitOf(std::uint32_t index) const { return {schema_->relation, index}; }
  static sluice::testing::TextRow Row(std::uint32_t index, std::int64_t row, std::int64_t n) {
    return {std::to_string(index * kRangeKeys + row), std::to_string(n)};
  }

  Destination& destination_;
  const SchemaPtr schema_ = Big();
  std::int64_t n_ = 0;
  CopyRanges ranges_ = BigRanges();
  bool has_landed_ = false;
  bool is_live_ = false;
  CopyRanges ranges_at_start_;
  std::atomic<std::uint32_t> next_{0};
  std::array<std::atomic<bool>, kRanges> finished_{};
};

class CrashTest : public DuckDbTest {
 protected:
  /// Runs `body` in a child; its exit status.
  static int InChild(const std::function<int()>& body, Duration kill_after) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    if (kill_after != Duration::zero()) {
      std::this_thread::sleep_for(kill_after);
      kill(child, SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  /// Opens, goes on from the stored position, commits until `end` or an error.
  static Status GoOn(const std::string& file, const std::string& text, std::int64_t end) {
    const auto destination =
        MakeDuckDbDestination({.path = file, .threads = 1, .wal_bytes_min = 64U << 10});
    SLUICE_ASSIGN_OR_RETURN(const DeliveryState state, destination->Open({.pipeline = "shop"}));
    Workload workload(*destination, text);
    std::int64_t n = 0;
    if (state.position) {
      n = static_cast<std::int64_t>(state.position->lsn.value) - 1;
    } else {
      SLUICE_RETURN_IF_ERROR(workload.Begin());
    }
    while (n < end) SLUICE_RETURN_IF_ERROR(workload.Step(++n));
    return destination->Close(Soon());
  }
  /// The same, of ranges. How many have landed.
  std::size_t CheckRanges() {
    destination_ = MakeDuckDbDestination({.path = file_, .threads = 1});
    const auto state = destination_->Open({.pipeline = "shop"});
    EXPECT_TRUE(state) << Why(state);
    std::size_t count = 0;
    if (state && !state->tables.empty()) {
      const TableRecord& table = state->tables[0];
      const bool is_live = table.state == TableState::kLive;
      const std::string n = std::to_string(state->position->lsn.value - 1);
      for (std::uint32_t index = 0; index < kRanges; ++index) {
        if (!is_live && !(table.ranges && table.ranges->landed[index])) continue;
        ++count;
        EXPECT_EQ(Sql("SELECT count(*), count(DISTINCT id), count(*) FILTER (r BETWEEN 1000 AND "
                      "1000 + " +
                      n +
                      "), count(*) FILTER (r >= 130000 AND r - 130000 <> n), "
                      "min(n) FILTER (r IN (0, 1, 70000, 129999)), max(n) FILTER (r IN (0, 1, "
                      "70000, 129999)) FROM (SELECT id, id % 1000000 AS r, n FROM public." +
                      std::string(is_live ? "big" : "_sluice_ranges_3") +
                      " WHERE id // 1000000 = " + std::to_string(index) + ")"),
                  "130000|130000|0|0|" + n + "|" + n);
      }
    }
    destination_.reset();  // without Close(): the log stays for the next round
    return count;
  }
  /// Content is exactly what the position says. Returns the position's n; -1: no position yet.
  std::int64_t Check() {
    destination_ = MakeDuckDbDestination({.path = file_, .threads = 1});
    const auto state = destination_->Open({.pipeline = "shop"});
    EXPECT_TRUE(state) << Why(state);
    if (!state || !state->position) {
      destination_.reset();
      return -1;
    }
    const auto n = static_cast<std::int64_t>(state->position->lsn.value) - 1;
    const std::string text = std::to_string(n);
    EXPECT_EQ(Sql("SELECT count(*), coalesce(max(id), 0) FROM public.log"),
              std::to_string(std::min<std::int64_t>(n, 10)) + "|" + text);
    EXPECT_EQ(Sql("SELECT count(*), min(n), max(n) FROM public.counters"),
              "5|" + text + "|" + text);
    destination_.reset();  // without Close(): the log stays for the next round
    return n;
  }
};

TEST_F(CrashTest, AfterAKillAtAnyMomentTheFileIsWhatItsPositionSays) {
  std::mt19937 random(4711);
  std::uniform_int_distribution<int> millis(20, 400);
  std::int64_t last = -1;
  // A loaded machine gets less far in a round.
  for (int round = 0; round < 25 || last <= 20; ++round) {
    ASSERT_LT(round, 400);
    const std::string file = file_;
    (void)InChild([&file] { return GoOn(file, "text", 1'000'000) ? 0 : 1; },
                  std::chrono::milliseconds(millis(random)));
    if (!std::filesystem::exists(file_)) continue;
    const std::int64_t n = Check();
    ASSERT_GE(n, last) << "a commit that was reported is gone";
    ASSERT_FALSE(HasFailure()) << "round " << round;
    last = n;
  }
}

TEST_F(CrashTest, AfterAKillAtAnyMomentLandedRangesAreWhatThePositionSays) {
  std::mt19937 random(4711);
  std::uniform_int_distribution<int> millis(100, 900);
  int landed_rounds = 0;
  // Where all of them have landed it begins anew.
  for (int round = 0; landed_rounds < 6; ++round) {
    ASSERT_LT(round, 400);
    const std::string file = file_;
    const std::size_t transaction_rows = round % 2 == 0 ? 50'000 : 5'000'000;
    const int code = InChild(
        [&] {
          const auto destination =
              MakeDuckDbDestination({.path = file,
                                     .wal_bytes_min = 64U << 10,
                                     .copy_transaction_rows = transaction_rows});
          const auto state = destination->Open({.pipeline = "shop"});
          return state && RangesWorkload(*destination, *state).Run() ? 0 : 1;
        },
        std::chrono::milliseconds(millis(random)));
    ASSERT_TRUE(code == 0 || code == -1) << code;
    if (!std::filesystem::exists(file_)) continue;
    const std::size_t landed = CheckRanges();
    ASSERT_FALSE(HasFailure()) << "round " << round;
    if (landed > 0) ++landed_rounds;
    if (landed == kRanges) {
      std::filesystem::remove(file_);
      std::filesystem::remove(file_ + ".wal");
    }
  }
}

TEST_F(CrashTest, AFileHeldByAnotherProcessNamesItAndIsLeftAlone) {
  int opened[2];
  int done[2];
  ASSERT_EQ(pipe(opened), 0);
  ASSERT_EQ(pipe(done), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(done[1]);
    const auto holder = MakeDuckDbDestination({.path = file_, .threads = 1});
    const bool is_open = bool(holder->Open({.pipeline = "shop"}));
    char byte = is_open ? 'y' : 'n';
    (void)!write(opened[1], &byte, 1);
    (void)!read(done[0], &byte, 1);
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(opened[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  for (const bool read_only : {false, true}) {
    const auto other = MakeDuckDbDestination({.path = file_, .threads = 1});
    const auto state = other->Open({.pipeline = "shop", .read_only = read_only});
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().code, "SLU-5001");
    EXPECT_NE(state.error().message.find("process " + std::to_string(child)), std::string::npos)
        << Why(state);
  }
  close(done[1]);
  waitpid(child, nullptr, 0);
  for (const int fd : {opened[0], opened[1], done[0]}) close(fd);
  destination_ = MakeDuckDbDestination({.path = file_, .threads = 1});
  const auto state = destination_->Open({.pipeline = "shop"});
  EXPECT_TRUE(state) << Why(state);
}

TEST_F(CrashTest, AFullDiskIsToldAndNothingReportedIsLost) {
  const std::string file = file_;
  const int code = InChild(
      [&file] {
        signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{.rlim_cur = 3U << 20, .rlim_max = 3U << 20};
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
        std::string text;
        std::mt19937 random(1);
        for (int i = 0; i < 700'000; ++i) text += static_cast<char>('!' + random() % 90);
        const Status status = GoOn(file, text, 1'000'000);
        if (status) return 3;
        return status.error().code == "SLU-5012" ? 0 : 4;
      },
      Duration::zero());
  EXPECT_EQ(code, 0);
  EXPECT_GT(Check(), 0);
  const Status went_on = GoOn(file_, "short", 200);
  EXPECT_TRUE(went_on) << Why(went_on);
  EXPECT_EQ(Check(), 200);
}

// Opened again it goes on; as an error of its own it ended the process.
TEST(MakeError, TellsThatTheInstanceIsGoneHoweverDuckDbSaysIt) {
  for (const char* words :
       {"FATAL Error: Failed: database has been invalidated because of a previous fatal error.",
        "IO Error: Database \"f\" has been invalidated because checkpointing failed."}) {
    const Error error = MakeError("write", words);
    EXPECT_EQ(error.code, "SLU-5015") << words;
    EXPECT_EQ(error.kind, ErrorKind::kConnection) << words;
  }
}

TEST(MakeError, TellsThatMemoryIsUsedUpAlsoInTheWordsOfACommit) {
  EXPECT_EQ(MakeError("commit copied rows",
                      "TransactionContext Error: Failed to commit: failed to pin block of size "
                      "256.0 KiB (63.8 MiB/64.0 MiB used)")
                .code,
            "SLU-5018");
  EXPECT_EQ(MakeError("checkpoint",
                      "IO Error: Checkpoint failed for database \"f\". The database has been "
                      "invalidated. Original error: failed to pin block of size 256.0 KiB")
                .code,
            "SLU-5018");
}

}  // namespace
}  // namespace sluice::duckdb
