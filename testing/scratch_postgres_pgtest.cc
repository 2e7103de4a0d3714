#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "base/testing/result_matchers.h"
#include "testing/scratch_postgres.h"
#include "testing/sql_session.h"

namespace sluice::testing {
namespace {

TEST(WithPostgres, GivesTheCommandAServerOfTheVersionAskedFor) {
  const char* url = std::getenv("SLUICE_TEST_PG");
  if (url == nullptr) GTEST_SKIP() << "SLUICE_TEST_PG is not set";
  auto session = SqlSession::Open(url);
  ASSERT_THAT(session, IsOk());
  EXPECT_THAT(session->Value("SHOW wal_level"), HasValue("logical"));
  EXPECT_THAT(session->Value("SELECT current_setting('server_version_num')::int / 10000"),
              HasValue(std::string(std::getenv("SLUICE_TEST_PG_VERSION"))));
}

TEST(ScratchPostgres, StartsEveryVersionThatTestsUse) {
  for (const char* version : {"14", "17", "18"}) {
    auto server = ScratchPostgres::Start({.version = version});
    ASSERT_THAT(server, IsOk());
    auto session = SqlSession::Open(server->Url());
    ASSERT_THAT(session, IsOk());
    EXPECT_THAT(session->Value("SELECT current_setting('server_version_num')::int / 10000"),
                HasValue(std::string(version)));
  }
}

TEST(ScratchPostgres, SaysWhichVersionIsMissing) {
  EXPECT_THAT(ScratchPostgres::Start({.version = "9.1"}), IsError(ErrorKind::kConfig));
}

TEST(ScratchPostgres, KeepsItsDataThroughRestartsAndKills) {
  auto server = ScratchPostgres::Start({.settings = {{"work_mem", "5MB"}}});
  ASSERT_THAT(server, IsOk());
  const auto url = server->CreateDatabase("kept");
  ASSERT_THAT(url, IsOk());
  {
    auto session = SqlSession::Open(*url);
    ASSERT_THAT(session, IsOk());
    EXPECT_THAT(session->Value("SHOW work_mem"), HasValue("5MB"));
    ASSERT_THAT(session->Exec("CREATE TABLE t AS SELECT 1 AS a"), IsOk());
  }
  ASSERT_THAT(server->Restart(ScratchPostgres::StopMode::kFast), IsOk());
  ASSERT_THAT(server->Restart(ScratchPostgres::StopMode::kImmediate), IsOk());
  server->Kill();
  ASSERT_THAT(server->StartAgain(), IsOk());
  auto session = SqlSession::Open(*url);
  ASSERT_THAT(session, IsOk());
  EXPECT_THAT(session->Value("SELECT a FROM t"), HasValue("1"));
}

TEST(ScratchPostgres, DropsADatabaseWithItsSlots) {
  auto server = ScratchPostgres::Start();
  ASSERT_THAT(server, IsOk());
  const auto url = server->CreateDatabase("gone");
  ASSERT_THAT(url, IsOk());
  {
    auto session = SqlSession::Open(*url);
    ASSERT_THAT(session, IsOk());
    ASSERT_THAT(session->Exec("SELECT pg_create_logical_replication_slot('s', 'pgoutput')"),
                IsOk());
  }
  EXPECT_THAT(server->DropDatabase("gone"), IsOk());
  auto session = SqlSession::Open(server->Url());
  ASSERT_THAT(session, IsOk());
  EXPECT_THAT(session->Value("SELECT count(*) FROM pg_replication_slots"), HasValue("0"));
}

TEST(SqlSession, CarriesTheSqlstateOfAFailure) {
  auto server = ScratchPostgres::Start();
  ASSERT_THAT(server, IsOk());
  auto session = SqlSession::Open(server->Url());
  ASSERT_THAT(session, IsOk());
  const auto failed = session->Query("SELECT 1/0");
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().sqlstate, "22012");
}

}  // namespace
}  // namespace sluice::testing
