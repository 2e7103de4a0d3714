#include "pgoutput/decoder.h"

#include <gtest/gtest.h>

#include <string>

#include "base/testing/result_matchers.h"
#include "pgoutput/testing/message_writer.h"

namespace sluice::pgoutput {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsOk;
using namespace testing;  // NOLINT: the message writer's words

constexpr RelationId kTable{16384};

Result<Message> Decode(const std::string& message) {
  Decoder decoder;
  return decoder.Decode(base::AsBytes(message));
}

TEST(Decoder, ReadsBegin) {
  const Result<Message> message =
      Decode(WriteBegin({Lsn{0x100}, UnixMicros{1'700'000'000'000'000}, TransactionId{7}}));
  ASSERT_THAT(message, IsOk());
  const auto& begin = std::get<Begin>(*message);
  EXPECT_EQ(begin.commit_lsn, Lsn{0x100});
  EXPECT_EQ(begin.committed_at, UnixMicros{1'700'000'000'000'000});
  EXPECT_EQ(begin.xid, TransactionId{7});
}

TEST(Decoder, RefusesACommitThatEndsBeforeItBegins) {
  EXPECT_THAT(Decode(WriteCommit({Lsn{0x100}, Lsn{0x100}, UnixMicros{}})), CodeIs("SLU-3101"));
}

TEST(Decoder, ReadsAnEmptySchemaAsPgCatalog) {
  Relation relation;
  relation.id = kTable;
  relation.name.table = "pg_class";
  const std::string bytes = WriteRelation(relation);
  const Result<Message> message = Decode(bytes);
  ASSERT_THAT(message, IsOk());
  EXPECT_EQ(std::get<Relation>(*message).name.schema, "pg_catalog");
}

TEST(Decoder, ReadsEveryKindOfCell) {
  const std::string bytes =
      WriteInsert(kTable, {Null(), Unchanged(), Text("text"), Binary(""), Int4(-2)});
  Decoder decoder;
  const Result<Message> message = decoder.Decode(base::AsBytes(bytes));
  ASSERT_THAT(message, IsOk());
  const TupleView row = std::get<Insert>(*message).row;
  ASSERT_EQ(row.size(), 5U);
  EXPECT_EQ(row[0].kind, TupleCell::Kind::kNull);
  EXPECT_EQ(row[1].kind, TupleCell::Kind::kUnchanged);
  EXPECT_EQ(base::AsText(row[2].bytes), "text");
  EXPECT_EQ(row[3].kind, TupleCell::Kind::kBinary);
  EXPECT_EQ(row[3].bytes.size(), 0U);
  EXPECT_EQ(base::AsText(row[4].bytes), "\xFF\xFF\xFF\xFE");
}

TEST(Decoder, TellsKeyFromFullOldTuples) {
  const std::string key = WriteUpdate(kTable, {Int4(2)}, {Int4(1)}, OldTuple::kKey);
  const std::string full = WriteUpdate(kTable, {Int4(2)}, {Int4(1)}, OldTuple::kFull);
  const std::string none = WriteUpdate(kTable, {Int4(2)});
  Decoder decoder;
  EXPECT_EQ(std::get<Update>(*decoder.Decode(base::AsBytes(key))).old_kind, OldTuple::kKey);
  EXPECT_EQ(std::get<Update>(*decoder.Decode(base::AsBytes(full))).old_kind, OldTuple::kFull);
  EXPECT_EQ(std::get<Update>(*decoder.Decode(base::AsBytes(none))).old_kind, OldTuple::kNone);
}

TEST(Decoder, ExpectsAnXidOnlyInsideAStreamBlock) {
  const std::string outside = WriteInsert(kTable, {Int4(1)});
  const std::string inside = InBlock(TransactionId{9}, outside);
  Decoder decoder;
  ASSERT_THAT(decoder.Decode(base::AsBytes(outside)), IsOk());
  EXPECT_THAT(decoder.Decode(base::AsBytes(inside)), CodeIs("SLU-3101"));
  ASSERT_THAT(decoder.Decode(base::AsBytes(WriteStreamStart(TransactionId{8}, true))), IsOk());
  const Result<Message> message = decoder.Decode(base::AsBytes(inside));
  ASSERT_THAT(message, IsOk());
  EXPECT_EQ(std::get<Insert>(*message).xid, TransactionId{9});
  ASSERT_THAT(decoder.Decode(base::AsBytes(WriteStreamStop())), IsOk());
  EXPECT_THAT(decoder.Decode(base::AsBytes(outside)), IsOk());
}

TEST(Decoder, RefusesMessagesOfTwoPhaseCommitAndUnknownOnes) {
  for (const char kind : std::string("bPKrpZ\x01")) {
    EXPECT_THAT(Decode(std::string(1, kind) + std::string(40, '\0')), CodeIs("SLU-3102")) << kind;
  }
  EXPECT_THAT(Decode(""), CodeIs("SLU-3101"));
}

TEST(Decoder, RefusesCountsThatTheBytesDoNotBear) {
  const std::string tuple =
      MessageWriter('I').U32(kTable.value).U8('N').U16(0x7FFF).Bytes("nn").Take();
  EXPECT_THAT(Decode(tuple), CodeIs("SLU-3101"));
  const std::string negative = MessageWriter('I').U32(kTable.value).U8('N').U16(0xFFFF).Take();
  EXPECT_THAT(Decode(negative), CodeIs("SLU-3101"));
  const std::string truncate = MessageWriter('T').U32(0xFFFFFFFF).U8(0).U32(1).Take();
  EXPECT_THAT(Decode(truncate), CodeIs("SLU-3101"));
  const std::string relation =
      MessageWriter('R').U32(1).CString("s").CString("t").U8('d').U16(0x7FFF).Bytes("short").Take();
  EXPECT_THAT(Decode(relation), CodeIs("SLU-3101"));
}

TEST(Decoder, RefusesANegativeCellLength) {
  const std::string bytes =
      MessageWriter('I').U32(kTable.value).U8('N').U16(1).U8('b').U32(0xFFFFFFFF).Take();
  EXPECT_THAT(Decode(bytes), CodeIs("SLU-3101"));
}

TEST(Decoder, RefusesUnknownCellsIdentitiesAndFlags) {
  EXPECT_THAT(Decode(MessageWriter('I').U32(1).U8('N').U16(1).U8('x').Take()), CodeIs("SLU-3101"));
  EXPECT_THAT(Decode(MessageWriter('I').U32(1).U8('K').U16(1).U8('n').Take()), CodeIs("SLU-3101"));
  EXPECT_THAT(Decode(MessageWriter('D').U32(1).U8('N').U16(1).U8('n').Take()), CodeIs("SLU-3101"));
  EXPECT_THAT(Decode(MessageWriter('R').U32(1).CString("s").CString("t").U8('q').U16(0).Take()),
              CodeIs("SLU-3101"));
  EXPECT_THAT(Decode(WriteTruncate({kTable}, 4)), CodeIs("SLU-3101"));
}

TEST(DecodeRowHeader, LeavesTheTuplesUnread) {
  const std::string bytes = WriteInsert(kTable, {Int4(1)});
  base::ByteReader in(base::AsBytes(bytes));
  ASSERT_THAT(DecodeKind(in), IsOk());
  const Result<RowHeader> header = DecodeRowHeader(in, MessageKind::kInsert, Place::kOutsideBlock);
  ASSERT_THAT(header, IsOk());
  EXPECT_EQ(header->relation, kTable);
  EXPECT_EQ(in.remaining(), bytes.size() - 5);
}

}  // namespace
}  // namespace sluice::pgoutput
