/// \file
/// Columns that a user excluded (`columns: {exclude: ...}`): a table as the source has it, and as
/// it is kept.
///
/// A name excludes a column once. From then on it is its number that is excluded, whatever the
/// column or its table is called later: a renamed secret stays one. Only an explicit resync under a
/// configuration that does not exclude it any more brings it back (WithoutReleased()).
///
/// Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sluice/result.h"
#include "sluice/schema.h"

#include "types/table_rules.h"

namespace sluice::types {

/// A table that is only appended to has no identity: rows are added, and none is ever found again.
void ForgetIdentity(TableSchema& schema);
inline bool IsAppend(const TableSchema& schema) {
  return schema.identity == ReplicaIdentity::kNothing;
}

/// `full` without what `rules` or `known` exclude; the same pointer where that is nothing.
/// \param known what was excluded of this table before, if anything.
/// Errors: kUnsupported SLU-4124 (a key column), SLU-4125 (no such column, and there was none).
Result<SchemaPtr> HideColumns(const SchemaPtr& full, const TableRules& rules,
                              std::span<const HiddenColumn> known);

/// All columns the source had, in the order of their numbers. The same pointer where none is
/// hidden.
SchemaPtr WithHidden(const SchemaPtr& schema);

/// A version as the stream sends it, and what is kept of it.
struct KeptColumns {
  SchemaPtr schema;
  /// Indexes of the kept columns in the version that was given; empty: all are kept.
  std::vector<std::uint32_t> cells;
};
/// \param full a version whose columns have their numbers.
/// Errors: kUnsupported SLU-4124.
Result<KeptColumns> KeepColumns(const SchemaPtr& full, std::span<const HiddenColumn> hidden);

/// A column is kept that the rules exclude now.
bool KeepsExcluded(const TableSchema& schema, const TableRules& rules);
/// Of what is hidden, what the rules still exclude.
std::vector<HiddenColumn> WithoutReleased(std::span<const HiddenColumn> hidden,
                                          const TableRules& rules);

}  // namespace sluice::types
