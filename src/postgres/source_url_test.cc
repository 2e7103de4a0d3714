#include "postgres/source_url.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/testing/result_matchers.h"
#include "postgres/session_settings.h"
#include "postgres/sql_error.h"

namespace sluice::postgres {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsOk;

class SourceUrlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"PGSSLMODE", "PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE",
                             "PGPASSWORD", "PGHOSTADDR"}) {
      unsetenv(name);  // NOLINT(concurrency-mt-unsafe)
    }
  }
};

TEST_F(SourceUrlTest, NeverShowsThePassword) {
  const auto url = SourceUrl::Parse("postgres://app:s3cret@db.example:5433/shop?sslmode=require");
  ASSERT_THAT(url, IsOk());
  EXPECT_EQ(url->redacted(), "postgres://app@db.example:5433/shop");
  EXPECT_EQ(url->host(), "db.example");
  EXPECT_EQ(url->port(), "5433");
  EXPECT_EQ(url->user(), "app");
  EXPECT_EQ(url->database(), "shop");
}

TEST_F(SourceUrlTest, AsksForVerifiedTlsElsewhere) {
  const auto url = SourceUrl::Parse("postgres://app@db.example/shop");
  ASSERT_THAT(url, IsOk());
  EXPECT_EQ(url->ssl_mode(), "verify-full");
  EXPECT_TRUE(url->is_ssl_mode_ours());
  EXPECT_TRUE(url->keywords().contains("sslrootcert"));
}

TEST_F(SourceUrlTest, TakesTheUsersSslModeFromUrlAndEnvironment) {
  const auto given = SourceUrl::Parse("host=db.example dbname=shop user=a sslmode=prefer");
  ASSERT_THAT(given, IsOk());
  EXPECT_EQ(given->ssl_mode(), "prefer");
  EXPECT_FALSE(given->is_ssl_mode_ours());
  setenv("PGSSLMODE", "require", 1);  // NOLINT(concurrency-mt-unsafe)
  const auto from_environment = SourceUrl::Parse("host=db.example dbname=shop user=a");
  unsetenv("PGSSLMODE");  // NOLINT(concurrency-mt-unsafe)
  ASSERT_THAT(from_environment, IsOk());
  EXPECT_EQ(from_environment->ssl_mode(), "require");
}

TEST_F(SourceUrlTest, LeavesLoopbackAndSocketsAlone) {
  for (const char* text :
       {"postgres://a@localhost/x", "postgres://a@127.0.0.1/x", "postgres://a@[::1]/x",
        "host=/var/run/postgresql user=a", "postgresql:///x"}) {
    const auto url = SourceUrl::Parse(text);
    ASSERT_THAT(url, IsOk()) << text;
    EXPECT_FALSE(url->is_ssl_mode_ours()) << text;
  }
}

TEST_F(SourceUrlTest, WantsTlsWhenOneOfSeveralHostsIsElsewhere) {
  const auto url = SourceUrl::Parse("postgres://a@localhost:1,db.example:2/x");
  ASSERT_THAT(url, IsOk());
  EXPECT_TRUE(url->is_ssl_mode_ours());
  EXPECT_FALSE(IsLocalHost("localhost,db.example"));
  EXPECT_TRUE(IsLocalHost("localhost,::1"));
  EXPECT_TRUE(IsLocalHost(""));
}

TEST_F(SourceUrlTest, WantsTlsWhereANameOnlyBeginsLikeALoopbackAddress) {
  for (const char* text : {"postgres://a@127.example.com/x", "postgres://a@127.0.0.1.example.com/x",
                           "postgres://a@127.0.0.1,127.example.com/x"}) {
    const auto url = SourceUrl::Parse(text);
    ASSERT_THAT(url, IsOk()) << text;
    EXPECT_EQ(url->ssl_mode(), "verify-full") << text;
  }
  EXPECT_TRUE(IsLocalHost("127.8.9.1"));
  EXPECT_FALSE(IsLocalHost("12.7.0.1"));
}

TEST_F(SourceUrlTest, JudgesTheAddressThatIsConnectedTo) {
  for (const char* text : {"host=localhost hostaddr=10.0.0.5 user=a", "hostaddr=10.0.0.5 user=a",
                           "host=localhost,localhost hostaddr=127.0.0.1,10.0.0.5 user=a",
                           "host=db.example hostaddr=127.0.0.1 user=a"}) {
    const auto url = SourceUrl::Parse(text);
    ASSERT_THAT(url, IsOk()) << text;
    EXPECT_EQ(url->ssl_mode(), "verify-full") << text;
  }
  for (const char* text : {"host=localhost hostaddr=127.0.0.1 user=a", "hostaddr=::1 user=a"}) {
    const auto url = SourceUrl::Parse(text);
    ASSERT_THAT(url, IsOk()) << text;
    EXPECT_FALSE(url->is_ssl_mode_ours()) << text;
  }
}

TEST_F(SourceUrlTest, JudgesAnAddressFromEnvironmentAndService) {
  setenv("PGHOSTADDR", "10.0.0.5", 1);  // NOLINT(concurrency-mt-unsafe)
  const auto from_environment = SourceUrl::Parse("host=localhost user=a");
  unsetenv("PGHOSTADDR");  // NOLINT(concurrency-mt-unsafe)
  ASSERT_THAT(from_environment, IsOk());
  EXPECT_EQ(from_environment->ssl_mode(), "verify-full");

  const std::string file = ::testing::TempDir() + "sluice_source_url_service.conf";
  std::ofstream(file) << "[away]\nhostaddr=192.0.2.1\n";
  setenv("PGSERVICEFILE", file.c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  const auto named = SourceUrl::Parse("service=away host=localhost user=a");
  setenv("PGSERVICE", "away", 1);  // NOLINT(concurrency-mt-unsafe)
  const auto by_variable = SourceUrl::Parse("host=localhost user=a");
  unsetenv("PGSERVICE");      // NOLINT(concurrency-mt-unsafe)
  unsetenv("PGSERVICEFILE");  // NOLINT(concurrency-mt-unsafe)
  std::filesystem::remove(file);
  ASSERT_THAT(named, IsOk());
  EXPECT_EQ(named->ssl_mode(), "verify-full");
  ASSERT_THAT(by_variable, IsOk());
  EXPECT_EQ(by_variable->ssl_mode(), "verify-full");
}

TEST_F(SourceUrlTest, RefusesWhatItCannotReadWithoutQuotingIt) {
  for (const char* text : {"postgres://a:s3cret@h:port:5/x?nonsense=1", "hostdb s3cret"}) {
    const auto url = SourceUrl::Parse(text);
    ASSERT_THAT(url, CodeIs("SLU-2001")) << text;
    EXPECT_EQ(url.error().message.find("s3cret"), std::string::npos);
    EXPECT_TRUE(url.error().server_message.empty());
  }
}

TEST_F(SourceUrlTest, DropsKeywordsThatAreOurs) {
  const auto url = SourceUrl::Parse("host=localhost replication=true application_name=x");
  ASSERT_THAT(url, IsOk());
  EXPECT_FALSE(url->keywords().contains("replication"));
  EXPECT_FALSE(url->keywords().contains("application_name"));
}

TEST(StartupOptions, ComeAfterTheUsersOwnAndEscapeSpaces) {
  const std::string options = StartupOptions("-c work_mem=1GB");
  EXPECT_TRUE(options.starts_with("-c work_mem=1GB -c "));
  EXPECT_NE(options.find("-c default_transaction_isolation=read\\ committed"), std::string::npos);
  EXPECT_EQ(options.find("transaction_timeout=0 -c transaction_timeout"), std::string::npos);
}

TEST(IsAsPinned, TakesAnyOrderOfDateFields) {
  const PinnedSetting date{.name = "datestyle", .value = "ISO"};
  EXPECT_TRUE(IsAsPinned(date, "ISO, DMY"));
  EXPECT_FALSE(IsAsPinned(date, "German, DMY"));
}

TEST(ClassifySqlState, SaysWhatToDo) {
  EXPECT_EQ(ClassifySqlState("28P01").kind, ErrorKind::kAuth);
  EXPECT_EQ(ClassifySqlState("42501").kind, ErrorKind::kAuth);
  EXPECT_EQ(ClassifySqlState("3D000").kind, ErrorKind::kConfig);
  EXPECT_EQ(ClassifySqlState("57P01").kind, ErrorKind::kConnection);
  EXPECT_EQ(ClassifySqlState("57014").kind, ErrorKind::kTimeout);
  EXPECT_EQ(ClassifySqlState("53300").kind, ErrorKind::kConnection);
  EXPECT_EQ(ClassifySqlState("55P03").kind, ErrorKind::kTimeout);
  EXPECT_EQ(ClassifySqlState("08006").kind, ErrorKind::kConnection);
  EXPECT_EQ(ClassifySqlState("").kind, ErrorKind::kConnection);
  EXPECT_EQ(ClassifySqlState("42P01").kind, ErrorKind::kConfig);
}

TEST(DecodedPlace, IsWhatTheServersContextEndsWithInAnyLanguage) {
  ServerMessage server{.severity = "ERROR", .sqlstate = "22012", .message = "division by zero"};
  EXPECT_EQ(DecodedPlace(ErrorFrom(server, "read the stream").server_message), std::nullopt);
  server.context =
      "SQL-Funktion \u00bbf\u00ab\n"
      "Slot \u00bbs\u00ab, Ausgabeplugin \u00bbpgoutput\u00ab, im Callback change, zugeh\u00f6rige "
      "LSN "
      "0/14DE930\nbeim Dekodieren";
  const Error error = ErrorFrom(server, "read the stream");
  EXPECT_TRUE(error.server_message.starts_with("division by zero; Slot ")) << error.server_message;
  EXPECT_EQ(DecodedPlace(error.server_message), Lsn{0x14DE930});
}

TEST(FindSqlState, ReadsTheLastOfSeveralAttempts) {
  EXPECT_EQ(
      FindSqlState("connection to server at \"a\" failed: FATAL:  28P01: no\n"
                   "connection to server at \"b\" failed: FATAL:  3D000: no such\nLOCATION: "),
      "3D000");
  EXPECT_EQ(FindSqlState("could not connect: Connection refused"), "");
}

TEST(ErrorFromConnect, NamesTheWordThatLowersTls) {
  const ConnectFailure target{
      .redacted_url = "postgres://a@h/x", .ssl_mode = "verify-full", .is_ssl_mode_ours = true};
  const Error none = ErrorFromConnect("server does not support SSL, but SSL was required", target);
  EXPECT_EQ(none.code, "SLU-2005");
  EXPECT_NE(none.advice.find("sslmode=disable"), std::string::npos);
  const Error untrusted = ErrorFromConnect("SSL error: certificate verify failed", target);
  EXPECT_EQ(untrusted.code, "SLU-2005");
  EXPECT_NE(untrusted.advice.find("sslmode=require"), std::string::npos);
}

TEST(ErrorFromConnect, TellsUnknownHostFromRefusedConnection) {
  const ConnectFailure target{.redacted_url = "postgres://a@h/x", .ssl_mode = "disable"};
  EXPECT_EQ(ErrorFromConnect("could not translate host name \"h\" to address: x", target).kind,
            ErrorKind::kConfig);
  EXPECT_EQ(ErrorFromConnect("connection refused", target).kind, ErrorKind::kConnection);
}

TEST(ErrorFromConnect, TriesAgainAfterAHandshakeThatTheNetworkBroke) {
  const ConnectFailure target{.redacted_url = "postgres://a@h/x", .ssl_mode = "require"};
  for (const char* text :
       {"server closed the connection unexpectedly SSL SYSCALL error: Connection reset by peer",
        "SSL SYSCALL error: EOF detected", "SSL error: decryption failed or bad record mac",
        "could not translate host name \"h\" to address: Temporary failure in name resolution"}) {
    EXPECT_EQ(ErrorFromConnect(text, target).kind, ErrorKind::kConnection) << text;
  }
}

TEST(ErrorFromConnect, DoesNotTryAgainWhatTheServerDoesNotTrust) {
  const ConnectFailure target{.redacted_url = "postgres://a@h/x", .ssl_mode = "verify-full"};
  for (const char* text :
       {"SSL error: tlsv1 alert unknown ca", "SSL error: tlsv1 alert access denied",
        "SSL error: sslv3 alert certificate expired"}) {
    EXPECT_EQ(ErrorFromConnect(text, target).code, "SLU-2005") << text;
  }
}

TEST(ErrorFromConnect, SaysInOurWordsWhatTheServerRefused) {
  const ConnectFailure target{.redacted_url = "postgres://a@h/x", .ssl_mode = "disable"};
  const Error password = ErrorFromConnect(
      "connection to server at \"h\", port 1 failed: FATAL:  28P01: password authentication failed "
      "for user \"a\"\nLOCATION:  auth_failed, auth.c:332\n",
      target);
  EXPECT_EQ(password.message, "the server refused user or password: postgres://a@h/x");
  EXPECT_EQ(password.server_message,
            "connection to server at \"h\", port 1 failed: FATAL: password authentication failed "
            "for user \"a\"");
  EXPECT_EQ(password.code, "SLU-2004");
  const Error walsenders = ErrorFromConnect(
      "FATAL:  53300: number of requested standby connections exceeds \"max_wal_senders\"", target);
  EXPECT_EQ(walsenders.code, "SLU-2032");
  EXPECT_EQ(walsenders.kind, ErrorKind::kConnection);
  EXPECT_EQ(ErrorFromConnect("FATAL:  53300: too many clients already", target).code, "SLU-2009");
  EXPECT_EQ(ErrorFromConnect("FATAL:  42501: permission denied to start WAL sender", target).code,
            "SLU-2033");
}

TEST(ErrorFromConnect, DoesNotTryABadParameterAgain) {
  const ConnectFailure target{.redacted_url = "postgres://a@h:99999/x", .ssl_mode = "disable"};
  const Error port = ErrorFromConnect("invalid port number: \"99999\"\n", target);
  EXPECT_EQ(port.kind, ErrorKind::kConfig);
  EXPECT_EQ(port.code, "SLU-2001");
}

TEST(ErrorFromConnect, TellsAWrongNameFromAnUnknownAuthority) {
  const ConnectFailure target{.redacted_url = "postgres://a@h/x", .ssl_mode = "verify-full"};
  const Error name =
      ErrorFromConnect("server certificate for \"db\" does not match host name \"h\"", target);
  EXPECT_EQ(name.code, "SLU-2005");
  EXPECT_NE(name.advice.find("verify-ca"), std::string::npos);
}

}  // namespace
}  // namespace sluice::postgres
