/// \file
/// The metrics of a pipeline, by name and type (docs/operations.md), and their Prometheus text.
///
/// Sources are counters that only rise, kept elsewhere as totals: RaiseTo() takes a total, Add() a
/// difference. Thread safety: every member from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "sluice/delivery_state.h"
#include "sluice/ids.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace sluice::telemetry {

class Counter {
 public:
  explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
  void Add(double amount);
  /// To a total; a smaller one than before is left alone.
  void RaiseTo(double total);
  double value() const;

 private:
  prometheus::Counter* counter_;
};

class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  void Set(double value);
  double value() const;

 private:
  prometheus::Gauge* gauge_;
};

class Histogram {
 public:
  explicit Histogram(prometheus::Histogram& histogram) : histogram_(&histogram) {}
  void Observe(double value);

 private:
  prometheus::Histogram* histogram_;
};

class Metrics {
 public:
  Metrics(const std::string& pipeline, const std::string& version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Per table.
  Counter CopiedRows(const TableName& table);   // sluice_copied_rows_total
  Counter CopiedBytes(const TableName& table);  // sluice_copied_bytes_total
  Counter StreamedRows(const TableName& table,
                       std::string_view op);        // insert update delete truncate
  Gauge TableCopyProgress(const TableName& table);  // 0 to 1
  /// 1 for this state, 0 for the others.
  void SetTableState(const TableName& table, TableState state);
  void RemoveTable(const TableName& table);
  Counter Misfits(const TableName& table, std::string_view column, std::string_view policy);

  // Of the pipeline.
  Counter streamed_transactions();
  Counter received_bytes();
  Histogram batch_rows();
  Histogram batch_age_seconds();
  Histogram apply_duration_seconds();
  Gauge lag_seconds();
  Gauge lag_bytes();
  Gauge slot_retained_bytes();
  Gauge slot_over_limit();
  /// 1 for this wal_status (reserved, extended, unreserved, lost), 0 for the others.
  void SetSlotWalStatus(std::string_view status);
  Counter Retries(std::string_view kind);  // source, destination
  Gauge held_bytes();
  Gauge kept_bytes();
  Gauge spilled_bytes();
  Gauge Memory(std::string_view kind);  // limit, used, peak, resident
  Gauge source_connected();
  Gauge reads_by_sql();

  /// Prometheus text format 0.0.4.
  std::string Serialize() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::telemetry
