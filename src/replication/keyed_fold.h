/// \file
/// The fold for tables with a key: one entry per row of the table that is touched. Internal to
/// net_change_fold.h.
#pragma once

#include "sluice/change_set.h"
#include "sluice/result.h"

#include "replication/fold_sources.h"
#include "replication/net_change_fold.h"

namespace sluice::replication {

/// Fills deletes, updates and inserts.
Status FoldKeyed(const FoldSources& sources, const FoldOptions& options, NetChange* net);

}  // namespace sluice::replication
