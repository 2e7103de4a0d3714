#include <algorithm>
#include <string_view>

#include "sluice/change_set.h"
#include "sluice/delivery_state.h"
#include "sluice/ids.h"
#include "sluice/schema.h"

namespace sluice {
namespace {

std::string QuoteIfNeeded(const std::string& name) {
  const bool plain =
      !name.empty() &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos &&
      (name[0] < '0' || name[0] > '9');
  if (plain) return name;
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace

std::string ToString(const TableName& name) {
  return QuoteIfNeeded(name.schema) + '.' + QuoteIfNeeded(name.table);
}

const char* ToString(OnMisfit policy) {
  switch (policy) {
    case OnMisfit::kHalt:
      return "halt";
    case OnMisfit::kNull:
      return "null";
    case OnMisfit::kQuarantine:
      return "quarantine";
  }
  return "unknown";
}

const char* ToString(TableMode mode) {
  switch (mode) {
    case TableMode::kMirror:
      return "mirror";
    case TableMode::kAppend:
      return "append";
    case TableMode::kHistory:
      return "history";
    case TableMode::kBoth:
      return "both";
  }
  return "unknown";
}

std::optional<TableMode> ParseTableMode(std::string_view text) {
  for (const TableMode mode :
       {TableMode::kMirror, TableMode::kAppend, TableMode::kHistory, TableMode::kBoth}) {
    if (text == ToString(mode)) return mode;
  }
  return std::nullopt;
}

TableName LogOf(const TableName& destination) {
  return {destination.schema, destination.table + "__history"};
}

const char* ToString(LogOp op) {
  switch (op) {
    case LogOp::kCopy:
      return "copy";
    case LogOp::kInsert:
      return "insert";
    case LogOp::kUpdate:
      return "update";
    case LogOp::kDelete:
      return "delete";
    case LogOp::kTruncate:
      return "truncate";
  }
  return "unknown";
}

const char* ToString(TableState state) {
  switch (state) {
    case TableState::kPending:
      return "pending";
    case TableState::kCopying:
      return "copying";
    case TableState::kLive:
      return "live";
    case TableState::kHalted:
      return "halted";
    case TableState::kSkipped:
      return "skipped";
  }
  return "unknown";
}

bool SameShape(const TableSchema& a, const TableSchema& b) {
  if (a.columns.size() != b.columns.size() || a.key != b.key ||
      a.identity_columns != b.identity_columns)
    return false;
  for (std::size_t i = 0; i < a.columns.size(); ++i) {
    if (a.columns[i].name != b.columns[i].name || !(a.columns[i].type == b.columns[i].type))
      return false;
  }
  return true;
}

std::vector<std::optional<std::size_t>> ColumnOrigins(const TableSchema& from,
                                                      const TableSchema& to) {
  const auto is_numbered = [](const TableSchema& schema) {
    return std::all_of(schema.columns.begin(), schema.columns.end(),
                       [](const Column& column) { return column.attnum != 0; });
  };
  const bool by_number = is_numbered(from) && is_numbered(to);
  std::vector<std::optional<std::size_t>> origins;
  origins.reserve(to.columns.size());
  for (const Column& column : to.columns) {
    const auto found =
        std::find_if(from.columns.begin(), from.columns.end(), [&](const Column& old) {
          return by_number ? old.attnum == column.attnum : old.name == column.name;
        });
    if (found == from.columns.end()) {
      origins.emplace_back();
    } else {
      origins.emplace_back(static_cast<std::size_t>(found - from.columns.begin()));
    }
  }
  return origins;
}

namespace {

std::string Describe(const Column& column) {
  return column.name + " " + column.type.name;
}

std::string DescribeKey(const TableSchema& schema) {
  std::string text;
  for (const std::int32_t index : schema.key) {
    text += (text.empty() ? "" : ", ") + schema.columns[static_cast<std::size_t>(index)].name;
  }
  return schema.identity == ReplicaIdentity::kFull ? "full (" + text + ")" : "(" + text + ")";
}

bool IsSameKey(const TableSchema& from, const TableSchema& to,
               const std::vector<std::optional<std::size_t>>& origins) {
  if (from.identity != to.identity || from.key.size() != to.key.size()) return false;
  return std::all_of(to.key.begin(), to.key.end(), [&](std::int32_t index) {
    const auto& origin = origins[static_cast<std::size_t>(index)];
    return origin && std::find(from.key.begin(), from.key.end(),
                               static_cast<std::int32_t>(*origin)) != from.key.end();
  });
}

}  // namespace

std::vector<ShapeChange> ChangesBetween(const TableSchema& from, const TableSchema& to) {
  std::vector<ShapeChange> changes;
  const auto origins = ColumnOrigins(from, to);
  for (std::size_t i = 0; i < from.columns.size(); ++i) {
    if (std::find(origins.begin(), origins.end(), i) == origins.end()) {
      changes.push_back({"drop column", Describe(from.columns[i]), ""});
    }
  }
  for (std::size_t i = 0; i < to.columns.size(); ++i) {
    const Column& column = to.columns[i];
    if (!origins[i]) {
      changes.push_back({"add column", "", Describe(column)});
      continue;
    }
    const Column& before = from.columns[*origins[i]];
    if (before.name != column.name) changes.push_back({"rename column", before.name, column.name});
    if (!(before.type == column.type)) {
      changes.push_back({"change type", Describe(before), Describe(column)});
    }
  }
  if (!IsSameKey(from, to, origins)) {
    changes.push_back({"change key", DescribeKey(from), DescribeKey(to)});
  }
  return changes;
}

}  // namespace sluice
