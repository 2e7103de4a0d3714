#include "telemetry/control_socket.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "telemetry/control_address.h"

namespace sluice::telemetry {
namespace {

namespace fs = std::filesystem;

Clock::time_point Soon() {
  return Clock::now() + std::chrono::seconds(20);
}

class ControlSocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "sluice-control-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
  }
  std::unique_ptr<ControlServer> Serve(const std::string& dir, ControlServer::Handler handler) {
    auto started = ControlServer::Start(dir, "shop", std::move(handler));
    EXPECT_TRUE(started) << started.error().message;
    return started ? *std::move(started) : nullptr;
  }
  static ControlClient Client(const std::string& dir) {
    auto client = ControlClient::Connect(dir, "shop");
    EXPECT_TRUE(client && *client);
    return *std::move(*client);
  }
  static void Echo(const std::string& request, ControlReply& reply) {
    // A test may have heard enough after the first line.
    if (reply.Send(request)) static_cast<void>(reply.Send("{\"done\":true}").has_value());
  }

  std::string dir_;
};

TEST_F(ControlSocketTest, CarriesARequestAndALineByLineReply) {
  const auto server = Serve(dir_, Echo);
  ControlClient client = Client(dir_);
  ASSERT_TRUE(client.Send("{\"command\":\"status\"}"));
  EXPECT_EQ(*client.Receive(Soon()), "{\"command\":\"status\"}");
  EXPECT_EQ(*client.Receive(Soon()), "{\"done\":true}");
  const auto end = client.Receive(Soon());
  ASSERT_TRUE(end);
  EXPECT_EQ(*end, std::nullopt);
}

TEST_F(ControlSocketTest, IsForItsOwnerOnlyAndGoesAtTheEnd) {
  auto server = Serve(dir_, Echo);
  struct stat found{};
  ASSERT_EQ(::stat((dir_ + "/shop.sock").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
  server.reset();
  EXPECT_FALSE(fs::exists(dir_ + "/shop.sock"));
  const auto client = ControlClient::Connect(dir_, "shop");
  ASSERT_TRUE(client);
  EXPECT_FALSE(*client);
}

TEST_F(ControlSocketTest, WorksBelowAVeryLongPath) {
  std::string deep = dir_;
  for (int i = 0; i < 5; ++i) deep += "/" + std::string(60, 'd');
  const auto server = Serve(deep, Echo);
  ControlClient client = Client(deep);
  ASSERT_TRUE(client.Send("{}"));
  EXPECT_EQ(*client.Receive(Soon()), "{}");
  EXPECT_EQ(*RunningPipelines(deep), std::vector<std::string>{"shop"});
}

TEST_F(ControlSocketTest, ASecondServerOfThePipelineIsRefused) {
  const auto server = Serve(dir_, Echo);
  const auto second = ControlServer::Start(dir_, "shop", Echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, "SLU-1012");
  EXPECT_TRUE(ControlServer::Start(dir_, "other", Echo));
}

TEST_F(ControlSocketTest, AStaleSocketIsReplaced) {
  {
    // As a killed process leaves it: bound, and nobody listens.
    const auto address = ControlAddressOf(dir_, "shop");
    ASSERT_TRUE(address);
    const OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(fd.get(), address->get(), address->length), 0);
  }
  ASSERT_TRUE(fs::exists(dir_ + "/shop.sock"));
  EXPECT_TRUE(RunningPipelines(dir_)->empty());
  const auto client = ControlClient::Connect(dir_, "shop");
  ASSERT_TRUE(client);
  EXPECT_FALSE(*client);
  const auto server = Serve(dir_, Echo);
  ASSERT_NE(server, nullptr);
  EXPECT_EQ(RunningPipelines(dir_)->size(), 1U);
}

TEST_F(ControlSocketTest, TheHandlerIsAskedToStopWhenTheClientGoesAway) {
  std::promise<bool> stopped;
  const auto server = Serve(dir_, [&](const std::string&, ControlReply& reply) {
    EXPECT_TRUE(reply.Send("{}"));
    const auto deadline = Soon();
    while (!reply.stop_token().stop_requested() && Clock::now() < deadline) {
      std::this_thread::yield();
    }
    stopped.set_value(reply.stop_token().stop_requested());
  });
  {
    ControlClient client = Client(dir_);
    ASSERT_TRUE(client.Send("{}"));
    ASSERT_TRUE(client.Receive(Soon()));
  }
  EXPECT_TRUE(stopped.get_future().get());
}

TEST_F(ControlSocketTest, AClientThatReadsNothingIsLeft) {
  std::promise<Status> ended;
  const auto server = ControlServer::Start(
      dir_, "shop",
      [&](const std::string&, ControlReply& reply) {
        const std::string line(std::size_t{1} << 20, 'x');
        Status sent;
        while (sent) sent = reply.Send(line);
        EXPECT_TRUE(reply.stop_token().stop_requested());
        ended.set_value(sent);
      },
      std::chrono::milliseconds(20));
  ASSERT_TRUE(server);
  ControlClient client = Client(dir_);
  ASSERT_TRUE(client.Send("{}"));
  const Status status = ended.get_future().get();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kCancelled);
}

TEST_F(ControlSocketTest, StoppingEndsHandlersAndClients) {
  std::promise<void> entered;
  auto server = Serve(dir_, [&](const std::string&, ControlReply& reply) {
    entered.set_value();
    const auto deadline = Soon();
    while (!reply.stop_token().stop_requested() && Clock::now() < deadline) {
      std::this_thread::yield();
    }
  });
  ControlClient client = Client(dir_);
  ASSERT_TRUE(client.Send("{}"));
  entered.get_future().wait();
  server->Stop();
  const auto end = client.Receive(Soon());
  ASSERT_TRUE(end);
  EXPECT_EQ(*end, std::nullopt);
}

TEST_F(ControlSocketTest, ALongReplyArrivesWhole) {
  const std::string line(3'000'000, 'x');
  const auto server = Serve(dir_, [&](const std::string&, ControlReply& reply) {
    EXPECT_TRUE(reply.Send(line));
    EXPECT_TRUE(reply.Send(line));
  });
  ControlClient client = Client(dir_);
  ASSERT_TRUE(client.Send("{}"));
  EXPECT_EQ(**client.Receive(Soon()), line);
  EXPECT_EQ(**client.Receive(Soon()), line);
}

TEST_F(ControlSocketTest, MoreClientsThanItsLimitAreToldSo) {
  const auto server = Serve(dir_, Echo);
  std::vector<ControlClient> idle;
  for (std::size_t i = 0; i < kControlConnectionsMax; ++i) idle.push_back(Client(dir_));
  ControlClient more = Client(dir_);
  const auto reply = more.Receive(Soon());
  ASSERT_TRUE(reply && *reply);
  EXPECT_NE((*reply)->find("too many connections"), std::string::npos);
}

TEST_F(ControlSocketTest, TimesOutOnASilentServer) {
  const auto server = Serve(dir_, Echo);
  ControlClient client = Client(dir_);
  const auto reply = client.Receive(Clock::now());
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, ErrorKind::kTimeout);
}

TEST_F(ControlSocketTest, ADirectoryThatCannotBeMadeIsAnError) {
  const auto server = ControlServer::Start("/proc/no/such", "shop", Echo);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, "SLU-1013");
  EXPECT_TRUE(RunningPipelines("/no/such/place")->empty());
}

}  // namespace
}  // namespace sluice::telemetry
