#include <chrono>
#include <vector>

#include "postgres/server_facts.h"
#include "postgres/server_fixture.h"
#include "postgres/snapshot_export.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;
using sluice::testing::CodeIs;
using sluice::testing::HasValue;
using sluice::testing::IsOk;

class SnapshotExportTest : public ServerTest {
 protected:
  LockTarget Target(const std::string& table, bool is_partitioned = false) {
    const auto oid = Sql("SELECT 'public." + table + "'::regclass::oid").integer_or(0, 0, 0);
    return {{static_cast<std::uint32_t>(oid)}, {"public", table}, is_partitioned};
  }
};

TEST_F(SnapshotExportTest, WorkersSeeWhatTheExporterSees) {
  Sql("CREATE TABLE public.t (id int); INSERT INTO public.t VALUES (1)");
  const std::vector<LockTarget> tables = {Target("t")};
  SnapshotExporter exporter(Open());
  const auto snapshot = exporter.Take(tables, 1s);
  ASSERT_THAT(snapshot, IsOk());
  EXPECT_TRUE(snapshot->insert_lsn.is_valid());
  Sql("INSERT INTO public.t VALUES (2)");
  Connection worker = Open();
  ASSERT_THAT(ImportSnapshot(worker, *snapshot), IsOk());
  EXPECT_EQ(Sql(worker, "SELECT count(*) FROM public.t").text(0, 0), "1");
  EXPECT_THAT(exporter.CheckAlive(), IsOk());
  ASSERT_THAT(exporter.Release(), IsOk());
  Connection late = Open();
  EXPECT_THAT(ImportSnapshot(late, *snapshot), CodeIs("SLU-2107"));
  EXPECT_TRUE(late.is_alive());
}

TEST_F(SnapshotExportTest, TakesAgainInTheSameSession) {
  Sql("CREATE TABLE public.t (id int)");
  const std::vector<LockTarget> tables = {Target("t")};
  SnapshotExporter exporter(Open());
  const auto first = exporter.Take(tables, 1s);
  ASSERT_THAT(first, IsOk());
  Sql("INSERT INTO public.t VALUES (1)");
  const auto second = exporter.Take(tables, 1s);
  ASSERT_THAT(second, IsOk());
  EXPECT_NE(first->text, second->text);
}

TEST_F(SnapshotExportTest, GivesUpOnALockedOrMissingTable) {
  Sql("CREATE TABLE public.t (id int)");
  std::vector<LockTarget> tables = {Target("t")};
  Connection other = Open();
  Sql(other, "BEGIN; LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE");
  SnapshotExporter exporter(Open());
  EXPECT_THAT(exporter.Take(tables, 50ms), CodeIs("SLU-2017"));
  Sql(other, "ROLLBACK");
  EXPECT_THAT(exporter.Take(tables, 1s), IsOk());
  ASSERT_THAT(exporter.Release(), IsOk());
  Sql("ALTER TABLE public.t RENAME TO u; CREATE TABLE public.t (id int)");
  EXPECT_THAT(exporter.Take(tables, 1s), CodeIs("SLU-2103"));
  tables.front().name.table = "none";
  EXPECT_THAT(exporter.Take(tables, 1s), CodeIs("SLU-2103"));
}

TEST_F(SnapshotExportTest, LocksEveryPartition) {
  Sql("CREATE TABLE public.r (d int) PARTITION BY LIST (d); "
      "CREATE TABLE public.l PARTITION OF public.r FOR VALUES IN (1)");
  const std::vector<LockTarget> tables = {Target("r", true)};
  SnapshotExporter exporter(Open());
  ASSERT_THAT(exporter.Take(tables, 1s), IsOk());
  EXPECT_FALSE(sql_->Exec("drop", "SET LOCAL lock_timeout = '50ms'; DROP TABLE public.l"));
}

TEST_F(SnapshotExportTest, WaitsUntilTheInsertPositionIsFlushed) {
  Sql("SET synchronous_commit = off");
  Sql("SELECT pg_logical_emit_message(true, 'x', 'y')");
  const auto positions = ReadWalPositions(*sql_);
  ASSERT_THAT(positions, IsOk());
  Connection control = Open();
  EXPECT_THAT(WaitForFlush(control, positions->insert_lsn, 5s), IsOk());
}

TEST_F(SnapshotExportTest, KnowsWhoWritesATable) {
  Sql("CREATE TABLE public.t (id int)");
  const RelationId relation = Target("t").relation;
  Connection writer = Open();
  Sql(writer, "BEGIN; INSERT INTO public.t VALUES (1)");
  const auto writers = ReadWriters(*sql_, relation);
  ASSERT_THAT(writers, IsOk());
  ASSERT_EQ(writers->size(), 1U);
  EXPECT_THAT(StillOpen(*sql_, *writers), HasValue(*writers));
  const auto xid = AssignTransactionId(*sql_);
  ASSERT_THAT(xid, IsOk());
  EXPECT_THAT(AreAllBeforeFinished(*sql_, *xid), HasValue(false));
  Sql(writer, "COMMIT");
  EXPECT_THAT(StillOpen(*sql_, *writers), HasValue(std::vector<std::string>{}));
}

TEST(MayUseWriterList, KnowsTheMinorsThatCarryTheFix) {
  EXPECT_FALSE(MayUseWriterList(140017));
  EXPECT_TRUE(MayUseWriterList(140023));
  EXPECT_FALSE(MayUseWriterList(170004));
  EXPECT_TRUE(MayUseWriterList(170010));
  EXPECT_TRUE(MayUseWriterList(180001));
}

}  // namespace
}  // namespace sluice::postgres
