/// \file
/// Values as PostgreSQL prints them, from their bytes on the wire: of one that has no other form
/// here, and of the key of a row that is not there.
#pragma once

#include <optional>
#include <string>

#include "sluice/schema.h"

#include "pgoutput/tuple.h"

namespace sluice::columnar {

/// A value that is sent, whole. Bytes that are not UTF-8: \x and hexadecimal digits. nullopt: a
/// type without a text form here, or bytes that are not of it.
std::optional<std::string> ExactText(const ColumnType& type, const pgoutput::TupleCell& cell);

/// "(id, kind)=(7, blue)". `row`: one cell per schema column; a key cell that it lacks is taken
/// from `old`, which may be empty. Long values are cut. Empty for tables without a key.
std::string RowKeyText(const TableSchema& schema, pgoutput::TupleView row, pgoutput::TupleView old);

}  // namespace sluice::columnar
