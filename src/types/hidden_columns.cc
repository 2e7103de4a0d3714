#include "types/hidden_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace sluice::types {
namespace {

const HiddenColumn* Find(std::span<const HiddenColumn> hidden, std::int16_t attnum) {
  const auto found = std::find_if(hidden.begin(), hidden.end(), [&](const HiddenColumn& one) {
    return one.column.attnum == attnum;
  });
  return found == hidden.end() ? nullptr : &*found;
}

bool WasExcluded(std::span<const HiddenColumn> known, const std::string& rule_name) {
  return std::any_of(known.begin(), known.end(),
                     [&](const HiddenColumn& one) { return one.rule_name == rule_name; });
}

Error NoSuchColumn(const TableName& table, const std::string& column) {
  return {.kind = ErrorKind::kUnsupported,
          .message = fmt::format("{} is to be kept without column {}, which it does not have",
                                 ToString(table), column),
          .code = "SLU-4125",
          .advice = "correct tables." + ToString(table) + ".columns.exclude in the config file"};
}

/// Indexes that stay, in the numbering of what is kept; nullopt: one of them does not.
std::optional<std::vector<std::int32_t>> Renumbered(const std::vector<std::int32_t>& indexes,
                                                    const std::vector<std::uint32_t>& cells) {
  std::vector<std::int32_t> out;
  for (const std::int32_t index : indexes) {
    const auto at = std::find(cells.begin(), cells.end(), static_cast<std::uint32_t>(index));
    if (at == cells.end()) return std::nullopt;
    out.push_back(static_cast<std::int32_t>(at - cells.begin()));
  }
  return out;
}

}  // namespace

void ForgetIdentity(TableSchema& schema) {
  schema.identity = ReplicaIdentity::kNothing;
  schema.key.clear();
  schema.identity_columns.clear();
  for (Column& column : schema.columns) column.is_identity = false;
}

Result<KeptColumns> KeepColumns(const SchemaPtr& full, std::span<const HiddenColumn> hidden) {
  if (hidden.empty()) return KeptColumns{full, {}};
  auto kept = std::make_shared<TableSchema>(*full);
  KeptColumns out;
  kept->columns.clear();
  kept->hidden.assign(hidden.begin(), hidden.end());
  for (HiddenColumn& one : kept->hidden) {
    const auto now =
        std::find_if(full->columns.begin(), full->columns.end(),
                     [&](const Column& column) { return column.attnum == one.column.attnum; });
    one.is_gone = now == full->columns.end();
    if (!one.is_gone) one.column = *now;
    one.column.missing_value.reset();  // a value of it
  }
  for (std::size_t i = 0; i < full->columns.size(); ++i) {
    if (Find(hidden, full->columns[i].attnum) != nullptr) continue;
    out.cells.push_back(static_cast<std::uint32_t>(i));
    kept->columns.push_back(full->columns[i]);
  }
  const auto key = Renumbered(full->key, out.cells);
  // Under FULL the whole row is the identity, and what is left of it is enough.
  kept->identity_columns.clear();
  for (std::size_t i = 0; i < kept->columns.size(); ++i) {
    if (kept->columns[i].is_identity)
      kept->identity_columns.push_back(static_cast<std::int32_t>(i));
  }
  const bool is_whole = full->identity == ReplicaIdentity::kFull ||
                        kept->identity_columns.size() == full->identity_columns.size();
  if (!key || !is_whole || kept->columns.empty()) {
    return Error{.kind = ErrorKind::kUnsupported,
                 .message = fmt::format("a column of {} is excluded by which its rows are found",
                                        ToString(full->name)),
                 .code = "SLU-4124",
                 .advice = "take it out of columns.exclude, or leave the table out"};
  }
  kept->key = *key;
  out.schema = std::move(kept);
  return out;
}

Result<SchemaPtr> HideColumns(const SchemaPtr& full, const TableRules& rules,
                              std::span<const HiddenColumn> known) {
  const TableSettings settings = rules.For(full->name);
  std::vector<HiddenColumn> hidden(known.begin(), known.end());
  for (const ExcludedColumn& excluded : settings.excluded) {
    const auto column = std::find_if(full->columns.begin(), full->columns.end(),
                                     [&](const Column& one) { return one.name == excluded.name; });
    if (column == full->columns.end()) {
      if (excluded.must_exist && !WasExcluded(known, excluded.name))
        return NoSuchColumn(full->name, excluded.name);
      continue;
    }
    if (Find(hidden, column->attnum) != nullptr) continue;
    hidden.push_back({*column, full->name, excluded.name, false});
  }
  std::sort(hidden.begin(), hidden.end(), [](const HiddenColumn& a, const HiddenColumn& b) {
    return a.column.attnum < b.column.attnum;
  });
  SLUICE_ASSIGN_OR_RETURN(KeptColumns kept, KeepColumns(full, hidden));
  return std::move(kept.schema);
}

SchemaPtr WithHidden(const SchemaPtr& schema) {
  if (schema->hidden.empty()) return schema;
  auto full = std::make_shared<TableSchema>(*schema);
  full->hidden.clear();
  for (const HiddenColumn& one : schema->hidden) {
    if (!one.is_gone) full->columns.push_back(one.column);
  }
  std::sort(full->columns.begin(), full->columns.end(),
            [](const Column& a, const Column& b) { return a.attnum < b.attnum; });
  const auto move_indexes = [&](const std::vector<std::int32_t>& indexes) {
    std::vector<std::int32_t> out;
    for (const std::int32_t index : indexes) {
      const std::int16_t attnum = schema->columns[static_cast<std::size_t>(index)].attnum;
      const auto at = std::find_if(full->columns.begin(), full->columns.end(),
                                   [&](const Column& column) { return column.attnum == attnum; });
      out.push_back(static_cast<std::int32_t>(at - full->columns.begin()));
    }
    return out;
  };
  full->key = move_indexes(schema->key);
  full->identity_columns.clear();
  for (std::size_t i = 0; i < full->columns.size(); ++i) {
    if (full->columns[i].is_identity)
      full->identity_columns.push_back(static_cast<std::int32_t>(i));
  }
  return full;
}

bool KeepsExcluded(const TableSchema& schema, const TableRules& rules) {
  const TableSettings settings = rules.For(schema.name);
  return std::any_of(schema.columns.begin(), schema.columns.end(),
                     [&](const Column& column) { return settings.excludes(column.name); });
}

std::vector<HiddenColumn> WithoutReleased(std::span<const HiddenColumn> hidden,
                                          const TableRules& rules) {
  std::vector<HiddenColumn> out;
  for (const HiddenColumn& one : hidden) {
    if (rules.For(one.rule_table).excludes(one.rule_name)) out.push_back(one);
  }
  return out;
}

}  // namespace sluice::types
