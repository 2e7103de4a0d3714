#include <chrono>
#include <thread>

#include "postgres/server_facts.h"
#include "postgres/server_fixture.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;
using sluice::testing::CodeIs;
using sluice::testing::IsError;
using sluice::testing::IsOk;

class ConnectionTest : public ServerTest {};

TEST_F(ConnectionTest, PinsTheSessionAgainstTheRolesSettings) {
  Sql("ALTER DATABASE " + database_ + " SET datestyle = 'German'");
  Sql("ALTER DATABASE " + database_ + " SET extra_float_digits = -5");
  Sql("ALTER DATABASE " + database_ + " SET bytea_output = escape");
  Sql("ALTER DATABASE " + database_ + " SET statement_timeout = '10ms'");
  for (const bool is_replication : {false, true}) {
    Connection connection = Open(is_replication);
    const QueryResult rows = Sql(connection,
                                 "SELECT '2024-02-03'::date, 0.1::float8 + 0.2, '\\xff'::bytea, "
                                 "current_setting('search_path'), pg_sleep(0.05)");
    EXPECT_EQ(rows.text(0, 0), "2024-02-03");
    EXPECT_EQ(rows.text(0, 1), "0.30000000000000004");
    EXPECT_EQ(rows.text(0, 2), "\\xff");
    EXPECT_EQ(rows.text(0, 3), "pg_catalog");
  }
}

TEST_F(ConnectionTest, TellsWhyItCannotConnect) {
  EXPECT_THAT(Connection::Open(Url("no_such_database"), {}), CodeIs("SLU-2006"));
  EXPECT_THAT(Connection::Open(Url("", " user=nobody_there"), {}), IsError(ErrorKind::kAuth));
  EXPECT_THAT(Connection::Open(Url("", " host=no.such.host.invalid sslmode=disable"), {}),
              CodeIs("SLU-2003"));
  EXPECT_THAT(Connection::Open(Url("", " port=1"), {}), CodeIs("SLU-2002"));
  EXPECT_THAT(Connection::Open(Url("", " sslmode=verify-full"), {}), CodeIs("SLU-2005"));
}

TEST_F(ConnectionTest, TriesTheNextHost) {
  const auto url = SourceUrl::Parse("host=127.0.0.1,127.0.0.1 port=1," + Url().port() +
                                    " user=" + Url().user() + " dbname=" + database_);
  ASSERT_THAT(url, IsOk());
  EXPECT_THAT(Connection::Open(*url, {}), IsOk());
}

TEST_F(ConnectionTest, CancelsAStatementAtItsDeadlineAndStaysUsable) {
  EXPECT_THAT(sql_->Exec("sleep", "SELECT pg_sleep(30)", {}, {.timeout = 50ms}),
              CodeIs("SLU-2008"));
  EXPECT_EQ(Sql("SELECT 1").text(0, 0), "1");
}

TEST_F(ConnectionTest, CancelsAStatementOnStop) {
  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(50ms);
    source.request_stop();
  });
  const auto begin = Clock::now();
  EXPECT_THAT(sql_->Exec("sleep", "SELECT pg_sleep(30)", {}, {.stop = source.get_token()}),
              IsError(ErrorKind::kCancelled));
  EXPECT_LT(Clock::now() - begin, 2s);
  EXPECT_EQ(Sql("SELECT 1").text(0, 0), "1");
}

TEST_F(ConnectionTest, ReportsTheServersErrorWithItsState) {
  const auto result = sql_->Exec("read a table", "SELECT * FROM no_such_table");
  ASSERT_THAT(result, IsError(ErrorKind::kConfig));
  EXPECT_EQ(result.error().sqlstate, "42P01");
  EXPECT_NE(result.error().server_message.find("no_such_table"), std::string::npos);
}

TEST_F(ConnectionTest, NoticesAKilledSession) {
  Connection victim = Open();
  Sql("SELECT pg_terminate_backend(" + std::to_string(victim.backend_pid()) + ")");
  EXPECT_THAT(victim.Exec("ask", "SELECT 1"), IsError(ErrorKind::kConnection));
  EXPECT_FALSE(victim.is_alive());
  EXPECT_THAT(victim.Exec("ask again", "SELECT 1"), CodeIs("SLU-2007"));
}

TEST_F(ConnectionTest, PassesParametersAsText) {
  const auto rows = sql_->Exec("echo", "SELECT $1::text, $2::int + 1", {"it's", "41"});
  ASSERT_THAT(rows, IsOk());
  EXPECT_EQ(rows->text(0, 0), "it's");
  EXPECT_EQ(rows->text(0, 1), "42");
}

TEST_F(ConnectionTest, ReadsServerFactsAndIdentity) {
  const auto facts = ReadServerFacts(*sql_);
  ASSERT_THAT(facts, IsOk());
  EXPECT_EQ(facts->version_num, sql_->server_version());
  EXPECT_EQ(facts->wal_level, "logical");
  EXPECT_EQ(facts->encoding, "UTF8");
  EXPECT_EQ(facts->database, database_);
  EXPECT_TRUE(facts->is_superuser);
  Connection stream = Open(true);
  const auto identity = ReadServerIdentity(stream);
  ASSERT_THAT(identity, IsOk());
  EXPECT_NE(identity->system_identifier, 0U);
  EXPECT_EQ(identity->timeline, 1U);
  const auto positions = ReadWalPositions(*sql_);
  ASSERT_THAT(positions, IsOk());
  EXPECT_GE(positions->insert_lsn, positions->flush_lsn);
}

TEST_F(ConnectionTest, NamesTheOldestTransaction) {
  Connection open = Open();
  Sql(open, "BEGIN; SELECT pg_current_xact_id()");
  const auto oldest = ReadOldestTransaction(*sql_);
  ASSERT_THAT(oldest, IsOk());
  ASSERT_TRUE(oldest->has_value());
  EXPECT_FALSE(Describe(**oldest).empty());
}

}  // namespace
}  // namespace sluice::postgres
