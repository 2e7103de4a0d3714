/// \file
/// sluice.quarantine: the exact texts of values that have no form here and became NULL (columns
/// whose policy is OnMisfit::kQuarantine). It mirrors the present: one entry per table, row and
/// column for which that is so now.
///
/// A row is found by its key as a JSON object, {"id": 7}. In a table without a key it is the whole
/// row, with the texts of what was let go; rows that are the same have an entry each.
///
/// Thread safety: the connection's.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "sluice/change_set.h"
#include "sluice/ids.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "destinations/duckdb/connection.h"

namespace sluice::duckdb {

/// Whose values they are.
struct QuarantineOwner {
  RelationId relation;
  TableName source;
  TableName destination;
};

/// Makes its tables where they are not there yet.
std::string CreateQuarantineSql();

Result<std::set<RelationId>> ReadQuarantined(Connection& connection);

/// Brings the entries to what they are after `change`. `has_entries`: the table may have some; a
/// table without any costs nothing.
Status ApplyQuarantine(Connection& connection, const QuarantineOwner& owner,
                       const NetChange& change, bool has_entries);

/// Columns of the table were renamed or dropped.
Status AlterQuarantine(Connection& connection, const TableSchema& from, const TableSchema& to);

/// Entries name rows by their key: where that has other columns, or a table without a key has, they
/// cannot be followed.
bool FindsRowsAlike(const TableSchema& a, const TableSchema& b);

/// Of copied rows, until their unit lands or is given up.
Status QuarantineCopied(Connection& connection, UnitId unit, const TableSchema& schema,
                        const CopiedRows& copied);
/// What was copied replaces the table's entries. True: there are some.
Result<bool> LandQuarantine(Connection& connection, UnitId unit, const QuarantineOwner& owner,
                            Lsn copied_at);
std::string ForgetCopiedSql(UnitId unit);
std::string ForgetQuarantineSql(RelationId relation);

}  // namespace sluice::duckdb
