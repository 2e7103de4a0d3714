#include "types/key_bytes.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace sluice::types {
namespace {

template <class Builder, class T>
std::shared_ptr<arrow::Array> ArrayOf(const std::vector<T>& values) {
  Builder builder;
  for (const T& value : values) EXPECT_TRUE(builder.Append(value).ok());
  EXPECT_TRUE(builder.AppendNull().ok());
  return builder.Finish().ValueOrDie();
}

std::string Key(const arrow::Array& array, std::int64_t row) {
  std::string key;
  AppendKeyBytes(array, row, key);
  return key;
}

TEST(AppendKeyBytes, TreatsZerosAndNansAsTheDestinationDoes) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto array =
      ArrayOf<arrow::DoubleBuilder, double>({0.0, -0.0, nan, std::copysign(nan, -1.0), 1.0});
  EXPECT_EQ(Key(*array, 0), Key(*array, 1));
  EXPECT_EQ(Key(*array, 2), Key(*array, 3));
  EXPECT_NE(Key(*array, 0), Key(*array, 4));
  EXPECT_NE(Key(*array, 0), Key(*array, 5));
}

TEST(AppendKeyBytes, IsSelfDelimiting) {
  const auto first = ArrayOf<arrow::StringBuilder, std::string>({"ab", "a"});
  const auto second = ArrayOf<arrow::StringBuilder, std::string>({"c", "bc"});
  EXPECT_NE(Key(*first, 0) + Key(*second, 0), Key(*first, 1) + Key(*second, 1));
}

TEST(AppendKeyBytes, ReadsSlicedArrays) {
  const auto array = ArrayOf<arrow::Int64Builder, std::int64_t>({1, 2, 3});
  EXPECT_EQ(Key(*array->Slice(1), 1), Key(*array, 2));
}

TEST(KeyEncoder, ComparesIntervalsByTheirLength) {
  arrow::FixedSizeBinaryBuilder builder(arrow::fixed_size_binary(16));
  const std::string month("\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0", 16);
  const std::string days("\0\0\0\0\0\0\0\0\x1e\0\0\0\0\0\0\0", 16);
  ASSERT_TRUE(builder.Append(month).ok());
  ASSERT_TRUE(builder.Append(days).ok());
  const auto array = builder.Finish().ValueOrDie();
  ColumnType interval;
  interval.carrier = Carrier::kInterval;
  const std::vector<const arrow::Array*> arrays = {array.get()};
  const std::vector<const ColumnType*> types = {&interval};
  const KeyEncoder encoder(arrays, types);
  std::string first;
  std::string second;
  encoder.Append(0, first);
  encoder.Append(1, second);
  EXPECT_EQ(first, second);
  EXPECT_NE(Key(*array, 0), Key(*array, 1));
}

}  // namespace
}  // namespace sluice::types
