/// \file
/// Is what the source says of a table now the version that is known, a version with columns added,
/// or something that cannot be followed?
#pragma once

#include <cstdint>
#include <string>

#include "sluice/result.h"
#include "sluice/schema.h"

#include "pgoutput/messages.h"

namespace sluice::replication {

enum class SchemaChange : std::uint8_t {
  kNone,          ///< same columns, types, key
  kColumnsAdded,  ///< the known columns, then new ones
};

/// A Relation message against the known version. Types are compared by oid and typmod as the
/// message carries them; where a column is of a domain, `known` holds the base type, so the caller
/// passes declared oids through the catalog first (DeclaredTypes).
///
/// Errors: kSchemaConflict SLU-4201, "schema changed: ...", with the command that continues.
Result<SchemaChange> CompareRelation(const TableSchema& known, const pgoutput::Relation& relation);

/// Two complete versions, e.g. the catalog's and the known one. Errors: as above.
Result<SchemaChange> CompareSchema(const TableSchema& known, const TableSchema& now);

}  // namespace sluice::replication
