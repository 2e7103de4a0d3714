#include "pipeline/judgement.h"

#include <gtest/gtest.h>

#include "base/testing/result_matchers.h"

namespace sluice::pipeline {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsOk;

Error Coded(const char* code, ErrorKind kind = ErrorKind::kConfig) {
  return {.kind = kind, .message = "m", .code = code};
}

TEST(ExitCodeFor, IsTwoWhereNothingWasCopiedYet) {
  EXPECT_EQ(ExitCodeFor(Coded("SLU-2030"), false, false), 2);
  EXPECT_EQ(ExitCodeFor(Coded("SLU-3017"), false, false), 2);
  EXPECT_EQ(ExitCodeFor(Coded("SLU-3005"), false, false), 2);
}

TEST(ExitCodeFor, IsFourWhereAPositionDoesNotFit) {
  EXPECT_EQ(ExitCodeFor(Coded("SLU-3010"), false, true), 4);
  EXPECT_EQ(ExitCodeFor(Coded("SLU-3004"), false, true), 4);
  EXPECT_EQ(ExitCodeFor(Coded("SLU-5008"), false, false), 4);
  EXPECT_EQ(ExitCodeFor(Coded("SLU-5012"), true, true), 4);
}

TEST(ExitCodeFor, TellsHeldSlotsAndSpentPatience) {
  EXPECT_EQ(ExitCodeFor(Coded("SLU-3012"), true, true), 2);
  EXPECT_EQ(ExitCodeFor(Coded("SLU-2002", ErrorKind::kConnection), false, false), 5);
  EXPECT_EQ(ExitCodeFor(Coded("SLU-3092", ErrorKind::kAuth), true, true), 5);
}

TEST(JudgeFirstRun, WantsSomethingToReplicate) {
  const DeliveryState empty;
  engine::PipelineOptions options;
  EXPECT_THAT(JudgeFirstRun(options, empty, {}, {}), CodeIs("SLU-2048"));
  std::vector<postgres::PlannedTable> planned(1);
  EXPECT_THAT(JudgeFirstRun(options, empty, planned, {}), IsOk());
  planned[0].is_skipped = true;
  planned[0].reason = "role app may not read public.t";
  const Status judged = JudgeFirstRun(options, empty, planned, {});
  EXPECT_THAT(judged, CodeIs("SLU-2048"));
  EXPECT_NE(judged.error().message.find("may not read public.t"), std::string::npos);
}

TEST(JudgeFirstRun, WantsEveryTableThatWasNamed) {
  const std::vector<postgres::PlannedTable> planned(1);
  const std::vector<postgres::Finding> of_named = {{.severity = postgres::Severity::kProblem,
                                                    .code = "SLU-2049",
                                                    .message = "there is no table public.b",
                                                    .advice = {},
                                                    .sql = {},
                                                    .table = {}}};
  EXPECT_THAT(JudgeFirstRun({}, {}, planned, of_named), CodeIs("SLU-2049"));
}

TEST(JudgeFirstRun, ReplacesACopyOnlyWhenAsked) {
  DeliveryState copy;
  copy.tables.emplace_back().schema = std::make_shared<TableSchema>();
  const std::vector<postgres::PlannedTable> planned(1);
  engine::PipelineOptions options;
  EXPECT_THAT(JudgeFirstRun(options, copy, planned, {}), CodeIs("SLU-1038"));
  options.existing = engine::Existing::kReplace;
  EXPECT_THAT(JudgeFirstRun(options, copy, planned, {}), IsOk());
}

TEST(IsUntouched, TellsWhatSomebodyWroteFromWhatOpeningMade) {
  DeliveryState state;
  state.epoch = 1;
  EXPECT_TRUE(IsUntouched(state));
  state.birth = Birth{};
  EXPECT_FALSE(IsUntouched(state));
}

}  // namespace
}  // namespace sluice::pipeline
