/// \file
/// What became of the partitions of a table between two looks at the catalog. Rows come and go with
/// a partition, or with its file, and no message of the stream tells of them.
///
/// Pure.
#pragma once

#include <string>
#include <string_view>

#include "sluice/ids.h"

namespace sluice::replication {

/// Both are CatalogFacts::files, for a partitioned table entries "OID/FILE/ATTACHED" with a "+"
/// where it was made in its place, an "e" where it has no page yet, a "-" while it is being
/// detached. Why the rows of the table may be others than those that were streamed: a partition was
/// attached, detached, or has another file (TRUNCATE of a partition alone is not streamed, and
/// looks like VACUUM FULL). Empty: they are not, as for a table without partitions. A new partition
/// was empty where CREATE TABLE ... PARTITION OF made it, or it has no page.
std::string PartitionChange(std::string_view from, std::string_view to);

/// The text is that of a table with partitions.
bool HasPartitions(std::string_view files);
/// It names this one.
bool HasPartition(std::string_view files, RelationId partition);

}  // namespace sluice::replication
