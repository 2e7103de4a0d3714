#include "base/byte_reader.h"

#include <gtest/gtest.h>

namespace sluice::base {
namespace {

TEST(ByteReader, ReadsBigEndian) {
  ByteReader in(
      AsBytes(std::string_view("\x01\x02\x00\x00\x00\x07"
                               "ab\0",
                               9)));
  EXPECT_EQ(in.ReadU16(), 0x0102);
  EXPECT_EQ(in.ReadU32(), 7U);
  EXPECT_EQ(in.ReadCString(), "ab");
  EXPECT_TRUE(in.Finish());
}

TEST(ByteReader, StaysFailedAfterTheFirstOverrun) {
  ByteReader in(AsBytes("abc"));
  EXPECT_EQ(in.ReadU32(), 0U);
  EXPECT_EQ(in.ReadU8(), 0U);
  EXPECT_FALSE(in.ok());
  EXPECT_FALSE(in.Finish());
}

TEST(ByteReader, RefusesAStringWithoutItsZero) {
  ByteReader in(AsBytes("abc"));
  EXPECT_EQ(in.ReadCString(), "");
  EXPECT_FALSE(in.ok());
}

}  // namespace
}  // namespace sluice::base
