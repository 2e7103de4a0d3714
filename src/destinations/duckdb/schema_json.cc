#include "destinations/duckdb/schema_json.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <nlohmann/json.hpp>

namespace sluice::duckdb {
namespace {

using nlohmann::json;

// Names, not numbers: a file must read the same when the enumeration grows in the middle.
constexpr auto kCarrierNames = std::to_array<std::string_view>(
    {"bool",     "int16", "int32", "int64", "uint32",    "float32",     "float64",
     "decimal",  "text",  "bytes", "date",  "timestamp", "timestamptz", "time",
     "interval", "uuid",  "json",  "list",  "struct",    "map"});
static_assert(kCarrierNames.size() == static_cast<std::size_t>(Carrier::kMap) + 1);

json TypeToJson(const ColumnType& type) {
  json out = {{"oid", type.oid.value},
              {"typmod", type.typmod},
              {"name", type.name},
              {"carrier", kCarrierNames.at(static_cast<std::size_t>(type.carrier))},
              {"codec", type.codec}};
  if (type.carrier == Carrier::kDecimal) {
    out["precision"] = type.precision;
    out["scale"] = type.scale;
  }
  for (const ColumnType& child : type.children) out["children"].push_back(TypeToJson(child));
  for (const std::string& name : type.child_names) out["child_names"].push_back(name);
  return out;
}

// What throws inside is caught in SchemaFromJson(): nlohmann's type errors, and these.
ColumnType TypeFromJson(const json& in) {
  ColumnType type;
  type.oid.value = in.at("oid").get<std::uint32_t>();
  type.typmod = in.at("typmod").get<std::int32_t>();
  type.name = in.at("name").get<std::string>();
  const auto carrier = in.at("carrier").get<std::string>();
  const auto* found = std::find(kCarrierNames.begin(), kCarrierNames.end(), carrier);
  if (found == kCarrierNames.end()) throw std::invalid_argument("unknown carrier " + carrier);
  type.carrier = static_cast<Carrier>(found - kCarrierNames.begin());
  type.codec = in.value("codec", std::string());
  type.precision = in.value("precision", std::uint8_t{0});
  type.scale = in.value("scale", std::int8_t{0});
  for (const json& child : in.value("children", json::array()))
    type.children.push_back(TypeFromJson(child));
  type.child_names = in.value("child_names", std::vector<std::string>());
  if (type.carrier == Carrier::kList && type.children.size() != 1)
    throw std::invalid_argument("a list has one element type");
  if (type.carrier == Carrier::kStruct && type.children.size() != type.child_names.size())
    throw std::invalid_argument("a struct names its fields");
  return type;
}

json ColumnToJson(const Column& column) {
  json out = {{"name", column.name},
              {"type", TypeToJson(column.type)},
              {"attnum", column.attnum},
              {"identity", column.is_identity},
              {"nullable", column.is_nullable}};
  if (column.missing_value) out["missing_value"] = *column.missing_value;
  if (column.altered_by != 0) out["altered_by"] = column.altered_by;
  if (column.on_misfit != OnMisfit::kHalt) out["on_misfit"] = ToString(column.on_misfit);
  return out;
}

Column ColumnFromJson(const json& in) {
  Column column;
  column.name = in.at("name").get<std::string>();
  column.type = TypeFromJson(in.at("type"));
  column.attnum = in.value("attnum", std::int16_t{0});
  column.is_identity = in.value("identity", false);
  column.is_nullable = in.value("nullable", true);
  if (in.contains("missing_value")) column.missing_value = in["missing_value"].get<std::string>();
  column.altered_by = in.value("altered_by", std::uint32_t{0});
  // The pipeline states it anew at each start; here it tells what the stored rows were made with.
  const auto policy = in.value("on_misfit", std::string());
  if (policy == ToString(OnMisfit::kNull)) column.on_misfit = OnMisfit::kNull;
  if (policy == ToString(OnMisfit::kQuarantine)) column.on_misfit = OnMisfit::kQuarantine;
  return column;
}

json FactsToJson(const CatalogFacts& facts) {
  json out = {{"stamp", facts.stamp}, {"files", facts.files}, {"attnum_max", facts.attnum_max}};
  for (const EnumLabel& label : facts.labels)
    out["labels"].push_back({label.oid.value, label.text, label.written_by});
  return out;
}

CatalogFacts FactsFromJson(const json& in) {
  CatalogFacts facts;
  facts.stamp = in.value("stamp", std::string());
  facts.files = in.value("files", std::string());
  facts.attnum_max = in.value("attnum_max", std::int16_t{0});
  for (const json& label : in.value("labels", json::array()))
    facts.labels.push_back({Oid{label.at(0).get<std::uint32_t>()}, label.at(1).get<std::string>(),
                            label.size() > 2 ? label.at(2).get<std::uint32_t>() : 0});
  return facts;
}

json HiddenToJson(const HiddenColumn& hidden) {
  return {{"column", ColumnToJson(hidden.column)},
          {"rule_schema", hidden.rule_table.schema},
          {"rule_table", hidden.rule_table.table},
          {"rule_name", hidden.rule_name},
          {"gone", hidden.is_gone}};
}

HiddenColumn HiddenFromJson(const json& in) {
  return {ColumnFromJson(in.at("column")),
          {in.at("rule_schema").get<std::string>(), in.at("rule_table").get<std::string>()},
          in.at("rule_name").get<std::string>(),
          in.value("gone", false)};
}

std::vector<std::int32_t> Indexes(const json& in, std::size_t column_count) {
  auto out = in.get<std::vector<std::int32_t>>();
  for (const std::int32_t index : out) {
    if (index < 0 || static_cast<std::size_t>(index) >= column_count)
      throw std::invalid_argument("column index out of range");
  }
  return out;
}

}  // namespace

std::string SchemaToJson(const TableSchema& schema) {
  json out = {{"relation", schema.relation.value},
              {"schema", schema.name.schema},
              {"table", schema.name.table},
              {"replica_identity", std::string(1, static_cast<char>(schema.identity))},
              {"columns", json::array()},
              {"key", schema.key},
              {"identity_columns", schema.identity_columns},
              {"since", schema.since.value},
              {"facts", FactsToJson(schema.facts)}};
  if (!schema.unplaced.empty()) out["unplaced"] = schema.unplaced;
  for (const Column& column : schema.columns) out["columns"].push_back(ColumnToJson(column));
  for (const HiddenColumn& hidden : schema.hidden) out["hidden"].push_back(HiddenToJson(hidden));
  // Bytes that are not UTF-8 (a database in SQL_ASCII) must not throw; CheckTable() refuses such
  // names before they get here.
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<SchemaPtr> SchemaFromJson(const std::string& text) {
  try {
    const json in = json::parse(text);
    auto schema = std::make_shared<TableSchema>();
    schema->relation.value = in.at("relation").get<std::uint32_t>();
    schema->name = {in.at("schema").get<std::string>(), in.at("table").get<std::string>()};
    schema->identity =
        static_cast<ReplicaIdentity>(in.at("replica_identity").get<std::string>().at(0));
    for (const json& column : in.at("columns")) schema->columns.push_back(ColumnFromJson(column));
    schema->key = Indexes(in.at("key"), schema->columns.size());
    schema->identity_columns = Indexes(in.at("identity_columns"), schema->columns.size());
    schema->since.value = in.at("since").get<std::uint64_t>();
    schema->facts = FactsFromJson(in.value("facts", json::object()));
    for (const json& hidden : in.value("hidden", json::array()))
      schema->hidden.push_back(HiddenFromJson(hidden));
    schema->unplaced = in.value("unplaced", std::string());
    return SchemaPtr(std::move(schema));
  } catch (const std::exception& e) {
    return Error{.kind = ErrorKind::kStateStore,
                 .message = "a table's shape in sluice._schemas cannot be read",
                 .server_message = e.what(),
                 .code = "SLU-5016"};
  }
}

}  // namespace sluice::duckdb
