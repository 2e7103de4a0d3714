#include "engine/catch_up_feed.h"

#include <gtest/gtest.h>

#include <deque>
#include <thread>

#include "base/byte_reader.h"
#include "base/testing/result_matchers.h"
#include "engine/stream_reader.h"
#include "engine/testing/change_sets.h"
#include "pgoutput/testing/message_writer.h"

namespace sluice::engine {
namespace {

using postgres::PeekCall;
using postgres::SlotPlace;
using sluice::testing::CodeIs;
using sluice::testing::IsOk;
using std::string_literals::operator""s;

constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr RelationId kTable{16384};

/// A row of the call's COPY.
std::string Row(std::uint64_t lsn, const std::string& message) {
  pgoutput::testing::MessageWriter out('\0');
  out.U8(2).U32(8).U64(lsn).U32(static_cast<std::uint32_t>(message.size())).Bytes(message);
  return out.Take();
}

/// A transaction that ends ten bytes behind its commit.
std::vector<std::string> Transaction(std::uint32_t xid, std::uint64_t commit) {
  using namespace pgoutput::testing;  // NOLINT: the message writer's words
  pgoutput::Relation relation;
  relation.id = kTable;
  relation.name = {"public", "t"};
  relation.columns = {{"id", 23, -1, true}, {"note", 25, -1, false}};
  return {Row(commit, WriteBegin({Lsn{commit}, UnixMicros{1}, TransactionId{xid}})),
          Row(commit, WriteRelation(relation)),
          Row(commit, WriteInsert(kTable, {Int4(static_cast<std::int32_t>(xid)), Null()})),
          Row(commit, WriteCommit({Lsn{commit}, Lsn{commit + 10}, UnixMicros{1}}))};
}

struct ScriptedCall {
  std::vector<std::string> rows;
  std::optional<Error> error;  ///< behind the rows
};

/// What a test sees of the slot, and what it answers.
struct Script {
  Lsn flushed{1000 * kMiB};
  std::deque<ScriptedCall> calls;
  bool is_alive = true;
  std::optional<Error> look_error;
  std::optional<Error> advance_error;
  std::stop_source stop;  ///< asked for where another call would begin

  std::vector<PeekCall> begun;
  std::vector<Lsn> advanced;
  int abandoned = 0;
  int portions = 0;
  int stops_at = -1;  ///< while that portion is waited for
};

class FakeCalls final : public postgres::SlotCalls {
 public:
  explicit FakeCalls(Script& script) : script_(script) {}

  Result<Lsn> ReadFlushLsn() override { return script_.flushed; }
  Result<SlotPlace> Look() override {
    if (script_.look_error) return *script_.look_error;
    return SlotPlace{confirmed_, confirmed_};
  }
  Status Advance(Lsn to, std::stop_token, Duration) override {
    if (script_.advance_error) return *script_.advance_error;
    confirmed_ = std::max(confirmed_, to);
    script_.advanced.push_back(to);
    return {};
  }
  Status Begin(const PeekCall& call, std::function<bool()> is_wanted) override {
    script_.begun.push_back(call);
    is_wanted_ = std::move(is_wanted);
    is_calling_ = true;
    row_ = 0;
    if (script_.calls.empty()) script_.stop.request_stop();
    return {};
  }
  Result<std::span<const Message>> Next(const std::stop_token& stop) override {
    if (++script_.portions == script_.stops_at) script_.stop.request_stop();
    if (stop.stop_requested() || !is_wanted_()) {
      is_calling_ = false;
      return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
    }
    ScriptedCall& call = script_.calls.front();
    if (row_ < call.rows.size()) return Portion(call.rows[row_]);
    is_calling_ = false;
    const std::optional<Error> error = call.error;
    script_.calls.pop_front();
    if (error) return *error;
    return std::span<const Message>();
  }
  void Abandon() override {
    script_.abandoned += is_calling_ ? 1 : 0;
    is_calling_ = false;
  }
  bool is_calling() const override { return is_calling_; }
  bool is_alive() const override { return script_.is_alive; }
  Lsn confirmed() const override { return confirmed_; }
  std::uint64_t received_bytes() const override { return bytes_; }

 private:
  std::span<const Message> Portion(const std::string& row) {
    sent_ = row_++ == 0 ? "PGCOPY\n\xFF\r\n\0\0\0\0\0\0\0\0\0"s + row : row;
    bytes_ += sent_.size();
    message_ = base::AsBytes(sent_);
    return {&message_, 1};
  }

  Script& script_;
  std::function<bool()> is_wanted_;
  bool is_calling_ = false;
  std::size_t row_ = 0;
  std::string sent_;
  Message message_;
  std::uint64_t bytes_ = 0;
  Lsn confirmed_{100};
};

telemetry::LogOptions Silent() {
  telemetry::LogOptions options;
  options.sink = [](std::string_view) {};
  return options;
}

class CatchUpFeedTest : public ::testing::Test {
 protected:
  CatchUpFeedTest() { options_.from = 8 * kMiB; }

  /// Until the script has ended, or an error. What is pushed is durable at once.
  Status Run() {
    const std::jthread writer([this] {
      for (;;) {
        WriterInbox::Item item = inbox_.Pop(false, false, Clock::now() + std::chrono::minutes(1));
        const auto* set = std::get_if<ChangeSet>(&item);
        if (set == nullptr) return;
        for (const TransactionMark& one : set->transactions) xids_.push_back(one.xid.value);
        if (!set->end.is_valid()) continue;
        progress_.processed.Store(set->end);
        progress_.durable.Store(set->end);
      }
    });
    Status status = RunReader();
    inbox_.Close();
    return status;
  }
  Status RunReader() {
    progress_.durable.Store(Lsn{100});
    progress_.processed.Store(Lsn{100});
    options_.on_given_up = [this] { ++given_up_; };
    reader_ = std::make_unique<StreamReader>(
        std::make_unique<CatchUpFeed>(std::make_unique<FakeCalls>(script_), options_), Lsn{100},
        Lsn{100}, std::nullopt, resolver_, reader_options_, inbox_, progress_, logger_);
    return reader_->Run(script_.stop.get_token());
  }

  Script script_;
  CatchUpFeedOptions options_;
  StreamReaderOptions reader_options_;
  WriterInbox inbox_{std::size_t{1} << 20};
  Progress progress_;
  telemetry::Logger logger_{Silent()};
  replication::testing::FakeResolver resolver_;
  std::unique_ptr<StreamReader> reader_;
  std::vector<std::uint32_t> xids_;
  int given_up_ = 0;
};

TEST_F(CatchUpFeedTest, BeginsTheNextCallAtWhatIsDurableAndSkipsWhatComesAgain) {
  std::vector<std::string> twice = Transaction(7, 200);
  for (std::string& row : Transaction(8, 20 * kMiB)) twice.push_back(std::move(row));
  script_.calls = {{.rows = Transaction(7, 200), .error = {}}, {.rows = twice, .error = {}}};
  ASSERT_THAT(Run(), IsOk());
  EXPECT_EQ(xids_, (std::vector<std::uint32_t>{7, 8}));
  ASSERT_EQ(script_.begun.size(), 3U);
  EXPECT_GT(script_.begun[1].upto, script_.begun[0].upto);
  ASSERT_FALSE(script_.advanced.empty());
  EXPECT_GE(script_.advanced.front(), Lsn{210});
  EXPECT_LE(script_.advanced.back(), progress_.durable.Load());
  EXPECT_EQ(given_up_, 0);
}

TEST_F(CatchUpFeedTest, HasReceivedAllUpToTheEndOfACallThatGaveLess) {
  script_.calls = {{.rows = {}, .error = {}}};
  ASSERT_THAT(Run(), IsOk());
  EXPECT_EQ(reader_->received(), script_.begun[0].upto);
}

TEST_F(CatchUpFeedTest, HandsOverToTheStreamOnceAllItReadIsDurable) {
  script_.flushed = Lsn{12 * kMiB};
  script_.calls = {{.rows = Transaction(7, 200), .error = {}}};
  EXPECT_THAT(Run(), CodeIs("SLU-3093"));
  EXPECT_EQ(given_up_, 0);
  EXPECT_EQ(reader_->received(), script_.flushed);
  EXPECT_EQ(xids_, (std::vector<std::uint32_t>{7}));
  ASSERT_FALSE(script_.advanced.empty());
  EXPECT_GE(script_.advanced.back(), Lsn{210});
}

TEST_F(CatchUpFeedTest, IsGivenUpWhereTheServerRefusesInTheMiddleOfACall) {
  std::vector<std::string> rows = Transaction(7, 200);
  rows.push_back(Transaction(8, 300)[0]);
  script_.calls = {
      {.rows = rows, .error = Error{.kind = ErrorKind::kDestination, .message = "refused"}}};
  EXPECT_THAT(Run(), CodeIs("SLU-3093"));
  EXPECT_EQ(given_up_, 1);
}

TEST_F(CatchUpFeedTest, GivesUpNothingWhereTheConnectionBreaks) {
  script_.is_alive = false;
  script_.calls = {
      {.rows = {},
       .error = Error{.kind = ErrorKind::kConnection, .message = "gone", .code = "SLU-2007"}}};
  EXPECT_THAT(Run(), CodeIs("SLU-2007"));
  EXPECT_EQ(given_up_, 0);
}

TEST_F(CatchUpFeedTest, EndsWhereTheSlotIsNotWhereItWasLeft) {
  script_.look_error =
      Error{.kind = ErrorKind::kConnection, .message = "moved", .code = "SLU-3026"};
  EXPECT_THAT(Run(), CodeIs("SLU-3026"));
  EXPECT_TRUE(script_.begun.empty());
}

TEST_F(CatchUpFeedTest, GivesUpWhereTheSlotCannotBeMoved) {
  script_.calls = {{.rows = Transaction(7, 200), .error = {}}};
  script_.advance_error = Error{.kind = ErrorKind::kConnection,
                                .message = "internal",
                                .sqlstate = "XX000",
                                .code = "SLU-2013"};
  EXPECT_THAT(Run(), CodeIs("SLU-3093"));
  EXPECT_EQ(given_up_, 1);
}

TEST_F(CatchUpFeedTest, ConnectsAgainWhereTheSlotIsHeldByAnother) {
  script_.calls = {{.rows = Transaction(7, 200), .error = {}}};
  script_.advance_error =
      Error{.kind = ErrorKind::kConnection, .sqlstate = "55006", .code = "SLU-2105"};
  EXPECT_THAT(Run(), CodeIs("SLU-2105"));
  EXPECT_EQ(given_up_, 0);
}

TEST_F(CatchUpFeedTest, RefusesACallThatEndsInsideATransaction) {
  script_.calls = {{.rows = {Transaction(7, 200)[0]}, .error = {}}};
  EXPECT_THAT(Run(), CodeIs("SLU-2019"));
}

TEST_F(CatchUpFeedTest, LeavesATransactionThatComesInPiecesToTheStream) {
  std::vector<std::string> rows = Transaction(7, 200);
  rows.push_back(Row(300, pgoutput::testing::WriteStreamStart(TransactionId{8}, true)));
  script_.calls = {{.rows = rows, .error = {}}};
  EXPECT_THAT(Run(), CodeIs("SLU-3093"));
  EXPECT_EQ(given_up_, 1);
  EXPECT_EQ(reader_->received(), Lsn{210});
}

TEST_F(CatchUpFeedTest, ReadsNoFurtherWhileTheDestinationIsBusyAndGivesUpACallThatTakesTooLong) {
  WriterInbox full{1};
  ChangeSet set = testing::Set({testing::Mark(1, 50)}, {});
  set.bytes = 10;
  ASSERT_TRUE(full.PushUntil(set, Clock::now(), {}));
  options_.call_max = std::chrono::milliseconds(50);
  reader_options_.feedback_interval = std::chrono::milliseconds(1);
  reader_options_.assembler.batch_rows = 1;
  script_.calls = {{.rows = Transaction(7, 200), .error = {}}};
  progress_.durable.Store(Lsn{100});
  options_.on_given_up = [this] { ++given_up_; };
  StreamReader reader(std::make_unique<CatchUpFeed>(std::make_unique<FakeCalls>(script_), options_),
                      Lsn{100}, Lsn{100}, std::nullopt, resolver_, reader_options_, full, progress_,
                      logger_);
  EXPECT_THAT(reader.Run({}), CodeIs("SLU-3093"));
  EXPECT_EQ(given_up_, 1);
  EXPECT_LE(script_.portions, 4);
  EXPECT_EQ(script_.abandoned, 1) << "before anybody waits for the writer";
}

TEST_F(CatchUpFeedTest, IsGivenUpWhereTheDestinationKeepsItWaitingBetweenTwoCalls) {
  options_.call_max = std::chrono::milliseconds(50);
  script_.calls = {{.rows = Transaction(7, 200), .error = {}},
                   {.rows = Transaction(8, 300), .error = {}}};
  EXPECT_THAT(RunReader(), CodeIs("SLU-3093")) << "nothing becomes durable";
  EXPECT_EQ(given_up_, 1);
  EXPECT_EQ(script_.begun.size(), 1U);
}

TEST_F(CatchUpFeedTest, StopsInTheMiddleOfACall) {
  script_.calls = {{.rows = Transaction(7, 200), .error = {}}};
  script_.stops_at = 4;
  EXPECT_THAT(Run(), IsOk());
  EXPECT_EQ(script_.begun.size(), 1U);
  EXPECT_TRUE(xids_.empty());
  EXPECT_EQ(given_up_, 0);
}

}  // namespace
}  // namespace sluice::engine
