#include "replication/partition_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::replication {
namespace {

using ::testing::HasSubstr;

TEST(PartitionChange, IsNothingForATableWithoutPartitionsWhateverItsFile) {
  EXPECT_EQ(PartitionChange("1", "2"), "");
  EXPECT_EQ(PartitionChange("", "2"), "");
}

TEST(PartitionChange, IsNothingForOneThatWasMadeInItsPlace) {
  EXPECT_EQ(PartitionChange("20/20/7", "20/20/7 21/21/8+"), "");
  EXPECT_EQ(PartitionChange("", "21/21/8+"), "");
}

TEST(PartitionChange, IsNothingForOneThatWasAttachedEmptyNorWhenItGetsRows) {
  EXPECT_EQ(PartitionChange("20/20/7", "20/20/7 21/21/10e"), "");
  EXPECT_EQ(PartitionChange("20/20/7+ 21/21/10e", "20/20/7+ 21/21/10"), "");
  EXPECT_THAT(PartitionChange("20/20/7 21/21/10e", "20/20/7 21/21/10e-"), HasSubstr("21"));
}

TEST(PartitionChange, TellsOneThatWasAttached) {
  EXPECT_THAT(PartitionChange("20/20/7+", "20/20/7+ 21/21/8"), HasSubstr("21 was attached"));
}

TEST(PartitionChange, TellsOneThatIsGone) {
  EXPECT_THAT(PartitionChange("20/20/7+ 21/21/7+", "20/20/7+"), HasSubstr("21 was detached"));
  EXPECT_THAT(PartitionChange("20/20/7+", ""), HasSubstr("20 was detached"));
}

TEST(PartitionChange, TellsOneThatIsBeingDetachedAndOneThatCameBack) {
  EXPECT_THAT(PartitionChange("20/20/7", "20/20/7-"), HasSubstr("20 was detached"));
  EXPECT_THAT(PartitionChange("20/20/7+", "20/20/9"), HasSubstr("20 was detached"));
}

TEST(PartitionChange, KnowsAPartitionByItsWholeNumber) {
  EXPECT_TRUE(HasPartition("20/20/7+ 121/21/8", RelationId{121}));
  EXPECT_FALSE(HasPartition("20/20/7+ 121/21/8", RelationId{21}));
  EXPECT_FALSE(HasPartition("", RelationId{20}));
}

TEST(PartitionChange, TellsOneWithAnotherFile) {
  EXPECT_THAT(PartitionChange("20/20/7+", "20/30/7+"), HasSubstr("20 was truncated or rewritten"));
}

}  // namespace
}  // namespace sluice::replication
