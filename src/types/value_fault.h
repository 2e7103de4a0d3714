/// \file
/// What can be wrong with one value: small enough to return from the code that runs per cell.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/result.h"

namespace sluice::types {

enum class ValueFault : std::uint8_t {
  kNone,
  kMalformed,       ///< not bytes of this type: kProtocol
  kNotBinary,       ///< the binary form of a type without a codec: kUnsupported
  kNotSent,         ///< text, where the binary form was declared to be kept: kConversion
  kNotUtf8,         ///< misfits from here on: kConversion
  kDecimalSpecial,  ///< NaN or an infinity in a DECIMAL
  kDecimalDigits,   ///< more digits than the column's precision and scale
  kDoubleRange,     ///< a number that no double is near
  kListShape,       ///< an array of several dimensions, or with another lower bound than 1
  kInfiniteInterval,
  kTimeRange,       ///< a date or timestamp beyond what the carrier counts
  kCompositeShape,  ///< not the attributes that the schema has
  kTooLarge,        ///< values of one column beyond 2 GiB in one batch
};

/// A good value that has no exact form here, and that a policy (Column::on_misfit) may let go. Not
/// among them: a composite type that has other attributes now, a batch that is too large.
bool IsMisfit(ValueFault fault);

/// Why a value has no exact form, in a few words with the code: "NaN or infinity has no DECIMAL
/// form (SLU-4104)".
std::string FaultReason(ValueFault fault);

/// The Error of a fault: kind and code by the fault, the column's name in the message, never the
/// value.
Error FaultError(ValueFault fault, std::string_view column, std::string_view type_name);

}  // namespace sluice::types
