/// \file
/// What the catalog knows of a table beside its columns, and no stream message carries: whether it
/// was rewritten, which columns were altered, what the labels of its enums are.
///
/// A column that is altered in any way gets a new row in pg_attribute (its xmin); a table whose
/// rows are written anew gets a new file (relfilenode). VACUUM FULL, CLUSTER and TRUNCATE change
/// the file and no column; ALTER TABLE changes the file only together with a column
/// (docs/decisions/009-schema-changes.md).
///
/// A partitioned table has no file. CatalogFacts::files has an entry "OID/FILE/ATTACHED" for each
/// of its partitions, of every level, separated by blanks: ATTACHED is the transaction that
/// attached it, with "+" where it was made in its place and so was empty, "e" where it has no
/// page yet, "-" while it is being detached.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/ids.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "postgres/connection.h"

namespace sluice::postgres {

/// CatalogFacts::stamp of each relation that still exists, in one query. The same text as before:
/// nothing about the table was altered. Errors: as Connection::Exec().
Result<std::map<RelationId, std::string>> ReadTableStamps(Connection& connection,
                                                          std::span<const RelationId> relations,
                                                          std::string_view publication);

/// All of them, for one relation that exists. Inside one snapshot with the columns they belong to.
Result<CatalogFacts> ReadTableFacts(Connection& connection, RelationId relation,
                                    std::string_view publication);

/// A row of pg_attribute, of a dropped column too, and which transaction wrote it (its xmin): one
/// of a savepoint has a number of its own.
struct ColumnWrite {
  std::int16_t attnum = 0;
  std::uint32_t written_by = 0;
};
Result<std::vector<ColumnWrite>> ReadColumnWrites(Connection& connection, RelationId relation);

/// Pages of a table's file now; 0 where it is no heap with a file of its own.
Result<std::uint64_t> ReadHeapPages(Connection& connection, RelationId relation);

}  // namespace sluice::postgres
