#include "postgres/partition_selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/result_matchers.h"

namespace sluice::postgres {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;

SourceTable Table(std::uint32_t oid, std::string name, std::uint32_t parent, bool is_partitioned) {
  SourceTable table;
  table.relation = {oid};
  table.name = {"public", std::move(name)};
  table.parent = {parent};
  table.is_partitioned = is_partitioned;
  table.kind = parent != 0      ? TableKind::kPartition
               : is_partitioned ? TableKind::kPartitionedRoot
                                : TableKind::kOrdinary;
  table.is_ours_to_alter = true;
  table.may_select = true;
  table.column_names = {"id"};
  return table;
}

// root ( sub ( leaf ), other )
PreflightInput Tree() {
  PreflightInput in;
  in.facts.version_num = 170010;
  in.facts.encoding = "UTF8";
  in.facts.wal_level = "logical";
  in.facts.max_replication_slots = 10;
  in.facts.max_wal_senders = 10;
  in.facts.may_replicate = true;
  in.facts.may_create_in_database = true;
  in.tables = {Table(1, "root", 0, true), Table(2, "sub", 1, true), Table(3, "leaf", 2, false),
               Table(4, "other", 1, false)};
  return in;
}

Preflight Find(const std::vector<std::string>& tables, const std::vector<std::string>& excluded,
               const PreflightInput& in, bool is_publication_ours = true) {
  PreflightRequest request;
  request.publication = "p";
  request.is_publication_ours = is_publication_ours;
  auto selection = ParseSelection(tables, excluded, {}, {});
  EXPECT_THAT(selection, IsOk());
  request.selection = *selection;
  return FindProblems(request, in);
}

std::vector<std::string> Taken(const Preflight& found) {
  std::vector<std::string> names;
  for (const PlannedTable& table : found.tables) {
    if (!table.is_skipped) names.push_back(table.table.name.table);
  }
  return names;
}

Publication UsersPublication() {
  Publication publication;
  publication.name = "p";
  return publication;
}

TEST(PartitionSelection, TakesAPartitionAloneWhoseAncestorsAreNotSelected) {
  EXPECT_THAT(Taken(Find({"public.leaf"}, {}, Tree())), ElementsAre("leaf"));
  EXPECT_THAT(Taken(Find({"public.leaf", "public.o*"}, {}, Tree())), ElementsAre("leaf", "other"));
  EXPECT_THAT(Taken(Find({"public.sub", "public.leaf"}, {}, Tree())), ElementsAre("sub"));
}

TEST(PartitionSelection, TakesOnlyTheRootWhereItIsSelected) {
  EXPECT_THAT(Taken(Find({}, {}, Tree())), ElementsAre("root"));
  EXPECT_THAT(Taken(Find({"public.*"}, {}, Tree())), ElementsAre("root"));
  EXPECT_THAT(Taken(Find({"public.root", "public.leaf"}, {}, Tree())), ElementsAre("root"));
}

TEST(PartitionSelection, LeavesOutThePartitionsOfAnExcludedRootUnlessTheyAreNamed) {
  EXPECT_THAT(Taken(Find({}, {"public.root"}, Tree())), ElementsAre());
  EXPECT_THAT(Taken(Find({"public.*"}, {"public.root"}, Tree())), ElementsAre());
  EXPECT_THAT(Taken(Find({"public.leaf", "public.*"}, {"public.root", "public.sub"}, Tree())),
              ElementsAre("leaf"));
}

TEST(PartitionSelection, RefusesAnUnloggedPartition) {
  PreflightInput in = Tree();
  in.tables[2].persistence = 'u';
  const Preflight found = Find({"public.leaf"}, {}, in);
  EXPECT_THAT(Taken(found), ElementsAre());
  ASSERT_TRUE(FirstProblem(found.findings));
  EXPECT_EQ(FirstProblem(found.findings)->code, "SLU-2041");
}

TEST(PartitionSelection, RefusesARootWhosePartitionHasNoLog) {
  PreflightInput in = Tree();
  in.tables[2].persistence = 'u';
  EXPECT_THAT(Taken(Find({"public.root"}, {}, in)), ElementsAre());
  EXPECT_THAT(Taken(Find({"public.other"}, {}, in)), ElementsAre("other"));
  in.tables[2].persistence = 'p';
  in.tables[2].kind = TableKind::kForeign;
  const Preflight found = Find({"public.root"}, {}, in);
  EXPECT_THAT(Taken(found), ElementsAre());
  EXPECT_THAT(FirstProblem(found.findings)->message, HasSubstr("public.leaf"));
}

TEST(PartitionSelection, TakesWhatAPublicationOfTheUsersPublishes) {
  PreflightInput in = Tree();
  in.publication = UsersPublication();
  in.published = {{.relation = {3}, .name = {"public", "leaf"}},
                  {.relation = {4}, .name = {"public", "other"}}};
  EXPECT_THAT(Taken(Find({}, {}, in, false)), ElementsAre("leaf", "other"));
}

TEST(PartitionSelection, TellsOfANamedRootThatIsPublishedAsItsPartitions) {
  PreflightInput in = Tree();
  in.publication = UsersPublication();
  in.published = {{.relation = {3}, .name = {"public", "leaf"}}};
  const auto problem = FirstProblem(Find({"public.root", "public.leaf"}, {}, in, false).findings);
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->code, "SLU-2052");
  EXPECT_THAT(problem->advice, HasSubstr("publish_via_partition_root = true"));
}

TEST(PartitionSelection, TellsOfANamedPartitionThatIsPublishedAsItsRoot) {
  PreflightInput in = Tree();
  in.publication = UsersPublication();
  in.published = {{.relation = {1}, .name = {"public", "root"}}};
  const auto problem = FirstProblem(Find({"public.leaf"}, {}, in, false).findings);
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->code, "SLU-2052");
  EXPECT_THAT(problem->advice, HasSubstr("select public.root"));
}

}  // namespace
}  // namespace sluice::postgres
