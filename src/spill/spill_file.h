/// \file
/// A file without a name in a given directory: written at the end, read anywhere, gone with the
/// process.
///
/// Errors: kStateStore SLU-6101, SLU-6102 (no room), SLU-6103, SLU-6104; they name the directory.
/// Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "sluice/result.h"

namespace sluice::spill {

class SpillFile {
 public:
  static Result<SpillFile> Create(const std::string& directory);
  ~SpillFile();
  SpillFile(SpillFile&& other) noexcept;
  SpillFile& operator=(SpillFile&& other) noexcept;

  /// All of it at `offset`, or an error; then bytes may have been written from there on.
  Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes);
  Status ReadAt(std::uint64_t offset, std::span<std::byte> bytes) const;
  /// Gives the space beyond back to the disk.
  Status Truncate(std::uint64_t size);

  /// An error of reading that names this file.
  Error DamagedError() const;

 private:
  SpillFile(int fd, std::string directory) : fd_(fd), directory_(std::move(directory)) {}

  int fd_ = -1;
  std::string directory_;
};

}  // namespace sluice::spill
