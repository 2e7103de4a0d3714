#include <chrono>
#include <string>

#include "base/byte_reader.h"
#include "postgres/publication.h"
#include "postgres/replication_stream.h"
#include "postgres/server_fixture.h"
#include "postgres/slot.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;
using sluice::testing::CodeIs;
using sluice::testing::IsError;
using sluice::testing::IsOk;

class ReplicationTest : public ServerTest, public ::testing::WithParamInterface<bool> {
 protected:
  CreatedSlot MakeSlot(const std::string& name) {
    Connection stream = Open(true);
    auto slot = CreateSlot(stream, *sql_, {.name = name, .on_waiting = {}});
    EXPECT_THAT(slot, IsOk());
    return slot ? *std::move(slot) : CreatedSlot{};
  }
  Result<ReplicationStream> Stream(const std::string& slot, Lsn start) {
    return ReplicationStream::Start(Open(true), {.slot = slot,
                                                 .publications = {"My \"Pub\", x"},
                                                 .start_lsn = start,
                                                 .may_read_raw = GetParam()});
  }
  // Types of pgoutput's messages up to the first commit.
  static std::string ReadToCommit(ReplicationStream& stream) {
    std::string types;
    const auto deadline = Clock::now() + 10s;
    while (Clock::now() < deadline) {
      auto message = stream.Read(deadline);
      EXPECT_THAT(message, IsOk());
      if (!message || !*message) break;
      const auto text = base::AsText(**message);
      if (text[0] != 'w') continue;
      types += text[25];
      if (types.back() == 'C' || types.back() == 'c') break;
    }
    return types;
  }
};

TEST_P(ReplicationTest, CreatesASlotWithTheSnapshotsTheCopyNeeds) {
  const CreatedSlot slot = MakeSlot("sluice_pg_test");
  EXPECT_TRUE(slot.consistent_point.is_valid());
  EXPECT_NE(slot.slot_snapshot.find(':'), std::string::npos);
  EXPECT_NE(slot.first_snapshot.find(':'), std::string::npos);
  const auto row = ReadSlot(*sql_, "sluice_pg_test");
  ASSERT_THAT(row, IsOk());
  ASSERT_TRUE(row->has_value());
  EXPECT_EQ((*row)->plugin, "pgoutput");
  EXPECT_EQ((*row)->database, database_);
  EXPECT_EQ((*row)->confirmed_flush_lsn, slot.consistent_point);
  EXPECT_FALSE((*row)->is_two_phase);
  Connection stream = Open(true);
  EXPECT_THAT(CreateSlot(stream, *sql_, {.name = "sluice_pg_test", .on_waiting = {}}),
              CodeIs("SLU-2101"));
  ASSERT_THAT(CreatePublication(*sql_, "sluice_pg_test", "gen", {}), IsOk());
  const auto listed = ListSluiceSlots(*sql_);
  ASSERT_THAT(listed, IsOk());
  bool is_listed = false;
  for (const SluiceSlot& one : *listed) is_listed |= one.generation == "gen" && one.slot;
  EXPECT_TRUE(is_listed);
  EXPECT_THAT(DropSlot(*sql_, "sluice_pg_test", 1s), IsOk());
  EXPECT_THAT(DropSlot(*sql_, "sluice_pg_test", 1s), IsOk());
}

TEST_P(ReplicationTest, NamesTheTransactionASlotWaitsFor) {
  Connection open = Open();
  Sql(open, "BEGIN; SELECT pg_current_xact_id()");
  Connection stream = Open(true);
  int reports = 0;
  const auto slot = CreateSlot(
      stream, *sql_,
      {.name = "sluice_pg_waits", .deadline = 2500ms, .on_waiting = [&](const auto& oldest) {
         reports += oldest.has_value();
       }});
  ASSERT_THAT(slot, CodeIs("SLU-2104"));
  EXPECT_NE(slot.error().message.find("pid "), std::string::npos);
  EXPECT_GE(reports, 1);
  EXPECT_FALSE(ReadSlot(*sql_, "sluice_pg_waits")->has_value());
}

TEST_P(ReplicationTest, StreamsChangesAndSendsFeedback) {
  Sql("CREATE TABLE public.t (id int PRIMARY KEY); CREATE PUBLICATION \"My \"\"Pub\"\", x\" FOR "
      "TABLE public.t");
  const CreatedSlot slot = MakeSlot("sluice_pg_stream");
  auto stream = Stream("sluice_pg_stream", slot.consistent_point);
  ASSERT_THAT(stream, IsOk());
  Sql("INSERT INTO public.t VALUES (1), (2)");
  EXPECT_EQ(ReadToCommit(*stream), "BRIIC");
  const auto now = sql_->Exec("read", "SELECT pg_current_wal_flush_lsn()");
  ASSERT_THAT(now, IsOk());
  const std::uint64_t lsn = now->LsnAt(0, 0)->value;
  std::string update = "r";
  for (int part = 0; part < 4; ++part) {
    for (int shift = 56; shift >= 0; shift -= 8) {
      update += static_cast<char>(part < 3 ? lsn >> shift & 0xFF : 0);
    }
  }
  update += '\0';
  ASSERT_THAT(stream->Send(base::AsBytes(update)), IsOk());
  ASSERT_THAT(stream->FlushUntil(Clock::now() + 5s), IsOk());
  const auto deadline = Clock::now() + 5s;
  Lsn confirmed;
  while (Clock::now() < deadline && confirmed.value != lsn) {
    confirmed = (*ReadSlot(*sql_, "sluice_pg_stream"))->confirmed_flush_lsn;
  }
  EXPECT_EQ(confirmed.value, lsn);
  EXPECT_THAT(Stream("sluice_pg_stream", slot.consistent_point), CodeIs("SLU-2105"));
  stream->Close(5s);
}

TEST_P(ReplicationTest, ReturnsNothingAtTheDeadlineAndStopsOnRequest) {
  Sql("CREATE PUBLICATION \"My \"\"Pub\"\", x\"");
  const CreatedSlot slot = MakeSlot("sluice_pg_idle");
  auto stream = Stream("sluice_pg_idle", slot.consistent_point);
  ASSERT_THAT(stream, IsOk());
  // A keepalive may come first.
  auto message = stream->Read(Clock::now() + 100ms);
  while (message && *message) message = stream->Read(Clock::now() + 100ms);
  ASSERT_THAT(message, IsOk());
  std::stop_source source;
  source.request_stop();
  EXPECT_THAT(stream->Read(Clock::now() + 10s, source.get_token()), IsError(ErrorKind::kCancelled));
}

// A look at the socket behind every run of messages, with no wait, kept WakePolicy from ever
// gathering: half of the throughput.
TEST_P(ReplicationTest, WithoutADeadlineItTakesOnlyWhatIsBuffered) {
  Sql("CREATE TABLE public.t (id int PRIMARY KEY); CREATE PUBLICATION \"My \"\"Pub\"\", x\" FOR "
      "TABLE public.t");
  const CreatedSlot slot = MakeSlot("sluice_pg_buffered");
  auto stream = Stream("sluice_pg_buffered", slot.consistent_point);
  ASSERT_THAT(stream, IsOk());
  Sql("INSERT INTO public.t VALUES (1)");
  for (int i = 0; i < 1000; ++i) {
    const auto message = stream->Read(Clock::time_point{});
    ASSERT_THAT(message, IsOk());
    // Keepalives may have come with the answer to START_REPLICATION.
    EXPECT_TRUE(!message->has_value() || base::AsText(**message)[0] == 'k');
  }
  EXPECT_EQ(stream->wake_ups(), 0U);
  EXPECT_EQ(ReadToCommit(*stream), "BRIC");
}

TEST_P(ReplicationTest, StopsWhenThePublicationIsMissing) {
  Sql("CREATE TABLE public.t (id int PRIMARY KEY)");
  const CreatedSlot slot = MakeSlot("sluice_pg_nopub");
  auto stream = Stream("sluice_pg_nopub", slot.consistent_point);
  ASSERT_THAT(stream, IsOk());
  Sql("INSERT INTO public.t VALUES (1)");
  const auto deadline = Clock::now() + 10s;
  auto message = stream->Read(deadline);
  while (message && *message) message = stream->Read(deadline);
  EXPECT_THAT(message, CodeIs(sql_->server_version() >= 180000 ? "SLU-2110" : "SLU-2037"));
}

TEST_P(ReplicationTest, TellsThatTheServerEndedTheStream) {
  Sql("CREATE PUBLICATION \"My \"\"Pub\"\", x\"");
  const CreatedSlot slot = MakeSlot("sluice_pg_ended");
  auto stream = Stream("sluice_pg_ended", slot.consistent_point);
  ASSERT_THAT(stream, IsOk());
  Sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = "
      "'sluice_pg_ended'");
  const auto deadline = Clock::now() + 10s;
  auto message = stream->Read(deadline);
  while (message && *message) message = stream->Read(deadline);
  ASSERT_THAT(message, CodeIs("SLU-2109"));
  EXPECT_EQ(message.error().kind, ErrorKind::kConnection);
}

TEST_P(ReplicationTest, TellsAMissingSlot) {
  EXPECT_THAT(Stream("sluice_pg_none", Lsn{1}), CodeIs("SLU-2102"));
}

TEST_P(ReplicationTest, ReadsALargeTransactionInPieces) {
  Sql("CREATE TABLE public.t (id int PRIMARY KEY, x text); CREATE PUBLICATION \"My \"\"Pub\"\", "
      "x\" "
      "FOR TABLE public.t");
  const CreatedSlot slot = MakeSlot("sluice_pg_large");
  auto stream = Stream("sluice_pg_large", slot.consistent_point);
  ASSERT_THAT(stream, IsOk());
  Sql("INSERT INTO public.t SELECT g, repeat('x', 50) FROM generate_series(1, 300000) g");
  std::size_t inserts = 0;
  bool is_committed = false;
  const auto deadline = Clock::now() + 60s;
  while (!is_committed) {
    const auto message = stream->Read(deadline);
    ASSERT_THAT(message, IsOk());
    ASSERT_TRUE(message->has_value());
    const auto text = base::AsText(**message);
    if (text[0] != 'w') continue;
    inserts += text[25] == 'I';
    is_committed = text[25] == 'C' || text[25] == 'c';
  }
  EXPECT_EQ(inserts, 300000U);
  // One wake-up a message would be 300,000.
  EXPECT_LT(stream->wake_ups(), 100000U);
}

TEST_P(ReplicationTest, GetsATransactionInPiecesWhenTheServerHolds32MiBOfIt) {
  Sql("CREATE TABLE public.t (id int PRIMARY KEY, x text); CREATE PUBLICATION \"My \"\"Pub\"\", "
      "x\" FOR TABLE public.t");
  ASSERT_EQ(Sql("SHOW logical_decoding_work_mem").str(0, 0), "64MB");
  const CreatedSlot slot = MakeSlot("sluice_pg_pieces");
  auto stream = Stream("sluice_pg_pieces", slot.consistent_point);
  ASSERT_THAT(stream, IsOk());
  Sql("INSERT INTO public.t SELECT g, repeat('x', 1000) FROM generate_series(1, 40000) g");
  EXPECT_EQ(ReadToCommit(*stream).front(), 'S');
}

INSTANTIATE_TEST_SUITE_P(Both, ReplicationTest, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "Raw" : "Libpq"; });

}  // namespace
}  // namespace sluice::postgres
