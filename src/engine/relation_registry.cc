#include "engine/relation_registry.h"

#include <algorithm>
#include <utility>

#include "postgres/catalog.h"
#include "postgres/column_facts.h"

namespace sluice::engine {
namespace {

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
  if (known && Agrees(*known, relation)) return replication::Resolution::Use(known);
  SLUICE_ASSIGN_OR_RETURN(const SchemaPtr catalog, LoadFromCatalog(relation));
  SchemaPtr schema = catalog && Agrees(*catalog, relation) ? catalog : nullptr;
  if (!schema) {
    Result<SchemaPtr> from_message = FromMessage(relation, known, catalog);
    if (!from_message) return replication::Resolution::Fail(from_message.error());
    schema = *std::move(from_message);
  }
  if (known && schema->columns.size() > known->columns.size()) {
    SLUICE_ASSIGN_OR_RETURN(const std::optional<Error> unknown, CheckAddedColumns(*known, *schema));
    if (unknown) return replication::Resolution::Fail(*unknown);
  }
  if (stream_is_binary && HasTextOnlyColumn(*schema)) {
    SetKnown(relation.id, schema);
    return Error{.kind = ErrorKind::kConnection,
                 .message = "a column of " + ToString(relation.name) +
                            " is only understood as text: the stream starts again in text form",
                 .code = "SLU-3091"};
  }
  if (!context.is_replayed) SetKnown(relation.id, schema);
  return replication::Resolution::Use(std::move(schema));
}

/// A default that was computed row by row rewrote the table without a word in the stream; a
/// constant one is stored as missing value. A default set after the column was added looks the same
/// and is refused, too.
Result<std::optional<Error>> RelationRegistry::CheckAddedColumns(const TableSchema& known,
                                                                 const TableSchema& schema) {
  SLUICE_ASSIGN_OR_RETURN(const std::vector<std::string> computed,
                          postgres::ReadComputedDefaults(*connection_, schema.relation));
  for (const Column& column : schema.columns) {
    const bool is_known = std::any_of(known.columns.begin(), known.columns.end(),
                                      [&](const Column& c) { return c.name == column.name; });
    if (is_known || std::find(computed.begin(), computed.end(), column.name) == computed.end())
      continue;
    return std::optional<Error>(Error{
        .kind = ErrorKind::kSchemaConflict,
        .message = "schema changed: column " + column.name +
                   " was added with a default whose values in older rows are not in the stream",
        .code = "SLU-4205",
        .advice = "sluice resync " + ToString(schema.name)});
  }
  return std::optional<Error>();
}

void RelationRegistry::OnType(const pgoutput::Type& /*type*/,
                              const replication::RelationContext& /*context*/) {
  // Names of types are in the catalog; the Relation that follows brings its oid, which is looked up
  // there.
}

bool RelationRegistry::Agrees(const TableSchema& schema, const pgoutput::Relation& relation) const {
  if (schema.columns.size() != relation.columns.size() || schema.identity != relation.identity)
    return false;
  const std::shared_ptr<const types::TypeCatalog> catalog = types();
  for (std::size_t i = 0; i < relation.columns.size(); ++i) {
    const pgoutput::RelationColumn& sent = relation.columns[i];
    const Column& column = schema.columns[i];
    if (sent.name != column.name || sent.is_identity != column.is_identity) return false;
    const Result<ColumnType> type = catalog->Resolve(sent.type, sent.typmod);
    if (!type || !(*type == column.type)) return false;
  }
  return true;
}

Status RelationRegistry::ReloadTypes() {
  SLUICE_ASSIGN_OR_RETURN(types::TypeCatalog types, postgres::LoadTypeCatalog(*connection_));
  const base::MutexLock lock(mutex_);
  types_ = std::make_shared<const types::TypeCatalog>(std::move(types));
  return {};
}

/// What the catalog says now, which may be later than the message; nullptr: the table is gone.
Result<SchemaPtr> RelationRegistry::LoadFromCatalog(const pgoutput::Relation& relation) {
  if (!connection_ || !connection_->is_alive()) {
    SLUICE_ASSIGN_OR_RETURN(postgres::Connection connection, connect_());
    connection_.emplace(std::move(connection));
  }
  SLUICE_RETURN_IF_ERROR(ReloadTypes());
  Result<postgres::LoadedTable> loaded =
      postgres::LoadTableSchema(*connection_, *types(), relation.id, publication_);
  if (!loaded) {
    if (loaded.error().kind == ErrorKind::kConnection ||
        loaded.error().kind == ErrorKind::kTimeout) {
      connection_.reset();
      return std::move(loaded).error();
    }
    return SchemaPtr{};
  }
  return loaded->schema;
}

namespace {

const Column* FindColumn(const SchemaPtr& schema, const std::string& name) {
  if (!schema) return nullptr;
  const auto found = std::find_if(schema->columns.begin(), schema->columns.end(),
                                  [&](const Column& column) { return column.name == name; });
  return found == schema->columns.end() ? nullptr : &*found;
}

/// The key's columns by name in `schema`; empty where one of them is gone.
std::vector<std::int32_t> KeyOf(const TableSchema& known, const TableSchema& schema) {
  std::vector<std::int32_t> key;
  for (const std::int32_t index : known.key) {
    const std::string& name = known.columns[static_cast<std::size_t>(index)].name;
    for (std::size_t i = 0; i < schema.columns.size(); ++i) {
      if (schema.columns[i].name == name) key.push_back(static_cast<std::int32_t>(i));
    }
  }
  if (key.size() != known.key.size()) key.clear();
  return key;
}

}  // namespace

/// A column the known version lacks is looked up in the later catalog: what older rows read as was
/// fixed when it was added. Dropped again meanwhile, nobody can tell.
Result<SchemaPtr> RelationRegistry::FromMessage(const pgoutput::Relation& relation,
                                                const SchemaPtr& known,
                                                const SchemaPtr& catalog) const {
  auto schema = std::make_shared<TableSchema>();
  schema->relation = relation.id;
  schema->name = relation.name;
  schema->identity = relation.identity;
  const std::shared_ptr<const types::TypeCatalog> type_catalog = types();
  for (std::size_t i = 0; i < relation.columns.size(); ++i) {
    const pgoutput::RelationColumn& sent = relation.columns[i];
    Column column;
    column.name = sent.name;
    SLUICE_ASSIGN_OR_RETURN(column.type, type_catalog->Resolve(sent.type, sent.typmod));
    column.is_identity = sent.is_identity;
    if (sent.is_identity) schema->identity_columns.push_back(static_cast<std::int32_t>(i));
    const Column* same = FindColumn(known, sent.name);
    if (same == nullptr) same = FindColumn(catalog, sent.name);
    if (same == nullptr && known) {
      return Error{
          .kind = ErrorKind::kSchemaConflict,
          .message = "schema changed twice before its rows came: what rows from before column " +
                     sent.name + " read as can no longer be told",
          .code = "SLU-4204"};
    }
    if (same != nullptr) {
      column.is_nullable = same->is_nullable;
      column.missing_value = same->missing_value;
      column.attnum = same->attnum;
    }
    schema->columns.push_back(std::move(column));
  }
  schema->key = schema->identity_columns;
  if (relation.identity == ReplicaIdentity::kFull) {
    schema->key = known ? KeyOf(*known, *schema) : std::vector<std::int32_t>{};
  }
  return SchemaPtr(std::move(schema));
}

}  // namespace sluice::engine
