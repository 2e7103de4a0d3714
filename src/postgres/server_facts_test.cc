#include "postgres/server_facts.h"

#include <gtest/gtest.h>

namespace sluice::postgres {
namespace {

TEST(TimelineEnd, IsThatOfTheLineOfTheTimeline) {
  const std::string_view history =
      "1\t0/3000060\tno recovery target specified\n\n# a comment\n"
      "2\t1/A0\tbefore 2024-02-29 12:00:00+00\n";
  EXPECT_EQ(FindTimelineEnd(history, 1), Lsn{0x3000060});
  EXPECT_EQ(FindTimelineEnd(history, 2), Lsn{0x1000000A0});
}

TEST(TimelineEnd, IsUnknownOfATimelineThatIsNoAncestor) {
  EXPECT_EQ(FindTimelineEnd("1\t0/3000060\tx\n3\t0/4000060\tx\n", 2), std::nullopt);
  EXPECT_EQ(FindTimelineEnd("", 1), std::nullopt);
  EXPECT_EQ(FindTimelineEnd("1", 1), std::nullopt);
  EXPECT_EQ(FindTimelineEnd("1\tnonsense\tx", 1), std::nullopt);
}

}  // namespace
}  // namespace sluice::postgres
