#include "cli/plan_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

using ::testing::HasSubstr;

pipeline::Plan::Table Planned(const std::string& name, std::int64_t rows, std::uint64_t bytes,
                              TableState state = TableState::kPending) {
  pipeline::Plan::Table table;
  table.name = {"public", name};
  table.state = state;
  table.rows_estimated = rows;
  table.bytes_estimated = bytes;
  return table;
}

TEST(PlanText, ListsTablesLargestFirstAndWhatIsLeftOut) {
  pipeline::Plan plan;
  plan.source = "app@db:5432/shop, PostgreSQL 17.10";
  plan.slot = "sluice_shop";
  plan.publication = "sluice_shop";
  plan.is_first_run = true;
  plan.tables = {Planned("small", 10, 8192), Planned("big", 1000000, 1 << 30),
                 Planned("log", 0, 0, TableState::kSkipped)};
  plan.tables.back().reason = "no identity";
  plan.tables.back().advice = "ALTER TABLE public.log REPLICA IDENTITY FULL;";
  plan.bytes_needed = 1 << 30;
  plan.bytes_free = 1 << 20;
  EXPECT_EQ(PlanText(plan),
            "source: app@db:5432/shop, PostgreSQL 17.10\n"
            "slot sluice_shop, publication sluice_shop (will be made)\n"
            "to copy: 2 tables, ~1,000,010 rows, 1.0 GiB\n"
            "  public.big        ~1,000,000 rows     1.0 GiB\n"
            "  public.small             ~10 rows     8.0 KiB\n"
            "disk: about 1.0 GiB needed, 1.0 MiB free\n"
            "warning: the disk of the destination may not be large enough\n"
            "skipped public.log: no identity\n"
            "    ALTER TABLE public.log REPLICA IDENTITY FULL;\n");
}

TEST(PlanText, IsShortWhenAllIsLive) {
  pipeline::Plan plan;
  plan.source = "s";
  plan.slot = "a";
  plan.publication = "b";
  plan.tables = {Planned("t", 0, 0, TableState::kLive)};
  EXPECT_EQ(PlanText(plan), "source: s\nslot a, publication b\nlive already: 1 table\n");
}

TEST(PlanText, BoundsTheList) {
  pipeline::Plan plan;
  for (int i = 0; i < 100; ++i) {
    plan.tables.push_back(Planned("t" + std::to_string(i), -1, 0));
  }
  EXPECT_THAT(PlanText(plan), HasSubstr("  and 60 more\n"));
  EXPECT_THAT(PlanText(plan), HasSubstr("unknown rows"));
}

TEST(NotLiveText, ListsHaltedAndSkippedTables) {
  engine::PipelineStatus status;
  engine::TableStatus table;
  table.record.source = {"public", "t"};
  table.record.state = TableState::kHalted;
  table.record.reason = "NaN in amount";
  table.record.advice = "sluice resync public.t";
  status.tables.push_back(table);
  table.record.source = {"public", "fine"};
  table.record.state = TableState::kLive;
  status.tables.push_back(table);
  EXPECT_EQ(NotLiveText(status), "halted public.t: NaN in amount\n    sluice resync public.t\n");
}

}  // namespace
}  // namespace sluice::cli
