/// \file
/// Carriers (sluice/schema.h) as DuckDB types.
///
///   kBool BOOLEAN         kDecimal DECIMAL(p,s)          kUuid UUID
///   kInt16 SMALLINT       kText VARCHAR                  kJson JSON (VARCHAR under another name)
///   kInt32 INTEGER        kBytes BLOB                    kList T[]
///   kInt64 BIGINT         kDate DATE                     kStruct STRUCT(...)
///   kUInt32 UINTEGER      kTimestamp TIMESTAMP           kMap MAP(VARCHAR, VARCHAR)
///   kFloat32 FLOAT        kTimestampTz TIMESTAMP WITH TIME ZONE
///   kFloat64 DOUBLE       kTime TIME                     kInterval INTERVAL
#pragma once

#include <arrow/type_fwd.h>

#include <string>

#include "sluice/schema.h"

#include "destinations/duckdb/handles.h"

namespace sluice::duckdb {

/// The type as SQL: `DECIMAL(10,2)[]`.
std::string SqlType(const ColumnType& type);

/// A column of this DuckDB type holds exactly the values of `type`, in the layout that
/// chunk_writer.h and chunk_reader.h use.
bool IsSameType(const ColumnType& type, duckdb_logical_type actual);

/// `actual` is what types::ArrowType(type) says, apart from the names of nested fields.
bool IsCarriedAs(const ColumnType& type, const arrow::DataType& actual);

}  // namespace sluice::duckdb
