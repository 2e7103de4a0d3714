#include "destinations/duckdb/file_header.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

namespace sluice::duckdb {
namespace {

constexpr off_t kBlockSize = 4096;
constexpr off_t kChecksumSize = 8;
constexpr std::string_view kMagic = "DUCK";

template <std::size_t kSize>
bool ReadAt(int fd, off_t at, std::array<char, kSize>& out) {
  return pread(fd, out.data(), kSize, at) == static_cast<ssize_t>(kSize);
}

}  // namespace

Result<FileHeader> FileHeader::Open(const std::string& path) {
  FileHeader header(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (header.fd_ < 0) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "the destination file cannot be read: " + path,
                 .code = "SLU-5017",
                 .advice = "give this user the right to read and write it"};
  }
  std::array<char, kMagic.size()> magic{};
  if (!ReadAt(header.fd_, kChecksumSize, magic) ||
      std::string_view(magic.data(), magic.size()) != kMagic) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "not a DuckDB file: " + path,
                 .code = "SLU-5002",
                 .advice = "name another path, or remove the file"};
  }
  return header;
}

FileHeader::FileHeader(FileHeader&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileHeader& FileHeader::operator=(FileHeader&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileHeader::~FileHeader() {
  if (fd_ >= 0) close(fd_);
}

std::uint64_t FileHeader::checkpoints() const {
  std::uint64_t most = 0;
  for (const off_t block : {kBlockSize, 2 * kBlockSize}) {
    std::array<char, sizeof(std::uint64_t)> bytes{};
    std::uint64_t iteration = 0;
    if (ReadAt(fd_, block + kChecksumSize, bytes)) std::memcpy(&iteration, bytes.data(), 8);
    most = std::max(most, iteration);
  }
  return most;
}

}  // namespace sluice::duckdb
