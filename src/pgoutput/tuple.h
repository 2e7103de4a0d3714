/// \file
/// One cell of a tuple as it stands on the wire: a kind and a view of its bytes.
///
/// Source: PostgreSQL docs, "Logical Replication Message Formats", TupleData;
/// logicalrep_read_tuple() in src/backend/replication/logical/proto.c. Lifetime: `bytes` points
/// into the message; copy what must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::pgoutput {

struct TupleCell {
  enum class Kind : char {
    kNull = 'n',
    kUnchanged = 'u',  ///< a TOAST value that the update did not touch: not sent
    kText = 't',
    kBinary = 'b',
  };
  Kind kind = Kind::kNull;
  std::span<const std::byte> bytes;
};

using TupleView = std::span<const TupleCell>;

}  // namespace sluice::pgoutput
