// The same workload, captured once as direct and once as streamed transactions, comes out the same.
#include <arrow/scalar.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/testing/result_matchers.h"
#include "pgoutput/testing/golden.h"
#include "replication/testing/assembler_driver.h"

namespace sluice::replication {
namespace {

using sluice::testing::IsOk;

/// Schemas from the Relation messages alone; types that are not built in are read as text, and
/// without typmods numeric is: the workload has a NaN.
class RelationReader : public RelationResolver {
 public:
  Result<Resolution> Resolve(const pgoutput::Relation& relation, const RelationContext&) override {
    auto schema = std::make_shared<TableSchema>();
    schema->relation = relation.id;
    schema->name = relation.name;
    schema->identity = relation.identity;
    for (std::size_t i = 0; i < relation.columns.size(); ++i) {
      const pgoutput::RelationColumn& column = relation.columns[i];
      schema->columns.push_back(
          {.name = column.name,
           .type = columnar::testing::Builtin(column.type.value < 16384 ? column.type.value : 25),
           .is_identity = column.is_identity,
           .missing_value = {}});
      if (column.is_identity) schema->identity_columns.push_back(static_cast<std::int32_t>(i));
    }
    return Resolution::Use(std::move(schema));
  }
  void OnType(const pgoutput::Type&, const RelationContext&) override {}
};

std::string RowText(const RowsPtr& rows, std::int64_t row) {
  std::string out = "(";
  for (int column = 0; rows != nullptr && column < rows->num_columns(); ++column) {
    const auto scalar = rows->column(column)->GetScalar(row);
    out += (*scalar)->is_valid ? (*scalar)->ToString() : "null";
    out += ",";
  }
  return out + ")";
}

/// "relation: changes" in order, with the transactions' commit LSNs.
std::map<std::uint32_t, std::string> Flatten(const std::vector<ChangeSet>& sets) {
  std::map<std::uint32_t, std::string> out;
  for (const ChangeSet& set : sets) {
    for (const TableChanges& table : set.tables) {
      std::string& text = out[table.relation.value];
      for (const ChangeItem& item : table.items) {
        if (const auto* truncate = std::get_if<TruncateMark>(&item)) {
          text += ToString(set.transactions[truncate->transaction].commit_lsn) + "T" +
                  std::to_string(truncate->ordinal) + "\n";
        } else if (const auto* failure = std::get_if<TableFailure>(&item)) {
          text += failure->error.code + "\n";
        }
        const auto* batch = std::get_if<ChangeBatch>(&item);
        if (batch == nullptr) continue;
        std::size_t run = 0;
        for (std::size_t row = 0; row < batch->row_count(); ++row) {
          while (run + 1 < batch->runs.size() && batch->runs[run + 1].first_row <= row) ++run;
          text += ToString(set.transactions[batch->runs[run].transaction].commit_lsn) + " " +
                  std::to_string(static_cast<int>(batch->kind(row))) + " " +
                  std::to_string(batch->ordinals[row]) +
                  RowText(batch->values, static_cast<std::int64_t>(row)) +
                  (batch->has_old[row] ? RowText(batch->old, static_cast<std::int64_t>(row)) : "") +
                  (!batch->unchanged.empty() && batch->unchanged[2][row] ? "unchanged" : "") + "\n";
        }
      }
    }
  }
  return out;
}

std::vector<ChangeSet> Assemble(const std::string& name) {
  RelationReader resolver;
  TransactionAssembler assembler({}, Lsn{1}, std::nullopt, resolver);
  const auto goldens =
      pgoutput::testing::ReadGoldens(std::string(SLUICE_TEST_DATA_DIR) + "/pgoutput/" + name);
  EXPECT_FALSE(goldens.empty());
  for (const auto& golden : goldens) {
    EXPECT_THAT(assembler.Consume(golden.lsn, base::AsBytes(golden.bytes)), IsOk());
  }
  std::vector<ChangeSet> sets;
  while (std::optional<ChangeSet> set = assembler.Seal()) sets.push_back(*std::move(set));
  EXPECT_TRUE(assembler.at_boundary());
  EXPECT_EQ(assembler.staged_transactions(), 0U);
  return sets;
}

TEST(GoldenAssembly, IsTheSameStreamedOrNot) {
  const std::vector<ChangeSet> direct = Assemble("binary.txt");
  const std::vector<ChangeSet> streamed = Assemble("streamed.txt");
  ASSERT_EQ(direct.size(), 1U);
  ASSERT_EQ(streamed.size(), 1U);
  EXPECT_EQ(direct[0].transactions.size(), 12U);
  ASSERT_EQ(streamed[0].transactions.size(), direct[0].transactions.size());
  for (std::size_t i = 0; i < direct[0].transactions.size(); ++i) {
    EXPECT_EQ(streamed[0].transactions[i].commit_lsn, direct[0].transactions[i].commit_lsn);
    EXPECT_EQ(streamed[0].transactions[i].end_lsn, direct[0].transactions[i].end_lsn);
    EXPECT_EQ(streamed[0].transactions[i].xid, direct[0].transactions[i].xid);
    EXPECT_EQ(streamed[0].transactions[i].committed_at, direct[0].transactions[i].committed_at);
  }
  EXPECT_EQ(direct[0].end, streamed[0].end);
  const auto direct_changes = Flatten(direct);
  EXPECT_EQ(direct_changes, Flatten(streamed));
  EXPECT_EQ(direct_changes.size(), 4U);
  for (const auto& [relation, text] : direct_changes) EXPECT_EQ(text.find("SLU-"), text.npos);
}

TEST(GoldenAssembly, IsTheSameInTextForm) {
  EXPECT_EQ(Flatten(Assemble("binary.txt")), Flatten(Assemble("text.txt")));
}

}  // namespace
}  // namespace sluice::replication
