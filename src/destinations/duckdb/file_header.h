/// \file
/// The first blocks of a DuckDB file, read beside DuckDB: whether it is one, and how many
/// checkpoints it has had.
///
/// Source: DuckDB's storage_info.hpp and single_file_block_manager.cpp. Three blocks of 4,096
/// bytes, each with 8 bytes of checksum first: "DUCK" and the format, then two headers of which the
/// one with the larger "iteration" counts.
#pragma once

#include <cstdint>
#include <string>

#include "sluice/result.h"

namespace sluice::duckdb {

/// Holds the file open: to be opened before DuckDB takes its lock and ended after it has let go,
/// for any close of the file in a process releases the locks of that process (fcntl(2)).
///
/// Thread safety: const members from any thread.
class FileHeader {
 public:
  FileHeader() = default;
  /// Errors: SLU-5002 (not a DuckDB file), SLU-5017 (cannot be read).
  static Result<FileHeader> Open(const std::string& path);
  FileHeader(FileHeader&& other) noexcept;
  FileHeader& operator=(FileHeader&& other) noexcept;
  ~FileHeader();

  /// Grows with every checkpoint. 0 where it cannot be read.
  std::uint64_t checkpoints() const;

 private:
  explicit FileHeader(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace sluice::duckdb
