/// \file
/// Tests against the server SLUICE_TEST_PG names: a database of its own for each test, dropped at
/// the end with the slots in it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "base/testing/result_matchers.h"
#include "postgres/connection.h"

namespace sluice::postgres {

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* conninfo = std::getenv("SLUICE_TEST_PG");  // NOLINT(concurrency-mt-unsafe)
    if (conninfo == nullptr) GTEST_SKIP() << "SLUICE_TEST_PG is not set";
    const auto url = SourceUrl::Parse(conninfo);
    ASSERT_TRUE(url.has_value());
    server_ = "host=" + url->host() + " port=" + url->port() + " user=" + url->user();
    database_ = "sluice_postgres_" + std::to_string(getpid());
    admin_.emplace(OpenIn("postgres"));
    DropDatabase();
    Sql(*admin_, "CREATE DATABASE " + database_);
    sql_.emplace(Open());
  }
  void TearDown() override {
    if (!admin_) return;
    sql_.reset();
    DropDatabase();
  }

  SourceUrl Url(const std::string& database = "", const std::string& extra = "") const {
    auto url =
        SourceUrl::Parse(server_ + " dbname=" + (database.empty() ? database_ : database) + extra);
    EXPECT_TRUE(url.has_value());
    return *url;
  }
  Connection Open(bool is_replication = false) const {
    auto connection = Connection::Open(
        Url(), {.pipeline = "test", .role = "test", .is_replication = is_replication});
    EXPECT_THAT(connection, sluice::testing::IsOk());
    return *std::move(connection);
  }
  static QueryResult Sql(Connection& connection, const std::string& sql) {
    auto rows = connection.Exec("run the test's SQL", sql);
    EXPECT_TRUE(rows.has_value()) << sql << "\n" << rows.error().server_message;
    return rows ? *std::move(rows) : QueryResult(nullptr);
  }
  QueryResult Sql(const std::string& sql) { return Sql(*sql_, sql); }

  std::string server_;
  std::string database_;
  std::optional<Connection> sql_;

 private:
  Connection OpenIn(const std::string& database) const {
    auto connection = Connection::Open(Url(database), {.pipeline = "test", .role = "admin"});
    EXPECT_THAT(connection, sluice::testing::IsOk());
    return *std::move(connection);
  }
  void DropDatabase() {
    Sql(*admin_,
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = '" +
            database_ + "' AND active");
    // A walsender that is told to end takes until it has sent what it is at.
    const auto deadline = Clock::now() + std::chrono::seconds(30);
    while (Clock::now() < deadline) {
      (void)admin_->Exec("drop the test's slots",
                         "SELECT pg_drop_replication_slot(slot_name) FROM "
                         "pg_replication_slots WHERE database = '" +
                             database_ + "' AND NOT active");
      if (Sql(*admin_, "SELECT FROM pg_replication_slots WHERE database = '" + database_ + "'")
              .row_count() == 0) {
        break;
      }
      Sql(*admin_, "SELECT pg_sleep(0.01)");
    }
    Sql(*admin_, "DROP DATABASE IF EXISTS " + database_ + " WITH (FORCE)");
  }
  std::optional<Connection> admin_;
};

}  // namespace sluice::postgres
