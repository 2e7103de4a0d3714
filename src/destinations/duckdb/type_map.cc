#include "destinations/duckdb/type_map.h"

#include <arrow/type.h>

#include "destinations/duckdb/names.h"
#include "types/arrow_type.h"
#include "types/vectors.h"

namespace sluice::duckdb {
namespace {

duckdb_type TypeId(Carrier carrier) {
  switch (carrier) {
    case Carrier::kBool:
      return DUCKDB_TYPE_BOOLEAN;
    case Carrier::kInt16:
      return DUCKDB_TYPE_SMALLINT;
    case Carrier::kInt32:
      return DUCKDB_TYPE_INTEGER;
    case Carrier::kInt64:
      return DUCKDB_TYPE_BIGINT;
    case Carrier::kUInt32:
      return DUCKDB_TYPE_UINTEGER;
    case Carrier::kFloat32:
      return DUCKDB_TYPE_FLOAT;
    case Carrier::kFloat64:
      return DUCKDB_TYPE_DOUBLE;
    case Carrier::kDecimal:
      return DUCKDB_TYPE_DECIMAL;
    case Carrier::kText:
    case Carrier::kJson:
      return DUCKDB_TYPE_VARCHAR;
    case Carrier::kBytes:
      return DUCKDB_TYPE_BLOB;
    case Carrier::kDate:
      return DUCKDB_TYPE_DATE;
    case Carrier::kTimestamp:
      return DUCKDB_TYPE_TIMESTAMP;
    case Carrier::kTimestampTz:
      return DUCKDB_TYPE_TIMESTAMP_TZ;
    case Carrier::kTime:
      return DUCKDB_TYPE_TIME;
    case Carrier::kInterval:
      return DUCKDB_TYPE_INTERVAL;
    case Carrier::kUuid:
      return DUCKDB_TYPE_UUID;
    case Carrier::kList:
      return DUCKDB_TYPE_LIST;
    case Carrier::kStruct:
      return DUCKDB_TYPE_STRUCT;
    case Carrier::kMap:
      return DUCKDB_TYPE_MAP;
  }
  return DUCKDB_TYPE_INVALID;
}

const char* PlainName(Carrier carrier) {
  switch (carrier) {
    case Carrier::kBool:
      return "BOOLEAN";
    case Carrier::kInt16:
      return "SMALLINT";
    case Carrier::kInt32:
      return "INTEGER";
    case Carrier::kInt64:
      return "BIGINT";
    case Carrier::kUInt32:
      return "UINTEGER";
    case Carrier::kFloat32:
      return "FLOAT";
    case Carrier::kFloat64:
      return "DOUBLE";
    case Carrier::kBytes:
      return "BLOB";
    case Carrier::kDate:
      return "DATE";
    case Carrier::kTimestamp:
      return "TIMESTAMP";
    case Carrier::kTimestampTz:
      return "TIMESTAMP WITH TIME ZONE";
    case Carrier::kTime:
      return "TIME";
    case Carrier::kInterval:
      return "INTERVAL";
    case Carrier::kUuid:
      return "UUID";
    case Carrier::kJson:
      return "JSON";
    case Carrier::kMap:
      return "MAP(VARCHAR, VARCHAR)";
    case Carrier::kText:
    case Carrier::kDecimal:
    case Carrier::kList:
    case Carrier::kStruct:
      break;
  }
  return "VARCHAR";
}

bool IsSameStruct(const ColumnType& type, duckdb_logical_type actual) {
  if (duckdb_struct_type_child_count(actual) != type.children.size()) return false;
  for (std::size_t i = 0; i < type.children.size(); ++i) {
    const LogicalTypeHandle child(duckdb_struct_type_child_type(actual, i));
    char* name = duckdb_struct_type_child_name(actual, i);
    const bool is_same_name = FoldName(name) == FoldName(type.child_names[i]);
    duckdb_free(name);
    if (!is_same_name || !IsSameType(type.children[i], child.get())) return false;
  }
  return true;
}

bool IsJson(duckdb_logical_type actual) {
  char* alias = duckdb_logical_type_get_alias(actual);
  const bool is_json = alias != nullptr && std::string_view(alias) == "JSON";
  duckdb_free(alias);
  return is_json;
}

}  // namespace

std::size_t ArrayLength(const ColumnType& type) {
  return types::IsVector(type) ? types::VectorLength(type) : 0;
}

bool LosesLength(const ColumnType& from, const ColumnType& to) {
  return ArrayLength(from) != 0 && types::IsVector(to) && ArrayLength(to) == 0 &&
         from.oid == to.oid;
}

std::string SqlType(const ColumnType& type) {
  if (type.carrier == Carrier::kDecimal) {
    return "DECIMAL(" + std::to_string(type.precision) + "," + std::to_string(type.scale) + ")";
  }
  if (const std::size_t length = ArrayLength(type); length != 0)
    return SqlType(type.children.at(0)) + "[" + std::to_string(length) + "]";
  if (type.carrier == Carrier::kList) return SqlType(type.children.at(0)) + "[]";
  if (type.carrier == Carrier::kStruct) {
    std::string out = "STRUCT(";
    for (std::size_t i = 0; i < type.children.size(); ++i) {
      if (i != 0) out += ", ";
      out += QuoteIdentifier(type.child_names.at(i)) + " " + SqlType(type.children[i]);
    }
    return out + ")";
  }
  return PlainName(type.carrier);
}

bool IsSameType(const ColumnType& type, duckdb_logical_type actual) {
  if (const std::size_t length = ArrayLength(type); length != 0) {
    if (duckdb_get_type_id(actual) != DUCKDB_TYPE_ARRAY) return false;
    const LogicalTypeHandle child(duckdb_array_type_child_type(actual));
    return duckdb_array_type_array_size(actual) == length &&
           IsSameType(type.children.at(0), child.get());
  }
  if (duckdb_get_type_id(actual) != TypeId(type.carrier)) return false;
  switch (type.carrier) {
    case Carrier::kDecimal:
      return duckdb_decimal_width(actual) == type.precision &&
             duckdb_decimal_scale(actual) == static_cast<std::uint8_t>(type.scale);
    case Carrier::kJson:
      return IsJson(actual);
    case Carrier::kText:
      return !IsJson(actual);
    case Carrier::kList: {
      const LogicalTypeHandle child(duckdb_list_type_child_type(actual));
      return IsSameType(type.children.at(0), child.get());
    }
    case Carrier::kStruct:
      return IsSameStruct(type, actual);
    case Carrier::kMap: {
      const LogicalTypeHandle key(duckdb_map_type_key_type(actual));
      const LogicalTypeHandle value(duckdb_map_type_value_type(actual));
      return duckdb_get_type_id(key.get()) == DUCKDB_TYPE_VARCHAR &&
             duckdb_get_type_id(value.get()) == DUCKDB_TYPE_VARCHAR;
    }
    default:
      return true;
  }
}

bool IsCarriedAs(const ColumnType& type, const arrow::DataType& actual) {
  switch (type.carrier) {
    case Carrier::kList:
      return actual.id() == arrow::Type::LIST &&
             IsCarriedAs(type.children.at(0), *actual.field(0)->type());
    case Carrier::kStruct: {
      if (actual.id() != arrow::Type::STRUCT ||
          static_cast<std::size_t>(actual.num_fields()) != type.children.size())
        return false;
      for (std::size_t i = 0; i < type.children.size(); ++i) {
        if (!IsCarriedAs(type.children[i], *actual.field(static_cast<int>(i))->type()))
          return false;
      }
      return true;
    }
    case Carrier::kMap: {
      if (actual.id() != arrow::Type::MAP) return false;
      const arrow::DataType& entry = *actual.field(0)->type();
      return entry.num_fields() == 2 && entry.field(0)->type()->id() == arrow::Type::STRING &&
             entry.field(1)->type()->id() == arrow::Type::STRING;
    }
    case Carrier::kTimestamp:
    case Carrier::kTimestampTz:
      // The zone's name is for people; the values are UTC either way.
      return actual.id() == arrow::Type::TIMESTAMP &&
             static_cast<const arrow::TimestampType&>(actual).unit() == arrow::TimeUnit::MICRO;
    default:
      return actual.Equals(*types::ArrowType(type));
  }
}

}  // namespace sluice::duckdb
