/// \file
/// From Carrier to Arrow's types: the one place that spells the table in sluice/schema.h as code.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "sluice/schema.h"

namespace sluice::types {

/// Lists have the child field "item", maps "key" and "value", structs their attributes' names.
std::shared_ptr<arrow::DataType> ArrowType(const ColumnType& type);

/// All columns, in order, all nullable. Field metadata: "sluice.oid", "sluice.typmod" (decimal
/// numbers).
std::shared_ptr<arrow::Schema> ArrowSchema(const TableSchema& schema);
/// The columns at these indexes of schema.columns (old tuples, keys).
std::shared_ptr<arrow::Schema> ArrowSchema(const TableSchema& schema,
                                           const std::vector<std::int32_t>& columns);

}  // namespace sluice::types
