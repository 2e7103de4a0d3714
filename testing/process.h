/// \file
/// A child process of a test: started with its output in files, watched with deadlines, and gone
/// when the test is.
///
/// Output goes to files, not pipes: a child that writes much never blocks on a test that does not
/// read, and what it said is still there when it was killed.
///
/// Thread safety: one object: one thread at a time. Start() from a thread that lives as long as the
/// child: the kernel ends the child when the *thread* that started it ends.
/// Lifetime: the destructor kills the child and waits for it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/result.h"
#include "sluice/time.h"

namespace sluice::testing {

struct ProcessOptions {
  /// argv; the first is the program, searched in PATH when it holds no slash.
  std::vector<std::string> arguments = {};
  /// Added to, or replacing in, this process's environment.
  std::vector<std::pair<std::string, std::string>> environment = {};
  /// Where stdout and stderr go, appended; the same path may be given twice. Empty: inherited.
  std::string stdout_path = {};
  std::string stderr_path = {};
  /// Empty: this process's.
  std::string working_directory = {};
  /// When this process is root, run the child as `nobody`: PostgreSQL refuses to run as root.
  bool as_nobody_if_root = false;
  /// What the child gets when the thread that started it ends.
  int parent_death_signal = 9;
};

/// How a process ended.
struct ProcessExit {
  int code = 0;    ///< The exit code; 128 + signal when a signal ended it.
  int signal = 0;  ///< 0: it exited by itself.
};

class Process {
 public:
  /// Errors: kConfig when the program cannot be executed.
  static Result<Process> Start(ProcessOptions options);

  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  bool IsRunning();
  /// Does nothing when the process has ended.
  void Signal(int signal);
  /// nullopt: still running at the deadline.
  std::optional<ProcessExit> WaitExit(Duration timeout);
  /// SIGKILL, then waits.
  void Kill();

  /// What the child has written so far; empty for inherited output.
  std::string Stdout() const;
  std::string Stderr() const;
  /// Waits until stdout or stderr has a line that contains `text`. kTimeout; kInternal when the
  /// process ended without it.
  Status WaitForLine(std::string_view text, Duration timeout);

 private:
  Process(pid_t pid, ProcessOptions options) : pid_(pid), options_(std::move(options)) {}

  pid_t pid_ = -1;
  std::optional<ProcessExit> exit_;
  ProcessOptions options_;
};

/// Runs to the end and returns the exit. kTimeout: it was killed at the deadline.
Result<ProcessExit> RunToEnd(ProcessOptions options, Duration timeout);

/// The whole file; empty when it cannot be read.
std::string ReadWholeFile(const std::string& path);
/// The last `line_count` lines of `text`.
std::string LastLines(std::string_view text, int line_count);
/// A wait between two looks at something outside this process: 10 ms, or, where looking starts a
/// program of its own, so much longer with each `look` (0, 1, ...) that the looks leave the
/// processor to what they wait for; at most 160 ms.
void PollPause(int look = 0);

}  // namespace sluice::testing
