/// \file
/// Row changes that are not decoded yet: one column with pgoutput's own bytes, so that they pass
/// through batches, logs and queues like any other, and are decoded once it is known how.
///
/// A cell is the kind of the change ('I', 'U', 'D') and what follows the relation's oid in its
/// message, without the columns that the user excluded. Pure. Thread safety: of RawRowDecoder: one
/// object, one thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "columnar/table_builder.h"
#include "pgoutput/decoder.h"

namespace sluice::columnar {

/// The schema of a batch that holds raw rows of `version`.
SchemaPtr RawSchema(SchemaPtr version);

/// The cell of a row change.
void AppendRawCell(pgoutput::MessageKind kind, const pgoutput::RowTuples& tuples, std::string& out);

/// The cell of row `row` of a raw batch.
std::string_view RawCell(const ChangeBatch& batch, std::size_t row);

class RawRowDecoder {
 public:
  explicit RawRowDecoder(SchemaPtr version) : builder_(std::move(version)) {}

  void BeginTransaction(std::uint32_t transaction) { builder_.BeginTransaction(transaction); }
  /// Errors: as TableBuilder, kProtocol SLU-3101 (not a row change).
  Status Append(std::string_view cell, std::uint32_t ordinal);
  std::size_t row_count() const { return builder_.row_count(); }
  std::size_t bytes() const { return builder_.bytes(); }
  const SchemaPtr& schema() const { return builder_.schema(); }
  ChangeBatch Finish() { return builder_.Finish(); }

 private:
  TableBuilder builder_;
  pgoutput::TupleCells cells_;
};

/// A raw batch decoded under `version`: the same rows, runs and ordinals.
Result<ChangeBatch> DecodeRaw(const ChangeBatch& batch, const SchemaPtr& version);

}  // namespace sluice::columnar
