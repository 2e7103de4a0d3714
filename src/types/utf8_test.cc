#include "types/utf8.h"

#include <gtest/gtest.h>

#include <string>

#include "base/byte_reader.h"

namespace sluice::types {
namespace {

bool Valid(std::string_view text) {
  return IsUtf8(base::AsBytes(text));
}

TEST(IsUtf8, TakesAsciiAndEveryLengthOfSequence) {
  EXPECT_TRUE(Valid(""));
  EXPECT_TRUE(Valid("a long line of plain ASCII that takes the fast path"));
  EXPECT_TRUE(Valid("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"));
  EXPECT_TRUE(
      Valid("0123456789abcdef\xC3\xA9"
            "0123456789abcdef"));
  EXPECT_TRUE(Valid("\xF4\x8F\xBF\xBF"));
}

TEST(IsUtf8, RefusesBrokenSequencesAtEveryPlace) {
  for (const char* broken : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80",
                             "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xFF"}) {
    for (std::size_t before = 0; before < 20; ++before) {
      const std::string text = std::string(before, 'x') + broken;
      EXPECT_FALSE(Valid(text)) << before;
      EXPECT_FALSE(Valid(text + "tail that is long enough"));
    }
  }
}

}  // namespace
}  // namespace sluice::types
