#include "telemetry/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "telemetry/control_address.h"

namespace sluice::telemetry {

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) ::close(fd_);
}

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.Release();
  }
  return *this;
}

std::string ControlPath(const std::string& state_dir, const std::string& pipeline) {
  return state_dir + "/" + pipeline + ".sock";
}

Error ControlError(const std::string& what, int code) {
  return Error{.kind = ErrorKind::kConfig,
               .message = what + ": " + std::generic_category().message(code),
               .code = "SLU-1013",
               .advice = "choose another --state directory, or run as the user who owns it"};
}

Result<ControlAddress> ControlAddressOf(const std::string& state_dir, const std::string& pipeline) {
  ControlAddress out;
  out.address.sun_family = AF_UNIX;
  std::string path = ControlPath(state_dir, pipeline);
  if (path.size() >= sizeof out.address.sun_path) {
    out.directory = OwnedFd(::open(state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!out.directory.is_open()) return ControlError("state directory " + state_dir, errno);
    path = "/proc/self/fd/" + std::to_string(out.directory.get()) + "/" + pipeline + ".sock";
    if (path.size() >= sizeof out.address.sun_path) {
      return ControlError("control socket of " + pipeline, ENAMETOOLONG);
    }
  }
  std::memcpy(out.address.sun_path, path.c_str(), path.size() + 1);
  out.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return out;
}

ControlClient::~ControlClient() {
  if (fd_ >= 0) ::close(fd_);
}

ControlClient::ControlClient(ControlClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

ControlClient& ControlClient::operator=(ControlClient&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

Result<std::optional<ControlClient>> ControlClient::Connect(const std::string& state_dir,
                                                            const std::string& pipeline) {
  std::error_code ignored;
  if (!std::filesystem::exists(state_dir, ignored)) return std::optional<ControlClient>();
  SLUICE_ASSIGN_OR_RETURN(const ControlAddress address, ControlAddressOf(state_dir, pipeline));
  OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return ControlError("control socket", errno);
  if (::connect(fd.get(), address.get(), address.length) != 0) {
    // No file, nobody behind it, or something else of that name.
    if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTSOCK || errno == ENOTDIR) {
      return std::optional<ControlClient>();
    }
    return ControlError("control socket " + ControlPath(state_dir, pipeline), errno);
  }
  return std::optional<ControlClient>(ControlClient(fd.Release()));
}

Status ControlClient::Send(std::string_view json_line) {
  std::string line(json_line);
  line += '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) {
      return Error{.kind = ErrorKind::kConnection,
                   .message = "the running pipeline does not answer",
                   .code = "SLU-1013"};
    }
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<std::optional<std::string>> ControlClient::Receive(Clock::time_point deadline) {
  std::size_t searched = 0;
  for (;;) {
    if (const std::size_t end = buffer_.find('\n', searched); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return std::optional<std::string>(std::move(line));
    }
    searched = buffer_.size();
    if (buffer_.size() > kControlLineBytesMax) {
      return Error{
          .kind = ErrorKind::kProtocol, .message = "a reply is too long", .code = "SLU-9001"};
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    const int ready =
        left <= 0 ? 0
                  : ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left, 1 << 30)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      return Error{.kind = ErrorKind::kTimeout,
                   .message = "the running pipeline did not answer in time",
                   .code = "SLU-1013",
                   .advice = "see in its log whether it is stopped or busy, and ask again"};
    }
    char chunk[64 * 1024];
    const ssize_t got = ::recv(fd_, chunk, sizeof chunk, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (got == 0 && buffer_.empty()) return std::optional<std::string>();
      return Error{.kind = ErrorKind::kConnection,
                   .message = "the running pipeline went away",
                   .code = "SLU-1013"};
    }
    buffer_.append(chunk, static_cast<std::size_t>(got));
  }
}

Result<std::vector<std::string>> RunningPipelines(const std::string& state_dir) {
  std::vector<std::string> out;
  std::error_code failed;
  std::filesystem::directory_iterator files(state_dir, failed);
  if (failed) {
    if (failed == std::errc::no_such_file_or_directory) return out;
    return ControlError("state directory " + state_dir, failed.value());
  }
  for (; files != std::filesystem::directory_iterator(); files.increment(failed)) {
    if (failed) break;
    if (files->path().extension() != ".sock") continue;
    std::string name = files->path().stem().string();
    // One that may not be asked is not ours to name.
    const auto client = ControlClient::Connect(state_dir, name);
    if (client && *client) out.push_back(std::move(name));
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace sluice::telemetry
