// Binary values of every built-in type as a server sent them (tests/data/binary_values.txt): each
// is taken, and what is cut off anywhere, or has a byte more, is malformed and leaves nothing
// behind.
#include <arrow/array.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "columnar/column_builder.h"
#include "columnar/copy_decoder.h"
#include "columnar/testing/schemas.h"
#include "types/arrow_type.h"
#include "types/builtin_types.h"

namespace sluice::columnar {
namespace {

using testing::Builtin;
using testing::WireBytes;
using types::ValueFault;

struct CapturedValue {
  ColumnType type;
  std::string bytes;
};

std::vector<CapturedValue> Captured() {
  std::vector<CapturedValue> out;
  std::ifstream file(SLUICE_TEST_DATA_DIR "/binary_values.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::uint32_t oid = 0;
    std::int32_t typmod = -1;
    std::string hex;
    words >> oid >> typmod >> hex;
    CapturedValue value{.type = Builtin(oid, typmod), .bytes = {}};
    for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
      value.bytes += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
    out.push_back(std::move(value));
  }
  return out;
}

// Bytes that are the value itself, behind a version byte at most: every part of one is one.
bool IsOneRun(const ColumnType& type) {
  static const std::set<std::string> kRuns = {"text", "bytea", "json", "jsonb", "jsonpath"};
  return kRuns.contains(type.codec);
}

TEST(CapturedValues, AreOfEveryTypeWithABinaryForm) {
  std::set<std::uint32_t> captured;
  for (const CapturedValue& value : Captured()) captured.insert(value.type.oid.value);
  for (std::uint32_t oid = 1; oid < 10'000; ++oid) {
    const types::BuiltinType* builtin = types::FindBuiltinType(Oid{oid});
    if (builtin != nullptr && !builtin->codec.empty()) {
      EXPECT_TRUE(captured.contains(oid)) << builtin->name;
    }
  }
}

TEST(CapturedValues, AreTakenWholeAndRefusedInPart) {
  const std::vector<CapturedValue> values = Captured();
  ASSERT_GT(values.size(), 200U);
  for (const CapturedValue& value : values) {
    ColumnBuilder column(value.type, types::ArrowType(value.type));
    ASSERT_EQ(column.AppendBinary(base::AsBytes(value.bytes)), ValueFault::kNone)
        << value.type.name;
    if (IsOneRun(value.type)) continue;
    for (std::size_t length = 0; length <= value.bytes.size() + 1; ++length) {
      if (length == value.bytes.size()) continue;
      // In memory of its own, so that a sanitizer sees a byte read behind it.
      std::string part = value.bytes.substr(0, length);
      part.resize(length, '\0');
      const std::vector<char> bytes(part.begin(), part.end());
      EXPECT_EQ(column.AppendBinary(std::as_bytes(std::span(bytes))), ValueFault::kMalformed)
          << value.type.name << " " << length << " of " << value.bytes.size();
      column.Truncate(1);
    }
    EXPECT_EQ(column.row_count(), 1U);
    EXPECT_TRUE(arrow::MakeArray(column.Finish())->Validate().ok()) << value.type.name;
  }
}

TEST(CapturedValues, InACopyAreRowsOnlyWhole) {
  constexpr std::string_view kHeader("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
  for (const CapturedValue& value : Captured()) {
    const std::string row = WireBytes().I16(2).Item(value.bytes).I32(4).I32(7).text();
    const SchemaPtr schema = testing::Schema({value.type, Builtin(23)});
    for (std::size_t length = 1; length <= row.size(); ++length) {
      CopyDecoder decoder(schema, CopyFormat::kBinary);
      const std::string message = std::string(kHeader) + row.substr(0, length);
      const Status taken = decoder.Append(base::AsBytes(message));
      EXPECT_EQ(taken.has_value(), length == row.size()) << value.type.name << " " << length;
      EXPECT_EQ(decoder.row_count(), length == row.size() ? 1U : 0U) << value.type.name;
      EXPECT_TRUE(taken || taken.error().kind == ErrorKind::kProtocol) << value.type.name;
    }
  }
}

}  // namespace
}  // namespace sluice::columnar
