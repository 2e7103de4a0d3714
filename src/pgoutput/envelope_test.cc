#include "pgoutput/envelope.h"

#include <gtest/gtest.h>

#include <string>

#include "base/byte_reader.h"
#include "base/testing/result_matchers.h"
#include "pgoutput/testing/message_writer.h"

namespace sluice::pgoutput {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsError;
using testing::MessageWriter;

std::string XLogDataFrame() {
  return MessageWriter('w').U64(0x16B3748).U64(0x16B3800).U64(1'000'000).Bytes("payload").Take();
}
std::string KeepaliveFrame(std::uint8_t reply = 1) {
  return MessageWriter('k').U64(0x16B3748).U64(1'000'000).U8(reply).Take();
}

TEST(DecodeEnvelope, ReadsXLogDataAndLeavesTheMessageInPlace) {
  const std::string frame = XLogDataFrame();
  const Result<Envelope> envelope = DecodeEnvelope(base::AsBytes(frame));
  ASSERT_TRUE(envelope);
  const auto& data = std::get<XLogData>(*envelope);
  EXPECT_EQ(data.wal_start, Lsn{0x16B3748});
  EXPECT_EQ(data.wal_end, Lsn{0x16B3800});
  EXPECT_EQ(data.sent_at, UnixMicros{kPostgresEpochMicros + 1'000'000});
  EXPECT_EQ(base::AsText(data.message), "payload");
}

TEST(DecodeEnvelope, ReadsAKeepalive) {
  const std::string frame = KeepaliveFrame();
  const Result<Envelope> envelope = DecodeEnvelope(base::AsBytes(frame));
  ASSERT_TRUE(envelope);
  const auto& keepalive = std::get<Keepalive>(*envelope);
  EXPECT_EQ(keepalive.wal_end, Lsn{0x16B3748});
  EXPECT_EQ(keepalive.sent_at, UnixMicros{kPostgresEpochMicros + 1'000'000});
  EXPECT_TRUE(keepalive.wants_reply);
}

TEST(DecodeEnvelope, RefusesEveryPrefixOfAKeepalive) {
  const std::string frame = KeepaliveFrame();
  for (std::size_t length = 0; length < frame.size(); ++length) {
    EXPECT_THAT(DecodeEnvelope(base::AsBytes(frame.substr(0, length))), CodeIs("SLU-3101"))
        << length;
  }
}

TEST(DecodeEnvelope, RefusesEveryPrefixOfAnXLogDataHeader) {
  const std::string frame = XLogDataFrame();
  for (std::size_t length = 0; length < 25; ++length) {
    EXPECT_THAT(DecodeEnvelope(base::AsBytes(frame.substr(0, length))),
                IsError(ErrorKind::kProtocol));
  }
}

TEST(DecodeEnvelope, RefusesAnExtraByteAndAnUnknownReplyFlag) {
  EXPECT_THAT(DecodeEnvelope(base::AsBytes(KeepaliveFrame() + "x")), CodeIs("SLU-3101"));
  EXPECT_THAT(DecodeEnvelope(base::AsBytes(KeepaliveFrame(2))), CodeIs("SLU-3101"));
}

TEST(DecodeEnvelope, RefusesAnUnknownFrame) {
  EXPECT_THAT(DecodeEnvelope(base::AsBytes("z")), CodeIs("SLU-3102"));
}

TEST(EncodeStandbyStatus, WritesTheServersLayout) {
  StandbyStatus status{Lsn{1}, Lsn{2}, Lsn{3}, UnixMicros{kPostgresEpochMicros + 4}, true};
  const auto bytes = EncodeStandbyStatus(status);
  EXPECT_EQ(base::AsText(bytes), MessageWriter('r').U64(1).U64(2).U64(3).U64(4).U8(1).Take());
}

}  // namespace
}  // namespace sluice::pgoutput
