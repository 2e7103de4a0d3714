#include <utility>

#include "destinations/doubles/doubles.h"

namespace sluice::doubles {

Decorator::Decorator(std::unique_ptr<Destination> inner)
    : capabilities_(inner->capabilities()), inner_(std::move(inner)) {}
Decorator::~Decorator() = default;

Result<DeliveryState> Decorator::Open(const OpenRequest& request) {
  return inner_->Open(request);
}
Status Decorator::StoreBirth(const Birth& birth) {
  return inner_->StoreBirth(birth);
}
Result<std::optional<Error>> Decorator::CheckTable(const TableSchema& schema,
                                                   const TableName& destination, TableMode mode,
                                                   bool adopt) {
  return inner_->CheckTable(schema, destination, mode, adopt);
}
Result<std::unique_ptr<CopyWriter>> Decorator::OpenCopy(const CopyTarget& target) {
  return inner_->OpenCopy(target);
}
Status Decorator::DiscardCopy(UnitId unit) {
  return inner_->DiscardCopy(unit);
}
Result<StageOutcome> Decorator::Stage(const SequenceItem& item) {
  return inner_->Stage(item);
}
Result<CommitOutcome> Decorator::Commit(const CommitRecord& record) {
  return inner_->Commit(record);
}
void Decorator::Abandon() {
  inner_->Abandon();
}
void Decorator::Interrupt() {
  inner_->Interrupt();
}
void Decorator::OnWatermark(std::function<void(const Watermarks&)> listener) {
  inner_->OnWatermark(std::move(listener));
}
Status Decorator::Maintain(Clock::time_point deadline) {
  return inner_->Maintain(deadline);
}
Result<std::unique_ptr<DestinationReader>> Decorator::OpenReader() {
  return inner_->OpenReader();
}
Status Decorator::Forget() {
  return inner_->Forget();
}
Status Decorator::Close(Clock::time_point deadline) {
  return inner_->Close(deadline);
}

}  // namespace sluice::doubles
