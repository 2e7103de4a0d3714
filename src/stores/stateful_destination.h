/// \file
/// A destination that holds no state, with a StateStore beside it: to the engine, one that holds
/// it.
///
/// Rows first, then state: a commit is stored when the destination has said that it is durable, so
/// the state never runs ahead of the rows; after a crash in between the same changes come again
/// (commits_atomically is false, except where no rows are kept).
#pragma once

#include <memory>

#include "sluice/destination.h"

#include "stores/state_store.h"

namespace sluice::stores {

std::unique_ptr<Destination> MakeStatefulDestination(std::unique_ptr<Destination> destination,
                                                     std::unique_ptr<StateStore> store);

}  // namespace sluice::stores
