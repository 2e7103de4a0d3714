#include "telemetry/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace sluice::telemetry {
namespace {

HttpHandlers Handlers() {
  return {.metrics = [] { return std::string("sluice_build_info 1\n"); },
          .status = [] { return std::string("{\"position\": \"0/1\"}"); },
          .is_healthy = [] { return true; },
          .readiness =
              [](bool all) {
                return all ? Readiness{false, "public.orders is copying"} : Readiness{true, ""};
              }};
}

int Connect(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);  // NOLINT
  return fd;
}

/// Sends the text, reads until the server closes.
std::string Exchange(std::uint16_t port, const std::string& request) {
  const int fd = Connect(port);
  EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string reply;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
    reply.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return reply;
}

std::string Get(std::uint16_t port, const std::string& target, const char* method = "GET") {
  return Exchange(port, std::string(method) + " " + target +
                            " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = HttpServer::Start({.host = "127.0.0.1", .port = 0}, Handlers());
    ASSERT_TRUE(started) << started.error().message;
    server_ = *std::move(started);
  }
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersItsFourPaths) {
  EXPECT_NE(Get(server_->port(), "/metrics").find("sluice_build_info 1\n"), std::string::npos);
  EXPECT_NE(Get(server_->port(), "/status").find("{\"position\": \"0/1\"}"), std::string::npos);
  EXPECT_TRUE(Get(server_->port(), "/healthz").starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(Get(server_->port(), "/readyz").starts_with("HTTP/1.1 200"));
  const std::string all = Get(server_->port(), "/readyz?x=1&tables=all");
  EXPECT_TRUE(all.starts_with("HTTP/1.1 503"));
  EXPECT_NE(all.find("public.orders is copying"), std::string::npos);
  EXPECT_TRUE(Get(server_->port(), "/").starts_with("HTTP/1.1 404"));
}

TEST_F(HttpServerTest, HeadHasTheHeaderAndNoBody) {
  const std::string reply = Get(server_->port(), "/metrics", "HEAD");
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200")) << reply;
  EXPECT_NE(reply.find("Content-Length: 20"), std::string::npos) << reply;
  EXPECT_TRUE(reply.ends_with("\r\n\r\n")) << reply;
}

TEST_F(HttpServerTest, TakesNoOtherMethod) {
  EXPECT_TRUE(Get(server_->port(), "/metrics", "POST").starts_with("HTTP/1.1 405"));
  EXPECT_TRUE(Get(server_->port(), "/metrics", "DELETE").starts_with("HTTP/1.1 405"));
}

TEST_F(HttpServerTest, ServesSeveralRequestsOnOneConnection) {
  const std::string reply =
      Exchange(server_->port(),
               "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
               "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(reply.find("ok\nHTTP/1.1 200"), std::string::npos) << reply;
}

TEST_F(HttpServerTest, ClosesOnWhatIsNotHttpAndOnHugeHeaders) {
  EXPECT_EQ(Exchange(server_->port(), "\x16\x03\x01 hello\r\n\r\n"), "");
  const std::string huge = "GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n";
  const int fd = Connect(server_->port());
  EXPECT_GT(::send(fd, huge.data(), huge.size(), MSG_NOSIGNAL), 0);
  ::close(fd);
  EXPECT_TRUE(Get(server_->port(), "/healthz").starts_with("HTTP/1.1 200")) << "still serving";
}

TEST_F(HttpServerTest, RefusesConnectionsBeyondItsLimit) {
  std::vector<int> idle;
  for (std::size_t i = 0; i < kConnectionsMax; ++i) idle.push_back(Connect(server_->port()));
  EXPECT_TRUE(Get(server_->port(), "/healthz").starts_with("HTTP/1.1 503"));
  for (const int fd : idle) ::close(fd);
}

TEST_F(HttpServerTest, ATakenPortIsAnErrorUnlessItMayMove) {
  const std::uint16_t port = server_->port();
  const auto refused = HttpServer::Start({.host = "127.0.0.1", .port = port}, Handlers());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kConfig);
  EXPECT_EQ(refused.error().code, "SLU-1011");
  const auto moved =
      HttpServer::Start({.host = "127.0.0.1", .port = port, .may_move = true}, Handlers());
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_GT((*moved)->port(), port);
  EXPECT_TRUE(Get((*moved)->port(), "/healthz").starts_with("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, StopsWithConnectionsOpenAndTwice) {
  const int fd = Connect(server_->port());
  server_->Stop();
  server_->Stop();
  ::close(fd);
}

TEST(HttpServer, SaysThatAnAddressIsNotOfThisMachine) {
  const auto refused = HttpServer::Start({.host = "192.0.2.1", .port = 9464}, Handlers());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "SLU-1011");
  EXPECT_FALSE(HttpServer::Start({.host = "no such host", .port = 9464}, Handlers()));
}

}  // namespace
}  // namespace sluice::telemetry
