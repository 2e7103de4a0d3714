// Commits wait in two queues: accepted (lost in a crash), then durable (kept), then they are
// applied to the destination below, which is what readers see.
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "destinations/doubles/doubles.h"

namespace sluice::doubles {
namespace {

struct PendingCommit {
  std::vector<SequenceItem> items;
  CommitRecord record;
};

constexpr std::size_t kAll = static_cast<std::size_t>(-1);

}  // namespace

struct Deferred::State {
  DeferredOptions options;
  mutable std::recursive_mutex mutex;  // the destination below calls back from inside Commit()
  std::vector<SequenceItem> staged;
  std::deque<PendingCommit> accepted;
  std::deque<PendingCommit> durable;
  bool loses_on_close = false;
  bool is_open = false;
  std::optional<Error> failed;
  Watermarks marks;
  std::optional<Lsn> position;  ///< of the last accepted commit: refused at Commit(), not later
  std::function<void(const Watermarks&)> listener;

  void Tell() {
    if (listener) listener(marks);
  }
};

Deferred::Deferred(std::unique_ptr<Destination> inner, DeferredOptions options)
    : Decorator(std::move(inner)), state_(std::make_unique<State>()) {
  state_->options = options;
  capabilities_.commits_in_flight_max = options.commits_in_flight_max;
}

Deferred::~Deferred() {
  // What is durable survives also a destructor without Close().
  if (state_->is_open) AdvanceVisible(kAll);
}

std::size_t Deferred::AdvanceDurable(std::size_t count) {
  const std::scoped_lock lock(state_->mutex);
  std::size_t moved = 0;
  while (moved < count && !state_->accepted.empty()) {
    state_->marks.durable_sequence = state_->accepted.front().record.sequence;
    state_->durable.push_back(std::move(state_->accepted.front()));
    state_->accepted.pop_front();
    ++moved;
  }
  if (moved > 0) state_->Tell();
  return moved;
}

std::size_t Deferred::AdvanceVisible(std::size_t count) {
  const std::scoped_lock lock(state_->mutex);
  std::size_t moved = 0;
  while (moved < count && !state_->durable.empty() && !state_->failed) {
    const PendingCommit& commit = state_->durable.front();
    for (const SequenceItem& item : commit.items) {
      auto staged = inner().Stage(item);
      if (!staged) {
        state_->failed = std::move(staged).error();
      } else if (staged->table_failed) {
        state_->failed = std::move(staged->table_failed->error);
      }
    }
    if (!state_->failed) {
      auto outcome = inner().Commit(commit.record);
      if (!outcome) state_->failed = std::move(outcome).error();
    }
    if (state_->failed) {
      inner().Abandon();
      break;
    }
    state_->marks.visible_sequence = commit.record.sequence;
    state_->durable.pop_front();
    ++moved;
  }
  if (moved > 0) state_->Tell();
  return moved;
}

void Deferred::LoseOnClose(bool lose) {
  const std::scoped_lock lock(state_->mutex);
  state_->loses_on_close = lose;
}

std::size_t Deferred::accepted_count() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->accepted.size();
}

std::size_t Deferred::durable_count() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->durable.size();
}

Result<DeliveryState> Deferred::Open(const OpenRequest& request) {
  const std::scoped_lock lock(state_->mutex);
  state_->staged.clear();
  state_->accepted.clear();
  state_->durable.clear();
  state_->failed.reset();
  state_->marks = Watermarks{};
  auto opened = inner().Open(request);
  state_->is_open = opened.has_value();
  state_->position.reset();
  if (opened && opened->position) state_->position = opened->position->lsn;
  return opened;
}

Result<std::unique_ptr<CopyWriter>> Deferred::OpenCopy(const CopyTarget& target) {
  AdvanceVisible(kAll);
  return inner().OpenCopy(target);
}

Status Deferred::DiscardCopy(UnitId unit) {
  AdvanceVisible(kAll);
  return inner().DiscardCopy(unit);
}

Result<StageOutcome> Deferred::Stage(const SequenceItem& item) {
  const std::scoped_lock lock(state_->mutex);
  state_->staged.push_back(item);
  return StageOutcome{};
}

Result<CommitOutcome> Deferred::Commit(const CommitRecord& record) {
  const std::scoped_lock lock(state_->mutex);
  if (state_->failed) return *state_->failed;
  if (record.position && state_->position && record.position->lsn < *state_->position) {
    return Error{
        .kind = ErrorKind::kStateStore, .message = "position would go back", .code = "SLU-5105"};
  }
  if (state_->accepted.size() + state_->durable.size() >= capabilities_.commits_in_flight_max) {
    return Error{.kind = ErrorKind::kInvalidArgument,
                 .message = "more commits in flight than were agreed",
                 .code = "SLU-9001"};
  }
  if (record.birth) state_->position.reset();
  if (record.position) state_->position = record.position->lsn;
  state_->accepted.push_back({std::exchange(state_->staged, {}), record});
  const DeferredOptions& options = state_->options;
  if (options.durable_behind > 0 && state_->accepted.size() >= options.durable_behind) {
    AdvanceDurable(1);
  }
  if (options.visible_behind > 0 && state_->durable.size() >= options.visible_behind) {
    AdvanceVisible(1);
  }
  if (state_->failed) return *state_->failed;
  return CommitOutcome::kAccepted;
}

void Deferred::Abandon() {
  const std::scoped_lock lock(state_->mutex);
  state_->staged.clear();
}

void Deferred::OnWatermark(std::function<void(const Watermarks&)> listener) {
  const std::scoped_lock lock(state_->mutex);
  state_->listener = std::move(listener);
}

Status Deferred::Close(Clock::time_point deadline) {
  const std::scoped_lock lock(state_->mutex);
  if (!state_->is_open) return inner().Close(deadline);
  if (!state_->loses_on_close) AdvanceDurable(kAll);
  state_->accepted.clear();
  state_->staged.clear();
  AdvanceVisible(kAll);
  state_->is_open = false;
  const Status closed = inner().Close(deadline);
  if (state_->failed) return *state_->failed;
  return closed;
}

namespace {

/// Durable at once, visible with every n-th commit: a Deferred that is told when.
class Interval final : public Decorator {
 public:
  Interval(std::unique_ptr<Destination> inner, std::size_t every)
      : Decorator(std::make_unique<Deferred>(std::move(inner),
                                             DeferredOptions{.commits_in_flight_max = every + 1})),
        every_(every) {
    capabilities_.commits_in_flight_max = every + 1;
  }

  Result<CommitOutcome> Commit(const CommitRecord& record) override {
    auto outcome = inner().Commit(record);
    if (!outcome) return outcome;
    auto& deferred = static_cast<Deferred&>(inner());
    deferred.AdvanceDurable(kAll);
    if (++commits_ % every_ == 0) deferred.AdvanceVisible(kAll);
    return outcome;
  }

 private:
  const std::size_t every_;
  std::size_t commits_ = 0;
};

}  // namespace

std::unique_ptr<Destination> MakeInterval(std::unique_ptr<Destination> inner, std::size_t every) {
  return std::make_unique<Interval>(std::move(inner), every);
}

}  // namespace sluice::doubles
