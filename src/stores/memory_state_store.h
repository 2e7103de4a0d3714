/// \file
/// A state store for tests and the library: keeps its state in an object that outlives it.
#pragma once

#include <memory>
#include <mutex>

#include "stores/state_store.h"

namespace sluice::stores {

/// The "disk" of memory state stores. Thread safe.
struct MemoryState {
  std::mutex mutex;
  DeliveryState state;
};

class MemoryStateStore final : public StateStore {
 public:
  explicit MemoryStateStore(std::shared_ptr<MemoryState> memory);

  Result<DeliveryState> Open(const OpenRequest& request) override;
  Status StoreBirth(const Birth& birth) override;
  Status Commit(const CommitRecord& record) override;
  Status Forget() override;
  Status Close() override;

 private:
  std::shared_ptr<MemoryState> memory_;
  std::uint64_t epoch_ = 0;
};

}  // namespace sluice::stores
