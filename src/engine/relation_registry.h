/// \file
/// Which relations are ours and what they look like: answers the assembler's question at every
/// Relation message.
///
/// At every message one query asks whether the table was altered since the known version was read
/// (CatalogFacts::stamp). Where it was, the catalog is read, and the message is placed between the
/// two (replication/schema_versions.h). A version that cannot be placed is decoded all the same and
/// carries the reason: it matters only if rows of it are to be applied, and then the table copies
/// itself again.
///
/// Where the source tells of its schema changes (postgres/ddl_trigger.h), a transaction that
/// altered a table is known to be passed, and what it did is read in the catalog: then the place of
/// a change is certain, whatever came in between. A message only says that its transaction was
/// here.
///
/// The message of a partition comes behind that of its root. A partition that neither the version
/// in force nor the catalog knows came and went between two looks, or was detached: nothing else
/// tells that rows of it are not rows of the table any more, and the table copies itself again.
///
/// Columns that the user excluded are left out of every version (types/hidden_columns.h); what was
/// excluded once is remembered here by number, for as long as the registry lives.
///
/// Thread safety: every member from any thread; Resolve() and NoteAlteration() on the stream
/// thread, which waits for the catalog at most `statement_timeout` of its connection.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sluice/schema.h"

#include "base/mutex.h"
#include "postgres/connection.h"
#include "replication/relation_resolver.h"
#include "replication/schema_versions.h"
#include "types/hidden_columns.h"
#include "types/type_catalog.h"

namespace sluice::engine {

class RelationRegistry final : public replication::RelationResolver {
 public:
  /// Opens a connection for catalog reads; kept for the next one.
  using Connect = std::function<Result<postgres::Connection>()>;

  RelationRegistry(Connect connect, std::string publication, types::TypeCatalog types);

  /// \param known may be null: read from the catalog when the first change comes.
  void AddTable(RelationId relation, TableName name, SchemaPtr known);
  void RemoveTable(RelationId relation);
  /// Relations of a publication that nobody has added yet and this says yes to are described all
  /// the same, and told: what the stream once ignored it would not describe again. `on_found` runs
  /// on the stream thread. Before the first Resolve().
  void TakeUnknown(std::function<bool(const TableName&)> is_wanted, std::function<void()> on_found);
  /// The types of the database, read again: a new table may have new ones.
  void SetTypes(types::TypeCatalog types);
  /// What was excluded of a table in an earlier session, whatever its state is.
  void RememberHidden(RelationId relation, const TableSchema& schema);
  /// What was excluded of it and is not any more is known again. True: there was such a column, and
  /// the next version is read from the catalog.
  bool Release(RelationId relation);
  std::vector<HiddenColumn> HiddenOf(RelationId relation) const;
  /// A copy has read this version.
  void SetKnown(RelationId relation, const SchemaPtr& schema);

  /// This transaction altered some table. It counts as passed for what others did after it.
  void NoteAlteration(TransactionId xid);
  /// Changes of a halted table are taken undecoded, from its next Relation message on: they are
  /// kept or dropped, and a value that halted it halts nothing more.
  void SetRaw(RelationId relation, bool is_raw);
  /// The same columns with what is declared for them now.
  Result<SchemaPtr> Redeclare(const SchemaPtr& version) const;

  /// What the catalog says now: `since` is an insert LSN, all that the version shows committed
  /// before it. nullptr: the table is gone. Any thread, with a connection of its own.
  Result<SchemaPtr> LoadVersion(postgres::Connection& connection, RelationId relation);
  /// A copy's types may be newer than what was read last.
  Status ReloadTypes(postgres::Connection& connection);
  const std::string& publication() const { return publication_; }

  /// Columns whose binary form nobody here reads: the stream must be asked for text. For check and
  /// status.
  std::vector<std::string> TextOnlyColumns() const;
  /// The stream was started in binary: a version with such a column ends it (kConnection, SLU-3091)
  /// for a start in text.
  void SetStreamIsBinary(bool is_binary);

  std::shared_ptr<const types::TypeCatalog> types() const;

  Result<replication::Resolution> Resolve(const pgoutput::Relation& relation,
                                          const replication::RelationContext& context) override;
  void OnType(const pgoutput::Type& type, const replication::RelationContext& context) override;
  Result<std::vector<Failed>> OnStreamEnd(TransactionId xid, bool is_committed) override;

 private:
  struct Table {
    TableName name;
    SchemaPtr known;
    bool is_raw = false;
    SchemaPtr raw = {};  ///< of the version that was given out last
    /// Rows of a partition that is gone came before this; a copy that began since has none of them.
    Lsn strays_until = {};
  };
  /// A partitioned table whose message was the last one.
  struct Root {
    pgoutput::Relation message;
    std::string partitions;  ///< CatalogFacts::files of the version that was given out
  };
  /// A partition that a running transaction has rows of, and nobody else knows: it made it, and
  /// may drop it.
  struct Unseen {
    TransactionId xid;
    RelationId root;
    RelationId partition;
    auto operator<=>(const Unseen&) const = default;
  };
  /// A version of the catalog, and who altered each column.
  struct Loaded {
    SchemaPtr schema;  ///< nullptr: the table is gone
    std::vector<replication::ColumnAlteration> alterations;
  };
  Result<Loaded> Load(postgres::Connection& connection, RelationId relation);
  bool HasPassed(std::uint32_t altered_by, TransactionId reading) const;
  Result<replication::Resolution> ResolveAlone(const pgoutput::Relation& relation,
                                               const replication::RelationContext& context);
  /// Neither the version of the table that is in force nor the catalog knows this partition of it.
  Result<bool> IsStray(const Root& root, const pgoutput::Relation& partition,
                       const replication::RelationContext& context);
  Result<types::KeptColumns> Place(const pgoutput::Relation& relation, const SchemaPtr& known,
                                   TransactionId xid, bool* is_followed);
  /// nullopt: rows of it are decoded.
  std::optional<SchemaPtr> RawOf(const SchemaPtr& schema);
  Result<bool> WasAltered(const TableSchema& known);
  Status Open();
  Status NoteLost(const Error& error);

  Connect connect_;
  const std::string publication_;
  std::function<bool(const TableName&)> is_wanted_;
  std::function<void()> on_found_;
  std::optional<postgres::Connection> connection_;  // stream thread only
  struct Alteration {
    TransactionId xid;
    Clock::time_point noted_at;
  };
  std::deque<Alteration> alterations_;  // stream thread only
  std::optional<Root> last_root_;       // stream thread only
  std::set<Unseen> unseen_;             // stream thread only
  mutable base::Mutex mutex_;
  std::shared_ptr<const types::TypeCatalog> types_ SLUICE_GUARDED_BY(mutex_);
  std::map<RelationId, Table> tables_ SLUICE_GUARDED_BY(mutex_);
  std::map<RelationId, std::vector<HiddenColumn>> hidden_ SLUICE_GUARDED_BY(mutex_);
  bool stream_is_binary_ SLUICE_GUARDED_BY(mutex_) = true;
};

}  // namespace sluice::engine
