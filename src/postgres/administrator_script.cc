// AdministratorScript(): what `sluice check --sql` prints.
#include <set>

#include "postgres/preflight.h"
#include "postgres/quote.h"

namespace sluice::postgres {

std::string AdministratorScript(const PreflightRequest& request, const PreflightInput& input,
                                const Preflight& preflight) {
  std::string script = "-- For an administrator of database " +
                       QuoteIdentifier(input.facts.database) +
                       ".\n-- Read it first; what is commented out is a choice.\n";
  std::set<std::string> seen;
  for (const Finding& finding : preflight.findings) {
    if (finding.sql.empty() || !seen.insert(finding.sql).second) continue;
    script += "\n-- " + finding.code + ": ";
    // A name may hold a line break, which would end the comment.
    for (const char c : finding.message) script += c == '\n' || c == '\r' ? ' ' : c;
    script += '\n';
    // Writes the whole old row into the WAL at each update: the owner's choice, not ours.
    const bool is_choice = finding.code == "SLU-2039";
    if (is_choice) {
      for (const char c : "-- " + finding.sql) {
        script += c;
        if (c == '\n') script += "-- ";
      }
    } else {
      script += finding.sql;
    }
    script += '\n';
  }
  const bool is_publication_wanted =
      !request.is_copy_only && request.is_publication_ours && !input.publication;
  if (!is_publication_wanted) return script;
  std::string tables;
  for (const PlannedTable& planned : preflight.tables) {
    if (planned.is_skipped) continue;
    tables += (tables.empty() ? "\n  ONLY " : ",\n  ONLY ") + QuoteTable(planned.table.name);
  }
  if (tables.empty()) return script;
  script +=
      "\n-- Needed only where the role may not create it itself; then run with --publication.\n"
      "-- CREATE PUBLICATION " +
      QuoteIdentifier(request.publication) + " FOR TABLE";
  for (const char c : tables) {
    script += c;
    if (c == '\n') script += "-- ";
  }
  return script + "\n--   WITH (publish_via_partition_root = true);\n";
}

}  // namespace sluice::postgres
