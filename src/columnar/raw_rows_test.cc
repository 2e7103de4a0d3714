// Undecoded rows come to the same columns as rows that were decoded at once.
#include "columnar/raw_rows.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/result_matchers.h"
#include "columnar/testing/schemas.h"

namespace sluice::columnar {
namespace {

using sluice::testing::IsOk;
using testing::Builtin;
using testing::Schema;

std::string Number(std::size_t value, int bytes) {
  std::string out;
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(value >> shift));
  return out;
}

/// TupleData of text cells.
std::string Tuple(const std::vector<std::string>& cells) {
  std::string out = Number(cells.size(), 2);
  for (const std::string& cell : cells) out += "t" + Number(cell.size(), 4) + cell;
  return out;
}

ChangeBatch RawBatch(const SchemaPtr& version, const std::vector<std::string>& messages) {
  TableBuilder builder(RawSchema(version));
  std::uint32_t ordinal = 0;
  for (const std::string& message : messages) {
    if (ordinal % 2 == 0) builder.BeginTransaction(ordinal / 2);
    const auto kind = static_cast<pgoutput::MessageKind>(message[0]);
    base::ByteReader in(base::AsBytes(std::string_view(message).substr(1)));
    pgoutput::TupleCells cells;
    const auto tuples = pgoutput::DecodeRowTuples(in, kind, cells);
    EXPECT_THAT(tuples, IsOk());
    std::string bytes;
    AppendRawCell(kind, *tuples, bytes);
    EXPECT_EQ(bytes, message);
    const pgoutput::TupleCell cell{pgoutput::TupleCell::Kind::kBinary, base::AsBytes(bytes)};
    EXPECT_THAT(builder.AppendInsert(pgoutput::TupleView(&cell, 1), ordinal++), IsOk());
  }
  return builder.Finish();
}

TEST(RawRows, DecodeToTheRowsTheyWere) {
  const SchemaPtr version = Schema({Builtin(23), Builtin(25)}, {0});
  const ChangeBatch raw = RawBatch(
      version, {"IN" + Tuple({"1", "a"}), "UK" + Tuple({"1", ""}) + "N" + Tuple({"2", "b"}),
                "DK" + Tuple({"2", ""})});
  EXPECT_EQ(raw.schema->raw_of, version);
  const auto decoded = DecodeRaw(raw, version);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->schema, version);
  EXPECT_EQ(decoded->kinds, (std::vector<ChangeKind>{ChangeKind::kInsert, ChangeKind::kUpdate,
                                                     ChangeKind::kDelete}));
  EXPECT_EQ(decoded->ordinals, raw.ordinals);
  ASSERT_EQ(decoded->runs.size(), 2U);
  EXPECT_EQ(decoded->runs[1].transaction, 1U);
  EXPECT_EQ(decoded->runs[1].first_row, 2U);
  EXPECT_EQ((*decoded->values->column(1)->GetScalar(1))->ToString(), "b");
  EXPECT_EQ((*decoded->old->column(0)->GetScalar(2))->ToString(), "2");
}

TEST(RawRows, AValueWithoutExactFormFailsWhenItIsDecodedOnly) {
  const SchemaPtr version = Schema({Builtin(23), Builtin(1007)}, {0});
  const ChangeBatch raw = RawBatch(version, {"IN" + Tuple({"1", "{{1},{2}}"})});
  EXPECT_EQ(raw.row_count(), 1U);
  EXPECT_FALSE(DecodeRaw(raw, version).has_value());
}

TEST(RawRows, BytesThatAreNoRowChangeAreRefused) {
  const SchemaPtr version = Schema({Builtin(23)}, {0});
  RawRowDecoder decoder(version);
  decoder.BeginTransaction(0);
  EXPECT_FALSE(decoder.Append("", 0).has_value());
  EXPECT_FALSE(decoder.Append("X", 0).has_value());
  EXPECT_FALSE(decoder.Append("IN" + Tuple({"1"}).substr(0, 5), 0).has_value());
  EXPECT_EQ(decoder.row_count(), 0U);
}

}  // namespace
}  // namespace sluice::columnar
