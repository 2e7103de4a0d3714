#include "replication/gather.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/testing/result_matchers.h"
#include "replication/column_view.h"
#include "replication/testing/change_batches.h"

namespace sluice::replication {
namespace {

using sluice::testing::CodeIs;
using testing::BatchMaker;
using testing::Cell;
using testing::MakeColumn;
using testing::MakeTable;
using testing::TextRow;

// One column of every carrier that the built-in types give.
struct TypeCase {
  std::uint32_t oid;
  std::vector<std::string> values;
};

class GatherTypes : public ::testing::TestWithParam<TypeCase> {
 protected:
  static RowsPtr Column(const std::vector<Cell>& cells) {
    BatchMaker maker(MakeTable({MakeColumn("c", GetParam().oid)}, {}, ReplicaIdentity::kFull));
    for (const Cell& cell : cells) maker.Insert({cell});
    return maker.Finish().values;
  }
};

TEST_P(GatherTypes, TakesCellsOutOfSlicedColumns) {
  const auto& values = GetParam().values;
  const RowsPtr first = Column({values[0], std::nullopt, values[1], values[2]});
  const RowsPtr second = Column({values[2], values[1], values[0]})->Slice(1);
  const arrow::ArrayData* const sources[] = {first->column_data(0).get(), nullptr,
                                             second->column_data(0).get()};
  const CellRef cells[] = {{2, 1}, {0, 3}, kNoCell, {0, 1}, {2, 0}, {0, 3}};
  const auto gathered = Gather(first->schema()->field(0)->type(), sources, cells);
  ASSERT_TRUE(gathered) << gathered.error().message;
  const RowsPtr expected =
      Column({values[0], values[2], std::nullopt, std::nullopt, values[1], values[2]});
  const auto array = arrow::MakeArray(*gathered);
  ASSERT_TRUE(array->ValidateFull().ok()) << array->ValidateFull().ToString();
  EXPECT_TRUE(array->Equals(expected->column(0), arrow::EqualOptions().nans_equal(true)))
      << array->ToString();
  EXPECT_EQ(array->null_count(), 2);
}

TEST_P(GatherTypes, HashesAndComparesCells) {
  const auto& values = GetParam().values;
  const RowsPtr a = Column({values[0], values[1], std::nullopt, values[2]});
  const RowsPtr b = Column({values[2], values[0], std::nullopt, values[1]})->Slice(1);
  const ColumnView in_a = ViewOf(a->column_data(0).get());
  const ColumnView in_b = ViewOf(b->column_data(0).get());
  for (const CellEquality equality : {CellEquality::kKey, CellEquality::kExact}) {
    const std::uint32_t same[][2] = {{0, 0}, {1, 2}, {2, 1}};
    for (const auto& [x, y] : same) {
      EXPECT_TRUE(SameCell(in_a, x, in_b, y, equality));
      EXPECT_EQ(HashCell(in_a, x, 1, equality), HashCell(in_b, y, 1, equality));
    }
    const std::uint32_t others[][2] = {{0, 1}, {0, 2}, {2, 0}, {1, 0}};
    for (const auto& [x, y] : others) {
      EXPECT_FALSE(SameCell(in_a, x, in_b, y, equality));
      EXPECT_NE(HashCell(in_a, x, 1, equality), HashCell(in_b, y, 1, equality));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Carriers, GatherTypes,
    ::testing::Values(TypeCase{16, {"t", "f", "t"}}, TypeCase{21, {"1", "-2", "3"}},
                      TypeCase{23, {"1", "-2", "3"}}, TypeCase{20, {"1", "-2", "3"}},
                      TypeCase{26, {"1", "4000000000", "3"}}, TypeCase{700, {"1.5", "NaN", "-0"}},
                      TypeCase{701, {"1.5", "NaN", "-0"}}, TypeCase{25, {"", "abc", "xyzzy"}},
                      TypeCase{17, {"\\x", "\\x00ff", "\\x01"}},
                      TypeCase{1082, {"2026-01-01", "infinity", "0001-01-01 BC"}},
                      TypeCase{1114, {"2026-01-01 00:00:00", "infinity", "1999-01-01 01:02:03.4"}},
                      TypeCase{1186, {"1 day", "1 mon", "00:00:01"}},
                      TypeCase{2950,
                               {"00000000-0000-0000-0000-000000000001",
                                "00000000-0000-0000-0000-000000000002",
                                "f0000000-0000-0000-0000-000000000001"}},
                      TypeCase{1007, {"{}", "{1,NULL,3}", "{1}"}},
                      TypeCase{1009, {"{}", "{a,NULL,\"\"}", "{b}"}},
                      TypeCase{1000, {"{}", "{t,f}", "{f}"}}));

TEST(Gather, TakesStructsApart) {
  const auto type =
      arrow::struct_({arrow::field("a", arrow::int32()), arrow::field("b", arrow::utf8())});
  auto a = std::make_shared<arrow::Int32Builder>();
  auto b = std::make_shared<arrow::StringBuilder>();
  arrow::StructBuilder builder(type, arrow::default_memory_pool(), {a, b});
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(builder.Append(i != 2).ok());
    ASSERT_TRUE(a->Append(i).ok());
    ASSERT_TRUE(b->Append("s" + std::to_string(i)).ok());
  }
  const auto array = (*builder.Finish())->Slice(1);
  const arrow::ArrayData* const source = array->data().get();
  const auto gathered = Gather(type, std::span(&source, 1), std::vector<CellRef>{{0, 2}, {0, 1}});
  ASSERT_TRUE(gathered);
  const auto result = arrow::MakeArray(*gathered);
  ASSERT_TRUE(result->ValidateFull().ok());
  EXPECT_TRUE(result->Slice(0, 1)->Equals(array->Slice(2, 1)));
  EXPECT_TRUE(result->IsNull(1));
}

TEST(Gather, TakesNestedListsAndMaps) {
  const auto type = arrow::map(arrow::utf8(), arrow::utf8());
  auto key = std::make_shared<arrow::StringBuilder>();
  auto value = std::make_shared<arrow::StringBuilder>();
  arrow::MapBuilder builder(arrow::default_memory_pool(), key, value, type);
  for (int row = 0; row < 3; ++row) {
    ASSERT_TRUE(builder.Append().ok());
    for (int i = 0; i < row; ++i) {
      ASSERT_TRUE(key->Append("k" + std::to_string(i)).ok());
      ASSERT_TRUE(value->Append("v").ok());
    }
  }
  const auto array = *builder.Finish();
  const arrow::ArrayData* const source = array->data().get();
  const auto gathered =
      Gather(type, std::span(&source, 1), std::vector<CellRef>{{0, 2}, {0, 0}, {0, 1}});
  ASSERT_TRUE(gathered);
  const auto result = arrow::MakeArray(*gathered);
  ASSERT_TRUE(result->ValidateFull().ok()) << result->ValidateFull().ToString();
  EXPECT_TRUE(result->Slice(0, 1)->Equals(array->Slice(2, 1)));
  EXPECT_TRUE(result->Slice(2, 1)->Equals(array->Slice(1, 1)));
}

TEST(Gather, RefusesATypeWithoutCarrier) {
  EXPECT_THAT(Gather(arrow::large_utf8(), {}, {}), CodeIs("SLU-9102"));
}

TEST(CellEquality, KeysTakeBothZerosAndAllNansAsOne) {
  arrow::DoubleBuilder builder;
  for (const double value : {0.0, -0.0}) ASSERT_TRUE(builder.Append(value).ok());
  const auto array = *builder.Finish();
  const ColumnView view = ViewOf(array->data().get());
  EXPECT_TRUE(SameCell(view, 0, view, 1, CellEquality::kKey));
  EXPECT_FALSE(SameCell(view, 0, view, 1, CellEquality::kExact));
  EXPECT_EQ(HashCell(view, 0, 1, CellEquality::kKey), HashCell(view, 1, 1, CellEquality::kKey));
  EXPECT_NE(HashCell(view, 0, 1, CellEquality::kExact), HashCell(view, 1, 1, CellEquality::kExact));
}

TEST(Repeat, GivesTheSameCellManyTimes) {
  BatchMaker maker(MakeTable({MakeColumn("c", 25)}, {}, ReplicaIdentity::kFull));
  maker.Insert({"a"});
  maker.Insert({"b"});
  const RowsPtr rows = maker.Finish().values;
  const auto repeated = Repeat(rows->column_data(0), 1, 3);
  EXPECT_EQ(arrow::MakeArray(*repeated)->ToString(),
            arrow::MakeArray(*Repeat(rows->Slice(1)->column_data(0), 0, 3))->ToString());
  EXPECT_EQ((*repeated)->length, 3);
  EXPECT_EQ((*Nulls(arrow::utf8(), 5))->null_count, 5);
}

}  // namespace
}  // namespace sluice::replication
