/// \file
/// How commands speak to a running pipeline: a unix socket, STATE/NAME.sock, mode 0600.
///
/// A client sends one request, a JSON object on one line, {"command": "status", ...}; the server
/// answers with any number of lines, each a JSON object, and closes. Peers of other users are
/// refused (except root). Any length of STATE works: the socket is addressed through an open
/// directory, so the 108 bytes of a socket's address only hold the name.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"
#include "sluice/time.h"

namespace sluice::telemetry {

inline constexpr std::size_t kControlConnectionsMax = 16;
/// A request, or one line of a reply.
inline constexpr std::size_t kControlRequestBytesMax = std::size_t{1} << 20;
inline constexpr std::size_t kControlLineBytesMax = std::size_t{64} << 20;

/// The server's side of one connection. Used by the handler only, on its thread.
class ControlReply {
 public:
  virtual ~ControlReply() = default;
  /// One line, without its newline. kCancelled: the client is gone, or has not read it for as long
  /// as it is waited for; stop working.
  virtual Status Send(std::string_view json_line) = 0;
  /// Requested when the client is gone or the server stops.
  virtual std::stop_token stop_token() const = 0;
};

class ControlServer {
 public:
  /// `request`: one line of text. Runs on a thread of its own per connection.
  using Handler = std::function<void(const std::string& request, ControlReply& reply)>;

  /// Makes `state_dir` (mode 0700) where it is missing. A socket nobody answers on is replaced.
  /// Errors: kConfig SLU-1012 (another process serves this pipeline), SLU-1013 (directory or
  /// socket cannot be made).
  /// \param patience how long a client may take to read a line: what is read for it is held open.
  static Result<std::unique_ptr<ControlServer>> Start(const std::string& state_dir,
                                                      const std::string& pipeline, Handler handler,
                                                      Duration patience = std::chrono::minutes(1));
  /// Stops, joins every connection's thread, removes the socket.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  /// No new connections; handlers are asked to stop; returns when they have.
  void Stop();

 private:
  struct State;
  explicit ControlServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class ControlClient {
 public:
  /// nullopt: nobody serves this pipeline (no socket, or a stale one). Errors: SLU-1013 (no right).
  static Result<std::optional<ControlClient>> Connect(const std::string& state_dir,
                                                      const std::string& pipeline);
  ~ControlClient();
  ControlClient(ControlClient&&) noexcept;
  ControlClient& operator=(ControlClient&&) noexcept;

  /// One line, without its newline.
  Status Send(std::string_view json_line);
  /// The next line of the reply; nullopt: it is complete. kTimeout at `deadline`, kConnection where
  /// the server went away in the middle of a line.
  Result<std::optional<std::string>> Receive(Clock::time_point deadline);

 private:
  explicit ControlClient(int fd) : fd_(fd) {}
  int fd_ = -1;
  std::string buffer_;
};

/// Names of pipelines somebody answers for in `state_dir`, sorted. A missing directory has none.
Result<std::vector<std::string>> RunningPipelines(const std::string& state_dir);

}  // namespace sluice::telemetry
