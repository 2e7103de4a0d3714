#include "testing/scratch_postgres.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "testing/sql_session.h"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kInitdbTimeout(60);
constexpr std::chrono::seconds kStartTimeout(60);
constexpr std::chrono::seconds kStopTimeout(60);
constexpr int kStartAttempts = 5;  // another process may take the free port first

Error SystemError(const std::string& what, const std::error_code& code) {
  return {.kind = ErrorKind::kInternal, .message = what + ": " + code.message()};
}

std::string CacheFolder() {
  const char* cache = std::getenv("SLUICE_CACHE");  // NOLINT(concurrency-mt-unsafe): never set here
  return cache != nullptr && *cache != '\0' ? cache : SLUICE_DEFAULT_CACHE;
}

// "17.10" after "17.9": by number, not by letter.
std::vector<int> VersionNumbers(std::string_view text) {
  std::vector<int> numbers(1, 0);
  for (const char c : text) {
    if (c == '.') {
      numbers.push_back(0);
    } else if (c >= '0' && c <= '9') {
      numbers.back() = numbers.back() * 10 + (c - '0');
    }
  }
  return numbers;
}

Status GiveToNobody(const fs::path& root) {
  if (geteuid() != 0) return {};
  const passwd* nobody = getpwnam("nobody");  // NOLINT(concurrency-mt-unsafe)
  if (nobody == nullptr) {
    return Error{.kind = ErrorKind::kConfig, .message = "there is no user named nobody"};
  }
  const auto give = [&](const fs::path& path) {
    return lchown(path.c_str(), nobody->pw_uid, nobody->pw_gid) == 0;
  };
  bool ok = give(root);
  std::error_code code;
  for (fs::recursive_directory_iterator it(root, code), end; ok && !code && it != end;
       it.increment(code)) {
    ok = give(it->path());
  }
  if (!ok || code) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "cannot change owner in " + root.string()};
  }
  return {};
}

Result<std::string> MakeFolder() {
  std::error_code code;
  std::string pattern = (fs::temp_directory_path(code) / "sluice-pg-XXXXXX").string();
  if (code || mkdtemp(pattern.data()) == nullptr) {
    return Error{.kind = ErrorKind::kInternal, .message = "cannot make a temporary folder"};
  }
  return pattern;
}

Result<int> FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  const bool ok = fd >= 0 && bind(fd, raw, size) == 0 && getsockname(fd, raw, &size) == 0;
  if (fd >= 0) close(fd);
  if (!ok) return Error{.kind = ErrorKind::kInternal, .message = "no free port"};
  return static_cast<int>(ntohs(address.sin_port));
}

// Held while one process makes a template that others want too.
class FileLock {
 public:
  explicit FileLock(const fs::path& path)
      : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ >= 0) flock(fd_, LOCK_EX);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock() {
    if (fd_ >= 0) close(fd_);
  }

 private:
  int fd_;
};

Status RunInitdb(const std::string& home, const std::string& data) {
  const std::string log = data + ".initdb.log";
  SLUICE_ASSIGN_OR_RETURN(
      const ProcessExit exit,
      RunToEnd({.arguments = {home + "/bin/initdb", "-D", data, "-U", "postgres", "-A", "trust",
                              "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"},
                .stdout_path = log,
                .stderr_path = log,
                .working_directory = "/",
                .as_nobody_if_root = true},
               kInitdbTimeout));
  if (exit.code == 0) return {};
  return Error{.kind = ErrorKind::kInternal,
               .message = "initdb failed",
               .server_message = LastLines(ReadWholeFile(log), 20)};
}

// A data folder made once per version and build folder. Made in a temporary folder and copied in,
// because `nobody` may not be able to reach the build folder.
Result<fs::path> TemplateFor(const std::string& home) {
  const fs::path templates = SLUICE_TEMPLATE_DIR;
  const fs::path made = templates / fs::path(home).parent_path().filename();
  std::error_code code;
  fs::create_directories(templates, code);
  const FileLock lock(made.string() + ".lock");
  if (fs::exists(made / "PG_VERSION", code)) return made;
  SLUICE_ASSIGN_OR_RETURN(const std::string folder, MakeFolder());
  Status status = GiveToNobody(folder);
  if (status) status = RunInitdb(home, folder + "/data");
  const fs::path half_made = made.string() + ".new";
  fs::remove_all(half_made, code);
  if (status) {
    fs::copy(folder + "/data", half_made, fs::copy_options::recursive, code);
    if (!code) fs::rename(half_made, made, code);
    if (code) status = SystemError("cannot keep the template " + made.string(), code);
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  if (!status) return std::move(status).error();
  return made;
}

}  // namespace

Result<std::string> FindPostgres(const std::string& version) {
  std::optional<fs::path> best;
  std::error_code code;
  const std::string prefix = "postgres-" + version;
  for (const auto& entry : fs::directory_iterator(CacheFolder(), code)) {
    const std::string name = entry.path().filename().string();
    const bool fits = name == prefix || name.starts_with(prefix + ".");
    if (!fits || !fs::exists(entry.path() / "native/bin/postgres", code)) continue;
    if (!best || VersionNumbers(best->filename().string()) < VersionNumbers(name)) {
      best = entry.path();
    }
  }
  if (best) return (*best / "native").string();
  return Error{.kind = ErrorKind::kConfig,
               .message = "no PostgreSQL " + version + " in " + CacheFolder(),
               .advice = "run: scripts/setup test"};
}

Result<ScratchPostgres> ScratchPostgres::Start(ScratchPostgresOptions options) {
  ScratchPostgres server;
  SLUICE_ASSIGN_OR_RETURN(server.home_, FindPostgres(options.version));
  server.options_ = std::move(options);
  SLUICE_RETURN_IF_ERROR(server.Prepare());
  for (int attempt = 1;; ++attempt) {
    SLUICE_ASSIGN_OR_RETURN(server.port_, FreePort());
    Status started = server.Launch();
    if (started) started = server.WaitReady();
    if (started) return server;
    if (attempt == kStartAttempts) return std::move(started).error();
    server.Kill();
  }
}

ScratchPostgres::ScratchPostgres(ScratchPostgres&& other) noexcept
    : options_(std::move(other.options_)),
      home_(std::move(other.home_)),
      folder_(std::exchange(other.folder_, {})),
      port_(other.port_),
      postmaster_(std::move(other.postmaster_)),
      standby_port_(other.standby_port_),
      standby_(std::move(other.standby_)) {
  other.postmaster_.clear();
  other.standby_.clear();
}

ScratchPostgres::~ScratchPostgres() {
  if (folder_.empty()) return;
  if (!Stop(StopMode::kImmediate)) Kill();
  standby_.clear();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Status ScratchPostgres::Prepare() {
  SLUICE_ASSIGN_OR_RETURN(const fs::path made, TemplateFor(home_));
  SLUICE_ASSIGN_OR_RETURN(folder_, MakeFolder());
  std::error_code code;
  fs::copy(made, folder_ + "/data", fs::copy_options::recursive, code);
  if (code) return SystemError("cannot copy the template", code);
  {
    std::ofstream conf(folder_ + "/data/postgresql.conf", std::ios::app);
    conf << "\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '" << folder_
         << "'\nfsync = off\nfull_page_writes = off\nwal_level = logical\n"
            "max_wal_senders = 40\nmax_replication_slots = 40\nmax_connections = 120\n"
            "max_prepared_transactions = 20\nshared_buffers = 64MB\nmax_wal_size = 2GB\n"
            "log_line_prefix = '%m [%p] %q%a '\nlog_min_duration_statement = -1\n"
            "timezone = 'UTC'\nlog_timezone = 'UTC'\n";
    for (const auto& [name, value] : options_.settings) {
      conf << name << " = '" << value << "'\n";
    }
  }
  return GiveToNobody(folder_);
}

Status ScratchPostgres::Launch() {
  postmaster_.clear();
  SLUICE_ASSIGN_OR_RETURN(Process process, LaunchOn(folder_ + "/data", port_));
  postmaster_.push_back(std::move(process));
  return {};
}

// SIGQUIT: when the test is killed the server stops at once, with its children.
Result<Process> ScratchPostgres::LaunchOn(const std::string& data, int port) {
  return Process::Start(
      {.arguments = {home_ + "/bin/postgres", "-D", data, "-p", std::to_string(port)},
       .stdout_path = folder_ + "/log",
       .stderr_path = folder_ + "/log",
       .working_directory = "/",
       .as_nobody_if_root = true,
       .parent_death_signal = SIGQUIT});
}

Status ScratchPostgres::WaitReady() {
  const Clock::time_point deadline = Clock::now() + kStartTimeout;
  while (true) {
    if (SqlSession::Open(Url())) return {};
    if (postmaster_.empty() || !postmaster_[0].IsRunning() || Clock::now() >= deadline) {
      return Error{.kind = ErrorKind::kConnection,
                   .message = "the scratch server did not start",
                   .server_message = LastLines(Log(), 20)};
    }
    PollPause();
  }
}

std::string ScratchPostgres::Url(const std::string& database) const {
  return "postgres://postgres@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string ScratchPostgres::Log() const {
  return ReadWholeFile(folder_ + "/log");
}

Result<std::string> ScratchPostgres::CreateDatabase(const std::string& name) {
  SLUICE_RETURN_IF_ERROR(DropDatabase(name));
  SLUICE_ASSIGN_OR_RETURN(SqlSession session, SqlSession::Open(Url()));
  SLUICE_RETURN_IF_ERROR(session.Exec("CREATE DATABASE \"" + name + "\""));
  return Url(name);
}

Status ScratchPostgres::DropDatabase(const std::string& name) {
  SLUICE_ASSIGN_OR_RETURN(SqlSession session, SqlSession::Open(Url()));
  const std::string of_it = " WHERE database = '" + name + "'";
  SLUICE_RETURN_IF_ERROR(
      session.Exec("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots" + of_it +
                   " AND active_pid IS NOT NULL"));
  SLUICE_RETURN_IF_ERROR(
      session.WaitForValue("SELECT count(*) FROM pg_replication_slots" + of_it + " AND active", "0",
                           std::chrono::seconds(10)));
  SLUICE_RETURN_IF_ERROR(
      session.Exec("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots" + of_it));
  return session.Exec("DROP DATABASE IF EXISTS \"" + name + "\" WITH (FORCE)");
}

Status ScratchPostgres::Stop(StopMode mode) {
  if (postmaster_.empty()) return {};
  postmaster_[0].Signal(mode == StopMode::kFast ? SIGINT : SIGQUIT);
  if (!postmaster_[0].WaitExit(kStopTimeout)) {
    return Error{.kind = ErrorKind::kTimeout,
                 .message = "the scratch server did not stop",
                 .server_message = LastLines(Log(), 20)};
  }
  postmaster_.clear();
  return {};
}

void ScratchPostgres::Kill() {
  postmaster_.clear();
}

Status ScratchPostgres::StartAgain() {
  // After a kill the old children may still hold the shared memory for a moment.
  const Clock::time_point deadline = Clock::now() + kStartTimeout;
  while (true) {
    SLUICE_RETURN_IF_ERROR(Launch());
    Status ready = WaitReady();
    if (ready || Clock::now() >= deadline) return ready;
    PollPause();
  }
}

Status ScratchPostgres::Restart(StopMode mode) {
  SLUICE_RETURN_IF_ERROR(Stop(mode));
  return StartAgain();
}

Status ScratchPostgres::CopyData(const std::string& from, const std::string& to) {
  std::error_code code;
  fs::remove_all(to, code);
  fs::copy(from, to, fs::copy_options::recursive, code);
  if (code) return SystemError("cannot copy " + from, code);
  return GiveToNobody(to);
}

Status ScratchPostgres::SaveData() {
  SLUICE_RETURN_IF_ERROR(Stop(StopMode::kFast));
  SLUICE_RETURN_IF_ERROR(CopyData(folder_ + "/data", folder_ + "/saved"));
  return StartAgain();
}

Status ScratchPostgres::Promote(const std::string& url) {
  const Clock::time_point deadline = Clock::now() + kStartTimeout;
  while (true) {
    auto session = SqlSession::Open(url);
    if (session) {
      SLUICE_RETURN_IF_ERROR(session->Exec("SELECT pg_promote(true, 60)"));
      return session->WaitForValue("SELECT pg_is_in_recovery()", "f", kStartTimeout);
    }
    if (Clock::now() >= deadline) return session.error();
    PollPause();
  }
}

Status ScratchPostgres::PutBackData(bool on_new_timeline) {
  SLUICE_RETURN_IF_ERROR(Stop(StopMode::kImmediate));
  SLUICE_RETURN_IF_ERROR(CopyData(folder_ + "/saved", folder_ + "/data"));
  if (!on_new_timeline) return StartAgain();
  std::ofstream(folder_ + "/data/standby.signal").close();
  SLUICE_RETURN_IF_ERROR(GiveToNobody(folder_ + "/data"));
  SLUICE_RETURN_IF_ERROR(StartAgain());
  return Promote(Url());
}

Status ScratchPostgres::StartStandby(
    const std::vector<std::pair<std::string, std::string>>& settings) {
  {
    SLUICE_ASSIGN_OR_RETURN(SqlSession session, SqlSession::Open(Url()));
    SLUICE_RETURN_IF_ERROR(
        session.Exec("SELECT pg_create_physical_replication_slot('standby', true)"));
  }
  const std::string data = folder_ + "/standby";
  SLUICE_RETURN_IF_ERROR(Stop(StopMode::kFast));
  SLUICE_RETURN_IF_ERROR(CopyData(folder_ + "/data", data));
  std::error_code code;
  // Slots are no part of a base backup.
  for (const auto& slot : fs::directory_iterator(data + "/pg_replslot", code))
    fs::remove_all(slot.path(), code);
  {
    std::ofstream conf(data + "/postgresql.conf", std::ios::app);
    conf << "hot_standby_feedback = on\nprimary_slot_name = 'standby'\n"
         << "primary_conninfo = 'host=127.0.0.1 port=" << port_
         << " user=postgres dbname=postgres'\n";
    for (const auto& [name, value] : settings) conf << name << " = '" << value << "'\n";
  }
  std::ofstream(data + "/standby.signal").close();
  SLUICE_RETURN_IF_ERROR(GiveToNobody(data));
  SLUICE_RETURN_IF_ERROR(StartAgain());
  SLUICE_ASSIGN_OR_RETURN(standby_port_, FreePort());
  SLUICE_ASSIGN_OR_RETURN(Process process, LaunchOn(data, standby_port_));
  standby_.push_back(std::move(process));
  SLUICE_ASSIGN_OR_RETURN(SqlSession session, SqlSession::Open(Url()));
  return session.WaitForValue("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'",
                              "1", kStartTimeout);
}

Status ScratchPostgres::RestartStandby() {
  standby_[0].Signal(SIGINT);
  if (!standby_[0].WaitExit(kStopTimeout))
    return Error{.kind = ErrorKind::kTimeout, .message = "the standby did not stop"};
  standby_.clear();
  SLUICE_ASSIGN_OR_RETURN(Process process, LaunchOn(folder_ + "/standby", standby_port_));
  standby_.push_back(std::move(process));
  SLUICE_ASSIGN_OR_RETURN(SqlSession session, SqlSession::Open(Url()));
  return session.WaitForValue("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'",
                              "1", kStartTimeout);
}

std::string ScratchPostgres::StandbyUrl(const std::string& database) const {
  return "postgres://postgres@127.0.0.1:" + std::to_string(standby_port_) + "/" + database;
}

Status ScratchPostgres::CutStandby() {
  SLUICE_ASSIGN_OR_RETURN(SqlSession session, SqlSession::Open(StandbyUrl()));
  SLUICE_RETURN_IF_ERROR(session.Exec("ALTER SYSTEM SET primary_conninfo = ''"));
  SLUICE_RETURN_IF_ERROR(session.Exec("SELECT pg_reload_conf()"));
  return session.WaitForValue("SELECT count(*) FROM pg_stat_wal_receiver", "0", kStartTimeout);
}

Status ScratchPostgres::FailOver() {
  Kill();
  SLUICE_RETURN_IF_ERROR(Promote(StandbyUrl()));
  standby_[0].Signal(SIGINT);
  if (!standby_[0].WaitExit(kStopTimeout))
    return Error{.kind = ErrorKind::kTimeout, .message = "the promoted server did not stop"};
  standby_.clear();
  std::error_code code;
  fs::rename(folder_ + "/data", folder_ + "/old", code);
  if (!code) fs::rename(folder_ + "/standby", folder_ + "/data", code);
  if (code) return SystemError("cannot put the standby in place", code);
  return StartAgain();
}

}  // namespace sluice::testing
