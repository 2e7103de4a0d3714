/// \file
/// A database, tables, changes and places for destinations to be in, for each test anew.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/testing/result_matchers.h"
#include "destinations/doubles/doubles.h"
#include "destinations/memory/memory_destination.h"
#include "testing/sql_session.h"
#include "tests/integration/engine_run.h"
#include "tests/integration/source_changes.h"

namespace sluice::integration {

constexpr Duration kPatience = std::chrono::seconds(60);

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* server = std::getenv("SLUICE_TEST_PG");  // NOLINT(concurrency-mt-unsafe)
    if (server == nullptr) GTEST_SKIP() << "SLUICE_TEST_PG is not set";
    server_ = server;
    server_ = server_.substr(0, server_.rfind('/'));
    name_ = "engine_" + std::to_string(getpid());
    auto admin = testing::SqlSession::Open(server_ + "/postgres");
    ASSERT_THAT(admin, testing::IsOk());
    admin_.emplace(*std::move(admin));
    DropDatabase();
    ASSERT_THAT(admin_->Exec("CREATE DATABASE " + name_), testing::IsOk());
    Setting("wal_sender_timeout", "5s");
    Setting("logical_decoding_work_mem", "64kB");
    auto sql = testing::SqlSession::Open(url());
    ASSERT_THAT(sql, testing::IsOk());
    sql_.emplace(*std::move(sql));
    folder_ = std::filesystem::temp_directory_path() / name_;
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    ASSERT_THAT(MakeTables(*sql_, 2000), testing::IsOk());
  }
  void TearDown() override {
    if (!admin_) return;
    changes_.reset();
    run_.reset();
    sql_.reset();
    DropDatabase();
    std::filesystem::remove_all(folder_);
  }

  std::string url() const { return server_ + "/" + name_; }
  std::string slot() const { return "sluice_" + name_; }
  /// Of the database: for every session that begins from now on.
  void Setting(const std::string& name, const std::string& value) {
    ASSERT_THAT(admin_->Exec("ALTER DATABASE " + name_ + " SET " + name + " = '" + value + "'"),
                testing::IsOk());
  }
  void Sql(const std::string& statements) {
    ASSERT_THAT(sql_->Exec(statements), testing::IsOk()) << statements;
  }
  std::string Value(const std::string& query) {
    const auto value = sql_->Value(query);
    EXPECT_THAT(value, testing::IsOk()) << query;
    return value ? *value : std::string();
  }
  /// Empty: nobody streams from the slot.
  std::string WalsenderPid() {
    return Value(
        "SELECT coalesce(active_pid::text, '') FROM pg_replication_slots WHERE slot_name "
        "= '" +
        slot() + "'");
  }
  Lsn ConfirmedFlush() {
    const auto lsn = ParseLsn(Value(
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '" + slot() + "'"));
    return lsn ? *lsn : Lsn{};
  }
  /// So that the next birth finds nothing.
  void DropSlot() {
    Sql("SELECT pg_drop_replication_slot('" + slot() + "')");
    Sql("DROP PUBLICATION " + slot());
  }
  /// A commit of nothing published: the stream's position moves.
  void Nudge() { Sql("INSERT INTO unpublished VALUES (1, 'nudge')"); }

  MakeDestination Memory(bool strict = true) {
    return [storage = storage_, strict] {
      return std::make_unique<memory::MemoryDestination>(storage,
                                                         memory::MemoryOptions{.strict = strict});
    };
  }

  EngineRun& Run(MakeDestination make, std::size_t memory_bytes = std::size_t{256} << 20) {
    run_ = std::make_unique<EngineRun>(EngineRunOptions{.source = url(),
                                                        .pipeline = name_,
                                                        .state_dir = folder_.string(),
                                                        .make = std::move(make),
                                                        .memory_bytes = memory_bytes,
                                                        .excluded_tables = {"unpublished"}});
    return *run_;
  }
  void StartChanges(ChangesOptions options) {
    changes_ = std::make_unique<SourceChanges>(url(), options);
    changes_->Start();
  }
  /// Until so many more transactions of the changes have been committed.
  Status UntilChanged(std::int64_t transactions) {
    const std::int64_t target = changes_->transactions() + transactions;
    SLUICE_RETURN_IF_ERROR(run_->Until(
        "the source to change",
        [&] { return changes_->transactions() >= target || changes_->has_ended(); }, kPatience));
    return changes_->transactions() >= target ? Status{} : changes_->Stop();
  }

  /// Every table at the destination holds what it holds at the source.
  void ExpectEqual(const MakeDestination& reader, const std::string& but_not = "") {
    for (const std::string& table : TableNames()) {
      if (table == but_not) continue;
      const auto expected = SourceRows(*sql_, table);
      ASSERT_THAT(expected, testing::IsOk()) << table;
      const auto actual = DestinationRows(reader, name_, table);
      ASSERT_THAT(actual, testing::IsOk()) << table;
      EXPECT_EQ(actual->size(), expected->size()) << table;
      EXPECT_TRUE(*actual == *expected) << table << ": " << FirstDifference(*actual, *expected);
    }
  }

  std::string server_;
  std::string name_;
  std::filesystem::path folder_;
  std::optional<testing::SqlSession> admin_;
  std::optional<testing::SqlSession> sql_;
  std::shared_ptr<memory::MemoryStorage> storage_ = std::make_shared<memory::MemoryStorage>();
  std::unique_ptr<EngineRun> run_;
  std::unique_ptr<SourceChanges> changes_;

 private:
  static std::string FirstDifference(const testing::SqlRows& actual,
                                     const testing::SqlRows& expected) {
    const auto text = [](const testing::SqlRows& rows, std::size_t index) {
      std::string line;
      if (index >= rows.size()) return std::string("(no row)");
      for (const auto& cell : rows[index]) line += cell.value_or("NULL").substr(0, 60) + " | ";
      return line;
    };
    std::size_t at = 0;
    while (at < actual.size() && at < expected.size() && actual[at] == expected[at]) ++at;
    return "sorted row " + std::to_string(at) + " is " + text(actual, at) + ", expected " +
           text(expected, at);
  }
  void DropDatabase() {
    const std::string of_ours = " FROM pg_replication_slots WHERE database = '" + name_ + "'";
    (void)admin_->Exec("SELECT pg_terminate_backend(active_pid)" + of_ours + " AND active");
    (void)admin_->WaitForValue("SELECT count(*)" + of_ours + " AND active", "0",
                               std::chrono::seconds(10));
    (void)admin_->Exec("SELECT pg_drop_replication_slot(slot_name)" + of_ours);
    (void)admin_->Exec("DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
  }
};

}  // namespace sluice::integration
