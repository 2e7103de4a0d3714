#include <string_view>

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

}  // namespace sluice
