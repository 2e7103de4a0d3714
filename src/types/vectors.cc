#include "types/vectors.h"

#include <bit>

namespace sluice::types {

bool IsVector(const ColumnType& type) {
  return type.carrier == Carrier::kList &&
         (type.codec == kVectorCodec || type.codec == kHalfVectorCodec);
}

std::size_t VectorLength(const ColumnType& type) {
  return type.typmod > 0 ? static_cast<std::size_t>(type.typmod) : 0;
}

std::uint32_t FloatBitsOfHalf(std::uint16_t half) {
  constexpr std::uint32_t kExponentShift = 23 - 10;
  constexpr std::uint32_t kBiasDifference = 127 - 15;
  const std::uint32_t sign = std::uint32_t{half & 0x8000U} << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1FU;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0x1F) return sign | 0x7F800000U | (fraction << kExponentShift);
  if (exponent != 0)
    return sign | ((exponent + kBiasDifference) << 23) | (fraction << kExponentShift);
  if (fraction == 0) return sign;
  // A subnormal half is a normal float: its first set bit becomes the implicit one.
  const auto shift = static_cast<std::uint32_t>(std::countl_zero(fraction)) - 21;
  return sign | ((kBiasDifference + 1 - shift) << 23) |
         (((fraction << shift) & 0x3FFU) << kExponentShift);
}

}  // namespace sluice::types
