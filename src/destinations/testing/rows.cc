#include "destinations/testing/rows.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>

namespace sluice::testing {
namespace {

/// The test is wrong: say where and stop.
void Require(const Status& status) {
  if (status) return;
  std::fprintf(stderr, "test rows: %s\n", status.error().message.c_str());
  std::abort();
}

std::vector<std::int32_t> AllColumns(const TableSchema& schema) {
  std::vector<std::int32_t> out(schema.columns.size());
  std::iota(out.begin(), out.end(), 0);
  return out;
}

ColumnType Plain(std::uint32_t oid, const char* name, Carrier carrier) {
  ColumnType type;
  type.oid = Oid{oid};
  type.name = name;
  type.carrier = carrier;
  type.codec = name;
  return type;
}

}  // namespace

// One case a carrier.
ColumnType TypeOf(Carrier carrier) {
  switch (carrier) {
    case Carrier::kBool:
      return Plain(16, "boolean", carrier);
    case Carrier::kInt16:
      return Plain(21, "smallint", carrier);
    case Carrier::kInt32:
      return Plain(23, "integer", carrier);
    case Carrier::kInt64:
      return Plain(20, "bigint", carrier);
    case Carrier::kUInt32:
      return Plain(26, "oid", carrier);
    case Carrier::kFloat32:
      return Plain(700, "real", carrier);
    case Carrier::kFloat64:
      return Plain(701, "double precision", carrier);
    case Carrier::kDecimal: {
      ColumnType type = Plain(1700, "numeric(20,4)", carrier);
      type.typmod = (20 << 16) + 4 + 4;
      type.precision = 20;
      type.scale = 4;
      return type;
    }
    case Carrier::kText:
      return Plain(25, "text", carrier);
    case Carrier::kBytes:
      return Plain(17, "bytea", carrier);
    case Carrier::kDate:
      return Plain(1082, "date", carrier);
    case Carrier::kTimestamp:
      return Plain(1114, "timestamp without time zone", carrier);
    case Carrier::kTimestampTz:
      return Plain(1184, "timestamp with time zone", carrier);
    case Carrier::kTime:
      return Plain(1083, "time without time zone", carrier);
    case Carrier::kInterval:
      return Plain(1186, "interval", carrier);
    case Carrier::kUuid:
      return Plain(2950, "uuid", carrier);
    case Carrier::kJson:
      return Plain(3802, "jsonb", carrier);
    case Carrier::kList: {
      ColumnType type = Plain(1009, "text[]", carrier);
      type.children = {TypeOf(Carrier::kText)};
      return type;
    }
    case Carrier::kStruct: {
      ColumnType type = Plain(90001, "pair", carrier);
      type.children = {TypeOf(Carrier::kInt32), TypeOf(Carrier::kText)};
      type.child_names = {"a", "b"};
      return type;
    }
    case Carrier::kMap:
      return Plain(90002, "hstore", carrier);
  }
  return {};
}

SchemaPtr MakeSchema(std::uint32_t relation, TableName name, const std::vector<ColumnSpec>& columns,
                     ReplicaIdentity identity) {
  auto schema = std::make_shared<TableSchema>();
  schema->relation = RelationId{relation};
  schema->name = std::move(name);
  schema->identity = identity;
  schema->since = Lsn{0x100};
  for (std::size_t i = 0; i < columns.size(); ++i) {
    Column column;
    column.name = columns[i].name;
    column.type = TypeOf(columns[i].carrier);
    column.attnum = static_cast<std::int16_t>(i + 1);
    column.is_identity = columns[i].is_key || identity == ReplicaIdentity::kFull;
    column.is_nullable = !columns[i].is_key;
    if (columns[i].is_key) schema->key.push_back(static_cast<std::int32_t>(i));
    if (column.is_identity) schema->identity_columns.push_back(static_cast<std::int32_t>(i));
    schema->columns.push_back(std::move(column));
  }
  return schema;
}

RowsPtr MakeRows(const TableSchema& schema, const std::vector<TextRow>& rows) {
  return MakeRows(schema, AllColumns(schema), rows);
}

RowsPtr MakeRows(const TableSchema& schema, const std::vector<std::int32_t>& columns,
                 const std::vector<TextRow>& rows) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const Column& column = schema.columns.at(static_cast<std::size_t>(columns[i]));
    std::vector<Cell> cells;
    for (const TextRow& row : rows) cells.push_back(row.at(i));
    auto array = memory::ArrayFromText(column.type, cells);
    if (!array) Require(array.error());
    fields.push_back(arrow::field(column.name, (*array)->type()));
    arrays.push_back(*std::move(array));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)),
                                  static_cast<std::int64_t>(rows.size()), std::move(arrays));
}

std::vector<TextRow> TextOf(const TableSchema& schema, const RowsPtr& rows) {
  return TextOf(schema, AllColumns(schema), rows);
}

std::vector<TextRow> TextOf(const TableSchema& schema, const std::vector<std::int32_t>& columns,
                            const RowsPtr& rows) {
  std::vector<TextRow> out(static_cast<std::size_t>(rows->num_rows()));
  for (std::size_t row = 0; row < out.size(); ++row) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const ColumnType& type = schema.columns.at(static_cast<std::size_t>(columns[i])).type;
      auto cell = memory::CellText(*rows->column(static_cast<int>(i)),
                                   static_cast<std::int64_t>(row), type);
      if (!cell) Require(cell.error());
      out[row].push_back(*std::move(cell));
    }
  }
  return out;
}

}  // namespace sluice::testing
