/// \file
/// Versions of a table: what lies between two of them, and which one a Relation message means.
///
/// A message has names and types, the catalog has numbers (attnum) as well, but of a later moment.
/// A column is the same one as long as its number is: a renamed one keeps it, one that was dropped
/// and added again has a new one. So a message is placed between the version known last and the
/// catalog read after it: columns of both were there all the time, numbers are given out in order,
/// messages list columns by number. Where more than one assignment of numbers fits, nobody can
/// tell, and the table is copied again (docs/decisions/009-schema-changes.md).
///
/// Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "sluice/result.h"
#include "sluice/schema.h"

#include "pgoutput/messages.h"
#include "types/type_catalog.h"

namespace sluice::replication {

enum class SchemaChange : std::uint8_t {
  kNone,       ///< the same columns under the same names, types, key
  kInPlace,    ///< columns dropped, renamed, added, widened without a rewrite; the key changed
  kCopyAgain,  ///< what older rows read as now is in no stream
};

struct SchemaComparison {
  SchemaChange change = SchemaChange::kNone;
  std::string reason;  ///< kCopyAgain: "its rows were rewritten ..."
};

/// Both from the catalog, or placed; `to` is not the older one.
SchemaComparison CompareVersions(const TableSchema& from, const TableSchema& to);

/// The same names, types and identity, in this order: a message cannot tell the two apart.
bool LooksSame(const TableSchema& a, const TableSchema& b);

/// A type change that leaves every stored value as it is, at the source and here.
bool KeepsValues(const ColumnType& from, const ColumnType& to);

/// What the message says, without numbers. Errors: of TypeCatalog::Resolve.
Result<std::shared_ptr<TableSchema>> DescribedBy(const pgoutput::Relation& relation,
                                                 const types::TypeCatalog& types);

/// The version that `described` means, between `known` and the later `catalog`: one of these two
/// where it is, else one with numbers and the facts of `known`. nullptr: it cannot be told.
SchemaPtr PlaceVersion(const SchemaPtr& known, const SchemaPtr& catalog,
                       const TableSchema& described);

/// A column of a table, a dropped one too, and the transaction that altered it last.
struct ColumnAlteration {
  std::int16_t attnum = 0;
  std::uint32_t altered_by = 0;
};
/// The catalog's version is in force at this place of the stream: every transaction that altered a
/// column since `known` has been passed, as `has_passed` says. `all` comes from one snapshot with
/// that version. False: it is not known.
bool IsInForce(const TableSchema& known, std::span<const ColumnAlteration> all,
               const std::function<bool(std::uint32_t)>& has_passed);

/// kSchemaConflict SLU-4207 "schema changed: REASON": who applies changes copies the table again.
Error CopyAgainError(const std::string& reason);
/// Is copying the table again what heals it?
bool IsHealedByCopy(const Error& error);
/// Of such a one: what was altered locks no table. Transactions that were open then may still bring
/// rows as they were before, so the copy waits for them (rule 10 in docs/positions.md).
bool WaitsForOlderWriters(const Error& error);

}  // namespace sluice::replication
