// What is kept of a halted table comes back as the changes it was.
#include "engine/kept_changes.h"

#include <gtest/gtest.h>

#include <string>

#include "base/testing/result_matchers.h"
#include "columnar/raw_rows.h"
#include "columnar/testing/schemas.h"

namespace sluice::engine {
namespace {

using columnar::testing::Builtin;
using columnar::testing::Schema;
using sluice::testing::CodeIs;
using sluice::testing::IsOk;

SchemaPtr Version() {
  return Schema({Builtin(23)}, {0});
}

Result<SchemaPtr> AsItIs(const SchemaPtr& version) {
  return version;
}

/// Inserts of one column, the numbers given, two a transaction from `first_transaction` on.
ChangeBatch Inserts(const SchemaPtr& version, const std::vector<std::string>& numbers,
                    std::uint32_t first_transaction) {
  columnar::TableBuilder builder(columnar::RawSchema(version));
  std::uint32_t row = 0;
  for (const std::string& number : numbers) {
    if (row % 2 == 0) builder.BeginTransaction(first_transaction + row / 2);
    std::string bytes("IN\0\x01t\0\0\0", 8);
    bytes.push_back(static_cast<char>(number.size()));
    bytes += number;
    const pgoutput::TupleCell cell{pgoutput::TupleCell::Kind::kBinary, base::AsBytes(bytes)};
    EXPECT_THAT(builder.AppendInsert(pgoutput::TupleView(&cell, 1), row % 2), IsOk());
    ++row;
  }
  return builder.Finish();
}

std::vector<TransactionMark> Marks() {
  return {{TransactionId{7}, Lsn{100}, Lsn{110}, UnixMicros{1}},
          {TransactionId{8}, Lsn{200}, Lsn{210}, UnixMicros{2}}};
}

TEST(KeptChanges, ComeBackWithTransactionsOrdinalsAndTruncatesInPlace) {
  const SchemaPtr version = Version();
  const std::vector<ChangeItem> items = {Inserts(version, {"1", "2", "3"}, 0), TruncateMark{1, 5},
                                         Inserts(version, {"4"}, 1)};
  SchemaPtr kept_version;
  const auto kept = ToKept(items, Marks(), 11, kept_version);
  ASSERT_THAT(kept, IsOk());
  ASSERT_EQ(kept->size(), 6U);  // the version once
  EXPECT_EQ(kept->front().kind, KeptChange::Kind::kVersion);
  EXPECT_EQ(kept->front().sequence, 11U);
  EXPECT_EQ(kept->back().sequence, 16U);
  EXPECT_EQ(kept_version, version);

  SchemaPtr read_version;
  DecodedChanges decoded;
  ASSERT_THAT(FromKept(*kept, AsItIs, read_version, decoded), IsOk());
  ASSERT_EQ(decoded.items.size(), 3U);
  ASSERT_EQ(decoded.marks.size(), 2U);
  EXPECT_EQ(decoded.marks[1].xid, TransactionId{8});
  EXPECT_EQ(decoded.marks[1].commit_lsn, Lsn{200});
  const auto& first = std::get<ChangeBatch>(decoded.items[0]);
  EXPECT_EQ(first.row_count(), 3U);
  EXPECT_EQ(first.ordinals, (std::vector<std::uint32_t>{0, 1, 0}));
  ASSERT_EQ(first.runs.size(), 2U);
  EXPECT_EQ(first.runs[1].transaction, 1U);
  EXPECT_EQ(std::get<TruncateMark>(decoded.items[1]).transaction, 1U);
  EXPECT_TRUE(SameShape(*read_version, *version));
}

/// A misfit that halted the table is let go under the policy of now, with its place and time.
TEST(KeptChanges, AreDecodedUnderThePolicyOfNow) {
  const SchemaPtr version = Schema({Builtin(23), Builtin(1007)}, {0});
  columnar::TableBuilder builder(columnar::RawSchema(version));
  std::string bytes(
      "IN\0\x02t\0\0\0\x01"
      "1t\0\0\0\x09{{1},{2}}",
      24);
  builder.BeginTransaction(1);
  const pgoutput::TupleCell cell{pgoutput::TupleCell::Kind::kBinary, base::AsBytes(bytes)};
  ASSERT_THAT(builder.AppendInsert(pgoutput::TupleView(&cell, 1), 0), IsOk());
  SchemaPtr kept_version;
  const auto kept = ToKept({builder.Finish()}, Marks(), 1, kept_version);
  ASSERT_THAT(kept, IsOk());
  SchemaPtr read_version;
  DecodedChanges decoded;
  EXPECT_THAT(FromKept(*kept, AsItIs, read_version, decoded), CodeIs("SLU-4106"));
  const auto lets_go = [](const SchemaPtr& as_kept) -> Result<SchemaPtr> {
    auto now = std::make_shared<TableSchema>(*as_kept);
    now->columns[1].on_misfit = OnMisfit::kQuarantine;
    return SchemaPtr(now);
  };
  decoded = {};
  ASSERT_THAT(FromKept(*kept, lets_go, read_version, decoded), IsOk());
  const auto& batch = std::get<ChangeBatch>(decoded.items.at(0));
  ASSERT_EQ(batch.misfits.size(), 1U);
  EXPECT_EQ(batch.misfits[0].commit_lsn, Lsn{200});
  EXPECT_EQ(batch.misfits[0].committed_at, UnixMicros{2});
}

TEST(KeptChanges, AdviseWhatGoesOnFromThem) {
  const TableName name{"public", "t"};
  EXPECT_EQ(HaltAdvice({}, name, true), "sluice resume public.t");
  EXPECT_EQ(HaltAdvice({}, name, false), "sluice resync public.t");
  EXPECT_EQ(HaltAdvice({.advice = "sluice resync main.t"}, name, true), "sluice resume public.t");
  EXPECT_EQ(HaltAdvice({.advice = "mend it"}, name, false), "mend it");
  EXPECT_EQ(HaltAdvice({.advice = "mend it"}, name, true),
            "mend it; `sluice resume public.t` goes on from what was kept");
}

TEST(KeptChanges, SayTheVersionOnlyWhereItChanges) {
  const SchemaPtr version = Version();
  SchemaPtr kept_version = version;
  const auto kept = ToKept({Inserts(version, {"1"}, 0)}, Marks(), 1, kept_version);
  ASSERT_THAT(kept, IsOk());
  EXPECT_EQ(kept->size(), 1U);
}

TEST(KeptChanges, AFailureAndDecodedRowsCannotBeKept) {
  SchemaPtr version;
  const ChangeItem failure = TableFailure{0, {.kind = ErrorKind::kUnsupported, .code = "SLU-4999"}};
  EXPECT_THAT(ToKept({failure}, Marks(), 1, version), CodeIs("SLU-4999"));
  columnar::TableBuilder builder(Version());
  EXPECT_THAT(ToKept({builder.Finish()}, Marks(), 1, version), CodeIs("SLU-4213"));
}

TEST(KeptChanges, RowsWithoutAVersionAreRefused) {
  KeptChange change;
  change.message = "N";
  SchemaPtr version;
  DecodedChanges decoded;
  EXPECT_THAT(FromKept({change}, AsItIs, version, decoded), CodeIs("SLU-5101"));
}

}  // namespace
}  // namespace sluice::engine
