/// \file
/// The rules every state store keeps, pure: whom a store belongs to, and what one commit makes of
/// the state.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/destination.h"
#include "sluice/result.h"

namespace sluice::stores {

/// kConfig SLU-5107: the birth is another pipeline's, or of another source.
Status CheckOwner(const std::optional<Birth>& birth, const OpenRequest& request);

/// kStateStore SLU-5004: `stored_epoch` is not ours. SLU-5105: the position would go back.
Status CheckCommit(std::uint64_t stored_epoch, std::uint64_t our_epoch,
                   const std::optional<Position>& stored, const CommitRecord& record);

/// `state` after `record`, which has passed CheckCommit().
void FoldRecord(DeliveryState& state, const CommitRecord& record);

}  // namespace sluice::stores
