/// \file
/// One Arrow cell as canonical text and back, exact in both directions: what the memory destination
/// keeps.
///
///   bool             t, f                    kDate            days since 1970
///   integers         digits                  kTimestamp[Tz]   microseconds since 1970
///   floats           shortest exact digits,  kTime            microseconds since midnight
///                    -0, NaN, NaN:<bits>     kInterval        <months> mon <days> d <micros> us
///   kDecimal         with all digits of the  kUuid            8-4-4-4-12 hex digits
///                    scale                   kBytes           \x and hex digits
///   kText, kJson     as it is                kList            ["a","b",null]
///   kStruct          ("a",null)              kMap             [("k","v"),("k2",null)]
///
/// Two cells are equal exactly when their texts are. Pure.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::memory {

/// nullopt: NULL.
using Cell = std::optional<std::string>;
using TextRow = std::vector<Cell>;

/// The Arrow type of a carrier as in sluice/schema.h.
std::shared_ptr<arrow::DataType> ArrowTypeOf(const ColumnType& type);

/// `array` must have ArrowTypeOf(type); a different one reads as kInternal.
Result<Cell> CellText(const arrow::Array& array, std::int64_t row, const ColumnType& type);

/// kConversion: a text that is not of this type.
Result<std::shared_ptr<arrow::Array>> ArrayFromText(const ColumnType& type,
                                                    const std::vector<Cell>& cells);

/// One string for several cells, such that equal strings mean equal cells. For keys of maps.
std::string EncodeCells(const TextRow& cells);

}  // namespace sluice::memory
