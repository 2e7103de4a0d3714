/// \file
/// Where the delivery state lives when the destination cannot hold it.
///
///   Open -> (StoreBirth)? -> Commit* -> Close
///
/// Every change is durable at return. Errors are kStateStore, or kConfig where a person must choose
/// another file. Thread safety: one object, one thread at a time.
#pragma once

#include "sluice/delivery_state.h"
#include "sluice/destination.h"
#include "sluice/result.h"

namespace sluice::stores {

class StateStore {
 public:
  virtual ~StateStore() = default;
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  /// Reads the state and takes the next epoch unless read-only; read-only, a store that does not
  /// exist yet reads as empty and is not made. kConfig: it belongs to another pipeline or another
  /// source.
  virtual Result<DeliveryState> Open(const OpenRequest& request) = 0;
  /// Stores the intent; forgets every table, position and list of an earlier birth.
  virtual Status StoreBirth(const Birth& birth) = 0;
  /// All of `record` or nothing. SLU-5004: a newer epoch exists. SLU-5105: the position would go
  /// back.
  virtual Status Commit(const CommitRecord& record) = 0;
  /// Removes everything it keeps of the pipeline.
  virtual Status Forget() = 0;
  /// Safe to call twice.
  virtual Status Close() = 0;

 protected:
  StateStore() = default;
};

}  // namespace sluice::stores
