#include "pipeline/copy_once.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>

#include "base/backoff.h"
#include "base/reason.h"
#include "base/sleep.h"
#include "base/units.h"
#include "engine/progress.h"
#include "pipeline/copy_table.h"
#include "pipeline/destination_factory.h"
#include "pipeline/judgement.h"
#include "pipeline/status_builder.h"
#include "pipeline/stored_state.h"
#include "pipeline/table_set.h"
#include "postgres/preflight.h"
#include "postgres/snapshot_export.h"
#include "replication/snapshot.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kLockTimeout = std::chrono::seconds(10);
constexpr Duration kFlushTimeout = std::chrono::minutes(1);
constexpr Duration kCloseGrace = std::chrono::seconds(8);
constexpr Duration kDefaultRetry = std::chrono::minutes(1);

Error Stopped() {
  return {.kind = ErrorKind::kCancelled, .message = "the copy was stopped; nothing was changed"};
}

/// A table's own trouble: the others land.
bool HaltsTable(const Error& error) {
  return error.kind == ErrorKind::kConversion || error.kind == ErrorKind::kUnsupported ||
         error.kind == ErrorKind::kSchemaConflict || error.kind == ErrorKind::kAuth;
}

}  // namespace

/// One selected table on its way.
struct CopiedTable {
  TableCopy copy;
  TableRecord record;
  std::int64_t size_bytes = 0;
  engine::MisfitCounts misfits = {};
};

struct CopyOnce::State {
  State(engine::PipelineOptions given, telemetry::Logger& log)
      : options(std::move(given)), logger(log) {}

  engine::PipelineOptions options;
  telemetry::Logger& logger;
  std::function<void(const Plan&)> on_plan;
  CopyCounters counters;
  std::atomic<std::size_t> tables_done{0};
  std::atomic<std::size_t> table_count{0};

  // Run()'s thread only.
  std::optional<postgres::SourceUrl> url;
  postgres::ServerFacts facts;
  postgres::TableSelection selection;
  std::vector<postgres::PlannedTable> planned;
  std::unique_ptr<Destination> destination;
  bool created_file = false;
  bool made_state = false;  ///< schema sluice in a file that was there before
  bool has_planned = false;
  bool has_begun = false;
  bool has_landed = false;
  std::vector<CopiedTable> tables;
  std::int64_t retries = 0;

  Result<postgres::Connection> Connect(const std::string& role, const std::stop_token& stop) const {
    postgres::ConnectOptions connect;
    connect.pipeline = options.pipeline;
    connect.role = role;
    return postgres::Connection::Open(*url, connect, stop);
  }

  Status Attempt(std::stop_token stop);
  Status LookAtSource(postgres::Connection& control);
  Status OpenDestination(postgres::Connection& control);
  Status CheckTables(postgres::Connection& control, const types::TypeCatalog& types);
  void ShowPlan();
  Status LoadTables(postgres::SnapshotExporter& exporter, const types::TypeCatalog& types,
                    Lsn insert_lsn);
  Status CopyTables(const postgres::ExportedSnapshot& snapshot, const std::stop_token& stop);
  Status CopyNext(CopiedTable& table, std::optional<postgres::Connection>& connection,
                  const postgres::ExportedSnapshot& snapshot, const std::stop_token& stop);
  Status Land();
  RunOutcome Finish(Status ended);
};

Status JudgeCopyTarget(const DeliveryState& state, engine::Existing existing) {
  if (state.birth || state.position) {
    const std::string name = state.birth ? state.birth->pipeline : std::string();
    return Error{.kind = ErrorKind::kConfig,
                 .message = "the destination is the mirror of pipeline " + name,
                 .code = "SLU-1037",
                 .advice = "copy to another file, or end the pipeline with: sluice drop"};
  }
  const bool has_copy =
      std::any_of(state.tables.begin(), state.tables.end(),
                  [](const TableRecord& table) { return table.schema != nullptr; });
  if (has_copy && existing != engine::Existing::kReplace) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "the destination holds an earlier copy",
                 .code = "SLU-1038",
                 .advice = "--existing replace replaces its tables"};
  }
  return {};
}

// Before the first byte
// -----------------------------------------------------------------------------------------------

Status CopyOnce::State::LookAtSource(postgres::Connection& control) {
  SLUICE_ASSIGN_OR_RETURN(
      selection,
      postgres::ParseSelection(options.selection.tables, options.selection.excluded_tables,
                               options.selection.schemas, options.selection.excluded_schemas));
  const postgres::PreflightRequest request{.selection = selection,
                                           .publication = options.publication.value_or(""),
                                           .is_publication_ours = !options.publication.has_value(),
                                           .slot = "",
                                           .is_copy_only = true};
  SLUICE_ASSIGN_OR_RETURN(const postgres::PreflightInput input,
                          postgres::ReadPreflightInput(control, request));
  const postgres::Preflight preflight = postgres::FindProblems(request, input);
  for (const postgres::Finding& finding : preflight.findings) {
    const bool is_said = has_planned || finding.code == "SLU-2048";
    if (finding.severity != postgres::Severity::kWarning || is_said) continue;
    logger.Warn("{} ({})", finding.message, finding.code);
  }
  if (std::optional<Error> problem = postgres::FirstProblem(preflight.findings))
    return *std::move(problem);
  if (options.publication && !input.publication) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "publication " + *options.publication + " does not exist",
                 .code = "SLU-2037",
                 .advice = "leave --publication out: a copy needs none"};
  }
  SLUICE_RETURN_IF_ERROR(JudgeSomethingToCopy(preflight.tables));
  facts = input.facts;
  planned = preflight.tables;
  table_count = static_cast<std::size_t>(std::count_if(
      planned.begin(), planned.end(), [](const auto& table) { return !table.is_skipped; }));
  return {};
}

Status CopyOnce::State::OpenDestination(postgres::Connection& control) {
  if (destination != nullptr) return {};
  // Not every role may read it; then the file does not remember which source it was.
  std::uint64_t system_identifier = 0;
  const auto identity = control.Exec("read the system identifier",
                                     "SELECT system_identifier FROM pg_control_system()");
  if (identity && identity->row_count() == 1) {
    SLUICE_ASSIGN_OR_RETURN(system_identifier, identity->Unsigned64(0, 0));
  }
  const std::string file = DestinationFile(options);
  std::error_code ignored;
  const bool is_new = !file.empty() && !std::filesystem::exists(file, ignored);
  if (file.empty() && !options.state_dir.empty()) {
    std::filesystem::create_directories(options.state_dir, ignored);
  }
  SLUICE_ASSIGN_OR_RETURN(std::unique_ptr<Destination> made, MakeDestination(options));
  SLUICE_ASSIGN_OR_RETURN(
      const DeliveryState state,
      made->Open({.pipeline = options.pipeline, .system_identifier = system_identifier}));
  created_file = is_new && IsUntouched(state);
  made_state = !is_new && IsUntouched(state);
  destination = std::move(made);
  return JudgeCopyTarget(state, options.existing);
}

Status CopyOnce::State::CheckTables(postgres::Connection& control,
                                    const types::TypeCatalog& types) {
  for (const postgres::PlannedTable& table : planned) {
    if (table.is_skipped) continue;
    SLUICE_ASSIGN_OR_RETURN(const postgres::LoadedTable loaded,
                            postgres::LoadTableSchema(control, types, table.table.relation,
                                                      options.publication.value_or("")));
    SLUICE_ASSIGN_OR_RETURN(
        const std::optional<Error> refusal,
        destination->CheckTable(*loaded.schema, options.names.For(table.table.name),
                                options.tables.For(table.table.name).mode,
                                options.existing != engine::Existing::kRefuse));
    if (refusal) return *refusal;
  }
  return {};
}

void CopyOnce::State::ShowPlan() {
  if (has_planned) return;
  has_planned = true;
  if (!on_plan) return;
  Plan plan = DescribePlan(planned, {}, options, selection);
  plan.source = url->redacted() + " (PostgreSQL " + facts.version + ")";
  plan.is_first_run = true;
  const std::string file = DestinationFile(options);
  if (!file.empty()) {
    std::error_code error;
    const auto space = std::filesystem::space(std::filesystem::path(file).parent_path(), error);
    plan.bytes_free = error ? 0 : space.available;
  }
  on_plan(plan);
}

// The copy
// -------------------------------------------------------------------------------------------------------------

Status CopyOnce::State::Attempt(std::stop_token stop) {
  tables.clear();
  tables_done = 0;
  counters.rows = 0;
  counters.bytes = 0;
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection control, Connect("copy-control", stop));
  SLUICE_RETURN_IF_ERROR(LookAtSource(control));
  SLUICE_ASSIGN_OR_RETURN(types::TypeCatalog types, postgres::LoadTypeCatalog(control));
  types.SetPolicies(options.types);
  types.SetRules(std::make_shared<const types::TableRules>(options.tables));
  SLUICE_RETURN_IF_ERROR(OpenDestination(control));
  SLUICE_RETURN_IF_ERROR(CheckTables(control, types));
  ShowPlan();
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection exporting, Connect("copy-snapshot", stop));
  postgres::SnapshotExporter exporter(std::move(exporting),
                                      postgres::SnapshotExporter::For::kReading);
  std::vector<postgres::LockTarget> targets;
  for (const postgres::PlannedTable& table : planned) {
    if (table.is_skipped) continue;
    targets.push_back({table.table.relation, table.table.name, table.table.is_partitioned});
  }
  SLUICE_ASSIGN_OR_RETURN(const postgres::ExportedSnapshot snapshot,
                          exporter.Take(targets, kLockTimeout, stop));
  const Lsn insert_lsn = replication::InsertLsnFloor(snapshot.insert_lsn, facts.wal_segment_size);
  SLUICE_RETURN_IF_ERROR(LoadTables(exporter, types, insert_lsn));
  has_begun = true;
  SLUICE_RETURN_IF_ERROR(CopyTables(snapshot, stop));
  SLUICE_RETURN_IF_ERROR(exporter.CheckAlive());
  // What S sees is on the server's disk: no crash there can take it back from under the copy.
  SLUICE_RETURN_IF_ERROR(postgres::WaitForFlush(control, insert_lsn, kFlushTimeout, stop));
  SLUICE_RETURN_IF_ERROR(exporter.Release());
  if (stop.stop_requested()) return Stopped();
  return Land();
}

/// Shapes as the snapshot sees them; the largest table first, so that the last worker is not alone
/// with it.
Status CopyOnce::State::LoadTables(postgres::SnapshotExporter& exporter,
                                   const types::TypeCatalog& types, Lsn insert_lsn) {
  const std::size_t workers = static_cast<std::size_t>(std::max(1, options.copy_workers));
  const std::size_t batch_bytes = std::clamp<std::size_t>(
      options.memory_bytes / (workers * 16), std::size_t{1} << 20, std::size_t{16} << 20);
  for (const postgres::PlannedTable& planned_table : planned) {
    if (planned_table.is_skipped) continue;
    const postgres::SourceTable& source = planned_table.table;
    CopiedTable table;
    table.size_bytes = source.size_bytes;
    SLUICE_ASSIGN_OR_RETURN(table.copy.loaded,
                            postgres::LoadTableSchema(exporter.connection(), types, source.relation,
                                                      options.publication.value_or("")));
    auto schema = std::make_shared<TableSchema>(*table.copy.loaded.schema);
    schema->since = insert_lsn;
    table.copy.loaded.schema = schema;
    table.copy.target = {.unit = {source.relation, 0},
                         .schema = schema,
                         .destination = options.names.For(source.name)};
    table.copy.batch_bytes = batch_bytes;
    table.record.relation = source.relation;
    table.record.source = source.name;
    table.record.destination = options.names.For(source.name);
    table.record.mode = options.tables.For(source.name).mode;
    table.record.state = TableState::kLive;
    table.record.lsn = insert_lsn;
    table.record.schema = schema;
    tables.push_back(std::move(table));
  }
  std::stable_sort(tables.begin(), tables.end(),
                   [](const auto& a, const auto& b) { return a.size_bytes > b.size_bytes; });
  return {};
}

Status CopyOnce::State::CopyTables(const postgres::ExportedSnapshot& snapshot,
                                   const std::stop_token& stop) {
  std::stop_source giving_up;
  const std::stop_callback forward(stop, [&] { giving_up.request_stop(); });
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> failure;
  {
    std::vector<std::jthread> workers;
    const std::size_t count =
        std::min(tables.size(), static_cast<std::size_t>(std::max(1, options.copy_workers)));
    for (std::size_t i = 0; i < count; ++i) {
      workers.emplace_back([&, i] {
        pthread_setname_np(pthread_self(), ("copy-" + std::to_string(i + 1)).c_str());
        std::optional<postgres::Connection> connection;
        for (std::size_t at = next++; at < tables.size(); at = next++) {
          const Status copied = CopyNext(tables[at], connection, snapshot, giving_up.get_token());
          if (copied) continue;
          const std::scoped_lock lock(mutex);
          // Those that are cancelled because of it come later.
          if (!failure || failure->kind == ErrorKind::kCancelled) failure = copied.error();
          giving_up.request_stop();
          return;
        }
      });
    }
  }
  if (!failure) return {};
  for (const CopiedTable& table : tables) {
    const Status discarded = destination->DiscardCopy(table.copy.target.unit);
    if (!discarded) logger.Write(telemetry::LogLevel::kWarn, discarded.error());
  }
  return *failure;
}

/// One table; its own trouble is written into its record.
Status CopyOnce::State::CopyNext(CopiedTable& table,
                                 std::optional<postgres::Connection>& connection,
                                 const postgres::ExportedSnapshot& snapshot,
                                 const std::stop_token& stop) {
  if (stop.stop_requested()) return Stopped();
  if (!connection || !connection->is_alive()) {
    SLUICE_ASSIGN_OR_RETURN(connection, Connect("copy", stop));
  }
  SLUICE_RETURN_IF_ERROR(postgres::ImportSnapshot(*connection, snapshot, stop));
  const auto copied = CopyTable(table.copy, *connection, *destination, counters, stop);
  if (connection->is_alive() && connection->is_in_transaction()) {
    (void)connection->Exec("end the copy of a table", "ROLLBACK");
  }
  ++tables_done;
  table.record.since = engine::WallClock();
  if (copied) {
    table.record.row_count = copied->rows;
    table.misfits = copied->misfits;
    for (const engine::MisfitCount& count : table.misfits)
      logger.Warn("table {}: {}", ToString(table.record.source), engine::Describe(count));
    return {};
  }
  if (!HaltsTable(copied.error())) return copied.error();
  const Error& error = copied.error();
  SLUICE_RETURN_IF_ERROR(destination->DiscardCopy(table.copy.target.unit));
  table.record.state = TableState::kHalted;
  table.record.reason = base::ReasonText(error);
  table.record.advice = error.advice;
  table.record.schema = nullptr;
  table.record.lsn = {};
  logger.Warn("table {} is left out: {}", ToString(table.record.source),
              base::WithoutRowKey(table.record.reason));
  return {};
}

/// Every table becomes visible in the same transaction. One that cannot is left out, and it begins
/// anew with the others.
Status CopyOnce::State::Land() {
  for (;;) {
    CopiedTable* failed = nullptr;
    CommitRecord record;
    record.sequence = 1;
    for (CopiedTable& table : tables) {
      record.tables.push_back(table.record);
      if (table.record.state != TableState::kLive) continue;
      SLUICE_ASSIGN_OR_RETURN(const StageOutcome outcome,
                              destination->Stage(LandUnit{.unit = table.copy.target.unit,
                                                          .schema = table.copy.loaded.schema,
                                                          .destination = table.record.destination,
                                                          .lsn = table.record.lsn,
                                                          .mode = table.record.mode,
                                                          .log_lsn = table.record.lsn}));
      if (!outcome.table_failed) continue;
      table.record.state = TableState::kHalted;
      table.record.reason = base::ReasonText(outcome.table_failed->error);
      table.record.advice = outcome.table_failed->error.advice;
      table.record.schema = nullptr;
      table.record.lsn = {};
      failed = &table;
      break;
    }
    if (failed != nullptr) {
      destination->Abandon();
      SLUICE_RETURN_IF_ERROR(destination->DiscardCopy(failed->copy.target.unit));
      continue;
    }
    SLUICE_ASSIGN_OR_RETURN(const CommitOutcome outcome, destination->Commit(record));
    if (outcome == CommitOutcome::kUnknown) {
      return Error{.kind = ErrorKind::kDestination,
                   .message = "whether the last commit is in is unknown",
                   .code = "SLU-5005",
                   .advice = "copy again with --existing replace"};
    }
    has_landed = true;
    return {};
  }
}

RunOutcome CopyOnce::State::Finish(Status ended) {
  if (destination != nullptr) {
    if (made_state && !has_landed) {
      const Status forgotten = destination->Forget();  // a file that was refused stays as it was
      if (!forgotten) logger.Write(telemetry::LogLevel::kWarn, forgotten.error());
    }
    const Status closed = destination->Close(Clock::now() + kCloseGrace);
    if (!closed) logger.Write(telemetry::LogLevel::kWarn, closed.error());
    destination.reset();
  }
  const std::string file = DestinationFile(options);
  std::error_code ignored;
  if (created_file && !has_landed) {
    std::filesystem::remove(file, ignored);
    std::filesystem::remove(file + ".wal", ignored);
  }
  RunOutcome outcome;
  outcome.left_wal_file = !file.empty() && std::filesystem::exists(file + ".wal", ignored);
  DeliveryState state;
  for (const CopiedTable& table : tables) state.tables.push_back(table.record);
  outcome.final_status = StatusFromState(options, state);
  outcome.final_status.source = url ? url->redacted() : "";
  outcome.final_status.rows_copied = has_landed ? counters.rows.load() : 0;
  outcome.final_status.bytes_received = counters.bytes.load();
  outcome.final_status.retries_source = retries;
  outcome.final_status.memory_limit_bytes = options.memory_bytes;
  for (engine::TableStatus& table : outcome.final_status.tables) {
    table.rows_copied = table.record.row_count;
    const auto copied = std::ranges::find_if(tables, [&](const CopiedTable& one) {
      return one.record.relation == table.record.relation;
    });
    if (copied != tables.end()) table.misfits = copied->misfits;
  }
  if (!ended) {
    const Error& error = ended.error();
    outcome.error = error;
    outcome.exit_code = error.kind == ErrorKind::kCancelled ? 130
                        : base::IsRetryable(error.kind)     ? 5
                        : has_begun                         ? 4
                                                            : 2;
    return outcome;
  }
  FinishOutcome(outcome, false);
  return outcome;
}

CopyOnce::CopyOnce(engine::PipelineOptions options, telemetry::Logger& logger)
    : state_(std::make_unique<State>(std::move(options), logger)) {}
CopyOnce::~CopyOnce() = default;

void CopyOnce::OnPlan(std::function<void(const Plan&)> callback) {
  state_->on_plan = std::move(callback);
}

RunOutcome CopyOnce::Run(std::stop_token stop) {
  State& state = *state_;
  auto url = postgres::SourceUrl::Parse(state.options.source);
  if (!url) return state.Finish(url.error());
  state.url = *std::move(url);
  const Duration patience = state.options.retry_for.value_or(kDefaultRetry);
  std::optional<Clock::time_point> give_up;
  base::Backoff backoff(std::chrono::milliseconds(200), std::chrono::seconds(5));
  for (;;) {
    Status ended = state.Attempt(stop);
    if (!ended && stop.stop_requested()) ended = Stopped();
    if (ended || !base::IsRetryable(ended.error().kind)) return state.Finish(std::move(ended));
    if (!give_up) give_up = Clock::now() + patience;
    if (Clock::now() > *give_up) return state.Finish(std::move(ended));
    ++state.retries;
    const Duration wait = backoff.Next(0);
    const std::string& words = ended.error().server_message;
    state.logger.Warn("the copy begins again in {}: {}{} ({})", base::FormatDuration(wait),
                      ended.error().message, words.empty() ? "" : ": " + words, ended.error().code);
    base::SleepFor(wait, stop);
    if (stop.stop_requested()) return state.Finish(Stopped());
  }
}

CopyProgressNow CopyOnce::CurrentProgress() const {
  const State& state = *state_;
  return {.rows = state.counters.rows.load(),
          .bytes = state.counters.bytes.load(),
          .tables_done = state.tables_done.load(),
          .tables = state.table_count.load()};
}

}  // namespace sluice::pipeline
