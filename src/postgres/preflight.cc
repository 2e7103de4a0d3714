#include "postgres/preflight.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/backoff.h"
#include "postgres/partition_selection.h"
#include "postgres/quote.h"

namespace sluice::postgres {
namespace {

using Findings = std::vector<Finding>;

void Add(Findings& findings, Severity severity, std::string_view code, std::string message,
         std::string advice, std::string sql = "") {
  findings.push_back({.severity = severity,
                      .code = std::string(code),
                      .message = std::move(message),
                      .advice = std::move(advice),
                      .sql = std::move(sql),
                      .table = {}});
}

constexpr std::string_view kAfterRestart = ";  -- takes effect when the server is restarted";

/// Logical decoding on standbys came with it.
constexpr int kStandbyVersion = 160'000;

void CheckStandby(const PreflightInput& in, Findings& out) {
  if (!in.standby) {
    const bool is_old = in.facts.version_num < kStandbyVersion;
    Add(out, Severity::kProblem, "SLU-2047",
        is_old ? "the source is a standby, and PostgreSQL " + in.facts.version +
                     " cannot decode its log there"
               : "the source is a standby",
        is_old ? "use the primary as source"
               : "name its primary with --primary, or use the primary as source");
    return;
  }
  const StandbyFacts& standby = *in.standby;
  if (standby.unreachable) {
    Add(out, Severity::kProblem, standby.unreachable->code,
        "the standby's primary: " + standby.unreachable->message, standby.unreachable->advice);
    return;
  }
  if (standby.primary_wal_level != "logical") {
    Add(out, Severity::kProblem, "SLU-2030",
        "wal_level of the primary is " + standby.primary_wal_level,
        "set it to logical and restart the primary",
        "ALTER SYSTEM SET wal_level = logical" + std::string(kAfterRestart));
  }
  if (!standby.may_log_running) {
    Add(out, Severity::kProblem, "SLU-2053",
        "role " + in.facts.role + " may not call pg_log_standby_snapshot() on the primary",
        "without it no slot is made on a standby whose primary is idle",
        "GRANT EXECUTE ON FUNCTION pg_log_standby_snapshot() TO " + QuoteIdentifier(in.facts.role) +
            ";");
  }
  if (!standby.sends_feedback) {
    Add(out, Severity::kWarning, "SLU-2055", "hot_standby_feedback of the standby is off",
        "set it to on: the primary's vacuum invalidates the slot and cancels copies otherwise", "");
  }
}

void CheckServer(const PreflightRequest& request, const PreflightInput& in, Findings& out) {
  const ServerFacts& facts = in.facts;
  if (facts.encoding == "SQL_ASCII") {
    Add(out, Severity::kProblem, "SLU-2012", "the database's encoding is SQL_ASCII",
        "dump it and restore it into a database with ENCODING 'UTF8'");
  }
  if (request.is_copy_only) return;
  if (facts.is_in_recovery) CheckStandby(in, out);
  if (const auto defect = KnownDefect(facts.version_num)) {
    Add(out, Severity::kWarning, "SLU-2042", "PostgreSQL " + facts.version + ": " + *defect,
        "install the newest minor release");
  }
  if (facts.wal_level != "logical") {
    Add(out, Severity::kProblem, "SLU-2030", "wal_level is " + facts.wal_level,
        "set it to logical and restart the server",
        "ALTER SYSTEM SET wal_level = logical" + std::string(kAfterRestart));
  }
  if (!in.slot && facts.used_replication_slots >= facts.max_replication_slots) {
    Add(out, Severity::kProblem, "SLU-2031",
        "every replication slot is taken: max_replication_slots is " +
            std::to_string(facts.max_replication_slots),
        "drop one that nobody uses, or raise max_replication_slots and restart the server",
        "ALTER SYSTEM SET max_replication_slots = " +
            std::to_string(facts.max_replication_slots + 4) + std::string(kAfterRestart));
  }
  if (facts.used_wal_senders >= facts.max_wal_senders) {
    Add(out, Severity::kProblem, "SLU-2032",
        "every walsender is in use: max_wal_senders is " + std::to_string(facts.max_wal_senders),
        "raise max_wal_senders and restart the server",
        "ALTER SYSTEM SET max_wal_senders = " + std::to_string(facts.max_wal_senders + 4) +
            std::string(kAfterRestart));
  }
  const bool lists_plugins = !facts.output_plugin_libraries.empty();
  if (lists_plugins && facts.output_plugin_libraries.find("pgoutput") == std::string::npos) {
    Add(out, Severity::kProblem, "SLU-2050", "output_plugin_libraries does not allow pgoutput",
        "add pgoutput to it");
  }
  if (!facts.may_replicate) {
    Add(out, Severity::kProblem, "SLU-2033", "role " + facts.role + " may not replicate",
        "give it the REPLICATION attribute (RDS: GRANT rds_replication)",
        "ALTER ROLE " + QuoteIdentifier(facts.role) + " REPLICATION;");
  }
}

void CheckPublication(const PreflightRequest& request, const PreflightInput& in, Findings& out) {
  if (request.is_copy_only) return;
  if (!in.publication) {
    if (!request.is_publication_ours) {
      Add(out, Severity::kProblem, "SLU-2037",
          "publication " + request.publication + " does not exist",
          "create it first, or leave --publication out: Sluice makes one then");
    } else if (!in.facts.may_create_in_database) {
      Add(out, Severity::kProblem, "SLU-2035",
          "role " + in.facts.role + " may not create a publication",
          "let an administrator run what `sluice check --sql` prints, then start with "
          "--publication " +
              request.publication,
          "GRANT CREATE ON DATABASE " + QuoteIdentifier(in.facts.database) + " TO " +
              QuoteIdentifier(in.facts.role) + ";");
    }
    return;
  }
  if (!in.publication->publishes_everything()) {
    Add(out, Severity::kProblem, "SLU-2038",
        "publication " + in.publication->name +
            " does not publish all of insert, update, delete and truncate",
        "let it publish them all",
        "ALTER PUBLICATION " + QuoteIdentifier(in.publication->name) +
            " SET (publish = 'insert, update, delete, truncate');");
  }
  if (request.is_publication_ours && !in.publication->is_ours_to_alter) {
    Add(out, Severity::kProblem, "SLU-2036",
        "publication " + in.publication->name + " belongs to " + in.publication->owner,
        "use it as it is with --publication " + in.publication->name + ", or connect as its owner");
  }
}

std::string_view KindWord(const SourceTable& table) {
  if (table.persistence == 'u') return "unlogged table";
  if (table.persistence == 't') return "temporary table";
  switch (table.kind) {
    case TableKind::kView:
      return "view";
    case TableKind::kMaterializedView:
      return "materialized view";
    case TableKind::kForeign:
      return "foreign table";
    case TableKind::kPartition:
    case TableKind::kOrdinary:
    case TableKind::kPartitionedRoot:
      break;
  }
  return "";
}

std::string_view IdentityWord(IdentityState state) {
  switch (state) {
    case IdentityState::kMissing:
      return "no primary key";
    case IdentityState::kNothing:
      return "REPLICA IDENTITY NOTHING";
    case IdentityState::kBroken:
      return "its identity's index is gone, deferrable, partial or not valid";
    case IdentityState::kStored:
    case IdentityState::kVirtual:
      return "a generated column is in its identity, and is not published";
    case IdentityState::kUsable:
      break;
  }
  return "";
}

bool IsAppend(const PreflightRequest& request, const TableName& table) {
  return request.rules.For(table).mode == types::TableMode::kAppend;
}

/// What a table that is only appended to needs of the publications.
std::optional<Finding> JudgeAppend(const PreflightRequest& request, const SourceTable& table) {
  if (request.is_copy_only || !IsAppend(request, table.name)) return std::nullopt;
  const std::string name = ToString(table.name);
  const auto problem = [&](std::string message, std::string advice) {
    return Finding{.severity = Severity::kProblem,
                   .code = "SLU-2051",
                   .message = std::move(message),
                   .advice = std::move(advice),
                   .sql = {},
                   .table = table.name};
  };
  if (!request.is_publication_ours)
    return problem("mode append of " + name +
                       " takes a publication of Sluice's own; what yours "
                       "publishes is yours to say",
                   "leave --publication out, or leave mode append out");
  if (request.publication.size() > kCompanionNameMax)
    return problem("mode append of " + name + " takes a second publication, and " +
                       request.publication + "_append would be too long",
                   "give the pipeline a shorter name with --pipeline");
  return std::nullopt;
}

/// The pipeline was made without the publication for such tables, and makes it for this one.
bool TakesCompanion(const PreflightRequest& request, const PreflightInput& in,
                    const SourceTable& table) {
  return !request.is_copy_only && request.is_publication_ours && in.publication &&
         !in.publication->companion && IsAppend(request, table.name);
}

bool HasReservedColumn(const SourceTable& table) {
  return std::any_of(table.column_names.begin(), table.column_names.end(),
                     [](const std::string& name) { return name.starts_with("_sluice_"); });
}

Finding OfTable(const SourceTable& table, std::string_view code, std::string message,
                std::string advice, std::string sql = "") {
  return Finding{.severity = Severity::kSkippedTable,
                 .code = std::string(code),
                 .message = std::move(message),
                 .advice = std::move(advice),
                 .sql = std::move(sql),
                 .table = table.name};
}

/// Its rows would come with a copy, and none of their changes after it. Null: all are in the log.
const SourceTable* PartitionWithoutLog(const PreflightInput& in, const Ancestry& ancestry,
                                       const SourceTable& root) {
  for (const SourceTable& table : in.tables) {
    if (table.parent == RelationId{} || KindWord(table).empty()) continue;
    const std::vector<const SourceTable*> ancestors = ancestry.Of(table);
    if (std::any_of(ancestors.begin(), ancestors.end(),
                    [&](const SourceTable* at) { return at->relation == root.relation; }))
      return &table;
  }
  return nullptr;
}

// What one selected table is, that keeps it from being replicated; nullopt: nothing.
std::optional<Finding> JudgeShape(const PreflightRequest& request, const PreflightInput& in,
                                  const Ancestry& ancestry, const SourceTable& table) {
  const std::string name = ToString(table.name);
  const std::string quoted = QuoteTable(table.name);
  if (const std::string_view kind = KindWord(table); !kind.empty()) {
    const bool is_unlogged = table.persistence == 'u';
    return OfTable(table, "SLU-2041", name + " is a " + std::string(kind),
                   is_unlogged ? "ALTER TABLE " + quoted + " SET LOGGED" : "it is left out");
  }
  const SourceTable* leaf = table.is_partitioned && !request.is_copy_only
                                ? PartitionWithoutLog(in, ancestry, table)
                                : nullptr;
  if (leaf != nullptr) {
    const bool is_unlogged = leaf->persistence == 'u';
    return OfTable(table, "SLU-2041",
                   name + " has a partition that is " + (is_unlogged ? "an " : "a ") +
                       std::string(KindWord(*leaf)) + ": " + ToString(leaf->name),
                   is_unlogged ? "ALTER TABLE " + QuoteTable(leaf->name) + " SET LOGGED"
                               : "detach it, or name the other partitions");
  }
  if (table.column_names.empty()) return OfTable(table, "SLU-2045", name + " has no columns", "");
  if (HasReservedColumn(table)) {
    return OfTable(table, "SLU-2044", name + " has a column whose name begins with _sluice_",
                   "rename the column");
  }
  if (request.is_copy_only || table.identity_state == IdentityState::kUsable ||
      IsAppend(request, table.name))
    return std::nullopt;
  const bool is_stored = table.identity_state == IdentityState::kStored;
  if (is_stored && in.publication && in.publication->publishes_generated) return std::nullopt;
  if (is_stored || table.identity_state == IdentityState::kVirtual) {
    const std::string identity = "ALTER TABLE " + quoted + " REPLICA IDENTITY ";
    const bool has_way_out = table.has_primary_key && table.identity == ReplicaIdentity::kFull;
    return OfTable(
        table, "SLU-2039",
        name + " has no usable identity: " + std::string(IdentityWord(table.identity_state)),
        has_way_out ? identity + "DEFAULT"
                    : identity + "USING INDEX of a unique index without that column",
        has_way_out ? identity + "DEFAULT;" : "");
  }
  return OfTable(
      table, "SLU-2039",
      name + " has no usable identity: " + std::string(IdentityWord(table.identity_state)),
      "ALTER TABLE " + quoted + " ADD PRIMARY KEY (...), or ALTER TABLE " + quoted +
          " REPLICA IDENTITY FULL",
      "ALTER TABLE " + quoted + " REPLICA IDENTITY FULL;");
}

// What the role may not do with it, all of it: an administrator mends it in one go.
Findings JudgeRights(const PreflightRequest& request, const PreflightInput& in,
                     const SourceTable& table, bool is_published) {
  Findings out;
  const std::string name = ToString(table.name);
  const std::string quoted = QuoteTable(table.name);
  const std::string role = QuoteIdentifier(in.facts.role);
  if (!table.may_select) {
    out.push_back(OfTable(table, "SLU-2034", "role " + in.facts.role + " may not read " + name,
                          "GRANT SELECT ON " + quoted + " TO " + role,
                          "GRANT USAGE ON SCHEMA " + QuoteIdentifier(table.name.schema) + " TO " +
                              role + "; GRANT SELECT ON " + quoted + " TO " + role + ";"));
  }
  if (table.has_row_security) {
    out.push_back(OfTable(
        table, "SLU-2040", "row security of " + name + " hides rows from role " + in.facts.role,
        "ALTER ROLE " + role + " BYPASSRLS", "ALTER ROLE " + role + " BYPASSRLS;"));
  }
  if (request.is_copy_only) return out;
  if (TakesCompanion(request, in, table) && !in.facts.may_create_in_database) {
    out.push_back(OfTable(
        table, "SLU-2035",
        "mode append of " + name + " takes a second publication, which role " + in.facts.role +
            " may not create",
        "GRANT CREATE ON DATABASE " + QuoteIdentifier(in.facts.database) + " TO " + role,
        "GRANT CREATE ON DATABASE " + QuoteIdentifier(in.facts.database) + " TO " + role + ";"));
  }
  if (request.is_publication_ours && !is_published && !table.is_ours_to_alter) {
    out.push_back(OfTable(table, "SLU-2036", "role " + in.facts.role + " does not own " + name,
                          "let an administrator run what `sluice check --sql` prints, then start "
                          "with --publication " +
                              request.publication));
  }
  return out;
}

bool IsCandidate(const PreflightRequest& request, const SourceTable& table, bool is_published,
                 const Ancestry& ancestry) {
  if (table.name.schema == "sluice") return false;
  if (!request.selection.Selects(table.name)) return false;
  if (!request.is_publication_ours) return is_published;
  if (table.kind == TableKind::kPartition && ancestry.Covers(request.selection, table))
    return false;
  // Extensions' own tables only when they are named.
  return !table.is_in_extension || request.selection.Names(table.name);
}

void CheckNamed(const PreflightRequest& request, const PreflightInput& in, Findings& out) {
  for (const NamePattern& pattern : request.selection.tables) {
    const bool is_there =
        !pattern.is_exact() || std::any_of(in.tables.begin(), in.tables.end(),
                                           [&](const auto& t) { return pattern.Matches(t.name); });
    if (is_there) continue;
    Add(out, Severity::kProblem, "SLU-2049", "there is no table " + pattern.text(),
        "check schema and name; without quotes, names fold to lower case");
    out.back().is_of_named = true;
  }
}

struct Defect {
  int major;
  int first_bad;  // minor
  int first_good;
  std::string_view title;
};

constexpr std::string_view kMissingDefaults =
    "values of columns added with a default may be sent as NULL; fixed in ";
constexpr std::string_view kMidTransaction = "a slot may start inside a transaction; fixed in ";
constexpr std::string_view kRestartBack = "WAL that a slot needs may be removed; fixed in ";
constexpr std::string_view kDdlLoss =
    "changes may be lost when a publication or type is altered beside open transactions; fixed in ";
constexpr std::string_view kInvalidations =
    "decoding may need very much memory after DDL; fixed in ";
constexpr std::string_view kNewSlot =
    "a new slot may be invalidated by a checkpoint at that moment; fixed in ";

// Worst first within one major version.
constexpr Defect kDefects[] = {
    {14, 0, 11, kMissingDefaults}, {15, 0, 6, kMissingDefaults}, {16, 0, 2, kMissingDefaults},
    {14, 0, 13, kMidTransaction},  {15, 0, 8, kMidTransaction},  {16, 0, 4, kMidTransaction},
    {14, 0, 15, kRestartBack},     {15, 0, 10, kRestartBack},    {16, 0, 6, kRestartBack},
    {17, 0, 2, kRestartBack},      {14, 0, 18, kDdlLoss},        {15, 0, 13, kDdlLoss},
    {16, 0, 9, kDdlLoss},          {17, 0, 5, kDdlLoss},         {14, 18, 19, kInvalidations},
    {15, 13, 14, kInvalidations},  {16, 9, 10, kInvalidations},  {17, 5, 6, kInvalidations},
    {15, 14, 16, kNewSlot},        {17, 6, 8, kNewSlot},         {18, 0, 2, kNewSlot},
};

}  // namespace

Finding NothingToReplicate(const std::vector<PlannedTable>& tables) {
  Finding out{.severity = Severity::kWarning,
              .code = "SLU-2048",
              .message = "no table is selected that can be replicated",
              .advice = "check the patterns; Sluice takes tables that are there when it starts",
              .sql = "",
              .table = {}};
  if (tables.empty()) return out;
  out.message = tables.size() == 1 ? "the only table selected cannot be replicated: "
                                   : "none of the " + std::to_string(tables.size()) +
                                         " tables selected can be replicated; the first: ";
  out.message += tables.front().reason;
  out.advice = tables.front().advice;
  return out;
}

std::optional<Error> FirstProblem(const std::vector<Finding>& findings) {
  std::optional<Error> first;
  std::size_t more = 0;
  for (const Finding& finding : findings) {
    if (finding.severity != Severity::kProblem || finding.code == "SLU-2032") continue;
    if (first) {
      ++more;
      continue;
    }
    first = Error{.kind = ErrorKind::kConfig,
                  .message = finding.message,
                  .code = finding.code,
                  .advice = finding.advice};
  }
  if (more > 0) {
    first->advice += first->advice.empty() ? "" : "; ";
    first->advice += "`sluice check` lists " + std::to_string(more) +
                     (more == 1 ? " problem more" : " problems more");
  }
  return first;
}

bool Preflight::has_problem() const {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.severity == Severity::kProblem; });
}

std::optional<std::string> KnownDefect(int server_version) {
  const int major = server_version / 10000;
  const int minor = server_version % 10000;
  for (const Defect& defect : kDefects) {
    if (defect.major == major && minor >= defect.first_bad && minor < defect.first_good) {
      return std::string(defect.title) + std::to_string(major) + "." +
             std::to_string(defect.first_good);
    }
  }
  return std::nullopt;
}

Result<PreflightInput> ReadPreflightInput(Connection& connection, const PreflightRequest& request) {
  PreflightInput in;
  SLUICE_ASSIGN_OR_RETURN(in.facts, ReadServerFacts(connection));
  const bool may_be_standby = !request.is_copy_only && in.facts.version_num >= kStandbyVersion;
  if (in.facts.is_in_recovery && may_be_standby && connection.url().primary() != nullptr) {
    SLUICE_ASSIGN_OR_RETURN(in.standby, ReadStandbyFacts(connection));
    if (in.standby->unreachable && base::IsRetryable(in.standby->unreachable->kind))
      return *in.standby->unreachable;
    in.facts.may_create_in_database = in.standby->may_create_in_database;
  }
  SLUICE_ASSIGN_OR_RETURN(in.tables, ListTables(connection, request.sizes));
  if (!request.publication.empty()) {
    SLUICE_ASSIGN_OR_RETURN(in.publication, ReadPublication(connection, request.publication));
    SLUICE_ASSIGN_OR_RETURN(in.published, ReadPublishedTables(connection, request.publication));
  }
  if (!request.slot.empty()) {
    SLUICE_ASSIGN_OR_RETURN(in.slot, ReadSlot(connection, request.slot));
  }
  return in;
}

Preflight FindProblems(const PreflightRequest& request, const PreflightInput& input) {
  Preflight out;
  CheckServer(request, input, out.findings);
  CheckPublication(request, input, out.findings);
  CheckNamed(request, input, out.findings);
  std::set<RelationId> published;
  for (const PublishedTable& table : input.published) published.insert(table.relation);
  const Ancestry ancestry(input.tables);
  CheckPublishedPartitions(request, input, ancestry, out.findings);
  bool has_any = false;
  bool makes_companion = false;
  for (const SourceTable& table : input.tables) {
    const bool is_published = published.contains(table.relation);
    if (!IsCandidate(request, table, is_published, ancestry)) continue;
    Findings findings = JudgeRights(request, input, table, is_published);
    PlannedTable planned{.table = table, .is_skipped = false, .reason = {}, .advice = {}};
    planned.is_append = !request.is_copy_only && IsAppend(request, table.name);
    if (auto append = JudgeAppend(request, table)) out.findings.push_back(*std::move(append));
    planned.lacks_only_rights = !findings.empty();
    if (auto shape = JudgeShape(request, input, ancestry, table)) {
      // A view's rights are nobody's concern.
      if (shape->code != "SLU-2039") findings.clear();
      planned.lacks_only_rights = false;
      if (shape->code == "SLU-2041") planned.cut_off_by = shape->code;
      findings.insert(findings.begin(), *std::move(shape));
    }
    if (!findings.empty()) {
      planned.is_skipped = true;
      planned.reason = findings.front().message;
      planned.advice = findings.front().advice;
      const bool is_named = request.selection.Names(table.name);
      // Views are not worth a line each where nobody named them.
      const bool is_view =
          table.kind == TableKind::kView || table.kind == TableKind::kMaterializedView;
      if (is_view && !is_named) continue;
      for (Finding& finding : findings) {
        if (is_named) finding.severity = Severity::kProblem;
        finding.is_of_named = is_named;
        out.findings.push_back(std::move(finding));
      }
    }
    has_any |= !planned.is_skipped;
    makes_companion |= !planned.is_skipped && TakesCompanion(request, input, table);
    out.tables.push_back(std::move(planned));
  }
  if (makes_companion) {
    Add(out.findings, Severity::kWarning, "SLU-2057",
        "tables are appended to from now on, and publication " + CompanionOf(request.publication) +
            " is made for them",
        "nothing to do; their copies wait for the transactions that are open then");
  }
  // What is wrong with a table that was named, or with the publication, says it already.
  const bool is_said =
      std::any_of(out.findings.begin(), out.findings.end(), [](const Finding& finding) {
        return finding.severity == Severity::kProblem &&
               (finding.table || finding.code == "SLU-2049" || finding.code == "SLU-2037");
      });
  if (!has_any && !is_said) out.findings.push_back(NothingToReplicate(out.tables));
  return out;
}

}  // namespace sluice::postgres
