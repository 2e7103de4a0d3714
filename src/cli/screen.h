/// \file
/// Lines for people and a block of progress below them, redrawn in place on a terminal.
///
/// Thread safety: every member from any thread.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"

namespace sluice::cli {

/// What the file is.
bool IsTerminal(std::FILE* file);
/// Columns of the terminal; 80 where that is not known.
std::size_t TerminalWidth(std::FILE* file);

class Screen {
 public:
  /// \param out where lines for people go; \param draws a block may be drawn below them.
  Screen(std::FILE* out, bool draws) : out_(out), draws_(draws) {}
  ~Screen() { EraseBlock(); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// Whole lines, each with its newline, above the block.
  void Print(std::string_view lines);
  /// The same to stderr: what the log and errors go through.
  void PrintError(std::string_view lines);
  /// Replaces the block.
  void Draw(const std::vector<std::string>& lines);
  void EraseBlock();
  std::size_t width() const { return TerminalWidth(out_); }

 private:
  void Erase() SLUICE_REQUIRES(mutex_);
  void Redraw() SLUICE_REQUIRES(mutex_);

  std::FILE* const out_;
  const bool draws_;
  base::Mutex mutex_;
  std::vector<std::string> block_ SLUICE_GUARDED_BY(mutex_);
  std::size_t drawn_ SLUICE_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice::cli
