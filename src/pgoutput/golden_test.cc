// Messages captured from a server (tests/data/pgoutput): every one decodes, no strict prefix of one
// does, and none with a byte more.
#include "pgoutput/testing/golden.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/testing/result_matchers.h"
#include "pgoutput/decoder.h"

namespace sluice::pgoutput {
namespace {

using sluice::testing::IsError;
using sluice::testing::IsOk;

std::vector<testing::GoldenMessage> Goldens(const std::string& name) {
  return testing::ReadGoldens(std::string(SLUICE_TEST_DATA_DIR) + "/pgoutput/" + name);
}

class Golden : public ::testing::TestWithParam<const char*> {};

TEST_P(Golden, EveryMessageDecodes) {
  const auto goldens = Goldens(GetParam());
  ASSERT_FALSE(goldens.empty());
  Decoder decoder;
  for (const auto& golden : goldens) {
    ASSERT_THAT(decoder.Decode(base::AsBytes(golden.bytes)), IsOk()) << golden.bytes.front();
  }
  EXPECT_EQ(decoder.place(), Place::kOutsideBlock);
}

TEST_P(Golden, NoPrefixAndNoLongerMessageDecodes) {
  Decoder decoder;
  for (const auto& golden : Goldens(GetParam())) {
    // A failed message leaves the decoder as it was.
    for (std::size_t length = 0; length < golden.bytes.size(); ++length) {
      ASSERT_THAT(decoder.Decode(base::AsBytes(golden.bytes.substr(0, length))),
                  IsError(ErrorKind::kProtocol))
          << golden.bytes.front() << " " << length;
    }
    ASSERT_THAT(decoder.Decode(base::AsBytes(golden.bytes + '\0')), IsError(ErrorKind::kProtocol))
        << golden.bytes.front();
    ASSERT_THAT(decoder.Decode(base::AsBytes(golden.bytes)), IsOk());
  }
}

INSTANTIATE_TEST_SUITE_P(Captured, Golden,
                         ::testing::Values("binary.txt", "text.txt", "streamed.txt"));

TEST(GoldenBinary, HoldsTheValuesOfTheWorkload) {
  Decoder decoder;
  std::map<std::string, Relation> relations;
  std::vector<std::string> inserted;
  int unchanged_cells = 0;
  for (const auto& golden : Goldens("binary.txt")) {
    const Result<Message> message = decoder.Decode(base::AsBytes(golden.bytes));
    ASSERT_THAT(message, IsOk());
    if (const auto* relation = std::get_if<Relation>(&*message)) {
      relations[relation->name.table] = *relation;
    } else if (const auto* insert = std::get_if<Insert>(&*message)) {
      if (insert->row.size() > 1) inserted.emplace_back(base::AsText(insert->row[1].bytes));
    } else if (const auto* update = std::get_if<Update>(&*message)) {
      for (const TupleCell& cell : update->row) {
        unchanged_cells += cell.kind == TupleCell::Kind::kUnchanged ? 1 : 0;
      }
    }
  }
  EXPECT_EQ(unchanged_cells, 2);
  EXPECT_EQ(inserted.front(), "one");
  ASSERT_EQ(relations["plain"].columns.size(), 5U);
  EXPECT_TRUE(relations["plain"].columns[0].is_identity);
  EXPECT_FALSE(relations["plain"].columns[1].is_identity);
  EXPECT_EQ(relations["plain"].columns[4].typmod, 655366);
  EXPECT_EQ(relations["whole"].identity, ReplicaIdentity::kFull);
  EXPECT_TRUE(relations["whole"].columns[1].is_identity);
  EXPECT_EQ(relations["nothing_in_it"].columns.size(), 0U);
  EXPECT_EQ(relations["child"].columns.size(), 2U);
}

TEST(GoldenStreamed, NamesSubtransactionsAndTheirAborts) {
  Decoder decoder;
  int subtransaction_aborts = 0;
  int whole_aborts = 0;
  TransactionId block;
  bool has_subtransaction_change = false;
  for (const auto& golden : Goldens("streamed.txt")) {
    const Result<Message> message = decoder.Decode(base::AsBytes(golden.bytes));
    ASSERT_THAT(message, IsOk());
    if (const auto* start = std::get_if<StreamStart>(&*message)) {
      block = start->xid;
    } else if (const auto* insert = std::get_if<Insert>(&*message)) {
      has_subtransaction_change |= insert->xid != block;
    } else if (const auto* abort = std::get_if<StreamAbort>(&*message)) {
      (abort->xid == abort->subxid ? whole_aborts : subtransaction_aborts) += 1;
    }
  }
  EXPECT_TRUE(has_subtransaction_change);
  EXPECT_EQ(subtransaction_aborts, 2);
  EXPECT_EQ(whole_aborts, 1);
}

}  // namespace
}  // namespace sluice::pgoutput
