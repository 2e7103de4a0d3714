/// \file
/// numeric values as unscaled 128-bit integers at a column's scale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "types/value_fault.h"

namespace sluice::types {

__extension__ using Int128 = __int128;

/// From the binary form. Layout (numeric_send, src/backend/utils/adt/numeric.c):
///   Int16   count of base-10000 digits
///   Int16   weight: the first digit counts 10000^weight
///   Int16   sign: 0, 0x4000 negative, 0xC000 NaN, 0xD000 +infinity, 0xF000 -infinity
///   Int16   digits to show after the point
///   Int16[] digits
/// `out` is untouched where there is a fault.
ValueFault DecodeDecimal(std::span<const std::byte> wire, int precision, int scale, Int128& out);

/// From the text form: sign, digits, point, digits; no exponent, as numeric_out() writes none.
ValueFault ParseDecimal(std::string_view text, int precision, int scale, Int128& out);

}  // namespace sluice::types
