#include "postgres/slot.h"

#include <gtest/gtest.h>

namespace sluice::postgres {
namespace {

TEST(RefineSnapshotError, NamesASnapshotThatIsTooLargeAndIsTriedAgain) {
  const Error error =
      RefineSnapshotError({.kind = ErrorKind::kConfig,
                           .message = "SQLSTATE XX000",
                           .server_message = "ERROR: initial slot snapshot too large",
                           .sqlstate = "XX000",
                           .code = "SLU-2013"});
  EXPECT_EQ(error.code, "SLU-2058");
  EXPECT_EQ(error.kind, ErrorKind::kConnection);
  EXPECT_NE(error.advice.find("savepoints"), std::string::npos);
}

TEST(RefineSnapshotError, LeavesOtherErrorsAsTheyAre) {
  const Error error = RefineSnapshotError({.kind = ErrorKind::kTimeout,
                                           .message = "m",
                                           .server_message = "canceled",
                                           .sqlstate = "57014",
                                           .code = "SLU-2104"});
  EXPECT_EQ(error.code, "SLU-2104");
  EXPECT_EQ(error.kind, ErrorKind::kTimeout);
}

}  // namespace
}  // namespace sluice::postgres
