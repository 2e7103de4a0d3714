/// \file
/// Schemas, tables and lists of a delivery state as JSON text, for stores that keep text. Pure.
///
/// Reading is strict about what is needed and ignores keys it does not know.
#pragma once

#include <string>
#include <string_view>

#include "sluice/delivery_state.h"
#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::stores {

std::string SchemaToJson(const TableSchema& schema);
/// kStateStore SLU-5101: not such a text.
Result<SchemaPtr> SchemaFromJson(std::string_view json);

std::string PassedToJson(const PassedList& passed);
Result<PassedList> PassedFromJson(std::string_view json);

std::string BirthToJson(const Birth& birth);
Result<Birth> BirthFromJson(std::string_view json);

std::string PositionToJson(const Position& position);
Result<Position> PositionFromJson(std::string_view json);

/// Whole, with its schema.
std::string TableToJson(const TableRecord& table);
Result<TableRecord> TableFromJson(std::string_view json);

}  // namespace sluice::stores
