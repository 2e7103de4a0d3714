/// \file
/// Schema `sluice` in the file: what users read (position, tables, columns, schema_changes, macro
/// lsn) and what only we read (_birth, _passed, _units, _schemas, _kept, _ranges, _log). Layout:
/// docs/positions.md.
///
/// Everything here is one statement or another inside the caller's transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/destination.h"
#include "sluice/result.h"

#include "destinations/duckdb/connection.h"

namespace sluice::duckdb {

/// Of the tables in schema sluice. Newer ones are refused, older ones will be migrated.
inline constexpr std::int64_t kFormat = 1;

/// A shadow that was made and is not landed; a range that was copied as a whole and is not.
struct StoredUnit {
  UnitId unit;
  TableName shadow;
};

struct StoredState {
  bool exists = false;  ///< false: schema sluice is not there, the rest is empty
  std::string pipeline;
  std::uint64_t system_identifier = 0;
  DeliveryState delivery;
  std::vector<StoredUnit> units;
};

/// Errors: SLU-5009 (newer format), SLU-5013 (schema sluice is somebody else's), SLU-5016.
Result<StoredState> ReadState(Connection& connection);

/// The least that touches the file, whether it has a schema sluice or not.
Status LookAtState(Connection& connection);

/// Makes schema sluice with one position row: the pipeline, epoch 0, no position.
Status CreateState(Connection& connection, const OpenRequest& request);

/// Adds one to the epoch, remembers the source where it is known by now. `checkpoints`: as
/// WriteCheckpoints() has it. Returns the new epoch.
Result<std::uint64_t> TakeEpoch(Connection& connection, const OpenRequest& request,
                                std::uint64_t checkpoints);

/// How many checkpoints the file had had when the log was begun that the caller's transaction goes
/// to: what tells a log from that of a newer file (Database::Open()).
Status WriteCheckpoints(Connection& connection, std::uint64_t checkpoints);
/// 0 where none was ever written.
Result<std::uint64_t> ReadCheckpoints(Connection& connection);

/// Stores the birth and forgets every table, position and list.
Status WriteBirth(Connection& connection, const Birth& birth, std::uint64_t epoch);

/// Replaces the birth and forgets position, witness and P; tables stay.
Status ReplaceBirth(Connection& connection, const Birth& birth, std::uint64_t epoch);

/// Writes, or removes where it says so, the record. `shape_changed`: also what only we
/// read of it, and its columns.
Status WriteTable(Connection& connection, const TableRecord& record, bool shape_changed);

/// One step of a table's shape, as a row of sluice.schema_changes.
Status WriteSchemaChange(Connection& connection, RelationId relation, const TableName& source,
                         const TableName& table, const ShapeChange& change, Lsn lsn);

/// Position, witness and list P of the record, as far as it has them. The compare-and-set of a
/// commit: true where the row still had this epoch.
Result<bool> WritePosition(Connection& connection, const CommitRecord& record, std::uint64_t epoch);

Status AddUnit(Connection& connection, const StoredUnit& unit);
Status RemoveUnit(Connection& connection, UnitId unit);
Result<bool> HasUnit(Connection& connection, UnitId unit);

/// Drops schema sluice and all in it.
Status DropState(Connection& connection);

}  // namespace sluice::duckdb
