#include <algorithm>

#include "postgres/preflight.h"
#include "postgres/server_fixture.h"

namespace sluice::postgres {
namespace {

using sluice::testing::IsOk;

class PreflightTest : public ServerTest {};

TEST_F(PreflightTest, FindsWhatIsWrongForARoleWithoutRights) {
  Sql("CREATE TABLE public.good (id int PRIMARY KEY); CREATE TABLE public.keyless (x int); "
      "CREATE TABLE public.hidden (id int PRIMARY KEY); "
      "ALTER TABLE public.hidden ENABLE ROW LEVEL SECURITY");
  const std::string role = "weak_" + database_;
  Sql("DROP ROLE IF EXISTS " + role + "; CREATE ROLE " + role +
      " LOGIN; GRANT SELECT ON public.good, public.keyless, public.hidden TO " + role);
  {
    auto weak = Connection::Open(Url("", " user=" + role), {});
    ASSERT_THAT(weak, IsOk());
    PreflightRequest request;
    request.publication = "sluice_x";
    request.slot = "sluice_x";
    const auto input = ReadPreflightInput(*weak, request);
    ASSERT_THAT(input, IsOk());
    const Preflight found = FindProblems(request, *input);
    const auto has = [&](std::string_view code, std::string_view table) {
      return std::any_of(found.findings.begin(), found.findings.end(), [&](const Finding& f) {
        return f.code == code && (table.empty() || (f.table && f.table->table == table));
      });
    };
    EXPECT_TRUE(has("SLU-2033", ""));
    EXPECT_TRUE(has("SLU-2035", ""));
    EXPECT_TRUE(has("SLU-2036", "good"));
    EXPECT_TRUE(has("SLU-2039", "keyless"));
    EXPECT_TRUE(has("SLU-2040", "hidden"));
  }
  Sql("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_F(PreflightTest, FindsNothingForASuperuserAndAGoodTable) {
  Sql("CREATE TABLE public.good (id int PRIMARY KEY)");
  PreflightRequest request;
  request.publication = "sluice_x";
  request.slot = "sluice_x";
  const auto input = ReadPreflightInput(*sql_, request);
  ASSERT_THAT(input, IsOk());
  const Preflight found = FindProblems(request, *input);
  EXPECT_FALSE(found.has_problem());
  ASSERT_EQ(found.tables.size(), 1U);
  EXPECT_FALSE(found.tables[0].is_skipped);
}

}  // namespace
}  // namespace sluice::postgres
