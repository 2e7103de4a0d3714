// The only file that reads the environment, the machine and the working directory.
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "config/options.h"
#include "config/yaml_file.h"

namespace sluice::config {
namespace {

Result<std::string> ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  if (in) {
    text.resize(kConfigBytesMax +
                1);  // one more than is taken: the parser says that it is too much
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
  }
  if (!in.is_open() || in.bad() || (text.empty() && !in.eof())) {
    const std::error_code why(errno, std::generic_category());
    return Error{.kind = ErrorKind::kConfig,
                 .message = "cannot read " + path + ": " + why.message(),
                 .code = "SLU-1002"};
  }
  return text;
}

std::size_t MachineMemory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return 0;
  return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes);
}

}  // namespace

LoadRequest ProcessRequest(FlagValues flags) {
  LoadRequest request;
  request.flags = std::move(flags);
  request.environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());  // NOLINT: read before threads begin
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
  request.read_file = ReadWhole;
  request.is_root = ::geteuid() == 0;
  request.machine_memory_bytes = MachineMemory();
  std::error_code failed;
  request.working_directory = std::filesystem::current_path(failed).string();
  if (failed) request.working_directory = "/";
  return request;
}

}  // namespace sluice::config
