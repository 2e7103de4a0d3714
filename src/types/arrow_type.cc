#include "types/arrow_type.h"

#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <numeric>
#include <string>

#include "base/check.h"

namespace sluice::types {
namespace {

constexpr std::int32_t kInterval128Bytes = 16;
constexpr std::int32_t kUuidBytes = 16;

std::shared_ptr<arrow::DataType> StructType(const ColumnType& type) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  fields.reserve(type.children.size());
  for (std::size_t i = 0; i < type.children.size(); ++i) {
    fields.push_back(arrow::field(i < type.child_names.size() ? type.child_names[i] : "",
                                  ArrowType(type.children[i])));
  }
  return arrow::struct_(std::move(fields));
}

std::shared_ptr<arrow::Field> ArrowField(const Column& column) {
  return arrow::field(column.name, ArrowType(column.type), /*nullable=*/true,
                      arrow::key_value_metadata({"sluice.oid", "sluice.typmod"},
                                                {std::to_string(column.type.oid.value),
                                                 std::to_string(column.type.typmod)}));
}

}  // namespace

std::shared_ptr<arrow::DataType> ArrowType(const ColumnType& type) {
  switch (type.carrier) {
    case Carrier::kBool:
      return arrow::boolean();
    case Carrier::kInt16:
      return arrow::int16();
    case Carrier::kInt32:
      return arrow::int32();
    case Carrier::kInt64:
      return arrow::int64();
    case Carrier::kUInt32:
      return arrow::uint32();
    case Carrier::kFloat32:
      return arrow::float32();
    case Carrier::kFloat64:
      return arrow::float64();
    case Carrier::kDecimal:
      return std::make_shared<arrow::Decimal128Type>(type.precision, type.scale);
    case Carrier::kText:
    case Carrier::kJson:
      return arrow::utf8();
    case Carrier::kBytes:
      return arrow::binary();
    case Carrier::kDate:
      return arrow::date32();
    case Carrier::kTimestamp:
      return arrow::timestamp(arrow::TimeUnit::MICRO);
    case Carrier::kTimestampTz:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case Carrier::kTime:
      return arrow::time64(arrow::TimeUnit::MICRO);
    case Carrier::kInterval:
      return arrow::fixed_size_binary(kInterval128Bytes);
    case Carrier::kUuid:
      return arrow::fixed_size_binary(kUuidBytes);
    case Carrier::kList:
      SLUICE_CHECK(type.children.size() == 1);
      return arrow::list(ArrowType(type.children[0]));
    case Carrier::kStruct:
      return StructType(type);
    case Carrier::kMap:
      return arrow::map(arrow::utf8(), arrow::utf8());
  }
  SLUICE_CHECK(false);
}

std::shared_ptr<arrow::Schema> ArrowSchema(const TableSchema& schema) {
  std::vector<std::int32_t> columns(schema.columns.size());
  std::iota(columns.begin(), columns.end(), 0);
  return ArrowSchema(schema, columns);
}

std::shared_ptr<arrow::Schema> ArrowSchema(const TableSchema& schema,
                                           const std::vector<std::int32_t>& columns) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  fields.reserve(columns.size());
  for (const std::int32_t index : columns) {
    SLUICE_CHECK(index >= 0 && static_cast<std::size_t>(index) < schema.columns.size());
    fields.push_back(ArrowField(schema.columns[static_cast<std::size_t>(index)]));
  }
  return arrow::schema(std::move(fields));
}

}  // namespace sluice::types
