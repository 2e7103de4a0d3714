// AdministratorScript(): what `sluice check --sql` prints.
#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/preflight.h"
#include "postgres/quote.h"

namespace sluice::postgres {
namespace {

bool IsLineBreak(char c) {
  return c == '\n' || c == '\r';
}

/// For within a comment, which a line break in a name would end: behind it stands live SQL.
std::string OnOneLine(std::string text) {
  std::replace_if(text.begin(), text.end(), IsLineBreak, ' ');
  return text;
}

/// The same statement, every line of it a comment.
std::string CommentedOut(std::string_view sql) {
  std::string out = "-- ";
  for (const char c : sql) {
    out += c;
    if (IsLineBreak(c)) out += "-- ";
  }
  return out;
}

/// Tables that can be replicated once the rest of the script has run. One that is only appended to
/// never belongs into a publication that has its updates: they would fail.
std::vector<const SourceTable*> Publishable(const Preflight& preflight) {
  std::vector<const SourceTable*> out;
  for (const PlannedTable& planned : preflight.tables) {
    const bool is_possible = !planned.is_skipped || planned.lacks_only_rights;
    if (is_possible && !planned.is_append) out.push_back(&planned.table);
  }
  return out;
}

/// The role cannot make it, or not for all of them: only a table's owner may publish it.
bool MustMakePublication(const PreflightRequest& request, const PreflightInput& input,
                         const std::vector<const SourceTable*>& tables) {
  if (request.is_copy_only || !request.is_publication_ours || input.publication) return false;
  if (!input.facts.may_create_in_database) return true;
  return std::any_of(tables.begin(), tables.end(),
                     [](const SourceTable* table) { return !table->is_ours_to_alter; });
}

std::string PublicationStatement(const PreflightRequest& request,
                                 const std::vector<const SourceTable*>& tables) {
  const std::string name = QuoteIdentifier(request.publication);
  std::string out = "\n-- Role and tables being what they are, the publication is made here.\n";
  if (tables.empty()) {
    return out +
           "-- There is no table for it yet: correct what is said above, and print this again.\n";
  }
  out += "CREATE PUBLICATION " + name + " FOR TABLE";
  for (const SourceTable* table : tables) {
    out += (table == tables.front() ? "\n  ONLY " : ",\n  ONLY ") + QuoteTable(table->name);
  }
  return out + "\n  WITH (publish_via_partition_root = true);\n-- Then: sluice run --publication " +
         OnOneLine(request.publication) + " SOURCE DESTINATION\n";
}

std::string AppendNote(const Preflight& preflight) {
  std::string out;
  for (const PlannedTable& planned : preflight.tables) {
    if (!planned.is_append) continue;
    if (out.empty()) {
      out =
          "\n-- Left out: mode append takes publications that Sluice makes itself, as the owner "
          "of\n"
          "-- the tables and with CREATE on the database:\n";
    }
    out += "--   " + OnOneLine(QuoteTable(planned.table.name)) + '\n';
  }
  return out;
}

}  // namespace

std::string AdministratorScript(const PreflightRequest& request, const PreflightInput& input,
                                const Preflight& preflight) {
  std::string script = "-- For an administrator of database " +
                       OnOneLine(QuoteIdentifier(input.facts.database)) +
                       ".\n-- Read it first; what is commented out is a choice.\n";
  const std::vector<const SourceTable*> tables = Publishable(preflight);
  const bool makes_publication = MustMakePublication(request, input, tables);
  std::set<std::string> seen;
  for (const Finding& finding : preflight.findings) {
    if (finding.sql.empty() || !seen.insert(finding.sql).second) continue;
    if (makes_publication && finding.code == "SLU-2035") continue;  // no right that is not needed
    script += "\n-- " + finding.code + ": " + OnOneLine(finding.message) + '\n';
    // Writes the whole old row into the WAL at each update: the owner's choice, not ours.
    const bool is_choice = finding.code == "SLU-2039";
    script += (is_choice ? CommentedOut(finding.sql) : finding.sql) + '\n';
  }
  if (makes_publication) script += PublicationStatement(request, tables) + AppendNote(preflight);
  return script;
}

}  // namespace sluice::postgres
