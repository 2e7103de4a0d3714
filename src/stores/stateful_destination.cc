#include "stores/stateful_destination.h"

#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace sluice::stores {
namespace {

class StatefulDestination final : public Destination {
 public:
  StatefulDestination(std::unique_ptr<Destination> destination, std::unique_ptr<StateStore> store)
      : destination_(std::move(destination)), store_(std::move(store)) {
    capabilities_ = destination_->capabilities();
    capabilities_.holds_state = true;
    capabilities_.fencing = Capabilities::Fencing::kCompareAndSet;
    capabilities_.commits_atomically = !capabilities_.keeps_rows;
    destination_->OnWatermark([this](const Watermarks& marks) { OnInner(marks); });
  }
  ~StatefulDestination() override { destination_->OnWatermark({}); }

  const Capabilities& capabilities() const override { return capabilities_; }

  Result<DeliveryState> Open(const OpenRequest& request) override {
    {
      const std::scoped_lock lock(mutex_);
      pending_.clear();
      failed_.reset();
      inner_ = own_ = Watermarks{};
    }
    // The store first: whom it belongs to is known before anything is touched.
    SLUICE_ASSIGN_OR_RETURN(DeliveryState state, store_->Open(request));
    SLUICE_RETURN_IF_ERROR(destination_->Open(request));
    return state;
  }
  Status StoreBirth(const Birth& birth) override {
    SLUICE_RETURN_IF_ERROR(destination_->StoreBirth(birth));
    return store_->StoreBirth(birth);
  }
  Result<std::optional<Error>> CheckTable(const TableSchema& schema, const TableName& name,
                                          TableMode mode, bool adopt) override {
    return destination_->CheckTable(schema, name, mode, adopt);
  }
  Result<std::unique_ptr<CopyWriter>> OpenCopy(const CopyTarget& target) override {
    return destination_->OpenCopy(target);
  }
  Status DiscardCopy(UnitId unit) override { return destination_->DiscardCopy(unit); }
  Result<StageOutcome> Stage(const SequenceItem& item) override {
    return destination_->Stage(item);
  }

  Result<CommitOutcome> Commit(const CommitRecord& record) override {
    {
      const std::scoped_lock lock(mutex_);
      if (failed_) return *failed_;
      pending_.push_back(record);
    }
    auto outcome = destination_->Commit(record);
    const std::scoped_lock lock(mutex_);
    if (!outcome || *outcome == CommitOutcome::kUnknown) {
      std::erase_if(pending_, [&](const CommitRecord& r) { return r.sequence == record.sequence; });
      return outcome;
    }
    if (failed_) return *failed_;
    return outcome;
  }

  void Abandon() override { destination_->Abandon(); }
  void Interrupt() override { destination_->Interrupt(); }
  void OnWatermark(std::function<void(const Watermarks&)> listener) override {
    const std::scoped_lock lock(mutex_);
    listener_ = std::move(listener);
  }
  Status Maintain(Clock::time_point deadline) override { return destination_->Maintain(deadline); }
  Result<std::unique_ptr<DestinationReader>> OpenReader() override {
    return destination_->OpenReader();
  }
  Status Forget() override {
    SLUICE_RETURN_IF_ERROR(destination_->Forget());
    return store_->Forget();
  }
  Status Close(Clock::time_point deadline) override {
    const Status closed = destination_->Close(deadline);
    SLUICE_RETURN_IF_ERROR(store_->Close());
    return closed;
  }

 private:
  /// Stores what the destination has made durable, then passes the watermarks on. I/O under the
  /// lock, as the store takes one caller at a time.
  void OnInner(const Watermarks& marks) {
    std::function<void(const Watermarks&)> listener;
    Watermarks out;
    {
      const std::scoped_lock lock(mutex_);
      inner_ = marks;
      while (!failed_ && !pending_.empty() && pending_.front().sequence <= marks.durable_sequence) {
        if (Status stored = store_->Commit(pending_.front()); !stored) {
          failed_ = std::move(stored).error();
          break;
        }
        own_.durable_sequence = pending_.front().sequence;
        pending_.pop_front();
      }
      own_.visible_sequence = marks.visible_sequence;
      listener = listener_;
      out = own_;
    }
    if (listener) listener(out);
  }

  std::unique_ptr<Destination> destination_;
  std::unique_ptr<StateStore> store_;
  Capabilities capabilities_;
  std::mutex mutex_;
  std::deque<CommitRecord> pending_;  ///< accepted, not yet stored
  std::optional<Error> failed_;       ///< of the store: no commit after it
  Watermarks inner_;
  Watermarks own_;
  std::function<void(const Watermarks&)> listener_;
};

}  // namespace

std::unique_ptr<Destination> MakeStatefulDestination(std::unique_ptr<Destination> destination,
                                                     std::unique_ptr<StateStore> store) {
  return std::make_unique<StatefulDestination>(std::move(destination), std::move(store));
}

}  // namespace sluice::stores
