/// \file
/// The fold for tables without a key: a multiset of whole rows. Internal to net_change_fold.h.
#pragma once

#include "sluice/change_set.h"
#include "sluice/result.h"

#include "replication/fold_sources.h"
#include "replication/net_change_fold.h"

namespace sluice::replication {

/// Fills inserts and row_deletes.
Status FoldKeyless(const FoldSources& sources, const FoldOptions& options, NetChange* net);

}  // namespace sluice::replication
