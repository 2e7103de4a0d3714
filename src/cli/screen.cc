#include "cli/screen.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace sluice::cli {
namespace {

void Write(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
}

}  // namespace

bool IsTerminal(std::FILE* file) {
  return ::isatty(::fileno(file)) == 1;
}

std::size_t TerminalWidth(std::FILE* file) {
  winsize size{};
  if (::ioctl(::fileno(file), TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;  // NOLINT
  return size.ws_col;
}

void Screen::Print(std::string_view lines) {
  const base::MutexLock lock(mutex_);
  Erase();
  Write(out_, lines);
  Redraw();
  std::fflush(out_);
}

void Screen::PrintError(std::string_view lines) {
  const base::MutexLock lock(mutex_);
  Erase();
  std::fflush(out_);
  Write(stderr, lines);
  std::fflush(stderr);
  Redraw();
  std::fflush(out_);
}

void Screen::Draw(const std::vector<std::string>& lines) {
  if (!draws_) return;
  const base::MutexLock lock(mutex_);
  Erase();
  block_ = lines;
  Redraw();
  std::fflush(out_);
}

void Screen::EraseBlock() {
  const base::MutexLock lock(mutex_);
  Erase();
  block_.clear();
  std::fflush(out_);
}

void Screen::Erase() {
  if (drawn_ == 0) return;
  // Up to the first line of the block, then clear to the end of the screen.
  Write(out_, fmt::format("\x1b[{}A\r\x1b[J", drawn_));
  drawn_ = 0;
}

void Screen::Redraw() {
  if (!draws_) return;
  for (const std::string& line : block_) {
    Write(out_, line);
    Write(out_, "\n");
  }
  drawn_ = block_.size();
}

}  // namespace sluice::cli
