// Source of every layout here: PostgreSQL docs, "Logical Replication Message Formats", and the
// functions named in src/backend/replication/logical/proto.c. [xid] stands for an Int32 that is
// there only inside a stream block.
#include "pgoutput/decoder.h"

#include <string>
#include <utility>

namespace sluice::pgoutput {
namespace {

constexpr std::uint8_t kColumnIsIdentity = 1;
constexpr std::uint8_t kTruncateCascade = 1;
constexpr std::uint8_t kTruncateRestart = 2;
constexpr std::uint8_t kMessageTransactional = 1;

Error Malformed(std::string_view message, std::string_view what) {
  Error error;
  error.kind = ErrorKind::kProtocol;
  error.message.append(message).append(" message is malformed: ").append(what);
  error.code = "SLU-3101";
  return error;
}

Error Refused(std::string what) {
  Error error;
  error.kind = ErrorKind::kProtocol;
  error.message = std::move(what);
  error.code = "SLU-3102";
  return error;
}

Error CutOff(std::string_view message) {
  return Malformed(message, "it is shorter or longer than its layout");
}

UnixMicros ReadTime(base::ByteReader& in) {
  std::int64_t unix_micros = 0;
  const std::int64_t wire = in.ReadI64();
  if (__builtin_add_overflow(wire, kPostgresEpochMicros, &unix_micros)) unix_micros = wire;
  return UnixMicros{unix_micros};
}

TransactionId ReadXid(base::ByteReader& in, Place place) {
  return place == Place::kInStreamBlock ? TransactionId{in.ReadU32()} : TransactionId{};
}

bool IsIdentity(char identity) {
  return identity == 'd' || identity == 'n' || identity == 'f' || identity == 'i';
}

// TupleData, logicalrep_write_tuple(): Int16 number of cells, then per cell
//   Byte1 'n' null, 'u' TOAST value not sent, 't' text, 'b' binary; for t and b Int32 length,
//   bytes.
// False: malformed.
bool ReadTuple(base::ByteReader& in, std::vector<TupleCell>& cells) {
  const std::int16_t count = in.ReadI16();
  // A cell is at least a byte: the count is believed only as far as bytes are there.
  if (!in.ok() || count < 0 || static_cast<std::size_t>(count) > in.remaining()) return false;
  cells.resize(static_cast<std::size_t>(count));
  for (TupleCell& cell : cells) {
    const auto kind = static_cast<TupleCell::Kind>(in.ReadU8());
    switch (kind) {
      case TupleCell::Kind::kNull:
      case TupleCell::Kind::kUnchanged:
        cell = {kind, {}};
        break;
      case TupleCell::Kind::kText:
      case TupleCell::Kind::kBinary: {
        const std::int32_t length = in.ReadI32();
        if (length < 0) return false;
        cell = {kind, in.ReadBytes(static_cast<std::size_t>(length))};
        break;
      }
      default:
        return false;
    }
  }
  return in.ok();
}

}  // namespace

Result<MessageKind> DecodeKind(base::ByteReader& in) {
  const std::uint8_t byte = in.ReadU8();
  if (!in.ok()) return Malformed("an empty", "there is no kind");
  switch (const auto kind = static_cast<MessageKind>(byte)) {
    case MessageKind::kBegin:
    case MessageKind::kCommit:
    case MessageKind::kOrigin:
    case MessageKind::kRelation:
    case MessageKind::kType:
    case MessageKind::kInsert:
    case MessageKind::kUpdate:
    case MessageKind::kDelete:
    case MessageKind::kTruncate:
    case MessageKind::kLogicalMessage:
    case MessageKind::kStreamStart:
    case MessageKind::kStreamStop:
    case MessageKind::kStreamCommit:
    case MessageKind::kStreamAbort:
      return kind;
  }
  switch (byte) {
    case 'b':
    case 'P':
    case 'K':
    case 'r':
    case 'p':
      return Refused(std::string("the server sent a message of two-phase commit, which was not "
                                 "asked for: '") +
                     static_cast<char>(byte) + "'");
    default:
      return Refused("the server sent a message of an unknown kind: byte " + std::to_string(byte));
  }
}

// Begin, logicalrep_write_begin(): Int64 LSN of the commit record, Int64 commit time, Int32 xid.
Result<Begin> DecodeBegin(base::ByteReader& in) {
  Begin begin;
  begin.commit_lsn = Lsn{in.ReadU64()};
  begin.committed_at = ReadTime(in);
  begin.xid = TransactionId{in.ReadU32()};
  if (!in.Finish()) return CutOff("Begin");
  if (!begin.commit_lsn.is_valid()) return Malformed("Begin", "no commit LSN");
  return begin;
}

// Commit, logicalrep_write_commit(): Int8 flags (none defined), Int64 LSN of the commit record,
// Int64 end of the commit record, Int64 commit time.
Result<Commit> DecodeCommit(base::ByteReader& in) {
  Commit commit;
  const std::uint8_t flags = in.ReadU8();
  commit.commit_lsn = Lsn{in.ReadU64()};
  commit.end_lsn = Lsn{in.ReadU64()};
  commit.committed_at = ReadTime(in);
  if (!in.Finish()) return CutOff("Commit");
  if (flags != 0) return Malformed("Commit", "unknown flags");
  if (commit.end_lsn <= commit.commit_lsn) return Malformed("Commit", "it ends before it begins");
  return commit;
}

// Origin, logicalrep_write_origin(): Int64 commit LSN on the origin, String its name. No xid in a
// stream block either.
Result<Origin> DecodeOrigin(base::ByteReader& in) {
  Origin origin;
  origin.commit_lsn = Lsn{in.ReadU64()};
  origin.name = in.ReadCString();
  if (!in.Finish()) return CutOff("Origin");
  return origin;
}

// Relation, logicalrep_write_rel(): [xid], Int32 oid, String schema (empty: pg_catalog), String
// name, Int8 replica identity as in pg_class, Int16 number of columns, then per column Int8 flags
// (1: part of the identity), String name, Int32 type oid, Int32 typmod.
Result<Relation> DecodeRelation(base::ByteReader& in, Place place) {
  Relation relation;
  relation.xid = ReadXid(in, place);
  relation.id = RelationId{in.ReadU32()};
  relation.name.schema = in.ReadCString();
  if (relation.name.schema.empty()) relation.name.schema = "pg_catalog";
  relation.name.table = in.ReadCString();
  const char identity = static_cast<char>(in.ReadU8());
  const std::int16_t count = in.ReadI16();
  if (!in.ok()) return CutOff("Relation");
  if (!IsIdentity(identity)) return Malformed("Relation", "unknown replica identity");
  relation.identity = static_cast<ReplicaIdentity>(identity);
  constexpr std::size_t kColumnBytesMin = 1 + 1 + 4 + 4;
  if (count < 0 || static_cast<std::size_t>(count) * kColumnBytesMin > in.remaining()) {
    return Malformed("Relation", "more columns than bytes");
  }
  relation.columns.resize(static_cast<std::size_t>(count));
  for (RelationColumn& column : relation.columns) {
    const std::uint8_t flags = in.ReadU8();
    if ((flags & ~kColumnIsIdentity) != 0) return Malformed("Relation", "unknown column flags");
    column.is_identity = flags != 0;
    column.name = in.ReadCString();
    column.type = Oid{in.ReadU32()};
    column.typmod = in.ReadI32();
  }
  if (!in.Finish()) return CutOff("Relation");
  return relation;
}

// Type, logicalrep_write_typ(): [xid], Int32 oid, String schema (empty: pg_catalog), String name.
Result<Type> DecodeType(base::ByteReader& in, Place place) {
  Type type;
  type.xid = ReadXid(in, place);
  type.oid = Oid{in.ReadU32()};
  type.schema = in.ReadCString();
  if (type.schema.empty()) type.schema = "pg_catalog";
  type.name = in.ReadCString();
  if (!in.Finish()) return CutOff("Type");
  return type;
}

// Insert, Update, Delete begin alike, logicalrep_write_insert() and so on: [xid], Int32 relation
// oid.
Result<RowHeader> DecodeRowHeader(base::ByteReader& in, MessageKind kind, Place place) {
  RowHeader header;
  header.kind = kind;
  header.xid = ReadXid(in, place);
  header.relation = RelationId{in.ReadU32()};
  if (!in.ok()) return CutOff("a row change");
  return header;
}

// What follows the header:
//   Insert   Byte1 'N', TupleData
//   Update   [Byte1 'K' or 'O', TupleData], Byte1 'N', TupleData
//   Delete   Byte1 'K' or 'O', TupleData
Result<RowTuples> DecodeRowTuples(base::ByteReader& in, MessageKind kind, TupleCells& cells) {
  RowTuples tuples;
  std::uint8_t part = in.ReadU8();
  if (kind != MessageKind::kInsert && (part == 'K' || part == 'O')) {
    tuples.old_kind = part == 'K' ? OldTuple::kKey : OldTuple::kFull;
    if (!ReadTuple(in, cells.old())) return CutOff("a row change's old tuple in the");
    tuples.old = cells.old();
    if (kind == MessageKind::kUpdate) part = in.ReadU8();
  } else if (kind == MessageKind::kDelete) {
    return Malformed("Delete", "no old tuple");
  }
  if (kind != MessageKind::kDelete) {
    if (part != 'N') return Malformed("Insert or Update", "no new tuple");
    if (!ReadTuple(in, cells.row())) return CutOff("a row change's new tuple in the");
    tuples.row = cells.row();
  }
  if (!in.Finish()) return CutOff("a row change");
  return tuples;
}

// Truncate, logicalrep_write_truncate(): [xid], Int32 number of relations, Int8 options (1 CASCADE,
// 2 RESTART IDENTITY), Int32 oid per relation.
Result<Truncate> DecodeTruncate(base::ByteReader& in, Place place) {
  Truncate truncate;
  truncate.xid = ReadXid(in, place);
  const std::uint32_t count = in.ReadU32();
  const std::uint8_t options = in.ReadU8();
  if (!in.ok() || count > in.remaining() / sizeof(std::uint32_t)) return CutOff("Truncate");
  if ((options & ~(kTruncateCascade | kTruncateRestart)) != 0) {
    return Malformed("Truncate", "unknown options");
  }
  truncate.is_cascade = (options & kTruncateCascade) != 0;
  truncate.restarts_sequences = (options & kTruncateRestart) != 0;
  truncate.relations.resize(count);
  for (RelationId& relation : truncate.relations) relation = RelationId{in.ReadU32()};
  if (!in.Finish()) return CutOff("Truncate");
  return truncate;
}

// Message, logicalrep_write_message(): [xid], Int8 flags (1: transactional), Int64 LSN, String
// prefix, Int32 length, the content.
Result<LogicalMessage> DecodeLogicalMessage(base::ByteReader& in, Place place) {
  LogicalMessage message;
  message.xid = ReadXid(in, place);
  const std::uint8_t flags = in.ReadU8();
  message.lsn = Lsn{in.ReadU64()};
  message.prefix = in.ReadCString();
  message.content = in.ReadBytes(in.ReadU32());
  if (!in.Finish()) return CutOff("Message");
  if ((flags & ~kMessageTransactional) != 0) return Malformed("Message", "unknown flags");
  message.is_transactional = flags != 0;
  return message;
}

// Stream Start, logicalrep_write_stream_start(): Int32 xid, Int8 1 if it is the first block of it.
Result<StreamStart> DecodeStreamStart(base::ByteReader& in) {
  StreamStart start;
  start.xid = TransactionId{in.ReadU32()};
  const std::uint8_t first = in.ReadU8();
  if (!in.Finish()) return CutOff("Stream Start");
  if (first > 1) return Malformed("Stream Start", "first segment is neither 0 nor 1");
  if (start.xid.value == 0) return Malformed("Stream Start", "no transaction id");
  start.is_first_segment = first == 1;
  return start;
}

// Stream Stop: nothing after the kind.
Result<StreamStop> DecodeStreamStop(base::ByteReader& in) {
  if (!in.Finish()) return CutOff("Stream Stop");
  return StreamStop{};
}

// Stream Commit, logicalrep_write_stream_commit(): Int32 xid, Int8 flags (none defined), Int64 LSN
// of the commit record, Int64 its end, Int64 commit time.
Result<StreamCommit> DecodeStreamCommit(base::ByteReader& in) {
  StreamCommit commit;
  commit.xid = TransactionId{in.ReadU32()};
  const std::uint8_t flags = in.ReadU8();
  commit.commit_lsn = Lsn{in.ReadU64()};
  commit.end_lsn = Lsn{in.ReadU64()};
  commit.committed_at = ReadTime(in);
  if (!in.Finish()) return CutOff("Stream Commit");
  if (flags != 0) return Malformed("Stream Commit", "unknown flags");
  if (!commit.commit_lsn.is_valid() || commit.end_lsn <= commit.commit_lsn) {
    return Malformed("Stream Commit", "it ends before it begins");
  }
  return commit;
}

// Stream Abort, logicalrep_write_stream_abort(): Int32 xid, Int32 subxid. (LSN and time follow only
// with streaming 'parallel', which is not asked for.)
Result<StreamAbort> DecodeStreamAbort(base::ByteReader& in) {
  StreamAbort abort;
  abort.xid = TransactionId{in.ReadU32()};
  abort.subxid = TransactionId{in.ReadU32()};
  if (!in.Finish()) return CutOff("Stream Abort");
  return abort;
}

namespace {

// A Result of one message as the Result of any.
template <class T>
Result<Message> AsMessage(Result<T> message) {
  if (!message) return std::move(message).error();
  return Message(*std::move(message));
}

Result<Message> DecodeRow(base::ByteReader& in, MessageKind kind, Place place, TupleCells& cells) {
  SLUICE_ASSIGN_OR_RETURN(const RowHeader header, DecodeRowHeader(in, kind, place));
  SLUICE_ASSIGN_OR_RETURN(const RowTuples tuples, DecodeRowTuples(in, kind, cells));
  if (kind == MessageKind::kInsert) {
    return Message(Insert{header.xid, header.relation, tuples.row});
  }
  if (kind == MessageKind::kUpdate) {
    return Message(Update{header.xid, header.relation, tuples.row, tuples.old, tuples.old_kind});
  }
  return Message(Delete{header.xid, header.relation, tuples.old, tuples.old_kind});
}

}  // namespace

Result<Message> Decoder::Decode(std::span<const std::byte> message) {
  base::ByteReader in(message);
  SLUICE_ASSIGN_OR_RETURN(const MessageKind kind, DecodeKind(in));
  switch (kind) {
    case MessageKind::kBegin:
      return AsMessage(DecodeBegin(in));
    case MessageKind::kCommit:
      return AsMessage(DecodeCommit(in));
    case MessageKind::kOrigin:
      return AsMessage(DecodeOrigin(in));
    case MessageKind::kRelation:
      return AsMessage(DecodeRelation(in, place_));
    case MessageKind::kType:
      return AsMessage(DecodeType(in, place_));
    case MessageKind::kInsert:
    case MessageKind::kUpdate:
    case MessageKind::kDelete:
      return DecodeRow(in, kind, place_, cells_);
    case MessageKind::kTruncate:
      return AsMessage(DecodeTruncate(in, place_));
    case MessageKind::kLogicalMessage:
      return AsMessage(DecodeLogicalMessage(in, place_));
    case MessageKind::kStreamStart: {
      SLUICE_ASSIGN_OR_RETURN(const StreamStart start, DecodeStreamStart(in));
      place_ = Place::kInStreamBlock;
      return Message(start);
    }
    case MessageKind::kStreamStop: {
      SLUICE_ASSIGN_OR_RETURN(const StreamStop stop, DecodeStreamStop(in));
      place_ = Place::kOutsideBlock;
      return Message(stop);
    }
    case MessageKind::kStreamCommit:
      return AsMessage(DecodeStreamCommit(in));
    case MessageKind::kStreamAbort:
      return AsMessage(DecodeStreamAbort(in));
  }
  return Refused("the server sent a message of an unknown kind");
}

}  // namespace sluice::pgoutput
