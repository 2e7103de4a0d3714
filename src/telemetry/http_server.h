/// \file
/// /metrics, /healthz, /readyz, /status for machines: read-only, no row data.
///
/// One thread of its own; callbacks run on it and must be quick. At most kConnectionsMax
/// connections at a time (more are answered 503 and closed); a request must come within
/// kRequestTimeout; headers are limited to 8 KiB. GET and HEAD only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "sluice/result.h"

namespace sluice::telemetry {

inline constexpr std::size_t kConnectionsMax = 32;
inline constexpr std::chrono::seconds kRequestTimeout{10};

/// Is it ready, and a line that says why not.
struct Readiness {
  bool is_ready = false;
  std::string reason;
};

struct HttpHandlers {
  std::function<std::string()> metrics;                 ///< Prometheus text
  std::function<std::string()> status;                  ///< JSON
  std::function<bool()> is_healthy;                     ///< false: 503
  std::function<Readiness(bool all_tables)> readiness;  ///< `all_tables`: ?tables=all
};

struct HttpAddress {
  std::string host = "127.0.0.1";  ///< an address or a name; [..] around IPv6 is taken off
  std::uint16_t port = 9464;       ///< 0: any free one
  /// Taken: try up to 100 ports above (the default address); false: SLU-1011.
  bool may_move = false;
};

class HttpServer {
 public:
  /// Listens. Errors: kConfig SLU-1011 (port taken, no such address, no right to it).
  static Result<std::unique_ptr<HttpServer>> Start(const HttpAddress& address,
                                                   HttpHandlers handlers);
  /// Stops and joins.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  void Stop();

 private:
  struct State;
  explicit HttpServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace sluice::telemetry
