/// \file
/// The vectors of pgvector, vector(n) and halfvec(n): lists of floats (kList) that hold no NULL,
/// all of one length where the column declares one.
///
///   vector_send()     Int16 dimensions, Int16 0, then a Float32 each
///   halfvec_send()    the same with floats of 16 bits
///   text              [1,2.5,-3]
///
/// Pure. Thread safety: free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sluice/schema.h"

namespace sluice::types {

inline constexpr std::string_view kVectorCodec = "vector";
inline constexpr std::string_view kHalfVectorCodec = "halfvec";

/// A vector or halfvec that is kept as a list.
bool IsVector(const ColumnType& type);

/// How many floats each value of an IsVector() type has; 0: any number.
std::size_t VectorLength(const ColumnType& type);

/// The bits of the float that equals a float of 16 bits (IEEE 754 binary16): every one has one.
std::uint32_t FloatBitsOfHalf(std::uint16_t half);

}  // namespace sluice::types
