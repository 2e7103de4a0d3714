/// \file
/// Canonical bytes of a value: what `verify` hashes. Two values are the same exactly when their
/// canonical bytes are.
///
/// They come from two independent ways: from the wire's binary form (not through the stream's
/// decoders, so that verify proves those), and from Arrow as a destination reads it back.
///
///   carrier                        canonical bytes (integers big-endian)
///   kBool                          one byte, 0 or 1
///   kInt16..64, kUInt32            as sent
///   kFloat32, kFloat64             as sent, every NaN the same one; -0 is not 0
///   kDecimal                       the unscaled 128-bit integer at the column's scale
///   kText, kJson                   the text: for types whose binary form is not their text the
///   source is asked for
///                                  the server's text (verify/source_select.h); jsonb without its
///                                  version byte
///   kBytes, kUuid                  as sent
///   kDate, kTimestamp(Tz), kTime   int32 days / int64 microseconds of the carrier, infinities as
///   there kInterval                      int64 microseconds, int32 days, int32 months kList u32
///   count, then the elements as cells kStruct                        u32 count, then the
///   attributes as cells kMap                           u32 count, then key cell, value cell, in
///   stored order
///
/// A cell is u32 length and the bytes, or the length 0xFFFFFFFF alone for NULL. A row is its cells.
/// A wire value that has no exact carrier (NaN in a decimal, an array with two dimensions) gets
/// bytes that no Arrow value has, so it shows as a difference instead of failing the comparison.
///
/// Pure. Thread safety: immutable after construction.
#pragma once

#include <arrow/type_fwd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::types {

inline constexpr std::uint32_t kNullCell = 0xFFFFFFFF;

/// True where the wire's binary form of this type, or of something inside it, is not what
/// AppendWireCell() takes, so the source must select text for it. Text-like types, and everything
/// that is not carried as text, are false.
bool NeedsServerText(const ColumnType& type);

/// Appends one non-NULL cell (length and bytes) from the wire's binary form.
/// False: the bytes are not of this type; `out` is then unspecified past its former end.
bool AppendWireCell(const ColumnType& type, std::span<const std::byte> wire, std::string& out);

/// The same for a column whose policy lets misfits go: a value without an exact carrier is NULL
/// there, and so it is here.
bool AppendCellOrNull(const ColumnType& type, std::span<const std::byte> wire, std::string& out);

/// Appends the cell of NULL.
void AppendNullCell(std::string& out);

/// Encodes cells of the columns of one RecordBatch, with the dispatch done once per column.
class ArrowCellEncoder {
 public:
  /// `arrays` as the destination read them, one per type, in that order; shared.
  /// Errors: kInternal (SLU-9001) where an array is not the carrier's Arrow type.
  static Result<ArrowCellEncoder> Make(std::span<const ColumnType> types,
                                       std::span<const std::shared_ptr<arrow::Array>> arrays);
  ~ArrowCellEncoder();
  ArrowCellEncoder(ArrowCellEncoder&&) noexcept;
  ArrowCellEncoder& operator=(ArrowCellEncoder&&) noexcept;

  /// Appends the cell of one column of one row.
  void Append(std::size_t column, std::int64_t row, std::string& out) const;
  std::size_t column_count() const;
  std::int64_t row_count() const;

  struct Node;

 private:
  ArrowCellEncoder();
  std::vector<std::unique_ptr<const Node>> nodes_;
};

/// A 128-bit hash (XXH3).
struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  auto operator<=>(const Hash128&) const = default;
};

Hash128 HashCanonical(std::string_view bytes);

/// One cell as readable text, for reports: "42", "2024-02-29", "NULL". At most `length_max` bytes,
/// cut at a character. nullopt: not a cell of this type. Consumes the cell from `cells`.
std::optional<std::string> DescribeCell(const ColumnType& type, std::string_view& cells,
                                        std::size_t length_max);

}  // namespace sluice::types
