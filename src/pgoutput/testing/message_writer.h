/// \file
/// Writes pgoutput messages for tests, byte for byte as the server lays them out.
///
///     WriteBegin({Lsn{100}, UnixMicros{}, TransactionId{7}})
///     WriteInsert(RelationId{16384}, {Text("1"), Null()})
///     InBlock(TransactionId{7}, WriteInsert(...))     the same inside a stream block
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_reader.h"
#include "pgoutput/messages.h"

namespace sluice::pgoutput::testing {

/// Bytes in the making; numbers in network order.
class MessageWriter {
 public:
  explicit MessageWriter(char kind) { U8(static_cast<std::uint8_t>(kind)); }

  MessageWriter& U8(std::uint8_t value) { return Number(value, 1); }
  MessageWriter& U16(std::uint16_t value) { return Number(value, 2); }
  MessageWriter& U32(std::uint32_t value) { return Number(value, 4); }
  MessageWriter& U64(std::uint64_t value) { return Number(value, 8); }
  MessageWriter& Bytes(std::string_view bytes) {
    out_.append(bytes);
    return *this;
  }
  MessageWriter& CString(std::string_view text) {
    out_.append(text);
    out_.push_back('\0');
    return *this;
  }
  std::string Take() { return std::move(out_); }

 private:
  MessageWriter& Number(std::uint64_t value, int byte_count) {
    for (int shift = (byte_count - 1) * 8; shift >= 0; shift -= 8) {
      out_.push_back(static_cast<char>((value >> shift) & 0xFFU));
    }
    return *this;
  }
  std::string out_;
};

/// A cell that owns its bytes.
struct Cell {
  TupleCell::Kind kind = TupleCell::Kind::kNull;
  std::string bytes;
};
using Cells = std::vector<Cell>;

inline Cell Null() {
  return {TupleCell::Kind::kNull, {}};
}
inline Cell Unchanged() {
  return {TupleCell::Kind::kUnchanged, {}};
}
inline Cell Text(std::string text) {
  return {TupleCell::Kind::kText, std::move(text)};
}
inline Cell Binary(std::string bytes) {
  return {TupleCell::Kind::kBinary, std::move(bytes)};
}
inline Cell Int4(std::int32_t value) {
  return Binary(MessageWriter('x').U32(static_cast<std::uint32_t>(value)).Take().substr(1));
}
inline Cell Int8(std::int64_t value) {
  return Binary(MessageWriter('x').U64(static_cast<std::uint64_t>(value)).Take().substr(1));
}

inline std::string TupleBytes(const Cells& cells) {
  MessageWriter out('x');
  out.U16(static_cast<std::uint16_t>(cells.size()));
  for (const Cell& cell : cells) {
    out.U8(static_cast<std::uint8_t>(cell.kind));
    if (cell.kind == TupleCell::Kind::kText || cell.kind == TupleCell::Kind::kBinary) {
      out.U32(static_cast<std::uint32_t>(cell.bytes.size())).Bytes(cell.bytes);
    }
  }
  return out.Take().substr(1);
}

inline std::uint64_t WireTime(UnixMicros time) {
  return static_cast<std::uint64_t>(time.value - kPostgresEpochMicros);
}

inline std::string WriteBegin(const Begin& begin) {
  return MessageWriter('B')
      .U64(begin.commit_lsn.value)
      .U64(WireTime(begin.committed_at))
      .U32(begin.xid.value)
      .Take();
}
inline std::string WriteCommit(const Commit& commit) {
  return MessageWriter('C')
      .U8(0)
      .U64(commit.commit_lsn.value)
      .U64(commit.end_lsn.value)
      .U64(WireTime(commit.committed_at))
      .Take();
}
inline std::string WriteOrigin(Lsn lsn, std::string_view name) {
  return MessageWriter('O').U64(lsn.value).CString(name).Take();
}
inline std::string WriteRelation(const Relation& relation) {
  MessageWriter out('R');
  out.U32(relation.id.value).CString(relation.name.schema).CString(relation.name.table);
  out.U8(static_cast<std::uint8_t>(relation.identity));
  out.U16(static_cast<std::uint16_t>(relation.columns.size()));
  for (const RelationColumn& column : relation.columns) {
    out.U8(column.is_identity ? 1 : 0).CString(column.name).U32(column.type.value);
    out.U32(static_cast<std::uint32_t>(column.typmod));
  }
  return out.Take();
}
inline std::string WriteType(Oid oid, std::string_view schema, std::string_view name) {
  return MessageWriter('Y').U32(oid.value).CString(schema).CString(name).Take();
}
inline std::string WriteInsert(RelationId relation, const Cells& row) {
  return MessageWriter('I').U32(relation.value).U8('N').Bytes(TupleBytes(row)).Take();
}
inline std::string WriteUpdate(RelationId relation, const Cells& row, const Cells& old = {},
                               OldTuple old_kind = OldTuple::kNone) {
  MessageWriter out('U');
  out.U32(relation.value);
  if (old_kind != OldTuple::kNone) {
    out.U8(old_kind == OldTuple::kKey ? 'K' : 'O').Bytes(TupleBytes(old));
  }
  return out.U8('N').Bytes(TupleBytes(row)).Take();
}
inline std::string WriteDelete(RelationId relation, const Cells& old,
                               OldTuple old_kind = OldTuple::kKey) {
  MessageWriter out('D');
  out.U32(relation.value).U8(old_kind == OldTuple::kKey ? 'K' : 'O').Bytes(TupleBytes(old));
  return out.Take();
}
inline std::string WriteTruncate(std::initializer_list<RelationId> relations,
                                 std::uint8_t options = 0) {
  MessageWriter out('T');
  out.U32(static_cast<std::uint32_t>(relations.size())).U8(options);
  for (const RelationId relation : relations) out.U32(relation.value);
  return out.Take();
}
inline std::string WriteLogicalMessage(bool is_transactional, Lsn lsn, std::string_view prefix,
                                       std::string_view content) {
  return MessageWriter('M')
      .U8(is_transactional ? 1 : 0)
      .U64(lsn.value)
      .CString(prefix)
      .U32(static_cast<std::uint32_t>(content.size()))
      .Bytes(content)
      .Take();
}
inline std::string WriteStreamStart(TransactionId xid, bool is_first_segment) {
  return MessageWriter('S').U32(xid.value).U8(is_first_segment ? 1 : 0).Take();
}
inline std::string WriteStreamStop() {
  return MessageWriter('E').Take();
}
inline std::string WriteStreamCommit(const StreamCommit& commit) {
  return MessageWriter('c')
      .U32(commit.xid.value)
      .U8(0)
      .U64(commit.commit_lsn.value)
      .U64(commit.end_lsn.value)
      .U64(WireTime(commit.committed_at))
      .Take();
}
inline std::string WriteStreamAbort(TransactionId xid, TransactionId subxid) {
  return MessageWriter('A').U32(xid.value).U32(subxid.value).Take();
}

/// The message as it reads inside a stream block: with the xid after its kind.
inline std::string InBlock(TransactionId xid, const std::string& message) {
  return MessageWriter(message.front()).U32(xid.value).Bytes(message.substr(1)).Take();
}

}  // namespace sluice::pgoutput::testing
