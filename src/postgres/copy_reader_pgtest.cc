#include <chrono>
#include <string>
#include <thread>

#include "base/byte_reader.h"
#include "postgres/copy_reader.h"
#include "postgres/server_fixture.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;
using sluice::testing::IsError;
using sluice::testing::IsOk;

class CopyReaderTest : public ServerTest, public ::testing::WithParamInterface<bool> {
 protected:
  struct Read {
    std::size_t messages = 0;
    std::string all;
  };
  Result<Read> ReadAll(const std::string& sql, std::stop_token stop = {}) {
    SLUICE_ASSIGN_OR_RETURN(CopyReader reader,
                            CopyReader::Start(*sql_, sql, {.may_read_raw = GetParam()}));
    EXPECT_EQ(reader.is_raw(), GetParam());
    Read out;
    while (true) {
      SLUICE_ASSIGN_OR_RETURN(const auto rows, reader.NextRows(stop));
      if (rows.empty()) {
        EXPECT_GE(reader.received_bytes(), out.all.size());
        return out;
      }
      for (const auto row : rows) {
        ++out.messages;
        out.all += base::AsText(row);
      }
    }
  }
};

TEST_P(CopyReaderTest, ReadsEveryRowOnce) {
  const auto read =
      ReadAll("COPY (SELECT g, repeat('x', g % 300) FROM generate_series(1, 100000) g) TO STDOUT");
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->messages, 100000U);
  const QueryResult size =
      Sql("SELECT sum(length(g || E'\\t' || repeat('x', g % 300)) + 1) FROM "
          "generate_series(1, 100000) g");
  EXPECT_EQ(std::to_string(read->all.size()), size.text(0, 0));
  EXPECT_EQ(Sql("SELECT 1").text(0, 0), "1");
}

TEST_P(CopyReaderTest, ReadsRowsLargerThanItsBuffer) {
  const auto read =
      ReadAll("COPY (SELECT repeat('y', 1500000 * g) FROM generate_series(1, 4) g) TO STDOUT");
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->messages, 4U);
  EXPECT_EQ(read->all.size(), 10 * 1500000U + 4);
}

TEST_P(CopyReaderTest, ReadsATableWithoutRows) {
  const auto read = ReadAll("COPY (SELECT 1 WHERE false) TO STDOUT");
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->messages, 0U);
  EXPECT_EQ(Sql("SELECT 1").text(0, 0), "1");
}

TEST_P(CopyReaderTest, ReportsAnErrorBeforeAndAmongTheRows) {
  EXPECT_THAT(ReadAll("COPY no_such_table TO STDOUT"), IsError(ErrorKind::kConfig));
  const auto late =
      ReadAll("COPY (SELECT 1 / (50000 - g) FROM generate_series(1, 100000) g) TO STDOUT");
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().sqlstate, "22012");
  EXPECT_EQ(Sql("SELECT 1").text(0, 0), "1");
}

TEST_P(CopyReaderTest, StopsQuicklyAndLeavesTheConnectionUsable) {
  for (const char* sql :
       {"COPY (SELECT g, pg_sleep(0.01) FROM generate_series(1, 100000) g) TO STDOUT",
        "COPY (SELECT 1 FROM pg_sleep(60)) TO STDOUT",
        "COPY (SELECT g FROM generate_series(1, 1000000000) g) TO STDOUT"}) {
    std::stop_source source;
    std::jthread stopper([&] {
      std::this_thread::sleep_for(100ms);
      source.request_stop();
    });
    const auto begin = Clock::now();
    EXPECT_THAT(ReadAll(sql, source.get_token()), IsError(ErrorKind::kCancelled)) << sql;
    EXPECT_LT(Clock::now() - begin, 1s) << sql;
    EXPECT_EQ(Sql("SELECT 1").text(0, 0), "1");
  }
}

TEST_P(CopyReaderTest, NoticesAKilledServerProcess) {
  const int pid = sql_->backend_pid();
  auto reader = CopyReader::Start(
      *sql_, "COPY (SELECT g, pg_sleep(0.001) FROM generate_series(1, 100000) g) TO STDOUT",
      {.may_read_raw = GetParam()});
  ASSERT_THAT(reader, IsOk());
  Connection other = Open();
  Sql(other, "SELECT pg_terminate_backend(" + std::to_string(pid) + ")");
  Result<std::span<const CopyReader::Message>> rows = reader->NextRows();
  while (rows && !rows->empty()) rows = reader->NextRows();
  EXPECT_THAT(rows, IsError(ErrorKind::kConnection));
  EXPECT_FALSE(sql_->is_alive());
}

// A server that shuts down ends the session with a FATAL, which may stand right behind the COPY's
// own end in what one read brings.
TEST_P(CopyReaderTest, NoticesASessionThatEndedRightAfterTheCopy) {
  const std::string pid = std::to_string(sql_->backend_pid());
  auto reader = CopyReader::Start(*sql_, "COPY (SELECT generate_series(1, 10)) TO STDOUT",
                                  {.may_read_raw = GetParam()});
  ASSERT_THAT(reader, IsOk());
  Connection other = Open();
  const auto wait_until = [&](const std::string& condition) {
    while (Sql(other, "SELECT " + condition).text(0, 0) != "t") std::this_thread::yield();
  };
  const std::string session = "(SELECT 1 FROM pg_stat_activity WHERE pid = " + pid;
  wait_until("EXISTS " + session + " AND state = 'idle' AND query LIKE 'COPY%')");
  Sql(other, "SELECT pg_terminate_backend(" + pid + ")");
  wait_until("NOT EXISTS " + session + ")");
  std::size_t count = 0;
  Result<std::span<const CopyReader::Message>> rows = reader->NextRows();
  for (; rows && !rows->empty(); rows = reader->NextRows()) count += rows->size();
  EXPECT_EQ(count, 10U);
  if (!rows) {
    EXPECT_THAT(rows, IsError(ErrorKind::kConnection));
  }
  EXPECT_FALSE(sql_->Exec("look", "SELECT 1").has_value());
}

TEST_P(CopyReaderTest, WorksInsideATransaction) {
  Sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  ASSERT_THAT(ReadAll("COPY (SELECT 1) TO STDOUT (FORMAT binary)"), IsOk());
  EXPECT_TRUE(sql_->is_in_transaction());
  Sql("ROLLBACK");
  EXPECT_FALSE(sql_->is_in_transaction());
}

INSTANTIATE_TEST_SUITE_P(Both, CopyReaderTest, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "Raw" : "Libpq"; });

}  // namespace
}  // namespace sluice::postgres
