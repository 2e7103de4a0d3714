/// \file
/// Bytes of a key such that two keys are equal at the destination exactly when their bytes are equal.
///
/// Unlike canonical bytes (canonical.h) this is equality as the destination's `=` sees it: 0.0 is -0.0,
/// every NaN is every other, an interval of one month is one of 30 days. NULL equals NULL here. For the
/// net-change fold and for hash tables over keys; never stored.
///
/// Pure. Thread safety: immutable after construction.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sluice::types {

/// Appends the key bytes of one cell; any carrier of sluice/schema.h. Cells are self-delimiting, so
/// the cells of a composite key are appended one after the other.
void AppendKeyBytes(const arrow::Array& array, std::int64_t row, std::string& out);

/// The same for a key of several columns, with the type dispatch done once.
///
///   KeyEncoder encoder({&*values->column(0), &*values->column(2)});
///   for (std::int64_t row = 0; row < n; ++row) { key.clear(); encoder.Append(row, key); ... }
class KeyEncoder {
 public:
  /// The arrays must outlive this.
  explicit KeyEncoder(std::span<const arrow::Array* const> columns);

  void Append(std::int64_t row, std::string& out) const;

  struct Column {
    const arrow::Array* array;
    void (*append)(const arrow::Array&, std::int64_t, std::string&);
  };

 private:
  std::vector<Column> columns_;
};

}  // namespace sluice::types
