#include "base/reason.h"

#include <gtest/gtest.h>

namespace sluice::base {
namespace {

TEST(Reason, HasTheKeyAtItsEndAndComesWithoutIt) {
  const Error error{.kind = ErrorKind::kConversion,
                    .message = "column a (date): out of range",
                    .server_message = "(id)=(secret; row (2))",
                    .code = "SLU-4108"};
  const std::string reason = ReasonText(error);
  EXPECT_EQ(reason, "SLU-4108: column a (date): out of range; row (id)=(secret; row (2))");
  EXPECT_EQ(WithoutRowKey(reason), "SLU-4108: column a (date): out of range");
}

TEST(Reason, IsTheMessageWhereThereIsNothingElse) {
  EXPECT_EQ(ReasonText(Error{.message = "gone"}), "gone");
  EXPECT_EQ(ReasonText(Error{.message = "no", .server_message = "(said the server)"}), "no");
  EXPECT_EQ(WithoutRowKey("gone"), "gone");
}

}  // namespace
}  // namespace sluice::base
