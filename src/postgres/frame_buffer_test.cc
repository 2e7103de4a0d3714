#include "postgres/frame_buffer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include "base/byte_reader.h"

namespace sluice::postgres {
namespace {

using Found = FrameBuffer::Found;
using Received = FrameBuffer::Received;

class FrameBufferTest : public ::testing::Test {
 protected:
  FrameBufferTest() {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends_.data()), 0);
  }
  ~FrameBufferTest() override {
    close(ends_[0]);
    close(ends_[1]);
  }
  void Write(std::vector<std::byte> bytes) {
    while (SendSome(ends_[0], bytes) == Sent::kPart) {
      EXPECT_EQ(buffer_.Receive(ends_[1]), Received::kSome);
    }
    while (buffer_.Receive(ends_[1]) == Received::kSome) {
    }
  }
  static std::vector<std::byte> Message(char type, const std::string& body) {
    return EncodeMessage(type, base::AsBytes(body));
  }

  std::array<int, 2> ends_{};
  FrameBuffer buffer_{64};
  FrameBuffer::Frame frame_;
};

TEST_F(FrameBufferTest, GivesMessagesWholeHoweverTheyCome) {
  std::vector<std::byte> bytes = Message('d', "first");
  const std::vector<std::byte> second = Message('C', "second, behind it");
  bytes.insert(bytes.end(), second.begin(), second.end());
  std::string found;
  for (const std::byte byte : bytes) {
    EXPECT_EQ(buffer_.Next(frame_), Found::kPart);
    Write({byte});
    if (buffer_.Next(frame_) != Found::kFrame) continue;
    found += frame_.type + std::string(base::AsText(frame_.body)) + ";";
  }
  EXPECT_EQ(found, "dfirst;Csecond, behind it;");
  EXPECT_TRUE(buffer_.is_empty());
}

TEST_F(FrameBufferTest, GrowsForALargeMessageAndGoesOnBehindIt) {
  const std::string large(1'000'000, 'x');
  Write(Message('d', large));
  ASSERT_EQ(buffer_.Next(frame_), Found::kFrame);
  EXPECT_EQ(base::AsText(frame_.body), large);
  Write(Message('d', "small"));
  ASSERT_EQ(buffer_.Next(frame_), Found::kFrame);
  EXPECT_EQ(base::AsText(frame_.body), "small");
  EXPECT_EQ(frame_.wire_bytes(), 10U);
}

TEST_F(FrameBufferTest, RefusesALengthThatCannotBeRight) {
  for (const char* head : {"d\0\0\0\3", "d\x80\0\0\0", "E\0\x20\0\0"}) {
    buffer_.Clear();
    const auto bytes = base::AsBytes(std::string_view(head, 5));
    Write({bytes.begin(), bytes.end()});
    EXPECT_EQ(buffer_.Next(frame_), Found::kMalformed);
  }
}

TEST_F(FrameBufferTest, TellsAnEndFromNothing) {
  EXPECT_EQ(buffer_.Receive(ends_[1]), Received::kNothing);
  shutdown(ends_[0], SHUT_WR);
  EXPECT_EQ(buffer_.Receive(ends_[1]), Received::kClosed);
  shutdown(ends_[1], SHUT_RDWR);
  std::vector<std::byte> bytes = Message('d', "nobody reads this");
  EXPECT_EQ(SendSome(ends_[0], bytes), Sent::kBroken);
}

TEST(ReadServerMessage, TakesTheFieldsThatAreUsed) {
  const std::string body("SFEHLER\0VERROR\0C22012\0Mby zero\0Wline 1\0RNumericDiv\0\0", 52);
  const ServerMessage message = ReadServerMessage(base::AsBytes(body));
  EXPECT_EQ(message.severity, "ERROR");
  EXPECT_EQ(message.sqlstate, "22012");
  EXPECT_EQ(message.message, "by zero");
  EXPECT_EQ(message.context, "line 1");
  EXPECT_EQ(message.source_function, "NumericDiv");
}

}  // namespace
}  // namespace sluice::postgres
