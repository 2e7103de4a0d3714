/// \file
/// Carriers (sluice/schema.h) as DuckDB types.
///
///   kBool BOOLEAN         kDecimal DECIMAL(p,s)          kUuid UUID
///   kInt16 SMALLINT       kText VARCHAR                  kJson JSON (VARCHAR under another name)
///   kInt32 INTEGER        kBytes BLOB                    kList T[]; FLOAT[n] for a vector(n)
///   kInt64 BIGINT         kDate DATE                     kStruct STRUCT(...)
///   kUInt32 UINTEGER      kTimestamp TIMESTAMP           kMap MAP(VARCHAR, VARCHAR)
///   kFloat32 FLOAT        kTimestampTz TIMESTAMP WITH TIME ZONE
///   kFloat64 DOUBLE       kTime TIME                     kInterval INTERVAL
#pragma once

#include <arrow/type_fwd.h>

#include <cstddef>
#include <string>

#include "sluice/schema.h"

#include "destinations/duckdb/handles.h"

namespace sluice::duckdb {

/// The type as SQL: `DECIMAL(10,2)[]`.
std::string SqlType(const ColumnType& type);

/// How many elements every value has where the type is an ARRAY at DuckDB; 0: it is not.
std::size_t ArrayLength(const ColumnType& type);

/// A vector(n) became a vector of any length: an ARRAY becomes a LIST, which holds what it held.
bool LosesLength(const ColumnType& from, const ColumnType& to);

/// A column of this DuckDB type holds exactly the values of `type`, in the layout that
/// chunk_writer.h and chunk_reader.h use.
bool IsSameType(const ColumnType& type, duckdb_logical_type actual);

/// `actual` is what types::ArrowType(type) says, apart from the names of nested fields.
bool IsCarriedAs(const ColumnType& type, const arrow::DataType& actual);

}  // namespace sluice::duckdb
