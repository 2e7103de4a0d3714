/// \file
/// One Arrow column taken apart: raw pointers for hashing, comparing and copying single cells.
///
/// Lifetime: points into the array; keep that alive. Offsets of sliced arrays are already in.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace sluice::replication {

/// Memory layout, which is all that copying and comparing depend on.
enum class CellLayout : std::uint8_t {
  kAbsent,  ///< no column
  kBits,    ///< bool
  kFixed,   ///< `width` bytes
  kFloat,   ///< 4 bytes
  kDouble,  ///< 8 bytes
  kBytes,   ///< 32-bit offsets and bytes
  kList,    ///< 32-bit offsets and one child; also maps
  kStruct,
};

/// nullopt: no carrier has this type.
std::optional<CellLayout> LayoutOf(const arrow::DataType& type);

struct ColumnView {
  CellLayout layout = CellLayout::kAbsent;
  std::uint32_t width = 0;                 ///< kFixed, kFloat, kDouble
  std::int64_t offset = 0;                 ///< for validity, bits, and a struct's children
  const std::uint8_t* validity = nullptr;  ///< null: no NULLs
  const std::uint8_t* values = nullptr;    ///< kFixed...: of row 0; kBits, kBytes: of the buffer
  const std::int32_t* offsets = nullptr;   ///< of row 0
  const arrow::ArrayData* data = nullptr;

  bool IsNull(std::uint32_t row) const {
    const std::int64_t at = offset + row;
    return validity != nullptr && ((validity[at / 8] >> (at % 8)) & 1) == 0;
  }
  bool Bit(std::uint32_t row) const {
    const std::int64_t at = offset + row;
    return ((values[at / 8] >> (at % 8)) & 1) != 0;
  }
};

/// `data` may be null. A type without carrier is absent too.
ColumnView ViewOf(const arrow::ArrayData* data);

/// When are two cells the same?
enum class CellEquality : std::uint8_t {
  kKey,    ///< as a destination's `=` on keys: 0.0 is -0.0, every NaN is every other
  kExact,  ///< the same bits
};

/// NULL is the same as NULL. Both columns have one type.
bool SameCell(const ColumnView& a, std::uint32_t row_a, const ColumnView& b, std::uint32_t row_b,
              CellEquality equality);
/// Equal cells have equal hashes.
std::uint64_t HashCell(const ColumnView& column, std::uint32_t row, std::uint64_t seed,
                       CellEquality equality);

}  // namespace sluice::replication
