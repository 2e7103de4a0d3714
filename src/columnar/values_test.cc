// Golden bytes of every carrier, and what is refused.

#include <arrow/array.h>
#include <arrow/scalar.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "columnar/column_builder.h"
#include "columnar/testing/schemas.h"
#include "types/arrow_type.h"
#include "types/builtin_types.h"

namespace sluice::columnar {
namespace {

using testing::Builtin;
using testing::NumericTypmod;
using testing::WireBytes;
using types::ValueFault;

// One value as Arrow prints it; a fault by its number.
std::string Print(ColumnBuilder& column, ValueFault fault) {
  if (fault != ValueFault::kNone) return "fault " + std::to_string(static_cast<int>(fault));
  const auto array = arrow::MakeArray(column.Finish());
  EXPECT_TRUE(array->Validate().ok());
  EXPECT_EQ(array->length(), 1);
  return (*array->GetScalar(0))->ToString();
}

std::string FromBinary(const ColumnType& type, const WireBytes& wire) {
  ColumnBuilder column(type, types::ArrowType(type));
  const ValueFault fault = column.AppendBinary(wire.bytes());
  return Print(column, fault);
}

std::string FromText(const ColumnType& type, std::string_view text) {
  ColumnBuilder column(type, types::ArrowType(type));
  const ValueFault fault = column.AppendText(text);
  return Print(column, fault);
}

std::string Fault(ValueFault fault) {
  return "fault " + std::to_string(static_cast<int>(fault));
}

// The binary form gives the same as the text form; every prefix and an extra byte are refused.
void ExpectGolden(const ColumnType& type, const WireBytes& wire, std::string_view text) {
  const std::string expected = FromText(type, text);
  EXPECT_FALSE(expected.starts_with("fault")) << type.name << " " << text;
  EXPECT_EQ(FromBinary(type, wire), expected) << type.name << " " << text;
  for (std::size_t length = 0; length < wire.text().size(); ++length) {
    EXPECT_EQ(FromBinary(type, WireBytes().Text(wire.text().substr(0, length))),
              Fault(ValueFault::kMalformed))
        << type.name << " cut at " << length;
  }
  EXPECT_EQ(FromBinary(type, WireBytes().Text(wire.text() + '\0')), Fault(ValueFault::kMalformed))
      << type.name;
}

TEST(Values, FixedWidthTypesAgreeWithTheirText) {
  ExpectGolden(Builtin(16), WireBytes().U8(1), "t");
  ExpectGolden(Builtin(21), WireBytes().I16(-32768), "-32768");
  ExpectGolden(Builtin(23), WireBytes().I32(2147483647), "2147483647");
  ExpectGolden(Builtin(20), WireBytes().I64(INT64_MIN), "-9223372036854775808");
  ExpectGolden(Builtin(26), WireBytes().I32(-1), "4294967295");
  ExpectGolden(Builtin(700), WireBytes().I32(1), "1e-45");
  ExpectGolden(Builtin(701), WireBytes().I64(INT64_MIN), "-0");
  ExpectGolden(Builtin(701), WireBytes().I64(1), "5e-324");
  ExpectGolden(Builtin(1082), WireBytes().I32(59), "2000-02-29");
  ExpectGolden(Builtin(1114), WireBytes().I64(-1), "1999-12-31 23:59:59.999999");
  ExpectGolden(Builtin(1184), WireBytes().I64(INT64_MAX), "infinity");
  ExpectGolden(Builtin(1083), WireBytes().I64(86'399'999'999), "23:59:59.999999");
  ExpectGolden(Builtin(1186), WireBytes().I64(1'500'000).I32(-3).I32(14),
               "1 year 2 mons -3 days +00:00:01.5");
  ExpectGolden(
      Builtin(2950),
      WireBytes().I64(0x0011223344556677).I64(static_cast<std::int64_t>(0x8899aabbccddeeffU)),
      "00112233-4455-6677-8899-aabbccddeeff");
  ExpectGolden(Builtin(1700, NumericTypmod(10, 2)),
               WireBytes().I16(3).I16(1).I16(0x4000).I16(2).I16(1).I16(2345).I16(6700),
               "-12345.67");
}

TEST(Values, VectorsAgreeWithTheirText) {
  ColumnType vector = Builtin(1021);
  vector.codec = "vector";
  vector.typmod = 2;
  const WireBytes floats = WireBytes().I16(2).I16(0).I32(0x3F800000).I32(0x3DCCCCCD);
  ExpectGolden(vector, floats, "[1,0.1]");
  EXPECT_EQ(FromText(vector, "[1]"), Fault(ValueFault::kMalformed));
  EXPECT_EQ(FromText(vector, "[1,2,3]"), Fault(ValueFault::kMalformed));
  EXPECT_EQ(FromBinary(vector, WireBytes().I16(1).I16(0).I32(0)), Fault(ValueFault::kMalformed));
  for (const char* text : {"", "[", "1,2", "[1,]", "[,1]", "[1,2", "{1,2}"})
    EXPECT_EQ(FromText(vector, text), Fault(ValueFault::kMalformed)) << text;
  vector.typmod = -1;
  ExpectGolden(vector, floats, "[1,0.1]");
  ExpectGolden(vector, WireBytes().I16(0).I16(0), "[]");
  vector.codec = "halfvec";
  ExpectGolden(vector, WireBytes().I16(3).I16(0).I16(0x3C00).I16(1).I16(-0x8000),
               "[1,5.9604645e-08,-0]");
}

TEST(Values, GeometryIsItsBytesOrTheirDigits) {
  ColumnType type = Builtin(25);
  type.codec = "ewkb";
  const WireBytes wire = WireBytes().U8(0x01).U8(0xAF);
  EXPECT_EQ(FromBinary(type, wire), "01AF");
  EXPECT_EQ(FromText(type, "01AF"), "01AF");
  type.carrier = Carrier::kBytes;
  EXPECT_EQ(FromBinary(type, wire), FromText(type, "01AF"));
  EXPECT_EQ(FromText(type, "01A"), Fault(ValueFault::kMalformed));
  EXPECT_EQ(FromText(type, "\\x01"), Fault(ValueFault::kMalformed));
}

TEST(Values, DeclaredBytesAreTheBinaryFormAndNeverText) {
  ColumnType type = Builtin(869);
  type.carrier = Carrier::kBytes;
  type.codec = "sent";
  EXPECT_EQ(FromBinary(type, WireBytes().U8(0x00).U8(0xAF)), FromText(Builtin(17), "\\x00af"));
  for (const char* text : {"", "10.0.0.1", "\\x00af"})
    EXPECT_EQ(FromText(type, text), Fault(ValueFault::kNotSent)) << text;
}

TEST(Values, NestedTypesAgreeWithTheirText) {
  const WireBytes ints =
      WireBytes().I32(1).I32(1).I32(23).I32(3).I32(1).I32(4).I32(1).I32(-1).I32(4).I32(-3);
  ExpectGolden(Builtin(1007), ints, "{1,NULL,-3}");
  ExpectGolden(Builtin(1007), WireBytes().I32(0).I32(0).I32(23), "{}");
  const WireBytes texts =
      WireBytes().I32(1).I32(0).I32(25).I32(2).I32(1).Item("NULL").Item("q\"u\\o,{ }");
  EXPECT_EQ(FromBinary(Builtin(1009), texts), FromText(Builtin(1009), R"({"NULL","q\"u\\o,{ }"})"));

  ColumnType pair = Builtin(25);
  pair.oid = Oid{20000};
  pair.carrier = Carrier::kStruct;
  pair.codec = "record";
  pair.children = {Builtin(23), Builtin(25)};
  pair.child_names = {"a", "b"};
  ExpectGolden(pair, WireBytes().I32(2).I32(23).I32(-1).I32(25).Item("q\"u,o\\"),
               R"((,"q""u,o\\"))");
  EXPECT_EQ(FromText(pair, "(1)"), Fault(ValueFault::kCompositeShape));
  EXPECT_EQ(FromText(pair, "(1,a,b)"), Fault(ValueFault::kCompositeShape));
  EXPECT_EQ(FromText(pair, "(1,a"), Fault(ValueFault::kMalformed));
  EXPECT_EQ(FromBinary(pair, WireBytes().I32(1).I32(23).I32(-1)),
            Fault(ValueFault::kCompositeShape));
  EXPECT_EQ(FromBinary(pair, WireBytes().I32(2).I32(700).I32(4).I32(0).I32(25).I32(-1)),
            Fault(ValueFault::kCompositeShape));

  ColumnType map = Builtin(25);
  map.carrier = Carrier::kMap;
  map.codec = "hstore";
  ExpectGolden(map, WireBytes().I32(2).Item("a").Item("1").Item("b \"").I32(-1),
               R"("a"=>"1", "b \""=>NULL)");
  EXPECT_EQ(FromText(map, R"("a"=>1)"), Fault(ValueFault::kMalformed));
  EXPECT_EQ(FromText(map, R"("a"=>"1",)"), Fault(ValueFault::kMalformed));
}

TEST(Values, BytesAndTextsKeepEveryByte) {
  const std::string bytes("\0\xff\\n", 4);
  EXPECT_EQ(FromBinary(Builtin(17), WireBytes().Text(bytes)), FromText(Builtin(17), "\\x00ff5c6e"));
  EXPECT_EQ(FromText(Builtin(17), "\\000\\377\\\\n"), FromText(Builtin(17), "\\x00ff5c6e"));
  EXPECT_EQ(FromText(Builtin(17), "\\x0"), Fault(ValueFault::kMalformed));
  EXPECT_EQ(FromText(Builtin(17), "\\x0g"), Fault(ValueFault::kMalformed));
  EXPECT_EQ(FromText(Builtin(17), "\\400"), Fault(ValueFault::kMalformed));
  EXPECT_EQ(FromBinary(Builtin(1042), WireBytes().Text("ab   ")), "ab   ");
  EXPECT_EQ(FromBinary(Builtin(114), WireBytes().Text("{\"k\":1.10, \"k\":2}")),
            "{\"k\":1.10, \"k\":2}");
  EXPECT_EQ(FromBinary(Builtin(3802), WireBytes().U8(1).Text("{}")), "{}");
  EXPECT_EQ(FromBinary(Builtin(3802), WireBytes().U8(2).Text("{}")), Fault(ValueFault::kMalformed));
  EXPECT_EQ(FromBinary(Builtin(25), WireBytes().Text("\xC3")), Fault(ValueFault::kNotUtf8));
}

TEST(Values, MisfitsAreToldFromMalformedBytes) {
  EXPECT_EQ(FromBinary(Builtin(1700, NumericTypmod(10, 2)),
                       WireBytes().I16(0).I16(0).I16(static_cast<std::int16_t>(0xC000)).I16(0)),
            Fault(ValueFault::kDecimalSpecial));
  EXPECT_EQ(FromBinary(Builtin(1007),
                       WireBytes().I32(2).I32(0).I32(23).I32(1).I32(1).I32(1).I32(1).I32(4).I32(7)),
            Fault(ValueFault::kListShape));
  EXPECT_EQ(
      FromBinary(Builtin(1007), WireBytes().I32(1).I32(0).I32(23).I32(1).I32(0).I32(4).I32(7)),
      Fault(ValueFault::kListShape));
  EXPECT_EQ(FromText(Builtin(1007), "{{1},{2}}"), Fault(ValueFault::kListShape));
  EXPECT_EQ(FromText(Builtin(1007), "[0:1]={7,8}"), Fault(ValueFault::kListShape));
  EXPECT_EQ(FromBinary(Builtin(1186), WireBytes().I64(INT64_MAX).I32(INT32_MAX).I32(INT32_MAX)),
            Fault(ValueFault::kInfiniteInterval));
  EXPECT_EQ(FromBinary(Builtin(1114), WireBytes().I64(9'223'371'331'199'999'999)),
            Fault(ValueFault::kTimeRange));
  EXPECT_EQ(FromBinary(Builtin(2205), WireBytes().I32(1)), Fault(ValueFault::kNotBinary));
  // A count that the bytes behind it cannot hold allocates nothing.
  EXPECT_EQ(FromBinary(Builtin(1007), WireBytes().I32(1).I32(0).I32(23).I32(INT32_MAX).I32(1)),
            Fault(ValueFault::kMalformed));
  for (const char* text : {"", "{", "}", "{1", "{1,}", "{,}", "{1}x", "{\"1}", "{1 2}"}) {
    EXPECT_EQ(FromText(Builtin(1007), text), Fault(ValueFault::kMalformed)) << text;
  }
  for (const char* text : {"inf", "nan", "", "-", "1 ", "+1"}) {
    EXPECT_EQ(FromText(Builtin(701), text), Fault(ValueFault::kMalformed)) << text;
  }
}

TEST(Values, EveryBuiltinCodecOfTextHasAFormatter) {
  for (std::uint32_t oid = 1; oid < 6000; ++oid) {
    const types::BuiltinType* builtin = types::FindBuiltinType(Oid{oid});
    if (builtin == nullptr || builtin->carrier != Carrier::kText || builtin->codec.empty())
      continue;
    const ColumnType type = Builtin(oid);
    EXPECT_TRUE(types::IsVerbatimText(type.codec) || types::TextFormatter::Make(type).has_value())
        << type.name;
  }
}

TEST(ColumnBuilder, TruncatesValuesNullsAndChildren) {
  const ColumnType type = Builtin(1009);
  ColumnBuilder column(type, types::ArrowType(type));
  ASSERT_EQ(column.AppendText("{a,b}"), ValueFault::kNone);
  column.AppendNull();
  ASSERT_EQ(column.AppendText("{c}"), ValueFault::kNone);
  // Half a value: the second element is not valid.
  ASSERT_EQ(column.AppendText("{d,\"\xff\"}"), ValueFault::kNotUtf8);
  column.Truncate(3);
  EXPECT_EQ(column.row_count(), 3U);
  EXPECT_EQ(column.child(0).row_count(), 3U);
  column.Truncate(1);
  ASSERT_EQ(column.AppendText("{NULL}"), ValueFault::kNone);
  const auto array = arrow::MakeArray(column.Finish());
  EXPECT_TRUE(array->ValidateFull().ok());
  EXPECT_EQ(array->null_count(), 0);
  EXPECT_EQ((*array->GetScalar(1))->ToString(), "list<item: string>[null]");
}

TEST(ColumnBuilder, KeepsBooleansAndValidityAcrossByteBorders) {
  const ColumnType type = Builtin(16);
  ColumnBuilder column(type, types::ArrowType(type));
  for (int i = 0; i < 100; ++i) {
    if (i % 7 == 3) {
      column.AppendNull();
    } else {
      ASSERT_EQ(column.AppendText(i % 3 == 0 ? "t" : "f"), ValueFault::kNone);
    }
  }
  column.Truncate(91);
  const auto array =
      std::static_pointer_cast<arrow::BooleanArray>(arrow::MakeArray(column.Finish()));
  ASSERT_EQ(array->length(), 91);
  for (int i = 0; i < 91; ++i) {
    ASSERT_EQ(array->IsNull(i), i % 7 == 3) << i;
    if (i % 7 != 3) {
      ASSERT_EQ(array->Value(i), i % 3 == 0) << i;
    }
  }
  EXPECT_EQ(column.Finish()->length, 0);
}

}  // namespace
}  // namespace sluice::columnar
