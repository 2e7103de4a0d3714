#include "verify/copy_rows.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::verify {
namespace {

using namespace std::string_literals;

const std::string kHeader = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"s;
const std::string kRow = "\0\2\0\0\0\1x\377\377\377\377"s;
const std::string kTrailer = "\377\377"s;

TEST(CopyRows, ReadsRowsHeaderAndTrailerInAnyCut) {
  for (const bool is_one_message : {true, false}) {
    CopyRows rows(2);
    int count = 0;
    const std::vector<std::string> messages = is_one_message
                                                  ? std::vector{kHeader + kRow + kRow + kTrailer}
                                                  : std::vector{kHeader, kRow, kRow, kTrailer};
    for (const std::string& message : messages) {
      rows.Begin(base::AsBytes(message));
      while (true) {
        const auto has_row = rows.Next();
        ASSERT_TRUE(has_row.has_value()) << has_row.error().message;
        if (!*has_row) break;
        ++count;
        EXPECT_EQ(base::AsText(rows.cells()[0].bytes), "x");
        EXPECT_TRUE(rows.cells()[1].is_null);
      }
    }
    EXPECT_EQ(count, 2);
    EXPECT_TRUE(rows.CheckComplete().has_value());
  }
}

TEST(CopyRows, RefusesWhatIsNotABinaryCopy) {
  const std::vector<std::string> bad = {
      "PGCOPY\n\r\n"s,
      "PGCOPY\n\377\r\n\0\0\1\0\0\0\0\0\0"s + kRow,
      kHeader + "\0\1\0\0\0\1x"s,
      kHeader + "\0\2\0\0\0\2x"s,
      kHeader + "\0\2\377\377\377\376"s,
      kHeader + "\377\376"s,
      kHeader + kTrailer + kRow,
      kHeader + kRow.substr(0, 1),
  };
  for (const std::string& message : bad) {
    CopyRows rows(2);
    rows.Begin(base::AsBytes(message));
    const auto has_row = rows.Next();
    EXPECT_FALSE(has_row.has_value()) << &message - bad.data();
  }
}

TEST(CopyRows, SaysWhenTheCopyEndedEarly) {
  CopyRows rows(2);
  rows.Begin(base::AsBytes(kHeader));
  ASSERT_TRUE(rows.Next().has_value());
  EXPECT_FALSE(rows.CheckComplete().has_value());
}

}  // namespace
}  // namespace sluice::verify
