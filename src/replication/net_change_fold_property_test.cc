// Random histories of a table, cut into batches at random: applying the net change to the state
// before must give the state after, and nothing in it may be superfluous or in conflict.

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "replication/net_change_fold.h"
#include "replication/testing/change_batches.h"

namespace sluice::replication {
namespace {

using testing::BatchMaker;
using testing::Cell;
using testing::MakeColumn;
using testing::MakeTable;
using testing::TextRow;
using testing::TextRows;

constexpr std::size_t kBig = 3;  // the column that may be left out

enum class Shape { kKey, kCompositeKey, kFullWithKey, kKeyless };

SchemaPtr Table(Shape shape) {
  const std::vector<Column> columns = {MakeColumn("id", 23), MakeColumn("sub", 25),
                                       MakeColumn("n", 701), MakeColumn("big", 25),
                                       MakeColumn("b", 16)};
  switch (shape) {
    case Shape::kKey:
      return MakeTable(columns, {0}, ReplicaIdentity::kDefault);
    case Shape::kCompositeKey:
      return MakeTable(columns, {0, 1}, ReplicaIdentity::kIndex);
    case Shape::kFullWithKey:
      return MakeTable(columns, {0}, ReplicaIdentity::kFull);
    case Shape::kKeyless:
      return MakeTable(columns, {}, ReplicaIdentity::kFull);
  }
  return nullptr;
}

class History {
 public:
  History(std::uint32_t seed, Shape shape)
      : random_(seed), shape_(shape), schema_(Table(shape)), maker_(schema_) {
    for (unsigned i = 0; i < random_() % 6; ++i) TryInsert(false);
    before_ = rows_;
  }

  std::string Run() {
    for (unsigned i = 0; i < 2 + random_() % 25; ++i) Change();
    Cut();
    std::vector<FoldItem> items;
    for (const auto& batch : batches_) {
      items.push_back(batch ? FoldItem{.batch = &*batch} : FoldItem{});
    }
    auto net = FoldNet(schema_, items);
    if (!net) return net.error().message;
    if (std::string problem = Apply(*net); !problem.empty()) return problem;
    return before_ == rows_ ? "" : "content differs";
  }

 private:
  using Rows = std::multiset<TextRow>;

  unsigned Pick(unsigned count) { return static_cast<unsigned>(random_() % count); }
  Cell Word(const char* prefix, unsigned count) {
    return Pick(5) == 0 ? Cell() : Cell(prefix + std::to_string(Pick(count)));
  }
  TextRow RandomRow() {
    return {std::to_string(Pick(6)), "s" + std::to_string(Pick(2)),
            Pick(4) == 0 ? Cell("-0") : Word("", 3), Word("big", 4),
            Pick(2) == 0 ? Cell("t") : Cell("f")};
  }
  TextRow KeyOf(const TextRow& row) const {
    TextRow key;
    for (const std::int32_t column : schema_->key)
      key.push_back(row[static_cast<std::size_t>(column)]);
    return key;
  }
  bool HasKey(const TextRow& key) const {
    return std::any_of(rows_.begin(), rows_.end(),
                       [&](const TextRow& row) { return KeyOf(row) == key; });
  }
  bool IsFull() const { return schema_->identity == ReplicaIdentity::kFull; }
  /// As the server sends it: the identity's columns only.
  TextRow OldTuple(const TextRow& row) const {
    if (IsFull()) return row;
    TextRow old(row.size());
    for (const std::int32_t column : schema_->key) {
      old[static_cast<std::size_t>(column)] = row[static_cast<std::size_t>(column)];
    }
    return old;
  }

  void TryInsert(bool is_logged) {
    const TextRow row = RandomRow();
    if (shape_ != Shape::kKeyless && HasKey(KeyOf(row))) return;
    rows_.insert(row);
    if (is_logged) maker_.Insert(row);
  }

  Rows::iterator RandomPlace() {
    return std::next(rows_.begin(),
                     static_cast<std::ptrdiff_t>(Pick(static_cast<unsigned>(rows_.size()))));
  }

  void Change() {
    if (Pick(5) == 0) Cut();
    const unsigned what = Pick(20);
    if (what == 0) return Truncate();
    if (what < 7 || rows_.empty()) return TryInsert(true);
    if (what < 11) {
      const auto place = RandomPlace();
      maker_.Delete(OldTuple(*place));
      rows_.erase(place);
      return;
    }
    if (what < 14 && shape_ == Shape::kFullWithKey) return SwapKeys();
    Update();
  }

  void Update() {
    const auto place = RandomPlace();
    const TextRow old = *place;
    TextRow now = RandomRow();
    if (Pick(3) != 0) now[0] = old[0];
    if (Pick(3) != 0) now[1] = old[1];
    const bool keeps_big = Pick(2) == 0;
    if (keeps_big) now[kBig] = old[kBig];
    const bool moves = KeyOf(now) != KeyOf(old);
    if (shape_ != Shape::kKeyless && moves && HasKey(KeyOf(now))) return;
    rows_.erase(place);
    rows_.insert(now);
    Log(now, old, moves, keeps_big && old[kBig].has_value());
  }

  void Log(const TextRow& now, const TextRow& old, bool moves, bool keeps_big) {
    std::vector<std::size_t> unchanged;
    if (keeps_big && Pick(2) == 0) unchanged.push_back(kBig);
    maker_.Update(now, moves || IsFull() ? std::optional(OldTuple(old)) : std::nullopt, unchanged);
  }

  // With a deferrable key: for a moment two rows have the same one.
  void SwapKeys() {
    const TextRow a = *RandomPlace();
    const TextRow b = *RandomPlace();
    if (a == b) return;
    TextRow new_a = a;
    TextRow new_b = b;
    std::swap(new_a[0], new_b[0]);
    rows_.erase(rows_.find(a));
    rows_.erase(rows_.find(b));
    rows_.insert(new_a);
    rows_.insert(new_b);
    maker_.Update(new_a, a);
    if (Pick(2) == 0) Cut();
    maker_.Update(new_b, b);
  }

  void Truncate() {
    Cut();
    batches_.emplace_back();
    rows_.clear();
  }
  void Cut() {
    if (!maker_.empty()) batches_.emplace_back(maker_.Finish());
  }

  // A destination that takes nothing but what change_set.h promises.
  std::string Apply(const NetChange& net) {
    if (net.truncate) before_.clear();
    for (const TextRow& row : TextRows(net.row_deletes)) {
      if (!before_.contains(row)) return "row to delete is not there";
      before_.erase(before_.find(row));
    }
    std::set<TextRow> deleted;
    for (const TextRow& key : TextRows(net.deletes)) {
      if (!Take(key)) return "key to delete is not there";
      deleted.insert(key);
    }
    if (std::string problem = ApplyUpdates(net); !problem.empty()) return problem;
    for (const TextRow& row : TextRows(net.inserts)) {
      if (shape_ != Shape::kKeyless && Find(KeyOf(row)) != before_.end()) {
        return "inserted key is there already";
      }
      if (deleted.contains(KeyOf(row))) return "a row that stays is deleted and inserted";
      before_.insert(row);
    }
    return "";
  }

  std::string ApplyUpdates(const NetChange& net) {
    const auto keys = TextRows(net.update_origin_keys);
    auto values = TextRows(net.update_values);
    if (keys.size() != values.size()) return "updates without keys";
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto old = Take(keys[i]);
      if (!old) return "key to update is not there";
      for (std::size_t column = 0; column < net.update_unchanged.size(); ++column) {
        if (net.update_unchanged[column][i]) values[i][column] = (*old)[column];
      }
    }
    for (const TextRow& row : values) {
      if (Find(KeyOf(row)) != before_.end()) return "two rows of one key";
      before_.insert(row);
    }
    return "";
  }

  Rows::iterator Find(const TextRow& key) {
    return std::find_if(before_.begin(), before_.end(),
                        [&](const TextRow& row) { return KeyOf(row) == key; });
  }
  std::optional<TextRow> Take(const TextRow& key) {
    const auto found = Find(key);
    if (found == before_.end()) return std::nullopt;
    TextRow row = *found;
    before_.erase(found);
    return row;
  }

  std::mt19937 random_;
  Shape shape_;
  SchemaPtr schema_;
  BatchMaker maker_;
  Rows rows_;                                        ///< of the source, after every change
  Rows before_;                                      ///< of the destination
  std::vector<std::optional<ChangeBatch>> batches_;  ///< none: TRUNCATE
};

class FoldProperty : public ::testing::TestWithParam<Shape> {};

TEST_P(FoldProperty, GivesTheStateAfterTheChanges) {
  for (std::uint32_t seed = 1; seed <= 4000; ++seed) {
    ASSERT_EQ(History(seed, GetParam()).Run(), "") << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FoldProperty,
                         ::testing::Values(Shape::kKey, Shape::kCompositeKey, Shape::kFullWithKey,
                                           Shape::kKeyless));

}  // namespace
}  // namespace sluice::replication
