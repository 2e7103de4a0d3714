/// \file
/// Takes the messages of one COPY ... TO STDOUT (FORMAT binary) apart into cells.
///
/// On purpose not columnar::CopyDecoder: verify proves that one.
/// Source: PostgreSQL docs, COPY, "Binary Format". Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "sluice/result.h"

#include "base/byte_reader.h"

namespace sluice::verify {

struct SourceCell {
  bool is_null = false;
  std::span<const std::byte> bytes;
};

class CopyRows {
 public:
  explicit CopyRows(std::size_t column_count) : cells_(column_count) {}

  /// The next CopyData message; it must outlive the Next() calls up to their false. Rows are whole
  /// in it.
  void Begin(std::span<const std::byte> message) { reader_ = base::ByteReader(message); }
  /// True: cells() is the next row. False: the message is used up.
  /// Errors: kProtocol (SLU-4501).
  Result<bool> Next();
  std::span<const SourceCell> cells() const { return cells_; }
  /// The trailer has come. Errors: kProtocol (SLU-4501).
  Status CheckComplete() const;

 private:
  bool ReadHeader();

  base::ByteReader reader_{{}};
  std::vector<SourceCell> cells_;
  bool has_header_ = false;
  bool has_trailer_ = false;
};

}  // namespace sluice::verify
