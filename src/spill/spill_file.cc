#include "spill/spill_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace sluice::spill {
namespace {

Error FileError(const char* code, const std::string& what, const std::string& directory,
                int error_number) {
  Error error;
  error.kind = ErrorKind::kStateStore;
  error.message = what + " in " + directory;
  if (error_number != 0) error.message += ": " + std::generic_category().message(error_number);
  error.code = code;
  return error;
}

bool IsNoRoom(int error_number) {
  return error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
}

Error WriteError(const std::string& directory, int error_number) {
  if (!IsNoRoom(error_number)) {
    return FileError("SLU-6103", "cannot write the spill file", directory, error_number);
  }
  Error error = FileError("SLU-6102", "no room for the spill file", directory, error_number);
  error.advice = "free space on that disk, or choose another one with --state DIR";
  return error;
}

// O_TMPFILE has no name at any time; where the file system lacks it the name is removed at once.
int OpenNameless(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
  std::string path = directory + "/sluice-spill-XXXXXX";
  const int named = ::mkostemp(path.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(path.c_str());
  return named;
}

}  // namespace

Result<SpillFile> SpillFile::Create(const std::string& directory) {
  const int fd = OpenNameless(directory);
  if (fd < 0) return FileError("SLU-6101", "cannot make a spill file", directory, errno);
  return SpillFile(fd, directory);
}

SpillFile::~SpillFile() {
  if (fd_ >= 0) ::close(fd_);
}

SpillFile::SpillFile(SpillFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), directory_(std::move(other.directory_)) {}

SpillFile& SpillFile::operator=(SpillFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(directory_, other.directory_);
  return *this;
}

Status SpillFile::WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) continue;
      return WriteError(directory_, errno);
    }
    // A write of nothing without an error: no file system should, and it must not loop for ever.
    if (count == 0) return WriteError(directory_, ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Status SpillFile::ReadAt(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::pread(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) continue;
      return FileError("SLU-6104", "cannot read the spill file", directory_, errno);
    }
    if (count == 0) return DamagedError();
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Status SpillFile::Truncate(std::uint64_t size) {
  if (::ftruncate(fd_, static_cast<off_t>(size)) == 0) return {};
  return WriteError(directory_, errno);
}

Error SpillFile::DamagedError() const {
  return FileError("SLU-6104", "a spill file has not the bytes that were written", directory_, 0);
}

}  // namespace sluice::spill
