#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "destinations/doubles/doubles.h"

namespace sluice::doubles {
namespace {

bool IsRows(const SequenceItem& item) {
  return std::holds_alternative<LogRows>(item) || std::holds_alternative<NetRows>(item) ||
         std::holds_alternative<HistoryRows>(item);
}

RelationId RelationOf(const SequenceItem& item) {
  if (const auto* log = std::get_if<LogRows>(&item)) return log->batch->schema->relation;
  if (const auto* net = std::get_if<NetRows>(&item)) return net->change->schema->relation;
  if (const auto* log = std::get_if<HistoryRows>(&item)) return log->change->schema->relation;
  return {};
}

/// What is repeated is a suffix of the commit before, as after a lost acknowledgement: those items
/// come once more, in their order, before anything new of the same table.
class AtLeastOnce final : public Decorator {
 public:
  AtLeastOnce(std::unique_ptr<Destination> inner, std::uint64_t seed)
      : Decorator(std::move(inner)), random_(seed) {
    capabilities_.commits_atomically = false;
  }

  Result<DeliveryState> Open(const OpenRequest& request) override {
    items_.clear();
    previous_.clear();
    return Decorator::Open(request);
  }
  Result<StageOutcome> Stage(const SequenceItem& item) override {
    items_.push_back(item);
    return StageOutcome{};
  }
  void Abandon() override {
    items_.clear();
    Decorator::Abandon();
  }
  Result<CommitOutcome> Commit(const CommitRecord& record) override {
    const std::vector<SequenceItem> items = std::exchange(items_, {});
    // Once a table has another shape, or was landed again, what came before cannot be repeated.
    if (!std::all_of(items.begin(), items.end(), IsRows)) previous_.clear();
    for (const SequenceItem& item : previous_) SLUICE_RETURN_IF_ERROR(Pass(item));
    for (const SequenceItem& item : Reordered(items)) SLUICE_RETURN_IF_ERROR(Pass(item));
    auto outcome = Decorator::Commit(record);
    previous_.clear();
    if (outcome) std::copy_if(items.begin(), items.end(), std::back_inserter(previous_), IsRows);
    return outcome;
  }

 private:
  Status Pass(const SequenceItem& item) {
    SLUICE_ASSIGN_OR_RETURN(StageOutcome outcome, Decorator::Stage(item));
    if (outcome.table_failed) return std::move(outcome.table_failed->error);
    return {};
  }
  /// Rows of different tables change places; the order within a table stays.
  std::vector<SequenceItem> Reordered(const std::vector<SequenceItem>& items) {
    std::vector<SequenceItem> out = items;
    const auto first = std::find_if(out.begin(), out.end(), IsRows);
    std::vector<RelationId> tables;
    for (auto at = first; at != out.end(); ++at) {
      if (!IsRows(*at)) return out;
      if (std::find(tables.begin(), tables.end(), RelationOf(*at)) == tables.end()) {
        tables.push_back(RelationOf(*at));
      }
    }
    std::shuffle(tables.begin(), tables.end(), random_);
    const auto rank = [&](const SequenceItem& item) {
      return std::find(tables.begin(), tables.end(), RelationOf(item));
    };
    std::stable_sort(first, out.end(), [&](const SequenceItem& a, const SequenceItem& b) {
      return rank(a) < rank(b);
    });
    return out;
  }

  std::mt19937_64 random_;
  std::vector<SequenceItem> items_;
  std::vector<SequenceItem> previous_;
};

}  // namespace

std::unique_ptr<Destination> MakeAtLeastOnce(std::unique_ptr<Destination> inner,
                                             std::uint64_t seed) {
  return std::make_unique<AtLeastOnce>(std::move(inner), seed);
}

}  // namespace sluice::doubles
