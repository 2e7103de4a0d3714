/// \file
/// What verify reads of one table, from both sides, in the same order.
///
/// Source: TableSchema of the version at the fence. Thread safety: immutable.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "sluice/schema.h"

namespace sluice::verify {

struct ComparedTable {
  SchemaPtr schema;
  std::vector<std::int32_t>
      columns;  ///< indexes into schema->columns, ascending: both sides' SELECT list
  std::vector<ColumnType> types;  ///< one per entry of `columns`
  std::vector<bool> lets_go;      ///< per entry: values without an exact form are NULL
  std::vector<std::size_t>
      key;  ///< positions in `columns`; empty: whole rows are compared as a multiset
  std::vector<std::string> not_compared;  ///< names of the columns left out

  bool is_keyless() const { return key.empty(); }
};

/// Leaves out the columns named in `left_out` (lossy policies, masks). If a key column is among
/// them the rest is compared as a multiset.
ComparedTable MakeComparedTable(SchemaPtr schema, std::span<const std::string> left_out = {});

}  // namespace sluice::verify
