#include "tests/integration/engine_run.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/backoff.h"
#include "destinations/memory/cell_text.h"
#include "pipeline/birth.h"
#include "pipeline/destination_factory.h"
#include "pipeline/table_set.h"
#include "postgres/catalog.h"
#include "postgres/slot.h"
#include "replication/snapshot.h"

namespace sluice::integration {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(5);
constexpr Duration kGrace = std::chrono::seconds(8);

/// How long a poll waits before it looks again.
void Pause(Duration duration) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  (void)never.wait_for(lock, duration, [] { return false; });
}

telemetry::LogOptions LogOptionsOf(const std::string& pipeline) {
  telemetry::LogOptions options;
  options.pipeline = pipeline;
  return options;
}

}  // namespace

EngineRun::EngineRun(EngineRunOptions options)
    : make_(std::move(options.make)), logger_(LogOptionsOf(options.pipeline)) {
  options_.source = std::move(options.source);
  options_.destination = "memory:";
  options_.pipeline = std::move(options.pipeline);
  options_.state_dir = std::move(options.state_dir);
  options_.memory_bytes = options.memory_bytes;
  options_.selection.excluded_tables = std::move(options.excluded_tables);
}

EngineRun::~EngineRun() {
  CloseAll();
}

Result<postgres::Connection> EngineRun::Connect(const std::string& role,
                                                bool is_replication) const {
  postgres::ConnectOptions connect;
  connect.pipeline = options_.pipeline;
  connect.role = role;
  connect.is_replication = is_replication;
  return postgres::Connection::Open(*url_, connect);
}

Status EngineRun::LookAtSource() {
  SLUICE_ASSIGN_OR_RETURN(url_, postgres::SourceUrl::Parse(options_.source));
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection control, Connect("control", false));
  SLUICE_ASSIGN_OR_RETURN(const postgres::TableSelection selection,
                          postgres::ParseSelection({}, options_.selection.excluded_tables, {}, {}));
  const postgres::PreflightRequest request{.selection = selection,
                                           .publication = "sluice_" + options_.pipeline,
                                           .is_publication_ours = true,
                                           .slot = "sluice_" + options_.pipeline,
                                           .is_copy_only = false};
  SLUICE_ASSIGN_OR_RETURN(const postgres::PreflightInput input,
                          postgres::ReadPreflightInput(control, request));
  const postgres::Preflight preflight = postgres::FindProblems(request, input);
  for (const postgres::Finding& finding : preflight.findings) {
    if (finding.severity == postgres::Severity::kProblem) {
      return Error{.kind = ErrorKind::kConfig, .message = finding.message, .code = finding.code};
    }
  }
  facts_ = input.facts;
  planned_ = preflight.tables;
  SLUICE_ASSIGN_OR_RETURN(types_, postgres::LoadTypeCatalog(control));
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection replication, Connect("identify", true));
  SLUICE_ASSIGN_OR_RETURN(const postgres::ServerIdentity identity,
                          postgres::ReadServerIdentity(replication));
  system_identifier_ = identity.system_identifier;
  return {};
}

Status EngineRun::OpenDestination() {
  destination_ = make_();
  ++open_count_;
  SLUICE_ASSIGN_OR_RETURN(restored_, destination_->Open({.pipeline = options_.pipeline,
                                                         .system_identifier = system_identifier_,
                                                         .read_only = false}));
  if (!restored_.position) {
    SLUICE_ASSIGN_OR_RETURN(postgres::Connection control, Connect("control", false));
    SLUICE_RETURN_IF_ERROR(BeginBirth(control));
  }
  pipeline::SessionOptions session;
  session.pipeline = &options_;
  session.memory = pipeline::ShareMemory(options_);
  session.wal_segment_bytes = facts_->wal_segment_size;
  session.wal_sender_timeout = std::chrono::milliseconds(facts_->wal_sender_timeout_ms);
  session.facts = *facts_;
  SLUICE_ASSIGN_OR_RETURN(session.selection,
                          postgres::ParseSelection({}, options_.selection.excluded_tables, {}, {}));
  session_ = std::make_unique<pipeline::Session>(
      session,
      [this](const std::string& role, bool is_replication) {
        return Connect(role, is_replication);
      },
      *destination_, restored_, *types_, progress_, latency_, logger_);
  session_->Start();
  return {};
}

Status EngineRun::BeginBirth(postgres::Connection& control) {
  const pipeline::TableSet tables = pipeline::PlanTables(planned_, {}, {}, options_);
  pipeline::BirthRequest request;
  request.options = &options_;
  request.slot = "sluice_" + options_.pipeline;
  request.publication = "sluice_" + options_.pipeline;
  for (const postgres::WantedTable& table : tables.published)
    request.published.tables.push_back(table.name);
  request.records = tables.added;
  request.generation = pipeline::NewGeneration();
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection replication,
                          Connect(pipeline::BirthRole(request.generation), true));
  bool made_slot = false;
  return pipeline::GiveBirth(request, control, replication, *destination_, restored_, logger_,
                             made_slot, {});
}

Status EngineRun::Open() {
  SLUICE_RETURN_IF_ERROR(LookAtSource());
  return OpenDestination();
}

Status EngineRun::Tick() {
  std::optional<Error> failure;
  if (!session_) {
    failure = Error{.kind = ErrorKind::kConnection, .message = "not open"};
  } else {
    failure = session_->Failure();
    if (!failure && session_->pool().has_failed()) {
      session_->pool().Stop();
      const Status joined = session_->pool().Join();
      if (!joined) failure = joined.error();
    }
  }
  if (!failure) return {};
  if (!base::IsRetryable(failure->kind)) return *failure;
  logger_.Warn("the destination is opened again: {} ({})", failure->message, failure->code);
  CloseAll();
  const Status opened = Open();
  if (!opened && !base::IsRetryable(opened.error().kind)) return opened;
  if (!opened) CloseAll();
  return {};
}

Status EngineRun::Until(const std::string& what, const std::function<bool()>& is_done,
                        Duration timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  while (true) {
    SLUICE_RETURN_IF_ERROR(Tick());
    if (is_done()) return {};
    if (Clock::now() > deadline) {
      return Error{.kind = ErrorKind::kTimeout,
                   .message = what + ": not in time; received " +
                              ToString(progress_.received.Load()) + ", processed " +
                              ToString(progress_.processed.Load()) + ", durable " +
                              ToString(progress_.durable.Load()) + ", visible " +
                              ToString(progress_.visible.Load())};
    }
    Pause(kTick);
  }
}

Status EngineRun::CatchUp(Duration timeout, const std::function<void()>& nudge, bool may_halt) {
  const auto all_live = [&] {
    if (!session_) return false;
    const std::vector<engine::TableStatus> tables = session_->writer().Tables();
    return !tables.empty() &&
           std::all_of(tables.begin(), tables.end(), [&](const engine::TableStatus& table) {
             return table.record.state == TableState::kLive ||
                    (may_halt && table.record.state == TableState::kHalted);
           });
  };
  SLUICE_RETURN_IF_ERROR(Until("every table live", all_live, timeout));
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection control, Connect("test", false));
  SLUICE_ASSIGN_OR_RETURN(const postgres::WalPositions positions,
                          postgres::ReadWalPositions(control));
  const Lsn target = replication::InsertLsnFloor(positions.insert_lsn, facts_->wal_segment_size);
  const engine::PositionWish wish(progress_);
  const auto is_there = [&] {
    if (nudge) nudge();
    return session_ && progress_.visible.Load() >= target;
  };
  SLUICE_RETURN_IF_ERROR(Until("visible at " + ToString(target), is_there, timeout));
  // A destination opened again meanwhile may have taken a landing back.
  return Until("every table live", all_live, timeout);
}

void EngineRun::CloseAll() {
  if (session_) (void)session_->Stop(Clock::now() + kGrace);
  session_.reset();
  if (destination_) (void)destination_->Close(Clock::now() + kGrace);
  destination_.reset();
}

Status EngineRun::Stop(Duration grace) {
  Status stopped;
  if (session_) stopped = session_->Stop(Clock::now() + grace);
  session_.reset();
  Status closed;
  if (destination_) closed = destination_->Close(Clock::now() + kGrace);
  destination_.reset();
  return stopped ? closed : stopped;
}

std::optional<engine::TableStatus> EngineRun::Table(const std::string& name) const {
  if (!session_) return std::nullopt;
  for (engine::TableStatus& table : session_->writer().Tables()) {
    if (table.record.source.table == name) return std::move(table);
  }
  return std::nullopt;
}

Result<std::vector<std::vector<std::optional<std::string>>>> DestinationRows(
    const MakeDestination& make, const std::string& pipeline, const std::string& table) {
  const std::unique_ptr<Destination> destination = make();
  SLUICE_ASSIGN_OR_RETURN(
      const DeliveryState state,
      destination->Open({.pipeline = pipeline, .system_identifier = 0, .read_only = true}));
  const auto record =
      std::find_if(state.tables.begin(), state.tables.end(),
                   [&](const TableRecord& candidate) { return candidate.source.table == table; });
  if (record == state.tables.end() || !record->schema) {
    return Error{.kind = ErrorKind::kInternal, .message = "no table " + table + " there"};
  }
  SLUICE_ASSIGN_OR_RETURN(const auto reader, destination->OpenReader());
  const TableSchema& schema = *record->schema;
  std::vector<std::int32_t> columns;
  for (std::size_t i = 0; i < schema.columns.size(); ++i)
    columns.push_back(static_cast<std::int32_t>(i));
  std::vector<std::vector<std::optional<std::string>>> rows;
  SLUICE_RETURN_IF_ERROR(reader->Scan(*record, columns, [&](const RowsPtr& batch) -> Status {
    for (std::int64_t row = 0; row < batch->num_rows(); ++row) {
      auto& cells = rows.emplace_back();
      for (std::size_t i = 0; i < schema.columns.size(); ++i) {
        SLUICE_ASSIGN_OR_RETURN(
            memory::Cell cell,
            memory::CellText(*batch->column(static_cast<int>(i)), row, schema.columns[i].type));
        cells.push_back(std::move(cell));
      }
    }
    return {};
  }));
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace sluice::integration
