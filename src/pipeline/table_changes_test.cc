#include "pipeline/table_changes.h"

#include <gmock/gmock.h>

#include <memory>

#include "pipeline/table_set.h"

namespace sluice::pipeline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

postgres::PlannedTable Usable(std::uint32_t oid, const std::string& name) {
  postgres::PlannedTable planned;
  planned.table.relation = {oid};
  planned.table.name = {"public", name};
  return planned;
}

postgres::PlannedTable Unusable(std::uint32_t oid, const std::string& name,
                                const std::string& reason) {
  postgres::PlannedTable planned = Usable(oid, name);
  planned.is_skipped = true;
  planned.reason = reason;
  return planned;
}

TableRecord Record(std::uint32_t oid, const std::string& name, TableState state,
                   std::uint32_t entry) {
  TableRecord record;
  record.relation = {oid};
  record.source = record.destination = {"public", name};
  record.state = state;
  record.publication_entry = entry;
  if (state == TableState::kLive) record.schema = std::make_shared<TableSchema>();
  return record;
}

postgres::PublishedTable Entry(std::uint32_t oid, const std::string& name, std::uint32_t entry) {
  return {.relation = {oid}, .name = {"public", name}, .entry = entry};
}

CatalogLook LookAt(std::vector<postgres::PlannedTable> planned,
                   std::vector<postgres::PublishedTable> entries) {
  CatalogLook look;
  for (const auto& table : planned) look.existing.insert(table.table.relation);
  look.planned = std::move(planned);
  look.entries = std::move(entries);
  return look;
}

std::vector<std::uint32_t> JoiningIn(const TableChanges& changes) {
  std::vector<std::uint32_t> out;
  for (const auto& join : changes.joining) out.push_back(join.table.table.relation.value);
  return out;
}

TEST(TableChanges, NothingHappenedIsNoChange) {
  const CatalogLook look =
      LookAt({Usable(1, "a"), Unusable(2, "b", "no key")}, {Entry(1, "a", 100)});
  TableRecord left_out = Record(2, "b", TableState::kSkipped, 0);
  left_out.reason = "no key";
  EXPECT_TRUE(PlanChanges(look, {Record(1, "a", TableState::kLive, 100), left_out}).empty());
}

TEST(TableChanges, ANewTableJoinsAndOneWithoutIdentityIsListed) {
  const CatalogLook look = LookAt({Usable(1, "a"), Unusable(2, "b", "no key")}, {});
  const TableChanges changes = PlanChanges(look, {});
  EXPECT_THAT(JoiningIn(changes), ElementsAre(1));
  EXPECT_FALSE(changes.joining[0].is_published);
  EXPECT_THAT(changes.left_out, SizeIs(1));
}

TEST(TableChanges, AnIdentityGainedOrGivenBackJoins) {
  const CatalogLook look = LookAt({Usable(1, "a"), Usable(2, "b")}, {});
  const TableChanges changes = PlanChanges(
      look, {Record(1, "a", TableState::kSkipped, 0), Record(2, "b", TableState::kHalted, 7)});
  EXPECT_THAT(JoiningIn(changes), ElementsAre(1, 2));
}

TEST(TableChanges, AHaltedTableThatIsPublishedStaysHalted) {
  const CatalogLook look = LookAt({Usable(1, "a")}, {Entry(1, "a", 100)});
  EXPECT_TRUE(PlanChanges(look, {Record(1, "a", TableState::kHalted, 100)}).empty());
}

TEST(TableChanges, TakenOutAndAddedAgainJoinsAnew) {
  const CatalogLook look = LookAt({Usable(1, "a")}, {Entry(1, "a", 101)});
  const TableChanges changes = PlanChanges(look, {Record(1, "a", TableState::kLive, 100)});
  EXPECT_THAT(JoiningIn(changes), ElementsAre(1));
  EXPECT_TRUE(changes.joining[0].is_published);
}

TEST(TableChanges, ALiveTableWhoseIdentityIsGoneIsTheControlLoopsAffair) {
  const CatalogLook look = LookAt({Unusable(1, "a", "no key")}, {Entry(1, "a", 100)});
  EXPECT_TRUE(PlanChanges(look, {Record(1, "a", TableState::kLive, 100)}).empty());
}

TEST(TableChanges, ADroppedTableIsToldOnce) {
  const CatalogLook look = LookAt({}, {});
  TableRecord record = Record(1, "a", TableState::kLive, 100);
  EXPECT_THAT(PlanChanges(look, {record}).dropped, ElementsAre(RelationId{1}));
  record.state = TableState::kSkipped;
  record.reason = "SLU-4211: it was dropped";
  EXPECT_TRUE(PlanChanges(look, {record}).empty());
}

TEST(TableChanges, RecreatedUnderItsNameIsOneDroppedAndOneJoining) {
  const CatalogLook look = LookAt({Usable(2, "a")}, {});
  const TableChanges changes = PlanChanges(look, {Record(1, "a", TableState::kLive, 100)});
  EXPECT_THAT(JoiningIn(changes), ElementsAre(2));
  EXPECT_THAT(changes.dropped, ElementsAre(RelationId{1}));
}

TEST(TableChanges, NamesExchangedAreTwoRenamings) {
  const CatalogLook look =
      LookAt({Usable(1, "old"), Usable(2, "a")}, {Entry(1, "old", 100), Entry(2, "a", 101)});
  const TableChanges changes = PlanChanges(
      look, {Record(1, "a", TableState::kLive, 100), Record(2, "new", TableState::kLive, 101)});
  ASSERT_THAT(changes.renamed, SizeIs(2));
  EXPECT_EQ(changes.renamed[0].source.table, "old");
  EXPECT_EQ(changes.renamed[1].source.table, "a");
  EXPECT_THAT(changes.joining, IsEmpty());
}

TEST(TableChanges, RenamedOutOfTheSelectionLeaves) {
  CatalogLook look = LookAt({}, {Entry(1, "x", 100)});
  look.existing.insert(RelationId{1});
  EXPECT_THAT(PlanChanges(look, {Record(1, "a", TableState::kLive, 100)}).left,
              ElementsAre(RelationId{1}));
}

TEST(TableChanges, TakenOutOfTheUsersPublicationLeavesAndComesBack) {
  CatalogLook look = LookAt({}, {});
  look.owns_publication = false;
  look.existing.insert(RelationId{1});
  TableRecord record = Record(1, "a", TableState::kLive, 100);
  EXPECT_THAT(PlanChanges(look, {record}).left, ElementsAre(RelationId{1}));
  record.state = TableState::kSkipped;
  record.reason = "SLU-4212: it is no longer in publication app";
  EXPECT_TRUE(PlanChanges(look, {record}).empty());
  look.planned = {Usable(1, "a")};
  look.entries = {Entry(1, "a", 102)};
  EXPECT_THAT(JoiningIn(PlanChanges(look, {record})), ElementsAre(1));
}

TEST(TableChanges, AnEntryOfAnOlderFormIsNoOther) {
  CatalogLook look = LookAt({Usable(1, "a")}, {Entry(1, "a", 4711)});
  look.entries[0].membership = 100;
  EXPECT_TRUE(PlanChanges(look, {Record(1, "a", TableState::kLive, 100)}).empty());
  EXPECT_TRUE(PlanChanges(look, {Record(1, "a", TableState::kLive, 4711)}).empty());
  EXPECT_THAT(JoiningIn(PlanChanges(look, {Record(1, "a", TableState::kLive, 101)})),
              ElementsAre(1));
}

TEST(TableChanges, AtTheStartAnEntryOfAnOlderFormIsTakenAsItIs) {
  std::vector<postgres::PublishedTable> entries = {Entry(1, "a", 4711), Entry(2, "b", 4712),
                                                   Entry(3, "c", 4713), Entry(4, "d", 4714)};
  for (std::size_t i = 0; i < entries.size(); ++i)
    entries[i].membership = static_cast<std::uint32_t>(100 + i);
  const TableSet set =
      PlanTables({Usable(1, "a"), Usable(2, "b"), Usable(3, "c"), Usable(4, "d")},
                 {Record(1, "a", TableState::kLive, 100), Record(2, "b", TableState::kLive, 0),
                  Record(3, "c", TableState::kLive, 4713), Record(4, "d", TableState::kLive, 99)},
                 entries, {});
  EXPECT_THAT(set.restated, ElementsAre(Pair(RelationId{1}, 4711), Pair(RelationId{2}, 4712)));
  EXPECT_THAT(set.rejoined, ElementsAre(Pair(RelationId{4}, 4714)));
}

TEST(TableChanges, WhatIsCutOffIsTakenFromThoseThatAreReplicated) {
  postgres::PlannedTable cut = Unusable(1, "a", "an unlogged partition");
  cut.cut_off_by = "SLU-2041";
  const CatalogLook look = LookAt({cut, Unusable(2, "b", "no key")}, {Entry(1, "a", 100)});
  EXPECT_THAT(PlanChanges(look, {Record(1, "a", TableState::kLive, 100),
                                 Record(2, "b", TableState::kLive, 100)})
                  .cut_off,
              SizeIs(1));
  EXPECT_TRUE(PlanChanges(look, {Record(1, "a", TableState::kSkipped, 100),
                                 Record(2, "b", TableState::kLive, 100)})
                  .cut_off.empty());
}

TEST(TableChanges, ANarrowedPublicationCutsAllOfItsTablesOff) {
  std::vector<postgres::PlannedTable> planned = {Usable(1, "a"), Unusable(2, "b", "no key")};
  std::vector<postgres::Finding> findings(1);
  findings[0].code = "SLU-2057";
  CutOffNarrowed(findings, planned);
  EXPECT_FALSE(planned[0].is_skipped);
  findings.emplace_back().code = "SLU-2038";
  CutOffNarrowed(findings, planned);
  EXPECT_TRUE(planned[0].is_skipped);
  EXPECT_EQ(planned[0].cut_off_by, "SLU-2038");
  EXPECT_EQ(planned[1].reason, "no key");
}

}  // namespace
}  // namespace sluice::pipeline
