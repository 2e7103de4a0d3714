/// \file
/// An ordinary MVCC snapshot of the source, and which transactions it sees.
///
/// Source: PostgreSQL docs, "Transaction ID and Snapshot Information Functions", pg_snapshot.
/// docs/positions.md, section 5, says why visibility, and not an LSN, decides between copy and
/// stream.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sluice/ids.h"
#include "sluice/lsn.h"
#include "sluice/result.h"

namespace sluice::replication {

/// Value of pg_current_snapshot(). 64-bit ids: they never wrap.
struct Snapshot {
  std::uint64_t xmin = 0;            ///< lowest id that was still running
  std::uint64_t xmax = 0;            ///< one past the highest *completed* id
  std::vector<std::uint64_t> xip{};  ///< running ids in [xmin, xmax), ascending

  /// The 64-bit id with these low 32 bits that is nearest to xmax. Right while the two are less
  /// than 2^31 apart, which the slot's catalog_xmin guarantees.
  std::uint64_t Widen(TransactionId xid) const;

  /// A transaction at or above xmax is not seen although it is not in xip: the newest committer,
  /// not yet out of the list of running ones, stands there.
  bool Sees(TransactionId xid) const { return SeesWide(Widen(xid)); }
  bool SeesWide(std::uint64_t xid) const;

  bool operator==(const Snapshot&) const = default;
};

/// Parse "xmin:xmax:xip,xip,...". Errors: kProtocol, SLU-3020.
Result<Snapshot> ParseSnapshot(std::string_view text);

/// The position that flush and stream reach once everything inserted before `insert_lsn` is in.
///
/// Right after a page was filled the insert position stands behind the next page's header, where no
/// record exists yet; an idle server's flush position stays before that header.
Lsn InsertLsnFloor(Lsn insert_lsn, std::uint64_t wal_segment_bytes);

}  // namespace sluice::replication
