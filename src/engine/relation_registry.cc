#include "engine/relation_registry.h"

#include <algorithm>
#include <utility>

#include "postgres/catalog.h"
#include "postgres/table_facts.h"

namespace sluice::engine {
namespace {

/// Numbers of transactions come again, and nothing waits that long for the catalog.
constexpr Duration kAlterationLife = std::chrono::hours(1);
constexpr std::size_t kAlterationsMax = 10'000;

bool HasTextOnlyColumn(const TableSchema& schema) {
  return std::any_of(schema.columns.begin(), schema.columns.end(),
                     [](const Column& column) { return !types::HasCodec(column.type); });
}

}  // namespace

RelationRegistry::RelationRegistry(Connect connect, std::string publication,
                                   types::TypeCatalog types)
    : connect_(std::move(connect)),
      publication_(std::move(publication)),
      types_(std::make_shared<const types::TypeCatalog>(std::move(types))) {}

void RelationRegistry::AddTable(RelationId relation, TableName name, SchemaPtr known) {
  const base::MutexLock lock(mutex_);
  tables_[relation] = {std::move(name), std::move(known)};
}

void RelationRegistry::RemoveTable(RelationId relation) {
  const base::MutexLock lock(mutex_);
  tables_.erase(relation);
}

void RelationRegistry::TakeUnknown(std::function<bool(const TableName&)> is_wanted,
                                   std::function<void()> on_found) {
  is_wanted_ = std::move(is_wanted);
  on_found_ = std::move(on_found);
}

void RelationRegistry::SetTypes(types::TypeCatalog types) {
  const base::MutexLock lock(mutex_);
  types.SetPolicies(types_->policies());
  types_ = std::make_shared<const types::TypeCatalog>(std::move(types));
}

void RelationRegistry::SetKnown(RelationId relation, const SchemaPtr& schema) {
  const base::MutexLock lock(mutex_);
  const auto found = tables_.find(relation);
  if (found != tables_.end()) found->second.known = schema;
}

std::vector<std::string> RelationRegistry::TextOnlyColumns() const {
  const base::MutexLock lock(mutex_);
  std::vector<std::string> columns;
  for (const auto& [id, table] : tables_) {
    if (!table.known) continue;
    for (const Column& column : table.known->columns) {
      if (!types::HasCodec(column.type))
        columns.push_back(ToString(table.name) + "." + column.name);
    }
  }
  return columns;
}

void RelationRegistry::SetStreamIsBinary(bool is_binary) {
  const base::MutexLock lock(mutex_);
  stream_is_binary_ = is_binary;
}

std::shared_ptr<const types::TypeCatalog> RelationRegistry::types() const {
  const base::MutexLock lock(mutex_);
  return types_;
}

Result<replication::Resolution> RelationRegistry::Resolve(
    const pgoutput::Relation& relation, const replication::RelationContext& context) {
  SchemaPtr known;
  bool stream_is_binary = true;
  {
    const base::MutexLock lock(mutex_);
    const auto found = tables_.find(relation.id);
    const bool is_new = found == tables_.end();
    if (is_new && (!is_wanted_ || !is_wanted_(relation.name)))
      return replication::Resolution::Ignore();
    if (is_new) {
      tables_[relation.id] = {relation.name, nullptr};
      on_found_();
    } else {
      known = found->second.known;
    }
    stream_is_binary = stream_is_binary_;
  }
  bool is_followed = true;
  Result<SchemaPtr> placed = Place(relation, known, context.xid, &is_followed);
  if (!placed) {
    const ErrorKind kind = placed.error().kind;
    if (kind == ErrorKind::kUnsupported) return replication::Resolution::Fail(placed.error());
    return std::move(placed).error();
  }
  const SchemaPtr schema = *std::move(placed);
  if (stream_is_binary && HasTextOnlyColumn(*schema)) {
    SetKnown(relation.id, schema);
    return Error{.kind = ErrorKind::kConnection,
                 .message = "a column of " + ToString(relation.name) +
                            " is only understood as text: the stream starts again in text form",
                 .code = "SLU-3091"};
  }
  if (is_followed && schema != known) SetKnown(relation.id, schema);
  return replication::Resolution::Use(schema);
}

/// \param is_followed false: later messages are placed from the same known version.
Result<SchemaPtr> RelationRegistry::Place(const pgoutput::Relation& relation,
                                          const SchemaPtr& known, TransactionId xid,
                                          bool* is_followed) {
  SLUICE_RETURN_IF_ERROR(Open());
  if (known) {
    SLUICE_ASSIGN_OR_RETURN(const auto described, replication::DescribedBy(relation, *types()));
    const bool looks_known = replication::LooksSame(*known, *described);
    if (looks_known) {
      SLUICE_ASSIGN_OR_RETURN(const bool was_altered, WasAltered(*known));
      if (!was_altered) return known;
    }
  }
  Result<Loaded> loaded = Load(*connection_, relation.id);
  if (!loaded) {
    SLUICE_RETURN_IF_ERROR(NoteLost(loaded.error()));
    return std::move(loaded).error();
  }
  const SchemaPtr catalog = loaded->schema;
  SLUICE_ASSIGN_OR_RETURN(const auto described, replication::DescribedBy(relation, *types()));
  if (!catalog) {
    // Dropped meanwhile: what is still to come of it is of little use.
    if (known && replication::LooksSame(*known, *described)) return known;
    *is_followed = false;
    return Unplaced(relation, known ? known->since : Lsn{}, "the table was dropped meanwhile");
  }
  if (!known) {
    if (replication::LooksSame(*catalog, *described)) return catalog;
    *is_followed = false;
    return Unplaced(relation, catalog->since, "it was altered before its rows were read");
  }
  const replication::SchemaComparison change = replication::CompareVersions(*known, *catalog);
  *is_followed = false;
  if (change.change == replication::SchemaChange::kCopyAgain)
    return Unplaced(relation, catalog->since, change.reason);
  const bool is_in_force =
      replication::LooksSame(*catalog, *described) &&
      replication::IsInForce(*known, loaded->alterations,
                             [&](std::uint32_t by) { return HasPassed(by, xid); });
  if (is_in_force) {
    *is_followed = true;
    return catalog;
  }
  if (const SchemaPtr version = replication::PlaceVersion(known, catalog, *described)) {
    *is_followed = true;
    return version;
  }
  return Unplaced(relation, catalog->since,
                  "which of several alterations came before its rows cannot be told");
}

void RelationRegistry::NoteAlteration(TransactionId xid) {
  const Clock::time_point now = Clock::now();
  const bool is_repeated = !alterations_.empty() && alterations_.back().xid == xid;
  if (!is_repeated) alterations_.push_back({xid, now});
  while (alterations_.size() > kAlterationsMax ||
         now - alterations_.front().noted_at > kAlterationLife)
    alterations_.pop_front();
}

/// Not of the transaction that is being read: what it did before its rows and what after cannot be
/// told.
bool RelationRegistry::HasPassed(std::uint32_t altered_by, TransactionId reading) const {
  const Clock::time_point now = Clock::now();
  return altered_by != reading.value &&
         std::any_of(alterations_.begin(), alterations_.end(), [&](const Alteration& alteration) {
           return alteration.xid.value == altered_by && now - alteration.noted_at < kAlterationLife;
         });
}

Result<SchemaPtr> RelationRegistry::Unplaced(const pgoutput::Relation& relation, Lsn since,
                                             std::string reason) {
  SLUICE_ASSIGN_OR_RETURN(const auto described, replication::DescribedBy(relation, *types()));
  described->since = since;
  described->unplaced = std::move(reason);
  return SchemaPtr(described);
}

Result<bool> RelationRegistry::WasAltered(const TableSchema& known) {
  if (known.facts.stamp.empty()) return true;
  auto stamps =
      postgres::ReadTableStamps(*connection_, std::span(&known.relation, 1), publication_);
  if (!stamps) {
    SLUICE_RETURN_IF_ERROR(NoteLost(stamps.error()));
    return std::move(stamps).error();
  }
  const auto found = stamps->find(known.relation);
  return found == stamps->end() || found->second != known.facts.stamp;
}

Status RelationRegistry::Open() {
  if (connection_ && connection_->is_alive()) return {};
  SLUICE_ASSIGN_OR_RETURN(postgres::Connection connection, connect_());
  connection_.emplace(std::move(connection));
  return {};
}

/// The connection is not used again after an error of its own.
Status RelationRegistry::NoteLost(const Error& error) {
  if (error.kind != ErrorKind::kUnsupported) connection_.reset();
  return {};
}

void RelationRegistry::OnType(const pgoutput::Type& /*type*/,
                              const replication::RelationContext& /*context*/) {
  // Names of types are in the catalog; the Relation that follows brings its oid, which is looked up
  // there.
}

Status RelationRegistry::ReloadTypes(postgres::Connection& connection) {
  SLUICE_ASSIGN_OR_RETURN(types::TypeCatalog types, postgres::LoadTypeCatalog(connection));
  const base::MutexLock lock(mutex_);
  types.SetPolicies(types_->policies());
  types_ = std::make_shared<const types::TypeCatalog>(std::move(types));
  return {};
}

Result<SchemaPtr> RelationRegistry::LoadVersion(postgres::Connection& connection,
                                                RelationId relation) {
  SLUICE_ASSIGN_OR_RETURN(Loaded loaded, Load(connection, relation));
  return std::move(loaded.schema);
}

Result<RelationRegistry::Loaded> RelationRegistry::Load(postgres::Connection& connection,
                                                        RelationId relation) {
  SLUICE_RETURN_IF_ERROR(
      connection.Exec("begin to read a table", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  const auto read = [&]() -> Result<Loaded> {
    SLUICE_RETURN_IF_ERROR(ReloadTypes(connection));
    Result<postgres::LoadedTable> table =
        postgres::LoadTableSchema(connection, *types(), relation, publication_);
    if (!table && table.error().code == "SLU-2103") return Loaded{};
    if (!table) return std::move(table).error();
    Loaded loaded;
    SLUICE_ASSIGN_OR_RETURN(const std::vector<postgres::ColumnWrite> writes,
                            postgres::ReadColumnWrites(connection, relation));
    for (const postgres::ColumnWrite& write : writes)
      loaded.alterations.push_back({write.attnum, write.written_by});
    // After the snapshot was taken: what it shows lies before.
    SLUICE_ASSIGN_OR_RETURN(
        const postgres::QueryResult rows,
        connection.Exec("read the insert position", "SELECT pg_current_wal_insert_lsn()"));
    auto schema = std::make_shared<TableSchema>(*table->schema);
    SLUICE_ASSIGN_OR_RETURN(schema->since, rows.LsnAt(0, 0));
    loaded.schema = std::move(schema);
    return loaded;
  };
  Result<Loaded> loaded = read();
  if (connection.is_alive()) (void)connection.Exec("end reading a table", "ROLLBACK");
  return loaded;
}

}  // namespace sluice::engine
