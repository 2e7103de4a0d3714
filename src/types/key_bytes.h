/// \file
/// Bytes of a key such that two keys are equal at the destination exactly when their bytes are
/// equal.
///
/// Unlike canonical bytes (canonical.h) this is equality as the destination's `=` sees it: 0.0 is
/// -0.0, every NaN is every other, an interval of one month is one of 30 days. NULL equals NULL
/// here. For the net-change fold and for hash tables over keys; never stored.
///
/// Pure. Thread safety: immutable after construction.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sluice/schema.h"

namespace sluice::types {

/// Appends the key bytes of one cell; any carrier of sluice/schema.h. Cells are self-delimiting, so
/// the cells of a composite key are appended one after the other. An interval is compared by its
/// three fields here, as Arrow's type does not tell it from a uuid.
void AppendKeyBytes(const arrow::Array& array, std::int64_t row, std::string& out);

/// The same for a key of several columns, with the type dispatch done once.
///
///   KeyEncoder encoder(arrays, types);
///   for (std::int64_t row = 0; row < n; ++row) { key.clear(); encoder.Append(row, key); ... }
class KeyEncoder {
 public:
  /// The arrays must outlive this. `types`: one per array; without them intervals are compared by
  /// their fields.
  explicit KeyEncoder(std::span<const arrow::Array* const> columns,
                      std::span<const ColumnType* const> types = {});

  void Append(std::int64_t row, std::string& out) const {
    for (const Column& column : columns_) column.append(*column.array, row, out);
  }

 private:
  struct Column {
    const arrow::Array* array;
    void (*append)(const arrow::Array&, std::int64_t, std::string&);
  };
  std::vector<Column> columns_;
};

}  // namespace sluice::types
