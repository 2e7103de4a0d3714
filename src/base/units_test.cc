#include "base/units.h"

#include <gtest/gtest.h>

#include "sluice/lsn.h"

namespace sluice {
namespace {

TEST(ParseSize, TakesBinaryUnitsOnly) {
  EXPECT_EQ(base::ParseSize("2GiB"), std::size_t{2} << 30);
  EXPECT_EQ(base::ParseSize("512"), std::size_t{512});
  EXPECT_EQ(base::ParseSize("64 MiB"), std::size_t{64} << 20);
  EXPECT_FALSE(base::ParseSize("2GB"));
  EXPECT_FALSE(base::ParseSize(""));
  EXPECT_FALSE(base::ParseSize("-1MiB"));
  EXPECT_FALSE(base::ParseSize("99999999999TiB"));
}

TEST(ParseDuration, WantsAUnit) {
  EXPECT_EQ(base::ParseDuration("250ms"), std::chrono::milliseconds(250));
  EXPECT_EQ(base::ParseDuration("1m"), std::chrono::seconds(60));
  EXPECT_FALSE(base::ParseDuration("10"));
  EXPECT_FALSE(base::ParseDuration("10d"));
}

TEST(ParseLsn, ReadsWhatToStringPrints) {
  const Lsn lsn{0x16'B374'D848};
  EXPECT_EQ(ToString(lsn), "16/B374D848");
  EXPECT_EQ(ParseLsn("16/B374D848"), lsn);
}

TEST(ParseLsn, RejectsWhatIsNotAnLsn) {
  for (const char* text : {"", "16", "/", "16/", "/1", "16/B374D8481", "1g/0", "0/0 "}) {
    EXPECT_FALSE(ParseLsn(text)) << text;
  }
}

TEST(FormatCount, GroupsThousands) {
  EXPECT_EQ(base::FormatCount(1234567), "1,234,567");
  EXPECT_EQ(base::FormatCount(-123), "-123");
  EXPECT_EQ(base::FormatCount(0), "0");
}

}  // namespace
}  // namespace sluice
