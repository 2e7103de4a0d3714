#include <algorithm>

#include "postgres/catalog.h"
#include "postgres/publication.h"
#include "postgres/server_fixture.h"

namespace sluice::postgres {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CatalogTest : public ServerTest {
 protected:
  RelationId Relation(const std::string& name) {
    return {static_cast<std::uint32_t>(
        Sql("SELECT '" + name + "'::regclass::oid").integer_or(0, 0, 0))};
  }
  SourceTable Table(const std::string& name) {
    const auto tables = ListTables(*sql_);
    EXPECT_THAT(tables, IsOk());
    for (const SourceTable& table : *tables) {
      if (table.name.table == name) return table;
    }
    ADD_FAILURE() << "no table " << name;
    return {};
  }
};

TEST_F(CatalogTest, SaysWhichTablesHaveAUsableIdentity) {
  Sql("CREATE TABLE public.good (id int PRIMARY KEY, x text)");
  Sql("CREATE TABLE public.keyless (x text)");
  Sql("CREATE TABLE public.fully (x text); ALTER TABLE public.fully REPLICA IDENTITY FULL");
  Sql("CREATE TABLE public.nothing (id int PRIMARY KEY); "
      "ALTER TABLE public.nothing REPLICA IDENTITY NOTHING");
  Sql("CREATE TABLE public.late (id int PRIMARY KEY DEFERRABLE)");
  Sql("CREATE TABLE public.indexed (a int NOT NULL, b int); "
      "CREATE UNIQUE INDEX i ON public.indexed (a); "
      "ALTER TABLE public.indexed REPLICA IDENTITY USING INDEX i");
  EXPECT_EQ(Table("good").identity_state, IdentityState::kUsable);
  EXPECT_EQ(Table("keyless").identity_state, IdentityState::kMissing);
  EXPECT_EQ(Table("fully").identity_state, IdentityState::kUsable);
  EXPECT_EQ(Table("nothing").identity_state, IdentityState::kNothing);
  EXPECT_EQ(Table("late").identity_state, IdentityState::kBroken);
  EXPECT_EQ(Table("indexed").identity_state, IdentityState::kUsable);
  Sql("DROP INDEX public.i");
  EXPECT_EQ(Table("indexed").identity_state, IdentityState::kBroken);
}

TEST_F(CatalogTest, JudgesAPartitionedTableByItsWorstLeaf) {
  Sql("CREATE TABLE public.root (id int, d int, PRIMARY KEY (id, d)) PARTITION BY LIST (d); "
      "CREATE TABLE public.leaf1 PARTITION OF public.root FOR VALUES IN (1); "
      "CREATE TABLE public.leaf2 PARTITION OF public.root FOR VALUES IN (2)");
  EXPECT_EQ(Table("root").identity_state, IdentityState::kUsable);
  EXPECT_EQ(Table("root").kind, TableKind::kPartitionedRoot);
  EXPECT_EQ(Table("leaf1").kind, TableKind::kPartition);
  Sql("ALTER TABLE public.leaf2 REPLICA IDENTITY NOTHING");
  EXPECT_EQ(Table("root").identity_state, IdentityState::kNothing);
}

TEST_F(CatalogTest, TellsKindsApart) {
  Sql("CREATE UNLOGGED TABLE public.u (id int PRIMARY KEY); CREATE VIEW public.v AS SELECT 1 AS a; "
      "CREATE MATERIALIZED VIEW public.m AS SELECT 1 AS a; CREATE TABLE public.none ()");
  EXPECT_EQ(Table("u").persistence, 'u');
  EXPECT_EQ(Table("v").kind, TableKind::kView);
  EXPECT_EQ(Table("m").kind, TableKind::kMaterializedView);
  EXPECT_THAT(Table("none").column_names, IsEmpty());
  EXPECT_TRUE(Table("u").is_ours_to_alter);
  EXPECT_TRUE(Table("u").may_select);
}

TEST_F(CatalogTest, LoadsASchemaWithKeyTypesAndMissingValues) {
  Sql("CREATE DOMAIN public.amount AS numeric(10,2); "
      "CREATE TABLE public.t (note text, dropped int, id2 int, id1 bigint, a public.amount, "
      "g int GENERATED ALWAYS AS (id2 + 1) STORED, PRIMARY KEY (id1, id2)); "
      "INSERT INTO public.t VALUES ('n', 1, 2, 3, 4); ALTER TABLE public.t DROP COLUMN dropped; "
      "ALTER TABLE public.t ADD COLUMN late text NOT NULL DEFAULT 'a,\"b'");
  const auto types = LoadTypeCatalog(*sql_);
  ASSERT_THAT(types, IsOk());
  const auto loaded = LoadTableSchema(*sql_, *types, Relation("public.t"), "");
  ASSERT_THAT(loaded, IsOk());
  const TableSchema& schema = *loaded->schema;
  std::vector<std::string> names;
  for (const Column& column : schema.columns) names.push_back(column.name);
  EXPECT_THAT(names, ElementsAre("note", "id2", "id1", "a", "late"));
  EXPECT_THAT(schema.key, ElementsAre(1, 2));
  EXPECT_THAT(schema.identity_columns, ElementsAre(1, 2));
  EXPECT_EQ(schema.columns[3].type.carrier, Carrier::kDecimal);
  EXPECT_EQ(schema.columns[2].type.carrier, Carrier::kInt64);
  EXPECT_EQ(schema.columns[4].missing_value, "a,\"b");
  EXPECT_FALSE(schema.columns[4].is_nullable);
  EXPECT_TRUE(schema.columns[0].is_nullable);
  EXPECT_EQ(schema.columns[1].attnum, 3);
}

TEST_F(CatalogTest, HonoursColumnListAndRowFilterOfThePublication) {
  if (sql_->server_version() < 150000) GTEST_SKIP() << "column lists came with 15";
  Sql("CREATE TABLE public.t (id int PRIMARY KEY, a text, secret text); "
      "CREATE PUBLICATION p FOR TABLE public.t (id, a) WHERE (id > 10)");
  const auto types = LoadTypeCatalog(*sql_);
  ASSERT_THAT(types, IsOk());
  const auto loaded = LoadTableSchema(*sql_, *types, Relation("public.t"), "p");
  ASSERT_THAT(loaded, IsOk());
  EXPECT_EQ(loaded->schema->columns.size(), 2U);
  EXPECT_EQ(loaded->row_filter, "(id > 10)");
  EXPECT_NE(loaded->publication_entry, 0U);
}

TEST_F(CatalogTest, TakesEveryColumnAsIdentityUnderFull) {
  Sql("CREATE TABLE public.t (a int, id int PRIMARY KEY); ALTER TABLE public.t REPLICA IDENTITY "
      "FULL");
  const auto loaded = LoadTableSchema(*sql_, {}, Relation("public.t"), "");
  ASSERT_THAT(loaded, IsOk());
  EXPECT_EQ(loaded->schema->identity, ReplicaIdentity::kFull);
  EXPECT_THAT(loaded->schema->identity_columns, ElementsAre(0, 1));
  EXPECT_THAT(loaded->schema->key, ElementsAre(1));
  EXPECT_THAT(LoadTableSchema(*sql_, {}, RelationId{4'000'000'000U}, ""), CodeIs("SLU-2103"));
}

TEST_F(CatalogTest, KeepsThePublicationToTheSelection) {
  Sql("CREATE TABLE public.a (id int PRIMARY KEY); CREATE TABLE public.\"B c\" (id int PRIMARY "
      "KEY)");
  const PublicationContents first{
      .tables = {{"public", "a"}}, .append = {}, .has_companion = false};
  ASSERT_THAT(CreatePublication(*sql_, "sluice_x", "6b0e-gen", first), IsOk());
  auto publication = ReadPublication(*sql_, "sluice_x");
  ASSERT_THAT(publication, IsOk());
  ASSERT_TRUE(publication->has_value());
  EXPECT_EQ(GenerationOf((*publication)->comment), "6b0e-gen");
  EXPECT_TRUE((*publication)->is_via_root);
  EXPECT_TRUE((*publication)->publishes_everything());

  const std::vector<WantedTable> wanted = {{Relation("public.\"B c\""), {"public", "B c"}}};
  const auto change = KeepPublication(*sql_, "sluice_x", wanted, std::chrono::milliseconds(200));
  ASSERT_THAT(change, IsOk());
  EXPECT_THAT(change->added, ElementsAre(TableName{"public", "B c"}));
  EXPECT_THAT(change->removed, ElementsAre(TableName{"public", "a"}));
  const auto tables = ReadPublishedTables(*sql_, "sluice_x");
  ASSERT_THAT(tables, IsOk());
  ASSERT_EQ(tables->size(), 1U);
  EXPECT_NE(tables->front().entry, 0U);
  ASSERT_THAT(DropPublication(*sql_, "sluice_x"), IsOk());
  ASSERT_THAT(DropPublication(*sql_, "sluice_x"), IsOk());
  EXPECT_FALSE(ReadPublication(*sql_, "sluice_x")->has_value());
}

TEST_F(CatalogTest, ListsAPartitionOnlyWhereItIsPublishedAsItself) {
  Sql("CREATE TABLE public.root (id int PRIMARY KEY) PARTITION BY RANGE (id); "
      "CREATE TABLE public.leaf PARTITION OF public.root DEFAULT; "
      "CREATE PUBLICATION p FOR TABLE public.root, public.leaf "
      "WITH (publish_via_partition_root = true)");
  EXPECT_EQ(Table("leaf").parent, Relation("public.root"));
  EXPECT_TRUE(Table("root").is_partitioned);
  auto tables = ReadPublishedTables(*sql_, "p");
  ASSERT_THAT(tables, IsOk());
  ASSERT_EQ(tables->size(), 1U);
  EXPECT_EQ(tables->front().name.table, "root");
  Sql("ALTER PUBLICATION p SET (publish_via_partition_root = false)");
  tables = ReadPublishedTables(*sql_, "p");
  ASSERT_THAT(tables, IsOk());
  ASSERT_EQ(tables->size(), 1U);
  EXPECT_EQ(tables->front().name.table, "leaf");
}

TEST_F(CatalogTest, APartitionThatLeftAndCameBackHasAnotherEntry) {
  Sql("CREATE TABLE public.root (id int PRIMARY KEY) PARTITION BY RANGE (id); "
      "CREATE TABLE public.leaf PARTITION OF public.root DEFAULT; "
      "CREATE PUBLICATION p FOR TABLE public.root");
  const auto entry = [&] {
    const auto tables = ReadPublishedTables(*sql_, "p");
    return tables && tables->size() == 1 ? tables->front().entry : 0;
  };
  const auto fingerprint = [&] {
    const auto read = ReadTablesFingerprint(*sql_, "p");
    return read ? *read : std::string();
  };
  std::uint32_t before = entry();
  std::string seen = fingerprint();
  EXPECT_NE(before, 0U);
  EXPECT_EQ(entry(), before);
  for (const char* change :
       {"ALTER TABLE public.root DETACH PARTITION public.leaf; "
        "ALTER TABLE public.root ATTACH PARTITION public.leaf DEFAULT",
        "ALTER PUBLICATION p DROP TABLE public.root; ALTER PUBLICATION p ADD TABLE public.root",
        "ALTER PUBLICATION p SET (publish_via_partition_root = true); "
        "ALTER PUBLICATION p SET (publish_via_partition_root = false)"}) {
    Sql(change);
    EXPECT_NE(entry(), before) << change;
    EXPECT_NE(fingerprint(), seen) << change;
    before = entry();
    seen = fingerprint();
  }
}

TEST_F(CatalogTest, TheCompanionComesAndGoesWithThePublication) {
  Sql("CREATE TABLE public.a (id int PRIMARY KEY); CREATE TABLE public.b (x int)");
  const PublicationContents first{
      .tables = {{"public", "a"}}, .append = {{"public", "b"}}, .has_companion = true};
  ASSERT_THAT(CreatePublication(*sql_, "sluice_x", "gen", first), IsOk());
  const auto known = ReadPublication(*sql_, "sluice_x");
  ASSERT_TRUE((*known)->companion);
  EXPECT_TRUE((*known)->companion->may_be_read_from(Lsn{1}));
  const auto moved =
      KeepPublication(*sql_, "sluice_x",
                      std::vector<WantedTable>{{Relation("public.a"), {"public", "a"}, true},
                                               {Relation("public.b"), {"public", "b"}, true}},
                      std::chrono::milliseconds(200));
  ASSERT_THAT(moved, IsOk());
  EXPECT_THAT(moved->removed, ElementsAre(TableName{"public", "a"}));
  EXPECT_THAT(moved->added, ElementsAre(TableName{"public", "a"}));
  const auto tables = ReadPublishedTables(*sql_, "sluice_x");
  ASSERT_THAT(tables, IsOk());
  ASSERT_EQ(tables->size(), 2U);
  EXPECT_TRUE((*tables)[0].is_append);
  Sql("COMMENT ON PUBLICATION sluice_x_append IS 'somebody else''s'");
  EXPECT_FALSE((*ReadPublication(*sql_, "sluice_x"))->companion);
  Sql("COMMENT ON PUBLICATION sluice_x_append IS 'sluice generation gen'");
  ASSERT_THAT(DropPublication(*sql_, "sluice_x"), IsOk());
  Sql("CREATE PUBLICATION sluice_x_append");
}

TEST_F(CatalogTest, ALaterCompanionIsNotReadFromBeforeItWasThere) {
  ASSERT_THAT(CreatePublication(*sql_, "sluice_x", "gen", {}), IsOk());
  ASSERT_THAT(CreateCompanion(*sql_, "sluice_x", "gen"), IsOk());
  EXPECT_FALSE(CreateCompanion(*sql_, "sluice_x", "gen"));
  auto known = ReadPublication(*sql_, "sluice_x");
  ASSERT_TRUE((*known)->companion);
  EXPECT_FALSE((*known)->companion->may_be_read_from(Lsn{~0ULL}));
  ASSERT_THAT(SetCompanionSince(*sql_, "sluice_x", "gen", Lsn{0x1'0000'0020}), IsOk());
  known = ReadPublication(*sql_, "sluice_x");
  ASSERT_TRUE((*known)->companion);
  EXPECT_FALSE((*known)->companion->may_be_read_from(Lsn{0x1'0000'001F}));
  EXPECT_TRUE((*known)->companion->may_be_read_from(Lsn{0x1'0000'0020}));
  EXPECT_EQ(GenerationOf((*ReadPublication(*sql_, "sluice_x_append"))->comment), "gen");
  ASSERT_THAT(DropPublication(*sql_, "sluice_x"), IsOk());
  EXPECT_FALSE(ReadPublication(*sql_, "sluice_x_append")->has_value());
}

TEST_F(CatalogTest, LeavesALockedTableForLater) {
  Sql("CREATE TABLE public.a (id int PRIMARY KEY)");
  ASSERT_THAT(CreatePublication(*sql_, "sluice_x", "g", {}), IsOk());
  Connection other = Open();
  Sql(other, "BEGIN; LOCK TABLE public.a IN ACCESS EXCLUSIVE MODE");
  const std::vector<WantedTable> wanted = {{Relation("public.a"), {"public", "a"}}};
  const auto change = KeepPublication(*sql_, "sluice_x", wanted, std::chrono::milliseconds(50));
  ASSERT_THAT(change, IsOk());
  ASSERT_EQ(change->not_done.size(), 1U);
  EXPECT_EQ(change->not_done.front().second.code, "SLU-2017");
}

TEST_F(CatalogTest, FindsATableThatLostItsIdentity) {
  Sql("CREATE TABLE public.a (id int PRIMARY KEY); CREATE TABLE public.b (id int PRIMARY KEY); "
      "CREATE PUBLICATION p FOR TABLE public.a, public.b");
  EXPECT_THAT(*FindLostIdentities(*sql_, "p"), IsEmpty());
  Sql("ALTER TABLE public.b DROP CONSTRAINT b_pkey");
  const auto lost = FindLostIdentities(*sql_, "p");
  ASSERT_THAT(lost, IsOk());
  ASSERT_EQ(lost->size(), 1U);
  EXPECT_EQ(lost->front().name.table, "b");
  EXPECT_EQ(lost->front().reason, "no primary key");
}

}  // namespace
}  // namespace sluice::postgres
