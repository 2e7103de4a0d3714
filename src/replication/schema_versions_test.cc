#include "replication/schema_versions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/testing/result_matchers.h"
#include "replication/testing/change_batches.h"

namespace sluice::replication {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::HasValue;
using sluice::testing::MessageIs;
using ::testing::HasSubstr;
using testing::MakeColumn;
using testing::MakeTable;

std::shared_ptr<TableSchema> Known() {
  return MakeTable({MakeColumn("id", 23), MakeColumn("v", 25), MakeColumn("w", 1043)}, {0},
                   ReplicaIdentity::kDefault);
}

class CompareSchemaTest : public ::testing::Test {
 protected:
  std::shared_ptr<TableSchema> now_ = Known();
  Result<SchemaChange> Compare() { return CompareSchema(*Known(), *now_); }
};

TEST_F(CompareSchemaTest, FindsTheSameVersion) {
  EXPECT_THAT(Compare(), HasValue(SchemaChange::kNone));
}

TEST_F(CompareSchemaTest, FindsAddedColumns) {
  now_->columns.push_back(MakeColumn("x", 23));
  EXPECT_THAT(Compare(), HasValue(SchemaChange::kColumnsAdded));
}

TEST_F(CompareSchemaTest, NamesADroppedColumn) {
  now_->columns.erase(now_->columns.begin() + 1);
  EXPECT_THAT(Compare(), MessageIs("schema changed: column \"v\" was dropped"));
  EXPECT_THAT(Compare(), CodeIs("SLU-4201"));
  EXPECT_EQ(Compare().error().advice, "sluice resync public.t");
}

TEST_F(CompareSchemaTest, NamesARenamedColumn) {
  now_->columns[1].name = "v2";
  EXPECT_THAT(Compare(),
              MessageIs("schema changed: column \"v\" was dropped, or renamed to \"v2\""));
}

TEST_F(CompareSchemaTest, NamesAChangedType) {
  now_->columns[1] = MakeColumn("v", 23);
  EXPECT_THAT(Compare(), MessageIs(HasSubstr("column \"v\" was text and is integer")));
}

TEST_F(CompareSchemaTest, NamesAColumnDroppedAndAddedAgain) {
  std::swap(now_->columns[1], now_->columns[2]);
  EXPECT_THAT(Compare(), MessageIs(HasSubstr("is at another place")));
}

TEST_F(CompareSchemaTest, FindsAnotherIdentityKeyOrName) {
  now_->identity = ReplicaIdentity::kFull;
  EXPECT_THAT(Compare(), MessageIs(HasSubstr("replica identity")));
  now_ = Known();
  now_->identity_columns = {1};
  EXPECT_THAT(Compare(), MessageIs(HasSubstr("replica identity")));
  now_ = Known();
  now_->key = {1};
  EXPECT_THAT(Compare(), MessageIs(HasSubstr("primary key")));
  now_ = Known();
  now_->name.table = "u";
  EXPECT_THAT(Compare(), MessageIs(HasSubstr("renamed to public.u")));
}

TEST_F(CompareSchemaTest, TakesATypeThatKeepsEveryValueAsTheSame) {
  now_->columns[2].type = MakeColumn("w", 25).type;  // varchar to text
  EXPECT_THAT(Compare(), HasValue(SchemaChange::kNone));
  now_ = Known();
  auto known = Known();
  known->columns[2].type.typmod = 14;
  now_->columns[2].type.typmod = 24;
  EXPECT_THAT(CompareSchema(*known, *now_), HasValue(SchemaChange::kNone));
  EXPECT_THAT(CompareSchema(*now_, *known), CodeIs("SLU-4201"));
}

class FollowRelationTest : public ::testing::Test {
 protected:
  FollowRelationTest() {
    relation_.id = {7};
    relation_.name = {"public", "t"};
    relation_.columns = {{"id", {23}, -1, true}, {"v", {25}, -1, false}, {"w", {1043}, -1, false}};
  }
  pgoutput::Relation relation_;
  types::TypeCatalog catalog_;
};

TEST_F(FollowRelationTest, KeepsTheKnownVersion) {
  const SchemaPtr known = Known();
  const auto followed = FollowRelation(known, relation_, catalog_);
  ASSERT_TRUE(followed) << followed.error().message;
  EXPECT_EQ(followed->change, SchemaChange::kNone);
  EXPECT_EQ(followed->schema, known);
}

TEST_F(FollowRelationTest, AddsColumnsBehindTheKnownOnes) {
  relation_.columns.push_back({"x", {23}, -1, false});
  auto known = Known();
  known->columns[1].attnum = 5;
  const auto followed = FollowRelation(known, relation_, catalog_);
  ASSERT_TRUE(followed);
  EXPECT_EQ(followed->change, SchemaChange::kColumnsAdded);
  ASSERT_EQ(followed->schema->columns.size(), 4U);
  EXPECT_EQ(followed->schema->columns[1].attnum, 5);
  EXPECT_EQ(followed->schema->columns[3].type.carrier, Carrier::kInt32);
}

TEST_F(FollowRelationTest, RefusesOtherChanges) {
  relation_.columns.pop_back();
  EXPECT_THAT(FollowRelation(Known(), relation_, catalog_), CodeIs("SLU-4201"));
}

TEST_F(FollowRelationTest, TakesThePrimaryKeyFromTheKnownVersionUnderFull) {
  relation_.identity = ReplicaIdentity::kFull;
  for (auto& column : relation_.columns) column.is_identity = true;
  const SchemaPtr known = MakeTable(Known()->columns, {0}, ReplicaIdentity::kFull);
  const auto followed = FollowRelation(known, relation_, catalog_);
  ASSERT_TRUE(followed) << followed.error().message;
  EXPECT_EQ(followed->schema, known);
}

}  // namespace
}  // namespace sluice::replication
