#include "engine/relation_registry.h"

#include <algorithm>
#include <utility>

#include "columnar/raw_rows.h"
#include "postgres/catalog.h"
#include "postgres/server_facts.h"
#include "postgres/standby.h"
#include "postgres/table_facts.h"
#include "replication/partition_changes.h"
#include "replication/snapshot.h"

namespace sluice::engine {
namespace {

/// Numbers of transactions come again, and nothing waits that long for the catalog.
constexpr Duration kAlterationLife = std::chrono::hours(1);
constexpr std::size_t kAlterationsMax = 10'000;

bool HasTextOnlyColumn(const TableSchema& schema) {
  return std::any_of(schema.columns.begin(), schema.columns.end(),
                     [](const Column& column) { return !types::HasCodec(column.type); });
}

/// A version that is known, with what is taken of a row.
Result<types::KeptColumns> As(const SchemaPtr& version, const SchemaPtr& whole) {
  SLUICE_ASSIGN_OR_RETURN(types::KeptColumns kept, types::KeepColumns(whole, version->hidden));
  kept.schema = version;
  return kept;
}

/// What a message says, and no number: rows of it only go where the table has this very shape.
/// Where columns are hidden, and it is not what the catalog says, a hidden one cannot be told from
/// the others: its rows are not decoded at all, and the table is copied again. \param catalog may
/// be null.
Result<types::KeptColumns> Unplaced(const std::shared_ptr<TableSchema>& described, Lsn since,
                                    std::string reason, const SchemaPtr& catalog,
                                    const std::vector<HiddenColumn>& hidden) {
  described->since = since;
  described->unplaced = std::move(reason);
  if (hidden.empty()) return types::KeptColumns{described, {}};
  if (!catalog || !replication::LooksSame(*catalog, *described))
    return replication::CopyAgainError(described->unplaced);
  for (std::size_t i = 0; i < described->columns.size(); ++i)
    described->columns[i].attnum = catalog->columns[i].attnum;
  SLUICE_ASSIGN_OR_RETURN(types::KeptColumns kept, types::KeepColumns(described, hidden));
  auto schema = std::make_shared<TableSchema>(*kept.schema);
  for (Column& column : schema->columns) column.attnum = 0;
  kept.schema = std::move(schema);
  return kept;
}

constexpr std::string_view kStrays = "a partition that is gone had rows of it";

/// As placed, but rows of it only go where a copy was that began later.
types::KeptColumns WithStrays(types::KeptColumns placed, Lsn strays_until) {
  if (!placed.schema->unplaced.empty()) return placed;
  auto schema = std::make_shared<TableSchema>(*placed.schema);
  schema->since = strays_until;
  schema->unplaced = kStrays;
  schema->facts = {};
  for (Column& column : schema->columns) column.attnum = 0;
  placed.schema = std::move(schema);
  return placed;
}

/// A partition has its root's columns, in an order of its own.
bool HasSameColumns(const pgoutput::Relation& root, const pgoutput::Relation& partition) {
  return std::is_permutation(
      root.columns.begin(), root.columns.end(), partition.columns.begin(), partition.columns.end(),
      [](const auto& one, const auto& other) { return one.name == other.name; });
}

void Merge(std::vector<HiddenColumn>& into, const std::vector<HiddenColumn>& hidden) {
  for (const HiddenColumn& one : hidden) {
    const auto known = std::find_if(into.begin(), into.end(), [&](const HiddenColumn& other) {
      return other.column.attnum == one.column.attnum;
    });
    if (known == into.end()) into.push_back(one);
  }
}

}  // namespace

RelationRegistry::RelationRegistry(Connect connect, std::string publication,
                                   types::TypeCatalog types)
    : connect_(std::move(connect)),
      publication_(std::move(publication)),
      types_(std::make_shared<const types::TypeCatalog>(std::move(types))) {}

void RelationRegistry::AddTable(RelationId relation, TableName name, SchemaPtr known) {
  const base::MutexLock lock(mutex_);
  if (known) Merge(hidden_[relation], known->hidden);
  Table& table = tables_[relation];
  table.name = std::move(name);
  table.known = std::move(known);
  table.is_raw = false;
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
  types.TakeDeclared(*types_);
  types_ = std::make_shared<const types::TypeCatalog>(std::move(types));
}

void RelationRegistry::SetKnown(RelationId relation, const SchemaPtr& schema) {
  const base::MutexLock lock(mutex_);
  const auto found = tables_.find(relation);
  if (found == tables_.end()) return;
  if (schema) Merge(hidden_[relation], schema->hidden);
  found->second.known = schema;
}

void RelationRegistry::RememberHidden(RelationId relation, const TableSchema& schema) {
  const base::MutexLock lock(mutex_);
  Merge(hidden_[relation], schema.hidden);
}

std::vector<HiddenColumn> RelationRegistry::HiddenOf(RelationId relation) const {
  const base::MutexLock lock(mutex_);
  const auto found = hidden_.find(relation);
  return found == hidden_.end() ? std::vector<HiddenColumn>{} : found->second;
}

bool RelationRegistry::Release(RelationId relation) {
  const base::MutexLock lock(mutex_);
  const auto found = hidden_.find(relation);
  if (found == hidden_.end() || !types_->rules()) return false;
  std::vector<HiddenColumn> still = types::WithoutReleased(found->second, *types_->rules());
  if (still.size() == found->second.size()) return false;
  found->second = std::move(still);
  if (const auto table = tables_.find(relation); table != tables_.end())
    table->second.known = nullptr;
  return true;
}

std::vector<std::string> RelationRegistry::TextOnlyColumns() const {
  const base::MutexLock lock(mutex_);
  std::vector<std::string> columns;
  for (const auto& [id, table] : tables_) {
    if (!table.known) continue;
    for (const Column& column : table.known->columns) {
      if (types::HasCodec(column.type)) continue;
      // What is known may be older than what is declared now.
      const auto declared =
          types_->ResolveColumn(table.name, column.name, column.type.oid, column.type.typmod);
      if (declared && types::HasCodec(*declared)) continue;
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
  SLUICE_ASSIGN_OR_RETURN(replication::Resolution resolution, ResolveAlone(relation, context));
  if (const std::optional<Root> root = std::exchange(last_root_, std::nullopt)) {
    SLUICE_ASSIGN_OR_RETURN(const bool is_stray, IsStray(*root, relation, context));
    if (is_stray) {
      SLUICE_ASSIGN_OR_RETURN(replication::Resolution of_root,
                              ResolveAlone(root->message, context));
      resolution.root = std::make_shared<const replication::RootResolution>(
          replication::RootResolution{root->message.id, std::move(of_root)});
    }
  }
  const SchemaPtr& schema = resolution.schema;
  if (!schema) return resolution;
  const CatalogFacts& facts = schema->raw_of ? schema->raw_of->facts : schema->facts;
  if (replication::HasPartitions(facts.files)) last_root_ = Root{relation, facts.files};
  return resolution;
}

Result<bool> RelationRegistry::IsStray(const Root& root, const pgoutput::Relation& partition,
                                       const replication::RelationContext& context) {
  // Another table's message, behind that of a root which was truncated.
  if (!HasSameColumns(root.message, partition)) return false;
  if (replication::HasPartition(root.partitions, partition.id)) return false;
  SLUICE_RETURN_IF_ERROR(Open());
  const auto look = [&]() -> Result<bool> {
    if (!context.commit_lsn) {
      SLUICE_ASSIGN_OR_RETURN(const std::string text, postgres::ReadSnapshotText(*connection_));
      SLUICE_ASSIGN_OR_RETURN(const auto snapshot, replication::ParseSnapshot(text));
      // It runs, and may have made the partition.
      if (!snapshot.Sees(context.xid)) {
        unseen_.insert({context.xid, root.message.id, partition.id});
        return false;
      }
    }
    SLUICE_ASSIGN_OR_RETURN(const Loaded loaded, Load(*connection_, root.message.id));
    if (!loaded.schema) return false;
    if (replication::HasPartition(loaded.schema->facts.files, partition.id)) return false;
    const base::MutexLock lock(mutex_);
    const auto found = tables_.find(root.message.id);
    if (found == tables_.end()) return false;
    found->second.strays_until = loaded.schema->since;
    return true;
  };
  Result<bool> is_stray = look();
  if (!is_stray) SLUICE_RETURN_IF_ERROR(NoteLost(is_stray.error()));
  return is_stray;
}

Result<std::vector<RelationRegistry::Failed>> RelationRegistry::OnStreamEnd(TransactionId xid,
                                                                            bool is_committed) {
  std::vector<Failed> out;
  const auto begin = unseen_.lower_bound({xid, {}, {}});
  auto end = begin;
  for (; end != unseen_.end() && end->xid == xid; ++end) {
    if (!is_committed || (!out.empty() && out.back().relation == end->root)) continue;
    SLUICE_RETURN_IF_ERROR(Open());
    const Result<Loaded> loaded = Load(*connection_, end->root);
    if (!loaded) {
      SLUICE_RETURN_IF_ERROR(NoteLost(loaded.error()));
      return loaded.error();
    }
    if (!loaded->schema || replication::HasPartition(loaded->schema->facts.files, end->partition))
      continue;
    out.push_back({end->root, replication::CopyAgainError(std::string(kStrays))});
  }
  unseen_.erase(begin, end);
  return out;
}

Result<replication::Resolution> RelationRegistry::ResolveAlone(
    const pgoutput::Relation& relation, const replication::RelationContext& context) {
  SchemaPtr known;
  Lsn strays_until;
  bool stream_is_binary = true;
  {
    const base::MutexLock lock(mutex_);
    const auto found = tables_.find(relation.id);
    const bool is_new = found == tables_.end();
    if (is_new && (!is_wanted_ || !is_wanted_(relation.name)))
      return replication::Resolution::Ignore();
    if (is_new) {
      tables_[relation.id].name = relation.name;
      on_found_();
    } else {
      known = found->second.known;
      strays_until = found->second.strays_until;
    }
    stream_is_binary = stream_is_binary_;
  }
  bool is_followed = true;
  Result<types::KeptColumns> placed = Place(relation, known, context.xid, &is_followed);
  if (placed && known && known->since < strays_until) {
    is_followed = false;
    placed = WithStrays(*placed, strays_until);
  }
  if (!placed) {
    const bool is_of_table = placed.error().kind == ErrorKind::kUnsupported ||
                             placed.error().kind == ErrorKind::kSchemaConflict;
    if (is_of_table) return replication::Resolution::Fail(placed.error());
    return std::move(placed).error();
  }
  const SchemaPtr schema = placed->schema;
  if (stream_is_binary && HasTextOnlyColumn(*schema)) {
    SetKnown(relation.id, schema);
    return Error{.kind = ErrorKind::kConnection,
                 .message = "a column of " + ToString(relation.name) +
                            " is only understood as text: the stream starts again in text form",
                 .code = "SLU-3091"};
  }
  if (is_followed && schema != known) SetKnown(relation.id, schema);
  if (const std::optional<SchemaPtr> raw = RawOf(schema))
    return replication::Resolution::Keep(*raw, std::move(placed->cells));
  return replication::Resolution::Use(schema, std::move(placed->cells));
}

/// Where nothing was altered the known version goes on; else the message is placed between that and
/// the catalog, both with all that the source has, and what is hidden is taken out by number.
/// \param is_followed false: later messages are placed from the same known version.
Result<types::KeptColumns> RelationRegistry::Place(const pgoutput::Relation& relation,
                                                   const SchemaPtr& known, TransactionId xid,
                                                   bool* is_followed) {
  SLUICE_RETURN_IF_ERROR(Open());
  const SchemaPtr whole = known ? types::WithHidden(known) : nullptr;
  if (known) {
    SLUICE_ASSIGN_OR_RETURN(const auto described, replication::DescribedBy(relation, *types()));
    const bool looks_known = replication::LooksSame(*whole, *described);
    if (looks_known) {
      SLUICE_ASSIGN_OR_RETURN(const bool was_altered, WasAltered(*known));
      if (!was_altered) return As(known, whole);
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
    if (known && replication::LooksSame(*whole, *described)) return As(known, whole);
    *is_followed = false;
    return Unplaced(described, known ? known->since : Lsn{}, "the table was dropped meanwhile",
                    nullptr, HiddenOf(relation.id));
  }
  const SchemaPtr whole_catalog = types::WithHidden(catalog);
  const auto unplaced = [&](std::string reason) {
    *is_followed = false;
    return Unplaced(described, catalog->since, std::move(reason), whole_catalog, catalog->hidden);
  };
  if (!known) {
    if (replication::LooksSame(*whole_catalog, *described)) return As(catalog, whole_catalog);
    return unplaced("it was altered before its rows were read");
  }
  const replication::SchemaComparison change = replication::CompareVersions(*known, *catalog);
  if (change.change == replication::SchemaChange::kCopyAgain) return unplaced(change.reason);
  const bool is_in_force =
      replication::LooksSame(*whole_catalog, *described) &&
      replication::IsInForce(*known, loaded->alterations,
                             [&](std::uint32_t by) { return HasPassed(by, xid); });
  if (is_in_force) return As(catalog, whole_catalog);
  const SchemaPtr version = replication::PlaceVersion(whole, whole_catalog, *described);
  if (!version) return unplaced("which of several alterations came before its rows cannot be told");
  if (version == whole_catalog) return As(catalog, whole_catalog);
  if (version == whole && known->hidden.size() == catalog->hidden.size()) return As(known, whole);
  return types::KeepColumns(version, catalog->hidden);
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

std::optional<SchemaPtr> RelationRegistry::RawOf(const SchemaPtr& schema) {
  const base::MutexLock lock(mutex_);
  const auto found = tables_.find(schema->relation);
  if (found == tables_.end() || !found->second.is_raw) return std::nullopt;
  SchemaPtr& raw = found->second.raw;
  if (!raw || raw->raw_of != schema) raw = columnar::RawSchema(schema);
  return raw;
}

void RelationRegistry::SetRaw(RelationId relation, bool is_raw) {
  const base::MutexLock lock(mutex_);
  const auto found = tables_.find(relation);
  if (found != tables_.end()) found->second.is_raw = is_raw;
}

Result<SchemaPtr> RelationRegistry::Redeclare(const SchemaPtr& version) const {
  auto schema = std::make_shared<TableSchema>(*version);
  const std::shared_ptr<const types::TypeCatalog> catalog = types();
  bool is_same = true;
  for (Column& column : schema->columns) {
    SLUICE_ASSIGN_OR_RETURN(
        ColumnType type,
        catalog->ResolveColumn(schema->name, column.name, column.type.oid, column.type.typmod));
    const OnMisfit on_misfit = catalog->MisfitPolicy(schema->name, column.name, type);
    is_same = is_same && type == column.type && on_misfit == column.on_misfit;
    column.type = std::move(type);
    column.on_misfit = on_misfit;
  }
  return is_same ? version : SchemaPtr(std::move(schema));
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
  types.TakeDeclared(*types_);
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
  if (const auto writing = connection.ForWriting(); !writing)
    return postgres::TroubleOfTheLine(writing.error());
  SLUICE_RETURN_IF_ERROR(
      connection.Exec("begin to read a table", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  const auto read = [&]() -> Result<Loaded> {
    SLUICE_RETURN_IF_ERROR(ReloadTypes(connection));
    Result<postgres::LoadedTable> table =
        postgres::LoadTableSchema(connection, *types(), relation, publication_, HiddenOf(relation));
    if (!table && table.error().code == "SLU-2103") return Loaded{};
    if (!table) return std::move(table).error();
    Loaded loaded;
    SLUICE_ASSIGN_OR_RETURN(const std::vector<postgres::ColumnWrite> writes,
                            postgres::ReadColumnWrites(connection, relation));
    for (const postgres::ColumnWrite& write : writes)
      loaded.alterations.push_back({write.attnum, write.written_by});
    // After the snapshot was taken: what it shows lies before.
    SLUICE_ASSIGN_OR_RETURN(const postgres::WalPositions positions,
                            postgres::ReadWalPositions(connection));
    SLUICE_ASSIGN_OR_RETURN(
        const postgres::QueryResult rows,
        connection.Exec("read a setting",
                        "SELECT pg_size_bytes(current_setting('wal_segment_size'))"));
    RememberHidden(relation, *table->schema);
    auto schema = std::make_shared<TableSchema>(*table->schema);
    SLUICE_ASSIGN_OR_RETURN(const std::uint64_t segment_bytes, rows.Unsigned64(0, 0));
    // Where the stream can come to while nobody writes.
    schema->since = replication::InsertLsnFloor(positions.insert_lsn, segment_bytes);
    loaded.schema = std::move(schema);
    return loaded;
  };
  Result<Loaded> loaded = read();
  if (connection.is_alive()) (void)connection.Exec("end reading a table", "ROLLBACK");
  return loaded;
}

}  // namespace sluice::engine
