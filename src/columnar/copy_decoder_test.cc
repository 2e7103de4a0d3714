#include "columnar/copy_decoder.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/result_matchers.h"
#include "columnar/testing/schemas.h"

namespace sluice::columnar {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsError;
using sluice::testing::IsOk;
using testing::Builtin;
using testing::Schema;
using testing::WireBytes;

constexpr std::string_view kHeader("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);

SchemaPtr IntAndText() {
  return Schema({Builtin(23), Builtin(25)});
}

WireBytes Row(std::int32_t number, std::string_view text) {
  return WireBytes().I16(2).I32(4).I32(number).Item(text);
}

std::string CellText(const RowsPtr& rows, int column, std::int64_t row) {
  return (*rows->column(column)->GetScalar(row))->ToString();
}

TEST(CopyDecoder, TakesHeaderRowsAndTrailerCutAtRows) {
  CopyDecoder decoder(IntAndText(), CopyFormat::kBinary);
  EXPECT_THAT(decoder.Append(WireBytes().Text(kHeader).Text(Row(1, "a").text()).bytes()), IsOk());
  EXPECT_THAT(decoder.CheckComplete(), CodeIs("SLU-4112"));
  EXPECT_THAT(decoder.Append(WireBytes().I16(2).I32(-1).I32(-1).Text(Row(3, "").text()).bytes()),
              IsOk());
  EXPECT_EQ(decoder.row_count(), 3U);
  EXPECT_THAT(decoder.Append(WireBytes().I16(-1).bytes()), IsOk());
  EXPECT_THAT(decoder.CheckComplete(), IsOk());
  const RowsPtr rows = decoder.Finish().rows;
  ASSERT_EQ(rows->num_rows(), 3);
  EXPECT_TRUE(rows->ValidateFull().ok());
  EXPECT_EQ(CellText(rows, 0, 0), "1");
  EXPECT_EQ(CellText(rows, 1, 0), "a");
  EXPECT_TRUE(rows->column(0)->IsNull(1));
  EXPECT_TRUE(rows->column(1)->IsNull(1));
  EXPECT_EQ(CellText(rows, 1, 2), "");
  EXPECT_EQ(decoder.row_count(), 0U);
  EXPECT_EQ(decoder.bytes(), 0U);
}

TEST(CopyDecoder, GoesOnWithAnEmptyBatchAfterFinish) {
  CopyDecoder decoder(IntAndText(), CopyFormat::kBinary);
  EXPECT_THAT(decoder.Append(WireBytes().Text(kHeader).bytes()), IsOk());
  for (int batch = 0; batch < 3; ++batch) {
    for (int row = 0; row < 1000; ++row) {
      EXPECT_THAT(decoder.Append(Row(row, std::to_string(batch)).bytes()), IsOk());
    }
    EXPECT_GE(decoder.bytes(), 9000U);
    const RowsPtr rows = decoder.Finish().rows;
    ASSERT_EQ(rows->num_rows(), 1000);
    EXPECT_EQ(CellText(rows, 0, 999), "999");
    EXPECT_EQ(CellText(rows, 1, 0), std::to_string(batch));
  }
}

TEST(CopyDecoder, RefusesEveryCutInsideARow) {
  const std::string whole = WireBytes().Text(kHeader).Text(Row(1, "text").text()).text();
  for (std::size_t length = 1; length < whole.size(); ++length) {
    if (length == kHeader.size()) continue;
    CopyDecoder decoder(IntAndText(), CopyFormat::kBinary);
    EXPECT_THAT(decoder.Append(WireBytes().Text(whole.substr(0, length)).bytes()),
                IsError(ErrorKind::kProtocol))
        << length;
    EXPECT_EQ(decoder.row_count(), 0U);
  }
}

TEST(CopyDecoder, RefusesAnotherFormatAndDataBehindTheTrailer) {
  CopyDecoder other(IntAndText(), CopyFormat::kBinary);
  EXPECT_THAT(other.Append(WireBytes().Text("1\tan ordinary line of text\n").bytes()),
              CodeIs("SLU-4112"));
  CopyDecoder oids(IntAndText(), CopyFormat::kBinary);
  EXPECT_THAT(oids.Append(WireBytes().Text(kHeader.substr(0, 11)).I32(1 << 16).I32(0).bytes()),
              CodeIs("SLU-4112"));
  CopyDecoder decoder(IntAndText(), CopyFormat::kBinary);
  EXPECT_THAT(decoder.Append(WireBytes().Text(kHeader).I16(-1).bytes()), IsOk());
  EXPECT_THAT(decoder.Append(Row(1, "a").bytes()), CodeIs("SLU-4112"));
  CopyDecoder narrow(IntAndText(), CopyFormat::kBinary);
  EXPECT_THAT(narrow.Append(WireBytes().Text(kHeader).I16(1).I32(-1).bytes()), CodeIs("SLU-4112"));
}

TEST(CopyDecoder, KeepsWholeRowsBeforeAMisfitAndNamesTheColumnOnly) {
  CopyDecoder decoder(IntAndText(), CopyFormat::kBinary);
  EXPECT_THAT(decoder.Append(WireBytes().Text(kHeader).Text(Row(1, "a").text()).bytes()), IsOk());
  const Status status = decoder.Append(Row(2, "secret\xff").bytes());
  EXPECT_THAT(status, CodeIs("SLU-4103"));
  EXPECT_EQ(status.error().kind, ErrorKind::kConversion);
  EXPECT_EQ(status.error().message, "column c1 (text): text is not valid UTF-8");
  EXPECT_EQ(decoder.row_count(), 1U);
  EXPECT_EQ(decoder.Finish().rows->column(0)->length(), 1);
}

TEST(CopyDecoder, TellsTheKeyOfTheRowWithAMisfit) {
  const SchemaPtr schema =
      Schema({Builtin(1186), Builtin(23), Builtin(25), Builtin(1700)}, {1, 2, 3});
  const WireBytes infinite = WireBytes().I32(16).I64(INT64_MAX).I32(INT32_MAX).I32(INT32_MAX);
  CopyDecoder binary(schema, CopyFormat::kBinary);
  const Status refused = binary.Append(WireBytes()
                                           .Text(kHeader)
                                           .I16(4)
                                           .Text(infinite.text())
                                           .I32(4)
                                           .I32(7)
                                           .Item("a\tb")
                                           .I32(8)
                                           .I16(0)
                                           .I16(0)
                                           .I16(0)
                                           .I16(2)
                                           .bytes());
  ASSERT_THAT(refused, CodeIs("SLU-4107"));
  EXPECT_EQ(refused.error().server_message, "(c1, c2, c3)=(7, a\tb, 0.00)");

  CopyDecoder text(schema, CopyFormat::kText);
  const Status line = text.Append(WireBytes().Text("infinity\t7\ta\\tb\t0.00\n").bytes());
  ASSERT_THAT(line, CodeIs("SLU-4107"));
  EXPECT_EQ(line.error().server_message, refused.error().server_message);

  CopyDecoder keyless(Schema({Builtin(1186)}), CopyFormat::kText);
  EXPECT_EQ(keyless.Append(WireBytes().Text("infinity\n").bytes()).error().server_message, "");
}

TEST(CopyDecoder, ReadsTextLinesWithEscapesAndNulls) {
  CopyDecoder decoder(IntAndText(), CopyFormat::kText);
  EXPECT_THAT(decoder.Append(WireBytes().Text("1\ta\\tb\\nc\\\\d\\r\\b\\f\\v\\101\n").bytes()),
              IsOk());
  EXPECT_THAT(decoder.Append(WireBytes().Text("\\N\t\\N\n2\t\\\\N\n3\t\n").bytes()), IsOk());
  EXPECT_THAT(decoder.CheckComplete(), IsOk());
  const RowsPtr rows = decoder.Finish().rows;
  ASSERT_EQ(rows->num_rows(), 4);
  EXPECT_EQ(CellText(rows, 1, 0), "a\tb\nc\\d\r\b\f\vA");
  EXPECT_TRUE(rows->column(0)->IsNull(1));
  EXPECT_TRUE(rows->column(1)->IsNull(1));
  EXPECT_EQ(CellText(rows, 1, 2), "\\N");
  EXPECT_EQ(CellText(rows, 1, 3), "");
}

TEST(CopyDecoder, RefusesTextLinesThatAreNotRows) {
  for (const char* line : {"1\n", "1\ta\tb\n", "1\ta", "x\ta\n", "1\ta\\\n", "\n"}) {
    CopyDecoder decoder(IntAndText(), CopyFormat::kText);
    EXPECT_THAT(decoder.Append(WireBytes().Text(line).bytes()), IsError(ErrorKind::kProtocol))
        << line;
    EXPECT_EQ(decoder.row_count(), 0U);
  }
}

TEST(FormatFor, AsksForTextWhereAnyTypeHasNoCodec) {
  EXPECT_EQ(FormatFor(*IntAndText()), CopyFormat::kBinary);
  EXPECT_EQ(FormatFor(*Schema({Builtin(23), Builtin(2205)})), CopyFormat::kText);
  EXPECT_EQ(FormatFor(*Schema({Builtin(2210)})), CopyFormat::kText);
  EXPECT_EQ(FormatFor(*Schema({Builtin(3904), Builtin(3905), Builtin(869)})), CopyFormat::kBinary);
}

}  // namespace
}  // namespace sluice::columnar
