#include "pipeline/stored_state.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "destinations/duckdb/duckdb_destination.h"
#include "engine/progress.h"
#include "pipeline/destination_factory.h"
#include "pipeline/table_set.h"
#include "replication/table_machine.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kCloseGrace = std::chrono::seconds(5);

Status CheckExists(const engine::PipelineOptions& options) {
  const std::string file = DestinationFile(options);
  std::error_code ignored;
  if (file.empty() || std::filesystem::exists(file, ignored)) return {};
  return Error{.kind = ErrorKind::kConfig,
               .message = "there is no such file: " + file,
               .code = "SLU-5011",
               .advice = "sluice run makes it"};
}

/// What changes in the records of tables that are to be copied again, or to go on.
Result<CommitRecord> MarkedRecord(const DeliveryState& state, const std::vector<RelationId>& tables,
                                  Mark mark) {
  replication::TableMachine machine(state);
  for (const RelationId relation : tables) {
    if (mark == Mark::kResync) {
      machine.Resync(relation, engine::WallClock());
      continue;
    }
    if (std::optional<Error> refused = replication::WhyNoResume(machine.record(relation)))
      return *std::move(refused);
    KeptChanges kept = *machine.record(relation).kept;
    kept.is_resuming = true;
    machine.SetKept(relation, kept);
  }
  CommitRecord record;
  record.sequence = 1;
  record.tables = machine.TakeChangedRecords(1);
  record.position = state.position;
  if (state.position) record.passed = state.passed;
  return record;
}

}  // namespace

engine::PipelineStatus StatusFromState(const engine::PipelineOptions& options,
                                       const DeliveryState& state) {
  engine::PipelineStatus status;
  status.pipeline = options.pipeline;
  status.destination = options.destination;
  status.phase = engine::Phase::kStopped;
  status.epoch = state.epoch;
  if (state.birth) {
    status.birth = *state.birth;
    if (!state.birth->pipeline.empty()) status.pipeline = state.birth->pipeline;
  }
  if (state.position) {
    status.durable = state.position->lsn;
    status.visible = state.position->lsn;
    if (state.position->last_transaction) {
      status.last_commit = state.position->last_transaction->committed_at;
    }
  }
  for (const TableRecord& record : state.tables) status.tables.emplace_back().record = record;
  std::sort(status.tables.begin(), status.tables.end(),
            [](const auto& a, const auto& b) { return a.record.source < b.record.source; });
  return status;
}

Result<engine::PipelineStatus> ReadStoredStatus(const engine::PipelineOptions& options) {
  SLUICE_RETURN_IF_ERROR(CheckExists(options));
  SLUICE_ASSIGN_OR_RETURN(const std::unique_ptr<Destination> destination, MakeDestination(options));
  SLUICE_ASSIGN_OR_RETURN(const DeliveryState state,
                          destination->Open({.pipeline = "", .read_only = true}));
  (void)destination->Close(Clock::now() + kCloseGrace);
  return StatusFromState(options, state);
}

Result<std::vector<TableName>> MarkTables(const engine::PipelineOptions& options,
                                          const std::vector<std::string>& patterns, Mark mark) {
  SLUICE_RETURN_IF_ERROR(CheckExists(options));
  SLUICE_ASSIGN_OR_RETURN(const std::unique_ptr<Destination> destination, MakeDestination(options));
  SLUICE_ASSIGN_OR_RETURN(const DeliveryState state,
                          destination->Open({.pipeline = options.pipeline}));
  const auto commit = [&]() -> Result<std::vector<TableName>> {
    if (!state.position) {
      return Error{.kind = ErrorKind::kConfig,
                   .message = "this destination holds no pipeline of this name yet",
                   .code = "SLU-1031",
                   .advice = "sluice run makes it"};
    }
    SLUICE_ASSIGN_OR_RETURN(const std::vector<RelationId> chosen,
                            mark == Mark::kResync ? MatchToCopyAgain(patterns, state.tables)
                                                  : MatchTables(patterns, state.tables));
    SLUICE_ASSIGN_OR_RETURN(const CommitRecord record, MarkedRecord(state, chosen, mark));
    if (!record.tables.empty()) {
      SLUICE_ASSIGN_OR_RETURN(const CommitOutcome outcome, destination->Commit(record));
      if (outcome == CommitOutcome::kUnknown) {
        return Error{.kind = ErrorKind::kConnection,
                     .message = "a commit's outcome is unknown",
                     .code = "SLU-5005",
                     .advice = "do it again"};
      }
    }
    std::vector<TableName> names;
    for (const TableRecord& table : state.tables) {
      if (std::find(chosen.begin(), chosen.end(), table.relation) != chosen.end()) {
        names.push_back(table.source);
      }
    }
    return names;
  };
  auto marked = commit();
  const Status closed = destination->Close(Clock::now() + kCloseGrace);
  if (marked && !closed) return closed.error();
  return marked;
}

Result<OpenedSql> OpenSql(const engine::PipelineOptions& options, const duckdb::SqlLimits& limits) {
  SLUICE_RETURN_IF_ERROR(CheckExists(options));
  OpenedSql opened;
  SLUICE_ASSIGN_OR_RETURN(opened.destination, MakeDestination(options));
  auto* file = dynamic_cast<duckdb::DuckDbDestination*>(opened.destination.get());
  if (file == nullptr) {
    return Error{.kind = ErrorKind::kUnsupported,
                 .message = "this destination answers no SQL",
                 .code = "SLU-1024"};
  }
  SLUICE_RETURN_IF_ERROR(opened.destination->Open({.pipeline = "", .read_only = true}));
  SLUICE_ASSIGN_OR_RETURN(opened.session, file->Sql(limits));
  return opened;
}

}  // namespace sluice::pipeline
