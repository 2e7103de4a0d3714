// Random interleavings of direct and streamed transactions with nested savepoints, whatever the
// limits: what leaves is what survived, in commit order, with its ordinals. A seed replays a
// failure.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "replication/testing/assembler_driver.h"

namespace sluice::replication {
namespace {

using namespace testing;  // NOLINT: the driver's words

/// What a transaction left, as text: per relation its changes.
using Changes = std::map<std::uint32_t, std::string>;

/// An open (sub)transaction at the imagined server.
struct Level {
  std::uint32_t xid = 0;
  std::size_t first_change = 0;
  std::vector<std::uint32_t> released;  ///< subtransactions committed into it
};

struct Streamed {
  std::vector<Level> levels;  ///< the top-level transaction first
  std::vector<std::pair<std::uint32_t, std::string>> survivors;
  std::map<std::uint32_t, bool> is_described;
  bool has_begun = false;
};

class Simulation {
 public:
  explicit Simulation(std::uint32_t seed) : random_(seed), driver_(Options()) {}

  void Run() {
    for (int step = 0; step < 120 && !::testing::Test::HasFatalFailure(); ++step) {
      const int choice = Roll(10);
      if (choice < 2 || open_.empty()) {
        if (Roll(2) == 0 || open_.size() > 3) {
          RunDirect();
        } else {
          const std::uint32_t xid = next_xid_++;
          open_[xid].levels.push_back({xid, 0, {}});
        }
      } else if (choice < 8) {
        RunBlock(Pick());
      } else if (choice == 8) {
        End(Pick());
      } else {
        driver_.assembler.Keepalive(Lsn{lsn_ += 5});
        if (Roll(2) == 0) Collect();
      }
    }
    while (!open_.empty()) End(open_.begin()->first);
    Collect();
    EXPECT_EQ(got_, expected_);
    EXPECT_TRUE(driver_.spilled.empty());
    EXPECT_EQ(driver_.assembler.staged_bytes(), 0U);
    EXPECT_EQ(driver_.assembler.open_rows(), 0U);
  }

 private:
  int Roll(int sides) { return std::uniform_int_distribution<int>(0, sides - 1)(random_); }

  AssemblerOptions Options() {
    constexpr std::size_t kRows[] = {1, 2, 3, 7, 1000};
    constexpr std::size_t kBytes[] = {1, 100, 3000, 1U << 20};
    AssemblerOptions options;
    options.batch_rows = kRows[Roll(5)];
    options.batch_bytes = kBytes[Roll(4)];
    options.staging_bytes = kBytes[Roll(4)];
    return options;
  }

  std::uint32_t Pick() {
    auto at = open_.begin();
    std::advance(at, Roll(static_cast<int>(open_.size())));
    return at->first;
  }

  std::string Change(std::uint32_t relation, std::size_t ordinal, std::string* message) {
    const RelationId id{relation};
    const int key = next_key_++;
    const std::string text = std::to_string(key);
    const std::string place = "#" + std::to_string(ordinal);
    switch (Roll(8)) {
      case 0:
        *message = WriteTruncate({id});
        return " T" + place;
      case 1:
        *message = WriteDelete(id, Key(key));
        return " -" + text + place;
      case 2:
        *message = WriteUpdate(id, Row(key, "u"));
        return " ~" + text + "u" + place;
      default:
        *message = WriteInsert(id, Row(key, "i"));
        return " +" + text + "i" + place;
    }
  }

  void RunDirect() {
    const std::uint32_t xid = next_xid_++;
    const std::uint64_t commit_lsn = lsn_ += 20;
    driver_.Begin(xid, commit_lsn);
    Changes changes;
    const int count = Roll(6);
    for (int i = 0; i < count; ++i) {
      const auto relation = static_cast<std::uint32_t>(1 + Roll(3));
      if (!is_described_[relation]) driver_.SendAll({driver_.Describe(RelationId{relation})});
      is_described_[relation] = true;
      std::string message;
      changes[relation] += Change(relation, static_cast<std::size_t>(i), &message);
      driver_.SendAll({message});
    }
    driver_.Commit();
    lsn_ += 10;
    Expect(xid, commit_lsn, changes);
  }

  void RunBlock(std::uint32_t xid) {
    Streamed& tx = open_[xid];
    bool is_in_block = false;
    const auto enter = [&] {
      if (is_in_block) return;
      driver_.SendAll({WriteStreamStart(TransactionId{xid}, !tx.has_begun)});
      tx.has_begun = is_in_block = true;
    };
    const auto leave = [&] {
      if (is_in_block) driver_.SendAll({WriteStreamStop()});
      is_in_block = false;
    };
    const int count = 1 + Roll(8);
    for (int i = 0; i < count; ++i) {
      const int choice = Roll(12);
      if (choice == 0) {
        tx.levels.push_back({next_xid_++, tx.survivors.size(), {}});
      } else if (choice == 1 && tx.levels.size() > 1) {
        const Level released = tx.levels.back();
        tx.levels.pop_back();
        std::vector<std::uint32_t>& into = tx.levels.back().released;
        into.insert(into.end(), released.released.begin(), released.released.end());
        into.push_back(released.xid);
      } else if (choice == 2 && tx.levels.size() > 1) {
        leave();
        RollBack(xid, tx);
      } else {
        enter();
        AddChange(tx);
      }
    }
    leave();
  }

  void AddChange(Streamed& tx) {
    const TransactionId by{tx.levels.back().xid};
    const auto relation = static_cast<std::uint32_t>(1 + Roll(3));
    if (!tx.is_described[relation]) {
      driver_.SendAll({InBlock(by, driver_.Describe(RelationId{relation}))});
      tx.is_described[relation] = true;
    }
    std::string message;
    tx.survivors.emplace_back(relation, Change(relation, tx.survivors.size(), &message));
    driver_.SendAll({InBlock(by, message)});
  }

  // The server names the committed children first, then the subtransaction itself.
  void RollBack(std::uint32_t xid, Streamed& tx) {
    const Level gone = tx.levels.back();
    tx.levels.pop_back();
    const bool has_changes = tx.survivors.size() > gone.first_change;
    tx.survivors.resize(gone.first_change);
    if (!has_changes) return;
    for (const std::uint32_t child : gone.released) driver_.StreamAbort(xid, child);
    driver_.StreamAbort(xid, gone.xid);
    tx.is_described.clear();
  }

  void End(std::uint32_t xid) {
    Streamed& tx = open_[xid];
    if (tx.has_begun && Roll(4) == 0) {
      driver_.StreamAbort(xid, xid);
    } else if (tx.has_begun) {
      const std::uint64_t commit_lsn = lsn_ += 20;
      driver_.StreamCommit(xid, commit_lsn);
      lsn_ += 10;
      Changes changes;
      for (const auto& [relation, text] : tx.survivors) changes[relation] += text;
      Expect(xid, commit_lsn, changes);
      for (const auto& [relation, is_described] : tx.is_described) {
        if (is_described) is_described_[relation] = true;
      }
    }
    open_.erase(xid);
  }

  void Expect(std::uint32_t xid, std::uint64_t commit_lsn, const Changes& changes) {
    std::string text = std::to_string(xid) + "@" + std::to_string(commit_lsn);
    for (const auto& [relation, part] : changes) {
      if (!part.empty()) text += " | " + std::to_string(relation) + part;
    }
    expected_.push_back(text);
  }

  void Collect() {
    while (std::optional<ChangeSet> set = driver_.assembler.Seal()) {
      driver_.sets.push_back(*std::move(set));
    }
    for (const ChangeSet& set : driver_.sets) CollectSet(set);
    driver_.sets.clear();
  }

  void CollectSet(const ChangeSet& set) {
    ASSERT_EQ(set.continues_previous, is_going_on_);
    ASSERT_TRUE(set.ends_at_boundary || !set.transactions.empty());
    std::vector<Changes> parts(set.transactions.size());
    std::size_t row_count = 0;
    for (const TableChanges& table : set.tables) {
      for (const ChangeItem& item : table.items) {
        row_count += CollectItem(table.relation.value, item, parts);
      }
    }
    ASSERT_EQ(row_count, set.row_count);
    for (std::size_t i = 0; i < set.transactions.size(); ++i) {
      const TransactionMark& mark = set.transactions[i];
      for (const auto& [relation, text] : parts[i]) pending_[relation] += text;
      const bool is_whole = i + 1 < set.transactions.size() || set.ends_at_boundary;
      ASSERT_EQ(mark.end_lsn.is_valid(), is_whole);
      if (!is_whole) continue;
      std::string text =
          std::to_string(mark.xid.value) + "@" + std::to_string(mark.commit_lsn.value);
      for (const auto& [relation, part] : pending_) {
        text += " | " + std::to_string(relation) + part;
      }
      pending_.clear();
      got_.push_back(text);
    }
    is_going_on_ = !set.ends_at_boundary;
    if (!set.ends_at_boundary) return;
    ASSERT_GE(set.end, end_);
    end_ = set.end;
  }

  static std::size_t CollectItem(std::uint32_t relation, const ChangeItem& item,
                                 std::vector<Changes>& parts) {
    if (const auto* truncate = std::get_if<TruncateMark>(&item)) {
      parts.at(truncate->transaction)[relation] += " T#" + std::to_string(truncate->ordinal);
      return 0;
    }
    const auto* batch = std::get_if<ChangeBatch>(&item);
    if (batch == nullptr) return 0;
    std::size_t run = 0;
    for (std::size_t row = 0; row < batch->row_count(); ++row) {
      while (run + 1 < batch->runs.size() && batch->runs[run + 1].first_row <= row) ++run;
      parts.at(batch->runs[run].transaction)[relation] += " " + PrintRow(*batch, row, 0);
    }
    return batch->row_count();
  }

  std::mt19937 random_;
  AssemblerDriver driver_;
  std::map<std::uint32_t, Streamed> open_;
  std::map<std::uint32_t, bool> is_described_;
  std::uint32_t next_xid_ = 100;
  std::uint64_t lsn_ = 1000;
  int next_key_ = 0;
  std::vector<std::string> expected_;
  std::vector<std::string> got_;
  Changes pending_;
  bool is_going_on_ = false;
  Lsn end_;
};

TEST(AssemblerProperty, WhatSurvivesLeavesInCommitOrder) {
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Simulation(seed).Run();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace sluice::replication
