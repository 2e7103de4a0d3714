/// \file
/// DuckDB chunks back into Arrow, in the carriers they were written from: the exact inverse of
/// chunk_writer.h.
#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "destinations/duckdb/handles.h"

namespace sluice::duckdb {

/// The chunk's rows, copied. `columns`: of the chunk, in order; their DuckDB types were checked by
/// IsSameType(). `schema`: ArrowSchema(columns).
Result<RowsPtr> ReadChunk(duckdb_data_chunk chunk, const std::vector<const Column*>& columns,
                          const std::shared_ptr<arrow::Schema>& schema);

std::shared_ptr<arrow::Schema> ArrowSchema(const std::vector<const Column*>& columns);

}  // namespace sluice::duckdb
