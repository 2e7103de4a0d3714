#include "postgres/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/result_matchers.h"

namespace sluice::postgres {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

PreflightInput GoodServer() {
  PreflightInput in;
  in.facts.version_num = 170010;
  in.facts.version = "17.10";
  in.facts.database = "shop";
  in.facts.encoding = "UTF8";
  in.facts.wal_level = "logical";
  in.facts.max_replication_slots = 10;
  in.facts.max_wal_senders = 10;
  in.facts.role = "app";
  in.facts.may_replicate = true;
  in.facts.may_create_in_database = true;
  SourceTable table;
  table.relation = {1};
  table.name = {"public", "orders"};
  table.is_ours_to_alter = true;
  table.may_select = true;
  table.column_names = {"id"};
  in.tables = {table};
  return in;
}

PreflightRequest Request() {
  PreflightRequest request;
  request.publication = "sluice_shop";
  request.slot = "sluice_shop";
  return request;
}

std::vector<std::string> Codes(const Preflight& preflight) {
  std::vector<std::string> codes;
  for (const Finding& finding : preflight.findings) codes.push_back(finding.code);
  return codes;
}

TEST(FindProblems, FindsNothingOnAGoodServer) {
  const Preflight found = FindProblems(Request(), GoodServer());
  EXPECT_THAT(Codes(found), IsEmpty());
  ASSERT_EQ(found.tables.size(), 1U);
  EXPECT_FALSE(found.tables[0].is_skipped);
}

TEST(FindProblems, NamesEachMissingSetting) {
  PreflightInput in = GoodServer();
  in.facts.wal_level = "replica";
  in.facts.used_replication_slots = 10;
  in.facts.used_wal_senders = 10;
  in.facts.may_replicate = false;
  in.facts.may_create_in_database = false;
  const Preflight found = FindProblems(Request(), in);
  for (const char* code : {"SLU-2030", "SLU-2031", "SLU-2032", "SLU-2033", "SLU-2035"}) {
    EXPECT_THAT(Codes(found), Contains(code));
  }
  EXPECT_TRUE(found.has_problem());
}

TEST(FindProblems, RefusesAStandbyWhosePrimaryIsNotKnown) {
  PreflightInput in = GoodServer();
  in.facts.is_in_recovery = true;
  EXPECT_THAT(Codes(FindProblems(Request(), in)), Contains("SLU-2047"));
}

TEST(FindProblems, NamesWhatAStandbyNeedsOfItsPrimary) {
  PreflightInput in = GoodServer();
  in.facts.is_in_recovery = true;
  in.standby = StandbyFacts{.sends_feedback = true,
                            .unreachable = {},
                            .primary_wal_level = "logical",
                            .may_log_running = true,
                            .may_create_in_database = true};
  EXPECT_THAT(Codes(FindProblems(Request(), in)), IsEmpty());
  in.standby->sends_feedback = false;
  in.standby->primary_wal_level = "replica";
  in.standby->may_log_running = false;
  const Preflight found = FindProblems(Request(), in);
  for (const char* code : {"SLU-2030", "SLU-2053", "SLU-2055"})
    EXPECT_THAT(Codes(found), Contains(code));
}

TEST(FindProblems, AsksNothingOfAServerThatIsOnlyCopied) {
  PreflightInput in = GoodServer();
  in.facts.is_in_recovery = true;
  in.facts.wal_level = "replica";
  in.facts.may_replicate = false;
  in.tables[0].identity_state = IdentityState::kMissing;
  in.tables[0].is_ours_to_alter = false;
  PreflightRequest request = Request();
  request.is_copy_only = true;
  EXPECT_THAT(Codes(FindProblems(request, in)), IsEmpty());
}

TEST(FindProblems, SkipsATableWithoutIdentityAndGivesTheStatement) {
  PreflightInput in = GoodServer();
  in.tables[0].identity_state = IdentityState::kMissing;
  const Preflight found = FindProblems(Request(), in);
  EXPECT_THAT(Codes(found), Contains("SLU-2039"));
  EXPECT_TRUE(found.tables[0].is_skipped);
  EXPECT_NE(found.findings[0].advice.find("REPLICA IDENTITY FULL"), std::string::npos);
  EXPECT_FALSE(found.has_problem());
}

TEST(FindProblems, MakesAProblemOfATableTheUserNamed) {
  PreflightInput in = GoodServer();
  in.tables[0].identity_state = IdentityState::kMissing;
  PreflightRequest request = Request();
  request.selection = *ParseSelection({"public.orders", "public.gone"}, {}, {}, {});
  const Preflight found = FindProblems(request, in);
  EXPECT_TRUE(found.has_problem());
  EXPECT_THAT(Codes(found), Contains("SLU-2049"));
  for (const Finding& finding : found.findings) EXPECT_TRUE(finding.is_of_named) << finding.code;
}

TEST(FindProblems, JudgesPrivilegesKindsAndNames) {
  const auto code_of = [](auto change) {
    PreflightInput in = GoodServer();
    change(in.tables[0]);
    const Preflight found = FindProblems(Request(), in);
    return found.findings.empty() ? std::string() : found.findings.front().code;
  };
  EXPECT_EQ(code_of([](SourceTable& t) { t.may_select = false; }), "SLU-2034");
  EXPECT_EQ(code_of([](SourceTable& t) { t.has_row_security = true; }), "SLU-2040");
  EXPECT_EQ(code_of([](SourceTable& t) { t.persistence = 'u'; }), "SLU-2041");
  EXPECT_EQ(code_of([](SourceTable& t) { t.kind = TableKind::kForeign; }), "SLU-2041");
  EXPECT_EQ(code_of([](SourceTable& t) { t.column_names = {"_sluice_lsn"}; }), "SLU-2044");
  EXPECT_EQ(code_of([](SourceTable& t) { t.column_names.clear(); }), "SLU-2045");
  EXPECT_EQ(code_of([](SourceTable& t) { t.is_ours_to_alter = false; }), "SLU-2036");
}

TEST(FindProblems, ChecksTheUsersPublication) {
  PreflightInput in = GoodServer();
  PreflightRequest request = Request();
  request.is_publication_ours = false;
  EXPECT_THAT(Codes(FindProblems(request, in)), Contains("SLU-2037"));
  in.publication = Publication{};
  in.publication->publishes_delete = false;
  EXPECT_THAT(Codes(FindProblems(request, in)), Contains("SLU-2038"));
  EXPECT_THAT(FindProblems(request, in).tables, IsEmpty());
}

TEST(KnownDefect, KnowsBadMinors) {
  EXPECT_TRUE(KnownDefect(170005).has_value());
  EXPECT_TRUE(KnownDefect(150005).has_value());
  EXPECT_FALSE(KnownDefect(170010).has_value());
  EXPECT_FALSE(KnownDefect(140023).has_value());
  EXPECT_TRUE(KnownDefect(180001).has_value());
  EXPECT_FALSE(KnownDefect(180004).has_value());
}

TEST(AdministratorScript, HoldsEveryStatementOnceAndChoicesCommentedOut) {
  PreflightInput in = GoodServer();
  in.facts.wal_level = "replica";
  in.tables.push_back(in.tables[0]);
  in.tables[1].relation = {2};
  in.tables[1].name.table = "evil\nDROP TABLE x;";
  in.tables[1].identity_state = IdentityState::kMissing;
  const Preflight found = FindProblems(Request(), in);
  const std::string script = AdministratorScript(Request(), in, found);
  EXPECT_NE(script.find("\nALTER SYSTEM SET wal_level = logical;"), std::string::npos);
  EXPECT_EQ(script.find("\nDROP TABLE"), std::string::npos);
  EXPECT_EQ(script.find("CREATE PUBLICATION"), std::string::npos);
}

TEST(AdministratorScript, HasNoLineThatANameBegins) {
  for (const std::string end : {"\n", "\r"}) {
    PreflightInput in = GoodServer();
    in.facts.database = "shop" + end + "DROP TABLE x;";
    in.tables[0].name.table = "evil" + end + "DROP TABLE x;";
    in.tables[0].identity_state = IdentityState::kMissing;
    const std::string script = AdministratorScript(Request(), in, FindProblems(Request(), in));
    EXPECT_NE(script.find("DROP TABLE"), std::string::npos);
    EXPECT_EQ(script.find(end + "DROP TABLE"), std::string::npos);
  }
}

TEST(AdministratorScript, MakesThePublicationThatTheRoleMayNotMake) {
  PreflightInput in = GoodServer();
  in.facts.may_create_in_database = false;
  in.tables[0].may_select = false;
  in.tables[0].is_ours_to_alter = false;
  in.tables.push_back(in.tables[0]);
  in.tables[1].relation = {2};
  in.tables[1].name.table = "keyless";
  in.tables[1].identity_state = IdentityState::kMissing;
  const Preflight found = FindProblems(Request(), in);
  for (const char* code : {"SLU-2034", "SLU-2035", "SLU-2036", "SLU-2039"}) {
    EXPECT_THAT(Codes(found), Contains(code));
  }
  const std::string script = AdministratorScript(Request(), in, found);
  EXPECT_NE(script.find("GRANT SELECT ON \"public\".\"orders\""), std::string::npos);
  EXPECT_NE(script.find("\nCREATE PUBLICATION \"sluice_shop\" FOR TABLE\n"
                        "  ONLY \"public\".\"orders\"\n  WITH"),
            std::string::npos);
  EXPECT_EQ(script.find("GRANT CREATE"), std::string::npos);
}

TEST(FirstProblem, SaysHowManyMoreThereAre) {
  PreflightInput in = GoodServer();
  EXPECT_FALSE(FirstProblem(FindProblems(Request(), in).findings));
  in.facts.wal_level = "replica";
  EXPECT_EQ(FirstProblem(FindProblems(Request(), in).findings)->advice.find("more"),
            std::string::npos);
  in.facts.may_replicate = false;
  in.facts.may_create_in_database = false;
  const auto problem = FirstProblem(FindProblems(Request(), in).findings);
  EXPECT_EQ(problem->code, "SLU-2030");
  EXPECT_NE(problem->advice.find("lists 2 problems more"), std::string::npos);
}

TEST(FirstProblem, LeavesAShortageOfWalsendersToConnecting) {
  PreflightInput in = GoodServer();
  in.facts.used_wal_senders = 10;
  const Preflight found = FindProblems(Request(), in);
  EXPECT_TRUE(found.has_problem());
  EXPECT_FALSE(FirstProblem(found.findings));
}

TEST(FindProblems, SaysWhyNothingCanBeReplicated) {
  PreflightInput in = GoodServer();
  in.tables[0].may_select = false;
  const Preflight found = FindProblems(Request(), in);
  EXPECT_EQ(found.findings.back().code, "SLU-2048");
  EXPECT_NE(found.findings.back().message.find("may not read public.orders"), std::string::npos);
  in.tables.clear();
  EXPECT_THAT(Codes(FindProblems(Request(), in)), Contains("SLU-2048"));
}

}  // namespace
}  // namespace sluice::postgres
