#include "columnar/table_builder.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/testing/result_matchers.h"
#include "columnar/testing/schemas.h"

namespace sluice::columnar {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsError;
using sluice::testing::IsOk;
using testing::Builtin;
using testing::NullCell;
using testing::Schema;
using testing::TextCell;
using testing::UnchangedCell;
using Cells = std::vector<pgoutput::TupleCell>;

SchemaPtr KeyAndTexts(ReplicaIdentity kind = ReplicaIdentity::kDefault) {
  std::vector<std::int32_t> identity = {0};
  if (kind == ReplicaIdentity::kFull) identity = {0, 1, 2};
  return Schema({Builtin(23), Builtin(25), Builtin(25)}, identity, kind);
}

std::string Cell(const RowsPtr& rows, int column, std::int64_t row) {
  if (rows->column(column)->IsNull(row)) return "NULL";
  return (*rows->column(column)->GetScalar(row))->ToString();
}

void ExpectSound(const ChangeBatch& batch) {
  const auto rows = static_cast<std::int64_t>(batch.row_count());
  ASSERT_EQ(batch.values->num_rows(), rows);
  EXPECT_TRUE(batch.values->ValidateFull().ok()) << batch.values->ValidateFull().ToString();
  if (batch.old) {
    EXPECT_EQ(batch.old->num_rows(), rows);
    EXPECT_TRUE(batch.old->ValidateFull().ok()) << batch.old->ValidateFull().ToString();
  }
}

TEST(TableBuilder, LeavesEverythingOptionalOutOfAnInsertOnlyBatch) {
  TableBuilder builder(KeyAndTexts());
  builder.BeginTransaction(4);
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("1"), TextCell("a"), NullCell()}, 7), IsOk());
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("2"), TextCell("b"), TextCell("c")}, 8), IsOk());
  const ChangeBatch batch = builder.Finish();
  ExpectSound(batch);
  EXPECT_EQ(batch.old, nullptr);
  EXPECT_TRUE(batch.kinds.empty());
  EXPECT_TRUE(batch.unchanged.empty());
  EXPECT_EQ(batch.ordinals, (std::vector<std::uint32_t>{7, 8}));
  ASSERT_EQ(batch.runs.size(), 1U);
  EXPECT_EQ(batch.runs[0].transaction, 4U);
  EXPECT_EQ(Cell(batch.values, 2, 0), "NULL");
  EXPECT_EQ(Cell(batch.values, 2, 1), "c");
  EXPECT_EQ(builder.row_count(), 0U);
}

TEST(TableBuilder, KeepsOldKeysRowForRow) {
  TableBuilder builder(KeyAndTexts());
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("1"), TextCell("a"), NullCell()}, 0), IsOk());
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("5"), TextCell("a"), NullCell()},
                                   Cells{TextCell("1"), NullCell(), NullCell()}, 1),
              IsOk());
  EXPECT_THAT(builder.AppendDelete(Cells{TextCell("5"), NullCell(), NullCell()}, 2), IsOk());
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("9"), NullCell(), NullCell()}, {}, 3), IsOk());
  const ChangeBatch batch = builder.Finish();
  ExpectSound(batch);
  ASSERT_NE(batch.old, nullptr);
  EXPECT_EQ(batch.old->num_columns(), 1);
  EXPECT_FALSE(batch.has_old[0]);
  EXPECT_TRUE(batch.has_old[1]);
  EXPECT_TRUE(batch.has_old[2]);
  EXPECT_FALSE(batch.has_old[3]);
  EXPECT_EQ(Cell(batch.old, 0, 0), "NULL");
  EXPECT_EQ(Cell(batch.old, 0, 1), "1");
  EXPECT_EQ(Cell(batch.old, 0, 2), "5");
  EXPECT_EQ(Cell(batch.old, 0, 3), "NULL");
  EXPECT_EQ(batch.kinds, (std::vector<ChangeKind>{ChangeKind::kInsert, ChangeKind::kUpdate,
                                                  ChangeKind::kDelete, ChangeKind::kUpdate}));
  EXPECT_EQ(Cell(batch.values, 0, 2), "NULL");
}

TEST(TableBuilder, MarksUnchangedValuesApartFromNull) {
  TableBuilder builder(KeyAndTexts());
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("1"), UnchangedCell(), NullCell()}, {}, 0),
              IsOk());
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("5"), TextCell("x"), UnchangedCell()},
                                   Cells{TextCell("1"), NullCell(), NullCell()}, 1),
              IsOk());
  const ChangeBatch batch = builder.Finish();
  ExpectSound(batch);
  ASSERT_EQ(batch.unchanged.size(), 3U);
  EXPECT_TRUE(batch.unchanged[1][0]);
  EXPECT_FALSE(batch.unchanged[1][1]);
  EXPECT_FALSE(batch.unchanged[2][0]);
  EXPECT_TRUE(batch.unchanged[2][1]);
  EXPECT_FALSE(batch.unchanged[0].any());
}

TEST(TableBuilder, FillsUnchangedValuesFromAFullOldTuple) {
  TableBuilder builder(KeyAndTexts(ReplicaIdentity::kFull));
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("1"), UnchangedCell(), TextCell("new")},
                                   Cells{TextCell("1"), TextCell("large"), NullCell()}, 0),
              IsOk());
  const ChangeBatch batch = builder.Finish();
  ExpectSound(batch);
  EXPECT_TRUE(batch.unchanged.empty());
  EXPECT_EQ(Cell(batch.values, 1, 0), "large");
  EXPECT_EQ(batch.old->num_columns(), 3);
}

TEST(TableBuilder, RefusesAnInsertThatLacksAValue) {
  TableBuilder builder(KeyAndTexts());
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("1"), UnchangedCell(), NullCell()}, 0),
              CodeIs("SLU-4113"));
  EXPECT_EQ(builder.row_count(), 0U);
}

TEST(TableBuilder, IsAsBeforeAfterAnError) {
  TableBuilder builder(KeyAndTexts());
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("1"), TextCell("a"), NullCell()}, 0), IsOk());
  const std::size_t bytes = builder.bytes();
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("2"), UnchangedCell(), TextCell("\xff")}, 1),
              IsError(ErrorKind::kConversion));
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("2"), UnchangedCell(), TextCell("\xff")},
                                   Cells{TextCell("1"), NullCell(), NullCell()}, 1),
              CodeIs("SLU-4103"));
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("2"), UnchangedCell(), NullCell()},
                                   Cells{TextCell("x"), NullCell(), NullCell()}, 1),
              CodeIs("SLU-4101"));
  EXPECT_THAT(builder.AppendDelete(Cells{TextCell("x"), NullCell(), NullCell()}, 1),
              CodeIs("SLU-4101"));
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("2")}, 1), CodeIs("SLU-4111"));
  EXPECT_EQ(builder.row_count(), 1U);
  EXPECT_NEAR(static_cast<double>(builder.bytes()), static_cast<double>(bytes), 64);
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("3"), TextCell("c"), NullCell()}, {}, 1), IsOk());
  const ChangeBatch batch = builder.Finish();
  ExpectSound(batch);
  EXPECT_EQ(batch.old, nullptr);
  EXPECT_TRUE(batch.unchanged.empty());
  EXPECT_EQ(Cell(batch.values, 0, 1), "3");
}

TEST(TableBuilder, TruncatesBackIntoAnEarlierTransaction) {
  TableBuilder builder(KeyAndTexts());
  builder.BeginTransaction(1);
  for (const char* key : {"1", "2", "3"}) {
    EXPECT_THAT(builder.AppendInsert(Cells{TextCell(key), NullCell(), NullCell()}, 0), IsOk());
  }
  builder.BeginTransaction(2);
  EXPECT_THAT(builder.AppendDelete(Cells{TextCell("4"), NullCell(), NullCell()}, 0), IsOk());
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("5"), UnchangedCell(), NullCell()}, {}, 1),
              IsOk());
  builder.Truncate(2);
  EXPECT_EQ(builder.row_count(), 2U);
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("6"), TextCell("x"), NullCell()}, 0), IsOk());
  const ChangeBatch batch = builder.Finish();
  ExpectSound(batch);
  EXPECT_EQ(batch.old, nullptr);
  ASSERT_EQ(batch.runs.size(), 2U);
  EXPECT_EQ(batch.runs[1].transaction, 2U);
  EXPECT_EQ(batch.runs[1].first_row, 2U);
  EXPECT_EQ(batch.kind(2), ChangeKind::kInsert);
  EXPECT_EQ(Cell(batch.values, 0, 2), "6");
}

TEST(TableBuilder, TruncatesByOrdinalWithinTheOpenTransactionOnly) {
  TableBuilder builder(KeyAndTexts());
  builder.BeginTransaction(0);
  for (std::uint32_t ordinal : {5U, 9U}) {
    EXPECT_THAT(builder.AppendInsert(Cells{TextCell("1"), NullCell(), NullCell()}, ordinal),
                IsOk());
  }
  builder.BeginTransaction(1);
  builder.TruncateFromOrdinal(0);
  EXPECT_EQ(builder.row_count(), 2U);
  for (std::uint32_t ordinal : {2U, 4U, 6U}) {
    EXPECT_THAT(builder.AppendInsert(Cells{TextCell("2"), NullCell(), NullCell()}, ordinal),
                IsOk());
  }
  builder.TruncateFromOrdinal(4);
  EXPECT_EQ(builder.row_count(), 3U);
  builder.TruncateFromOrdinal(3);
  EXPECT_EQ(builder.row_count(), 3U);
  builder.TruncateFromOrdinal(0);
  EXPECT_EQ(builder.row_count(), 2U);
  EXPECT_EQ(builder.Finish().ordinals, (std::vector<std::uint32_t>{5, 9}));
}

TEST(TableBuilder, StartsAnEmptyBatchAfterFinish) {
  TableBuilder builder(KeyAndTexts());
  builder.BeginTransaction(3);
  EXPECT_THAT(builder.AppendDelete(Cells{TextCell("4"), NullCell(), NullCell()}, 0), IsOk());
  EXPECT_GT(builder.bytes(), 0U);
  ExpectSound(builder.Finish());
  EXPECT_EQ(builder.bytes(), 0U);
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("1"), NullCell(), NullCell()}, 1), IsOk());
  const ChangeBatch batch = builder.Finish();
  ExpectSound(batch);
  EXPECT_EQ(batch.old, nullptr);
  EXPECT_TRUE(batch.kinds.empty());
  ASSERT_EQ(batch.runs.size(), 1U);
  EXPECT_EQ(batch.runs[0].transaction, 3U);
}

TEST(SliceRows, CutsRunsBitsAndOldTuples) {
  TableBuilder builder(KeyAndTexts());
  builder.BeginTransaction(0);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("1"), UnchangedCell(), NullCell()}, {}, i),
                IsOk());
  }
  builder.BeginTransaction(1);
  EXPECT_THAT(builder.AppendDelete(Cells{TextCell("7"), NullCell(), NullCell()}, 0), IsOk());
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("8"), NullCell(), NullCell()}, 1), IsOk());
  const ChangeBatch batch = builder.Finish();
  const ChangeBatch middle = SliceRows(batch, 2, 4);
  ExpectSound(middle);
  ASSERT_EQ(middle.row_count(), 2U);
  ASSERT_EQ(middle.runs.size(), 2U);
  EXPECT_EQ(middle.runs[0].first_row, 0U);
  EXPECT_EQ(middle.runs[1].first_row, 1U);
  EXPECT_EQ(middle.runs[1].transaction, 1U);
  EXPECT_TRUE(middle.unchanged[1][0]);
  EXPECT_FALSE(middle.unchanged[1][1]);
  EXPECT_TRUE(middle.has_old[1]);
  EXPECT_EQ(Cell(middle.old, 0, 1), "7");
  EXPECT_EQ(middle.kind(1), ChangeKind::kDelete);
  EXPECT_EQ(SliceRows(batch, 0, 2).old, nullptr);
  EXPECT_EQ(SliceRows(batch, 5, 5).row_count(), 0U);
}

TEST(TableBuilder, TellsTheKeyOfTheRowWithAMisfit) {
  TableBuilder builder(Schema({Builtin(23), Builtin(1007), Builtin(25)}, {0}));
  const Status insert =
      builder.AppendInsert(Cells{TextCell("5"), TextCell("{{1}}"), TextCell("secret")}, 0);
  ASSERT_THAT(insert, CodeIs("SLU-4106"));
  EXPECT_EQ(insert.error().server_message, "(c0)=(5)");
  EXPECT_EQ(insert.error().message.find("secret"), std::string::npos);
  const Status moved = builder.AppendUpdate(Cells{UnchangedCell(), TextCell("{{1}}"), NullCell()},
                                            Cells{TextCell("6"), NullCell(), NullCell()}, 1);
  EXPECT_EQ(moved.error().server_message, "(c0)=(6)");

  TableBuilder long_keys(Schema({Builtin(25), Builtin(1007)}, {0}));
  const std::string key(5000, 'k');
  const Status refused = long_keys.AppendInsert(Cells{TextCell(key), TextCell("{{1}}")}, 0);
  EXPECT_EQ(refused.error().server_message, "(c0)=(" + std::string(200, 'k') + "...)");
}

SchemaPtr LettingGo(const SchemaPtr& from, OnMisfit policy) {
  auto schema = std::make_shared<TableSchema>(*from);
  for (Column& column : schema->columns) column.on_misfit = policy;
  return schema;
}

TEST(TableBuilder, LetsGoWhatItsColumnMayLetGo) {
  TableBuilder builder(
      LettingGo(Schema({Builtin(23), Builtin(1007), Builtin(25)}, {0}), OnMisfit::kQuarantine));
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("1"), TextCell("{7}"), TextCell("a")}, 0),
              IsOk());
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("2"), TextCell("{{1,2}}"), TextCell("b")}, 1),
              IsOk());
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("3"), TextCell("{8,9}"), TextCell("\xC3")}, 2),
              IsOk());
  const ChangeBatch batch = builder.Finish();
  ExpectSound(batch);
  ASSERT_EQ(batch.misfits.size(), 2U);
  EXPECT_EQ(batch.misfits[0].row, 1U);
  EXPECT_EQ(batch.misfits[0].column, 1U);
  EXPECT_EQ(batch.misfits[0].text, "{{1,2}}");
  EXPECT_EQ(batch.misfits[0].reason, "array has not one dimension with lower bound 1 (SLU-4106)");
  EXPECT_EQ(batch.misfits[1].row, 2U);
  EXPECT_EQ(batch.misfits[1].text, "\\xc3");
  EXPECT_EQ(Cell(batch.values, 1, 1), "NULL");
  const ChangeBatch last = SliceRows(batch, 2, 3);
  ASSERT_EQ(last.misfits.size(), 1U);
  EXPECT_EQ(last.misfits[0].row, 0U);
  EXPECT_TRUE(builder.Finish().misfits.empty());
}

TEST(TableBuilder, NeverLetsGoAValueThatFindsTheRow) {
  TableBuilder builder(LettingGo(Schema({Builtin(1007), Builtin(25)}, {0}), OnMisfit::kQuarantine));
  EXPECT_THAT(builder.AppendInsert(Cells{TextCell("{{1}}"), TextCell("a")}, 0), CodeIs("SLU-4106"));
  EXPECT_TRUE(builder.Finish().misfits.empty());
}

TEST(TableBuilder, TakesMisfitsBackWithTheirRows) {
  TableBuilder builder(
      LettingGo(Schema({Builtin(23), Builtin(1007), Builtin(1007)}, {0}), OnMisfit::kQuarantine));
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_THAT(builder.AppendInsert(
                    Cells{TextCell(std::to_string(i)), TextCell("{{1}}"), TextCell("{1}")}, i),
                IsOk());
  }
  // The first column of the row is let go, the third is no array at all.
  EXPECT_FALSE(builder.AppendInsert(Cells{TextCell("4"), TextCell("{{1}}"), TextCell("x")}, 4));
  builder.TruncateFromOrdinal(2);
  const ChangeBatch batch = builder.Finish();
  ExpectSound(batch);
  ASSERT_EQ(batch.misfits.size(), 2U);
  EXPECT_EQ(batch.misfits[1].row, 1U);
}

TEST(TableBuilder, TellsMisfitsOfOldTuplesFromThoseOfNewValues) {
  TableBuilder builder(LettingGo(
      Schema({Builtin(23), Builtin(1007)}, {0, 1}, ReplicaIdentity::kFull), OnMisfit::kNull));
  auto keyless = std::make_shared<TableSchema>(*builder.schema());
  keyless->key.clear();
  builder = TableBuilder(keyless);
  EXPECT_THAT(builder.AppendUpdate(Cells{TextCell("1"), TextCell("{1}")},
                                   Cells{TextCell("1"), TextCell("{{1}}")}, 0),
              IsOk());
  EXPECT_THAT(builder.AppendDelete(Cells{TextCell("1"), TextCell("{{2}}")}, 1), IsOk());
  const ChangeBatch batch = builder.Finish();
  ExpectSound(batch);
  ASSERT_EQ(batch.misfits.size(), 2U);
  EXPECT_TRUE(batch.misfits[0].is_old);
  EXPECT_TRUE(batch.misfits[1].is_old);
  EXPECT_EQ(batch.misfits[1].row, 1U);
  EXPECT_EQ(batch.misfits[0].text, "");
}

}  // namespace
}  // namespace sluice::columnar
