#include "pipeline/drop.h"

#include <gtest/gtest.h>

#include "pipeline/check.h"
#include "pipeline/copy_once.h"
#include "pipeline/stored_state.h"

namespace sluice::pipeline {
namespace {

constexpr const char* kOurs = "11111111-1111-4111-8111-111111111111";
constexpr const char* kOthers = "22222222-2222-4222-8222-222222222222";

postgres::SlotRow Slot() {
  postgres::SlotRow slot;
  slot.name = "sluice_shop";
  slot.plugin = "pgoutput";
  slot.database = "shop";
  slot.retained_bytes = 7;
  return slot;
}

postgres::Publication PublicationOf(const std::string& generation) {
  postgres::Publication publication;
  publication.name = "sluice_shop";
  if (!generation.empty()) publication.comment = postgres::GenerationComment(generation);
  return publication;
}

DropFacts Facts(const std::string& generation) {
  DropFacts facts;
  facts.database = "shop";
  facts.slot = Slot();
  facts.publication = PublicationOf(generation);
  facts.birth = Birth{};
  facts.birth->generation = kOurs;
  return facts;
}

TEST(JudgeDrop, RemovesSlotAndPublicationOfThisGeneration) {
  const DropPlan plan = JudgeDrop(Facts(kOurs));
  EXPECT_EQ(plan.slot, "sluice_shop");
  EXPECT_EQ(plan.publication, "sluice_shop");
  EXPECT_EQ(plan.retained_bytes, 7);
  EXPECT_TRUE(plan.stays.empty());
}

TEST(JudgeDrop, RemovesTheEventTriggersWithTheLastPipelineOfTheDatabase) {
  DropFacts facts = Facts(kOurs);
  facts.ddl_trigger =
      postgres::DdlTrigger{.is_current = false, .is_ours_to_remove = true, .owner = {}};
  EXPECT_TRUE(JudgeDrop(facts).has_ddl_trigger);
  facts.has_other_pipelines = true;
  EXPECT_FALSE(JudgeDrop(facts).has_ddl_trigger);
}

TEST(JudgeDrop, LeavesEventTriggersThatAnotherRoleOwns) {
  DropFacts facts = Facts(kOurs);
  facts.ddl_trigger =
      postgres::DdlTrigger{.is_current = true, .is_ours_to_remove = false, .owner = "dba"};
  const DropPlan plan = JudgeDrop(facts);
  EXPECT_FALSE(plan.has_ddl_trigger);
  ASSERT_EQ(plan.stays.size(), 1U);
  EXPECT_NE(plan.stays[0].find("dba"), std::string::npos);
}

TEST(JudgeDrop, LeavesSlotAndPublicationOfAnotherDestination) {
  const DropPlan plan = JudgeDrop(Facts(kOthers));
  EXPECT_FALSE(plan.slot);
  EXPECT_FALSE(plan.publication);
  EXPECT_EQ(plan.stays.size(), 2U);
}

TEST(JudgeDrop, LeavesEverythingOfAnotherServer) {
  DropFacts facts = Facts(kOurs);
  facts.birth->system_identifier = 7;
  facts.system_identifier = 8;
  const DropPlan plan = JudgeDrop(facts);
  EXPECT_FALSE(plan.slot);
  EXPECT_FALSE(plan.publication);
  EXPECT_EQ(plan.stays.size(), 1U);
  facts.system_identifier = 7;
  EXPECT_EQ(JudgeDrop(facts).slot, "sluice_shop");
}

TEST(JudgeDrop, NeverRemovesAPublicationThatTheUserMade) {
  DropFacts facts = Facts("");
  facts.birth->owns_publication = false;
  const DropPlan plan = JudgeDrop(facts);
  EXPECT_EQ(plan.slot, "sluice_shop");
  EXPECT_FALSE(plan.publication);
}

TEST(JudgeDrop, LeavesWhatMayBeAnothersWhereTheFileIsGone) {
  DropFacts facts = Facts(kOthers);
  facts.birth.reset();
  facts.slot_name = "sluice_shop";
  const DropPlan plan = JudgeDrop(facts);
  EXPECT_FALSE(plan.slot);
  EXPECT_FALSE(plan.publication);
  ASSERT_EQ(plan.stays.size(), 1U);
  EXPECT_NE(plan.stays[0].find("sluice drop --slot sluice_shop"), std::string::npos);
}

TEST(JudgeDrop, RemovesTheSlotThatTheUserNamesUnlessItIsRead) {
  DropFacts facts = Facts(kOthers);
  facts.birth.reset();
  facts.is_slot_named = true;
  EXPECT_EQ(JudgeDrop(facts).slot, "sluice_shop");
  EXPECT_EQ(JudgeDrop(facts).publication, "sluice_shop");
  facts.slot->is_active = true;
  EXPECT_TRUE(JudgeDrop(facts).is_empty());
}

TEST(JudgeDrop, LeavesASlotOfAnotherDatabaseOrPlugin) {
  DropFacts facts = Facts(kOurs);
  facts.slot->database = "other";
  EXPECT_FALSE(JudgeDrop(facts).slot);
  facts = Facts(kOurs);
  facts.slot->plugin = "test_decoding";
  EXPECT_FALSE(JudgeDrop(facts).slot);
}

TEST(JudgeDrop, HasNothingToDoWhereNothingIs) {
  EXPECT_TRUE(JudgeDrop(DropFacts{}).is_empty());
}

TEST(JudgeCopyTarget, RefusesAPipelinesMirrorEvenWhenAskedToReplace) {
  DeliveryState state;
  EXPECT_TRUE(JudgeCopyTarget(state, engine::Existing::kRefuse));
  state.birth = Birth{};
  EXPECT_EQ(JudgeCopyTarget(state, engine::Existing::kReplace).error().code, "SLU-1037");
}

TEST(JudgeCopyTarget, ReplacesAnEarlierCopyOnlyWhenAsked) {
  DeliveryState state;
  state.tables.emplace_back().schema = std::make_shared<TableSchema>();
  EXPECT_EQ(JudgeCopyTarget(state, engine::Existing::kRefuse).error().code, "SLU-1038");
  EXPECT_EQ(JudgeCopyTarget(state, engine::Existing::kAdopt).error().code, "SLU-1038");
  EXPECT_TRUE(JudgeCopyTarget(state, engine::Existing::kReplace));
}

TEST(JudgeSpace, WarnsWhereTheTablesMayNotFit) {
  EXPECT_FALSE(JudgeSpace(1ULL << 30, 10ULL << 30));
  EXPECT_FALSE(JudgeSpace(1ULL << 30, 0));  // not known
  ASSERT_TRUE(JudgeSpace(1ULL << 30, 1ULL << 30));
  EXPECT_EQ(JudgeSpace(1ULL << 30, 1ULL << 30)->severity, postgres::Severity::kWarning);
}

TEST(StatusFromState, ShowsPositionAndTablesByName) {
  DeliveryState state;
  state.position = Position{Lsn{5}, std::nullopt};
  state.tables.emplace_back().source = {"public", "b"};
  state.tables.emplace_back().source = {"public", "a"};
  const engine::PipelineStatus status = StatusFromState({}, state);
  EXPECT_EQ(status.phase, engine::Phase::kStopped);
  EXPECT_EQ(status.durable, Lsn{5});
  EXPECT_EQ(status.tables.at(0).record.source.table, "a");
}

}  // namespace
}  // namespace sluice::pipeline
