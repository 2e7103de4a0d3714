/// \file
/// pgoutput's messages, as values.
///
/// `xid` is there in what may stand inside a stream block (between StreamStart and StreamStop): the
/// transaction or subtransaction that made the change. Outside a block it is 0 and the transaction
/// is that of Begin.
///
/// Lifetime: TupleView, spans and string_views point into the message or into the decoder's cells:
/// valid until the next message is decoded. Relation and Type own their strings.
/// Source: PostgreSQL docs, "Logical Replication Message Formats".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sluice/ids.h"
#include "sluice/lsn.h"
#include "sluice/schema.h"
#include "sluice/time.h"

#include "pgoutput/tuple.h"

namespace sluice::pgoutput {

/// The first byte. Prepared transactions (b, P, K, r, p) are not asked for and not accepted.
enum class MessageKind : char {
  kBegin = 'B',
  kCommit = 'C',
  kOrigin = 'O',
  kRelation = 'R',
  kType = 'Y',
  kInsert = 'I',
  kUpdate = 'U',
  kDelete = 'D',
  kTruncate = 'T',
  kLogicalMessage = 'M',
  kStreamStart = 'S',
  kStreamStop = 'E',
  kStreamCommit = 'c',
  kStreamAbort = 'A',
};

/// A transaction that was not streamed: everything up to Commit is its own, and it has committed.
struct Begin {
  Lsn commit_lsn;  ///< of the commit record, known already
  UnixMicros committed_at;
  TransactionId xid;
};

struct Commit {
  Lsn commit_lsn;
  Lsn end_lsn;  ///< first byte after the commit record: the position
  UnixMicros committed_at;
};

/// The transaction came to this server by replication. Carries no xid in a stream block either.
struct Origin {
  Lsn commit_lsn;  ///< on the server it came from
  std::string_view name;
};

struct RelationColumn {
  std::string name;
  Oid type;
  std::int32_t typmod = -1;
  bool is_identity = false;  ///< part of the replica identity; all are under FULL

  bool operator==(const RelationColumn&) const = default;
};

/// The shape of a table as published, sent before its first change and again whenever it may have
/// changed.
struct Relation {
  TransactionId xid;
  RelationId id;
  TableName name;  ///< the wire's empty schema is "pg_catalog"
  ReplicaIdentity identity = ReplicaIdentity::kDefault;
  std::vector<RelationColumn> columns;
};

/// Name of a type that is not built in, before the Relation that uses it.
struct Type {
  TransactionId xid;
  Oid oid;
  std::string schema;
  std::string name;
};

/// What all row changes begin with; enough to skip one.
struct RowHeader {
  MessageKind kind = MessageKind::kInsert;
  TransactionId xid;
  RelationId relation;
};

enum class OldTuple : std::uint8_t {
  kNone,  ///< an insert, or an update that left the identity alone
  kKey,   ///< 'K': only identity columns are set
  kFull,  ///< 'O': REPLICA IDENTITY FULL
};

/// The tuples of an insert, update or delete. `row` is empty for a delete; a table may also have no
/// columns at all.
struct RowTuples {
  TupleView row;
  TupleView old;
  OldTuple old_kind = OldTuple::kNone;
};

struct Insert {
  TransactionId xid;
  RelationId relation;
  TupleView row;
};

struct Update {
  TransactionId xid;
  RelationId relation;
  TupleView row;
  TupleView old;
  OldTuple old_kind = OldTuple::kNone;
};

struct Delete {
  TransactionId xid;
  RelationId relation;
  TupleView old;
  OldTuple old_kind = OldTuple::kKey;
};

struct Truncate {
  TransactionId xid;
  bool is_cascade = false;
  bool restarts_sequences = false;
  std::vector<RelationId> relations;
};

/// pg_logical_emit_message(). A non-transactional one comes at once, also from what is rolled back.
struct LogicalMessage {
  TransactionId xid;
  bool is_transactional = false;
  Lsn lsn;
  std::string_view prefix;
  std::span<const std::byte> content;
};

/// A block of a transaction that is still open at the server.
struct StreamStart {
  TransactionId xid;  ///< the top-level transaction's
  bool is_first_segment = false;
};

struct StreamStop {};

struct StreamCommit {
  TransactionId xid;
  Lsn commit_lsn;
  Lsn end_lsn;
  UnixMicros committed_at;
};

/// subxid == xid: the whole transaction; else that subtransaction only.
struct StreamAbort {
  TransactionId xid;
  TransactionId subxid;
};

using Message =
    std::variant<Begin, Commit, Origin, Relation, Type, Insert, Update, Delete, Truncate,
                 LogicalMessage, StreamStart, StreamStop, StreamCommit, StreamAbort>;

}  // namespace sluice::pgoutput
