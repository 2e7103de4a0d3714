/// \file
/// What the source's catalog says: types, tables with what decides whether they can be replicated,
/// and the schema of one table as the stream will carry it. Versions 14 to 18.
///
/// Every function takes a connection that may be inside a transaction: LoadTableSchema() under a
/// copy's snapshot reads the shape of that snapshot.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sluice/ids.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "postgres/connection.h"
#include "types/type_catalog.h"

namespace sluice::postgres {

/// Every type of the database that is not a fixed built-in, with composites' attributes.
Result<types::TypeCatalog> LoadTypeCatalog(Connection& connection);

/// pg_class.relkind of what could be named, partitions apart.
enum class TableKind : std::uint8_t {
  kOrdinary,
  kPartitionedRoot,
  kPartition,  ///< leaf or sub-root of a partitioned table
  kView,
  kMaterializedView,
  kForeign,
};

/// Whether an UPDATE or DELETE of a published table would work at the source (T40).
enum class IdentityState : std::uint8_t {
  kUsable,
  kMissing,  ///< no primary key, REPLICA IDENTITY DEFAULT
  kNothing,  ///< REPLICA IDENTITY NOTHING
  kBroken,   ///< its index is gone, invalid, partial, deferrable, or over a nullable column
  kStored,   ///< a stored generated column is in it: good only where that is published (18)
  kVirtual,  ///< a virtual one, which is never published
};

struct SourceTable {
  RelationId relation;
  TableName name;
  TableKind kind = TableKind::kOrdinary;
  RelationId parent;            ///< of a partition; one that is being detached still has it
  bool is_partitioned = false;  ///< root or sub-root
  char persistence = 'p';       ///< p permanent, u unlogged, t temporary
  ReplicaIdentity identity = ReplicaIdentity::kDefault;
  IdentityState identity_state = IdentityState::kUsable;
  bool has_primary_key = false;
  bool is_in_extension = false;
  bool is_ours_to_alter = false;  ///< our role owns it, directly or by membership
  bool may_select = false;
  bool has_row_security = false;          ///< enabled, and it applies to our role
  std::int64_t row_estimate = -1;         ///< pg_class.reltuples, leaves summed; -1: never analysed
  std::int64_t size_bytes = 0;            ///< heap and TOAST, leaves summed
  std::vector<std::string> column_names;  ///< without generated ones

  bool is_permanent() const { return persistence == 'p'; }
};

/// Where ListTables() takes sizes from.
enum class TableSizes : std::uint8_t {
  kExact,   ///< the file system; takes a short lock on every table
  kCounted  ///< what the last VACUUM or ANALYZE counted; takes none
};

/// Every table, view and foreign table outside system schemas; partitions too, by their kind.
Result<std::vector<SourceTable>> ListTables(Connection& connection,
                                            TableSizes sizes = TableSizes::kExact);

/// One value that changes with whatever ListTables() says (but for counts of rows and bytes) and
/// with what `publication` holds. Computed by the server, takes no lock: for looks every few
/// seconds.
Result<std::string> ReadTablesFingerprint(Connection& connection, std::string_view publication);

/// How a table is read and streamed: its columns and, through a publication, its row filter.
struct LoadedTable {
  SchemaPtr schema;
  /// SQL of the publication's row filters, joined by OR; empty: every row.
  std::string row_filter;
  bool is_partitioned = false;          ///< read without ONLY
  std::uint32_t publication_entry = 0;  ///< pg_publication_rel.oid; 0: not by FOR TABLE
};

/// The schema of `relation` as it is streamed through `publication` (its column list, without
/// generated columns unless it publishes them). `since` is left 0: the caller sets the insert LSN
/// read with it.
///
/// Columns that types.rules() excludes are among TableSchema::hidden.
///
/// \param publication empty: every column that is not generated.
/// \param known what was excluded of this table before (types/hidden_columns.h).
/// Errors: kConfig SLU-2103 (no such table), kUnsupported (a type that nests too deeply, SLU-4124
/// and SLU-4125: what is excluded cannot be).
Result<LoadedTable> LoadTableSchema(Connection& connection, const types::TypeCatalog& types,
                                    RelationId relation, std::string_view publication,
                                    std::span<const HiddenColumn> known = {});

/// pg_class.relfilenode of a table, 0 for a partitioned one: changes on a rewrite.
Result<std::uint32_t> ReadFileNode(Connection& connection, RelationId relation);

/// The leaves of a partitioned table as the current snapshot sees them; for another table itself.
Result<std::vector<RelationId>> ReadLeaves(Connection& connection, RelationId relation);

}  // namespace sluice::postgres
