#include "destinations/duckdb/schema_json.h"

#include <gtest/gtest.h>

#include "destinations/testing/rows.h"

namespace sluice::duckdb {
namespace {

TEST(SchemaJson, GivesBackWhatItWasGiven) {
  const SchemaPtr schema = sluice::testing::MakeSchema(7, {"sch\"ema", "t'able"},
                                                       {{"id", Carrier::kInt64, true},
                                                        {"l", Carrier::kList},
                                                        {"s", Carrier::kStruct},
                                                        {"d", Carrier::kDecimal},
                                                        {"m", Carrier::kMap}},
                                                       ReplicaIdentity::kIndex);
  auto changed = std::make_shared<TableSchema>(*schema);
  changed->columns[1].missing_value = "{a,\n\"b\"}";
  changed->columns[2].is_nullable = false;
  changed->hidden = {{changed->columns[2], {"s", "t"}, "tags", true}};
  changed->since = Lsn{0xffff'ffff'ffff'fff0};
  const auto read = SchemaFromJson(SchemaToJson(*changed));
  ASSERT_TRUE(read) << read.error().server_message;
  EXPECT_EQ((*read)->relation, changed->relation);
  EXPECT_EQ((*read)->name, changed->name);
  EXPECT_EQ((*read)->identity, changed->identity);
  EXPECT_EQ((*read)->columns, changed->columns);
  EXPECT_EQ((*read)->key, changed->key);
  EXPECT_EQ((*read)->identity_columns, changed->identity_columns);
  EXPECT_EQ((*read)->since, changed->since);
  EXPECT_EQ((*read)->hidden, changed->hidden);
}

TEST(SchemaJson, RefusesWhatIsNotASchema) {
  for (const char* text :
       {"", "null", "[]", "{}", "{\"relation\": \"x\"}",
        R"({"relation":1,"schema":"a","table":"b","replica_identity":"d","columns":[],"key":[0],)"
        R"("identity_columns":[],"since":0})",
        R"({"relation":1,"schema":"a","table":"b","replica_identity":"","columns":[],"key":[],)"
        R"("identity_columns":[],"since":0})"}) {
    const auto read = SchemaFromJson(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, "SLU-5016");
  }
}

}  // namespace
}  // namespace sluice::duckdb
