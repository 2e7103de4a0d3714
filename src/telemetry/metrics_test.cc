#include "telemetry/metrics.h"

#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

const TableName kOrders{"public", "orders"};

TEST(Metrics, HaveTheNamesThatWerePromised) {
  Metrics metrics("shop", "0.1.0");
  metrics.CopiedRows(kOrders).Add(5);
  metrics.CopiedBytes(kOrders).Add(50);
  metrics.StreamedRows(kOrders, "insert").Add(1);
  metrics.TableCopyProgress(kOrders).Set(0.5);
  metrics.SetTableState(kOrders, TableState::kLive);
  metrics.SetSlotWalStatus("reserved");
  metrics.Misfits(kOrders, "total", "null").Add(1);
  metrics.Memory("used").Set(1);
  metrics.batch_rows().Observe(12);
  const std::string text = metrics.Serialize();
  for (const char* name : {"sluice_copied_rows_total",
                           "sluice_copied_bytes_total",
                           "sluice_streamed_rows_total",
                           "sluice_streamed_transactions_total",
                           "sluice_received_bytes_total",
                           "sluice_batch_rows",
                           "sluice_batch_age_seconds",
                           "sluice_apply_duration_seconds",
                           "sluice_lag_seconds",
                           "sluice_lag_bytes",
                           "sluice_slot_retained_bytes",
                           "sluice_slot_over_limit",
                           "sluice_slot_wal_status",
                           "sluice_table_state",
                           "sluice_table_copy_progress_ratio",
                           "sluice_retries_total",
                           "sluice_misfits_total",
                           "sluice_held_bytes",
                           "sluice_kept_bytes",
                           "sluice_spilled_bytes",
                           "sluice_memory_bytes",
                           "sluice_source_connected",
                           "sluice_reads_by_sql",
                           "sluice_build_info"}) {
    EXPECT_NE(text.find(std::string("# TYPE ") + name + " "), std::string::npos) << name;
  }
  EXPECT_NE(text.find("pipeline=\"shop\""), std::string::npos);
  EXPECT_NE(text.find("table=\"public.orders\""), std::string::npos);
}

TEST(Metrics, ATotalRaisesACounterAndNeverLowersIt) {
  Metrics metrics("shop", "0.1.0");
  Counter counter = metrics.received_bytes();
  counter.RaiseTo(100);
  counter.RaiseTo(40);
  EXPECT_EQ(counter.value(), 100);
  metrics.received_bytes().Add(1);
  EXPECT_EQ(counter.value(), 101) << "the same series";
}

TEST(Metrics, ATableIsInOneState) {
  Metrics metrics("shop", "0.1.0");
  metrics.SetTableState(kOrders, TableState::kCopying);
  metrics.SetTableState(kOrders, TableState::kLive);
  const std::string text = metrics.Serialize();
  EXPECT_NE(text.find("state=\"live\",table=\"public.orders\"} 1"), std::string::npos) << text;
  EXPECT_NE(text.find("state=\"copying\",table=\"public.orders\"} 0"), std::string::npos);
}

TEST(Metrics, ARemovedTableLeavesNoSeries) {
  Metrics metrics("shop", "0.1.0");
  metrics.CopiedRows(kOrders).Add(5);
  metrics.StreamedRows(kOrders, "insert").Add(1);
  metrics.SetTableState(kOrders, TableState::kLive);
  metrics.RemoveTable(kOrders);
  EXPECT_EQ(metrics.Serialize().find("orders"), std::string::npos);
}

}  // namespace
}  // namespace sluice::telemetry
