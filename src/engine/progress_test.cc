#include "engine/progress.h"

#include <gtest/gtest.h>

namespace sluice::engine {
namespace {

TEST(UnreadLog, IsUnreadSinceTheFirstLookWhoseEndIsNotReached) {
  UnreadLog log;
  EXPECT_EQ(log.Since(Lsn{5}).value, 0);
  log.OnLook(Lsn{100}, Lsn{50}, UnixMicros{1000});
  log.OnLook(Lsn{200}, Lsn{60}, UnixMicros{2000});
  EXPECT_EQ(log.Since(Lsn{99}).value, 1000);
  EXPECT_EQ(log.end(), Lsn{200});
  // What came later was first seen by the look after that.
  EXPECT_EQ(log.Since(Lsn{100}).value, 0);
  log.OnLook(Lsn{300}, Lsn{150}, UnixMicros{3000});
  EXPECT_EQ(log.Since(Lsn{150}).value, 3000);
  EXPECT_EQ(log.Since(Lsn{300}).value, 0);
}

TEST(UnreadLog, OfAnotherPastNothingIsKnown) {
  UnreadLog log;
  log.OnLook(Lsn{100}, Lsn{50}, UnixMicros{1000});
  log.Forget();
  EXPECT_EQ(log.Since(Lsn{1}).value, 0);
  log.OnLook(Lsn{20}, Lsn{10}, UnixMicros{5000});
  EXPECT_EQ(log.Since(Lsn{10}).value, 5000);
}

}  // namespace
}  // namespace sluice::engine
