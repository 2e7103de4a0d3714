#include "engine/unit_reader.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace sluice::engine {
namespace {

TEST(PageSharesTest, GivesOutEveryPageOnceAndTheLastShareHasNoEnd) {
  PageShares shares(10, 4);
  EXPECT_EQ(shares.Take(), "ctid >= '(0,0)'::pg_catalog.tid AND ctid < '(4,0)'::pg_catalog.tid");
  EXPECT_EQ(shares.Take(), "ctid >= '(4,0)'::pg_catalog.tid AND ctid < '(8,0)'::pg_catalog.tid");
  EXPECT_FALSE(shares.is_empty());
  EXPECT_EQ(shares.Take(), "ctid >= '(8,0)'::pg_catalog.tid");
  EXPECT_TRUE(shares.is_empty());
  EXPECT_EQ(shares.Take(), std::nullopt);
  EXPECT_EQ(shares.Take(), std::nullopt);
}

TEST(PageSharesTest, AShareThatEndsWithTheTableHasNoEndEither) {
  PageShares shares(8, 4);
  (void)shares.Take();
  EXPECT_EQ(shares.Take(), "ctid >= '(4,0)'::pg_catalog.tid");
  EXPECT_EQ(shares.Take(), std::nullopt);
}

TEST(PageSharesTest, ThreadsNeverGetTheSameShare) {
  PageShares shares(100'000, 7);
  std::vector<std::vector<std::string>> taken(4);
  {
    std::vector<std::jthread> threads;
    for (std::vector<std::string>& mine : taken) {
      threads.emplace_back([&] {
        while (std::optional<std::string> share = shares.Take()) mine.push_back(*share);
      });
    }
  }
  std::set<std::string> distinct;
  std::size_t count = 0;
  for (const std::vector<std::string>& mine : taken) {
    distinct.insert(mine.begin(), mine.end());
    count += mine.size();
  }
  EXPECT_EQ(count, 14'286U);
  EXPECT_EQ(distinct.size(), count);
}

}  // namespace
}  // namespace sluice::engine
