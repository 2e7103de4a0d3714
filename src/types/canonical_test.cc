#include "types/canonical.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_reader.h"
#include "types/arrow_type.h"

namespace sluice::types {
namespace {

std::string Bytes(std::string_view hex) {
  std::string bytes;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i + 1 < hex.size();) {
    if (hex[i] == ' ') {
      ++i;
      continue;
    }
    bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
    i += 2;
  }
  return bytes;
}

ColumnType Type(Carrier carrier, std::string_view codec = "", std::uint8_t precision = 0,
                std::int8_t scale = 0) {
  ColumnType type;
  type.carrier = carrier;
  type.codec = codec;
  type.precision = precision;
  type.scale = scale;
  return type;
}

std::string FromWire(const ColumnType& type, std::string_view hex) {
  std::string out;
  const std::string wire = Bytes(hex);
  return AppendWireCell(type, base::AsBytes(wire), out) ? out : "malformed";
}

std::string FromArrow(const ColumnType& type, const std::shared_ptr<arrow::Array>& array,
                      std::int64_t row = 0) {
  const std::vector<ColumnType> types = {type};
  const std::vector<std::shared_ptr<arrow::Array>> arrays = {array};
  const auto encoder = ArrowCellEncoder::Make(types, arrays);
  if (!encoder) return encoder.error().message;
  std::string out;
  encoder->Append(0, row, out);
  return out;
}

template <class Builder, class T>
std::shared_ptr<arrow::Array> One(const T& value,
                                  std::shared_ptr<arrow::DataType> type = Builder().type()) {
  Builder builder(type, arrow::default_memory_pool());
  EXPECT_TRUE(builder.Append(value).ok());
  return builder.Finish().ValueOrDie();
}

TEST(Canonical, AgreesOnIntegersFromBothSides) {
  EXPECT_EQ(FromWire(Type(Carrier::kInt32), "fffffffe"),
            FromArrow(Type(Carrier::kInt32), One<arrow::Int32Builder>(-2)));
  EXPECT_EQ(FromWire(Type(Carrier::kInt64), "8000000000000000"),
            FromArrow(Type(Carrier::kInt64),
                      One<arrow::Int64Builder>(std::numeric_limits<std::int64_t>::min())));
  EXPECT_EQ(FromWire(Type(Carrier::kUInt32), "ffffffff"),
            FromArrow(Type(Carrier::kUInt32), One<arrow::UInt32Builder>(0xFFFFFFFFU)));
}

TEST(Canonical, TellsZerosApartAndNansNot) {
  const ColumnType type = Type(Carrier::kFloat64);
  EXPECT_NE(FromWire(type, "8000000000000000"), FromWire(type, "0000000000000000"));
  EXPECT_EQ(FromWire(type, "fff8000000000001"),
            FromArrow(type, One<arrow::DoubleBuilder>(std::numeric_limits<double>::quiet_NaN())));
}

TEST(Canonical, AgreesOnDecimalsWhateverTheWiresGroups) {
  const ColumnType type = Type(Carrier::kDecimal, "numeric", 10, 2);
  const auto arrow_cell = [&](int unscaled) {
    return FromArrow(
        type, One<arrow::Decimal128Builder>(arrow::Decimal128(unscaled), arrow::decimal128(10, 2)));
  };
  EXPECT_EQ(FromWire(type, "0002 0000 0000 0002 0001 1388"), arrow_cell(150));
  EXPECT_EQ(FromWire(type, "0000 0000 0000 0002"), arrow_cell(0));
  EXPECT_EQ(FromWire(type, "0001 ffff 4000 0002 0064"), arrow_cell(-1));
  EXPECT_EQ(FromWire(type, "0001 0001 0000 0002 0007"), arrow_cell(7000000));
  // One thousandth does not fit two digits: never equal, and no failure.
  EXPECT_NE(FromWire(type, "0001 ffff 0000 0003 000a"), arrow_cell(0));
  EXPECT_NE(FromWire(type, "0000 0000 c000 0000"), arrow_cell(0));
  EXPECT_NE(FromWire(type, "0001 7fff 0000 0000 0001"), arrow_cell(0));
}

TEST(Canonical, AgreesOnThirtyEightDigits) {
  const ColumnType type = Type(Carrier::kDecimal, "numeric", 38, 0);
  const auto nines = arrow::Decimal128::FromString(std::string(38, '9')).ValueOrDie();
  EXPECT_EQ(FromWire(type, "000a 0009 0000 0000 0063 270f 270f 270f 270f 270f 270f 270f 270f 270f"),
            FromArrow(type, One<arrow::Decimal128Builder>(nines, arrow::decimal128(38, 0))));
}

TEST(Canonical, AgreesOnThirtyEightDigitsThatEndInsideAGroup) {
  const ColumnType type = Type(Carrier::kDecimal, "numeric", 38, 2);
  const auto nines = arrow::Decimal128::FromString(std::string(38, '9')).ValueOrDie();
  EXPECT_EQ(FromWire(type, "000a 0008 4000 0002 270f 270f 270f 270f 270f 270f 270f 270f 270f 26ac"),
            FromArrow(type, One<arrow::Decimal128Builder>(-nines, arrow::decimal128(38, 2))));
}

TEST(Canonical, ShiftsEpochsAndKeepsInfinities) {
  const ColumnType date = Type(Carrier::kDate);
  EXPECT_EQ(FromWire(date, "00000000"), FromArrow(date, One<arrow::Date32Builder>(10'957)));
  EXPECT_EQ(FromWire(date, "80000000"), FromArrow(date, One<arrow::Date32Builder>(-2147483647)));
  EXPECT_EQ(FromWire(date, "7fffffff"), FromArrow(date, One<arrow::Date32Builder>(2147483647)));
  const ColumnType stamp = Type(Carrier::kTimestamp);
  const auto micros = arrow::timestamp(arrow::TimeUnit::MICRO);
  EXPECT_EQ(FromWire(stamp, "0000000000000000"),
            FromArrow(stamp, One<arrow::TimestampBuilder>(946'684'800'000'000, micros)));
  EXPECT_EQ(FromWire(stamp, "8000000000000000"),
            FromArrow(stamp, One<arrow::TimestampBuilder>(-std::numeric_limits<std::int64_t>::max(),
                                                          micros)));
}

TEST(Canonical, AgreesOnIntervals) {
  const ColumnType type = Type(Carrier::kInterval);
  const std::string carried("\x40\x42\x0f\0\0\0\0\0\xff\xff\xff\xff\1\0\0\0", 16);
  EXPECT_EQ(
      FromWire(type, "00000000000f4240 ffffffff 00000001"),
      FromArrow(type, One<arrow::FixedSizeBinaryBuilder>(carried, arrow::fixed_size_binary(16))));
}

TEST(Canonical, AgreesOnListsWithNullsAndBlanksTheFlagWord) {
  ColumnType type = Type(Carrier::kList);
  type.children = {Type(Carrier::kInt32)};
  auto values = std::make_shared<arrow::Int32Builder>();
  arrow::ListBuilder builder(arrow::default_memory_pool(), values);
  ASSERT_TRUE(builder.Append().ok());
  ASSERT_TRUE(builder.Append().ok());
  ASSERT_TRUE(values->Append(7).ok());
  ASSERT_TRUE(values->AppendNull().ok());
  const auto array = builder.Finish().ValueOrDie();
  EXPECT_EQ(FromWire(type, "00000000 00000000 00000017"), FromArrow(type, array, 0));
  const std::string rest = "00000017 00000002 00000001 00000004 00000007 ffffffff";
  EXPECT_EQ(FromWire(type, "00000001 00000001 " + rest), FromArrow(type, array, 1));
  EXPECT_EQ(FromWire(type, "00000001 00000000 " + rest), FromArrow(type, array, 1));
  EXPECT_EQ(FromArrow(type, array->Slice(1), 0), FromArrow(type, array, 1));
  EXPECT_NE(FromWire(type,
                     "00000001 00000001 00000017 00000002 00000000 00000004 00000007 "
                     "ffffffff"),
            FromArrow(type, array, 1));
}

TEST(Canonical, RefusesCountsThatTheBytesDoNotHold) {
  ColumnType type = Type(Carrier::kList);
  type.children = {Type(Carrier::kInt32)};
  EXPECT_EQ(FromWire(type, "00000001 00000000 00000017 7fffffff 00000001"), "malformed");
  EXPECT_EQ(FromWire(Type(Carrier::kMap), "ffffffff"), "malformed");
  EXPECT_EQ(FromWire(Type(Carrier::kInt32), "0000"), "malformed");
  EXPECT_EQ(FromWire(Type(Carrier::kInt32), "0000000000"), "malformed");
}

TEST(Canonical, IsNullWhereAMisfitIsLetGo) {
  const auto let_go = [](const ColumnType& type, std::string_view hex) {
    std::string out = "x";
    const std::string wire = Bytes(hex);
    EXPECT_TRUE(AppendCellOrNull(type, base::AsBytes(wire), out));
    return out;
  };
  std::string null = "x";
  AppendNullCell(null);
  ColumnType numbers = Type(Carrier::kList, "array");
  numbers.children = {Type(Carrier::kDecimal, "numeric", 4, 2)};
  const std::string nan = "0000 0000 c000 0000";
  EXPECT_EQ(let_go(numbers.children[0], nan), null);
  // 100.00 has five digits.
  EXPECT_EQ(let_go(numbers.children[0], "0001 0000 0000 0002 0064"), null);
  EXPECT_NE(let_go(numbers.children[0], "0001 0000 0000 0002 0063"), null);
  EXPECT_EQ(let_go(numbers, "00000001 00000000 000006a4 00000001 00000001 00000008" + nan), null);
  EXPECT_EQ(let_go(numbers, "00000001 00000000 000006a4 00000001 00000002 00000008" + nan), null);
  EXPECT_EQ(let_go(Type(Carrier::kInterval), "7fffffffffffffff 7fffffff 7fffffff"), null);
  // 294247-01-10 04:00:54.775807 would be infinity.
  EXPECT_EQ(let_go(Type(Carrier::kTimestampTz), "7ffca2fec4c81fff"), null);
  EXPECT_NE(let_go(Type(Carrier::kTimestampTz), "7ffca2fec4c81ffe"), null);
  EXPECT_EQ(let_go(Type(Carrier::kInterval), "8000000000000000 80000000 80000000"), null);
  EXPECT_NE(let_go(Type(Carrier::kInterval), "7fffffffffffffff 7fffffff 7ffffffe"), null);
  EXPECT_EQ(let_go(Type(Carrier::kText, "text"), "c3"), null);
  EXPECT_NE(let_go(Type(Carrier::kBytes, "bytea"), "c3"), null);
  EXPECT_NE(let_go(Type(Carrier::kText, "text"), "c3a4"), null);
}

TEST(Canonical, StripsTheVersionOfJsonb) {
  EXPECT_EQ(FromWire(Type(Carrier::kJson, "jsonb"), "01 7b7d"),
            FromArrow(Type(Carrier::kJson, "jsonb"), One<arrow::StringBuilder>("{}")));
}

TEST(Canonical, RefusesArrowTypesThatAreNotTheCarrier) {
  EXPECT_NE(FromArrow(Type(Carrier::kInt64), One<arrow::Int32Builder>(1)).find("verify expected"),
            std::string::npos);
}

TEST(NeedsServerText, LooksInsideListsAndStructs) {
  ColumnType list = Type(Carrier::kList);
  list.children = {Type(Carrier::kText, "inet")};
  EXPECT_TRUE(NeedsServerText(list));
  list.children = {Type(Carrier::kText, "text")};
  EXPECT_FALSE(NeedsServerText(list));
  EXPECT_TRUE(NeedsServerText(Type(Carrier::kText, "")));
}

TEST(DescribeCell, PrintsKeysForPeople) {
  const auto describe = [](const ColumnType& type, std::string_view hex) {
    const std::string cells = FromWire(type, hex);
    std::string_view rest = cells;
    return DescribeCell(type, rest, 20).value_or("?");
  };
  EXPECT_EQ(describe(Type(Carrier::kInt64), "ffffffffffffffd6"), "-42");
  EXPECT_EQ(describe(Type(Carrier::kDecimal, "", 10, 2), "0001 ffff 4000 0002 0064"), "-0.01");
  EXPECT_EQ(describe(Type(Carrier::kDate), "00000000"), "2000-01-01");
  EXPECT_EQ(describe(Type(Carrier::kDate), "80000000"), "-infinity");
  EXPECT_EQ(describe(Type(Carrier::kTimestampTz), "0000000000000000"), "2000-01-01 00:00:00+");
  EXPECT_EQ(describe(Type(Carrier::kText), "c3a4"), "\xc3\xa4");
  std::string null;
  AppendNullCell(null);
  std::string_view cells = null;
  EXPECT_EQ(DescribeCell(Type(Carrier::kText), cells, 20), "NULL");
  EXPECT_TRUE(cells.empty());
}

}  // namespace
}  // namespace sluice::types
