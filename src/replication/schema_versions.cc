#include "replication/schema_versions.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::replication {
namespace {

constexpr Oid kText{25};
constexpr Oid kVarchar{1043};
constexpr Oid kVarbit{1562};

Error Changed(const TableSchema& known, std::string what) {
  const std::string table = ToString(known.name);
  return {.kind = ErrorKind::kSchemaConflict,
          .message = "schema changed: " + std::move(what),
          .code = "SLU-4201",
          .advice = "sluice resync " + table};
}

// Neither the server nor we have to touch a stored value. A shorter limit is not among them: it
// cuts trailing blanks.
bool KeepsValues(const ColumnType& from, const ColumnType& to) {
  if (from == to) return true;
  const bool widens = to.typmod == -1 || (from.typmod != -1 && to.typmod >= from.typmod);
  if (from.oid == to.oid) return (from.oid == kVarchar || from.oid == kVarbit) && widens;
  const auto is_string = [](const ColumnType& type) {
    return type.oid == kText || type.oid == kVarchar;
  };
  return is_string(from) && is_string(to) && to.typmod == -1;
}

bool HasColumn(const TableSchema& schema, const std::string& name) {
  return std::any_of(schema.columns.begin(), schema.columns.end(),
                     [&](const Column& column) { return column.name == name; });
}

std::string Describe(const TableSchema& known, const TableSchema& now, std::size_t at) {
  const Column& column = known.columns[at];
  const std::string name = "column \"" + column.name + "\" ";
  if (!HasColumn(now, column.name)) {
    const bool may_be_renamed = at < now.columns.size() && !HasColumn(known, now.columns[at].name);
    return may_be_renamed ? name + "was dropped, or renamed to \"" + now.columns[at].name + "\""
                          : name + "was dropped";
  }
  if (now.columns[at].name != column.name) return name + "is at another place";
  return name + "was " + column.type.name + " and is " + now.columns[at].type.name;
}

std::vector<std::string> Names(const TableSchema& schema,
                               const std::vector<std::int32_t>& indexes) {
  std::vector<std::string> names;
  for (const std::int32_t index : indexes) {
    names.push_back(schema.columns[static_cast<std::size_t>(index)].name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool SameIdentity(const TableSchema& known, const TableSchema& now) {
  if (known.identity != now.identity) return false;
  if (known.identity == ReplicaIdentity::kFull) return true;
  return Names(known, known.identity_columns) == Names(now, now.identity_columns);
}

}  // namespace

Result<SchemaChange> CompareSchema(const TableSchema& known, const TableSchema& now) {
  if (known.name != now.name) {
    return Changed(known, "the table was renamed to " + ToString(now.name));
  }
  for (std::size_t i = 0; i < known.columns.size(); ++i) {
    const bool is_same = i < now.columns.size() && known.columns[i].name == now.columns[i].name &&
                         KeepsValues(known.columns[i].type, now.columns[i].type);
    if (!is_same) return Changed(known, Describe(known, now, i));
  }
  if (!SameIdentity(known, now)) return Changed(known, "the replica identity is another one");
  if (Names(known, known.key) != Names(now, now.key)) {
    return Changed(known, "the primary key is another one");
  }
  return now.columns.size() > known.columns.size() ? SchemaChange::kColumnsAdded
                                                   : SchemaChange::kNone;
}

Result<FollowedRelation> FollowRelation(const SchemaPtr& known, const pgoutput::Relation& relation,
                                        const types::TypeCatalog& catalog) {
  auto now = std::make_shared<TableSchema>();
  now->relation = relation.id;
  now->name = relation.name;
  now->identity = relation.identity;
  for (const pgoutput::RelationColumn& sent : relation.columns) {
    SLUICE_ASSIGN_OR_RETURN(
        ColumnType type, catalog.ResolveColumn(relation.name, sent.name, sent.type, sent.typmod));
    if (sent.is_identity) {
      now->identity_columns.push_back(static_cast<std::int32_t>(now->columns.size()));
    }
    Column& column = now->columns.emplace_back();
    column.name = sent.name;
    column.type = std::move(type);
    column.is_identity = sent.is_identity;
  }
  // Under FULL the message does not tell the primary key.
  now->key = relation.identity == ReplicaIdentity::kFull ? known->key : now->identity_columns;
  SLUICE_ASSIGN_OR_RETURN(const SchemaChange change, CompareSchema(*known, *now));
  if (change == SchemaChange::kNone) return FollowedRelation{.change = change, .schema = known};
  // The catalog knew more of the columns that were there.
  std::copy(known->columns.begin(), known->columns.end(), now->columns.begin());
  now->key = known->key;
  return FollowedRelation{.change = change, .schema = std::move(now)};
}

}  // namespace sluice::replication
