#include <stop_token>
#include <string>

#include "base/byte_reader.h"
#include "postgres/catch_up_reader.h"
#include "postgres/server_facts.h"
#include "postgres/server_fixture.h"
#include "postgres/slot.h"

namespace sluice::postgres {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsError;
using sluice::testing::IsOk;

class CatchUpTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (IsSkipped()) return;
    Sql("CREATE TABLE public.t (id int PRIMARY KEY); CREATE PUBLICATION \"My \"\"Pub\"\", x\" FOR "
        "TABLE public.t");
    Connection stream = Open(true);
    const auto slot = CreateSlot(stream, *sql_, {.name = "sluice_pg_catch_up", .on_waiting = {}});
    ASSERT_THAT(slot, IsOk());
    start_ = slot->consistent_point;
  }
  CatchUpReader Reader(Lsn confirmed, const std::string& publication = "My \"Pub\", x") {
    auto reader = CatchUpReader::Open(
        Open(), Open(),
        {.slot = "sluice_pg_catch_up", .publications = {publication}, .start_lsn = confirmed},
        confirmed);
    EXPECT_THAT(reader, IsOk());
    return *std::move(reader);
  }
  Lsn Flushed() { return *ReadFlushLsn(*sql_); }

  // Types of pgoutput's messages of the call that was begun.
  static Result<std::string> ReadTypes(CatchUpReader& reader) {
    std::string types;
    bool is_first = true;
    while (true) {
      SLUICE_ASSIGN_OR_RETURN(const auto rows, reader.Next({}));
      if (rows.empty()) return types;
      for (const auto& row : rows) {
        SLUICE_ASSIGN_OR_RETURN(const LoggedMessage read, ReadLoggedMessage(row, is_first));
        is_first = false;
        if (!read.message.empty()) types += base::AsText(read.message)[0];
      }
    }
  }
  Result<std::string> ReadCall(CatchUpReader& reader, int changes_max = 1000) {
    SLUICE_RETURN_IF_ERROR(
        reader.Begin({.upto = Flushed(), .changes_max = changes_max}, [] { return true; }));
    return ReadTypes(reader);
  }

  Lsn start_;
};

TEST_F(CatchUpTest, ReadsFromWhereTheSlotStandsUntilItIsAdvanced) {
  CatchUpReader reader = Reader(start_);
  Sql("INSERT INTO public.t VALUES (1), (2)");
  const Lsn between = Flushed();
  Sql("DELETE FROM public.t WHERE id = 1");
  for (int i = 0; i < 2; ++i) {
    ASSERT_THAT(reader.Look(), IsOk());
    const auto types = ReadCall(reader);
    ASSERT_THAT(types, IsOk());
    EXPECT_EQ(*types, "BRIICBDC");
  }
  ASSERT_THAT(reader.Advance(between), IsOk());
  EXPECT_EQ(reader.Look()->confirmed, between);
  EXPECT_EQ(*ReadCall(reader), "BRDC");
  ASSERT_THAT(reader.Advance(start_), IsOk());
  EXPECT_EQ(reader.Look()->confirmed, between);
}

TEST_F(CatchUpTest, EndsACallOnlyBehindATransaction) {
  CatchUpReader reader = Reader(start_);
  Sql("INSERT INTO public.t SELECT generate_series(1, 5)");
  Sql("INSERT INTO public.t VALUES (6)");
  EXPECT_EQ(*ReadCall(reader, 3), "BRIIIIIC");
  EXPECT_EQ(*ReadCall(reader, 9), "BRIIIIICBIC");
}

TEST_F(CatchUpTest, EndsACallInsideALargeTransactionThatComesInPieces) {
  CatchUpReader reader = Reader(start_);
  Sql("ALTER TABLE public.t ADD COLUMN filler text; INSERT INTO public.t SELECT i, repeat('x', "
      "1000) "
      "FROM generate_series(1, 100000) i");
  const auto types = ReadCall(reader, 3);
  ASSERT_THAT(types, IsOk());
  EXPECT_EQ(types->substr(0, 3), "SRI");
  EXPECT_EQ(types->back(), 'E');
  EXPECT_LT(types->size(), 90'000U);
}

TEST_F(CatchUpTest, GivesNothingWhereNothingIsPublished) {
  CatchUpReader reader = Reader(start_);
  const auto types = ReadCall(reader);
  ASSERT_THAT(types, IsOk());
  EXPECT_EQ(*types, "");
  EXPECT_FALSE(reader.is_calling());
}

TEST_F(CatchUpTest, NoticesThatAnotherSessionHasTheSlot) {
  CatchUpReader reader = Reader(start_);
  auto stream = ReplicationStream::Start(
      Open(true),
      {.slot = "sluice_pg_catch_up", .publications = {"My \"Pub\", x"}, .start_lsn = start_});
  ASSERT_THAT(stream, IsOk());
  EXPECT_THAT(reader.Look(), CodeIs("SLU-2105"));
  EXPECT_THAT(ReadCall(reader), CodeIs("SLU-2105"));
  EXPECT_TRUE(reader.is_alive());
  Sql("INSERT INTO public.t VALUES (1)");
  const auto advanced = reader.Advance(Flushed());
  ASSERT_THAT(advanced, CodeIs("SLU-2105"));
  EXPECT_EQ(advanced.error().kind, ErrorKind::kConnection);
}

TEST_F(CatchUpTest, HoldsTheSlotBetweenCallsToo) {
  {
    CatchUpReader reader = Reader(start_);
    EXPECT_TRUE((*ReadSlot(*sql_, "sluice_pg_catch_up"))->is_active);
    EXPECT_THAT(HoldSlot(*sql_, *sql_, "sluice_pg_catch_up"), CodeIs("SLU-2105"));
    EXPECT_THAT(HoldSlot(*sql_, *sql_, "sluice_pg_another"), IsOk());
  }
  // The server notices a closed connection a little later.
  EXPECT_THAT(HoldSlot(*sql_, *sql_, "sluice_pg_catch_up"), IsOk());
}

TEST_F(CatchUpTest, AStreamHoldsTheSlotAgainstReadersBySql) {
  Connection walsender = Open(true);
  {
    CatchUpReader reader = Reader(start_);
    const Status held = HoldSlot(walsender, *sql_, "sluice_pg_catch_up");
    ASSERT_THAT(held, CodeIs("SLU-2105"));
    EXPECT_NE(held.error().message.find("by pid "), std::string::npos);
  }
  ASSERT_THAT(HoldSlot(walsender, *sql_, "sluice_pg_catch_up"), IsOk());
  EXPECT_THAT(HoldSlot(*sql_, *sql_, "sluice_pg_catch_up"), CodeIs("SLU-2105"));
  {
    auto stream = ReplicationStream::Start(
        std::move(walsender),
        {.slot = "sluice_pg_catch_up", .publications = {"My \"Pub\", x"}, .start_lsn = start_});
    ASSERT_THAT(stream, IsOk());
    EXPECT_THAT(HoldSlot(*sql_, *sql_, "sluice_pg_catch_up"), CodeIs("SLU-2105"));
  }
  EXPECT_THAT(HoldSlot(*sql_, *sql_, "sluice_pg_catch_up"), IsOk());
}

TEST_F(CatchUpTest, NoticesThatSomebodyMovedTheSlotEvenBehindItsBack) {
  CatchUpReader reader = Reader(start_);
  Sql("INSERT INTO public.t VALUES (1)");
  Sql("SELECT pg_replication_slot_advance('sluice_pg_catch_up', pg_current_wal_flush_lsn())");
  Sql("INSERT INTO public.t VALUES (2)");
  EXPECT_THAT(ReadCall(reader), CodeIs("SLU-3026"));
  EXPECT_THAT(reader.Look(), CodeIs("SLU-3026"));
  Sql("SELECT pg_drop_replication_slot('sluice_pg_catch_up')");
  EXPECT_THAT(reader.Look(), CodeIs("SLU-2102"));
}

TEST_F(CatchUpTest, NeverGoesOnWithoutAPublicationThatIsNotThere) {
  CatchUpReader reader = Reader(start_, "no_such");
  Sql("INSERT INTO public.t VALUES (1)");
  const auto types = ReadCall(reader);
  ASSERT_TRUE(!types.has_value());
  if (sql_->server_version() >= 180000) {
    EXPECT_THAT(types, CodeIs("SLU-2110"));
  } else {
    EXPECT_EQ(types.error().sqlstate, "42704");
    EXPECT_TRUE(reader.is_alive());
  }
}

TEST_F(CatchUpTest, StopsAtOnce) {
  Sql("INSERT INTO public.t SELECT generate_series(1, 100000)");
  CatchUpReader reader = Reader(start_);
  ASSERT_THAT(reader.Begin({.upto = Flushed(), .changes_max = 1000000}, [] { return true; }),
              IsOk());
  std::stop_source stop;
  stop.request_stop();
  const auto rows = reader.Next(stop.get_token());
  ASSERT_THAT(rows, IsError(ErrorKind::kCancelled));
  EXPECT_FALSE(reader.is_calling());
  EXPECT_THAT(reader.Look(), IsOk());
}

}  // namespace
}  // namespace sluice::postgres
