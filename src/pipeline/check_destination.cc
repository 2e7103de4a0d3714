// The destination's half of check.h. Nothing is made where the user's file is or will be: names are
// tried on a file of our own in the temporary folder, and what is there is read through SQL.
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "destinations/duckdb/duckdb_destination.h"
#include "pipeline/check.h"
#include "pipeline/copy_once.h"
#include "pipeline/destination_factory.h"
#include "pipeline/judgement.h"

namespace sluice::pipeline {
namespace {

namespace fs = std::filesystem;
using postgres::Severity;

constexpr Duration kCloseGrace = std::chrono::seconds(5);

/// A folder that goes with its owner.
class ScratchFolder {
 public:
  static Result<ScratchFolder> Make() {
    std::error_code error;
    fs::path base = fs::temp_directory_path(error);
    if (error) base = "/tmp";
    std::string name = (base / "sluice-check-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      const std::error_code why(errno, std::generic_category());
      return Error{.kind = ErrorKind::kConfig,
                   .message = "no folder can be made in " + base.string() + ": " + why.message(),
                   .code = "SLU-1035"};
    }
    return ScratchFolder(std::move(name));
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// As DuckDB folds identifiers: ASCII only.
std::string Folded(std::string_view schema, std::string_view table) {
  std::string out = std::string(schema) + '\n' + std::string(table);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

void AddProblem(const Error& error, const TableName& table, DestinationCheck& check) {
  check.findings.push_back(FindingFrom(error, Severity::kProblem));
  check.findings.back().table = table;
}

/// Can an empty destination of this kind take these names, all of them together?
Status CheckNames(const engine::PipelineOptions& options, const std::vector<SchemaPtr>& schemas,
                  DestinationCheck& check) {
  SLUICE_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::Make());
  engine::PipelineOptions scratch = options;
  scratch.destination = "duckdb:" + folder.path() + "/names.duckdb";
  SLUICE_ASSIGN_OR_RETURN(const std::unique_ptr<Destination> destination, MakeDestination(scratch));
  SLUICE_RETURN_IF_ERROR(destination->Open({.pipeline = options.pipeline}));
  for (const SchemaPtr& schema : schemas) {
    SLUICE_ASSIGN_OR_RETURN(const std::optional<Error> refusal,
                            destination->CheckTable(*schema, options.names.For(schema->name),
                                                    options.tables.For(schema->name).mode, true));
    if (refusal) AddProblem(*refusal, schema->name, check);
  }
  return destination->Close(Clock::now() + kCloseGrace);
}

struct Existing {
  TableName name;
  bool is_view = false;
};

Result<std::map<std::string, Existing>> ReadExisting(Destination& destination) {
  std::map<std::string, Existing> out;
  auto* file = dynamic_cast<duckdb::DuckDbDestination*>(&destination);
  if (file == nullptr) return out;
  SLUICE_ASSIGN_OR_RETURN(const std::unique_ptr<duckdb::SqlSession> session, file->Sql({}));
  SLUICE_RETURN_IF_ERROR(session->QueryText(
      "SELECT schema_name, table_name, 'table' FROM duckdb_tables() "
      "WHERE database_name = current_database() "
      "UNION ALL SELECT schema_name, view_name, 'view' FROM duckdb_views() "
      "WHERE database_name = current_database() AND NOT internal",
      [](const std::vector<duckdb::SqlColumn>&) { return Status{}; },
      [&](const duckdb::SqlTextRow& row) -> Status {
        const std::string_view schema = row[0].value_or("");
        const std::string_view table = row[1].value_or("");
        out[Folded(schema, table)] = {{std::string(schema), std::string(table)},
                                      row[2].value_or("") == "view"};
        return {};
      }));
  return out;
}

/// What the pipeline keeps of this table has the name.
bool IsOurs(const DeliveryState& state, const TableSchema& schema, const TableName& name) {
  for (const TableRecord& record : state.tables) {
    if (record.relation != schema.relation || !record.schema) continue;
    const bool has_name = (HasState(record.mode) && record.destination == name) ||
                          (HasLog(record.mode) && LogOf(record.destination) == name);
    return has_name && state.position.has_value();
  }
  return false;
}

/// The names that a table takes at the destination.
std::vector<TableName> NamesOf(const engine::PipelineOptions& options, const TableName& source) {
  const TableMode mode = options.tables.For(source).mode;
  const TableName name = options.names.For(source);
  std::vector<TableName> names;
  if (HasState(mode)) names.push_back(name);
  if (HasLog(mode)) names.push_back(LogOf(name));
  return names;
}

/// Tables and views that are in the way.
Status CheckExisting(const engine::PipelineOptions& options, Destination& destination,
                     const std::vector<SchemaPtr>& schemas, DestinationCheck& check) {
  SLUICE_ASSIGN_OR_RETURN(const auto existing, ReadExisting(destination));
  for (const SchemaPtr& schema : schemas) {
    for (const TableName& name : NamesOf(options, schema->name)) {
      const auto found = existing.find(Folded(name.schema, name.table));
      if (found == existing.end()) continue;
      const bool is_view = found->second.is_view;
      const bool may_use =
          options.existing != engine::Existing::kRefuse || IsOurs(*check.state, *schema, name);
      if (!is_view && may_use) continue;
      AddProblem(
          {.kind = ErrorKind::kSchemaConflict,
           .message = std::string(is_view ? "a view" : "a table that Sluice did not make") +
                      " is there already: " + ToString(found->second.name),
           .code = "SLU-5116",
           .advice = is_view ? "rename the view" : "--existing replace, or --existing adopt"},
          schema->name, check);
    }
  }
  return {};
}

/// The folder that a new file needs, and the room on its disk.
void CheckFolder(const std::string& file, bool exists, DestinationCheck& check) {
  const fs::path folder = fs::path(file).parent_path();
  std::error_code error;
  const auto add = [&](std::string code, std::string message, std::string advice) {
    check.findings.push_back({.severity = Severity::kProblem,
                              .code = std::move(code),
                              .message = std::move(message),
                              .advice = std::move(advice),
                              .sql = "",
                              .table = {}});
  };
  if (!fs::is_directory(folder, error)) {
    add("SLU-5003", "the folder of the destination does not exist: " + folder.string(),
        "make the folder, or name another");
    return;
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    add("SLU-5003", "the folder of the destination cannot be written: " + folder.string(),
        "a log is kept beside the file: give this user the right to write there");
  }
  if (exists && ::access(file.c_str(), W_OK) != 0) {
    add("SLU-5017", "the destination file cannot be written: " + file,
        "give this user the right to write it");
  }
  const fs::space_info space = fs::space(folder, error);
  if (!error) check.bytes_free = space.available;
}

/// Socket, lock and spill files go there; a folder that is not there is made by `run`.
void CheckStateFolder(const std::string& state_dir, DestinationCheck& check) {
  if (state_dir.empty()) return;
  std::error_code error;
  fs::path folder = fs::absolute(state_dir, error);
  const bool exists = fs::exists(folder, error);
  while (!exists && !fs::exists(folder, error) && folder.has_parent_path() &&
         folder != folder.parent_path()) {
    folder = folder.parent_path();
  }
  if (fs::is_directory(folder, error) && ::access(folder.c_str(), W_OK | X_OK) == 0) return;
  check.findings.push_back(
      {.severity = Severity::kProblem,
       .code = "SLU-1013",
       .message =
           "the state directory cannot be " + std::string(exists ? "used: " : "made: ") + state_dir,
       .advice = "choose another one with --state DIR, or run as the user who owns it",
       .sql = "",
       .table = {}});
}

Status CheckFile(const engine::PipelineOptions& options, std::uint64_t system_identifier,
                 const std::vector<SchemaPtr>& schemas, DestinationCheck& check) {
  SLUICE_ASSIGN_OR_RETURN(const std::unique_ptr<Destination> destination, MakeDestination(options));
  SLUICE_ASSIGN_OR_RETURN(check.state, destination->Open({.pipeline = options.pipeline,
                                                          .system_identifier = system_identifier,
                                                          .read_only = true}));
  if (!check.state->position && HoldsCopy(*check.state) &&
      options.existing == engine::Existing::kRefuse) {
    check.findings.push_back(FindingFrom(CopyIsThere(), Severity::kProblem));
  } else {
    SLUICE_RETURN_IF_ERROR(CheckExisting(options, *destination, schemas, check));
  }
  return destination->Close(Clock::now() + kCloseGrace);
}

}  // namespace

DestinationCheck CheckDestination(const engine::PipelineOptions& options,
                                  std::uint64_t system_identifier,
                                  const std::vector<SchemaPtr>& schemas) {
  DestinationCheck check;
  CheckStateFolder(options.state_dir, check);
  const std::string file = DestinationFile(options);
  if (file.empty()) {  // null:, memory: take everything
    check.has_file = HasState(options);
    if (!check.has_file) return check;
    if (const Status status = CheckFile(options, system_identifier, {}, check); !status) {
      check.findings.push_back(FindingFrom(status.error(), Severity::kProblem));
    }
    return check;
  }
  std::error_code ignored;
  const bool exists = fs::exists(file, ignored);
  check.has_file = exists;
  CheckFolder(file, exists, check);
  if (exists) {
    if (const Status status = CheckFile(options, system_identifier, schemas, check); !status) {
      check.findings.push_back(FindingFrom(status.error(), Severity::kProblem));
      check.not_checked.emplace_back("what is in the destination file");
    }
  }
  if (schemas.empty()) return check;
  if (const Status status = CheckNames(options, schemas, check); !status) {
    check.not_checked.push_back("the names of tables and columns: " + status.error().message);
  }
  return check;
}

}  // namespace sluice::pipeline
