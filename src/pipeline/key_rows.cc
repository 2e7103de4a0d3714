#include "pipeline/key_rows.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "columnar/raw_rows.h"
#include "postgres/copy_reader.h"

namespace sluice::pipeline {

Result<RowsPtr> KeyRows(const TableSchema& schema, std::span<const verify::KeyText> keys) {
  auto shape = std::make_shared<TableSchema>();
  shape->relation = schema.relation;
  shape->name = schema.name;
  for (const std::int32_t column : schema.key)
    shape->columns.push_back(schema.columns[static_cast<std::size_t>(column)]);
  columnar::CopyDecoder decoder(shape, columnar::CopyFormat::kText);
  std::string line;
  for (const verify::KeyText& key : keys) {
    line.clear();
    for (const std::optional<std::string>& cell : key) {
      columnar::AppendCopyText(cell, line);
      line.push_back('\t');
    }
    line.back() = '\n';
    SLUICE_RETURN_IF_ERROR(decoder.Append(std::as_bytes(std::span(line))));
  }
  return decoder.Finish().rows;  // a key has no misfits
}

std::string SelectRows(const TableSchema& schema, const std::string& row_filter,
                       bool is_partitioned, std::span<const verify::KeyText> keys,
                       columnar::CopyFormat format) {
  postgres::CopyStatement statement;
  statement.table = schema.name;
  statement.relation = schema.relation;
  statement.is_only = !is_partitioned;
  statement.row_filter = row_filter;
  statement.is_binary = format == columnar::CopyFormat::kBinary;
  for (const Column& column : schema.columns) statement.columns.push_back(column.name);
  std::vector<std::string> names;
  for (const std::int32_t column : schema.key)
    names.push_back(schema.columns[static_cast<std::size_t>(column)].name);
  statement.range = verify::KeyCondition(names, keys);
  return postgres::CopySql(statement);
}

}  // namespace sluice::pipeline
