#include "stores/schema_json.h"

#include <gtest/gtest.h>

#include "destinations/testing/rows.h"

namespace sluice::stores {
namespace {

TEST(SchemaJson, ReadsBackEveryFieldOfASchema) {
  auto schema =
      std::make_shared<TableSchema>(*testing::MakeSchema(16'384, {"Sch\"ema", "t\u00e4ble"},
                                                         {{"id", Carrier::kInt64, testing::kKey},
                                                          {"price", Carrier::kDecimal},
                                                          {"tags", Carrier::kList},
                                                          {"pair", Carrier::kStruct}},
                                                         ReplicaIdentity::kIndex));
  schema->columns[1].missing_value = "0.00";
  schema->hidden = {{schema->columns[2], {"s", "t"}, "tags", true}};
  const auto read = SchemaFromJson(SchemaToJson(*schema));
  ASSERT_TRUE(read) << read.error().server_message;
  EXPECT_EQ((*read)->relation, schema->relation);
  EXPECT_EQ((*read)->name, schema->name);
  EXPECT_EQ((*read)->identity, schema->identity);
  EXPECT_EQ((*read)->columns, schema->columns);
  EXPECT_EQ((*read)->key, schema->key);
  EXPECT_EQ((*read)->identity_columns, schema->identity_columns);
  EXPECT_EQ((*read)->since, schema->since);
  EXPECT_EQ((*read)->hidden, schema->hidden);
}

TEST(SchemaJson, KeepsTheWholeRangeOf64BitNumbers) {
  const Position position{
      Lsn{0xffffffffffffffff},
      Witness{Lsn{0xfffffffffffffffe}, TransactionId{0xffffffff}, UnixMicros{INT64_MIN}}};
  const auto read = PositionFromJson(PositionToJson(position));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->lsn, position.lsn);
  EXPECT_EQ(read->last_transaction->commit_lsn, position.last_transaction->commit_lsn);
  EXPECT_EQ(read->last_transaction->xid, position.last_transaction->xid);
  EXPECT_EQ(read->last_transaction->committed_at, position.last_transaction->committed_at);
}

TEST(SchemaJson, ReadsATableWithoutASchema) {
  TableRecord table;
  table.relation = RelationId{5};
  table.state = TableState::kSkipped;
  table.reason = "no identity";
  const auto read = TableFromJson(TableToJson(table));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->schema, nullptr);
  EXPECT_EQ(read->state, TableState::kSkipped);
  EXPECT_EQ(read->reason, "no identity");
}

TEST(SchemaJson, RefusesWhatItDidNotWrite) {
  EXPECT_FALSE(SchemaFromJson(""));
  EXPECT_FALSE(SchemaFromJson("[]"));
  EXPECT_FALSE(PositionFromJson("{}"));
  EXPECT_FALSE(PassedFromJson(R"({"is_unknown": 1, "floor": 0, "xids": []})"));
  const auto schema = testing::MakeSchema(1, {"s", "t"}, {{"id", Carrier::kInt64, testing::kKey}});
  std::string json = SchemaToJson(*schema);
  json.replace(json.find("\"key\":[0]"), 9, "\"key\":[7]");
  EXPECT_FALSE(SchemaFromJson(json)) << "an index beyond the columns";
  json = SchemaToJson(*schema);
  json.replace(json.find("int64"), 5, "int65");
  EXPECT_FALSE(SchemaFromJson(json));
}

}  // namespace
}  // namespace sluice::stores
