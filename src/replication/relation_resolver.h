/// \file
/// What the transaction assembler asks of whoever knows the catalog and the table selection.
///
/// The engine implements it; it may look into the source's catalog, so a call may take
/// milliseconds. It is called on the stream thread, from inside TransactionAssembler::Consume().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sluice/ids.h"
#include "sluice/lsn.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "pgoutput/messages.h"

namespace sluice::replication {

struct RootResolution;

/// What becomes of a relation's changes from its Relation message on.
struct Resolution {
  enum class Kind : std::uint8_t {
    kIgnore,  ///< not ours: rows are skipped undecoded
    kUse,     ///< rows are decoded under `schema`
    kKeep,    ///< rows are taken as they are, undecoded; `schema` is columnar::RawSchema()
    kFail,    ///< the table cannot go on: one TableFailure, then its rows are skipped
  };
  Kind kind = Kind::kIgnore;
  SchemaPtr schema;  ///< kUse, kKeep; of kUse: columns in the order of the Relation message
  /// kUse, kKeep: which of the message's columns are taken; empty: all of them.
  std::vector<std::uint32_t> cells;
  Error error;  ///< kFail
  /// The message is of a partition of a table whose message came directly before it, and changes
  /// what was said of that one. May be null.
  std::shared_ptr<const RootResolution> root = {};

  static Resolution Ignore() { return {}; }
  /// The same pointer as before means: the same version. Another one becomes a SchemaMark.
  static Resolution Use(SchemaPtr schema, std::vector<std::uint32_t> cells = {}) {
    return {Kind::kUse, std::move(schema), std::move(cells), {}, {}};
  }
  static Resolution Keep(SchemaPtr schema, std::vector<std::uint32_t> cells = {}) {
    return {Kind::kKeep, std::move(schema), std::move(cells), {}, {}};
  }
  static Resolution Fail(Error error) { return {Kind::kFail, nullptr, {}, std::move(error), {}}; }
};

struct RootResolution {
  RelationId relation;
  Resolution resolution;  ///< with no `root` of its own
};

/// Where the Relation (or Type) message stands.
struct RelationContext {
  TransactionId xid;              ///< of the top-level transaction
  std::optional<Lsn> commit_lsn;  ///< nullopt: a streamed transaction, not committed yet
};

class RelationResolver {
 public:
  virtual ~RelationResolver() = default;
  RelationResolver(const RelationResolver&) = delete;
  RelationResolver& operator=(const RelationResolver&) = delete;

  /// An error (of the look-up itself, not of the table) ends Consume() with it.
  /// Called for every Relation message, also where nothing changed: the server repeats them for
  /// every streamed transaction and after every abort in one.
  virtual Result<Resolution> Resolve(const pgoutput::Relation& relation,
                                     const RelationContext& context) = 0;
  /// A table that cannot go on behind a transaction.
  struct Failed {
    RelationId relation;
    Error error;
  };
  /// A streamed transaction has ended. Where it committed: the tables of it that what its Relation
  /// messages said was not true of, as nobody could tell while it ran.
  virtual Result<std::vector<Failed>> OnStreamEnd(TransactionId /*xid*/, bool /*is_committed*/) {
    return std::vector<Failed>();
  }
  /// The name of a type that is not built in; comes before the Relation that uses it.
  virtual void OnType(const pgoutput::Type& type, const RelationContext& context) = 0;

 protected:
  RelationResolver() = default;
};

/// A logical message (pg_logical_emit_message) in commit order.
struct ReceivedMessage {
  bool is_transactional = false;
  Lsn lsn;                        ///< of the message's own record
  std::optional<Lsn> commit_lsn;  ///< of its transaction; nullopt: non-transactional
  TransactionId xid;              ///< of its top-level transaction; 0: non-transactional
  std::uint32_t ordinal = 0;      ///< of the change that follows it in its transaction
  std::string_view prefix;
  std::span<const std::byte> content;
};

class MessageListener {
 public:
  virtual ~MessageListener() = default;
  MessageListener(const MessageListener&) = delete;
  MessageListener& operator=(const MessageListener&) = delete;

  /// Messages with other prefixes are counted and forgotten.
  virtual bool Wants(std::string_view prefix) const = 0;
  /// A transactional one comes in its place (direct transactions) or at the commit (streamed ones),
  /// never from what was rolled back or is durable already. One that is not transactional and
  /// stands behind the last whole transaction may come again, behind a reconnect or in the next
  /// call by SQL. Views are valid during the call.
  virtual Status OnMessage(const ReceivedMessage& message) = 0;

 protected:
  MessageListener() = default;
};

}  // namespace sluice::replication
