#include "verify/compared_table.h"

#include <algorithm>

namespace sluice::verify {

ComparedTable MakeComparedTable(SchemaPtr schema, std::span<const std::string> left_out) {
  ComparedTable table;
  std::vector<std::int32_t> positions(schema->columns.size(), -1);
  for (std::size_t i = 0; i < schema->columns.size(); ++i) {
    const Column& column = schema->columns[i];
    if (std::ranges::find(left_out, column.name) != left_out.end()) {
      table.not_compared.push_back(column.name);
      continue;
    }
    positions[i] = static_cast<std::int32_t>(table.columns.size());
    table.columns.push_back(static_cast<std::int32_t>(i));
    table.types.push_back(column.type);
    const bool finds_row =
        std::ranges::find(schema->key, static_cast<std::int32_t>(i)) != schema->key.end();
    table.lets_go.push_back(column.on_misfit != OnMisfit::kHalt && !finds_row);
  }
  for (const HiddenColumn& hidden : schema->hidden) {
    if (!hidden.is_gone) table.not_compared.push_back(hidden.column.name);
  }
  for (const std::int32_t key : schema->key) {
    const std::int32_t position = positions[static_cast<std::size_t>(key)];
    if (position < 0) {
      table.key.clear();
      break;
    }
    table.key.push_back(static_cast<std::size_t>(position));
  }
  table.schema = std::move(schema);
  return table;
}

}  // namespace sluice::verify
