#include "types/hidden_columns.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/testing/result_matchers.h"

namespace sluice::types {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsOk;

/// public.users(id key, name, secret), numbered from 1.
std::shared_ptr<TableSchema> Users() {
  auto schema = std::make_shared<TableSchema>();
  schema->name = {"public", "users"};
  std::int16_t attnum = 0;
  for (const char* name : {"id", "name", "secret"}) {
    Column& column = schema->columns.emplace_back();
    column.name = name;
    column.attnum = ++attnum;
    column.is_identity = attnum == 1;
  }
  schema->key = {0};
  schema->identity_columns = {0};
  return schema;
}

TableRules Excluding(const std::string& pattern, const std::string& column) {
  TableRules rules;
  EXPECT_THAT(rules.Exclude(pattern, {column}), IsOk());
  return rules;
}

std::vector<std::string> Names(const TableSchema& schema) {
  std::vector<std::string> names;
  for (const Column& column : schema.columns) names.push_back(column.name);
  return names;
}

using Strings = std::vector<std::string>;

TEST(HiddenColumns, WhatIsExcludedIsLeftOutAndKnownByItsNumber) {
  auto users = Users();
  users->columns[2].missing_value = "s3cret";
  const auto kept = HideColumns(users, Excluding("public.users", "secret"), {});
  ASSERT_THAT(kept, IsOk());
  EXPECT_EQ(Names(**kept), (Strings{"id", "name"}));
  ASSERT_EQ((*kept)->hidden.size(), 1U);
  EXPECT_EQ((*kept)->hidden[0].column.attnum, 3);
  EXPECT_EQ((*kept)->hidden[0].rule_name, "secret");
  EXPECT_FALSE((*kept)->hidden[0].column.missing_value) << "a default is a value";
  EXPECT_EQ(Names(*WithHidden(*kept)), (Strings{"id", "name", "secret"}));
  EXPECT_EQ(WithHidden(*kept)->key, (std::vector<std::int32_t>{0}));
}

TEST(HiddenColumns, NothingExcludedIsTheSameSchema) {
  const SchemaPtr users = Users();
  const auto kept = HideColumns(users, Excluding("public.orders", "secret"), {});
  ASSERT_THAT(kept, IsOk());
  EXPECT_EQ(*kept, users);
  EXPECT_EQ(WithHidden(users), users);
}

TEST(HiddenColumns, ARenamedColumnOrTableStaysHidden) {
  const TableRules rules = Excluding("public.users", "secret");
  const SchemaPtr before = *HideColumns(Users(), rules, {});
  auto renamed = Users();
  renamed->columns[2].name = "innocent";
  renamed->name.table = "people";
  const auto kept = HideColumns(renamed, rules, before->hidden);
  ASSERT_THAT(kept, IsOk());
  EXPECT_EQ(Names(**kept), (Strings{"id", "name"}));
  EXPECT_EQ((*kept)->hidden[0].column.name, "innocent");
  EXPECT_EQ((*kept)->hidden[0].rule_table, (TableName{"public", "users"}));
}

TEST(HiddenColumns, AnotherColumnThatTakesTheNameIsHiddenToo) {
  const TableRules rules = Excluding("public.users", "secret");
  const SchemaPtr before = *HideColumns(Users(), rules, {});
  auto swapped = Users();
  std::swap(swapped->columns[1].name, swapped->columns[2].name);
  const auto kept = HideColumns(swapped, rules, before->hidden);
  ASSERT_THAT(kept, IsOk());
  EXPECT_EQ(Names(**kept), Strings{"id"});
}

TEST(HiddenColumns, ADroppedOneIsRememberedAndNotMissed) {
  const TableRules rules = Excluding("public.users", "secret");
  const SchemaPtr before = *HideColumns(Users(), rules, {});
  auto dropped = Users();
  dropped->columns.pop_back();
  const auto kept = HideColumns(dropped, rules, before->hidden);
  ASSERT_THAT(kept, IsOk());
  EXPECT_TRUE((*kept)->hidden[0].is_gone);
  EXPECT_EQ(Names(*WithHidden(*kept)), (Strings{"id", "name"}));
}

TEST(HiddenColumns, RefusesAKeyAndANameThatWasNeverThere) {
  EXPECT_THAT(HideColumns(Users(), Excluding("public.users", "id"), {}), CodeIs("SLU-4124"));
  EXPECT_THAT(HideColumns(Users(), Excluding("public.users", "pw"), {}), CodeIs("SLU-4125"));
  EXPECT_THAT(HideColumns(Users(), Excluding("public.*", "pw"), {}), IsOk());
}

TEST(HiddenColumns, UnderFullWhatIsLeftOfTheRowIsItsIdentity) {
  auto full = Users();
  full->identity = ReplicaIdentity::kFull;
  full->key.clear();
  full->identity_columns = {0, 1, 2};
  for (Column& column : full->columns) column.is_identity = true;
  const auto kept = KeepColumns(full, (*HideColumns(full, Excluding("*.*", "name"), {}))->hidden);
  ASSERT_THAT(kept, IsOk());
  EXPECT_EQ(kept->cells, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(kept->schema->identity_columns, (std::vector<std::int32_t>{0, 1}));
}

TEST(HiddenColumns, OnlyWhatIsNotExcludedAnyMoreIsReleased) {
  const TableRules rules = Excluding("public.users", "secret");
  const SchemaPtr kept = *HideColumns(Users(), rules, {});
  EXPECT_EQ(WithoutReleased(kept->hidden, rules).size(), 1U);
  EXPECT_TRUE(WithoutReleased(kept->hidden, TableRules{}).empty());
  EXPECT_TRUE(KeepsExcluded(*Users(), rules));
  EXPECT_FALSE(KeepsExcluded(*kept, rules));
}

}  // namespace
}  // namespace sluice::types
