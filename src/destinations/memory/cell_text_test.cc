#include "destinations/memory/cell_text.h"

#include <arrow/array.h>
#include <gtest/gtest.h>

#include "destinations/testing/rows.h"

namespace sluice::memory {
namespace {

struct Case {
  Carrier carrier;
  std::vector<Cell> cells;
};

const Case kCases[] = {
    {Carrier::kBool, {"t", "f", std::nullopt}},
    {Carrier::kInt16, {"-32768", "32767"}},
    {Carrier::kInt32, {"-2147483648", "2147483647"}},
    {Carrier::kInt64, {"-9223372036854775808", "9223372036854775807"}},
    {Carrier::kUInt32, {"0", "4294967295"}},
    {Carrier::kFloat32, {"-0", "0", "1.5", "inf", "-inf", "NaN", "NaN:7fc00001", "1e-45"}},
    {Carrier::kFloat64, {"-0", "0.1", "5e-324", "1e+300", "NaN", "NaN:fff8000000000000"}},
    {Carrier::kDecimal, {"0.0000", "-1234567890123456.7890", std::nullopt}},
    {Carrier::kText, {"", "a\"b\\c", "null"}},
    {Carrier::kBytes, {"\\x", "\\x00ff"}},
    {Carrier::kDate, {"0", "2147483647", "-2147483647"}},
    {Carrier::kTimestamp, {"9223372036854775807", "-1"}},
    {Carrier::kTimestampTz, {"1700000000000000"}},
    {Carrier::kTime, {"86400000000"}},
    {Carrier::kInterval, {"-1 mon 30 d -86400000000 us"}},
    {Carrier::kUuid, {"00112233-4455-6677-8899-aabbccddeeff"}},
    {Carrier::kJson, {"{\"a\": \"\\ud800\"}"}},
    {Carrier::kList, {"[]", "[\"a\",null,\"x\\\"y\"]", std::nullopt}},
    {Carrier::kStruct, {"(\"1\",null)", "(null,\"b\")"}},
    {Carrier::kMap, {"[]", "[(\"k\",\"v\"),(\"k2\",null)]"}},
};

TEST(CellText, ReadsBackEveryCarrierAsItWasWritten) {
  for (const Case& c : kCases) {
    const ColumnType type = testing::TypeOf(c.carrier);
    const auto array = ArrayFromText(type, c.cells);
    ASSERT_TRUE(array) << type.name << ": " << array.error().message;
    for (std::size_t row = 0; row < c.cells.size(); ++row) {
      const auto cell = CellText(**array, static_cast<std::int64_t>(row), type);
      ASSERT_TRUE(cell);
      EXPECT_EQ(*cell, c.cells[row]) << type.name;
    }
  }
}

TEST(CellText, ReadsSlicedArraysAtTheRightPlace) {
  for (const Case& c : kCases) {
    const ColumnType type = testing::TypeOf(c.carrier);
    const auto array = ArrayFromText(type, c.cells);
    ASSERT_TRUE(array);
    const auto last = static_cast<std::int64_t>(c.cells.size()) - 1;
    const auto cell = CellText(*(*array)->Slice(last), 0, type);
    ASSERT_TRUE(cell);
    EXPECT_EQ(*cell, c.cells.back()) << type.name;
  }
}

TEST(CellText, RefusesTextThatIsNotOfTheType) {
  const std::pair<Carrier, const char*> wrong[] = {
      {Carrier::kBool, "true"},          {Carrier::kInt16, "32768"},
      {Carrier::kInt32, "1 "},           {Carrier::kFloat64, "1.5x"},
      {Carrier::kDecimal, "1.23456"},    {Carrier::kBytes, "\\x0"},
      {Carrier::kBytes, "00"},           {Carrier::kUuid, "00"},
      {Carrier::kInterval, "1 d"},       {Carrier::kList, "[\"a\""},
      {Carrier::kList, "[\"a\"]x"},      {Carrier::kStruct, "(\"1\")"},
      {Carrier::kMap, "[(null,\"v\")]"}, {Carrier::kDecimal, "99999999999999999.0"},
  };
  for (const auto& [carrier, text] : wrong) {
    EXPECT_FALSE(ArrayFromText(testing::TypeOf(carrier), {Cell(text)})) << text;
  }
}

TEST(EncodeCells, TellsNullFromEmptyAndCellsFromEachOther) {
  EXPECT_NE(EncodeCells({std::nullopt}), EncodeCells({""}));
  EXPECT_NE(EncodeCells({"a", "b"}), EncodeCells({"ab", ""}));
  EXPECT_NE(EncodeCells({"1:a", "b"}), EncodeCells({"1", ":a", "b"}));
  EXPECT_EQ(EncodeCells({"a", std::nullopt}), EncodeCells({"a", std::nullopt}));
}

}  // namespace
}  // namespace sluice::memory
