/// \file
/// Small facts about columns that no stream message carries: numbers, and defaults that rewrote a
/// table.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sluice/ids.h"
#include "sluice/result.h"

#include "postgres/connection.h"

namespace sluice::postgres {

/// pg_attribute.attnum by column name. A column dropped and added again keeps its name, not its
/// number.
using ColumnNumbers = std::map<std::string, std::int16_t>;

/// For each relation that still exists. Errors: as Connection::Exec().
Result<std::map<RelationId, ColumnNumbers>> ReadColumnNumbers(
    Connection& connection, std::span<const RelationId> relations);

/// Columns with a default or an identity sequence and no stored missing value: rows that were there
/// when they were added may have been given values of their own, by a rewrite that no stream
/// message tells of.
Result<std::vector<std::string>> ReadComputedDefaults(Connection& connection, RelationId relation);

}  // namespace sluice::postgres
