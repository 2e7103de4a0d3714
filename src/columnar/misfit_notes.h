/// \file
/// The cells of one batch under construction whose values have no exact form and were let go
/// (Column::on_misfit). Beside the columns, so that a row without any costs nothing.
///
/// Thread safety: one object, one thread. Limits: bytes() is part of the batch's.
#pragma once

#include <cstddef>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/schema.h"

#include "columnar/column_builder.h"
#include "pgoutput/tuple.h"
#include "types/value_fault.h"

namespace sluice::columnar {

class MisfitNotes {
 public:
  /// Where a value stands. `row`: what the builder of its column had before it.
  struct Place {
    std::size_t row = 0;
    std::size_t column = 0;
    bool is_old = false;
  };

  /// The value that left `fault` behind in `builder` becomes NULL and is noted. False: its column's
  /// policy is to halt, or the column finds the row (a key cannot be let go), or the fault is of
  /// another kind; nothing was done then.
  bool Take(const TableSchema& schema, const Place& place, types::ValueFault fault,
            const pgoutput::TupleCell& cell, ColumnBuilder& builder);
  /// Forgets what stands in rows from `row_count` on.
  void Truncate(std::size_t row_count);
  std::size_t bytes() const { return bytes_; }
  std::vector<Misfit> Finish();

 private:
  std::vector<Misfit> misfits_;
  std::size_t bytes_ = 0;
};

}  // namespace sluice::columnar
