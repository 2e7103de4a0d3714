/// \file
/// What a destination (or the state store beside it) remembers of a pipeline, and gives back at
/// Open.
///
/// All of it changes in the same transaction as the rows (docs/positions.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/ids.h"
#include "sluice/lsn.h"
#include "sluice/schema.h"
#include "sluice/time.h"

namespace sluice {

/// What binds a destination to one source and one slot. Stored before the slot is made (the
/// intent), so that a crash in between is recognised: an intent without a position means that
/// nothing was live.
struct Birth {
  std::string pipeline;
  std::string slot;
  std::string publication;
  bool owns_publication = true;
  std::string generation;  ///< random UUID, also COMMENT ON PUBLICATION at the source
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;
};

/// The last transaction that is durable: asked for once more at connect where possible, to prove
/// the source is the same.
struct Witness {
  Lsn commit_lsn;
  TransactionId xid;
  UnixMicros committed_at;
};

/// Everything that ends at or before `lsn` is in.
struct Position {
  Lsn lsn;
  std::optional<Witness> last_transaction;
};

/// P of the copy rule: transactions passed by the stream and not yet known visible to a new
/// snapshot.
struct PassedList {
  /// The list was lost or grew beyond its limit: no snapshot may be used whose xmin is below
  /// `floor`.
  bool is_unknown = false;
  std::uint64_t floor = 0;  ///< 64-bit xid; 0 with is_unknown: to be read from the server first
  std::vector<TransactionId> xids;
};

/// What the destination keeps of a table.
enum class TableMode : std::uint8_t {
  kMirror,   ///< its current state
  kAppend,   ///< every row inserted; published for INSERT only, needs no identity
  kHistory,  ///< the log of its changes
  kBoth,     ///< its current state, and the log beside it
};
/// mirror, append, history, both.
const char* ToString(TableMode mode);
/// nullopt: there is none of that name.
std::optional<TableMode> ParseTableMode(std::string_view text);
inline bool HasState(TableMode mode) {
  return mode != TableMode::kHistory;
}
inline bool HasLog(TableMode mode) {
  return mode == TableMode::kHistory || mode == TableMode::kBoth;
}
/// The log of the table that has this name at the destination: `s.t__history`.
TableName LogOf(const TableName& destination);

enum class TableState : std::uint8_t { kPending, kCopying, kLive, kHalted, kSkipped };
const char* ToString(TableState state);

/// One change of a halted table, as it came over the wire.
struct KeptChange {
  enum class Kind : char {
    kVersion = 'V',  ///< `message`: the table's version, as JSON, of the changes that follow
    kInsert = 'I',   ///< `message`: pgoutput's, behind the relation's oid
    kUpdate = 'U',
    kDelete = 'D',
    kTruncate = 'T',
  };
  std::uint64_t sequence = 0;  ///< ascending per table, from 1
  Kind kind = Kind::kInsert;
  Lsn commit_lsn;
  TransactionId xid;
  UnixMicros committed_at;
  std::uint32_t ordinal = 0;
  std::string message;
};

/// What the destination keeps of a table that was live when it halted: every change from the first
/// one on that is not in its rows.
struct KeptChanges {
  std::uint64_t last = 0;    ///< KeptChange::sequence of the newest; 0: none came yet
  std::uint64_t bytes = 0;   ///< about
  bool is_resuming = false;  ///< they are being applied; goes on after a restart
};

/// A table that is copied in ranges of a key column, as far as it is: each range is a unit.
struct CopyRanges {
  std::int16_t attnum = 0;  ///< the column: an integer, NOT NULL, part of the replica identity
  /// Ascending: range i is what is above bounds[i-1], up to and with bounds[i]; the first and the
  /// last are open.
  std::vector<std::int64_t> bounds;
  std::vector<bool> landed;    ///< per range: one more than there are bounds
  SchemaPtr schema;            ///< what the rows of all ranges have; null before the first is read
  std::int64_t row_count = 0;  ///< in landed ranges; an estimate
};

/// One table as the delivery keeps it. The row of sluice.tables.
struct TableRecord {
  RelationId relation;
  TableName source;
  TableName destination;
  TableMode mode = TableMode::kMirror;  ///< of what lies there; another one comes with a copy
  TableState state = TableState::kPending;
  std::string reason;          ///< why halted or skipped; empty else
  std::string advice;          ///< the command or statement that continues
  UnixMicros since;            ///< when the state was entered
  std::int64_t row_count = 0;  ///< rows copied + inserted - deleted as far as known; an estimate
  Lsn lsn;                     ///< last change applied
  UnixMicros committed_at;     ///< its commit time
  SchemaPtr schema;            ///< what the destination table has now; null before the first copy
  /// Another number where the table left the publication and came back, or that was altered (T33).
  std::uint32_t publication_entry = 0;
  bool was_removed = false;  ///< no longer in the selection: forget the record
  /// Every transaction that wrote the table before it was published has ended (guard G3 of the copy
  /// rule). Where this is not stored it reads false: a copy then waits longer than it must.
  bool older_writers_done = false;
  /// Only of a halted table. Where a commit empties it, the destination forgets the changes.
  std::optional<KeptChanges> kept = {};
  /// Only while some ranges of it are landed and others are not. Where a commit empties it without
  /// landing the last one, the destination forgets the landed ones.
  std::optional<CopyRanges> ranges = {};
};

struct DeliveryState {
  std::optional<Birth> birth;
  std::optional<Position> position;
  PassedList passed;
  std::vector<TableRecord> tables;
  std::uint64_t epoch = 0;  ///< this opener's; every commit carries it
};

}  // namespace sluice
