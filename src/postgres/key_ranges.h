/// \file
/// Where a large table is cut for a copy in ranges of its key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/ids.h"
#include "sluice/result.h"

#include "postgres/connection.h"

namespace sluice::postgres {

/// How large a range is to be.
struct RangeSize {
  std::uint64_t bytes = 0;       ///< about this
  std::uint64_t bytes_most = 0;  ///< or up to this, where less would be fewer rows than
  std::uint64_t rows_least = 0;  ///< this
};

/// How many ranges of that size a table has; 0 and 1: it is not to be cut. Pure.
std::uint64_t RangeCount(std::uint64_t bytes, std::uint64_t rows, const RangeSize& size);

/// A table has ranges where its replica identity's index begins with an integer column (int2, int4,
/// int8) along which its rows lie on disk: only then reading a range reads a part of the table. The
/// bounds come from the statistics; a table that was never analyzed, or is too small for two
/// ranges, has none. nullopt: it has none. Runs two short statements, in no transaction.
/// Errors: as Connection::Exec().
Result<std::optional<CopyRanges>> PlanKeyRanges(Connection& connection, RelationId relation,
                                                const RangeSize& size);

/// Bounds of `count` ranges of about as many rows each. `histogram`: ascending values with as many
/// rows between any two neighbours; what came later, up to `max`, is taken to be as dense as they
/// are. May be fewer than were asked for. Pure.
std::vector<std::int64_t> BoundsOf(const std::vector<std::int64_t>& histogram, std::int64_t max,
                                   std::size_t count);

/// SQL that is true for the rows of one range, for CopyStatement::range.
std::string RangeSql(std::string_view column, const CopyRanges& ranges, std::uint32_t index);

}  // namespace sluice::postgres
