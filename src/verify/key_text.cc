#include "verify/key_text.h"

#include <algorithm>

#include "types/canonical.h"

namespace sluice::verify {
namespace {

/// Longer than any key there is.
constexpr std::size_t kNoLimit = std::size_t{1} << 30;

bool HasText(Carrier carrier) {
  return carrier != Carrier::kList && carrier != Carrier::kStruct && carrier != Carrier::kMap;
}

void AppendQuoted(char quote, std::string_view text, std::string& sql) {
  // With a backslash, as an identifier has none that matters: E'' means the same whatever
  // standard_conforming_strings is.
  const bool is_escaped = quote == '\'' && text.find('\\') != std::string_view::npos;
  if (is_escaped) sql.push_back('E');
  sql.push_back(quote);
  for (const char c : text) {
    if (c == quote || (is_escaped && c == '\\')) sql.push_back(c);
    sql.push_back(c);
  }
  sql.push_back(quote);
}

}  // namespace

std::optional<KeyText> ReadKeyText(std::span<const ColumnType> types, std::string_view cells) {
  KeyText key;
  for (const ColumnType& type : types) {
    if (!HasText(type.carrier)) return std::nullopt;
    const std::size_t before = cells.size();
    auto text = types::DescribeCell(type, cells, kNoLimit);
    if (!text) return std::nullopt;
    const bool is_null = before - cells.size() == 4 && *text == "NULL";
    // What DescribeCell() writes for people.
    if (type.carrier == Carrier::kBool) text = *text == "true" ? "t" : "f";
    if (text->find('\0') != std::string::npos) return std::nullopt;
    key.push_back(is_null ? std::nullopt : std::move(text));
  }
  if (!cells.empty()) return std::nullopt;
  return key;
}

std::string KeyCondition(std::span<const std::string> columns, std::span<const KeyText> keys) {
  std::string list;
  for (const KeyText& key : keys) {
    if (std::ranges::any_of(key, [](const auto& cell) { return !cell.has_value(); })) continue;
    if (!list.empty()) list += ", ";
    if (columns.size() > 1) list += "(";
    for (std::size_t i = 0; i < key.size(); ++i) {
      if (i > 0) list += ", ";
      AppendQuoted('\'', *key[i], list);
    }
    if (columns.size() > 1) list += ")";
  }
  if (list.empty()) return "false";
  std::string names;
  for (const std::string& column : columns) {
    if (!names.empty()) names += ", ";
    AppendQuoted('"', column, names);
  }
  return (columns.size() > 1 ? "(" + names + ")" : names) + " IN (" + list + ")";
}

}  // namespace sluice::verify
