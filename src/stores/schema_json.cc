#include "stores/schema_json.h"

#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

namespace sluice::stores {
namespace {

using Json = nlohmann::json;

// Carriers by name, so that the order of the enum may change.
constexpr std::pair<Carrier, const char*> kCarriers[] = {
    {Carrier::kBool, "bool"},
    {Carrier::kInt16, "int16"},
    {Carrier::kInt32, "int32"},
    {Carrier::kInt64, "int64"},
    {Carrier::kUInt32, "uint32"},
    {Carrier::kFloat32, "float32"},
    {Carrier::kFloat64, "float64"},
    {Carrier::kDecimal, "decimal"},
    {Carrier::kText, "text"},
    {Carrier::kBytes, "bytes"},
    {Carrier::kDate, "date"},
    {Carrier::kTimestamp, "timestamp"},
    {Carrier::kTimestampTz, "timestamptz"},
    {Carrier::kTime, "time"},
    {Carrier::kInterval, "interval"},
    {Carrier::kUuid, "uuid"},
    {Carrier::kJson, "json"},
    {Carrier::kList, "list"},
    {Carrier::kStruct, "struct"},
    {Carrier::kMap, "map"},
};

const char* NameOf(Carrier carrier) {
  for (const auto& [value, name] : kCarriers) {
    if (value == carrier) return name;
  }
  return "text";
}

/// Throws Json::other_error for an unknown name; caught in Read().
Carrier CarrierOf(const std::string& text) {
  for (const auto& [value, name] : kCarriers) {
    if (text == name) return value;
  }
  throw Json::other_error::create(501, "unknown carrier", nullptr);
}

Json Of(const ColumnType& type) {
  Json out{{"oid", type.oid.value},       {"typmod", type.typmod},
           {"name", type.name},           {"carrier", NameOf(type.carrier)},
           {"precision", type.precision}, {"scale", type.scale},
           {"codec", type.codec}};
  for (const ColumnType& child : type.children) out["children"].push_back(Of(child));
  if (!type.child_names.empty()) out["child_names"] = type.child_names;
  return out;
}

ColumnType TypeOf(const Json& json) {
  ColumnType type;
  type.oid = Oid{json.at("oid").get<std::uint32_t>()};
  type.typmod = json.at("typmod").get<std::int32_t>();
  type.name = json.at("name").get<std::string>();
  type.carrier = CarrierOf(json.at("carrier").get<std::string>());
  type.precision = json.at("precision").get<std::uint8_t>();
  type.scale = json.at("scale").get<std::int8_t>();
  type.codec = json.at("codec").get<std::string>();
  for (const Json& child : json.value("children", Json::array())) {
    type.children.push_back(TypeOf(child));
  }
  type.child_names = json.value("child_names", std::vector<std::string>{});
  return type;
}

OnMisfit MisfitPolicyOf(const std::string& text) {
  for (const OnMisfit policy : {OnMisfit::kHalt, OnMisfit::kNull, OnMisfit::kQuarantine}) {
    if (text == ToString(policy)) return policy;
  }
  throw Json::other_error::create(501, "unknown policy", nullptr);
}

Json Of(const Column& column) {
  Json out{{"name", column.name},
           {"type", Of(column.type)},
           {"attnum", column.attnum},
           {"identity", column.is_identity},
           {"nullable", column.is_nullable}};
  if (column.missing_value) out["missing"] = *column.missing_value;
  if (column.altered_by != 0) out["altered_by"] = column.altered_by;
  if (column.on_misfit != OnMisfit::kHalt) out["on_misfit"] = ToString(column.on_misfit);
  return out;
}

Column ColumnOf(const Json& json) {
  Column column;
  column.name = json.at("name").get<std::string>();
  column.type = TypeOf(json.at("type"));
  column.attnum = json.at("attnum").get<std::int16_t>();
  column.is_identity = json.at("identity").get<bool>();
  column.is_nullable = json.at("nullable").get<bool>();
  if (json.contains("missing")) column.missing_value = json["missing"].get<std::string>();
  column.altered_by = json.value("altered_by", std::uint32_t{0});
  column.on_misfit = MisfitPolicyOf(json.value("on_misfit", std::string("halt")));
  return column;
}

Json Of(const TableName& name) {
  return Json{{"schema", name.schema}, {"table", name.table}};
}
TableName NameOf(const Json& json) {
  return {json.at("schema").get<std::string>(), json.at("table").get<std::string>()};
}

Json Of(const CatalogFacts& facts) {
  Json out{{"stamp", facts.stamp}, {"files", facts.files}, {"attnum_max", facts.attnum_max}};
  for (const EnumLabel& label : facts.labels) {
    out["labels"].push_back({label.oid.value, label.text, label.written_by});
  }
  return out;
}

CatalogFacts FactsOf(const Json& json) {
  CatalogFacts facts;
  facts.stamp = json.value("stamp", std::string{});
  facts.files = json.value("files", std::string{});
  facts.attnum_max = json.value("attnum_max", std::int16_t{0});
  for (const Json& label : json.value("labels", Json::array())) {
    facts.labels.push_back({Oid{label.at(0).get<std::uint32_t>()}, label.at(1).get<std::string>(),
                            label.size() > 2 ? label.at(2).get<std::uint32_t>() : 0});
  }
  return facts;
}

Json Of(const HiddenColumn& hidden) {
  return Json{{"column", Of(hidden.column)},
              {"rule_table", Of(hidden.rule_table)},
              {"rule_name", hidden.rule_name},
              {"gone", hidden.is_gone}};
}

HiddenColumn HiddenOf(const Json& json) {
  return {ColumnOf(json.at("column")), NameOf(json.at("rule_table")),
          json.at("rule_name").get<std::string>(), json.value("gone", false)};
}

Json Of(const TableSchema& schema) {
  Json out{{"relation", schema.relation.value},
           {"name", Of(schema.name)},
           {"identity", std::string(1, static_cast<char>(schema.identity))},
           {"key", schema.key},
           {"identity_columns", schema.identity_columns},
           {"since", schema.since.value},
           {"columns", Json::array()}};
  for (const Column& column : schema.columns) out["columns"].push_back(Of(column));
  out["facts"] = Of(schema.facts);
  for (const HiddenColumn& hidden : schema.hidden) out["hidden"].push_back(Of(hidden));
  if (!schema.unplaced.empty()) out["unplaced"] = schema.unplaced;
  return out;
}

/// Every index must be one of a column: later code indexes with them.
void CheckIndexes(const std::vector<std::int32_t>& indexes, std::size_t columns) {
  for (const std::int32_t index : indexes) {
    if (index < 0 || static_cast<std::size_t>(index) >= columns) {
      throw Json::other_error::create(501, "column index out of range", nullptr);
    }
  }
}

SchemaPtr SchemaOf(const Json& json) {
  auto schema = std::make_shared<TableSchema>();
  schema->relation = RelationId{json.at("relation").get<std::uint32_t>()};
  schema->name = NameOf(json.at("name"));
  const auto identity = json.at("identity").get<std::string>();
  if (identity.size() != 1 || std::string("dnfi").find(identity) == std::string::npos) {
    throw Json::other_error::create(501, "unknown replica identity", nullptr);
  }
  schema->identity = static_cast<ReplicaIdentity>(identity[0]);
  for (const Json& column : json.at("columns")) schema->columns.push_back(ColumnOf(column));
  schema->key = json.at("key").get<std::vector<std::int32_t>>();
  schema->identity_columns = json.at("identity_columns").get<std::vector<std::int32_t>>();
  CheckIndexes(schema->key, schema->columns.size());
  CheckIndexes(schema->identity_columns, schema->columns.size());
  schema->since = Lsn{json.at("since").get<std::uint64_t>()};
  schema->facts = FactsOf(json.value("facts", Json::object()));
  for (const Json& hidden : json.value("hidden", Json::array()))
    schema->hidden.push_back(HiddenOf(hidden));
  schema->unplaced = json.value("unplaced", std::string{});
  return schema;
}

TableState StateOf(const std::string& text) {
  for (const TableState state : {TableState::kPending, TableState::kCopying, TableState::kLive,
                                 TableState::kHalted, TableState::kSkipped}) {
    if (text == ToString(state)) return state;
  }
  throw Json::other_error::create(501, "unknown table state", nullptr);
}

TableRecord RecordOf(const Json& json) {
  TableRecord table;
  table.relation = RelationId{json.at("relation").get<std::uint32_t>()};
  table.source = NameOf(json.at("source"));
  table.destination = NameOf(json.at("destination"));
  table.state = StateOf(json.at("state").get<std::string>());
  table.mode = ParseTableMode(json.value("mode", "mirror")).value_or(TableMode::kMirror);
  table.reason = json.at("reason").get<std::string>();
  table.advice = json.at("advice").get<std::string>();
  table.since = UnixMicros{json.at("since").get<std::int64_t>()};
  table.row_count = json.at("rows").get<std::int64_t>();
  table.lsn = Lsn{json.at("lsn").get<std::uint64_t>()};
  table.committed_at = UnixMicros{json.at("committed_at").get<std::int64_t>()};
  table.publication_entry = json.at("publication_entry").get<std::uint32_t>();
  if (json.contains("schema")) table.schema = SchemaOf(json["schema"]);
  return table;
}

Birth BirthOf(const Json& json) {
  Birth birth;
  birth.pipeline = json.at("pipeline").get<std::string>();
  birth.slot = json.at("slot").get<std::string>();
  birth.publication = json.at("publication").get<std::string>();
  birth.owns_publication = json.at("owns_publication").get<bool>();
  birth.generation = json.at("generation").get<std::string>();
  birth.system_identifier = json.at("system_identifier").get<std::uint64_t>();
  birth.timeline = json.at("timeline").get<std::uint32_t>();
  return birth;
}

PassedList PassedOf(const Json& json) {
  PassedList passed;
  passed.is_unknown = json.at("is_unknown").get<bool>();
  passed.floor = json.at("floor").get<std::uint64_t>();
  for (const Json& xid : json.at("xids")) {
    passed.xids.push_back(TransactionId{xid.get<std::uint32_t>()});
  }
  return passed;
}

Position PositionOf(const Json& json) {
  Position position;
  position.lsn = Lsn{json.at("lsn").get<std::uint64_t>()};
  if (json.contains("witness")) {
    const Json& witness = json["witness"];
    position.last_transaction = Witness{Lsn{witness.at("commit_lsn").get<std::uint64_t>()},
                                        TransactionId{witness.at("xid").get<std::uint32_t>()},
                                        UnixMicros{witness.at("committed_at").get<std::int64_t>()}};
  }
  return position;
}

/// The border to a library that throws.
template <class T>
Result<T> Read(std::string_view text, T (*from)(const Json&), const char* what) {
  try {
    return from(Json::parse(text));
  } catch (const Json::exception& error) {
    return Error{.kind = ErrorKind::kStateStore,
                 .message = std::string("stored ") + what + " cannot be read",
                 .server_message = error.what(),
                 .code = "SLU-5101"};
  }
}

/// Names of a database in UTF-8 are valid; anything else is replaced rather than thrown about.
std::string Write(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string SchemaToJson(const TableSchema& schema) {
  return Write(Of(schema));
}
Result<SchemaPtr> SchemaFromJson(std::string_view json) {
  return Read<SchemaPtr>(json, SchemaOf, "schema");
}

std::string PassedToJson(const PassedList& passed) {
  Json xids = Json::array();
  for (const TransactionId xid : passed.xids) xids.push_back(xid.value);
  return Write(
      {{"is_unknown", passed.is_unknown}, {"floor", passed.floor}, {"xids", std::move(xids)}});
}
Result<PassedList> PassedFromJson(std::string_view json) {
  return Read<PassedList>(json, PassedOf, "passed transactions");
}

std::string BirthToJson(const Birth& birth) {
  return Write({{"pipeline", birth.pipeline},
                {"slot", birth.slot},
                {"publication", birth.publication},
                {"owns_publication", birth.owns_publication},
                {"generation", birth.generation},
                {"system_identifier", birth.system_identifier},
                {"timeline", birth.timeline}});
}
Result<Birth> BirthFromJson(std::string_view json) {
  return Read<Birth>(json, BirthOf, "birth");
}

std::string PositionToJson(const Position& position) {
  Json out{{"lsn", position.lsn.value}};
  if (position.last_transaction) {
    out["witness"] = {{"commit_lsn", position.last_transaction->commit_lsn.value},
                      {"xid", position.last_transaction->xid.value},
                      {"committed_at", position.last_transaction->committed_at.value}};
  }
  return Write(out);
}
Result<Position> PositionFromJson(std::string_view json) {
  return Read<Position>(json, PositionOf, "position");
}

std::string TableToJson(const TableRecord& table) {
  Json out{{"relation", table.relation.value},
           {"source", Of(table.source)},
           {"destination", Of(table.destination)},
           {"mode", ToString(table.mode)},
           {"state", ToString(table.state)},
           {"reason", table.reason},
           {"advice", table.advice},
           {"since", table.since.value},
           {"rows", table.row_count},
           {"lsn", table.lsn.value},
           {"committed_at", table.committed_at.value},
           {"publication_entry", table.publication_entry}};
  if (table.schema != nullptr) out["schema"] = Of(*table.schema);
  return Write(out);
}
Result<TableRecord> TableFromJson(std::string_view json) {
  return Read<TableRecord>(json, RecordOf, "table");
}

}  // namespace sluice::stores
