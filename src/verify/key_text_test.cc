// Keys between canonical cells and SQL.
#include "verify/key_text.h"

#include <gtest/gtest.h>

#include "types/canonical.h"

namespace sluice::verify {
namespace {

ColumnType TypeOf(Carrier carrier) {
  ColumnType type;
  type.carrier = carrier;
  return type;
}

std::string Cell(std::string_view bytes) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(bytes.size() >> shift));
  return out.append(bytes);
}

TEST(KeyText, CellsOfAKeyComeBackAsTextWithNullKeptApart) {
  const std::vector<ColumnType> types = {TypeOf(Carrier::kInt32), TypeOf(Carrier::kText),
                                         TypeOf(Carrier::kBool), TypeOf(Carrier::kText)};
  std::string cells = Cell(std::string_view("\0\0\0\x2a", 4)) + Cell("NULL") + Cell("\x01");
  types::AppendNullCell(cells);
  const auto key = ReadKeyText(types, cells);
  ASSERT_TRUE(key);
  EXPECT_EQ(*key, (KeyText{"42", "NULL", "t", std::nullopt}));
}

TEST(KeyText, AnEmptyTextIsNotNull) {
  const std::vector<ColumnType> types = {TypeOf(Carrier::kText)};
  EXPECT_EQ(ReadKeyText(types, Cell("")), KeyText{""});
}

TEST(KeyText, WhatIsCutOffOrHasPartsHasNoText) {
  const std::vector<ColumnType> text = {TypeOf(Carrier::kText)};
  EXPECT_FALSE(ReadKeyText(text, Cell("abc").substr(0, 5)));
  EXPECT_FALSE(ReadKeyText(text, Cell("abc") + "d"));
  EXPECT_FALSE(ReadKeyText(text, Cell(std::string_view("a\0b", 3))));
  const std::vector<ColumnType> list = {TypeOf(Carrier::kList)};
  EXPECT_FALSE(ReadKeyText(list, Cell("abcd")));
}

TEST(KeyText, TheConditionQuotesNamesAndValues) {
  const std::vector<std::string> one = {"a\"b"};
  const std::vector<KeyText> texts = {{"it's"}, {"back\\slash"}, {std::nullopt}};
  EXPECT_EQ(KeyCondition(one, texts), R"("a""b" IN ('it''s', E'back\\slash'))");
  const std::vector<std::string> two = {"x", "y"};
  const std::vector<KeyText> pairs = {{"1", "2"}, {"3", "4"}, {"5", std::nullopt}};
  EXPECT_EQ(KeyCondition(two, pairs), R"(("x", "y") IN (('1', '2'), ('3', '4')))");
}

TEST(KeyText, KeysThatOnlyTheDestinationCanHoldMeetNoRow) {
  const std::vector<std::string> one = {"a"};
  const std::vector<KeyText> keys = {{std::nullopt}};
  EXPECT_EQ(KeyCondition(one, keys), "false");
}

}  // namespace
}  // namespace sluice::verify
