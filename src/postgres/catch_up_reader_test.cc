#include "postgres/catch_up_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "base/byte_reader.h"
#include "base/testing/result_matchers.h"

namespace sluice::postgres {
namespace {

using sluice::testing::CodeIs;
using sluice::testing::IsOk;
using std::string_literals::operator""s;

const std::string kHead = "PGCOPY\n\xFF\r\n\0\0\0\0\0\0\0\0\0"s;
const std::string kRow = "\0\2\0\0\0\x8\0\0\0\1\0\0\0\2\0\0\0\3abc"s;

Result<LoggedMessage> Read(const std::string& row, bool is_first = false) {
  return ReadLoggedMessage(base::AsBytes(row), is_first);
}

TEST(LoggedMessage, IsReadWithItsPlace) {
  const auto read = Read(kRow);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->lsn, (Lsn{0x1'0000'0002}));
  EXPECT_EQ(base::AsText(read->message), "abc");
}

TEST(LoggedMessage, ComesBehindTheHeadInTheFirstRow) {
  const auto read = Read(kHead + kRow, true);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(base::AsText(read->message), "abc");
  EXPECT_THAT(Read(kRow, true), CodeIs("SLU-2019"));
}

TEST(LoggedMessage, IsEmptyForTheHeadAloneAndForTheEnd) {
  for (const auto& read : {Read(kHead, true), Read(kHead + "\xFF\xFF", true), Read("\xFF\xFF")}) {
    ASSERT_THAT(read, IsOk());
    EXPECT_TRUE(read->message.empty());
  }
}

TEST(LoggedMessage, IsRefusedWhereItIsCutOffOrAnythingElse) {
  for (std::size_t size = 0; size < kRow.size(); ++size) {
    EXPECT_THAT(Read(kRow.substr(0, size)), CodeIs("SLU-2019")) << size;
  }
  EXPECT_THAT(Read(kRow + "x"), CodeIs("SLU-2019"));
  EXPECT_THAT(Read("\0\3"s + kRow.substr(2)), CodeIs("SLU-2019"));
  EXPECT_THAT(Read(kRow.substr(0, 14) + "\xFF\xFF\xFF\xFF"), CodeIs("SLU-2019"));  // NULL
  EXPECT_THAT(Read("\xFF\xFFx"), CodeIs("SLU-2019"));
  std::string with_flags = kHead;
  with_flags.back() = '\1';
  EXPECT_THAT(Read(with_flags + kRow, true), CodeIs("SLU-2019"));
}

TEST(PeekSql, QuotesNamesAndAsksForWhatTheStreamIsAskedFor) {
  const StreamOptions options{.slot = "s",
                              .publications = {"My \"Pub\"", "it's"},
                              .start_lsn = {},
                              .is_binary = true,
                              .is_streaming = true,
                              .with_messages = true};
  EXPECT_EQ(PeekSql(options, {.upto = Lsn{0x1'0000'0002}, .changes_max = 7}),
            "COPY (SELECT lsn, data FROM pg_catalog.pg_logical_slot_peek_binary_changes('s', "
            "'1/2', 7, 'proto_version', '2', 'streaming', 'on', 'publication_names', "
            "'\"My \"\"Pub\"\"\",\"it''s\"', 'binary', 'true', 'messages', 'true')) "
            "TO STDOUT (FORMAT binary)");
}

}  // namespace
}  // namespace sluice::postgres
