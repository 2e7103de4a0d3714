#include "stores/memory_state_store.h"

#include <utility>

#include "stores/fold_record.h"

namespace sluice::stores {

MemoryStateStore::MemoryStateStore(std::shared_ptr<MemoryState> memory)
    : memory_(std::move(memory)) {}

Result<DeliveryState> MemoryStateStore::Open(const OpenRequest& request) {
  const std::scoped_lock lock(memory_->mutex);
  SLUICE_RETURN_IF_ERROR(CheckOwner(memory_->state.birth, request));
  if (!request.read_only) ++memory_->state.epoch;
  epoch_ = memory_->state.epoch;
  return memory_->state;
}

Status MemoryStateStore::StoreBirth(const Birth& birth) {
  const std::scoped_lock lock(memory_->mutex);
  SLUICE_RETURN_IF_ERROR(CheckCommit(memory_->state.epoch, epoch_, std::nullopt, {}));
  memory_->state = DeliveryState{};
  memory_->state.birth = birth;
  memory_->state.epoch = epoch_;
  return {};
}

Status MemoryStateStore::Commit(const CommitRecord& record) {
  const std::scoped_lock lock(memory_->mutex);
  SLUICE_RETURN_IF_ERROR(
      CheckCommit(memory_->state.epoch, epoch_, memory_->state.position, record));
  FoldRecord(memory_->state, record);
  return {};
}

Status MemoryStateStore::Forget() {
  const std::scoped_lock lock(memory_->mutex);
  const std::uint64_t epoch = memory_->state.epoch;
  memory_->state = DeliveryState{};
  memory_->state.epoch = epoch;
  return {};
}

Status MemoryStateStore::Close() {
  return {};
}

}  // namespace sluice::stores
