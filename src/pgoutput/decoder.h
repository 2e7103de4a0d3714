/// \file
/// Decodes pgoutput messages: protocol version 2, streaming on, two_phase off.
///
/// Two ways in:
///
///   Decoder::Decode()    one message of any kind as a variant; keeps track of stream blocks. For
///                        tests, tools, the fuzzer.
///   the free functions   one message kind each, for the transaction assembler, which keeps track
///                        of stream blocks itself and skips rows after their header:
///
///       base::ByteReader in(message);
///       SLUICE_ASSIGN_OR_RETURN(const MessageKind kind, DecodeKind(in));
///       SLUICE_ASSIGN_OR_RETURN(const RowHeader header, DecodeRowHeader(in, kind, place));
///       SLUICE_ASSIGN_OR_RETURN(const RowTuples tuples, DecodeRowTuples(in, kind, cells));
///
/// Errors of all: kProtocol, SLU-3101 (cut off, too long, or a field out of its range), SLU-3102 (a
/// message that was not asked for). Messages name kind and field, never a value.
/// Cost: no allocation for rows once the cells have grown; a count from the wire never sizes
/// anything before the bytes behind it are known to exist.
/// Thread safety: one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sluice/result.h"

#include "base/byte_reader.h"
#include "pgoutput/messages.h"
#include "pgoutput/tuple.h"

namespace sluice::pgoutput {

/// Where a message stands: inside a stream block most begin with an xid.
enum class Place : std::uint8_t { kOutsideBlock, kInStreamBlock };

/// Room for the cells of one row change, used again for every row.
class TupleCells {
 public:
  /// The cells of one message; `old` and `row` may each have up to 32767.
  std::vector<TupleCell>& row() { return row_; }
  std::vector<TupleCell>& old() { return old_; }

 private:
  std::vector<TupleCell> row_;
  std::vector<TupleCell> old_;
};

/// Reads the first byte.
Result<MessageKind> DecodeKind(base::ByteReader& in);

Result<Begin> DecodeBegin(base::ByteReader& in);
Result<Commit> DecodeCommit(base::ByteReader& in);
Result<Origin> DecodeOrigin(base::ByteReader& in);
Result<Relation> DecodeRelation(base::ByteReader& in, Place place);
Result<Type> DecodeType(base::ByteReader& in, Place place);
/// The xid and relation of an Insert, Update or Delete; the tuples are left unread.
Result<RowHeader> DecodeRowHeader(base::ByteReader& in, MessageKind kind, Place place);
/// The rest of it. The views point into `cells` and the message.
Result<RowTuples> DecodeRowTuples(base::ByteReader& in, MessageKind kind, TupleCells& cells);
Result<Truncate> DecodeTruncate(base::ByteReader& in, Place place);
Result<LogicalMessage> DecodeLogicalMessage(base::ByteReader& in, Place place);
Result<StreamStart> DecodeStreamStart(base::ByteReader& in);
Result<StreamStop> DecodeStreamStop(base::ByteReader& in);
Result<StreamCommit> DecodeStreamCommit(base::ByteReader& in);
Result<StreamAbort> DecodeStreamAbort(base::ByteReader& in);

class Decoder {
 public:
  /// The whole message, to its last byte. Views in it are valid until the next call.
  Result<Message> Decode(std::span<const std::byte> message);

  Place place() const { return place_; }

 private:
  TupleCells cells_;
  Place place_ = Place::kOutsideBlock;
};

}  // namespace sluice::pgoutput
