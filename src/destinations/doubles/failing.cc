// Failing and Slow: both act before a call of one method goes on.
#include <atomic>
#include <optional>
#include <utility>

#include "destinations/doubles/doubles.h"

namespace sluice::doubles {
namespace {

/// Decides about each call; shared with copy writers, which run on other threads.
class Gate {
 public:
  explicit Gate(Failure failure) : failure_(std::move(failure)) {}
  Gate(Method method, std::function<void()> wait) : wait_(std::move(wait)) {
    failure_.method = method;
    failure_.times = 0;
  }

  /// The failure for this call; nullptr: go on.
  const Failure* Enter(Method method) {
    if (method != failure_.method) return nullptr;
    if (wait_) wait_();
    const std::uint64_t call = ++calls_;
    const bool fails = call >= failure_.call && call - failure_.call < failure_.times;
    return fails ? &failure_ : nullptr;
  }

 private:
  Failure failure_;
  std::function<void()> wait_;
  std::atomic<std::uint64_t> calls_{0};
};

class GatedWriter final : public CopyWriter {
 public:
  GatedWriter(std::unique_ptr<CopyWriter> inner, std::shared_ptr<Gate> gate)
      : inner_(std::move(inner)), gate_(std::move(gate)) {}

  Status Append(const CopiedRows& copied) override {
    if (const Failure* failure = gate_->Enter(Method::kAppend)) return failure->error;
    return inner_->Append(copied);
  }
  Status Finish() override {
    if (const Failure* failure = gate_->Enter(Method::kFinishCopy)) return failure->error;
    return inner_->Finish();
  }

 private:
  std::unique_ptr<CopyWriter> inner_;
  std::shared_ptr<Gate> gate_;
};

RelationId RelationOf(const SequenceItem& item) {
  struct Visitor {
    RelationId operator()(const LogRows& rows) const { return rows.batch->schema->relation; }
    RelationId operator()(const NetRows& rows) const { return rows.change->schema->relation; }
    RelationId operator()(const HistoryRows& rows) const { return rows.change->schema->relation; }
    RelationId operator()(const TruncateTable& truncate) const { return truncate.relation; }
    RelationId operator()(const AlterTable& alter) const { return alter.to->relation; }
    RelationId operator()(const LandUnit& land) const { return land.unit.relation; }
    RelationId operator()(const DropTable& drop) const { return drop.relation; }
  };
  return std::visit(Visitor{}, item);
}

class Gated final : public Decorator {
 public:
  Gated(std::unique_ptr<Destination> inner, std::shared_ptr<Gate> gate)
      : Decorator(std::move(inner)), gate_(std::move(gate)) {}

  Result<DeliveryState> Open(const OpenRequest& request) override {
    if (const Failure* failure = gate_->Enter(Method::kOpen)) return failure->error;
    return Decorator::Open(request);
  }
  Status StoreBirth(const Birth& birth) override {
    if (const Failure* failure = gate_->Enter(Method::kStoreBirth)) return failure->error;
    return Decorator::StoreBirth(birth);
  }
  Result<std::unique_ptr<CopyWriter>> OpenCopy(const CopyTarget& target) override {
    if (const Failure* failure = gate_->Enter(Method::kOpenCopy)) return failure->error;
    SLUICE_ASSIGN_OR_RETURN(auto writer, Decorator::OpenCopy(target));
    return std::unique_ptr<CopyWriter>(std::make_unique<GatedWriter>(std::move(writer), gate_));
  }
  Result<StageOutcome> Stage(const SequenceItem& item) override {
    if (const Failure* failure = gate_->Enter(Method::kStage)) {
      if (!failure->table_only) return failure->error;
      return StageOutcome{TableFailed{RelationOf(item), failure->error}};
    }
    return Decorator::Stage(item);
  }
  Result<CommitOutcome> Commit(const CommitRecord& record) override {
    const Failure* failure = gate_->Enter(Method::kCommit);
    if (failure == nullptr) return Decorator::Commit(record);
    if (!failure->unknown) return failure->error;
    if (failure->applied) {
      SLUICE_RETURN_IF_ERROR(Decorator::Commit(record));
    } else {
      Decorator::Abandon();
    }
    return CommitOutcome::kUnknown;
  }
  Result<std::unique_ptr<DestinationReader>> OpenReader() override {
    if (const Failure* failure = gate_->Enter(Method::kOpenReader)) return failure->error;
    return Decorator::OpenReader();
  }
  Status Close(Clock::time_point deadline) override {
    if (const Failure* failure = gate_->Enter(Method::kClose)) return failure->error;
    return Decorator::Close(deadline);
  }

 private:
  std::shared_ptr<Gate> gate_;
};

}  // namespace

std::unique_ptr<Destination> MakeFailing(std::unique_ptr<Destination> inner, Failure failure) {
  return std::make_unique<Gated>(std::move(inner), std::make_shared<Gate>(std::move(failure)));
}

std::unique_ptr<Destination> MakeSlow(std::unique_ptr<Destination> inner, Method method,
                                      std::function<void()> wait) {
  return std::make_unique<Gated>(std::move(inner), std::make_shared<Gate>(method, std::move(wait)));
}

}  // namespace sluice::doubles
