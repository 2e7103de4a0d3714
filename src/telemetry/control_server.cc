#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <list>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "telemetry/control_address.h"
#include "telemetry/control_socket.h"

namespace sluice::telemetry {
namespace {

constexpr std::chrono::seconds kRequestDeadline{10};
/// How soon a thread that waits for a peer sees that it should stop.
constexpr int kStopCheckMs = 100;

/// One client: a thread of its own reads the request, runs the handler, hangs up. The descriptor is
/// closed by the server's thread, which polls it meanwhile.
class Connection final : public ControlReply {
 public:
  Connection(OwnedFd fd, const ControlServer::Handler& handler, Duration patience, int wake)
      : fd_(std::move(fd)), handler_(handler), patience_(patience), wake_(wake) {
    thread_ = std::thread([this] { Run(); });
  }
  ~Connection() override {
    RequestStop();
    thread_.join();
  }

  int fd() const { return fd_.get(); }
  bool is_done() const { return is_done_.load(std::memory_order_acquire); }
  void RequestStop() { stop_.request_stop(); }

  std::stop_token stop_token() const override { return stop_.get_token(); }
  Status Send(std::string_view json_line) override {
    std::string line(json_line);
    line += '\n';
    std::string_view rest = line;
    const Clock::time_point deadline = Clock::now() + patience_;
    while (!rest.empty()) {
      if (stop_.stop_requested()) return Gone();
      const ssize_t sent = ::send(fd(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) {
        rest.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN && Clock::now() < deadline) {
        Wait(POLLOUT);
      } else if (errno != EINTR) {
        RequestStop();
        return Gone();
      }
    }
    return {};
  }

 private:
  static Error Gone() {
    return Error{.kind = ErrorKind::kCancelled, .message = "the client is gone"};
  }
  void Wait(short events) {
    pollfd waiting{.fd = fd(), .events = events, .revents = 0};
    ::poll(&waiting, 1, kStopCheckMs);
  }
  /// nullopt: nothing complete came in time.
  std::optional<std::string> ReadRequest() {
    const auto deadline = Clock::now() + kRequestDeadline;
    std::string line;
    char chunk[4096];
    while (!stop_.stop_requested() && Clock::now() < deadline &&
           line.size() <= kControlRequestBytesMax) {
      const ssize_t got = ::recv(fd(), chunk, sizeof chunk, MSG_DONTWAIT);
      if (got == 0) return std::nullopt;
      if (got < 0) {
        if (errno != EAGAIN && errno != EINTR) return std::nullopt;
        Wait(POLLIN);
        continue;
      }
      const std::size_t searched = line.size();
      line.append(chunk, static_cast<std::size_t>(got));
      if (const std::size_t end = line.find('\n', searched); end != std::string::npos) {
        return line.substr(0, end);
      }
    }
    return std::nullopt;
  }
  void Run() {
    pthread_setname_np(pthread_self(), "control-peer");
    if (const auto request = ReadRequest()) handler_(*request, *this);
    ::shutdown(fd(), SHUT_RDWR);
    is_done_.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wake_, &one, sizeof one));
  }

  OwnedFd fd_;
  const ControlServer::Handler& handler_;
  const Duration patience_;
  const int wake_;  ///< the server's eventfd
  std::stop_source stop_;
  std::atomic<bool> is_done_{false};
  std::thread thread_;
};

bool IsAllowed(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

Status MakeDirectory(const std::string& state_dir) {
  std::error_code failed;
  if (std::filesystem::is_directory(state_dir, failed)) return {};
  std::filesystem::create_directories(state_dir, failed);
  if (failed) return ControlError("state directory " + state_dir, failed.value());
  std::filesystem::permissions(state_dir, std::filesystem::perms::owner_all, failed);
  if (failed) return ControlError("state directory " + state_dir, failed.value());
  return {};
}

/// Held as long as the server lives: who has it may replace the socket.
Result<OwnedFd> Lock(const std::string& state_dir, const std::string& pipeline) {
  const std::string path = state_dir + "/" + pipeline + ".lock";
  OwnedFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.is_open()) return ControlError("lock file " + path, errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ControlError("lock file " + path, errno);
    return Error{.kind = ErrorKind::kConfig,
                 .message = "pipeline " + pipeline + " is running already",
                 .code = "SLU-1012",
                 .advice = "see it with: sluice status --pipeline " + pipeline};
  }
  return fd;
}

Result<OwnedFd> Listen(const std::string& state_dir, const std::string& pipeline) {
  const std::string path = ControlPath(state_dir, pipeline);
  SLUICE_ASSIGN_OR_RETURN(const ControlAddress address, ControlAddressOf(state_dir, pipeline));
  OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) return ControlError("control socket", errno);
  struct stat found{};
  if (::lstat(path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) return ControlError("control socket " + path, EEXIST);
    ::unlink(path.c_str());  // left by a process that was killed: we hold the lock
  }
  // The mode of the descriptor is the mode of the file from its first moment.
  ::fchmod(fd.get(), 0600);
  if (::bind(fd.get(), address.get(), address.length) != 0 || ::listen(fd.get(), 16) != 0) {
    return ControlError("control socket " + path, errno);
  }
  return fd;
}

}  // namespace

struct ControlServer::State {
  std::string path;
  Handler handler;
  Duration patience{};
  OwnedFd lock;
  OwnedFd listener;
  OwnedFd wake;
  std::atomic<bool> stops{false};
  std::list<Connection> connections;  ///< the server's thread only
  std::thread thread;

  void Accept() {
    OwnedFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.is_open()) {
      // Out of descriptors, as a rule: no busy loop until some are free again.
      if (errno != EAGAIN && errno != EINTR) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      return;
    }
    if (!IsAllowed(fd.get())) return;
    if (connections.size() >= kControlConnectionsMax) {
      constexpr std::string_view kBusy = "{\"error\":{\"message\":\"too many connections\"}}\n";
      ::send(fd.get(), kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      return;
    }
    connections.emplace_back(std::move(fd), handler, patience, wake.get());
  }

  void Run() {
    pthread_setname_np(pthread_self(), "control");
    std::vector<pollfd> polled;
    while (!stops.load()) {
      polled.clear();
      polled.push_back({.fd = wake.get(), .events = POLLIN, .revents = 0});
      polled.push_back({.fd = listener.get(), .events = POLLIN, .revents = 0});
      for (const Connection& connection : connections) {
        // POLLHUP comes unasked: the client has closed both ways.
        const bool is_watched = !connection.stop_token().stop_requested();
        polled.push_back({.fd = is_watched ? connection.fd() : -1, .events = 0, .revents = 0});
      }
      if (::poll(polled.data(), polled.size(), -1) < 0) continue;
      if (polled[0].revents != 0) {
        std::uint64_t count = 0;
        static_cast<void>(!::read(wake.get(), &count, sizeof count));
      }
      std::size_t at = 2;
      for (Connection& connection : connections) {
        if ((polled[at++].revents & (POLLHUP | POLLERR)) != 0) connection.RequestStop();
      }
      connections.remove_if([](const Connection& connection) { return connection.is_done(); });
      if (polled[1].revents != 0) Accept();
    }
    for (Connection& connection : connections) connection.RequestStop();
    connections.clear();
  }
};

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

ControlServer::~ControlServer() {
  Stop();
}

Result<std::unique_ptr<ControlServer>> ControlServer::Start(const std::string& state_dir,
                                                            const std::string& pipeline,
                                                            Handler handler, Duration patience) {
  SLUICE_RETURN_IF_ERROR(MakeDirectory(state_dir));
  auto state = std::make_unique<State>();
  state->path = ControlPath(state_dir, pipeline);
  state->handler = std::move(handler);
  state->patience = patience;
  SLUICE_ASSIGN_OR_RETURN(state->lock, Lock(state_dir, pipeline));
  SLUICE_ASSIGN_OR_RETURN(state->listener, Listen(state_dir, pipeline));
  state->wake = OwnedFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!state->wake.is_open()) return ControlError("control socket", errno);
  state->thread = std::thread([raw = state.get()] { raw->Run(); });
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(state)));
}

void ControlServer::Stop() {
  if (!state_->thread.joinable()) return;
  state_->stops.store(true);
  const std::uint64_t one = 1;
  static_cast<void>(!::write(state_->wake.get(), &one, sizeof one));
  state_->thread.join();
  ::unlink(state_->path.c_str());
  state_->listener = OwnedFd();
  state_->lock = OwnedFd();
}

}  // namespace sluice::telemetry
