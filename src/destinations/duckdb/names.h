/// \file
/// Identifiers and literals in DuckDB's SQL, and which names a mirrored table may not have.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sluice/ids.h"
#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::duckdb {

/// The name the file is attached under.
inline constexpr std::string_view kCatalog = "_sluice_file";

/// `"a""b"`: always quoted.
std::string QuoteIdentifier(std::string_view name);
/// `'it''s'`
std::string QuoteLiteral(std::string_view text);
/// `"_sluice_file"."schema"."table"`
std::string QualifiedName(const TableName& name);
/// `"_sluice_file"."schema"`
std::string QualifiedSchema(std::string_view schema);

/// What DuckDB compares names by: ASCII letters in lower case, other bytes as they are.
std::string FoldName(std::string_view name);

/// It hides DuckDB's own number of a row.
bool HasRowIdColumn(const TableSchema& schema);
/// Two names that are one table for DuckDB have the same key.
std::string FoldKey(const TableName& name);

/// The shadow a table is copied into: `_sluice_copy_<oid>`.
inline constexpr std::string_view kShadowPrefix = "_sluice_copy_";
std::string ShadowName(RelationId relation);
/// The one that it is copied into in ranges, landed ones among them: `_sluice_ranges_<oid>`.
inline constexpr std::string_view kRangesPrefix = "_sluice_ranges_";
std::string RangesName(RelationId relation);

/// Why a table of this shape cannot have this name here, whatever the file holds; nullopt: it can.
std::optional<Error> CheckNames(const TableSchema& schema, const TableName& destination);

}  // namespace sluice::duckdb
