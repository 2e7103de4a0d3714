/// \file
/// Is what the source says of a table now the version that is known, a version with columns added,
/// or something that cannot be followed?
///
/// Changes of a type that leave every stored value as it is (a longer varchar, varchar to text) are
/// no change here: the known version goes on.
///
/// Pure.
#pragma once

#include <cstdint>

#include "sluice/result.h"
#include "sluice/schema.h"

#include "pgoutput/messages.h"
#include "types/type_catalog.h"

namespace sluice::replication {

enum class SchemaChange : std::uint8_t {
  kNone,          ///< the same columns, types, identity
  kColumnsAdded,  ///< the known columns, then new ones
};

/// Two complete versions, e.g. the known one and the catalog's.
///
/// Errors: kSchemaConflict SLU-4201, "schema changed: ...", with the command that continues.
Result<SchemaChange> CompareSchema(const TableSchema& known, const TableSchema& now);

/// What a Relation message makes of the known version: its columns and the added ones, whose
/// missing_value only the catalog knows. Under FULL the key stays the known one.
///
/// Errors: those of CompareSchema, and of TypeCatalog::Resolve.
struct FollowedRelation {
  SchemaChange change = SchemaChange::kNone;
  SchemaPtr schema;  ///< `known` itself where nothing changed
};
Result<FollowedRelation> FollowRelation(const SchemaPtr& known, const pgoutput::Relation& relation,
                                        const types::TypeCatalog& catalog);

}  // namespace sluice::replication
