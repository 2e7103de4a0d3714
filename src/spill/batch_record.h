/// \file
/// One ChangeBatch as bytes and back.
///
/// A record is: ordinals, kinds, runs, bits, misfits as plain arrays (this machine's byte order: a
/// record never leaves the process), then the bodies of `values` and `old` as Arrow IPC record
/// batch messages without schema, LZ4 compressed where the Arrow library can. The Arrow schemas
/// stay in memory, beside the record's place.
///
/// Errors: kStateStore SLU-6103 (encoding), SLU-6104 (decoding).
#pragma once

#include <arrow/type_fwd.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/result.h"

namespace sluice::spill {

/// What is needed beside the bytes to read a record.
struct BatchShape {
  SchemaPtr schema;
  std::shared_ptr<arrow::Schema> values;
  std::shared_ptr<arrow::Schema> old;  ///< null: the batch has no old tuples
};

/// A record in parts, written one after the other; they share the batch's and their own memory.
struct EncodedBatch {
  std::string header;
  std::shared_ptr<arrow::Buffer> values;
  std::shared_ptr<arrow::Buffer> old;  ///< may be null
};

BatchShape ShapeOf(const ChangeBatch& batch);
/// Every builder makes schemas of its own, so they are compared by content.
bool IsSameShape(const BatchShape& a, const BatchShape& b);
Result<EncodedBatch> EncodeBatch(const ChangeBatch& batch);
/// \param record all parts, in order; the arrays of the result may point into it.
Result<ChangeBatch> DecodeBatch(const std::shared_ptr<arrow::Buffer>& record,
                                const BatchShape& shape);

}  // namespace sluice::spill
