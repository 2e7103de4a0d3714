#include "pipeline/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/units.h"
#include "columnar/copy_decoder.h"
#include "pipeline/birth.h"
#include "pipeline/check_types.h"
#include "postgres/catalog.h"
#include "postgres/connection.h"
#include "postgres/source_url.h"
#include "replication/connect_checks.h"

namespace sluice::pipeline {
namespace {

using postgres::Finding;
using postgres::Severity;

/// Some room for what is not rows: the log, a checkpoint.
constexpr std::uint64_t kSpareBytes = 256ULL << 20;

struct SourceCheck {
  std::uint64_t system_identifier = 0;
  std::vector<SchemaPtr> schemas;
  std::optional<postgres::Connection> control;
  std::optional<postgres::Connection> replication;
};

Result<postgres::Connection> Connect(const engine::PipelineOptions& options,
                                     const postgres::SourceUrl& url, bool is_replication) {
  postgres::ConnectOptions connect;
  connect.pipeline = options.pipeline;
  connect.role = "check";
  connect.is_replication = is_replication;
  connect.accept_sql_ascii = true;
  return postgres::Connection::Open(url, connect);
}

/// Columns that cannot be read in their binary form, so that everything is asked for as text.
void NoteTextColumns(const TableSchema& schema, CheckReport& report) {
  for (const Column& column : schema.columns) {
    TableSchema alone;
    alone.columns.push_back(column);
    if (columnar::FormatFor(alone) == columnar::CopyFormat::kBinary) continue;
    report.findings.push_back(
        {.severity = Severity::kWarning,
         .code = "SLU-1033",
         .message = fmt::format("{}.{} is of type {}, which is read as text: slower than binary",
                                ToString(schema.name), column.name, column.type.name),
         .advice = "",
         .sql = "",
         .table = schema.name});
  }
}

Status LoadSchemas(const engine::PipelineOptions& options, postgres::Connection& connection,
                   CheckReport& report, SourceCheck& source) {
  SLUICE_ASSIGN_OR_RETURN(types::TypeCatalog types, postgres::LoadTypeCatalog(connection));
  types.SetPolicies(options.types);
  types.SetRules(std::make_shared<const types::TableRules>(options.tables));
  for (const postgres::PlannedTable& table : report.tables) {
    if (table.is_skipped) continue;
    report.bytes_estimated +=
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, table.table.size_bytes));
    auto loaded = postgres::LoadTableSchema(connection, types, table.table.relation,
                                            options.publication.value_or(""));
    if (!loaded) {
      report.findings.push_back(FindingFrom(loaded.error(), Severity::kProblem));
      report.findings.back().table = table.table.name;
      if (!connection.is_alive()) return loaded.error();
      continue;
    }
    NoteTextColumns(*loaded->schema, report);
    source.schemas.push_back(loaded->schema);
  }
  if (options.types) NoteUnknownColumns(*options.types, source.schemas, report);
  NoteBytesAsText(source.schemas, report);
  return ProposeDecimals(connection, source.schemas, report);
}

/// Whom the creation of a slot would wait for.
Status NoteOldTransactions(postgres::Connection& connection, CheckReport& report) {
  constexpr std::uint64_t kWorthALine = 30;  // seconds
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::OpenTransaction> oldest,
                          postgres::ReadOldestTransaction(connection));
  if (!oldest || oldest->age_seconds < kWorthALine) return {};
  report.findings.push_back(
      {.severity = Severity::kWarning,
       .code = "SLU-2104",
       .message = "creating the slot would wait for " + postgres::Describe(*oldest),
       .advice = "end that transaction, or wait for it",
       .sql = "",
       .table = {}});
  return {};
}

/// What a standby would have of the slot. Whether one syncs slots is seen only there.
Status NoteFailover(postgres::Connection& connection, const std::optional<postgres::SlotRow>& slot,
                    CheckReport& report) {
  if (connection.server_version() < 170000) {
    report.failover = "no standby of this version has the slot; see --on-lost-slot";
    return {};
  }
  if (slot && !slot->is_failover) {
    report.failover = "slot " + slot->name + " is not to be synced to standbys; see --on-lost-slot";
    return {};
  }
  SLUICE_ASSIGN_OR_RETURN(
      const postgres::QueryResult waited,
      connection.Exec("read a setting", "SELECT current_setting('synchronized_standby_slots')"));
  const std::string standbys = waited.str(0, 0);
  report.failover =
      std::string(slot ? "the slot is" : "the slot will be") +
      " there for standbys with sync_replication_slots = on (not visible here); " +
      (standbys.empty()
           ? "synchronized_standby_slots is empty: the mirror may be ahead of them"
           : "none of synchronized_standby_slots (" + standbys + ") will be behind the mirror");
  return {};
}

Status CheckSource(const engine::PipelineOptions& options, CheckReport& report,
                   SourceCheck& source) {
  SLUICE_ASSIGN_OR_RETURN(const postgres::SourceUrl url,
                          postgres::SourceUrl::Parse(options.source, options.primary));
  report.source = url.redacted();
  SLUICE_ASSIGN_OR_RETURN(source.control, Connect(options, url, false));
  postgres::Connection& connection = *source.control;
  SLUICE_ASSIGN_OR_RETURN(
      const postgres::TableSelection selection,
      postgres::ParseSelection(options.selection.tables, options.selection.excluded_tables,
                               options.selection.schemas, options.selection.excluded_schemas));
  const postgres::PreflightRequest request{
      .selection = selection,
      .publication = options.publication.value_or("sluice_" + options.pipeline),
      .is_publication_ours = !options.publication.has_value(),
      .slot = options.slot.value_or("sluice_" + options.pipeline),
      .is_copy_only = false,
      .rules = options.tables};
  SLUICE_ASSIGN_OR_RETURN(const postgres::PreflightInput input,
                          postgres::ReadPreflightInput(connection, request));
  postgres::Preflight preflight = postgres::FindProblems(request, input);
  report.source += " (PostgreSQL " + input.facts.version + ")";
  report.script = postgres::AdministratorScript(request, input, preflight);
  report.findings = std::move(preflight.findings);
  report.tables = std::move(preflight.tables);
  SLUICE_ASSIGN_OR_RETURN(report.ddl_trigger, postgres::ReadDdlTrigger(connection));
  SLUICE_RETURN_IF_ERROR(NoteFailover(connection, input.slot, report));
  SLUICE_RETURN_IF_ERROR(LoadSchemas(options, connection, report, source));
  if (!input.slot) SLUICE_RETURN_IF_ERROR(NoteOldTransactions(connection, report));
  if (!input.facts.may_replicate) {
    report.not_checked.emplace_back("a replication connection: the role may not replicate");
    return {};
  }
  // It may be refused where the other is let in: walsenders have a limit of their own.
  auto replication = Connect(options, url, true);
  if (!replication) {
    Finding finding = FindingFrom(replication.error(), Severity::kProblem);
    const bool is_known =
        std::any_of(report.findings.begin(), report.findings.end(),
                    [&](const Finding& known) { return known.code == finding.code; });
    if (!is_known) report.findings.push_back(std::move(finding));
    report.not_checked.emplace_back("what needs a replication connection: the slot");
    return {};
  }
  source.replication = *std::move(replication);
  SLUICE_ASSIGN_OR_RETURN(const postgres::ServerIdentity identity,
                          postgres::ReadServerIdentity(*source.replication));
  source.system_identifier = identity.system_identifier;
  return {};
}

/// Do slot and publication fit what the destination remembers, or are their names free? As `run`
/// asks at its start.
Status CheckOurs(const engine::PipelineOptions& options, const std::optional<DeliveryState>& state,
                 SourceCheck& source, CheckReport& report) {
  if (!source.control || !source.replication) return {};
  Birth birth = state && state->birth ? *state->birth : Birth{};
  const bool is_born = state && state->position;
  if (!is_born) {
    birth.pipeline = options.pipeline;
    birth.slot = options.slot.value_or("sluice_" + options.pipeline);
    birth.publication = options.publication.value_or("sluice_" + options.pipeline);
    birth.owns_publication = !options.publication.has_value();
  }
  SLUICE_ASSIGN_OR_RETURN(replication::SourceFacts facts,
                          ReadSourceFacts(*source.control, *source.replication, birth));
  // This pipeline's own session may run on, or linger after a kill: run waits for it.
  const bool is_own =
      facts.slot && facts.slot->is_active &&
      facts.slot->active_application.starts_with("sluice/" + options.pipeline + "/");
  if (is_own) {
    report.findings.push_back(
        {.severity = Severity::kWarning,
         .code = "SLU-2105",
         .message = fmt::format("slot {} is in use by pid {} ({})", birth.slot,
                                facts.slot->active_pid.value_or(0), facts.slot->active_application),
         .advice = "stop the one that uses it, unless it is this pipeline",
         .sql = "",
         .table = {}});
    facts.slot->is_active = false;
  }
  if (is_born) {
    const auto start = replication::CheckConnect(birth, *state->position, facts);
    return start ? Status{} : Status(start.error());
  }
  const bool is_users_slot = options.slot.has_value();
  SLUICE_RETURN_IF_ERROR(replication::CheckUnborn(birth, facts, is_users_slot));
  return options.copy_existing ? Status{}
                               : replication::CheckStreamOnly(birth, facts, is_users_slot);
}

/// A first run has to have something to do, and every table that was named; one that has begun goes
/// on without.
void JudgeTables(CheckReport& report) {
  for (Finding& finding : report.findings) {
    if (finding.code == "SLU-2048" && !report.has_position) finding.severity = Severity::kProblem;
    if (finding.is_of_named && report.has_position)
      finding.severity = finding.table ? Severity::kSkippedTable : Severity::kWarning;
  }
}

}  // namespace

bool CheckReport::has_problem() const {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.severity == Severity::kProblem; });
}

Finding FindingFrom(const Error& error, Severity severity) {
  std::string message = error.message;
  if (!error.server_message.empty()) message += " (" + error.server_message + ")";
  return {.severity = severity,
          .code = error.code,
          .message = std::move(message),
          .advice = error.advice,
          .sql = "",
          .table = {}};
}

std::optional<Finding> JudgeSpace(std::uint64_t bytes_needed, std::uint64_t bytes_free) {
  if (bytes_free == 0 || bytes_needed + kSpareBytes <= bytes_free) return std::nullopt;
  return Finding{
      .severity = Severity::kWarning,
      .code = "SLU-1034",
      .message = fmt::format("the tables take {} at the source, and {} are free at the destination",
                             base::FormatSize(bytes_needed), base::FormatSize(bytes_free)),
      .advice = "a copy usually takes less than the source; make room, or choose another disk",
      .sql = "",
      .table = {}};
}

CheckReport Check(const engine::PipelineOptions& options) {
  CheckReport report;
  report.destination = options.destination;
  report.pipeline = options.pipeline;
  SourceCheck source;
  const Status looked = CheckSource(options, report, source);
  if (!looked) {
    report.findings.push_back(FindingFrom(looked.error(), Severity::kProblem));
    report.not_checked.emplace_back(
        "the rest of the source: server settings, tables, slot and publication as far as they are "
        "not listed");
    report.not_checked.emplace_back("whether the source's tables fit into the destination");
  }
  DestinationCheck destination =
      CheckDestination(options, source.system_identifier, source.schemas);
  std::move(destination.findings.begin(), destination.findings.end(),
            std::back_inserter(report.findings));
  std::move(destination.not_checked.begin(), destination.not_checked.end(),
            std::back_inserter(report.not_checked));
  report.bytes_free = destination.bytes_free;
  report.has_position = destination.state && destination.state->position;
  const bool is_file_read = destination.state || !destination.has_file;
  if (is_file_read) {
    const Status ours = CheckOurs(options, destination.state, source, report);
    if (!ours) report.findings.push_back(FindingFrom(ours.error(), Severity::kProblem));
    JudgeTables(report);
  } else if (source.replication) {
    report.not_checked.emplace_back(
        "whether slot and publication belong to what is in the destination file");
  }
  if (!report.has_position) {
    if (auto finding = JudgeSpace(report.bytes_estimated, report.bytes_free)) {
      report.findings.push_back(*std::move(finding));
    }
  }
  std::stable_sort(report.findings.begin(), report.findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  return report;
}

}  // namespace sluice::pipeline
