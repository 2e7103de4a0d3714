#include "destinations/duckdb/testing/replay_oracle.h"

#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <filesystem>
#include <vector>

#include "destinations/duckdb/copied_ranges.h"
#include "destinations/duckdb/names.h"

extern char** environ;

namespace sluice::duckdb::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kFileBytesMax = 64U << 20;

Error Broken(std::string message) {
  return {.kind = ErrorKind::kInternal, .message = "replay oracle: " + std::move(message)};
}

Status CopyFile(std::string from, std::string to) {
  std::string program = "cp";
  std::array<char*, 4> arguments = {program.data(), from.data(), to.data(), nullptr};
  pid_t child = 0;
  if (posix_spawnp(&child, program.c_str(), nullptr, nullptr, arguments.data(), environ) != 0)
    return Broken("cannot run cp");
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) return Broken("cp failed: " + from);
  return {};
}

Status ForEachRow(SqlSession& session, const std::string& sql,
                  const std::function<Status(const SqlTextRow&)>& row) {
  return session.QueryText(sql, [](const std::vector<SqlColumn>&) { return Status(); }, row);
}

}  // namespace

Result<ReplayOracle::Content> ReplayOracle::Read(DuckDbDestination& destination) {
  SLUICE_ASSIGN_OR_RETURN(const std::unique_ptr<DestinationReader> reader,
                          destination.OpenReader());
  SLUICE_ASSIGN_OR_RETURN(const DeliveryState state, reader->State());
  std::map<std::string, std::string> landed;
  for (const TableRecord& table : state.tables) {
    if (table.ranges) landed[RangesName(table.relation)] = LandedSql(*table.ranges);
  }
  SLUICE_ASSIGN_OR_RETURN(const auto session, destination.Sql({}));
  std::vector<std::pair<std::string, std::string>> tables;
  SLUICE_RETURN_IF_ERROR(
      ForEachRow(*session,
                 "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = " +
                     QuoteLiteral(kCatalog) +
                     " AND NOT starts_with(table_name, '_sluice_copy_')"
                     " AND (schema_name, table_name) NOT IN (('sluice', '_units'),"
                     " ('sluice', '_copied_misfits')) ORDER BY ALL",
                 [&](const SqlTextRow& row) -> Status {
                   tables.emplace_back(*row[0], *row[1]);
                   return {};
                 }));
  Content content;
  for (const auto& [schema, table] : tables) {
    const bool has_ranges = table.starts_with(kRangesPrefix);
    if (has_ranges && !landed.contains(table)) continue;
    // A copy of the destination takes the next epoch when it is opened for reading only: not.
    SLUICE_RETURN_IF_ERROR(ForEachRow(
        *session,
        "SELECT count(*) || ' rows, ' || coalesce(sum(hash(CAST(t AS VARCHAR))::HUGEINT), 0) || "
        "' ' || coalesce(bit_xor(hash(CAST(t AS VARCHAR))), 0) || ' ' || "
        "(SELECT string_agg(column_name || ' ' || data_type, ',' ORDER BY column_index) FROM "
        "duckdb_columns() WHERE database_name = " +
            QuoteLiteral(kCatalog) + " AND schema_name = " + QuoteLiteral(schema) +
            " AND table_name = " + QuoteLiteral(table) + ") FROM " +
            QualifiedName({schema, table}) + " AS t" +
            (has_ranges ? " WHERE " + landed[table] : ""),
        [&](const SqlTextRow& row) -> Status {
          content[schema + "." + table] = std::string(row[0].value_or(""));
          return {};
        }));
  }
  return content;
}

Status ReplayOracle::Compare(const std::string& folder) {
  const std::string copy = folder + "/copy.duckdb";
  if (fs::exists(path_ + ".wal")) SLUICE_RETURN_IF_ERROR(CopyFile(path_ + ".wal", copy + ".wal"));
  SLUICE_RETURN_IF_ERROR(CopyFile(path_, copy));
  const auto replayed = MakeDuckDbDestination({.path = copy, .threads = 1});
  auto opened = replayed->Open({.read_only = true});
  if (!opened) return std::move(opened).error().At("replay oracle");
  SLUICE_ASSIGN_OR_RETURN(const Content want, Read(*destination_));
  SLUICE_ASSIGN_OR_RETURN(const Content got, Read(*replayed));
  SLUICE_RETURN_IF_ERROR(replayed->Close(Clock::now()));
  for (const auto& [table, content] : want) {
    const auto found = got.find(table);
    if (found == got.end()) return Broken("table " + table + " is gone after a replay");
    if (found->second != content)
      return Broken("table " + table + " is " + found->second + " after a replay, was " + content);
  }
  if (got.size() != want.size()) return Broken("a replay has a table too many");
  return {};
}

Status ReplayOracle::Check() {
  std::error_code error;
  if (destination_ == nullptr || fs::file_size(path_, error) > kFileBytesMax || error) return {};
  std::string folder = (fs::temp_directory_path(error) / "sluice-replay-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return Broken("cannot make a folder");
  Status status = Compare(folder);
  fs::remove_all(folder, error);
  ++checks_;
  return status;
}

}  // namespace sluice::duckdb::testing
