#include "testing/sluice_process.h"

#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <utility>

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;

/// sluice blocks the signal and waits for it; before that SIGTERM would end it like any program.
bool BlocksSigterm(pid_t pid) {
  constexpr std::string_view kField = "SigBlk:";
  const std::string status = ReadWholeFile("/proc/" + std::to_string(pid) + "/status");
  const std::size_t at = status.find(kField);
  if (at == std::string::npos) return false;
  const std::uint64_t blocked = std::strtoull(status.c_str() + at + kField.size(), nullptr, 16);
  return (blocked >> (SIGTERM - 1) & 1U) != 0;
}

}  // namespace

std::string SluiceProgram() {
  const char* program = std::getenv("SLUICE_PROGRAM");  // NOLINT(concurrency-mt-unsafe)
  return program != nullptr && *program != '\0' ? program : SLUICE_PROGRAM_PATH;
}

Result<SluiceProcess> SluiceProcess::Create(const std::string& source_url,
                                            const std::string& name) {
  SluiceProcess process;
  std::error_code code;
  std::string pattern = (fs::temp_directory_path(code) / "sluice-test-XXXXXX").string();
  if (code || mkdtemp(pattern.data()) == nullptr) {
    return Error{.kind = ErrorKind::kInternal, .message = "cannot make a temporary folder"};
  }
  process.folder_ = pattern;
  process.destination_ = pattern + "/" + name + ".duckdb";
  process.environment_ = {{"SLUICE_SOURCE", source_url},
                          {"SLUICE_DESTINATION", process.destination_},
                          {"SLUICE_STATE", pattern + "/state"},
                          {"SLUICE_HTTP", "off"},
                          {"SLUICE_PROGRESS", "off"}};
  return process;
}

SluiceProcess::SluiceProcess(SluiceProcess&& other) noexcept
    : folder_(std::exchange(other.folder_, {})),
      destination_(std::move(other.destination_)),
      environment_(std::move(other.environment_)),
      prefix_(std::move(other.prefix_)),
      running_(std::exchange(other.running_, std::nullopt)),
      command_count_(other.command_count_) {}

SluiceProcess::~SluiceProcess() {
  running_.reset();
  if (folder_.empty()) return;
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void SluiceProcess::SetFileLimit(const std::string& bytes) {
  prefix_.clear();
  if (bytes != "none") prefix_ = {"/usr/bin/prlimit", "--fsize=" + bytes};
}

void SluiceProcess::SetEnvironment(const std::string& name, const std::string& value) {
  std::erase_if(environment_, [&](const auto& entry) { return entry.first == name; });
  environment_.emplace_back(name, value);
}

ProcessOptions SluiceProcess::OptionsFor(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), SluiceProgram());
  arguments.insert(arguments.begin(), prefix_.begin(), prefix_.end());
  return {.arguments = std::move(arguments),
          .environment = environment_,
          .stdout_path = folder_ + "/run.out",
          .stderr_path = folder_ + "/run.err",
          .working_directory = folder_};
}

Result<CommandResult> SluiceProcess::Run(std::vector<std::string> arguments, Duration timeout) {
  ProcessOptions options = OptionsFor(std::move(arguments));
  const std::string stem = folder_ + "/command" + std::to_string(++command_count_);
  options.stdout_path = stem + ".out";
  options.stderr_path = stem + ".err";
  const std::string out = options.stdout_path;
  const std::string err = options.stderr_path;
  Result<ProcessExit> exit = RunToEnd(std::move(options), timeout);
  if (!exit) {
    Error error = std::move(exit).error();
    error.server_message = LastLines(ReadWholeFile(err), 30);
    return error;
  }
  return CommandResult{
      .exit = *exit, .stdout_text = ReadWholeFile(out), .stderr_text = ReadWholeFile(err)};
}

Status SluiceProcess::StartRun(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "run");
  SLUICE_ASSIGN_OR_RETURN(Process process, Process::Start(OptionsFor(std::move(arguments))));
  running_.emplace(std::move(process));
  return {};
}

Result<ProcessExit> SluiceProcess::Stop(Duration timeout) {
  if (!running_) return Error{.kind = ErrorKind::kInvalidArgument, .message = "nothing runs"};
  const Clock::time_point ready_by = Clock::now() + timeout;
  while (running_->IsRunning() && !BlocksSigterm(running_->pid()) && Clock::now() < ready_by)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  running_->Signal(SIGTERM);
  const std::optional<ProcessExit> exit = running_->WaitExit(timeout);
  if (exit) return *exit;
  return Error{.kind = ErrorKind::kTimeout,
               .message = "sluice did not end after SIGTERM",
               .server_message = LastLines(RunLog(), 30)};
}

void SluiceProcess::Kill() {
  if (running_) running_->Kill();
}

std::optional<ProcessExit> SluiceProcess::WaitExit(Duration timeout) {
  return running_ ? running_->WaitExit(timeout) : std::nullopt;
}

Status SluiceProcess::WaitForLine(std::string_view text, Duration timeout) {
  if (!running_) return Error{.kind = ErrorKind::kInvalidArgument, .message = "nothing runs"};
  return running_->WaitForLine(text, timeout);
}

std::string SluiceProcess::RunLog() const {
  return ReadWholeFile(folder_ + "/run.err");
}

}  // namespace sluice::testing
