/// \file
/// Everything that can be found wrong at the source before the first byte, with what fixes it. The
/// judgement is pure (FindProblems); reading is ReadPreflightInput().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sluice/result.h"

#include "postgres/catalog.h"
#include "postgres/connection.h"
#include "postgres/publication.h"
#include "postgres/server_facts.h"
#include "postgres/slot.h"
#include "postgres/standby.h"
#include "postgres/table_pattern.h"
#include "types/table_rules.h"

namespace sluice::postgres {

enum class Severity : std::uint8_t {
  kProblem,       ///< `run` does not start
  kWarning,       ///< it starts
  kSkippedTable,  ///< it starts without this table
};

struct Finding {
  Severity severity = Severity::kProblem;
  std::string code;     ///< SLU-20nn
  std::string message;  ///< what is wrong
  std::string advice;   ///< what to do, one line
  std::string sql;      ///< a statement that fixes it, for --sql; may be empty
  std::optional<TableName> table;
  /// Of a table that was named: a pipeline that has begun goes on without it.
  bool is_of_named = false;
};

struct PreflightRequest {
  TableSelection selection;
  /// Ours (is_publication_ours) or the user's.
  std::string publication;
  bool is_publication_ours = true;
  std::string slot;
  bool is_copy_only = false;  ///< `copy`: needs no slot, no publication, no REPLICATION
  TableSizes sizes = TableSizes::kExact;
  types::TableRules rules = {};
};

struct PreflightInput {
  ServerFacts facts;
  std::optional<StandbyFacts> standby;  ///< of a source in recovery, where it can be one
  std::vector<SourceTable> tables;
  std::optional<Publication> publication;
  std::vector<PublishedTable> published;
  std::optional<SlotRow> slot;
};

/// A table that will be replicated, or that was selected and will not.
struct PlannedTable {
  SourceTable table;
  bool is_skipped = false;
  std::string reason;  ///< "no identity"
  std::string advice;
  bool lacks_only_rights = false;  ///< skipped, and an administrator can change that
  bool is_append = false;          ///< published for INSERT only
  /// The code where changes of it are in no log, or not published: it cannot go on if it is live.
  std::string cut_off_by = {};
};

struct Preflight {
  std::vector<Finding> findings;
  std::vector<PlannedTable> tables;  ///< selected ones, by name
  bool has_problem() const;
};

Result<PreflightInput> ReadPreflightInput(Connection& connection, const PreflightRequest& request);
/// Slots are not judged: that takes what the destination remembers (replication/connect_checks.h).
Preflight FindProblems(const PreflightRequest& request, const PreflightInput& input);

/// What `run` and `copy` say of several problems: the first, and how many more there are.
/// Not SLU-2032: a walsender may be free by then, and connecting says it and tries again.
std::optional<Error> FirstProblem(const std::vector<Finding>& findings);

/// SLU-2048, a warning: of a mirror that is there already its tables may all be gone. A first run
/// and a copy make a problem of it.
Finding NothingToReplicate(const std::vector<PlannedTable>& tables);

/// Minor versions with a known defect in logical decoding: title and first good version, or
/// nullopt.
std::optional<std::string> KnownDefect(int server_version);

/// One script with every statement an administrator would run; comments say why. Where the role may
/// not make the publication, or not for every table, the script makes it, for `run --publication`.
std::string AdministratorScript(const PreflightRequest& request, const PreflightInput& input,
                                const Preflight& preflight);

}  // namespace sluice::postgres
