#include "replication/connect_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/error_codes.h"
#include "base/testing/result_matchers.h"

namespace sluice::replication {
namespace {

using ::sluice::testing::CodeIs;
using ::sluice::testing::IsOk;
using ::testing::HasSubstr;

const Birth kBirth{.pipeline = "shop",
                   .slot = "sluice_shop",
                   .publication = "sluice_shop",
                   .owns_publication = true,
                   .generation = "g1",
                   .system_identifier = 7,
                   .timeline = 2};
const Position kPosition{.lsn = {1000}, .last_transaction = Witness{{900}, {77}, UnixMicros{5}}};

SourceFacts Healthy() {
  SourceFacts facts;
  facts.server = {.system_identifier = 7, .timeline = 2, .flush_lsn = {2000}, .database = "app"};
  SlotRow slot;
  slot.name = "sluice_shop";
  slot.plugin = "pgoutput";
  slot.slot_type = "logical";
  slot.database = "app";
  slot.confirmed_flush = Lsn{1000};
  slot.restart_lsn = Lsn{800};
  slot.wal_status = "reserved";
  facts.slot = slot;
  facts.generation = "g1";
  return facts;
}

TEST(CheckConnect, StartsWhereTheSlotStandsBehindTheWitness) {
  SourceFacts facts = Healthy();
  facts.slot->confirmed_flush = Lsn{950};
  const auto start = CheckConnect(kBirth, kPosition, facts);
  ASSERT_THAT(start, IsOk());
  EXPECT_EQ(start->start_lsn, Lsn{950});
  EXPECT_FALSE(start->witness.has_value());
  EXPECT_TRUE(start->knows_past);
}

TEST(CheckConnect, AsksForTheWitnessWhereTheSlotStillHasIt) {
  SourceFacts facts = Healthy();
  facts.slot->confirmed_flush = Lsn{900};
  const auto start = CheckConnect(kBirth, kPosition, facts);
  ASSERT_THAT(start, IsOk());
  EXPECT_EQ(start->start_lsn, Lsn{900});
  ASSERT_TRUE(start->witness.has_value());
  EXPECT_EQ(start->witness->xid, TransactionId{77});
}

TEST(CheckConnect, StartsAtTheSlotWhereThereWasNoTransactionYet) {
  SourceFacts facts = Healthy();
  facts.slot->confirmed_flush = Lsn{10};
  const auto start = CheckConnect(kBirth, {.lsn = {1000}, .last_transaction = {}}, facts);
  ASSERT_THAT(start, IsOk());
  EXPECT_EQ(start->start_lsn, Lsn{10});
  EXPECT_TRUE(start->knows_past);
}

TEST(CheckConnect, AsksForNothingWhereTheLastTransactionIsNotKnown) {
  SourceFacts facts = Healthy();
  facts.slot->confirmed_flush = Lsn{10};
  const auto start =
      CheckConnect(kBirth, {.lsn = {1000}, .last_transaction = {}}, facts, /*knows_last=*/false);
  ASSERT_THAT(start, IsOk());
  EXPECT_EQ(start->start_lsn, Lsn{1000});
  EXPECT_FALSE(start->knows_past);
}

TEST(NotBefore, AsksForNothingThatCommitsEarlier) {
  const StartPoint start{.start_lsn = Lsn{100}, .witness = Witness{}, .knows_past = true};
  EXPECT_EQ(NotBefore(start, Lsn{100}).start_lsn, Lsn{100});
  EXPECT_TRUE(NotBefore(start, Lsn{100}).witness);
  const StartPoint later = NotBefore(start, Lsn{101});
  EXPECT_EQ(later.start_lsn, Lsn{101});
  EXPECT_FALSE(later.witness);
  EXPECT_TRUE(later.knows_past);
}

TEST(CheckConnect, WaitsForAStandbyThatHasNotReplayedUpToTheMirror) {
  SourceFacts facts = Healthy();
  facts.server.is_standby = true;
  facts.server.flush_lsn = {999};
  const auto start = CheckConnect(kBirth, kPosition, facts);
  ASSERT_FALSE(start);
  EXPECT_EQ(start.error().code, "SLU-3027");
  EXPECT_EQ(start.error().kind, ErrorKind::kConnection);
  EXPECT_FALSE(IsLostStream(start.error()));
}

TEST(LostStream, IsWhatTheSameSourceCannotSendAnyMore) {
  const auto is_lost = [](const char* code) { return IsLostStream(Error{.code = code}); };
  for (const char* code :
       {"SLU-2037", "SLU-2110", "SLU-3003", "SLU-3006", "SLU-3010", "SLU-3011", "SLU-3013",
        "SLU-3014", "SLU-3015", "SLU-3018", "SLU-3022", "SLU-3105"}) {
    EXPECT_TRUE(is_lost(code)) << code;
  }
  for (const char* code : {"SLU-3001", "SLU-3002", "SLU-3004", "SLU-3005", "SLU-3007", "SLU-3008",
                           "SLU-3009", "SLU-3012", "SLU-3016", "SLU-3017", "SLU-5008"}) {
    EXPECT_FALSE(is_lost(code)) << code;
  }
}

TEST(CheckRebirth, TakesWhatIsOursOrNobodys) {
  SourceFacts facts = Healthy();
  EXPECT_THAT(CheckRebirth(kBirth, facts, false), IsOk());
  facts.slot->wal_status = "lost";
  facts.slot->confirmed_flush.reset();
  facts.generation.reset();
  EXPECT_THAT(CheckRebirth(kBirth, facts, false), IsOk());
  facts.publication_exists = false;
  facts.slot.reset();
  EXPECT_THAT(CheckRebirth(kBirth, facts, true), IsOk());
}

TEST(CheckRebirth, LeavesAloneWhatIsSomebodyElses) {
  SourceFacts facts = Healthy();
  facts.generation = "g2";
  EXPECT_THAT(CheckRebirth(kBirth, facts, false), CodeIs("SLU-3004"));
  facts = Healthy();
  EXPECT_THAT(CheckRebirth(kBirth, facts, true), CodeIs("SLU-3019"));
  facts.slot->is_active = true;
  EXPECT_THAT(CheckRebirth(kBirth, facts, false), CodeIs("SLU-3012"));
  facts.slot->database = "other";
  EXPECT_THAT(CheckRebirth(kBirth, facts, false), CodeIs("SLU-3007"));
  Birth birth = kBirth;
  birth.owns_publication = false;
  facts = Healthy();
  facts.publication_exists = false;
  EXPECT_THAT(CheckRebirth(birth, facts, false), CodeIs("SLU-3019"));
}

struct Case {
  std::string code;
  std::function<void(SourceFacts&)> spoil;
};

class CheckConnectRefuses : public ::testing::TestWithParam<Case> {};

TEST_P(CheckConnectRefuses, WithItsCodeAndAnAdvice) {
  SourceFacts facts = Healthy();
  GetParam().spoil(facts);
  const auto start = CheckConnect(kBirth, kPosition, facts);
  ASSERT_THAT(start, CodeIs(GetParam().code));
  EXPECT_EQ(start.error().kind, ErrorKind::kConfig);
  EXPECT_FALSE(start.error().advice.empty());
  EXPECT_NE(base::FindErrorCode(GetParam().code), nullptr);
}

INSTANTIATE_TEST_SUITE_P(
    Facts, CheckConnectRefuses,
    ::testing::Values(
        Case{"SLU-3001", [](SourceFacts& f) { f.server.system_identifier = 8; }},
        Case{"SLU-3002", [](SourceFacts& f) { f.server.timeline = 1; }},
        Case{"SLU-3003", [](SourceFacts& f) { f.server.timeline = 3; }},
        Case{"SLU-3003",
             [](SourceFacts& f) {
               f.server.timeline = 3;
               f.server.switched_at = Lsn{999};
             }},
        Case{"SLU-3004", [](SourceFacts& f) { f.generation = "g2"; }},
        Case{"SLU-3022", [](SourceFacts& f) { f.generation.reset(); }},
        Case{"SLU-3005", [](SourceFacts& f) { f.slot->plugin = "wal2json"; }},
        Case{"SLU-3005", [](SourceFacts& f) { f.slot->slot_type = "physical"; }},
        Case{"SLU-3006", [](SourceFacts& f) { f.server.flush_lsn = {999}; }},
        Case{"SLU-3007", [](SourceFacts& f) { f.slot->database = "other"; }},
        Case{"SLU-3008", [](SourceFacts& f) { f.slot->is_temporary = true; }},
        Case{"SLU-3009", [](SourceFacts& f) { f.slot->is_two_phase = true; }},
        Case{"SLU-3010", [](SourceFacts& f) { f.slot.reset(); }},
        Case{"SLU-3011", [](SourceFacts& f) { f.slot->wal_status = "lost"; }},
        Case{"SLU-3011", [](SourceFacts& f) { f.slot->invalidation_reason = "rows_removed"; }},
        Case{"SLU-3012", [](SourceFacts& f) { f.slot->is_active = true; }},
        Case{"SLU-3013", [](SourceFacts& f) { f.publication_exists = false; }},
        Case{"SLU-3014", [](SourceFacts& f) { f.slot->confirmed_flush.reset(); }},
        Case{"SLU-3015", [](SourceFacts& f) { f.slot->confirmed_flush = Lsn{1001}; }}));

TEST(CheckConnect, FollowsAPromotionBehindThePosition) {
  SourceFacts facts = Healthy();
  facts.server.timeline = 3;
  facts.server.switched_at = Lsn{1000};
  EXPECT_THAT(CheckConnect(kBirth, kPosition, facts), IsOk());
}

TEST(CheckConnect, NamesTheProcessThatHoldsTheSlot) {
  SourceFacts facts = Healthy();
  facts.slot->is_active = true;
  facts.slot->active_pid = 4711;
  EXPECT_THAT(CheckConnect(kBirth, kPosition, facts).error().message, HasSubstr("4711"));
}

TEST(CheckConnect, WantsNoGenerationOnAPublicationOfTheUser) {
  Birth birth = kBirth;
  birth.owns_publication = false;
  SourceFacts facts = Healthy();
  facts.generation.reset();
  EXPECT_THAT(CheckConnect(birth, kPosition, facts), IsOk());
}

TEST(CheckUnborn, TakesOnlyWhatCarriesTheGenerationOfTheIntent) {
  SourceFacts facts = Healthy();
  EXPECT_THAT(CheckUnborn(kBirth, facts, false), IsOk());
  facts.generation = "g2";
  EXPECT_THAT(CheckUnborn(kBirth, facts, false), CodeIs("SLU-3017"));
  facts.slot.reset();
  EXPECT_THAT(CheckUnborn(kBirth, facts, false), CodeIs("SLU-3017"));
  facts.publication_exists = false;
  facts.generation.reset();
  EXPECT_THAT(CheckUnborn(kBirth, facts, false), IsOk());
}

TEST(CheckUnborn, LeavesASlotWithoutAMarkAlone) {
  Birth birth = kBirth;
  birth.owns_publication = false;
  EXPECT_THAT(CheckUnborn(birth, Healthy(), false), CodeIs("SLU-3016"));
  SourceFacts facts = Healthy();
  facts.publication_exists = false;
  facts.generation.reset();
  EXPECT_THAT(CheckUnborn(kBirth, facts, false), CodeIs("SLU-3016"));
}

TEST(CheckUnborn, UsesTheUsersSlotAndNotAnothersPublication) {
  SourceFacts facts = Healthy();
  facts.generation = "g2";
  EXPECT_THAT(CheckUnborn(kBirth, facts, true), CodeIs("SLU-3017"));
  facts.publication_exists = false;
  facts.generation.reset();
  EXPECT_THAT(CheckUnborn(kBirth, facts, true), IsOk());
  facts.slot->is_active = true;
  facts.slot->active_pid = 42;
  facts.slot->active_application = "pg_recvlogical";
  const Status held = CheckUnborn(kBirth, facts, true);
  EXPECT_THAT(held, CodeIs("SLU-3012"));
  EXPECT_THAT(held.error().message, HasSubstr("by pid 42 (pg_recvlogical)"));
  facts.slot->is_active = false;
  facts.slot->slot_type = "physical";
  EXPECT_THAT(CheckUnborn(kBirth, facts, true), CodeIs("SLU-3005"));
}

TEST(CheckStreamOnly, RefusesAFoundSlotWithAPublicationThatIsYetToBeMade) {
  SourceFacts facts = Healthy();
  facts.publication_exists = false;
  facts.generation.reset();
  EXPECT_THAT(CheckStreamOnly(kBirth, facts, true), CodeIs("SLU-3028"));
  EXPECT_THAT(CheckStreamOnly(kBirth, facts, false), IsOk());
  Birth birth = kBirth;
  birth.owns_publication = false;
  EXPECT_THAT(CheckStreamOnly(birth, facts, true), IsOk());
  facts.slot.reset();
  EXPECT_THAT(CheckStreamOnly(kBirth, facts, true), IsOk());
}

}  // namespace
}  // namespace sluice::replication
