#include "destinations/duckdb/database.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/failpoint.h"
#include "destinations/duckdb/bookkeeping.h"
#include "destinations/duckdb/names.h"

namespace sluice::duckdb {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStorageVersion = "v1.2.0";

Error ConfigError(std::string code, std::string message, std::string advice = {}) {
  return {.kind = ErrorKind::kConfig,
          .message = std::move(message),
          .code = std::move(code),
          .advice = std::move(advice)};
}

// Files this process holds. State of the process, because so is the lock it stands for.
base::Mutex& HeldMutex() {
  static base::Mutex mutex;
  return mutex;
}
std::set<std::string>& HeldPaths() {
  static std::set<std::string> paths;
  return paths;
}

bool TakePath(const std::string& path) {
  const base::MutexLock lock(HeldMutex());
  return HeldPaths().insert(path).second;
}
void ReleasePath(const std::string& path) {
  const base::MutexLock lock(HeldMutex());
  HeldPaths().erase(path);
}

Status CheckFolder(const fs::path& folder, bool read_only) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return ConfigError("SLU-5003",
                       "the folder of the destination does not exist: " + folder.string(),
                       "make the folder, or name another");
  }
  if (!read_only && access(folder.c_str(), W_OK | X_OK) != 0) {
    return ConfigError("SLU-5003",
                       "the folder of the destination cannot be written: " + folder.string(),
                       "a log is kept beside the file: give this user the right to write there");
  }
  return {};
}

Status CheckFile(const std::string& path, bool read_only) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT)
      return ConfigError("SLU-5017", "the destination file cannot be read: " + path);
    if (read_only)
      return ConfigError("SLU-5011", "there is no such file: " + path, "`sluice run` makes it");
    return {};
  }
  if (!S_ISREG(info.st_mode))
    return ConfigError("SLU-5002", "not a file: " + path, "name another path");
  // Told from the first bytes, so that DuckDB is never asked to open something else.
  SLUICE_RETURN_IF_ERROR(FileHeader::Open(path));
  if (!read_only && access(path.c_str(), W_OK) != 0)
    return ConfigError("SLU-5017", "the destination file is read-only: " + path,
                       "give this user the right to write it");
  return {};
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string HolderOf(std::string_view message) {
  const std::size_t begin = message.find("(PID ");
  if (begin == std::string_view::npos) return "another process";
  const std::size_t end = message.find(')', begin);
  return "process " + std::string(message.substr(begin + 5, end - begin - 5));
}

Error AttachError(const std::string& path, std::string_view message) {
  Error error = MakeError("attach the file", message);
  if (Contains(message, "Could not set lock") || Contains(message, "Conflicting lock")) {
    error = ConfigError("SLU-5001",
                        "the destination file is held by " + HolderOf(message) + ": " + path,
                        "end that process, or ask a running sluice: sluice sql, sluice status");
  } else if (Contains(message, "Trying to read a database file with version number") ||
             Contains(message, "newer version of DuckDB") || Contains(message, "storage version")) {
    error = ConfigError("SLU-5010", "the file is in a format this DuckDB cannot read: " + path,
                        "write it again with STORAGE_VERSION 'v1.2.0'");
  } else if (Contains(message, "not a valid DuckDB database file")) {
    error = ConfigError("SLU-5002", "not a DuckDB file: " + path);
  } else if (Contains(message, "Permission denied") || Contains(message, "Read-only file system") ||
             Contains(message, "read-only mode")) {
    error = ConfigError("SLU-5017", "the destination file cannot be written: " + path,
                        "give this user the right to write it");
  } else if (Contains(message, "Corrupt database file") || Contains(message, "WAL file")) {
    error.kind = ErrorKind::kConfig;
    error.code = "SLU-5019";
    error.message = "the destination file is damaged: " + path;
    // What DuckDB says of a log that cannot be applied to the file.
    error.advice =
        Contains(message, "WAL file")
            ? "where the file is a backup that was put back, remove the newer log beside it, " +
                  path + ".wal; else restore both, or remove both and copy again"
            : "restore it, or remove it and copy again";
  }
  error.server_message = std::string(message);
  return error;
}

std::uint64_t SizeOf(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

/// The name of a new file, too, survives a power cut.
void SyncFolder(const std::string& path) {
  const int fd = open(fs::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

Result<std::string> AbsolutePath(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (path.empty() || error || absolute.filename().empty())
    return ConfigError("SLU-5003", "not a path of a file: " + path);
  // Links in the folder are followed, so that one file has one name here.
  const fs::path folder = fs::weakly_canonical(absolute.parent_path(), error);
  const fs::path resolved = fs::weakly_canonical(absolute, error);
  return error ? (folder / absolute.filename()).string() : resolved.string();
}

}  // namespace

Result<std::shared_ptr<Database>> Database::Open(const DuckDbOptions& options, bool read_only) {
  SLUICE_ASSIGN_OR_RETURN(std::string path, AbsolutePath(options.path));
  const std::shared_ptr<Database> database(new Database(std::move(path), read_only));
  const std::string& name = database->path_;
  SLUICE_RETURN_IF_ERROR(CheckFolder(fs::path(name).parent_path(), read_only));
  if (!TakePath(name)) {
    return ConfigError("SLU-5001", "the destination file is already open in this process: " + name);
  }
  database->holds_path_ = true;
  SLUICE_RETURN_IF_ERROR(CheckFile(name, read_only));
  SLUICE_RETURN_IF_ERROR(database->Start(options));
  if (access(name.c_str(), F_OK) != 0) SLUICE_RETURN_IF_ERROR(database->Create());
  database->remove_at_end_ = database->was_created_;  // until all has gone well
  const Status attached = database->Attach(options);
  // Another process has it by now, with its own in it.
  if (!attached && attached.error().code == "SLU-5001") database->remove_at_end_ = false;
  SLUICE_RETURN_IF_ERROR(attached);
  if (database->was_created_) SyncFolder(name);
  database->remove_at_end_ = false;
  return database;
}

Status Database::Start(const DuckDbOptions& options) {
  ConfigHandle config;
  if (duckdb_create_config(config.out()) == DuckDBError)
    return MakeError("make an instance", "no configuration");
  const std::string temp = options.temp_directory.empty() ? path_ + ".tmp" : options.temp_directory;
  const std::array<std::pair<const char*, std::string>, 8> settings = {{
      {"threads", std::to_string(options.threads)},
      {"memory_limit",
       std::to_string(std::max(options.memory_bytes_max, options.memory_bytes_open)) + "B"},
      {"temp_directory", temp},
      {"max_temp_directory_size", std::to_string(options.temp_bytes_max) + "B"},
      {"autoload_known_extensions", "false"},
      {"autoinstall_known_extensions", "false"},
      {"allow_community_extensions", "false"},
      {"custom_user_agent", "sluice"},
  }};
  for (const auto& [name, value] : settings) {
    if (duckdb_set_config(config.get(), name, value.c_str()) == DuckDBError)
      return MakeError(std::string("set ") + name, "refused");
  }
  char* message = nullptr;
  if (duckdb_open_ext(nullptr, handle_.out(), config.get(), &message) == DuckDBError) {
    Error error = MakeError("make an instance", message == nullptr ? "" : message);
    duckdb_free(message);
    return error;
  }
  SLUICE_ASSIGN_OR_RETURN(const Connection connection, Connect());
  return StagedRows::Register(connection.get(), staged_);
}

/// Made under a name of this process's own, and linked when it is whole: killed in between, it
/// leaves no file that cannot be opened; of two that make it one does.
Status Database::Create() {
  const std::string made = path_ + ".new." + std::to_string(getpid());
  std::error_code ignored;
  fs::remove(made, ignored);
  SLUICE_ASSIGN_OR_RETURN(Connection connection, Connect());
  const std::string sql = "ATTACH " + QuoteLiteral(made) + " AS " + QuoteIdentifier(kCatalog) +
                          " (STORAGE_VERSION " + QuoteLiteral(kStorageVersion) + ")";
  Status status = connection.Run(sql, "attach the file");
  if (!status) {
    status = AttachError(path_, status.error().server_message);
  } else {
    status = connection.Run("DETACH " + QuoteIdentifier(kCatalog), "make the file");
  }
  std::error_code error;
  if (status) fs::create_hard_link(made, path_, error);
  // Some file systems have no links.
  const bool is_there = error == std::errc::file_exists || fs::exists(path_, ignored);
  if (error && !is_there) fs::rename(made, path_, error);
  fs::remove(made, ignored);
  was_created_ = status && !error;
  if (error && !is_there)
    return ConfigError("SLU-5017",
                       "the destination file cannot be made: " + path_ + ": " + error.message());
  return status;
}

Status Database::Attach(const DuckDbOptions& options) {
  SLUICE_ASSIGN_OR_RETURN(header_, FileHeader::Open(path_));
  const bool has_log = wal_bytes() > 0;
  SLUICE_ASSIGN_OR_RETURN(Connection connection, Connect());
  std::string sql = "ATTACH " + QuoteLiteral(path_) + " AS " + QuoteIdentifier(kCatalog);
  if (read_only_) sql += " (READ_ONLY)";
  if (auto status = connection.Run(sql, "attach the file"); !status)
    return AttachError(path_, status.error().server_message);
  if (has_log) SLUICE_RETURN_IF_ERROR(CheckLog(connection));
  if (options.memory_bytes_open > options.memory_bytes_max) {
    if (!read_only_)
      SLUICE_RETURN_IF_ERROR(
          connection.Run("CHECKPOINT " + QuoteIdentifier(kCatalog), "checkpoint"));
    SLUICE_RETURN_IF_ERROR(connection.Run(
        "SET GLOBAL memory_limit = '" + std::to_string(options.memory_bytes_max) + "B'",
        "settings"));
  }
  // Checkpoints are ours to time. Then the doors are shut, for `sluice sql` runs in here.
  return connection.Run(
      "SET GLOBAL wal_autocheckpoint = '1000TB';"
      "SET GLOBAL auto_checkpoint_skip_wal_threshold = 9223372036854775807;"
      // Runs are told apart by `=`, which would write -0.0 after 0.0 as 0.0.
      "SET GLOBAL disabled_compression_methods = 'rle';"
      "SET GLOBAL TimeZone = 'UTC';"
      "SET GLOBAL enable_external_access = false;"
      "SET GLOBAL lock_configuration = true",
      "settings");
}

/// DuckDB applies whatever log lies beside the file. Until a checkpoint that is so in memory only.
Status Database::CheckLog(Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(const std::uint64_t continued, ReadCheckpoints(connection));
  const std::uint64_t checkpoints = header_.checkpoints();
  if (continued <= checkpoints) return {};
  SkipCheckpointAtEnd();
  return ConfigError(
      "SLU-5020",
      "the log beside the destination file is that of a newer one: " + wal_path() +
          " continues checkpoint " + std::to_string(continued) + ", and the file has had " +
          std::to_string(checkpoints),
      "where the file is a backup that was put back, remove the log and start again");
}

Database::~Database() {
  handle_.Reset();
  if (remove_at_end_) {
    std::error_code ignored;
    fs::remove(path_, ignored);
    fs::remove(wal_path(), ignored);
  }
  if (holds_path_) ReleasePath(path_);
}

Result<Connection> Database::Connect() {
  ConnectionHandle connection;
  if (duckdb_connect(handle_.get(), connection.out()) == DuckDBError)
    return MakeError("connect", "refused");
  return Connection(std::move(connection), staged_);
}

Database::Lease::Lease(std::shared_ptr<Database> database, Connection connection)
    : database_(std::move(database)), connection_(std::move(connection)) {
  const base::MutexLock lock(database_->mutex_);
  database_->leases_.insert(this);
}

Database::Lease::~Lease() {
  const base::MutexLock lock(database_->mutex_);
  database_->leases_.erase(this);
}

Result<std::unique_ptr<Database::Lease>> Database::NewLease() {
  SLUICE_ASSIGN_OR_RETURN(Connection connection, Connect());
  return std::make_unique<Lease>(shared_from_this(), std::move(connection));
}

Status Database::Checkpoint(Connection& connection) {
  SLUICE_FAILPOINT("duckdb.checkpoint");
  Status status = connection.Run("CHECKPOINT " + QuoteIdentifier(kCatalog), "checkpoint");
  SLUICE_FAILPOINT("duckdb.checkpointed");
  return status;
}

std::uint64_t Database::wal_bytes() const {
  return SizeOf(wal_path());
}
std::uint64_t Database::file_bytes() const {
  return SizeOf(path_);
}

void Database::InterruptLeases() {
  const base::MutexLock lock(mutex_);
  for (Lease* lease : leases_) lease->connection().Interrupt();
}

bool Database::WaitForLeases(Clock::time_point deadline) {
  // Ends are rare and waited for once in a life: looking every few milliseconds is enough.
  constexpr auto kPause = std::chrono::milliseconds(5);
  constexpr auto kGrace = std::chrono::seconds(1);
  const Clock::time_point last = std::max(deadline, Clock::now()) + kGrace;
  for (;;) {
    {
      const base::MutexLock lock(mutex_);
      if (leases_.empty()) return true;
      const Clock::time_point now = Clock::now();
      if (now >= last) return false;
      if (now >= deadline) {
        for (Lease* lease : leases_) lease->connection().Interrupt();
      }
    }
    std::this_thread::sleep_for(kPause);
  }
}

void Database::SkipCheckpointAtEnd() {
  auto connection = Connect();
  if (!connection) return;
  (void)connection->Run("PRAGMA disable_checkpoint_on_shutdown", "settings");
}

}  // namespace sluice::duckdb
