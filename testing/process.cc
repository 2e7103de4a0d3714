#include "testing/process.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#ifdef __SANITIZE_THREAD__
/// Of programs that start others: where jemalloc is linked (Arrow, DuckDB) fork() takes more locks
/// at once than the detector of lock orders can count, and it ends the process.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() {
  return "detect_deadlocks=0";
}
#endif

namespace sluice::testing {
namespace {

struct Child {
  std::vector<char*> argv;
  std::vector<std::string> environment_text;
  std::vector<char*> environment;
  const char* stdout_path = nullptr;
  const char* stderr_path = nullptr;
  const char* working_directory = nullptr;
  bool change_user = false;
  uid_t user = 0;
  gid_t group = 0;
  int parent_death_signal = 0;
  pid_t parent = 0;
  int error_fd = -1;
};

char* Mutable(const std::string& text) {
  return const_cast<char*>(text.c_str());  // NOLINT(cppcoreguidelines-pro-type-const-cast): exec
}

std::vector<std::string> MergedEnvironment(const ProcessOptions& options) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced = std::any_of(options.environment.begin(), options.environment.end(),
                                      [&](const auto& pair) { return pair.first == name; });
    if (!replaced) merged.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) merged.push_back(name + "=" + value);
  return merged;
}

bool RedirectTo(const char* path, int fd) {
  const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  return file >= 0 && dup2(file, fd) >= 0;
}

// Between fork and exec: only what a signal handler may do. Order matters: a change of user clears
// the parent death signal, and files are opened before the change.
[[noreturn]] void BecomeChild(const Child& child) {
  bool ok = true;
  if (child.stdout_path != nullptr) ok = ok && RedirectTo(child.stdout_path, STDOUT_FILENO);
  if (child.stderr_path != nullptr) ok = ok && RedirectTo(child.stderr_path, STDERR_FILENO);
  const int null_input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null_input >= 0) dup2(null_input, STDIN_FILENO);
  if (child.change_user) {
    ok = ok && setgroups(0, nullptr) == 0 && setgid(child.group) == 0 && setuid(child.user) == 0;
  }
  if (child.working_directory != nullptr) ok = ok && chdir(child.working_directory) == 0;
  prctl(PR_SET_PDEATHSIG, child.parent_death_signal);
  if (getppid() != child.parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (ok) {
    environ = const_cast<char**>(child.environment.data());  // NOLINT
    execvp(child.argv[0], child.argv.data());
  }
  const int error = errno;
  if (write(child.error_fd, &error, sizeof error) < 0) _exit(126);
  _exit(127);
}

bool FillUser(Child& child) {
  if (geteuid() != 0) return true;
  const passwd* nobody = getpwnam("nobody");  // NOLINT(concurrency-mt-unsafe): before any thread
  if (nobody == nullptr) return false;
  child.change_user = true;
  child.user = nobody->pw_uid;
  child.group = nobody->pw_gid;
  return true;
}

ProcessExit ExitOf(int status) {
  if (WIFSIGNALED(status)) return {.code = 128 + WTERMSIG(status), .signal = WTERMSIG(status)};
  return {.code = WEXITSTATUS(status), .signal = 0};
}

}  // namespace

Result<Process> Process::Start(ProcessOptions options) {
  if (options.arguments.empty()) {
    return Error{.kind = ErrorKind::kInvalidArgument, .message = "no program given"};
  }
  Child child;
  for (const std::string& argument : options.arguments) child.argv.push_back(Mutable(argument));
  child.argv.push_back(nullptr);
  child.environment_text = MergedEnvironment(options);
  for (const std::string& entry : child.environment_text) {
    child.environment.push_back(Mutable(entry));
  }
  child.environment.push_back(nullptr);
  if (!options.stdout_path.empty()) child.stdout_path = options.stdout_path.c_str();
  if (!options.stderr_path.empty()) child.stderr_path = options.stderr_path.c_str();
  if (!options.working_directory.empty()) {
    child.working_directory = options.working_directory.c_str();
  }
  if (options.as_nobody_if_root && !FillUser(child)) {
    return Error{.kind = ErrorKind::kConfig, .message = "there is no user named nobody"};
  }
  child.parent_death_signal = options.parent_death_signal;
  child.parent = getpid();
  int error_pipe[2];
  if (pipe2(error_pipe, O_CLOEXEC) != 0) {
    return Error{.kind = ErrorKind::kInternal, .message = "pipe2 failed"};
  }
  child.error_fd = error_pipe[1];
  const pid_t pid = fork();
  if (pid == 0) BecomeChild(child);
  close(error_pipe[1]);
  int error = 0;
  const ssize_t got = pid < 0 ? 0 : read(error_pipe[0], &error, sizeof error);
  close(error_pipe[0]);
  if (pid < 0) return Error{.kind = ErrorKind::kInternal, .message = "fork failed"};
  if (got > 0) {
    waitpid(pid, nullptr, 0);
    return Error{.kind = ErrorKind::kConfig,
                 .message = "cannot run " + options.arguments[0] + ": " +
                            std::strerror(error)};  // NOLINT(concurrency-mt-unsafe)
  }
  return Process(pid, std::move(options));
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      exit_(other.exit_),
      options_(std::move(other.options_)) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    Kill();
    pid_ = std::exchange(other.pid_, -1);
    exit_ = other.exit_;
    options_ = std::move(other.options_);
  }
  return *this;
}

Process::~Process() {
  Kill();
}

bool Process::IsRunning() {
  if (pid_ < 0 || exit_) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) exit_ = ExitOf(status);
  return !exit_.has_value();
}

void Process::Signal(int signal) {
  if (IsRunning()) kill(pid_, signal);
}

std::optional<ProcessExit> Process::WaitExit(Duration timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  while (IsRunning()) {
    if (Clock::now() >= deadline) return std::nullopt;
    PollPause();
  }
  return exit_;
}

void Process::Kill() {
  if (!IsRunning()) return;
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_ = ExitOf(status);
}

std::string Process::Stdout() const {
  return ReadWholeFile(options_.stdout_path);
}

std::string Process::Stderr() const {
  return ReadWholeFile(options_.stderr_path);
}

Status Process::WaitForLine(std::string_view text, Duration timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  while (true) {
    const bool was_running = IsRunning();  // before the look: what it wrote last is seen too
    const auto has_text = [&](const std::string& output) {
      const std::size_t at = output.find(text);
      return at != std::string::npos && output.find('\n', at) != std::string::npos;
    };
    if (has_text(Stdout()) || has_text(Stderr())) return {};
    if (!was_running) {
      return Error{.kind = ErrorKind::kInternal,
                   .message = "the process ended without saying: " + std::string(text),
                   .server_message = LastLines(Stderr(), 20)};
    }
    if (Clock::now() >= deadline) {
      return Error{.kind = ErrorKind::kTimeout,
                   .message = "the process did not say in time: " + std::string(text),
                   .server_message = LastLines(Stderr(), 20)};
    }
    PollPause();
  }
}

Result<ProcessExit> RunToEnd(ProcessOptions options, Duration timeout) {
  const std::string name = options.arguments.empty() ? "" : options.arguments[0];
  SLUICE_ASSIGN_OR_RETURN(Process process, Process::Start(std::move(options)));
  const std::optional<ProcessExit> exit = process.WaitExit(timeout);
  if (exit) return *exit;
  return Error{.kind = ErrorKind::kTimeout, .message = name + " did not end in time"};
}

std::string ReadWholeFile(const std::string& path) {
  if (path.empty()) return {};
  const std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::string LastLines(std::string_view text, int line_count) {
  std::size_t at = text.size();
  if (at > 0 && text[at - 1] == '\n') --at;
  for (int line = 0; line < line_count; ++line) {
    const std::size_t newline = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
    if (newline == std::string_view::npos) return std::string(text);
    at = newline;
  }
  return std::string(text.substr(at + 1));
}

void PollPause(int look) {
  constexpr std::chrono::milliseconds kShortest{10};
  constexpr int kMaxDoublings = 4;
  std::this_thread::sleep_for(kShortest * (1 << std::min(look, kMaxDoublings)));
}

}  // namespace sluice::testing
