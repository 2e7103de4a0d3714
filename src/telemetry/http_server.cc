// The only file that includes Asio and Beast.
#include "telemetry/http_server.h"

#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace sluice::telemetry {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using Response = http::response<http::string_body>;

constexpr std::uint32_t kHeaderBytesMax = 8 * 1024;
constexpr std::uint64_t kBodyBytesMax = 1024;
constexpr int kPortsTried = 100;

struct Answer {
  http::status status = http::status::ok;
  const char* content_type = "text/plain; charset=utf-8";
  std::string body;
};

bool HasAllTables(std::string_view query) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    if (query.substr(0, end) == "tables=all") return true;
    if (end == std::string_view::npos) return false;
    query.remove_prefix(end + 1);
  }
  return false;
}

Answer Route(std::string_view target, const HttpHandlers& handlers) {
  const std::size_t question = target.find('?');
  const std::string_view path = target.substr(0, question);
  const std::string_view query =
      question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
  if (path == "/metrics" && handlers.metrics) {
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = handlers.metrics()};
  }
  if (path == "/status" && handlers.status) {
    return {.content_type = "application/json", .body = handlers.status()};
  }
  if (path == "/healthz" && handlers.is_healthy) {
    if (handlers.is_healthy()) return {.body = "ok\n"};
    return {.status = http::status::service_unavailable, .body = "a thread is stuck\n"};
  }
  if (path == "/readyz" && handlers.readiness) {
    const Readiness readiness = handlers.readiness(HasAllTables(query));
    if (readiness.is_ready) return {.body = "ok\n"};
    return {.status = http::status::service_unavailable, .body = readiness.reason + "\n"};
  }
  return {.status = http::status::not_found,
          .body = "there are /metrics, /healthz, /readyz and /status\n"};
}

/// One connection, on the server's thread. Keeps itself alive while an operation is open.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, std::shared_ptr<const HttpHandlers> handlers,
          std::shared_ptr<std::size_t> open)
      : stream_(std::move(socket)), handlers_(std::move(handlers)), open_(std::move(open)) {
    ++*open_;
  }
  ~Session() { --*open_; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Read() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(kBodyBytesMax);
    stream_.expires_after(kRequestTimeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code failed, std::size_t) {
                       if (!failed) self->Respond();
                     });
  }
  /// More connections than are served at a time.
  void Refuse() {
    stream_.expires_after(kRequestTimeout);
    response_ = Response(http::status::service_unavailable, 11, "too many connections\n");
    response_.keep_alive(false);
    Send(false);
  }

 private:
  void Respond() {
    const auto& request = parser_->get();
    Answer answer;
    const bool is_head = request.method() == http::verb::head;
    if (request.method() == http::verb::get || is_head) {
      answer = Route({request.target().data(), request.target().size()}, *handlers_);
    } else {
      answer = {.status = http::status::method_not_allowed, .body = "GET and HEAD only\n"};
    }
    response_ = Response(answer.status, request.version(), std::move(answer.body));
    response_.set(http::field::content_type, answer.content_type);
    response_.set(http::field::cache_control, "no-store");
    if (answer.status == http::status::method_not_allowed) {
      response_.set(http::field::allow, "GET, HEAD");
    }
    response_.keep_alive(request.keep_alive());
    Send(is_head);
  }
  void Send(bool is_head) {
    response_.prepare_payload();
    if (is_head) response_.body().clear();  // the length stays in the header
    stream_.expires_after(kRequestTimeout);
    const auto done = [self = shared_from_this()](beast::error_code failed, std::size_t) {
      if (failed) return;
      if (self->response_.keep_alive()) {
        self->Read();
        return;
      }
      beast::error_code ignored;
      self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    };
    if (is_head) {
      // Only the header goes out, whatever length it tells.
      header_.emplace(response_);
      http::async_write_header(stream_, *header_, done);
      return;
    }
    http::async_write(stream_, response_, done);
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{kHeaderBytesMax + kBodyBytesMax};
  std::optional<http::request_parser<http::string_body>> parser_;
  Response response_;
  std::optional<http::response_serializer<http::string_body>> header_;
  std::shared_ptr<const HttpHandlers> handlers_;
  std::shared_ptr<std::size_t> open_;
};

Error CannotListen(const HttpAddress& address, const std::string& why) {
  return Error{.kind = ErrorKind::kConfig,
               .message = "cannot listen on " + address.host + ":" + std::to_string(address.port) +
                          ": " + why,
               .code = "SLU-1011",
               .advice = "choose another one with --http HOST:PORT, or --http off"};
}

}  // namespace

struct HttpServer::State {
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  std::shared_ptr<const HttpHandlers> handlers;
  std::shared_ptr<std::size_t> open = std::make_shared<std::size_t>(0);
  std::uint16_t port = 0;
  std::thread thread;

  beast::error_code Listen(const tcp::endpoint& endpoint) {
    beast::error_code failed;
    acceptor.open(endpoint.protocol(), failed);
    if (failed) return failed;
    acceptor.set_option(asio::socket_base::reuse_address(true), failed);
    acceptor.bind(endpoint, failed);
    if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
    if (failed) {
      beast::error_code ignored;
      acceptor.close(ignored);
      return failed;
    }
    port = acceptor.local_endpoint(failed).port();
    return failed;
  }

  void Accept() {
    acceptor.async_accept([this](beast::error_code failed, tcp::socket socket) {
      if (!acceptor.is_open()) return;
      if (!failed) {
        const bool is_full = *open >= kConnectionsMax;
        // A few more are answered, the rest is dropped: descriptors are not without limit.
        if (*open < 2 * kConnectionsMax) {
          const auto session = std::make_shared<Session>(std::move(socket), handlers, open);
          is_full ? session->Refuse() : session->Read();
        }
      } else {
        // Out of descriptors, as a rule: no busy loop until some are free again.
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      Accept();
    });
  }
};

HttpServer::HttpServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  Stop();
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpAddress& address,
                                                      HttpHandlers handlers) {
  auto state = std::make_shared<State>();
  state->handlers = std::make_shared<const HttpHandlers>(std::move(handlers));
  std::string host = address.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  beast::error_code failed;
  tcp::resolver resolver(state->context);
  const auto found = resolver.resolve(host, "", tcp::resolver::passive, failed);
  if (failed || found.empty()) return CannotListen(address, failed.message());
  const asio::ip::address ip = found.begin()->endpoint().address();

  const int tries = address.may_move ? kPortsTried : 1;
  for (int i = 0; i < tries && address.port + i <= 65535; ++i) {
    failed = state->Listen({ip, static_cast<std::uint16_t>(address.port + i)});
    if (failed != asio::error::address_in_use) break;
  }
  if (failed) return CannotListen(address, failed.message());
  state->Accept();
  state->thread = std::thread([state] {
    pthread_setname_np(pthread_self(), "http");
    state->context.run();
  });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

std::uint16_t HttpServer::port() const {
  return state_->port;
}

void HttpServer::Stop() {
  if (!state_->thread.joinable()) return;
  asio::dispatch(state_->context, [state = state_] {
    beast::error_code ignored;
    state->acceptor.close(ignored);
    state->context.stop();
  });
  state_->thread.join();
}

}  // namespace sluice::telemetry
