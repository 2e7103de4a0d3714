#include "replication/keyless_fold.h"

#include <cstdint>
#include <vector>

namespace sluice::replication {
namespace {

// Rows with the same bytes, and how many more of them there are afterwards.
struct Group {
  CellRef row;
  std::int64_t count = 0;
};

class Multiset {
 public:
  explicit Multiset(const FoldSources& sources)
      : sources_(sources), table_(2 * sources.row_count()) {}

  void Add(CellRef row, std::int64_t count) {
    const std::uint64_t hash = sources_.HashRow(row);
    bool is_known = false;
    table_.Find(hash, [&](std::uint32_t index) {
      is_known = sources_.SameRow(groups_[index].row, row);
      if (is_known) groups_[index].count += count;
      return is_known;
    });
    if (is_known) return;
    table_.Insert(hash, static_cast<std::uint32_t>(groups_.size()));
    groups_.push_back({.row = row, .count = count});
  }

  const std::vector<Group>& groups() const { return groups_; }

 private:
  const FoldSources& sources_;
  EntryTable table_;
  std::vector<Group> groups_;
};

}  // namespace

Status FoldKeyless(const FoldSources& sources, const FoldOptions& options, NetChange* net) {
  Multiset rows(sources);
  for (std::size_t index = 0; index < sources.item_count(); ++index) {
    const FoldItem& item = sources.item(index);
    for (std::size_t row = item.row_begin; row < item.row_end; ++row) {
      const ChangeKind kind = item.batch->kind(row);
      if (kind != ChangeKind::kInsert) rows.Add(FoldSources::OldRow(index, row), -1);
      if (kind != ChangeKind::kDelete) rows.Add(FoldSources::NewRow(index, row), 1);
    }
  }
  std::vector<CellRef> inserts;
  std::vector<CellRef> deletes;
  for (const Group& group : rows.groups()) {
    for (std::int64_t i = 0; i < group.count; ++i) inserts.push_back(group.row);
    for (std::int64_t i = 0; i > group.count; --i) deletes.push_back(group.row);
  }
  if (options.wants_change_ids) {
    for (const CellRef row : inserts) net->insert_ids.push_back(sources.IdOf(row));
  }
  net->insert_misfits = sources.MisfitsOf(inserts);
  net->row_delete_misfits = sources.MisfitsOf(deletes);
  SLUICE_ASSIGN_OR_RETURN(net->inserts, sources.GatherRows(inserts));
  SLUICE_ASSIGN_OR_RETURN(net->row_deletes, sources.GatherRows(deletes));
  return {};
}

}  // namespace sluice::replication
