/// \file
/// The sluice program under test: a folder of its own for state and files, the source and the
/// destination in its environment, commands run to their end or in the background.
///
/// Every command gets SLUICE_SOURCE, SLUICE_DESTINATION, SLUICE_STATE, SLUICE_HTTP=off and
/// SLUICE_PROGRESS=off, so that a test writes only what it is about: `Run({"verify"})`.
///
/// Thread safety: one object: one thread at a time.
/// Lifetime: the destructor kills what still runs and removes the folder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sluice/result.h"

#include "testing/process.h"

namespace sluice::testing {

struct CommandResult {
  ProcessExit exit;
  std::string stdout_text;
  std::string stderr_text;
};

class SluiceProcess {
 public:
  /// `name` names the DuckDB file, and so the pipeline.
  static Result<SluiceProcess> Create(const std::string& source_url, const std::string& name);

  SluiceProcess(SluiceProcess&&) noexcept;
  SluiceProcess& operator=(SluiceProcess&&) = delete;
  ~SluiceProcess();

  const std::string& folder() const { return folder_; }
  const std::string& destination() const { return destination_; }
  bool IsRunning() { return running_ && running_->IsRunning(); }
  pid_t pid() const { return running_ ? running_->pid() : -1; }

  /// Adds to the environment of every later command.
  void SetEnvironment(const std::string& name, const std::string& value);

  /// Later commands may write no file beyond this many bytes (RLIMIT_FSIZE); "none": as before.
  void SetFileLimit(const std::string& bytes);

  /// Runs a command to its end. kTimeout: it was killed.
  Result<CommandResult> Run(std::vector<std::string> arguments, Duration timeout);

  /// Starts `sluice run` in the background.
  Status StartRun(std::vector<std::string> arguments);
  /// SIGTERM, as soon as it would be a graceful stop; kTimeout when it has not ended within
  /// `timeout`, else how it ended.
  Result<ProcessExit> Stop(Duration timeout);
  /// SIGKILL.
  void Kill();
  /// How the background run ended; nullopt when it is still running at the deadline.
  std::optional<ProcessExit> WaitExit(Duration timeout);
  Status WaitForLine(std::string_view text, Duration timeout);
  /// Everything that background runs have said on stderr so far.
  std::string RunLog() const;

 private:
  SluiceProcess() = default;
  ProcessOptions OptionsFor(std::vector<std::string> arguments) const;

  std::string folder_;
  std::string destination_;
  std::vector<std::pair<std::string, std::string>> environment_;
  std::vector<std::string> prefix_;  // of the command line
  std::optional<Process> running_;
  int command_count_ = 0;
};

/// SLUICE_PROGRAM, or the program of this build.
std::string SluiceProgram();

}  // namespace sluice::testing
