/// \file
/// Schemas and Arrow rows from plain text, for tests of destinations.
///
///   const auto schema = MakeSchema(16384, {"public", "orders"}, {{"id", Carrier::kInt64, kKey},
///                                                                 {"note", Carrier::kText}});
///   const RowsPtr rows = MakeRows(*schema, {{"1", "a"}, {"2", kNull}});
///
/// Cells are written as in destinations/memory/cell_text.h. A text that is not of the column's type
/// aborts: it is the test that is wrong.
#pragma once

#include <string>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/schema.h"

#include "destinations/memory/cell_text.h"

namespace sluice::testing {

using memory::Cell;
using memory::TextRow;

inline constexpr std::nullopt_t kNull = std::nullopt;
inline constexpr bool kKey = true;

struct ColumnSpec {
  std::string name;
  Carrier carrier = Carrier::kText;
  bool is_key = false;
};

/// A type with a plausible oid and name for the carrier; kDecimal is numeric(20,4), kList text[],
/// kStruct (a int4, b text).
ColumnType TypeOf(Carrier carrier);

SchemaPtr MakeSchema(std::uint32_t relation, TableName name, const std::vector<ColumnSpec>& columns,
                     ReplicaIdentity identity = ReplicaIdentity::kDefault);

/// All columns.
RowsPtr MakeRows(const TableSchema& schema, const std::vector<TextRow>& rows);
/// Only the columns with these indexes, in this order: keys, old tuples.
RowsPtr MakeRows(const TableSchema& schema, const std::vector<std::int32_t>& columns,
                 const std::vector<TextRow>& rows);

/// Rows of a batch as text; `columns` as in MakeRows().
std::vector<TextRow> TextOf(const TableSchema& schema, const RowsPtr& rows);
std::vector<TextRow> TextOf(const TableSchema& schema, const std::vector<std::int32_t>& columns,
                            const RowsPtr& rows);

}  // namespace sluice::testing
