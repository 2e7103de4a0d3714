#include "telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <vector>

namespace sluice::telemetry {
namespace {

using prometheus::Family;
using Labels = std::map<std::string, std::string>;

constexpr std::array<const char*, 4> kWalStatuses{"reserved", "extended", "unreserved", "lost"};
constexpr std::array<TableState, 5> kTableStates{TableState::kPending, TableState::kCopying,
                                                 TableState::kLive, TableState::kHalted,
                                                 TableState::kSkipped};

std::vector<double> PowersOf(double factor, double first, int count) {
  std::vector<double> out;
  for (double bound = first; count > 0; --count, bound *= factor) out.push_back(bound);
  return out;
}

Family<prometheus::Counter>& CounterFamily(prometheus::Registry& registry, const char* name,
                                           const char* help, const Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Labels(labels).Register(registry);
}
Family<prometheus::Gauge>& GaugeFamily(prometheus::Registry& registry, const char* name,
                                       const char* help, const Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Labels(labels).Register(registry);
}
Family<prometheus::Histogram>& HistogramFamily(prometheus::Registry& registry, const char* name,
                                               const char* help, const Labels& labels) {
  return prometheus::BuildHistogram().Name(name).Help(help).Labels(labels).Register(registry);
}

}  // namespace

void Counter::Add(double amount) {
  counter_->Increment(amount);
}
void Counter::RaiseTo(double total) {
  const double more = total - counter_->Value();
  if (more > 0) counter_->Increment(more);
}
double Counter::value() const {
  return counter_->Value();
}
void Gauge::Set(double value) {
  gauge_->Set(value);
}
double Gauge::value() const {
  return gauge_->Value();
}
void Histogram::Observe(double value) {
  histogram_->Observe(value);
}

struct Metrics::State {
  prometheus::Registry registry;
  Labels labels;

  Family<prometheus::Counter>& Count(const char* name, const char* help) {
    return CounterFamily(registry, name, help, labels);
  }
  Family<prometheus::Gauge>& Level(const char* name, const char* help) {
    return GaugeFamily(registry, name, help, labels);
  }
  Family<prometheus::Histogram>& Spread(const char* name, const char* help) {
    return HistogramFamily(registry, name, help, labels);
  }

  explicit State(const std::string& pipeline) : labels{{"pipeline", pipeline}} {}

  Family<prometheus::Counter>& copied_rows =
      Count("sluice_copied_rows_total", "Rows read by initial copies.");
  Family<prometheus::Counter>& copied_bytes =
      Count("sluice_copied_bytes_total", "Bytes read by initial copies.");
  Family<prometheus::Counter>& streamed_rows =
      Count("sluice_streamed_rows_total", "Row changes applied from the stream.");
  Family<prometheus::Counter>& transactions =
      Count("sluice_streamed_transactions_total", "Source transactions that are durable.");
  Family<prometheus::Counter>& received_bytes =
      Count("sluice_received_bytes_total", "Bytes received from the stream.");
  Family<prometheus::Histogram>& batch_rows =
      Spread("sluice_batch_rows", "Rows of a destination transaction.");
  Family<prometheus::Histogram>& batch_age = Spread(
      "sluice_batch_age_seconds", "Age of the oldest change of a batch when it was handed over.");
  Family<prometheus::Histogram>& apply_duration =
      Spread("sluice_apply_duration_seconds", "Time a destination transaction took.");
  Family<prometheus::Gauge>& lag_seconds =
      Level("sluice_lag_seconds", "Age of the oldest transaction that is not durable yet.");
  Family<prometheus::Gauge>& lag_bytes =
      Level("sluice_lag_bytes", "WAL between what the server flushed and what is durable.");
  Family<prometheus::Gauge>& retained =
      Level("sluice_slot_retained_bytes", "WAL that the slot keeps at the source.");
  Family<prometheus::Gauge>& over_limit = Level(
      "sluice_slot_over_limit", "1 while the slot keeps more WAL than --max-retained-wal allows.");
  Family<prometheus::Gauge>& wal_status =
      Level("sluice_slot_wal_status", "1 for the slot's wal_status.");
  Family<prometheus::Gauge>& table_state =
      Level("sluice_table_state", "1 for the state a table is in.");
  Family<prometheus::Gauge>& progress =
      Level("sluice_table_copy_progress_ratio", "Part of the table that is copied, estimated.");
  Family<prometheus::Counter>& retries =
      Count("sluice_retries_total", "Reconnects to source or destination.");
  Family<prometheus::Counter>& misfits =
      Count("sluice_misfits_total", "Values handled by a declared policy.");
  Family<prometheus::Gauge>& held =
      Level("sluice_held_bytes", "Changes held until their table lands.");
  Family<prometheus::Gauge>& kept =
      Level("sluice_kept_bytes", "Changes of halted tables kept at the destination.");
  Family<prometheus::Gauge>& spilled = Level("sluice_spilled_bytes", "Bytes in spill files.");
  Family<prometheus::Gauge>& memory = Level("sluice_memory_bytes", "Memory of the process.");
  Family<prometheus::Gauge>& connected =
      Level("sluice_source_connected", "1 while the stream is connected.");
  Family<prometheus::Gauge>& by_sql =
      Level("sluice_reads_by_sql", "1 while the log is read by SQL, far behind.");
  Family<prometheus::Gauge>& build = Level("sluice_build_info", "1; the version is a label.");

  /// Series of tables, to be able to remove them.
  std::mutex mutex;
  std::map<std::string, std::vector<prometheus::Counter*>> table_rows;

  static Labels Of(const TableName& table) { return {{"table", ToString(table)}}; }
};

Metrics::Metrics(const std::string& pipeline, const std::string& version)
    : state_(std::make_unique<State>(pipeline)) {
  state_->build.Add({{"version", version}}).Set(1);
  // Series without labels are there from the start, at 0.
  streamed_transactions();
  received_bytes();
  batch_rows();
  batch_age_seconds();
  apply_duration_seconds();
  lag_seconds();
  lag_bytes();
  slot_retained_bytes();
  slot_over_limit();
  held_bytes();
  kept_bytes();
  spilled_bytes();
  source_connected();
  reads_by_sql();
  Retries("source");
  Retries("destination");
}

Metrics::~Metrics() = default;

Counter Metrics::CopiedRows(const TableName& table) {
  return Counter(state_->copied_rows.Add(State::Of(table)));
}
Counter Metrics::CopiedBytes(const TableName& table) {
  return Counter(state_->copied_bytes.Add(State::Of(table)));
}
Counter Metrics::StreamedRows(const TableName& table, std::string_view op) {
  prometheus::Counter& counter =
      state_->streamed_rows.Add({{"op", std::string(op)}, {"table", ToString(table)}});
  const std::scoped_lock lock(state_->mutex);
  auto& known = state_->table_rows[ToString(table)];
  if (std::find(known.begin(), known.end(), &counter) == known.end()) known.push_back(&counter);
  return Counter(counter);
}
Gauge Metrics::TableCopyProgress(const TableName& table) {
  return Gauge(state_->progress.Add(State::Of(table)));
}

void Metrics::SetTableState(const TableName& table, TableState state) {
  for (const TableState each : kTableStates) {
    state_->table_state.Add({{"state", sluice::ToString(each)}, {"table", ToString(table)}})
        .Set(each == state ? 1 : 0);
  }
}

void Metrics::RemoveTable(const TableName& table) {
  const Labels labels = State::Of(table);
  state_->copied_rows.Remove(&state_->copied_rows.Add(labels));
  state_->copied_bytes.Remove(&state_->copied_bytes.Add(labels));
  state_->progress.Remove(&state_->progress.Add(labels));
  for (const TableState each : kTableStates) {
    state_->table_state.Remove(
        &state_->table_state.Add({{"state", sluice::ToString(each)}, {"table", ToString(table)}}));
  }
  const std::scoped_lock lock(state_->mutex);
  for (prometheus::Counter* counter : state_->table_rows[ToString(table)]) {
    state_->streamed_rows.Remove(counter);
  }
  state_->table_rows.erase(ToString(table));
}

Counter Metrics::Misfits(const TableName& table, std::string_view column, std::string_view policy) {
  return Counter(state_->misfits.Add({{"column", std::string(column)},
                                      {"policy", std::string(policy)},
                                      {"table", ToString(table)}}));
}

Counter Metrics::streamed_transactions() {
  return Counter(state_->transactions.Add({}));
}
Counter Metrics::received_bytes() {
  return Counter(state_->received_bytes.Add({}));
}
Histogram Metrics::batch_rows() {
  return Histogram(state_->batch_rows.Add({}, PowersOf(10, 1, 7)));
}
Histogram Metrics::batch_age_seconds() {
  return Histogram(state_->batch_age.Add({}, PowersOf(4, 0.001, 9)));
}
Histogram Metrics::apply_duration_seconds() {
  return Histogram(state_->apply_duration.Add({}, PowersOf(4, 0.001, 9)));
}
Gauge Metrics::lag_seconds() {
  return Gauge(state_->lag_seconds.Add({}));
}
Gauge Metrics::lag_bytes() {
  return Gauge(state_->lag_bytes.Add({}));
}
Gauge Metrics::slot_over_limit() {
  return Gauge(state_->over_limit.Add({}));
}
Gauge Metrics::slot_retained_bytes() {
  return Gauge(state_->retained.Add({}));
}
void Metrics::SetSlotWalStatus(std::string_view status) {
  for (const char* each : kWalStatuses) {
    state_->wal_status.Add({{"status", each}}).Set(status == each ? 1 : 0);
  }
}
Counter Metrics::Retries(std::string_view kind) {
  return Counter(state_->retries.Add({{"kind", std::string(kind)}}));
}
Gauge Metrics::held_bytes() {
  return Gauge(state_->held.Add({}));
}
Gauge Metrics::kept_bytes() {
  return Gauge(state_->kept.Add({}));
}
Gauge Metrics::spilled_bytes() {
  return Gauge(state_->spilled.Add({}));
}
Gauge Metrics::Memory(std::string_view kind) {
  return Gauge(state_->memory.Add({{"kind", std::string(kind)}}));
}
Gauge Metrics::source_connected() {
  return Gauge(state_->connected.Add({}));
}
Gauge Metrics::reads_by_sql() {
  return Gauge(state_->by_sql.Add({}));
}

std::string Metrics::Serialize() const {
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace sluice::telemetry
