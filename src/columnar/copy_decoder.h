/// \file
/// Decodes the CopyData messages of one COPY ... TO STDOUT into columns.
///
/// Binary: signature, flags and trailer are checked; the server sends one row a message, yet any
/// cut at a row boundary is taken. Text: one line a message, PostgreSQL's escapes; for tables with
/// a type whose binary form is not understood.
///
/// Source: PostgreSQL docs, COPY, "Binary Format" and "Text Format"; src/backend/commands/copyto.c.
/// Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::columnar {

enum class CopyFormat : std::uint8_t { kBinary, kText };

class CopyDecoder {
 public:
  CopyDecoder(SchemaPtr schema, CopyFormat format);
  ~CopyDecoder();
  CopyDecoder(CopyDecoder&&) noexcept;
  CopyDecoder& operator=(CopyDecoder&&) noexcept;

  /// Errors: kConversion (SLU-41xx, a value that its column's policy does not let go: the table
  /// halts; server_message: the key of the row), kProtocol.
  Status Append(std::span<const std::byte> message);
  /// All rows have come: the trailer was seen (binary), nothing is cut off.
  Status CheckComplete() const;

  std::size_t row_count() const;
  std::size_t bytes() const;
  /// Seals the rows so far; the decoder goes on with an empty batch.
  CopiedRows Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One cell as COPY's text format has it, without what ends it; nullopt: NULL.
void AppendCopyText(const std::optional<std::string>& text, std::string& out);

/// binary where every column has a codec, else text.
CopyFormat FormatFor(const TableSchema& schema);

}  // namespace sluice::columnar
